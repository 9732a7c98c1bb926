"""Triple differences: identities, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "start"}


def _panel(seed: int, n: int = 90, periods: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    start, eligible = np.array([0, 3, 4])[np.arange(n) % 3], (np.arange(n) // 3) % 2
    y = rng.normal(size=unit.size) + 0.4 * time * eligible[unit] + 0.3 * time * (start[unit] == 3)
    return pd.DataFrame(
        {
            "unit": unit,
            "time": time,
            "start": start[unit],
            "eligible": eligible[unit],
            "y": y,
            "x": rng.normal(size=n)[unit],
        }
    )


@pytest.mark.parametrize("base_period", ["varying", "universal"])
@pytest.mark.parametrize("weighted", [False, True])
def test_without_covariates_it_is_the_difference_of_two_comparisons(base_period, weighted):
    data = _panel(1)
    data["w"] = 1.0 + data.unit % 3
    roles = ROLES | ({"weights": "w"} if weighted else {})
    triple = ck.TripleDifference(base_period=base_period).fit(data, eligible="eligible", **roles)
    simple = ck.CallawaySantAnna(base_period=base_period)
    one, zero = (simple.fit(data[data.eligible == value], **roles) for value in (1, 0))
    np.testing.assert_allclose(triple.effects.values, one.effects.values - zero.effects.values, atol=1e-12)
    np.testing.assert_allclose(triple.effects.se, np.hypot(one.effects.se, zero.effects.se), rtol=1e-12)


def test_least_variance_combination_beats_each_control_cohort():
    data = _panel(2)
    both = ck.TripleDifference(control_group="not_yet_treated").fit(data, eligible="eligible", **ROLES)
    never = ck.TripleDifference().fit(data, eligible="eligible", **ROLES)
    early = [j for j, (g, t) in enumerate(zip(both.cells.cohort, both.cells.time, strict=True)) if g == 3 and t == 3]
    assert both.effects.se[early] < never.effects.se[early]


def test_pooling_not_yet_treated_is_avoided():
    """Where eligible and ineligible units drift apart with the make-up of cohorts, pooled controls would be biased."""
    rng, n = np.random.default_rng(3), 600
    start = np.array([3, 4, 0])[np.arange(n) % 3]
    eligible = (rng.random(n) < np.where(start == 4, 0.8, 0.3)).astype(int)
    rows = [
        pd.DataFrame(
            {"unit": np.arange(n), "time": t, "start": start, "eligible": eligible, "y": 5.0 * t * (start == 4)}
        )
        for t in (1, 2, 3, 4)
    ]
    data = pd.concat(rows)
    data["y"] += 1e-3 * rng.normal(size=len(data))
    result = ck.TripleDifference(control_group="not_yet_treated").fit(data, eligible="eligible", **ROLES)
    assert np.abs(result.effects.values).max() < 1e-2


def test_covariates_recover_the_effect():
    rng, n = np.random.default_rng(4), 4000
    x = rng.normal(size=n)
    start = np.where(rng.random(n) < 1 / (1 + np.exp(-0.5 * x)), 2, 0)
    eligible = (rng.random(n) < 1 / (1 + np.exp(-0.5 * x))).astype(int)
    before = rng.normal(size=n)
    after = before + x * (1 + eligible + (start > 0)) + 2.0 * eligible * (start > 0) + rng.normal(size=n)
    parts = [pd.DataFrame({"unit": np.arange(n), "time": t, "y": y}) for t, y in ((1, before), (2, after))]
    data = pd.concat(parts).assign(
        start=lambda d: start[d.unit], eligible=lambda d: eligible[d.unit], x=lambda d: x[d.unit]
    )
    for method in ("dr", "ipw", "reg"):
        result = ck.TripleDifference(method=method).fit(data, eligible="eligible", covariates="x", **ROLES)
        assert abs(result.estimate - 2.0) < 4 * result.se, method
        assert result.se < 0.2


def test_clusters_sum_influence_values():
    data = _panel(5).assign(state=lambda d: d.unit % 15)
    by_unit = ck.TripleDifference().fit(data, eligible="eligible", **ROLES)
    by_state = ck.TripleDifference().fit(data, eligible="eligible", cluster="state", **ROLES)
    psi = by_unit.effects.numbers.carrier.psi
    sums = np.stack([psi[np.arange(90) % 15 == s].sum(axis=0) for s in range(15)])
    np.testing.assert_allclose(by_state.effects.se, np.sqrt((sums**2).sum(axis=0)), rtol=1e-12)


def test_refused():
    data = _panel(6)
    odd = data.assign(eligible=data.eligible.where(data.index != 2, 1 - data.eligible))
    none = data[(data.start > 0) | (data.eligible == 1)]
    with pytest.raises(ck.DataError, match="varies within 1 unit"):
        ck.TripleDifference().fit(odd, eligible="eligible", **ROLES)
    with pytest.raises(ck.DataError, match="neither 0 nor 1"):
        ck.TripleDifference().fit(data.assign(eligible=data.eligible * 2), eligible="eligible", **ROLES)
    with pytest.raises(ck.DesignError, match="is 1 for every unit"):
        ck.TripleDifference().fit(data.assign(eligible=1), eligible="eligible", **ROLES)
    with pytest.raises(ck.DesignError, match="no triple difference can be made"):
        ck.TripleDifference().fit(none, eligible="eligible", **ROLES)


def test_cells_that_cannot_be_estimated_are_told():
    data = _panel(7)
    odd = (data.start == 4) & (data.eligible == 1)
    data["x"] = np.where(odd, 100.0 + data.x, data.x)  # the propensity of cohort 4 is certain
    result = ck.TripleDifference().fit(data, eligible="eligible", covariates="x", **ROLES)
    assert set(result.cells.cohort) == {3}
    assert result.checks["eligible"].status == "warn"
    assert "can't be estimated" in result.checks["eligible"].message


def test_level_and_unit_of_a_covariate_do_not_matter():
    data = _panel(11)
    near, far = (
        ck.TripleDifference().fit(frame, eligible="eligible", covariates=["x"], **ROLES)
        for frame in (data, data.assign(x=1e7 + 1e-2 * data.x))
    )
    np.testing.assert_allclose(near.effects.values, far.effects.values, atol=1e-6)
    np.testing.assert_allclose(near.effects.se, far.effects.se, atol=1e-6)


@pytest.mark.parametrize("method", ["dr", "reg"])
def test_nearly_collinear_covariates_are_refused(method):
    data = _panel(12)
    twin = data.x + 1e-7 * np.sin(data.unit)
    with pytest.raises(ck.InferenceUnavailable, match="do not identify 3 coefficients"):
        ck.TripleDifference(method=method).fit(
            data.assign(twin=twin), eligible="eligible", covariates=["x", "twin"], **ROLES
        )
