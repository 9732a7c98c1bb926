"""The checks of an evaluation: placebo, null model, balance of ranks, overlap, and what a refit keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import causalkit as ck
from causalkit.uplift.guards import placebo_check, score_balance_check


def trial(n: int = 800, seed: int = 0, effect: float = 1.0):
    rng = np.random.default_rng(seed)
    arm, x = rng.integers(0, 2, n), rng.normal(size=n)
    return {"y": x + effect * x * arm + rng.normal(size=n), "arm": arm, "x": x, "noise": rng.normal(size=n)}


ROLES = {"outcome": "y", "treatment": "arm", "propensity": 0.5}


def test_every_evaluation_has_its_guards() -> None:
    found = ck.UpliftEvaluation(random_state=0).fit(trial(), effect="x", **ROLES)
    assert {"overlap", "held_out", "null_model", "score_balance", "placebo_treatment"} <= set(found.checks)
    assert {found.checks[name].status for name in ("null_model", "score_balance", "placebo_treatment")} == {"pass"}
    ranked = ck.UpliftEvaluation(random_state=0).fit(trial(), score="x", **ROLES)
    assert ranked.checks["null_model"].status == "untestable"


def test_a_refit_keeps_what_the_fit_knew() -> None:
    found = ck.UpliftEvaluation(random_state=0).fit(trial(), effect="x", **ROLES)
    assert set(found.refit().checks) == set(found.checks)
    part = found.refit(found.sample.take(np.arange(400)))
    assert (part.n, part.checks["held_out"]) == (400, found.checks["held_out"])


def test_effects_of_noise_are_worse_than_the_same_for_all() -> None:
    found = ck.UpliftEvaluation(random_state=0).fit(trial(effect=0.0), effect="noise", **ROLES)
    assert found.checks["null_model"].status == "fail"
    scores, noise = found.sample.number("held_out_score"), found.sample.number("predicted_effect")
    terms = (scores - noise) ** 2 - (scores - scores.mean()) ** 2
    assert found.checks["null_model"].statistic == pytest.approx(terms.mean() / (terms.std(ddof=1) / np.sqrt(800)))
    flat = ck.UpliftEvaluation(random_state=0).fit(trial(), effect=np.full(800, 0.2), **ROLES)
    assert flat.checks["placebo_treatment"].status == "untestable"
    assert flat.checks["score_balance"].status == "untestable"


def test_a_ranking_that_knows_the_arm_is_caught() -> None:
    data = trial()
    leaked = ck.UpliftEvaluation(random_state=0).fit(data, score=data["x"] + data["arm"], **ROLES)
    check = leaked.checks["score_balance"]
    assert check.status == "warn"
    assert "knows who was treated" in check.advice
    rank = stats.rankdata(data["x"] + data["arm"])
    welch = stats.ttest_ind(rank[data["arm"] == 1], rank[data["arm"] == 0], equal_var=False)
    assert check.statistic == pytest.approx(-welch.statistic, rel=0.01)  # the first rank is the lowest


def test_the_balance_of_ranks_has_its_size() -> None:
    found = ck.UpliftEvaluation(random_state=0).fit(trial(), effect="noise", **ROLES)
    rejected = 0
    for seed in range(300):
        arms = np.random.default_rng(seed).integers(0, 2, 800).astype(np.int32)
        sample = replace(
            found.sample, columns={**found.sample.columns, "treatment": replace(found.sample.arms, codes=arms)}
        )
        rejected += score_balance_check(sample).pvalue < 0.05
    assert 0.02 <= rejected / 300 <= 0.09


def test_the_placebo_sees_a_standard_error_that_is_too_small() -> None:
    rng = np.random.default_rng(4)
    n = 60
    arm = np.arange(n) % 2
    wild = np.where(np.arange(n) < 2, 400.0, 0.0) + rng.normal(size=n)
    data = {"y": wild, "arm": arm, "x": -np.arange(n, dtype=float)}
    found = ck.UpliftEvaluation(random_state=0).fit(data, score="x", **ROLES)
    calm = ck.UpliftEvaluation(random_state=0).fit({**data, "y": rng.normal(size=n)}, score="x", **ROLES)
    assert found.checks["placebo_treatment"].statistic > calm.checks["placebo_treatment"].statistic
    assert calm.checks["placebo_treatment"].status == "pass"
    again = placebo_check(found.sample, 0.05, 0, 0.0)
    assert again.statistic == found.checks["placebo_treatment"].statistic


def test_the_placebo_deals_arms_to_whole_clusters() -> None:
    data = trial(600)
    village = np.repeat(np.arange(30), 20)
    data["arm"] = (village % 2).astype(int)
    data["village"] = village
    found = ck.UpliftEvaluation(random_state=0).fit(data, score="noise", cluster="village", **ROLES)
    assert found.checks["placebo_treatment"].status == "pass"
    assert found.toc.df == 29
    low, high = found.toc.limits(0.05)
    assert (found.toc.free <= 29).all()
    half = stats.t(found.toc.free).ppf(0.975) * found.toc.se
    np.testing.assert_allclose(high - low, 2 * half)
    assert found.groups.df == 29
    shown = found.plot_data("calibration")
    np.testing.assert_allclose(
        shown["high"] - shown["estimate"], stats.t(found.groups.free).ppf(0.975) * found.groups.se
    )
    assert ((found.toc.band()[1] - found.toc.value) >= half - 1e-12)[:-1].all()


def test_calibration_goes_by_t_with_clusters() -> None:
    data = {**trial(600), "village": np.repeat(np.arange(12), 50)}
    found = ck.UpliftEvaluation(random_state=0).fit(data, effect="x", cluster="village", **ROLES)
    slope, se = found.slope
    assert found.checks["calibration"].pvalue == pytest.approx(2 * stats.t(11).sf(abs(slope - 1) / se))


def test_the_placebo_is_seldom_wrong_with_clusters() -> None:
    """Each table has a rate of its own, so a test of the right size must not be called wrong on every sixth."""
    called = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        village = np.repeat(np.arange(30), 10)
        arm = rng.permutation(np.arange(30) % 2)[village]
        score = rng.normal(size=30)[village] + 0.3 * rng.normal(size=300)
        data = {"y": rng.normal(size=300) + rng.normal(size=30)[village], "arm": arm, "x": score, "village": village}
        found = ck.UpliftEvaluation(random_state=seed).fit(data, score="x", cluster="village", **ROLES)
        called += found.checks["placebo_treatment"].status == "warn"
    assert called <= 2
