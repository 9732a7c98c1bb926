"""The extended regression with covariates against explicit columns."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import causalkit as ck
from causalkit.errors import DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(11)
    n, periods = 60, 5
    start = np.array([0, 3, 4])[np.arange(n) % 3]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    x = rng.normal(size=n)
    on = (start[unit] > 0) & (time >= start[unit])
    y = x[unit] * time / 3 + rng.normal(size=unit.size) + on * (0.5 + 0.4 * x[unit])
    return pd.DataFrame(
        {"unit": unit, "time": time, "cohort": start[unit], "x": x[unit], "z": rng.normal(size=y.size), "y": y}
    )


@pytest.mark.parametrize("covariate", ["x", "z"])
@pytest.mark.parametrize("group", ["not_yet_treated", "never_treated"])
def test_covariates_enter_about_the_mean_of_their_cohort(table, covariate, group):
    result = ck.ExtendedTWFE(control_group=group).fit(table, covariates=[covariate], **ROLES)
    x = table[covariate]
    about = x - x.groupby(table["cohort"]).transform("mean")
    columns = {}
    for g in (3, 4):
        for t in range(1, 6):
            if t >= g or (group == "never_treated" and t != g - 1):
                inside = ((table["cohort"] == g) & (table["time"] == t)).astype(float)
                columns[f"{g} in {t}"], columns[f"{g} in {t} x"] = inside, inside * about
    for t in range(1, 6):
        columns[f"x in {t}"] = x * (table["time"] == t)
    if covariate == "z":  # constant covariates: the slopes of cohorts are unit effects
        columns |= {f"x of {g}": x * (table["cohort"] == g) for g in (3, 4)}
    if covariate == "x":
        columns.pop("x in 1")
    for name in ("unit", "time"):
        columns |= {f"{name} {v}": (table[name] == v).astype(float) for v in table[name].unique()[(name == "time") :]}
    frame = pd.DataFrame(columns)
    assert np.linalg.matrix_rank(frame.to_numpy()) == frame.shape[1]
    reference = sm.OLS(table["y"], frame).fit(cov_type="cluster", cov_kwds={"groups": table["unit"]}, use_t=True)
    names = list(result.effects.terms)
    np.testing.assert_allclose(result.effects.values, reference.params[names], rtol=0, atol=1e-10)
    # statsmodels counts the unit effects among the parameters; they are nested in the clusters.
    n, k, nested = len(table), frame.shape[1], table["unit"].nunique()
    factor = (n - k) / (n - (k - nested + 1))
    np.testing.assert_allclose(result.effects.se, reference.bse[names] * np.sqrt(factor), rtol=1e-9)


def test_trends_before_the_start(table):
    early = ck.ExtendedTWFE().fit(table, **ROLES)
    assert early.pre_trends().pvalue == pytest.approx(ck.ImputationDiD().fit(table, **ROLES).pre_trends().pvalue)
    never = ck.ExtendedTWFE(control_group="never_treated").fit(table, **ROLES)
    assert never.pre_trends().pvalue == pytest.approx(ck.SunAbraham().fit(table, **ROLES).pre_trends().pvalue)
    assert never.reference == -1.0


def test_cohorts_that_always_anticipate_are_no_controls(table):
    moved = table.assign(cohort=np.where(table["cohort"] == 3, 2, table["cohort"]))
    without = moved[moved["cohort"] != 2]
    for kind in (ck.ExtendedTWFE, ck.SunAbraham):
        one, two = kind(anticipation=1).fit(moved, **ROLES), kind(anticipation=1).fit(without, **ROLES)
        np.testing.assert_allclose(one.effects.values, two.effects.values, rtol=0, atol=1e-12)
        assert "without a period before anticipation" in one.checks["missing"].message


def test_last_cohort_is_compared_with_before_it_anticipates(table):
    treated = table[table["cohort"] > 0]
    result = ck.ExtendedTWFE().fit(treated, **ROLES)
    assert set(result.cells.time) == {3}
    with pytest.raises(DesignError, match="no treated cell"):
        ck.ExtendedTWFE(anticipation=1).fit(treated.assign(cohort=treated["cohort"] + 1), **ROLES)
