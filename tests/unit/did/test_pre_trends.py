"""The check of parallel trends: which distribution its p-value comes from."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalkit as ck

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(21)
    n, periods = 60, 6
    start = np.array([0, 4, 0, 5])[np.arange(n) % 4]
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    data = pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "y": rng.normal(size=unit.size)})
    return data.assign(many=unit // 2, few=rng.permutation(np.arange(n) % 12)[unit])


def hotelling(wald, q, count):
    return stats.f.sf(wald * (count - q) / (q * (count - 1)), q, count - q)


def wald_before(result):
    before = ~result.cells.post
    values, vcov = result.effects.values[before], result.effects.vcov[np.ix_(before, before)]
    return values @ np.linalg.solve(vcov, values), before.sum()


@pytest.mark.parametrize("ways", [["many", "few"], ["few", "many"]])
def test_the_way_with_fewest_clusters_counts(table, ways):
    result = ck.CallawaySantAnna().fit(table, cluster=ways, **ROLES)
    wald, q = wald_before(result)
    assert result.checks["pre_trends"].pvalue == pytest.approx(hotelling(wald, q, 12), rel=1e-8)


@pytest.mark.parametrize(("cluster", "count"), [(None, 60), ("few", 12)])
def test_an_f_ratio_with_clusters_is_taken_for_hotelling_too(table, cluster, count):
    result = ck.SunAbraham().fit(table, cluster=cluster, **ROLES)
    wald, q = wald_before(result)
    assert result.pre_trends().pvalue == pytest.approx(stats.f.sf(wald / q, q, count - 1), rel=1e-8)
    assert result.checks["pre_trends"].pvalue == pytest.approx(hotelling(wald, q, count), rel=1e-8)


@pytest.mark.parametrize("vcov", ["iid", "HC1"])
def test_independent_errors_keep_their_f_test(table, vcov):
    result = ck.SunAbraham(vcov=vcov).fit(table, **ROLES)
    assert result.checks["pre_trends"].pvalue == result.pre_trends().pvalue


def test_leads_are_clustered_whatever_the_effects_are(table):
    clustered, plain = (ck.ExtendedTWFE(vcov=vcov).fit(table, **ROLES) for vcov in ("auto", "iid"))
    assert clustered.checks["pre_trends"].pvalue == plain.checks["pre_trends"].pvalue > plain.pre_trends().pvalue


def test_one_effect_has_the_p_value_of_its_t_test():
    rng = np.random.default_rng(2)
    unit, time = np.repeat(np.arange(30), 3), np.tile([1, 2, 3], 30)
    data = pd.DataFrame({"unit": unit, "time": time, "cohort": 3 * (unit % 2), "y": rng.normal(size=90)})
    result = ck.SunAbraham().fit(data, **ROLES)
    assert result.checks["pre_trends"].pvalue == pytest.approx(result.effects.pvalue[0], rel=1e-10)
