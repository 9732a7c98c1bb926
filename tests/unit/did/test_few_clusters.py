"""Few clusters: a warning with remedies that work, and numbers of R's did as long as nobody asks for others."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalkit as ck
from causalkit.did.few_clusters import treated_clusters_check

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "start"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    n, periods = 120, 6
    start = np.array([0, 3, 5])[np.arange(n) % 3]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    data = pd.DataFrame({"unit": unit, "time": time, "start": start[unit], "y": rng.normal(size=unit.size)})
    return data.assign(state=unit % 7, area=unit // 2, on=((start[unit] > 0) & (time >= start[unit])).astype(int))


def fits(data, **more):
    dynamic = {role: column for role, column in ROLES.items() if role != "cohort"} | {"treatment": "on"}
    yield ck.DCDH().fit(data, **dynamic, **more)
    for kind in (ck.CallawaySantAnna, ck.SunAbraham, ck.ImputationDiD, ck.TwoStageDiD, ck.ExtendedTWFE, ck.TWFE):
        yield kind().fit(data, **ROLES, **more)
    yield ck.LocalProjectionsDiD().fit(data, **ROLES, **more)
    yield ck.StackedDiD(pre_window=1, post_window=1).fit(data, **ROLES, **more)


def test_every_estimator_warns_and_names_what_to_do(table):
    for few, many in zip(fits(table, cluster="state"), fits(table, cluster="area"), strict=True):
        check = few.checks["few_clusters"]
        assert check.status == "warn"
        assert "7 clusters of 'state', 7 with treated units" in check.message
        for remedy in ('with_vcov("CR1")', "randomization_inference", "wild_cluster_bootstrap"):
            assert remedy in check.advice
        assert many.checks["few_clusters"].status == "pass"
    for plain in fits(table):
        assert plain.checks["few_clusters"].status == "pass"
        assert "120 units" in plain.checks["few_clusters"].message


def test_the_remedy_takes_in_the_number_of_clusters(table):
    result = ck.CallawaySantAnna().fit(table, cluster="state", **ROLES)
    mended = result.with_vcov("CR1")
    low, high = mended.ci()
    assert mended.se > result.se
    assert (high - low) / (2 * mended.se) == pytest.approx(stats.t.ppf(0.975, 6), rel=1e-12)
    before = result.ci()
    assert (before[1] - before[0]) / (2 * result.se) == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)


def test_the_way_with_the_fewest_clusters_counts():
    check = treated_clusters_check([(400, 200, "county"), (12, 4, "state")])
    assert "12 clusters of 'state', 4 with treated units" in check.message
    assert treated_clusters_check([(400, 3, "")]).status == "warn"
    assert treated_clusters_check([(400, 30, "")]).advice == ""
