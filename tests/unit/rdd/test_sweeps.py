"""Sweeps reuse one pass; each row must be what a fit of its own says. And the checks that read them."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError

ROLES = {"outcome": "next_vote", "running": "margin"}


def elections(**changes):
    return ck.datasets.close_elections(1500, random_state=3, **changes)


@pytest.fixture(scope="module")
def result():
    return ck.RegressionDiscontinuity().fit(elections(), covariates=["previous_vote", "turnout"], **ROLES)


def test_bandwidths(result):
    found = result.sensitivity_to_bandwidth([5.0, 10.0])
    ratio = result.bandwidths.bias_left / result.bandwidths.left
    for _, row in found.iterrows():
        estimator = ck.RegressionDiscontinuity(bandwidth=row["bandwidth"], bias_bandwidth=row["bandwidth"] * ratio)
        alone = estimator.fit(elections(), covariates=["previous_vote", "turnout"], **ROLES)
        np.testing.assert_allclose(row[["estimate", "se"]].to_numpy(float), [alone.estimate, alone.se], rtol=1e-10)
        assert (row["n_below"], row["n_above"]) == alone.n_effective
        np.testing.assert_allclose(row[["ci_low", "ci_high"]].to_numpy(float), alone.ci(), rtol=1e-9)
    assert len(result.sensitivity_to_bandwidth()) == 11
    with pytest.raises(DesignError, match="positive"):
        result.sensitivity_to_bandwidth([0.0])


def test_placebo_cutoffs():
    data = elections()
    result = ck.RegressionDiscontinuity().fit(data, **ROLES)
    found = result.placebo_cutoffs(6)
    assert set(found["side"]) == {"below", "above"}
    for _, row in found.iterrows():
        side = data[data["margin"] >= 0] if row["side"] == "above" else data[data["margin"] < 0]
        alone = ck.RegressionDiscontinuity(cutoff=row["cutoff"]).fit(side, **ROLES)
        np.testing.assert_allclose(row[["estimate", "se"]].to_numpy(float), [alone.estimate, alone.se], rtol=1e-8)
        np.testing.assert_allclose(row["bandwidth"], alone.bandwidths.left, rtol=1e-8)
    with pytest.raises(DesignError, match="at least 1"):
        result.placebo_cutoffs(0)


def test_placebos_of_a_fuzzy_design_are_jumps_of_the_outcome():
    accounts = ck.datasets.account_eligibility(3000)
    roles = {"outcome": "hours", "running": "days_open"}
    estimator = ck.RegressionDiscontinuity(cutoff=730)
    fuzzy = estimator.fit(accounts, treatment="advised", **roles)
    sharp = estimator.fit(accounts, **roles)
    pd.testing.assert_frame_equal(fuzzy.placebo_cutoffs(4), sharp.placebo_cutoffs(4), rtol=1e-9)


def test_balance(result):
    data = elections()
    found = result.balance().set_index("covariate")
    alone = ck.RegressionDiscontinuity().fit(data, outcome="turnout", running="margin")
    row = found.loc["turnout"]
    np.testing.assert_allclose(row[["estimate", "se"]].to_numpy(float), [alone.estimate, alone.se], rtol=1e-9)
    assert row["pvalue_adjusted"] >= row["pvalue"] == pytest.approx(alone.pvalue)
    other = ck.RegressionDiscontinuity().fit(data, **ROLES)
    pd.testing.assert_frame_equal(other.balance(["previous_vote", "turnout"], data=data), result.balance(), rtol=1e-9)
    with pytest.raises(DesignError, match="no covariate of the fit"):
        result.balance(["nothing"])
    with pytest.raises(DesignError, match="columns="):
        other.balance(data=data)


def test_a_sound_design_passes(result):
    status = {name: check.status for name, check in result.checks.items()}
    assert {"missing", "density", "balance", "placebo_cutoffs", "donut", "bandwidth_sensitivity"} <= set(status)
    assert status["density"] == status["balance"] == "pass"


def test_sorting_fails_the_density():
    sorted_elections = ck.datasets.close_elections(6000, sorting=0.8, random_state=1)
    result = ck.RegressionDiscontinuity().fit(sorted_elections, covariates=["previous_vote"], **ROLES)
    assert result.checks["density"].status == "fail"
    assert result.checks["density"].pvalue < 0.01


def test_a_covariate_that_jumps_fails_the_balance():
    data = elections()
    data["turnout"] += 6 * (data["margin"] >= 0)
    result = ck.RegressionDiscontinuity().fit(data, covariates=["turnout", "previous_vote"], **ROLES)
    found = result.checks["balance"]
    assert found.status == "fail"
    assert "turnout" in found.message


def test_jumps_elsewhere_are_seen():
    data = elections()
    data["next_vote"] += 25 * np.floor(data["margin"] / 7)
    result = ck.RegressionDiscontinuity().fit(data, **ROLES)
    assert result.checks["placebo_cutoffs"].status == "warn"


def test_few_rows_few_clusters_and_mass_points():
    data = elections().head(200)
    data["margin"] = data["margin"].round()
    data["state"] %= 6
    found = ck.RegressionDiscontinuity().fit(data, cluster="state", **ROLES).checks["effective_sample"]
    assert found.status == "warn"
    for word in ("clusters", "repeat", "Few rows", "Few clusters", "discrete"):
        assert word in f"{found.message} {found.advice}"


def test_a_weak_first_stage_is_named():
    accounts = ck.datasets.account_eligibility(1500, take_up=0.11)
    result = ck.RegressionDiscontinuity(cutoff=730).fit(
        accounts, outcome="hours", running="days_open", treatment="advised"
    )
    found = result.checks["first_stage"]
    jump = result.found.first_stage
    assert found.statistic == pytest.approx((jump.conventional / jump.se) ** 2)
    assert found.status == "warn"
    assert "ar" in found.advice


def test_all_selectors_from_one_pass(result):
    found = ck.rdd.bandwidths(result).set_index("rule")
    assert found.loc["mserd", "left"] == result.bandwidths.left
    two, one, added = (found.loc[rule, "right"] for rule in ("msetwo", "mserd", "msesum"))
    assert found.loc["msecomb2", "right"] == np.median([two, one, added])
    assert found.loc["msecomb1", "left"] == min(found.loc["mserd", "left"], found.loc["msesum", "left"])
    shrink = 1500 ** (-1 / 20)
    assert found.loc["cerrd", "left"] == pytest.approx(shrink * result.bandwidths.left)
    with pytest.raises(DesignError, match="own roles"):
        ck.rdd.bandwidths(result, outcome="turnout")
