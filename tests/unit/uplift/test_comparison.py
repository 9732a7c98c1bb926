"""Several rankings of the same people: differences, joint intervals, and how many rows tell them apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import causalkit as ck
from causalkit.uplift.ranking import paired_difference, rank_weighted_effect


def trial(n: int = 600, seed: int = 0):
    rng = np.random.default_rng(seed)
    arm, x = rng.integers(0, 2, n), rng.normal(size=n)
    good, poor = x + rng.normal(size=n), x + 3 * rng.normal(size=n)
    return {"y": x * arm + rng.normal(size=n), "arm": arm, "x": x, "good": good, "poor": poor}


ROLES = {"outcome": "y", "treatment": "arm", "propensity": 0.5}


@pytest.fixture(scope="module")
def comparison():
    return ck.UpliftEvaluation(random_state=0).compare(trial(), effect={"x": "x"}, score=["good", "poor"], **ROLES)


@pytest.mark.parametrize("term", ["autoc", "qini"])
def test_differences_are_paired(comparison, term: str) -> None:
    scores = comparison["x"].sample.number("held_out_score")
    one, two = (rank_weighted_effect(scores, trial()[name], term) for name in ("x", "poor"))
    exact = paired_difference(one, two)
    found = comparison.difference("x", "poor", term)
    assert found.estimate == pytest.approx(exact.estimate, abs=1e-13)
    assert found.se == pytest.approx(exact.se, rel=1e-10)
    assert exact.se < np.hypot(one.se, two.se)
    joint = comparison.differences(term)
    at = joint.index("x - poor")
    assert joint.values[at] == pytest.approx(exact.estimate, abs=1e-13)
    assert joint.se[at] == pytest.approx(exact.se, rel=1e-10)
    low, high = joint.ci(simultaneous=True)
    assert (high - low > 2 * 1.96 * joint.se).all()
    single = comparison["x"] - comparison["poor"]
    assert single.estimate == pytest.approx(comparison.difference("x", "poor").estimate)


def test_it_tells_which_is_best(comparison, tmp_path) -> None:
    assert comparison.answer.startswith("x ranks best")
    assert list(comparison) == ["x", "good", "poor"]
    assert "x - poor" in comparison.report(tmp_path / "r.html").read_text()
    again = comparison.refit()
    assert again["good"].estimate == comparison["good"].estimate


def test_rows_needed_in_closed_form(comparison) -> None:
    found = comparison.difference("x", "good")
    told = comparison.sample_size("x", "good", power=0.9, alpha=0.1)
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.9)
    assert told.rows == np.ceil(600 * (z * found.se / found.estimate) ** 2)
    assert told.sd == pytest.approx(found.se * np.sqrt(600))
    half = comparison.sample_size("x", "good", tolerance=found.estimate / 2).rows
    assert half == pytest.approx(4 * comparison.sample_size("x", "good").rows, abs=4)


def test_the_power_is_what_was_asked_for() -> None:
    """With as many rows as it asks for, the difference is found about four times in five."""

    def drawn(n: int, seed: int) -> tuple[float, float]:
        data = trial(n, seed)
        scores = 2.0 * data["y"] * (2 * data["arm"] - 1)
        one, two = (rank_weighted_effect(scores, data[name]) for name in ("x", "good"))
        gap = paired_difference(one, two)
        return gap.estimate, gap.se

    truth, se = drawn(400_000, 1)
    rows = int(np.ceil(400_000 * (2.8016 * se / truth) ** 2))
    data = trial(400_000, 1)
    scores = 2.0 * data["y"] * (2 * data["arm"] - 1)
    told = ck.uplift.sample_size(*(ck.uplift.rate(scores, data[name]) for name in ("x", "good")))
    assert told.rows == pytest.approx(rows, rel=0.001)
    found = [drawn(told.rows, seed) for seed in range(2, 402)]
    power = np.mean([estimate / error > 1.96 for estimate, error in found])
    assert power == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 400))


def test_refusals_teach(comparison) -> None:
    run = ck.UpliftEvaluation(random_state=0)
    with pytest.raises(ck.DesignError, match="two or more rankings"):
        run.compare(trial(), score=["x"], **ROLES)
    with pytest.raises(ck.DesignError, match="names several rankings"):
        run.fit(trial(), score=["x", "good"], **ROLES)
    with pytest.raises(ck.DesignError, match=r"power=1\.5"):
        comparison.sample_size("x", "good", power=1.5)
    with pytest.raises(ck.DesignError, match="equal rankings"):
        comparison.sample_size("x", "x")
    for tolerance in (np.nan, np.inf, "x", True):
        with pytest.raises(ck.DesignError, match="tolerance="):
            comparison.sample_size("x", "good", tolerance=tolerance)
    with pytest.raises(ck.DesignError, match="too small"):
        comparison.sample_size("x", "good", tolerance=1e-200)
    with pytest.raises(ck.DesignError, match="no ranking is named 'best'"):
        comparison.difference("x", "best")
    for wrong in (
        {"effect": ["x", "good"]},
        {"effect": "x", "score": ["good"]},
        {"score": [np.ones(600), np.ones(600)]},
    ):
        with pytest.raises(ck.DesignError, match="mapping from names"):
            run.compare(trial(), **wrong, **ROLES)
    with pytest.raises(ck.DesignError, match="not xy"):
        run.compare(trial(), score="xy", **ROLES)
    scores = np.random.default_rng(0).normal(size=50)
    with pytest.raises(ck.DesignError, match="one result measures autoc, the other qini"):
        ck.uplift.sample_size(ck.uplift.rate(scores, scores), ck.uplift.rate(scores, scores, "qini"))


def test_rankings_are_compared_on_the_same_people() -> None:
    data = trial()
    part = np.where(data["x"] > 0.5, np.nan, data["x"])
    run = ck.UpliftEvaluation(random_state=0)
    found = run.compare({**data, "part": part}, score=["x", "part"], **ROLES)
    assert found["x"].n == found["part"].n == np.isfinite(part).sum()
    assert found.difference("x", "part").estimate == 0.0
    assert found["x"].n + found["x"].n_dropped == 600
    assert "another ranking has no value" in found["x"].checks["missing"].message
    assert found.answer.startswith("x and part rank best, and alike")


def test_a_difference_says_what_it_is_of(comparison) -> None:
    found = comparison.difference("x", "poor", "uplift_top_20")
    assert found.estimand == "uplift_top_20 of x minus that of poor"
    assert found.headline == "x - poor"


def test_numbers_beside_a_model_take_its_roles_and_models_agree_on_the_outcome(campaign, model, fresh, quick) -> None:
    run = ck.UpliftEvaluation(random_state=0)
    found = run.compare(fresh, effect={"model": model}, score=["recency"])
    np.testing.assert_array_equal(
        found["model"].sample.number("held_out_score"), found["recency"].sample.number("held_out_score")
    )
    other = quick(campaign.assign(visits=campaign["purchase"] > 0), outcome="visits")
    with pytest.raises(ck.DesignError, match="do not predict one effect"):
        run.compare(fresh, effect={"model": model, "other": other})


def test_profit_curve_of_an_evaluation() -> None:
    data = {**trial(), "price": np.full(600, 0.2)}
    found = ck.UpliftEvaluation(random_state=0, value=3.0, cost=0.2).fit(data, effect="x", **ROLES)
    assert "profit" in found.plots
    np.testing.assert_allclose(found.profit.value, 3.0 * found.gain.value - 0.2 * found.gain.q)
    for cost in ("price", 0.2):
        other = ck.UpliftEvaluation(random_state=0, value=3.0).fit(data, effect="x", cost=cost, **ROLES)
        np.testing.assert_allclose(other.profit.value, found.profit.value)
    found.plot("profit")
    with pytest.raises(ck.DesignError, match="no curve 'profit'"):
        ck.UpliftEvaluation(random_state=0).fit(data, effect="x", **ROLES).band("profit")


def test_public_curves_and_stages() -> None:
    rng = np.random.default_rng(0)
    scores, priority, cluster = rng.normal(size=300), rng.normal(size=300), np.repeat(list("abcdefghij"), 30)
    drawn = ck.uplift.curve(scores, priority, "uplift", q=[0.2, 1.0], cluster=cluster)
    assert drawn.df == 9
    frame = drawn.to_frame()
    assert frame["estimate"].iloc[-1] == pytest.approx(scores.mean())
    assert frame["ci_high"].iloc[0] - frame["estimate"].iloc[0] == pytest.approx(
        stats.t(drawn.free[0]).ppf(0.975) * drawn.se[0]
    )
    assert 4.0 <= drawn.free[0] < drawn.free[1] == 9.0
    money = ck.uplift.profit_curve(scores, priority, value=2.0, cost=0.5, q=[0.5])
    top = np.argsort(-priority)[:150]
    assert money.value[0] == pytest.approx((2.0 * scores[top] - 0.5).sum() / 300)
    staged = ck.uplift.sequential_rate(scores, priority, np.arange(300) % 3)
    parts = [rank_weighted_effect(scores[k::3], priority[k::3]) for k in (1, 2)]
    assert staged.statistic == pytest.approx(sum(p.estimate / p.se for p in parts) / np.sqrt(2))


def test_stages_and_clusters_of_arrays_have_no_gaps():
    rng = np.random.default_rng(0)
    scores, priority = rng.normal(size=(2, 60))
    with pytest.raises(ck.DataError, match="no whole number from 0"):
        ck.uplift.sequential_rate(scores, priority, np.tile([0, 0.5, 1], 20))
    village = np.repeat(np.arange(20.0), 3)
    village[4] = np.nan
    with pytest.raises(ck.DataError, match="1 missing labels"):
        ck.uplift.curve(scores, priority, cluster=village)
