"""Targeting: the plan against the oracle, nobody where nothing can be justified, and budgets that hold."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest

import causalkit as ck
from causalkit.uplift.labels import SEGMENTS
from causalkit.uplift.policy_value import Profit, holdout_for


@pytest.fixture(scope="module")
def big(quick):
    data = ck.datasets.coupon_campaign(12_000, random_state=11)
    return data, quick(data)


def test_the_plan_is_close_to_the_oracle(big):
    data, model = big
    truth = data["true_effect"].to_numpy()
    plan = ck.Targeting(value=10.0, cost=0.8, random_state=0).fit(data, effect=model)
    assert plan.policy == "ranked"
    net = 10.0 * truth - 0.8
    oracle = net[net > 0].sum()
    earned = net[plan.assignment].sum()
    assert earned > 0.9 * oracle
    assert earned > net.sum() + 1000  # far better than everyone
    low, high = plan.profit.ci()
    assert low < earned < high


def test_the_budget_is_kept_and_spent_where_it_earns_most(big):
    data, model = big
    truth = data["true_effect"].to_numpy()
    plan = ck.Targeting(value=10.0, cost=0.8, budget=1000.0, random_state=0).fit(data, effect=model)
    assert plan.policy == "ranked"
    assert plan.spend == pytest.approx(1000.0)
    assert plan.assignment.sum() == 1250
    best = np.sort(truth)[::-1][:1250].sum() * 10 - 1000
    assert 10 * truth[plan.assignment].sum() - 1000 > 0.9 * best
    marginal = plan.expected_profit[plan.assignment].min() / 0.8
    assert plan.shadow_price == pytest.approx(marginal, rel=1e-2)


def test_profit_is_held_out_not_promised(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, random_state=0).fit(data, effect=model)
    earned = plan.probability * (10.0 * model.scores - 0.8)
    assert plan.profit.estimate == pytest.approx(earned.sum(), rel=1e-12)
    assert plan.profit.se == pytest.approx(np.sqrt(len(earned)) * earned.std(ddof=1), rel=1e-9)
    everyone = plan.candidates[1]
    assert everyone.name == "everyone"
    assert everyone.profit.estimate == pytest.approx(10.0 * model.estimate * len(data) - 0.8 * len(data))
    assert everyone.profit.se == pytest.approx(10.0 * model.se * len(data), rel=1e-9)


def test_nobody_where_nothing_can_be_justified(quick):
    chosen = []
    for seed in range(8):
        data = ck.datasets.coupon_campaign(1000, effect=0.0, heterogeneity=0.0, random_state=500 + seed)
        plan = ck.Targeting(value=10.0, cost=0.3, random_state=0).fit(data, effect=quick(data))
        chosen.append(plan.policy)
        if plan.policy == "nobody":
            assert not plan.assignment.any()
            assert plan.spend == 0.0 == plan.profit.estimate
            assert plan.answer.startswith("Treat nobody")
            assert plan.checks["profit"].status == "warn"
    assert chosen.count("nobody") == 8


def test_an_equal_effect_is_a_lottery_within_the_budget(fresh, roles):
    flat = ck.Targeting(value=10.0, cost=0.05, budget=50.0, random_state=0)
    plan = flat.fit(fresh, effect=np.full(len(fresh), 0.08), **roles)
    assert plan.policy == "random_share"
    np.testing.assert_allclose(plan.probability, 0.5)
    assert plan.assignment.sum() == 1000
    assert plan.spend == pytest.approx(50.0)
    other = ck.Targeting(value=10.0, cost=0.05, budget=50.0, random_state=1)
    again = other.fit(fresh, effect=np.full(len(fresh), 0.08), **roles)
    assert (again.assignment != plan.assignment).any()
    assert plan.shadow_price == pytest.approx(plan.profit.estimate / 50.0)
    plan.plot()


def test_a_drawn_seed_is_stored(fresh, roles):
    flat = np.full(len(fresh), 0.08)
    plan = ck.Targeting(value=10.0, cost=0.05, budget=50.0, random_state=0).fit(fresh, effect=flat, **roles)
    again = plan.tool.fit(fresh, effect=flat, **roles)
    np.testing.assert_array_equal(again.assignment, plan.assignment)


def test_a_clear_average_effect_without_a_ranking_treats_everyone(fresh, roles):
    plan = ck.Targeting(value=10.0, cost=0.1, random_state=0).fit(fresh, effect=np.full(len(fresh), 0.08), **roles)
    assert plan.policy == "everyone"
    assert plan.assignment.all()
    assert not plan.has_evidence


def test_costs_per_person(big):
    data, model = big
    costs = np.where(data["channel"] == "mail", 3.0, 0.2)
    plan = ck.Targeting(value=10.0, random_state=0).fit(data, effect=model, cost=costs)
    by_column = ck.Targeting(value=10.0, random_state=0).fit(data.assign(price=costs), effect=model, cost="price")
    np.testing.assert_array_equal(plan.assignment, by_column.assignment)
    treated = plan.assignment
    assert plan.spend == pytest.approx(costs[treated].sum())
    assert not treated[costs == 3.0].any()
    one = ck.Targeting(value=10.0, random_state=0).fit(data, effect=model, cost=0.8)
    same = ck.Targeting(value=10.0, cost=0.8, random_state=0).fit(data, effect=model)
    np.testing.assert_array_equal(one.assignment, same.assignment)


def test_a_cost_on_redemption_is_paid_by_those_who_redeem(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=2.0, paid_on="outcome", random_state=0).fit(data, effect=model)
    p = model.prediction()
    np.testing.assert_allclose(plan.cost, 2.0 * np.clip(p.baseline + p.effect, 0, 1))
    truth = data["baseline"] + data["true_effect"]
    net = (10.0 * data["true_effect"] - 2.0 * truth).to_numpy()
    low, high = plan.profit.ci(0.01)
    assert low < net[plan.assignment].sum() < high
    assert net[plan.assignment].sum() > 0.85 * net[net > 0].sum()
    assert plan.spend == pytest.approx((2.0 * truth)[plan.assignment].sum(), rel=0.05)


def test_money_has_no_unit_and_rows_no_order(big, quick):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, budget=1000.0, random_state=0).fit(data, effect=model)
    cents = ck.Targeting(value=1000.0, cost=80.0, budget=100_000.0, random_state=0).fit(data, effect=model)
    np.testing.assert_array_equal(cents.assignment, plan.assignment)
    assert cents.profit.estimate == pytest.approx(100 * plan.profit.estimate)
    assert cents.shadow_price == pytest.approx(plan.shadow_price)
    shuffled = data.sample(frac=1, random_state=2)
    other = ck.Targeting(value=10.0, cost=0.8, budget=1000.0, random_state=0).fit(shuffled, effect=quick(shuffled))
    there = np.empty(len(data), dtype=bool)
    there[shuffled.index] = other.assignment
    np.testing.assert_array_equal(there, plan.assignment)
    assert other.profit.estimate == pytest.approx(plan.profit.estimate)


def test_another_unit_of_the_outcome_is_the_same_plan(quick):
    data = ck.datasets.coupon_campaign(2000, random_state=12)
    plain = ck.Targeting(value=10.0, cost=0.5, budget=300.0, random_state=0).fit(data, effect=quick(data))
    scaled = data.assign(purchase=1e6 * data["purchase"] + 1e3)
    million = ck.Targeting(value=1e-5, cost=0.5, budget=300.0, random_state=0).fit(scaled, effect=quick(scaled))
    assert million.policy == plain.policy
    assert million.candidates[2].profit.estimate == pytest.approx(plain.candidates[2].profit.estimate, rel=1e-6)


def test_the_path_ends_at_everyone_and_passes_the_plan(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, random_state=0).fit(data, effect=model)
    path = plan.path
    assert path["profit"].iloc[0] == 0.0
    last = path.iloc[-1]
    assert last["profit"] == pytest.approx(plan.candidates[1].profit.estimate)
    assert last["spend"] == pytest.approx(plan.candidates[1].spend)
    assert (path["band_low"].iloc[1:] <= path["low"].iloc[1:] + 1e-9).all()
    assert path["planned_profit"].is_monotonic_increasing == bool((plan.expected_profit > 0).all())
    top = path["planned_profit"].max()
    assert top == pytest.approx(plan.planned_profit, rel=1e-9)
    share = plan.chosen.n_treated / plan.n
    at_plan = np.interp(share, path["share"], path["profit"])
    assert at_plan == pytest.approx(plan.profit.estimate, rel=1e-9)
    # As long as people are worth treating, a larger budget plans for no less.
    worth = path["share"] <= share
    assert path.loc[worth, "planned_profit"].is_monotonic_increasing


def test_weights_count_people():
    data = ck.datasets.coupon_campaign(1500, random_state=13)
    doubled = data.loc[data.index.repeat(1 + (data.index % 2))]
    given = {"outcome": "purchase", "treatment": "arm", "control": "no_coupon", "propensity": 0.5}
    heavy = data.assign(w=1.0 + data.index % 2)
    one = ck.Targeting(value=10.0, cost=0.1, budget=60.0, random_state=0).fit(
        heavy, effect="recency", weights="w", **given
    )
    two = ck.Targeting(value=10.0, cost=0.1, budget=90.0, random_state=0).fit(doubled, effect="recency", **given)
    assert one.candidates[2].n_treated / one.n == pytest.approx(two.candidates[2].n_treated / two.n, abs=0.05)
    assert one.spend <= 60.0


def test_holdout_size_has_the_power_it_promises():
    rng = np.random.default_rng(0)
    size = holdout_for(0.3, 5000, 9.0, 4.0, alpha=0.05, power=0.8)
    wins = []
    for _ in range(4000):
        treated = 0.3 + 3.0 * rng.normal() / np.sqrt(5000 - size)
        held = 2.0 * rng.normal() / np.sqrt(size)
        wins.append((treated - held) / np.sqrt(9.0 / (5000 - size) + 4.0 / size) > 1.6449)
    assert np.mean(wins) == pytest.approx(0.8, abs=0.02)
    smaller = (0.3 / np.sqrt(9.0 / (5000 - size + 1) + 4.0 / (size - 1))) - 1.6449
    assert smaller < 0.8416  # one fewer is not enough
    with pytest.raises(ck.InferenceUnavailable, match="no hold-out"):
        holdout_for(0.001, 100, 9.0, 4.0, alpha=0.05, power=0.8)
    with pytest.raises(ck.DesignError, match="power"):
        holdout_for(0.3, 5000, 9.0, 4.0, alpha=0.05, power=1.0)


def test_the_holdout_is_the_smallest_that_serves():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, one, zero = int(rng.integers(4, 300)), *rng.choice([0.0, 0.3, 2.0], 2)
        gain = abs(rng.normal()) * rng.choice([0.1, 1.0])
        sizes = np.arange(2, n - 1)
        enough = sizes[one / (n - sizes) + zero / sizes <= (gain / 2.8015852) ** 2]
        if enough.size:
            assert holdout_for(gain, n, one, zero, alpha=0.025, power=0.8) == enough[0]
        else:
            with pytest.raises(ck.InferenceUnavailable):
                holdout_for(gain, n, one, zero, alpha=0.025, power=0.8)
    # Nobody varies untreated, but too few are treated.
    with pytest.raises(ck.InferenceUnavailable, match="no hold-out"):
        holdout_for(0.434, 12, 0.259, 0.0, alpha=0.025, power=0.8)


def test_the_plan_says_how_to_prove_it(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.2, random_state=0).fit(data, effect=model)
    assert 2 <= plan.holdout_size() < plan.holdout_size(power=0.95) < plan.n
    assert any("hold back" in line for line in plan.passages()[0].text)


@pytest.mark.parametrize(
    ("even", "ranked", "said"),
    [
        # The ranking promises most, so it is tested; the even rule is above zero, and the sentence must not deny it.
        (
            Profit(20.0, 9.0),
            Profit(50.0, 40.0),
            "treating by rank would earn 50.00 (-28.40 to 128.40), which is not shown",
        ),
        (
            Profit(50.0, 40.0),
            Profit(20.0, 9.0),
            "treating everyone would earn 50.00 (-28.40 to 128.40), which is not shown",
        ),
        (Profit(50.0, 40.0), Profit(20.0, 15.0), "which isn't either"),
    ],
)
def test_nobody_denies_only_what_was_tested(big, even, ranked, said):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, random_state=0).fit(data, effect=model)
    assert plan.has_evidence
    nobody, a, b = plan.candidates
    told = replace(
        plan, policy="nobody", candidates=(nobody, replace(a, profit=even), replace(b, profit=ranked))
    ).answer
    assert said in told
    assert ("only the policy that promised most was put to the test" in told) == (min(even.se, ranked.se) == 9.0)


def test_the_house_contract(big, tmp_path):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, budget=1000.0, random_state=0).fit(data, effect=model)
    frame = plan.to_frame()
    assert list(frame) == ["row", "effect", "expected_profit", "cost", "probability", "treat"]
    assert (frame["cost"] * frame["treat"]).sum() <= 1000.0 * (1 + 1e-12)
    told = json.loads(plan.to_json())
    assert told["policy"] == "ranked"
    assert [row["policy"] for row in told["table"]] == ["nobody", "random share", "ranked"]
    back = pickle.loads(pickle.dumps(plan))
    assert back.answer == plan.answer
    assert {p.section for p in plan.passages()} == {"action"}
    assert plan.report(tmp_path / "t.html").read_text().count('class="ck-figure"') == 1
    assert "Treat the 1,250 of 12,000 people ranked first" in plan.answer


def test_refusals_teach(fresh, campaign, model, roles):
    with pytest.raises(ck.DesignError, match="cost=-1"):
        ck.Targeting(cost=-1)
    with pytest.raises(ck.DesignError, match="budget=0"):
        ck.Targeting(budget=0)
    with pytest.raises(ck.DesignError, match="value=0"):
        ck.Targeting(value=0)
    with pytest.raises(ck.DesignError, match="paid_on"):
        ck.Targeting(paid_on="click")
    costs = np.ones(len(campaign))
    costs[[5, 9]] = -1.0
    with pytest.raises(ck.DataError, match=r"2 negative values \(first in row 5\)") as caught:
        ck.Targeting(random_state=0).fit(campaign, effect=model, cost=costs)
    assert caught.value.rows == (5, 9)
    with pytest.raises(ck.DataError, match="amount of money"):
        ck.Targeting(random_state=0).fit(campaign, effect=model, cost=-2.0)
    with pytest.raises(ck.DesignError, match="0/1 outcome"):
        ck.Targeting(paid_on="outcome", random_state=0).fit(
            fresh.assign(purchase=2.0 * fresh["purchase"]), effect="recency", **roles
        )
    with pytest.raises(ck.DesignError, match="effect= is missing"):
        ck.Targeting(random_state=0).fit(fresh)


@pytest.fixture(scope="module")
def mailing():
    """Three arms: letters help half of the people, calls the other half, and cost more."""
    import pandas as pd

    rng = np.random.default_rng(4)
    n = 3000
    x = rng.uniform(-1, 1, (n, 2))
    effects = np.column_stack([0.3 + 0.6 * x[:, 0], 0.4 + 0.6 * x[:, 1]])
    arm = rng.integers(0, 3, n)
    y = rng.normal(size=n) + np.where(arm > 0, effects[np.arange(n), np.maximum(arm - 1, 0)], 0.0)
    label = np.array(["none", "letter", "phone"])[arm]
    return pd.DataFrame({"y": y, "arm": label, "a": x[:, 0], "b": x[:, 1]}), effects


ARMS = {"outcome": "y", "treatment": "arm", "control": "none"}


def test_several_arms_are_planned_person_by_person(mailing, tmp_path):
    data, effects = mailing
    tool = ck.Targeting(value=10.0, cost={"letter": 1.0, "phone": 2.0}, budget=2000.0, random_state=0)
    plan = tool.fit(data, effect=effects, **ARMS)
    assert plan.policy == "ranked"
    assert plan.arms == ("letter", "phone")
    frame = plan.to_frame()
    assert list(frame) == ["row", "arm", "effect", "expected_profit", "cost", "probability", "treat"]
    assert frame["cost"].sum() <= 2000.0
    assert set(frame["arm"]) == {"none", "letter", "phone"}
    net = 10.0 * effects - [1.0, 2.0]
    truth = float((plan.probability * net).sum())
    low, high = plan.profit.ci()
    assert low < truth < high
    best = float((_best(net, [1.0, 2.0], 2000.0) * net).sum())
    assert truth > 0.95 * best
    assert plan.shadow_price > 0
    named = tool.fit(data, effect={"phone": effects[:, 1], "letter": effects[:, 0]}, **ARMS)
    np.testing.assert_array_equal(named.assignment, plan.assignment)
    per_person = ck.Targeting(value=10.0, budget=2000.0, random_state=0)
    costs = np.tile([1.0, 2.0], (len(data), 1))
    np.testing.assert_array_equal(per_person.fit(data, effect=effects, cost=costs, **ARMS).assignment, plan.assignment)
    by_column = per_person.fit(data.assign(c1=1.0, c2=2.0), effect=effects, cost=["c1", "c2"], **ARMS)
    np.testing.assert_array_equal(by_column.assignment, plan.assignment)
    counts = plan.frontier[["n[letter]", "n[phone]"]].sum(axis=1)
    np.testing.assert_allclose(counts, plan.frontier["n_treated"])
    with pytest.raises(ck.InferenceUnavailable, match="several arms"):
        _ = plan.path
    page = plan.report(tmp_path / "arms.html").read_text()
    assert "Given phone" in page
    assert "with letter" in plan.answer
    told = json.loads(plan.to_json())
    assert told["cost"] == {"letter": 1.0, "phone": 2.0}
    assert pickle.loads(pickle.dumps(plan)).answer == plan.answer


def _best(net, cost, budget):
    from causalkit.uplift.routes import find_routes

    return find_routes(net, np.tile(cost, (len(net), 1))).probability(budget)


def test_a_model_of_several_arms_is_planned_with_all_of_them(mailing):
    data, effects = mailing
    learner = ck.DRLearner(random_state=0, regressor="linear", classifier="linear", n_boot=10)
    model = learner.fit(data, covariates=["a", "b"], **ARMS)
    plan = ck.Targeting(value=10.0, cost=1.0, random_state=0).fit(data, effect=model)
    np.testing.assert_allclose(plan.effect, model.cate(data))
    truth = float((plan.probability * (10.0 * effects - 1.0)).sum())
    low, high = plan.profit.ci()
    assert low < truth < high
    earned = (plan.probability * (10.0 * np.asarray(model.scores) - 1.0)).sum()
    assert plan.profit.held_out == pytest.approx(earned, rel=1e-9)
    one = ck.Targeting(value=10.0, cost=1.0, random_state=0).fit(data, effect=model, treatment_level="letter")
    assert one.arms == ("letter",)


def test_costs_that_do_not_fit_the_arms_are_named(mailing):
    data, effects = mailing
    with pytest.raises(ck.DesignError, match="has an arm 'phone' without a cost"):
        ck.Targeting(cost={"letter": 1.0}, random_state=0).fit(data, effect=effects, **ARMS)
    with pytest.raises(ck.DesignError, match="has no arm 'fax'"):
        ck.Targeting(cost={"letter": 1.0, "phone": 1.0, "fax": 1.0}, random_state=0).fit(data, effect=effects, **ARMS)
    with pytest.raises(ck.DesignError, match=r"cost\['phone'\]=-1"):
        ck.Targeting(cost={"phone": -1})
    with pytest.raises(ck.DesignError, match="has shape"):
        ck.Targeting(random_state=0).fit(data, effect=effects, cost=np.ones((len(data), 3)), **ARMS)
    with pytest.raises(ck.DesignError, match="has 3 columns"):
        ck.Targeting(random_state=0).fit(data, effect=np.ones((len(data), 3)), **ARMS)
    with pytest.raises(ck.DataError, match="missing or infinite"):
        ck.Targeting(random_state=0).fit(
            data, effect=effects, cost=np.where(np.arange(len(data)) == 7, np.nan, 1.0), **ARMS
        )


def test_a_budget_below_one_person_says_what_one_costs(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, budget=0.5, random_state=0).fit(data, effect=model)
    assert plan.policy == "nobody"
    assert plan.buys_nobody
    assert plan.answer == "Treat nobody: the budget of 0.50 buys nobody, because treating one person costs 0.80."
    assert not plan.assignment.any()
    assert plan.spend == 0.0
    just = ck.Targeting(value=10.0, cost=0.8, budget=0.8, random_state=0).fit(data, effect=model)
    assert not just.buys_nobody
    assert just.assignment.sum() <= 1


def test_interval_decision_and_pvalue_are_one_procedure(big, quick):
    data, model = big
    plans = [ck.Targeting(value=10.0, cost=c, random_state=0).fit(data, effect=model) for c in (0.2, 0.8, 3.0)]
    few = ck.datasets.coupon_campaign(600, random_state=77)
    plans += [ck.Targeting(value=10.0, cost=c, random_state=0).fit(few, effect=quick(few)) for c in (0.2, 0.5)]
    for plan in plans:
        profit = plan.tested.profit
        low, high = profit.ci()
        assert (plan.policy != "nobody") == (low > 0)
        assert (profit.pvalue < 0.05) == (low > 0 or high < 0)
        assert low <= profit.estimate <= high
        assert profit.lower == low
    assert {plan.policy for plan in plans} > {"nobody"}


def test_clusters_use_t_quantiles(big, quick):
    from scipy.stats import t

    data = big[0]
    plan = ck.Targeting(value=10.0, cost=0.8, random_state=0).fit(data, effect=quick(data, cluster="store"))
    everyone = plan.candidates[1].profit
    assert everyone.df == 49
    assert everyone.ci()[1] - everyone.estimate == pytest.approx(t.ppf(0.975, 49) * everyone.se, rel=1e-9)
    low, high = plan.profit.ci()
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, 49) * plan.profit.se, rel=0.02)
    row = plan.path.iloc[-1]
    assert row["high"] - row["profit"] == pytest.approx(t.ppf(0.975, 49) * row["se"], rel=1e-9)


def test_the_frontier_passes_the_plan_and_its_band_is_wider(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.8, budget=1000.0, random_state=0).fit(data, effect=model)
    f = plan.frontier
    at = f[np.isclose(f["budget"], 1000.0)]
    assert len(at) == 1
    assert at["profit"].item() == pytest.approx(plan.profit.held_out, rel=1e-9)
    assert at["se"].item() == pytest.approx(plan.profit.se, rel=1e-9)
    assert at["shadow_price"].item() == pytest.approx(plan.shadow_price, rel=1e-6)
    assert f["profit"].iloc[0] == 0.0
    assert (f["band_low"] <= f["low"] + 1e-9).all()
    assert (f["band_high"] >= f["high"] - 1e-9).all()
    assert f["planned_profit"].is_monotonic_increasing
    assert f["shadow_price"].is_monotonic_decreasing
    free = ck.Targeting(value=10.0, cost=0.0, random_state=0).fit(data, effect=model)
    assert len(free.frontier) == 1
    assert len(free.passages()) == 2  # no budget to move


def test_the_report_says_what_was_run(big):
    data, model = big
    told = json.loads(
        ck.Targeting(value=10.0, cost=0.8, budget=1000.0, random_state=5).fit(data, effect=model).to_json()
    )
    said = {key: told[key] for key in ("value", "cost", "budget", "paid_on", "alpha", "random_state")}
    assert said == {
        "value": 10.0,
        "cost": 0.8,
        "budget": 1000.0,
        "paid_on": "treatment",
        "alpha": 0.05,
        "random_state": 5,
    }
    assert len(told["frontier"]["budget"]) >= 51


def test_the_slider_says_which_segments_a_budget_reaches(big):
    data, model = big
    plan = ck.Targeting(value=10.0, cost=0.5, random_state=0).fit(data, effect=model)
    segments = ck.Segmentation(random_state=0).fit(data, effect=model).segments
    probability = plan.tested.probability
    at = int(np.argmin(np.abs(plan.frontier_numbers.budget - plan.tested.spend)))
    for code, name in enumerate(SEGMENTS):
        reached = float(probability[segments == name].sum())
        assert plan.segment_counts[at, code] == pytest.approx(reached, abs=1e-6)
        assert plan.to_dict()["segments"][name][at] == pytest.approx(reached, abs=1e-6)
    np.testing.assert_allclose(plan.segment_counts.sum(axis=1), plan.frontier_numbers.n_treated, atol=1e-6)
    told = dict(plan.passages()[2].slider.readings)["Segments treated"]
    assert told[0] == "nobody"
    assert "persuadables" in told[at]
