from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.curves import curve, curve_psi, default_grid, profit_curve, uplift_at
from causalkit.uplift.ranking import rank_weighted_effect

KINDS = ("toc", "gain", "uplift", "excess")


def draw(n: int, seed: int, levels: float | None) -> tuple[Floats, Floats, Floats, Codes]:
    rng = np.random.default_rng(seed)
    priority = rng.normal(size=n)
    scores = np.exp(0.5 * priority) + rng.normal(size=n)
    if levels is not None:
        priority = np.round(priority * levels) / levels
    return scores, priority, rng.uniform(0.2, 2.0, n), (np.arange(n) // 5).astype(np.int32)


def test_gain_by_hand() -> None:
    scores = np.array([4.0, 2.0, 0.0, 2.0])
    priority = np.array([9.0, 5.0, 5.0, 1.0])
    q = np.array([0.25, 0.5, 0.75, 1.0])
    assert curve(scores, priority, "gain", q).value == pytest.approx([1.0, 1.25, 1.5, 2.0])
    assert curve(scores, priority, "uplift", q).value == pytest.approx([4.0, 2.5, 2.0, 2.0])
    assert curve(scores, priority, "excess", q).value == pytest.approx([0.5, 0.25, 0.0, 0.0])
    profit = profit_curve(scores, priority, value=2.0, cost=3.0, q=q)
    assert profit.value == pytest.approx([2.0 - 0.75, 2.5 - 1.5, 3.0 - 2.25, 4.0 - 3.0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("levels", [None, 20.0, 2.0, 0.3])
@pytest.mark.parametrize("clustered", [False, True])
def test_covariance_is_that_of_the_influence_values(kind: str, levels: float | None, clustered: bool) -> None:
    scores, priority, weights, groups = draw(300, 0, levels)
    weights = weights * (np.arange(300) % 10 > 0)
    q = np.array([0.5, 0.03, 0.25, 1.0, 0.9])
    result = curve(scores, priority, kind, q, weights, groups if clustered else None)
    value, psi = curve_psi(scores, priority, kind, q, weights)
    sums = psi.reshape(60, 5, 5).sum(axis=1) if clustered else psi
    n_groups = 60 if clustered else 270
    assert result.n_groups == n_groups
    assert result.vcov == pytest.approx(n_groups / (n_groups - 1) * sums.T @ sums, abs=1e-14)
    assert np.array_equal(value, result.value)
    assert psi.sum(axis=0)[[0, 3]] == pytest.approx(0.0, abs=0.01)


def test_curves_of_one_ranking_fit_together() -> None:
    scores, priority, weights, _ = draw(500, 1, 3.0)
    q = default_grid(20)
    by_kind = {kind: curve(scores, priority, kind, q, weights) for kind in KINDS}
    mean = np.average(scores, weights=weights)
    assert by_kind["gain"].value == pytest.approx(q * by_kind["uplift"].value, abs=1e-14)
    assert by_kind["toc"].value == pytest.approx(by_kind["uplift"].value - mean, abs=1e-13)
    assert by_kind["excess"].value == pytest.approx(q * by_kind["toc"].value, abs=1e-14)
    assert by_kind["gain"].se == pytest.approx(q * by_kind["uplift"].se, rel=1e-12)
    assert (by_kind["toc"].se[-1], by_kind["toc"].value[-1]) == (0.0, 0.0)


def test_all_treated_is_the_mean_score() -> None:
    scores, priority, _, _ = draw(500, 1, 3.0)
    estimate, se = uplift_at(scores, priority, 1.0)
    assert (estimate, se) == pytest.approx((scores.mean(), scores.std(ddof=1) / np.sqrt(500)), rel=1e-12)


def test_area_under_the_excess_gain_is_qini() -> None:
    scores, priority, _, _ = draw(5000, 2, None)
    value = curve(scores, priority, "excess").value
    area = np.trapezoid(np.concatenate(([0.0], value)), dx=0.01)
    assert area == pytest.approx(rank_weighted_effect(scores, priority, "qini").estimate, abs=2e-4)


def test_constant_priority_gains_nothing() -> None:
    scores, _, weights, groups = draw(200, 3, None)
    for kind in ("toc", "excess"):
        result = curve(scores, np.ones(200), kind, weights=weights, groups=groups)
        assert not result.value.any()
        assert not result.se.any()
    result = curve(scores, np.ones(200), "uplift", np.array([0.1, 1.0]))
    assert result.value == pytest.approx(scores.mean(), rel=1e-12)
    assert result.se == pytest.approx(scores.std(ddof=1) / np.sqrt(200), rel=1e-12)


@pytest.mark.parametrize("levels", [None, 2.0])
def test_standard_errors_match_the_spread_over_samples(levels: float | None) -> None:
    q = np.array([0.2, 0.5, 0.8])
    values, errors = [], []
    for seed in range(500):
        scores, priority, weights, _ = draw(600, seed, levels)
        results = [curve(scores, priority, kind, q, weights) for kind in ("toc", "gain")]
        values.append(np.concatenate([r.value for r in results]))
        errors.append(np.concatenate([r.se for r in results]))
    # the spread of 500 samples is known to about 3 %
    assert np.mean(errors, axis=0) == pytest.approx(np.std(values, axis=0), rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_band_agrees_with_a_multiplier_bootstrap(kind: str) -> None:
    scores, priority, weights, _ = draw(500, 6, None)
    q = default_grid(10)
    by_point = curve(scores, priority, kind, q, weights)
    result = replace(by_point, free=None)  # a multiplier bootstrap takes standard errors as known
    _, psi = curve_psi(scores, priority, kind, q, weights)
    varies = result.se > 0
    draws = np.random.default_rng(0).normal(size=(10_000, 500)) @ psi[:, varies]
    critical = np.quantile(np.abs(draws / result.se[varies]).max(axis=1), 0.95)
    low, high = result.band()
    half = (high - low)[varies] / (2 * result.se[varies])
    assert half == pytest.approx(np.full(half.size, critical), rel=0.02)
    assert result.band(alpha=0.5)[0][0] > low[0]
    assert (by_point.band()[0] <= low + 1e-12).all()


def test_band_of_a_constant_priority_is_a_point() -> None:
    nothing = curve(np.arange(50.0), np.ones(50), "toc", default_grid(10))
    assert not np.any(nothing.band())


@pytest.mark.long
def test_band_holds_the_whole_curve() -> None:
    # priority uniform and mean score 2 (1 - U): gain(q) = 2 q - q^2
    q = default_grid(10)
    inside = {"band": 0, "pointwise": 0}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        priority = rng.uniform(size=400)
        result = curve(2.0 * priority + rng.normal(size=400), priority, "gain", q)
        low, high = result.band()
        truth = 2.0 * q - q**2
        inside["band"] += bool(np.all((low <= truth) & (truth <= high)))
        inside["pointwise"] += bool(np.all(np.abs(truth - result.value) <= 1.96 * result.se))
    # 95 % to two standard errors of 400 simulations; pointwise intervals do not hold together
    assert inside["band"] / 400 > 0.928
    assert inside["pointwise"] / 400 < 0.90


def test_profit_with_costs_by_unit() -> None:
    scores, priority, weights, groups = draw(300, 4, 3.0)
    q = np.array([0.2, 0.7])
    gain = curve(scores, priority, "gain", q, weights, groups)
    flat = profit_curve(scores, priority, 2.0, 0.4, q, weights, groups)
    assert flat.value == pytest.approx(2.0 * gain.value - 0.4 * q, abs=1e-14)
    assert flat.vcov == pytest.approx(4.0 * gain.vcov, abs=1e-15)
    cost = np.random.default_rng(0).uniform(0.0, 1.0, 300)
    varied = profit_curve(scores, priority, 2.0, cost, q, weights, groups)
    charge = curve(cost, priority, "gain", q, weights, groups)
    assert varied.value == pytest.approx(2.0 * gain.value - charge.value, abs=1e-14)


def test_errors() -> None:
    scores, priority, _, _ = draw(50, 0, None)
    with pytest.raises(DesignError, match="'lift' is not known"):
        curve(scores, priority, "lift")
    with pytest.raises(DesignError, match="at most 101"):
        curve(scores, priority, q=np.linspace(0.001, 1, 102))
    with pytest.raises(DesignError, match="n_grid=0"):
        default_grid(0)
    with pytest.raises(DataError, match="cost has 3 values but there are 50 scores"):
        profit_curve(scores, priority, 1.0, np.ones(3))
    with pytest.raises(DataError, match="value holds 1 missing"):
        profit_curve(scores, priority, float("nan"), 1.0)


def test_a_small_share_is_judged_by_the_few_who_carry_it() -> None:
    """Satterthwaite: at a share q of n equal people the uplift rests on q n of them; at all on n."""
    scores, priority = np.random.default_rng(0).normal(size=(2, 300))
    found = curve(scores, priority, "uplift", np.array([0.02, 0.1, 0.5, 1.0]))
    assert found.free == pytest.approx([6, 30, 150, 299])
    groups = (np.arange(300) // 10).astype(np.int32)
    clustered = curve(scores, groups.astype(float), "gain", np.array([0.1, 0.2, 1.0]), groups=groups)
    assert clustered.free == pytest.approx([4, 6, 29])  # three villages, six, all; never fewer than four


def test_bands_hold_where_clusters_are_few() -> None:
    held = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        village = np.repeat(np.arange(30), 10).astype(np.int32)
        priority = rng.normal(size=30)[village] + 0.3 * rng.normal(size=300)
        arm = rng.permutation(np.arange(30) % 2)[village]
        outcome = rng.normal(size=300) + rng.normal(size=30)[village]
        means = [outcome[arm == a].mean() for a in (0, 1)]
        scores = 2.0 * np.where(arm == 1, outcome - means[1], means[0] - outcome)
        low, high = curve(scores, priority, "toc", default_grid(50), groups=village).band()
        held += bool(((low <= 0) & (high >= 0)).all())
    assert held / 120 >= 0.88  # by t(29) at every share it is 0.82


def test_weights_of_rounding_size_are_no_weights() -> None:
    scores, priority = np.random.default_rng(0).normal(size=(2, 40))
    tiny = np.r_[np.ones(20), np.full(20, 1e-20)]
    for levels in (priority, np.round(priority)):
        found = rank_weighted_effect(scores, levels, "autoc", tiny)
        exact = rank_weighted_effect(scores[:20], levels[:20], "autoc", np.ones(20))
        assert [found.estimate, found.se] == pytest.approx([exact.estimate, exact.se], abs=1e-12)
        assert np.isfinite(curve(scores, levels, "toc", weights=tiny).vcov).all()
    heavy = np.r_[1.0, np.full(39, 1e-14)]
    assert np.isfinite(rank_weighted_effect(scores, np.round(priority), "autoc", heavy).se)


def test_scores_that_differ_by_rounding_are_no_evidence() -> None:
    rng = np.random.default_rng(0)
    level = 0.1 + np.spacing(0.1) * rng.integers(0, 3, 200)
    for weights in (None, rng.uniform(0.2, 2.0, 200)):
        found = rank_weighted_effect(level, rng.normal(size=200), "autoc", weights)
        assert (found.estimate, found.se) == (0.0, 0.0)
