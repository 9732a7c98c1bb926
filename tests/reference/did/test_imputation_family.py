"""Imputation, two stages, extended and stacked regressions and local projections against independent packages.

On the simulated panel (``make_imputation_family.py`` made it and the numbers) always; on mpdta where
CAUSALKIT_REFERENCE_DATA names a folder with the file, which may not be redistributed.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

HERE = Path(__file__).parent
ROLES = {"outcome": "y", "unit": "unit", "time": "time"}
# diff-diff stops its own iterations at 1e-10 in the first stage, so that its estimates are good to about 1e-9.
ITERATED = 2e-9


@pytest.fixture(scope="module")
def panel():
    return pd.read_csv(HERE / "staggered_panel.csv")


@pytest.fixture(scope="module")
def numbers():
    return json.loads((HERE / "imputation_family.json").read_text())


@pytest.fixture(scope="module")
def mpdta():
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / "mpdta.csv").is_file():
        pytest.skip("mpdta may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with mpdta.csv")
    return pd.read_csv(Path(folder) / "mpdta.csv")


def after_start(result):
    study = result if result.kind == "event_time" else result.aggregate("event_time")
    table = zip(study.effects.columns["event_time"], study.effects.values, study.effects.se, strict=True)
    return {str(e): (value, se) for e, value, se in table if e >= 0}


def agrees(result, expected, *, value=ITERATED, se=1e-9, study=None):
    assert result.estimate == pytest.approx(expected["estimate"], rel=0, abs=value)
    assert result.se == pytest.approx(expected["se"], rel=0, abs=se)
    ours = after_start(study or result)
    theirs = {e: pair for e, pair in expected["event_time"].items() if int(e) >= 0}
    assert set(ours) == set(theirs)
    for e, pair in theirs.items():
        assert ours[e][0] == pytest.approx(pair[0], rel=0, abs=value)
        assert ours[e][1] == pytest.approx(pair[1], rel=0, abs=se)


CASES = {
    "balanced": ({}, {}, lambda d: d),
    "unbalanced": ({}, {}, lambda d: d[np.arange(len(d)) % 11 != 3]),
    "x": ({}, {"covariates": ["x"]}, lambda d: d),
}


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("kind", ["imputation", "two_stage"])
def test_two_step_estimators(panel, numbers, kind, case):
    config, more, rows = CASES[case]
    estimator = {"imputation": ck.ImputationDiD, "two_stage": ck.TwoStageDiD}[kind](**config)
    result = estimator.fit(rows(panel), cohort="cohort", **ROLES, **more)
    agrees(result.aggregate("simple"), numbers["diff-diff"][f"{kind}|{case}"], study=result.aggregate("event_time"))


def test_leaving_one_out(panel, numbers):
    result = ck.ImputationDiD(leave_one_out=True).fit(panel, cohort="cohort", **ROLES)
    expected = numbers["diff-diff"]["imputation|leave_one_out"]
    agrees(result.aggregate("simple"), expected, study=result.aggregate("event_time"))


def test_clusters_share_their_average(panel, numbers):
    # diff-diff takes the auxiliary average by unit even where it clusters; Stata's did_imputation and its port do not.
    result = ck.ImputationDiD().fit(panel, cohort="cohort", cluster="region", **ROLES)
    assert result.se == pytest.approx(numbers["did-imputation"]["region"][1], abs=1e-8)


def test_leads_with_a_covariate(panel, numbers):
    theirs = numbers["did-imputation"]
    result = ck.ImputationDiD().fit(panel, cohort="cohort", covariates=["x"], **ROLES)
    assert result.estimate == pytest.approx(theirs["tau_ate"][0], abs=1e-6)  # its solver stops at 1e-6
    assert result.se == pytest.approx(theirs["tau_ate"][1], abs=1e-8)
    leads = result.leads(2)
    for e in (1, 2):
        j = leads.index(f"event time -{e}")
        assert leads.values[j] == pytest.approx(theirs[f"pre{e}"][0], rel=0, abs=1e-12)


def test_errors_of_leads_count_one_parameter_more_than_did_imputation(panel, numbers):
    """Say where the standard errors of leads differ from did-imputation 0.1.0 (.1116227 and .1115143), and who is right.

    The sandwich of the regression with all its indicators written out is the same in both, to the last digit that the
    package's solver gives. What differs is K in ``(n - 1) / (n - K)``: n = 525 untreated observations, three slopes and
    eight periods are K = 11 here, as in R's fixest and Stata's reghdfe (effects of units are nested in the clusters and
    do not count, but for one constant). did-imputation subtracts its absorbed effects less one, K = 10: the constant is
    not counted. The ratio is sqrt(515 / 514).
    """
    leads = ck.ImputationDiD().fit(panel, cohort="cohort", covariates=["x"], **ROLES).leads(2)
    rows = panel[(panel["cohort"] == 0) | (panel["time"] < panel["cohort"])]
    event = np.where(rows["cohort"] > 0, rows["time"] - rows["cohort"], np.nan)
    effects = [(rows[name].to_numpy()[:, None] == np.unique(rows[name])).astype(float) for name in ("unit", "time")]
    design = np.column_stack([event == -2, event == -1, rows["x"], effects[0], effects[1][:, 1:]]).astype(float)
    bread = np.linalg.inv(design.T @ design)
    scores = design * (rows["y"].to_numpy() - design @ (bread @ (design.T @ rows["y"])))[:, None]
    sums = effects[0].T @ scores
    n, n_clusters = len(rows), effects[0].shape[1]
    plain = np.sqrt(np.diag(bread @ (sums.T @ sums) @ bread))[:2] * np.sqrt(n_clusters / (n_clusters - 1))
    np.testing.assert_allclose(leads.se, plain * np.sqrt((n - 1) / (n - 11)), rtol=1e-12)
    theirs = [numbers["did-imputation"][name][1] for name in ("pre2", "pre1")]
    np.testing.assert_allclose(theirs, plain * np.sqrt((n - 1) / (n - 10)), rtol=1e-8)


@pytest.mark.parametrize(("pre", "post"), [(2, 1), (3, 2)])
@pytest.mark.parametrize("group", ["", "|never"])
def test_stacked(panel, numbers, pre, post, group):
    controls = "never_treated" if group else "not_yet_treated"
    result = ck.StackedDiD(pre_window=pre, post_window=post, control_group=controls).fit(
        panel, cohort="cohort", **ROLES
    )
    agrees(result, numbers["diff-diff"][f"stacked|{pre}|{post}{group}"], value=1e-10, se=1e-10)


@pytest.mark.parametrize("group", ["not_yet_treated", "never_treated"])
def test_extended(panel, numbers, group):
    result = ck.ExtendedTWFE(control_group=group).fit(panel, cohort="cohort", **ROLES)
    expected = numbers["diff-diff"][f"extended|{group}"]
    assert result.estimate == pytest.approx(expected["estimate"], abs=1e-10)
    assert result.se == pytest.approx(expected["se"], abs=1e-10)


@pytest.mark.parametrize(
    ("name", "config"),
    [("clean", {}), ("never", {"control_group": "never_treated"})],
)
def test_local_projections(panel, numbers, name, config):
    result = ck.LocalProjectionsDiD(pre_window=3, post_window=3, **config).fit(panel, cohort="cohort", **ROLES)
    theirs = numbers["diff-diff LPDiD"][name]
    ours = zip(result.effects.columns["event_time"], result.effects.values, result.effects.se, strict=True)
    found = {str(e): [value, se] for e, value, se in ours}
    assert set(found) == set(theirs)
    for e, pair in theirs.items():
        assert found[e] == pytest.approx(pair, rel=0, abs=1e-10)


def test_local_projections_weighted_alike(panel, numbers):
    result = ck.LocalProjectionsDiD(pre_window=3, post_window=3, method="equally_weighted").fit(
        panel, cohort="cohort", **ROLES
    )
    # Estimates only: diff-diff's standard errors are those of regression adjustment (tests/unit has the weighted ones).
    theirs = numbers["diff-diff LPDiD"]["equal"]
    for e, value in zip(result.effects.columns["event_time"], result.effects.values, strict=True):
        assert value == pytest.approx(theirs[str(e)][0], rel=0, abs=1e-10)


@pytest.mark.parametrize("settled", [1, 2])
def test_treatment_that_is_taken_away(panel, numbers, settled):
    result = ck.LocalProjectionsDiD(pre_window=2, post_window=2, stabilization=settled).fit(
        panel, treatment="switch", **ROLES
    )
    theirs = numbers["diff-diff LPDiD"][f"settled|{settled}"]
    ours = after_start(result)
    assert {"0", "1", "2"} == set(ours)
    for e, pair in ours.items():
        assert list(pair) == pytest.approx(theirs[e], rel=0, abs=1e-10)


MPDTA = {"outcome": "lemp", "unit": "countyreal", "time": "year", "cohort": "first.treat"}


def test_mpdta_imputation(mpdta):
    # diff-diff 3.13.0 ImputationDiD; did-imputation 0.1.0 agrees to 2e-8 and 6e-12.
    result = ck.ImputationDiD().fit(mpdta, **MPDTA)
    assert result.estimate == pytest.approx(-0.0477099182778188, abs=1e-11)
    assert result.se == pytest.approx(0.0132224886500164, abs=1e-14)
    horizons = result.aggregate("event_time").effects
    np.testing.assert_allclose(
        horizons.values,
        [-0.0310669271919421, -0.0522348567478679, -0.136078114439988, -0.104707471575626],
        rtol=0,
        atol=1e-11,
    )
    np.testing.assert_allclose(
        horizons.se, [0.01357724974618, 0.0188124268227626, 0.0353419721333736, 0.0337658533577914], rtol=0, atol=1e-13
    )
    other = ck.ImputationDiD(leave_one_out=True).fit(mpdta, **MPDTA)
    assert other.se == pytest.approx(0.013469090063466586, abs=1e-14)
    # did-imputation 0.1.0, pretrends=2.
    np.testing.assert_allclose(result.leads(2).values, [0.006675274182800283, -0.014594381335041448], rtol=0, atol=5e-8)


def test_mpdta_two_stage(mpdta):
    # diff-diff 3.13.0 TwoStageDiD; R did2s 1.2.0 gives -.0477099151094741 (.0134784088236806) with its solver.
    result = ck.TwoStageDiD().fit(mpdta, **MPDTA)
    assert result.estimate == pytest.approx(-0.0477099182778188, abs=1e-11)
    assert result.se == pytest.approx(0.0134784088077591, abs=1e-14)
    study = result.aggregate("event_time").effects
    # R did2s 1.2.0, second stage by event time, -1 left out.
    theirs = np.array(
        [
            [-0.00984915721830964, 0.00900092857839601],
            [0.00953578916694856, 0.00636690143954116],
            [0.00764359009304803, 0.00601724788217637],
            [-0.031066923951815, 0.0136430663288683],
            [-0.0522348535893766, 0.0189638375671794],
            [-0.13607811352486, 0.0353419721333829],
            [-0.104707466810024, 0.0337658533567656],
        ]
    )
    np.testing.assert_allclose(study.values, theirs[:, 0], rtol=0, atol=6e-9)
    np.testing.assert_allclose(study.se, theirs[:, 1], rtol=0, atol=1e-10)


def test_mpdta_extended(mpdta):
    # diff-diff 3.13.0 WooldridgeDiD.
    result = ck.ExtendedTWFE().fit(mpdta, **MPDTA)
    assert result.estimate == pytest.approx(-0.04770991827845325, abs=1e-14)
    assert result.se == pytest.approx(0.01326495778827864, abs=1e-14)
    result = ck.ExtendedTWFE(control_group="never_treated").fit(mpdta, **MPDTA)
    assert result.estimate == pytest.approx(-0.0399512751551762, abs=1e-14)
    assert result.se == pytest.approx(0.0117962774417542, abs=1e-14)


def test_mpdta_stacked(mpdta):
    # diff-diff 3.13.0 StackedDiD, kappa 1 and 1, and 1 and 0.
    result = ck.StackedDiD(pre_window=1, post_window=1).fit(mpdta, **MPDTA)
    assert (result.estimate, result.se) == pytest.approx((-0.03155493662268773, 0.015500570238141276), abs=1e-13)
    result = ck.StackedDiD(pre_window=1, post_window=0).fit(mpdta, **MPDTA)
    assert (result.estimate, result.se) == pytest.approx((-0.01892219908342331, 0.012203217216787876), abs=1e-13)


def test_mpdta_local_projections(mpdta):
    # pyfixest 0.60.0 lpdid(att=False).
    result = ck.LocalProjectionsDiD().fit(mpdta, **MPDTA)
    np.testing.assert_allclose(
        result.effects.values[[0, 1, 3, 4]],
        [0.0033063566925122983, 0.02545992774481104, -0.01757013359713709, -0.05426504067543342],
        rtol=0,
        atol=1e-14,
    )
    np.testing.assert_allclose(
        result.effects.se[[0, 1, 3, 4]],
        [0.024507635554420794, 0.01734696219099411, 0.011398117573193714, 0.017020245582537015],
        rtol=0,
        atol=1e-14,
    )
