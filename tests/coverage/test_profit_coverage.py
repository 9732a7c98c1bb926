"""The profit of a plan, after the choice that the same scores made: its interval covers, its estimate is not too high.

Campaigns are drawn as held-out scores with a known mean per person and arm. The interval of the policy that was put to the
test must hold its true profit as often as it says, whether policies tie, differ or do nothing. Bounds are the nominal level
minus three binomial standard errors. The long version runs the whole tool as well, and prints its table.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck
from causalkit.core.rows import Groups
from causalkit.uplift import plan_choice
from causalkit.uplift.frontier import Held, frontier
from causalkit.uplift.heterogeneity import heterogeneity
from causalkit.uplift.plan_choice import better_than_even, corrected, field_of
from causalkit.uplift.routes import find_routes

# Mean effect of each arm, spread of effects, cost, budget, number of clusters.
CASES = {
    "null": ((0.0,), 0.0, 0.0, None, None),
    "tie": ((0.2,), 0.3, 0.2, None, None),
    "planted": ((0.3,), 0.5, 0.2, None, None),
    "budget": ((0.3,), 0.5, 0.3, 40.0, None),
    "clusters": ((0.2,), 0.3, 0.2, None, 12),
    "four arms, null": ((0.0,) * 4, 0.0, 0.0, None, None),
    "four arms, tie": ((0.2,) * 4, 0.0, 0.1, None, None),
    "two arms, planted": ((0.3, 0.3), 0.5, 0.2, None, None),
    "two arms, budget": ((0.3, 0.4), 0.5, 0.3, 40.0, None),
}


def _campaign(rng, effects, spread, cost, budget, n_clusters, n=400):
    """One campaign: the profit of what was tested, its truth, and whether it was launched."""
    k = len(effects)
    effect = np.array(effects) + spread * rng.uniform(-1, 1, (n, k))
    predicted = effect + 0.2 * rng.normal(size=(n, k))
    scores = effect + 2.0 * rng.normal(size=(n, k))
    groups = None
    if n_clusters is not None:
        codes = rng.integers(0, n_clusters, n).astype(np.int32)
        scores += rng.normal(0, 0.4, (n_clusters, k))[codes]
        groups = Groups(codes, tuple(range(n_clusters)))
    costs = np.full((n, k), cost)
    gain = predicted - costs
    held = Held(scores - costs, costs, None, groups)
    routes = find_routes(gain, costs)
    field = field_of(routes, gain, held, budget, 0.05, tuple("abcd"[:k]))
    codes = None if groups is None else groups.codes
    found = heterogeneity(scores[:, 0], predicted[:, 0], "autoc", None, codes) if k == 1 else better_than_even(field)
    shown = corrected(field, found)
    one = shown[plan_choice.tested(shown, found.found(0.05))]
    truth = float((one.probability.reshape(n, k) * (effect - costs)).sum())
    return one.profit, truth


def _table(name, runs, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(runs):
        profit, truth = _campaign(rng, *CASES[name])
        low, high = profit.ci()
        half = 1.959964 * profit.se
        rows.append(
            (
                low <= truth <= high,
                abs(profit.held_out - truth) <= half,
                profit.estimate > truth,
                profit.held_out > truth,
                (profit.estimate - truth) / profit.se,
                (profit.held_out - truth) / profit.se,
                profit.lower > 0,
                profit.lower > 0 and truth <= 0,
                (high - low) / (2 * half),
            )
        )
    return np.mean(np.array(rows, dtype=float), axis=0)


def _limit(level, runs):
    return 3 * np.sqrt(level * (1 - level) / runs)


def _verify(name, runs):
    covered, _, above, naive_above, bias, naive_bias, launched, loss, _ = _table(name, runs)
    assert covered >= 0.95 - _limit(0.95, runs)
    assert above == pytest.approx(0.5, abs=_limit(0.5, runs) + 0.02)  # median-unbiased
    assert abs(bias) <= max(abs(naive_bias), 0.12)
    assert loss <= 0.025 + _limit(0.025, runs)
    if "null" in name:
        assert launched <= 0.025 + _limit(0.025, runs)
    return above, naive_above


@pytest.mark.parametrize("name", ["null", "tie", "clusters", "two arms, planted"])
def test_the_interval_of_the_tested_policy_covers(name):
    _verify(name, 120)


def test_the_plain_estimate_of_the_best_of_four_is_too_high_and_the_corrected_one_is_not():
    above, naive = _verify("four arms, null", 120)
    assert naive > 0.8
    assert above < 0.6


def test_the_band_holds_at_all_budgets_at_once():
    rng = np.random.default_rng(5)
    runs, inside = 60, 0
    for _ in range(runs):
        n = 400
        effect = 0.3 + 0.5 * rng.uniform(-1, 1, (n, 2))
        scores = effect + 2.0 * rng.normal(size=(n, 2))
        costs = np.column_stack([np.full(n, 0.2), np.full(n, 0.3)])
        routes = find_routes(effect - costs, costs)
        budgets = np.linspace(0, routes.total_cost, 11)
        found = frontier(routes, Held(scores - costs, costs, None, None), budgets)
        truth = frontier(routes, Held(effect - costs, costs, None, None), budgets).profit
        low, high = found.band(0.05)
        inside += bool(np.all((low <= truth + 1e-9) & (truth <= high + 1e-9)))
    assert inside / runs >= 0.95 - _limit(0.95, runs)


@pytest.mark.long
@pytest.mark.parametrize("name", list(CASES))
def test_the_long_table(name):
    _verify(name, 2000)
    row = _table(name, 2000)
    print(f"\n{name}: " + " ".join(f"{v:.3f}" for v in row))


@pytest.mark.long
@pytest.mark.parametrize(("effect", "cost"), [(0.0, 0.0), (0.06, 0.3)])
def test_whole_campaigns(effect, cost):
    """500 campaigns through the tool: the interval covers, and no plan is launched too often where nothing works."""
    runs, covered, launched = 500, 0, 0
    for seed in range(runs):
        data = ck.datasets.coupon_campaign(800, effect=effect, heterogeneity=float(effect > 0), random_state=seed)
        plan = ck.Targeting(value=10.0, cost=cost, random_state=0).fit(
            data, effect="recency", outcome="purchase", treatment="arm", control="no_coupon", propensity=0.5
        )
        low, high = plan.tested.profit.ci()
        covered += low <= float(plan.tested.probability @ (10.0 * data["true_effect"] - cost)) <= high
        launched += plan.policy != "nobody"
    assert covered / runs >= 0.95 - _limit(0.95, runs)
    if effect == 0.0:
        assert launched / runs <= 0.025 + _limit(0.025, runs)


@pytest.mark.long
def test_a_holdout_proves_the_profit_with_the_power_it_promises():
    """A plan is launched on new people with the hold-out it asks for: the interval is above zero in 80 % of launches."""
    rng = np.random.default_rng(2)
    n, effect, cost, noise = 3000, 0.25, 0.1, 1.0
    from causalkit.uplift.policy_value import holdout_for

    size = holdout_for(effect - cost, n, noise**2, noise**2, alpha=0.025, power=0.8)
    wins = 0
    for _ in range(4000):
        held = rng.permutation(n) < size
        y = rng.normal(0, noise, n) + np.where(held, 0.0, effect - cost)
        gap = y[~held].mean() - y[held].mean()
        wins += gap > 1.959964 * np.sqrt(y[~held].var(ddof=1) / (n - size) + y[held].var(ddof=1) / size)
    assert wins / 4000 == pytest.approx(0.8, abs=0.025)
