"""Local projections against explicit regressions, and treatment that is taken away."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import causalkit as ck
from causalkit.did.clean_comparisons import reversible
from causalkit.did.cohorts import Cohorts
from causalkit.errors import DataError, DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(13)
    n, periods = 60, 6
    start = np.array([0, 3, 4, 5])[np.arange(n) % 4]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    on = (start[unit] > 0) & (time >= start[unit])
    y = rng.normal(size=n)[unit] + 0.2 * time + on * 0.4 + rng.normal(size=unit.size)
    out = pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "x": rng.normal(size=y.size), "y": y})
    return out.assign(on=on.astype(int))


@pytest.mark.parametrize("method", ["variance_weighted", "equally_weighted"])
def test_one_regression_a_horizon(table, method):
    result = ck.LocalProjectionsDiD(method=method).fit(table, cohort="cohort", covariates=["x"], **ROLES)
    y, x = (table.pivot(index="unit", columns="time", values=name) for name in ("y", "x"))
    start = table.groupby("unit")["cohort"].first().replace(0, 99)
    for horizon in (-3, 0, 2):
        rows = []
        for t in range(2, 7):
            if not 1 <= t + horizon <= 6:
                continue
            clean = (start == t) | (start > t + max(horizon, 0))
            part = pd.DataFrame({"d": y[t + horizon] - y[t - 1], "new": (start == t).astype(float), "x": x[t - 1]})
            rows.append(part[clean].assign(t=t))
        rows = pd.concat(rows).reset_index()
        size = rows.groupby("t")["new"].transform("size")
        rows["q"] = size / (size - rows.groupby("t")["new"].transform("sum")) if "equal" in method else 1.0
        model = smf.wls("d ~ new + x + C(t)", rows, weights=rows["q"])
        reference = model.fit(cov_type="cluster", cov_kwds={"groups": rows["unit"]})
        at = result.effects.index(f"event time {horizon}")
        assert result.effects.values[at] == pytest.approx(reference.params["new"], abs=1e-12)
        assert result.effects.se[at] == pytest.approx(reference.bse["new"], rel=1e-10)


def test_absorbing_and_reversible_agree_where_treatment_stays(table):
    # Without units that are treated long enough to serve as settled controls.
    one = ck.LocalProjectionsDiD(post_window=2, pre_window=2).fit(table, cohort="cohort", **ROLES)
    two = ck.LocalProjectionsDiD(post_window=2, pre_window=2, stabilization=5).fit(table, treatment="on", **ROLES)
    assert one.effects.terms == two.effects.terms
    np.testing.assert_allclose(one.effects.values, two.effects.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.effects.se, two.effects.se, rtol=0, atol=1e-12)


def test_who_is_compared_when_treatment_goes_off():
    on = np.array([[0, 0, 1, 1, 0], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    table = pd.DataFrame({"unit": np.repeat(np.arange(4), 5), "time": np.tile(np.arange(5), 4), "d": on.ravel()})
    sample = ck.LocalProjectionsDiD(stabilization=1).bind(table.assign(y=1.0 * table.index), treatment="d", **ROLES)
    cohorts = Cohorts.of(sample, unbalanced="cells", always_treated="keep", reversals="keep")

    def seen(horizon, settled):
        found = reversible(cohorts, horizon, settled)
        return set(zip(found.unit.tolist(), found.period.tolist(), found.treated.tolist(), strict=True))

    steady = {(unit, t, False) for unit in (2, 3) for t in range(1, 5)}
    assert seen(0, 1) == steady | {(0, 2, True), (1, 1, True), (1, 4, True), (0, 1, False)}
    # Unit 0 stays for one more period, unit 1 does not at first; its second entry has no later period.
    assert seen(1, 1) == {row for row in steady if row[1] < 4} | {(0, 2, True)}
    # With three periods to settle, the second entry of unit 1 comes too early.
    assert seen(0, 3) == steady | {(0, 2, True), (1, 1, True), (0, 1, False)}


def test_reversals_need_to_be_asked_for(table):
    off = table.assign(on=np.where(table["time"] == 6, 0, table["on"]))
    with pytest.raises(DataError, match="taken away"):
        ck.LocalProjectionsDiD().fit(off, treatment="on", **ROLES)
    assert np.isfinite(ck.LocalProjectionsDiD(stabilization=1).fit(off, treatment="on", **ROLES).se)
    with pytest.raises(DesignError, match="name treatment="):
        ck.LocalProjectionsDiD(stabilization=1).fit(table, cohort="cohort", **ROLES)
    with pytest.raises(DesignError, match="never_treated"):
        ck.LocalProjectionsDiD(stabilization=1, control_group="never_treated").fit(off, treatment="on", **ROLES)


def test_windows_and_gaps(table):
    result = ck.LocalProjectionsDiD(pre_window=2, post_window=9).fit(table, cohort="cohort", **ROLES)
    assert result.effects.columns["event_time"] == [-2, 0, 1, 2, 3]
    holes = table.drop(index=table.index[[3, 40, 77]])
    assert ck.LocalProjectionsDiD().fit(holes, cohort="cohort", **ROLES).n == len(table) - 3
    assert result.estimate == pytest.approx(result.effects.values[1:].mean(), abs=1e-14)


def test_no_clean_control():
    table = pd.DataFrame({"unit": [0, 0, 1, 1], "time": [1, 2, 1, 2], "cohort": [2, 2, 2, 2], "y": [0.0, 1, 2, 5]})
    with pytest.raises(DesignError):
        ck.LocalProjectionsDiD().fit(table, cohort="cohort", **ROLES)
