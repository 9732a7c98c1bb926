"""Callaway and Sant'Anna: engines that must agree, cells that can't be estimated, repeated cross-sections."""

import pickle

import duckdb
import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.core import deferred
from causalkit.core.estimate import Covariance, Influence
from causalkit.did.arranged import Arranged
from causalkit.did.cohorts import Cohorts
from causalkit.did.group_time import compare
from causalkit.did.panel_moments import MomentCells, PanelMoments
from causalkit.did.plan import plan_cells
from causalkit.errors import DataError, DesignError, InferenceUnavailable

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}


def panel(n=120, periods=6, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.choice([0, 3, 4, 6], n)
    x = rng.normal(size=n)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    on = (start[unit] > 0) & (time >= start[unit])
    y = rng.normal(size=n)[unit] + 0.3 * time * (1 + x[unit]) + on * 0.5 + rng.normal(size=n * periods)
    table = {"unit": unit, "time": time, "cohort": start[unit], "y": y, "x": x[unit], "w": rng.uniform(0.5, 2, n)[unit]}
    return pd.DataFrame(table | {"region": unit // 7, "z": rng.normal(size=n * periods)})


def fitted(data, configuration=None, **roles):
    return ck.CallawaySantAnna(**(configuration or {})).fit(data, **ROLES, **roles)


def same(a, b, tolerance=1e-12):
    assert a.effects.terms == b.effects.terms
    np.testing.assert_allclose(a.effects.values, b.effects.values, atol=tolerance, rtol=0)
    np.testing.assert_allclose(a.joint.vcov, b.joint.vcov, atol=tolerance, rtol=0)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("control", ["never_treated", "not_yet_treated"])
def test_moments_say_what_influence_values_say(weights, control):
    estimator = ck.CallawaySantAnna(control_group=control)
    cohorts = Cohorts.of(estimator.bind(panel(), **ROLES, weights=weights, cluster="region"))
    plan, arranged = plan_cells(cohorts, control, "varying", 0), Arranged.of(cohorts)
    fast, slow = MomentCells.of(PanelMoments.of(arranged), plan), compare(arranged, plan, "reg")
    psi = slow.influence()
    np.testing.assert_allclose(fast.theta, slow.theta, atol=1e-13)
    np.testing.assert_allclose(fast.influence(arranged), psi, atol=1e-14)
    np.testing.assert_allclose(fast.vcov(), psi.T @ psi, atol=1e-14)
    np.testing.assert_allclose(slow.vcov(None, 0), psi.T @ psi, atol=1e-14)
    region = cohorts.clusters[0]
    sums = np.stack([psi[region.codes == code].sum(axis=0) for code in range(len(region.labels))])
    np.testing.assert_allclose(
        fast.clustered_vcov(arranged, region.codes, len(region.labels)), sums.T @ sums, atol=1e-14
    )
    np.testing.assert_allclose(slow.vcov(region.codes, len(region.labels)), sums.T @ sums, atol=1e-14)


def test_a_mean_is_a_mean():
    data = panel()
    result = fitted(data)
    wide = data.pivot(index="unit", columns="time", values="y")
    cohort = data.groupby("unit")["cohort"].first()
    change = wide[4] - wide[2]
    treated, control = change[cohort == 3], change[cohort == 0]
    at = result.effects.terms.index("3 in 4")
    assert result.effects.values[at] == pytest.approx(treated.mean() - control.mean(), abs=1e-13)
    variance = treated.var(ddof=0) / len(treated) + control.var(ddof=0) / len(control)
    assert result.effects.se[at] == pytest.approx(np.sqrt(variance), abs=1e-13)


@pytest.mark.parametrize("covariates", [[], ["x"]])
def test_neither_row_order_nor_level_nor_trend_matters(covariates):
    data = panel()
    result = fitted(data, covariates=covariates)
    shuffled = data.sample(frac=1, random_state=3)
    same(result, fitted(shuffled, covariates=covariates), 1e-11)
    moved = data.assign(y=data["y"] + 1e6 * data["unit"] + 1e6 * data["time"])
    same(result, fitted(moved, covariates=covariates), 1e-7)
    same(result, fitted(data.assign(w=3.0), covariates=covariates, weights="w"), 1e-11)


def test_weights_that_vary_over_time_count_in_the_earlier_period():
    data = panel()
    rng = np.random.default_rng(5)
    data["v"] = rng.uniform(0.5, 2, len(data))
    before = fitted(data, weights="v")
    at = before.effects.terms.index("3 in 5")
    later = data.assign(v=np.where(data["time"] == 5, 1.0, data["v"]))
    assert fitted(later, weights="v").effects.values[at] == pytest.approx(before.effects.values[at], abs=1e-13)
    earlier = data.assign(v=np.where(data["time"] == 2, 1.0, data["v"]))
    assert abs(fitted(earlier, weights="v").effects.values[at] - before.effects.values[at]) > 1e-4


def test_covariates_that_vary_over_time_are_those_before_the_start():
    data = panel()
    before = fitted(data, covariates="z")
    at = before.effects.terms.index("3 in 6")
    kept = data.assign(z=np.where(data["time"] == 2, data["z"], 0.0))
    only = data.assign(z=data.loc[data["time"] == 2].set_index("unit")["z"].reindex(data["unit"]).to_numpy())
    for changed in (kept, only):
        result = fitted(changed[changed["cohort"].isin([0, 3])] if changed is kept else changed, covariates="z")
        place = result.effects.terms.index("3 in 6")
        assert result.effects.values[place] == pytest.approx(before.effects.values[at], abs=1e-10)


def test_a_cell_that_covariates_separate_is_left_out_by_name():
    data = panel()
    data["apart"] = np.where(data["cohort"] == 3, 9.0, np.sin(data["unit"]))
    result = fitted(data, covariates=["x", "apart"])
    check = result.checks["cells"]
    assert check.status == "warn"
    assert "3 in 2" in check.message
    assert "3" not in {str(cohort) for cohort in result.cells.cohort}
    assert not np.isnan(result.effects.values).any()
    only = fitted(data[data["cohort"] != 3], covariates=["x", "apart"])
    np.testing.assert_allclose(result.effects.values, only.effects.values, atol=1e-9)


def test_nothing_left_to_estimate_is_an_error():
    data = panel()
    data["apart"] = (data["cohort"] > 0).astype(float)
    with pytest.raises(DesignError, match="no effect after the start"):
        fitted(data, covariates=["apart"])


def test_influence_values_wait_and_are_folded_where_they_are_large(monkeypatch):
    data = panel()
    kept = fitted(data)
    assert isinstance(kept.joint.carrier, Influence)
    assert callable(vars(kept.joint.carrier)["_psi"])
    psi = kept.effects.numbers.carrier.psi
    np.testing.assert_allclose(psi.T @ psi, kept.effects.vcov, atol=1e-14)
    monkeypatch.setattr(deferred, "INFLUENCE_LIMIT", 0)
    folded = fitted(data)
    assert isinstance(folded.joint.carrier, Covariance)
    same(kept, folded)
    assert folded.aggregate("cohort").se == pytest.approx(kept.aggregate("cohort").se, abs=1e-14)
    with pytest.raises(InferenceUnavailable, match="not influence values"):
        folded.with_vcov("CR1")
    with ck.options(keep_influence=True):
        assert isinstance(fitted(data).joint.carrier, Influence)


@pytest.mark.parametrize("covariates", [[], ["x"]])
def test_clusters_after_the_fit_are_those_of_the_fit(covariates):
    data = panel()
    clustered = fitted(data, covariates=covariates, cluster="region")
    regions = data.groupby("unit")["region"].first().to_numpy()
    after = fitted(data, covariates=covariates).with_vcov("CR0", regions)
    same(clustered, after)
    assert clustered.aggregate("event_time").se == pytest.approx(after.aggregate("event_time").se, abs=1e-14)


def test_a_pickle_keeps_the_error():
    result = fitted(panel())
    read = pickle.loads(pickle.dumps(result))
    same(result, read)
    np.testing.assert_allclose(read.joint.carrier.psi, result.joint.carrier.psi)


def test_results_on_the_same_units_subtract():
    data = panel()
    a, b = fitted(data), fitted(data.assign(y=data["y"] * 2))
    gap = b - a
    assert gap.estimate == pytest.approx(a.estimate)
    assert gap.se == pytest.approx(a.se)


@pytest.mark.parametrize("method", ["dr", "ipw", "reg"])
def test_without_covariates_a_balanced_panel_has_the_points_of_cross_sections(method):
    data = panel()
    followed = fitted(data)
    rows = {role: column for role, column in ROLES.items() if role != "unit"}
    result = ck.CallawaySantAnna(method=method).fit(data, **rows)
    np.testing.assert_allclose(result.effects.values, followed.effects.values, atol=1e-12)
    assert result.n == len(data)
    by_unit = ck.CallawaySantAnna(method=method).fit(data, **rows, cluster="unit")
    np.testing.assert_allclose(by_unit.effects.se, followed.effects.se, atol=1e-12)
    assert result.refit().se == result.se


def test_units_with_gaps_enter_where_they_are_seen():
    data = panel()
    thin = data.drop(data.index[::9])
    cells, dropped = fitted(thin, {"unbalanced": "cells"}), fitted(thin)
    assert cells.n > dropped.n
    wide = thin.assign(time=thin["time"]).pivot(index="unit", columns="time", values="y")
    cohort = thin.groupby("unit")["cohort"].first()
    means = {(g, t): wide.loc[cohort == g, t].mean() for g in (0, 3) for t in (2, 4)}
    expected = means[3, 4] - means[3, 2] - means[0, 4] + means[0, 2]
    at = cells.effects.terms.index("3 in 4")
    assert cells.effects.values[at] == pytest.approx(expected, abs=1e-12)
    same(fitted(data, {"unbalanced": "cells"}), fitted(data))
    with pytest.raises(DataError, match="not observed in every period"):
        fitted(thin, {"unbalanced": "raise"})


def test_a_cell_without_rows_is_left_out_by_name():
    data = panel()
    thin = data[~((data["cohort"] == 3) & (data["time"] == 5))]
    result = fitted(thin, {"unbalanced": "cells"})
    assert "3 in 5 (no treated row" in result.checks["cells"].message
    assert "3 in 5" not in result.effects.terms


@pytest.mark.parametrize("method", ["dr", "ipw", "reg"])
def test_cross_sections_follow_changes_of_unit_in_covariates(method):
    data = panel(400)
    rows = {role: column for role, column in ROLES.items() if role != "unit"}
    estimator = ck.CallawaySantAnna(method=method)
    a = estimator.fit(data, **rows, covariates=["x"])
    b = estimator.fit(data.assign(x=1e4 + 50 * data["x"]), **rows, covariates=["x"])
    same(a, b, 1e-9)


@pytest.mark.parametrize("estimator", [ck.CallawaySantAnna(), ck.SunAbraham(), ck.TWFE()])
def test_labels_of_rows_cluster_as_the_column_does(estimator):
    stores = ck.datasets.staggered_rollout(n_units=120, random_state=3)
    stores["area"] = stores["store"].rank(method="dense").astype(int) // 6
    roles = {"outcome": "sales", "unit": "store", "time": "year", "cohort": "start"}
    plain, clustered = estimator.fit(stores, **roles), estimator.fit(stores, cluster="area", **roles)
    later = plain.with_vcov("CR0", cluster=stores["area"].to_numpy())
    assert later.se == pytest.approx(clustered.with_vcov("CR0").se, rel=1e-12)
    with pytest.raises(ck.DataError, match="varies within 120 units"):
        plain.with_vcov("CR0", cluster=stores["year"].to_numpy())


@pytest.mark.parametrize("lazy", [False, True])
def test_cohorts_in_no_comparison_are_named(lazy):
    data = panel()
    data["cohort"] = data["cohort"].replace({6: 2})
    table = duckdb.from_df(data) if lazy else data
    result = ck.CallawaySantAnna(anticipation=1).fit(table, **ROLES)
    early = data.loc[data["cohort"] == 2, "unit"].nunique()
    assert not np.isin(result.cells.cohort, [2]).any()
    assert result.n == len(data) - 6 * early
    assert result.dropped.reasons[-1][:3] == ("unit in no comparison", "unit", 6 * early)
    assert f"{early} units in no comparison" in result.checks["missing"].message
    assert f"Cohorts in no comparison, left out: 2 ({early})." in result.checks["cohorts"].message


@pytest.mark.parametrize("unit", [None, "unit"])
@pytest.mark.parametrize("covariates", [[], ["z"]])
def test_covariances_of_rows_are_those_of_their_influence_values(covariates, unit):
    data = panel().sample(frac=0.9, random_state=0)
    estimator = ck.CallawaySantAnna(control_group="not_yet_treated", unbalanced="cells")
    roles = {**ROLES, "unit": unit, "covariates": covariates, "weights": "w"}
    for cluster in (None, "region"):
        joint = estimator.fit(data, **roles, cluster=cluster).joint
        psi = joint.carrier.psi
        if cluster is not None:
            groups = joint.carrier.groups.codes
            psi = np.stack([np.bincount(groups, column) for column in psi.T], axis=1)
        np.testing.assert_allclose(joint.vcov, psi.T @ psi, atol=1e-13, rtol=1e-11)
