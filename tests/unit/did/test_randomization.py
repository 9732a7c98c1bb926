"""Randomization over cohorts, and the wild cluster bootstrap of two-way fixed effects."""

import itertools

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.did import randomization
from causalkit.errors import DesignError
from causalkit.inference.bootstrap import wild_cluster_bootstrap

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "start"}


def small_panel(seed=0, starts=(3, 3, 4, 0, 0, 0), periods=5):
    rng = np.random.default_rng(seed)
    n = len(starts)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    start = np.array(starts)[unit]
    y = rng.normal(size=n * periods) + 1.5 * ((start > 0) & (time >= start))
    return pd.DataFrame({"unit": unit, "time": time, "start": start, "y": y, "state": unit // 2})


@pytest.mark.parametrize("estimator", [ck.CallawaySantAnna(), ck.ImputationDiD(), ck.TWFE()])
def test_all_assignments_are_those_of_brute_force(estimator):
    data = small_panel()
    result = estimator.fit(data, **ROLES)
    found = ck.did.randomization_inference(result)
    assert found.test.exact
    assert found.test.n_draws == 60  # 6! / (2! 1! 3!)
    assert found.by_means
    estimates = []
    for starts in sorted(set(itertools.permutations((3, 3, 4, 0, 0, 0)))):
        other = data.assign(start=np.array(starts)[data["unit"]])
        estimates.append(estimator.fit(other, **ROLES).estimate)
    share = np.mean(np.abs(estimates) >= abs(result.estimate) - 1e-9)
    assert found.pvalue == pytest.approx(share, abs=1e-12)


def test_means_and_new_fits_agree(monkeypatch):
    data = small_panel(3, starts=(3, 3, 4, 4, 0, 0, 0, 0, 0))
    result = ck.SunAbraham().fit(data, **ROLES)
    fast = ck.did.randomization_inference(result, n_draws=50, max_exact=10, random_state=1)
    assert not fast.test.exact
    monkeypatch.setattr(randomization, "_by_means", lambda *args: None)
    slow = ck.did.randomization_inference(result, n_draws=50, max_exact=10, random_state=1)
    assert fast.by_means
    assert not slow.by_means
    assert fast.pvalue == slow.pvalue
    assert fast.pvalue >= 1 / 51


def test_covariates_and_treatment_columns_take_new_fits():
    data = small_panel(1)
    data["x"] = np.random.default_rng(0).normal(size=len(data))
    data["on"] = ((data["start"] > 0) & (data["time"] >= data["start"])).astype(int)
    by_treatment = {key: value for key, value in ROLES.items() if key != "cohort"} | {"treatment": "on"}
    one = ck.did.randomization_inference(ck.TWFE().fit(data, covariates=["x"], **ROLES))
    two = ck.did.randomization_inference(ck.TWFE().fit(data, covariates=["x"], **by_treatment))
    assert not one.by_means
    assert one.pvalue == two.pvalue
    assert two.test.statistic == pytest.approx(one.test.statistic, abs=1e-12)


def test_clusters_are_dealt_as_a_whole():
    data = small_panel(2, starts=(3, 3, 4, 4, 0, 0, 0, 0))
    result = ck.TWFE().fit(data, cluster="state", **ROLES)
    found = ck.did.randomization_inference(result)
    assert found.test.n_draws == 12  # 4 states: 4! / 2!
    assert "4 clusters by state" in found.answer
    varying = ck.TWFE().fit(data.assign(state=data["unit"] % 2), cluster="state", **ROLES)
    assert "since they vary within state" in ck.did.randomization_inference(varying).dealt


def test_a_panel_with_gaps_is_refused():
    data = small_panel()
    with pytest.raises(ck.InferenceUnavailable, match="every period"):
        ck.did.randomization_inference(ck.TWFE().fit(data.drop(index=3), **ROLES))


def test_the_wild_bootstrap_is_that_of_explicit_dummies():
    data = small_panel(5, starts=(3, 3, 4, 4, 0, 0, 0, 0))
    result = ck.TWFE().fit(data, cluster="state", **ROLES)
    found = ck.did.wild_cluster_bootstrap(result, null=0.5)
    on = ((data["start"] > 0) & (data["time"] >= data["start"])).to_numpy(float)
    units = (data["unit"].to_numpy()[:, None] == np.unique(data["unit"])).astype(float)
    times = (data["time"].to_numpy()[:, None] == np.unique(data["time"])[1:]).astype(float)
    codes = data["state"].to_numpy(np.int32)
    theirs = wild_cluster_bootstrap(
        data["y"].to_numpy(), np.column_stack([on, units, times]), codes, 0, null=0.5, n_parameters=1 + 5
    )
    assert found.bootstrap.exact
    assert found.pvalue == theirs.pvalue
    assert found.bootstrap.estimate == pytest.approx(result.estimate, abs=1e-12)
    assert found.bootstrap.se == pytest.approx(result.se, rel=1e-10)
    assert found.plain == pytest.approx(result.test(null=0.5).pvalue, rel=1e-9)
    assert found.checks["clusters"].status == "warn"
    np.testing.assert_allclose(found.ci().intervals, theirs.confidence_set().intervals, rtol=1e-8)


def test_the_wild_bootstrap_is_for_the_static_regression_with_one_cluster():
    data = small_panel()
    with pytest.raises(ck.DesignError, match="TWFE"):
        ck.did.wild_cluster_bootstrap(ck.SunAbraham().fit(data, **ROLES))
    with pytest.raises(ck.DesignError, match="one way"):
        ck.did.wild_cluster_bootstrap(ck.TWFE().fit(data, cluster=["state", "time"], **ROLES))


def test_the_wild_bootstrap_is_a_method_of_the_result():
    data = small_panel(3, np.tile((3, 3, 4, 0, 0, 0), 7))
    data["region"] = data["unit"] // 5
    result = ck.TWFE().fit(data, cluster="region", **ROLES)
    report = ck.did.wild_cluster_bootstrap(result, null=0.2)
    found = result.test(0.2, method="wild")
    assert (found.statistic, found.pvalue) == (report.bootstrap.statistic, report.pvalue)
    assert str(result.ci(method="wild")) == str(report.ci())
    for edge in result.ci(method="wild").intervals[0]:
        assert result.test(edge, method="wild").pvalue == pytest.approx(0.05, abs=0.02)
    with pytest.raises(DesignError, match="'tame' is not offered"):
        result.test(method="tame")
    with pytest.raises(DesignError, match="'wild' is not offered"):
        ck.TWFE(dynamic=True).fit(data, cluster="region", **ROLES).test(method="wild")
