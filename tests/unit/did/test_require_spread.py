"""Clusters that hold whole cohorts leave nothing to learn a standard error from."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}
EVERY = "every cohort lies within one cluster of 'state'"


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    n, periods = 60, 5
    start, dose = np.array([0, 3, 4])[np.arange(n) % 3], rng.uniform(0.5, 2.0, n)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    data = pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "y": rng.normal(size=unit.size)})
    return data.assign(state=data["cohort"], dose=(dose * (start > 0))[unit], eligible=unit // 3 % 2)


def fits(data):
    one = data[data["cohort"] != 4]
    rows = {role: column for role, column in ROLES.items() if role != "unit"}
    return {
        "panel": lambda: ck.CallawaySantAnna().fit(data, cluster="state", **ROLES),
        "rows": lambda: ck.CallawaySantAnna().fit(data, cluster="state", **rows),
        "triple": lambda: ck.TripleDifference().fit(data, eligible="eligible", cluster="state", **ROLES),
        "dose": lambda: ck.ContinuousDiD().fit(data, treatment="dose", cluster="state", **ROLES),
        "imputed": lambda: ck.ImputationDiD().fit(data, cluster="state", **ROLES),
        "two stages": lambda: ck.TwoStageDiD().fit(data, cluster="state", **ROLES),
        "extended": lambda: ck.ExtendedTWFE().fit(data, cluster="state", **ROLES),
        "extended, never": lambda: ck.ExtendedTWFE(control_group="never_treated").fit(data, cluster="state", **ROLES),
        "projections": lambda: ck.LocalProjectionsDiD().fit(data, cluster="state", **ROLES),
        "saturated": lambda: ck.SunAbraham().fit(data, cluster="state", **ROLES),
        "stack": lambda: ck.StackedDiD(pre_window=2, post_window=1).fit(one, cluster="state", **ROLES),
    }


NAMES = (
    *("panel", "rows", "triple", "dose", "saturated", "stack"),
    *("imputed", "two stages", "extended", "extended, never", "projections"),
)


@pytest.mark.parametrize("name", NAMES)
def test_clusters_of_whole_cohorts_are_refused(table, name):
    with pytest.raises(DesignError, match=EVERY):
        fits(table)[name]()


@pytest.mark.parametrize("name", NAMES)
def test_one_cohort_in_two_clusters_is_enough(table, name):
    assert fits(table.assign(state=table["state"] + 10 * ((table["unit"] // 3) % 5)))[name]().se > 0


def test_merged_cohorts_are_refused_too(table):
    with pytest.raises(DesignError, match=EVERY):
        ck.CallawaySantAnna().fit(table.assign(state=table["cohort"] > 0), cluster="state", **ROLES)


def test_any_of_several_ways_counts(table):
    data = table.assign(other=table["unit"] // 4)
    with pytest.raises(DesignError, match=EVERY):
        ck.CallawaySantAnna().fit(data, cluster=["other", "state"], **ROLES)
