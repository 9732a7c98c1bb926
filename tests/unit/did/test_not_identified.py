"""What the data can't tell is refused, left out or told: lone units, exact fits, covariates that determine the treatment."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit import did
from causalkit.did.cohorts import Cohorts
from causalkit.did.comparison_align import gap
from causalkit.did.exact_fits import exact_fits
from causalkit.did.pre_trends import pre_trends_check
from causalkit.errors import DataError, DesignError, InferenceUnavailable

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}
EVERY = {
    "CallawaySantAnna": ck.CallawaySantAnna(control_group="not_yet_treated", unbalanced="cells"),
    "SunAbraham": ck.SunAbraham(),
    "ExtendedTWFE": ck.ExtendedTWFE(),
    "ImputationDiD": ck.ImputationDiD(),
    "TwoStageDiD": ck.TwoStageDiD(),
    "StackedDiD": ck.StackedDiD(pre_window=1, post_window=0),
    "LocalProjectionsDiD": ck.LocalProjectionsDiD(),
    "TWFE": ck.TWFE(),
    "TWFE, dynamic": ck.TWFE(dynamic=True),
}


def panel(cohorts, periods=6, seed=0):
    """Return a balanced panel with a unit for each cohort that is named (0: never treated)."""
    rng = np.random.default_rng(seed)
    n, start = len(cohorts), np.asarray(cohorts)
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    table = pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "x": rng.normal(size=unit.size)})
    table["on"] = ((table["cohort"] > 0) & (table["time"] >= table["cohort"])).astype(float)
    table["y"] = rng.normal(size=n)[unit] + 0.3 * time + table["on"] + rng.normal(size=unit.size)
    return table.assign(eligible=unit // 2 % 2, dose=np.where(table["cohort"] > 0, rng.uniform(1, 2, n)[unit], 0.0))


@pytest.mark.parametrize("name", list(EVERY))
@pytest.mark.parametrize("cohorts", [(4, 0), (4, 5)])
def test_one_unit_against_one_has_no_standard_error(name, cohorts):
    with pytest.raises(DesignError, match="there is no standard error"):
        EVERY[name].fit(panel(cohorts), **ROLES)


@pytest.mark.parametrize("periods", [2, 5])
def test_two_way_fixed_effects_of_one_cluster_against_one(periods):
    table = panel([2, 2, 2, 0, 0, 0], periods).assign(state=lambda t: t["cohort"])
    assert ck.TWFE().fit(table, **ROLES).se > 0
    with pytest.raises(DesignError, match="compared with one"):
        ck.TWFE().fit(table, cluster="state", **ROLES)
    spread = table.assign(state=table["unit"] % 2)
    assert ck.TWFE().fit(spread, cluster="state", **ROLES).se > 0


def exact_cell():
    """Two cohorts; in the last period one unit of each kind is left, so that the change to it fits exactly."""
    table = panel([3] * 4 + [5] * 6 + [0] * 6)
    gone = (table["time"] == 6) & ~table["unit"].isin([0, 10])
    return table[~gone]


@pytest.mark.parametrize("name", ["SunAbraham", "ExtendedTWFE", "ImputationDiD", "TwoStageDiD", "LocalProjectionsDiD"])
def test_exact_fits_are_told(name):
    result = EVERY[name].fit(exact_cell(), **ROLES)
    exact = exact_fits(result.effects)
    check = result.checks["exact_fits"]
    assert check.status == ("warn" if exact.any() else "pass")
    assert check.statistic == (exact.sum() if exact.any() else None)
    whole = EVERY[name].fit(panel([3] * 4 + [5] * 6 + [0] * 6), **ROLES)
    assert whole.checks["exact_fits"].status == "pass"


def test_a_horizon_of_one_unit_against_one_is_left_out_and_told():
    table = panel([2] * 4 + [0] * 6)
    lone = table[~((table["time"] == 6) & ~table["unit"].isin([0, 4]))]
    result = ck.LocalProjectionsDiD().fit(lone, **ROLES)
    assert result.effects.columns["event_time"] == [0, 1, 2, 3]
    assert "too few of them: -5, -4, -3, -2, 4." in result.checks["horizons"].message
    assert ck.LocalProjectionsDiD(post_window=4).fit(lone, **ROLES).checks["horizons"].status == "warn"


def test_pre_trends_leave_out_what_fits_exactly():
    table = panel([4] * 5 + [0] * 5)
    lone = table[~((table["time"] == 1) & ~table["unit"].isin([0, 5]))]
    result = ck.LocalProjectionsDiD().fit(lone, **ROLES)
    assert list(np.array(result.effects.terms)[exact_fits(result.effects)]) == ["event time -3"]
    assert result.checks["exact_fits"].statistic == 1
    assert result.pre_trends().df[0] == 1
    assert result.pre_trends().statistic == pytest.approx(result.effects.joint_test(["event time -2"]).statistic)
    assert result.checks["pre_trends"].pvalue > 1e-6
    assert did.parallel_trends_test(result)["joint"].pvalue > 1e-6
    with pytest.raises(DesignError, match="fits exactly"):
        did.honest(result)
    with pytest.raises(InferenceUnavailable, match="fit exactly"):
        ck.LocalProjectionsDiD().fit(lone[lone["time"] != 2], **ROLES).pre_trends()


@pytest.mark.parametrize("name", ["CallawaySantAnna", "ImputationDiD", "TwoStageDiD", "triple", "dose"])
def test_effects_before_the_start_only_are_refused(name):
    table = panel([4] * 8 + [5] * 8, seed=1)
    fits = {
        "CallawaySantAnna": lambda: ck.CallawaySantAnna(control_group="not_yet_treated", anticipation=1).fit(
            table, **ROLES
        ),
        "ImputationDiD": lambda: ck.ImputationDiD(anticipation=1).fit(table, **ROLES),
        "TwoStageDiD": lambda: ck.TwoStageDiD(anticipation=1).fit(table, **ROLES),
        "triple": lambda: ck.TripleDifference(control_group="not_yet_treated", anticipation=1).fit(
            table, eligible="eligible", **ROLES
        ),
        "dose": lambda: ck.ContinuousDiD(control_group="not_yet_treated", anticipation=1).fit(
            table, treatment="dose", **ROLES
        ),
    }
    with pytest.raises(DesignError, match="no effect after the start can be estimated"):
        fits[name]()


@pytest.mark.parametrize("name", ["SunAbraham", "ExtendedTWFE, never", "TWFE, dynamic"])
def test_cohorts_that_are_not_observed_after_their_start_are_refused(name):
    table = panel([4] * 6 + [0] * 6)
    table = table[(table["cohort"] == 0) | (table["time"] < 4)]
    estimator = ck.ExtendedTWFE(control_group="never_treated") if name == "ExtendedTWFE, never" else EVERY[name]
    with pytest.raises(DesignError, match="no effect after the start can be estimated"):
        estimator.fit(table, **ROLES)


def test_leads_that_units_absorb_make_trends_untestable():
    table = panel([3] * 6 + [0] * 6, periods=4)
    first = table.groupby("unit")["time"].transform("min")
    table = table[(table["cohort"] == 0) | (table["time"] >= 3) | (table["time"] == first + table["unit"] % 2)]
    for estimator in (ck.ImputationDiD(), ck.TwoStageDiD(), ck.ExtendedTWFE()):
        result = estimator.fit(table, **ROLES)
        assert result.checks["pre_trends"].status == "untestable"
        with pytest.raises(InferenceUnavailable, match="no lead is identified"):
            result.leads()


def test_residuals_that_sum_to_zero_are_no_effects_before_the_start():
    """Until period 4, the units of the later cohort are all that is untreated: the first stage fits their means."""
    table = panel([2] * 6 + [6] * 6, periods=7)
    cells = ck.TwoStageDiD().fit(table, **ROLES).cells
    assert [(c, t) for c, t, post in zip(cells.cohort, cells.time, cells.post, strict=True) if not post] == []
    three = ck.TwoStageDiD().fit(panel([2] * 6 + [6] * 6 + [0] * 6, periods=7), **ROLES)
    assert sum(not post for post in three.cells.post) == 4  # of the cohort of 6, all but the reference
    assert not exact_fits(three.effects).any()


@pytest.mark.parametrize("name", ["TWFE", "SunAbraham", "StackedDiD"])
def test_a_covariate_that_determines_the_treatment_is_refused(name):
    table = panel([4] * 6 + [0] * 6)
    with pytest.raises(DesignError, match=r"not identified.*collinear with"):
        EVERY[name].fit(table.assign(twin=table["on"] * 2.0 - 1.0), covariates=["twin"], **ROLES)


def test_covariates_that_adjust_for_nothing_are_named():
    table = panel([4] * 6 + [5] * 6 + [0] * 6).assign(
        trend=lambda t: t["time"] * 1.0, double=lambda t: 2 * t["x"], of_unit=lambda t: t["unit"] % 3 * 1.0
    )

    def told(estimator, *covariates):
        return estimator.fit(table, covariates=list(covariates), **ROLES).checks["covariates"]

    assert told(ck.TWFE(), "x").status == "pass"
    for estimator in (ck.TWFE(), ck.SunAbraham(), ck.ImputationDiD()):
        assert "trend: it is absorbed by unit and time" in told(estimator, "trend").message
        assert "double: it is collinear with x" in told(estimator, "x", "double").message
    assert "trend: it is absorbed by event time" not in told(ck.TWFE(), "trend").message
    assert "double: it is collinear with x" in told(EVERY["StackedDiD"], "x", "double").message
    assert told(ck.ExtendedTWFE(), "of_unit").status == "pass"
    assert told(ck.ExtendedTWFE(), "x", "double").status == "pass"
    assert "'on x" in told(ck.ExtendedTWFE(), "on").message


def test_a_covariate_may_have_the_name_of_an_effect():
    table = panel([4] * 6 + [0] * 6)
    plain = ck.TWFE().fit(table, covariates=["x"], **ROLES)
    named = ck.TWFE().fit(table.rename(columns={"x": "treatment"}), covariates=["treatment"], **ROLES)
    assert named.estimate == plain.estimate
    assert named.se == plain.se


def test_weights_of_a_coefficient_that_does_not_exist():
    table = panel([4] * 6 + [0] * 6)
    absorbed = table[(table["cohort"] > 0) == (table["time"] >= 4)]
    for data in (absorbed, absorbed.sample(frac=1.0, random_state=0)):
        with pytest.raises(DesignError, match="determine the treatment"):
            did.twfe_weights(data, unit="unit", time="time", cohort="cohort")
    assert did.twfe_weights(table, unit="unit", time="time", cohort="cohort").weights.sum() == pytest.approx(1.0)


def test_a_curve_needs_a_unit_to_spare():
    table = panel([4] * 4 + [0] * 6)
    with pytest.raises(InferenceUnavailable, match="no cohort has doses that vary enough"):
        ck.ContinuousDiD(order=3).fit(table, treatment="dose", **ROLES)
    assert ck.ContinuousDiD(order=2).fit(table, treatment="dose", **ROLES).effects.se.min() > 1e-3


def test_weights_of_all_sizes_do_not_make_collinear_indicators_independent():
    table = panel([4] * 6 + [5] * 6 + [0] * 6)
    table = table[~((table["cohort"] == 4) & (table["time"] == 3))]  # without its reference
    for seed in range(20):
        weights = 10.0 ** np.random.default_rng(seed).uniform(-5, 5, len(table))
        with pytest.raises(DesignError, match="not identified"):
            ck.SunAbraham().fit(table.assign(w=weights), weights="w", **ROLES)


def test_differences_of_exact_fits_have_no_error():
    table = panel([4] * 5 + [0] * 5)
    first, second = (ck.TWFE().fit(table.assign(y=table["on"] * level), **ROLES).headline_effect for level in (1, 2))
    assert gap(first, first) == (0.0, 0.0)
    assert gap(first, second)[1] is None


def test_estimators_without_a_common_cell():
    table = panel([3] * 6 + [5] * 6 + [0] * 6)

    class Early(type(ck.CallawaySantAnna())):
        def estimate(self, sample):
            cohorts = Cohorts.of(sample)
            return super().estimate(sample.take(np.flatnonzero(cohorts.start[cohorts.panel.unit.codes] != 4)))

    class Late(type(ck.CallawaySantAnna())):
        def estimate(self, sample):
            cohorts = Cohorts.of(sample)
            return super().estimate(sample.take(np.flatnonzero(cohorts.start[cohorts.panel.unit.codes] != 2)))

    with pytest.raises(DesignError, match="no treated cell"):
        did.compare(table, estimators={"early": Early(), "late": Late()}, **ROLES)


def test_pre_trends_of_few_exact_leads_do_not_raise():
    result = ck.ImputationDiD().fit(exact_cell(), **ROLES)
    assert pre_trends_check(result).status in ("pass", "fail", "untestable")


def test_sums_and_rows_refuse_what_a_panel_refuses():
    polars = pytest.importorskip("polars")
    estimator = ck.CallawaySantAnna(control_group="not_yet_treated")
    for table in (panel([4, 0]), panel([4, 5])):
        with pytest.raises(DesignError, match="there is no standard error"):
            estimator.fit(polars.from_pandas(table).lazy(), **ROLES)
        with pytest.raises(DesignError, match="there is no standard error"):
            estimator.fit(table, outcome="y", time="time", cohort="cohort")
    early = ck.CallawaySantAnna(control_group="not_yet_treated", anticipation=1)
    with pytest.raises(DesignError, match="no effect after the start"):
        early.fit(polars.from_pandas(panel([4] * 5 + [5] * 5)).lazy(), **ROLES)


def test_sums_tell_how_few_units_there_are():
    polars = pytest.importorskip("polars")
    table = panel([4] * 3 + [5] * 4 + [2] * 2 + [0] * 5).assign(cohort=lambda t: t["cohort"].replace(2, 1))
    here = ck.CallawaySantAnna().fit(table, **ROLES).checks["few_clusters"]
    there = ck.CallawaySantAnna().fit(polars.from_pandas(table).lazy(), **ROLES).checks["few_clusters"]
    assert (there.status, there.message) == (here.status, here.message)
    assert "12 units, 7 treated" in there.message


def test_uneven_periods_are_what_is_told_where_there_is_no_common_reference():
    table = panel([4] * 5 + [5] * 5 + [0] * 5)
    years = {1: 2001, 2: 2002, 3: 2004, 4: 2005, 5: 2009, 6: 2010}
    uneven = table.assign(time=table["time"].map(years), cohort=table["cohort"].map({0: 0, **years}))
    for tool in (did.honest, did.pretrend_power):
        with pytest.raises(DesignError, match="not evenly spaced") as error:
            tool(ck.SunAbraham().fit(uneven, **ROLES))
        assert "base_period" not in str(error.value)
    assert did.honest(ck.SunAbraham().fit(table, **ROLES)).limits


def test_a_singular_covariance_gives_no_interval_of_fixed_length():
    """Four clusters, six coefficients: the shortest interval would have no length."""
    table = panel([4] * 10 + [0] * 10).assign(state=lambda t: t["unit"] % 2 + 2 * (t["cohort"] > 0))
    result = ck.SunAbraham().fit(table, cluster="state", **ROLES)
    with pytest.raises(InferenceUnavailable, match="singular"):
        did.honest(result, restriction="smoothness")
    assert did.honest(ck.SunAbraham().fit(table, **ROLES), restriction="smoothness").limits
    with pytest.raises(InferenceUnavailable, match="singular"):
        did.honest([0.1, -0.05, 1.0], vcov=np.full((3, 3), 0.01), n_pre=2, restriction="smoothness")


def test_tools_refuse_what_is_no_vector_with_a_covariance():
    good = np.array([0.1, -0.05, 1.0])
    with pytest.raises(DataError, match="must be numbers"):
        did.honest("text", vcov=np.eye(3), n_pre=2)
    with pytest.raises(DataError, match="must be numbers"):
        did.parallel_trends_test("text", vcov=np.eye(3))
    with pytest.raises(DataError, match="not positive semidefinite"):
        did.parallel_trends_test(good[:2], vcov=np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(DataError, match="must be numbers"):
        did.honest(good, vcov=np.eye(3), n_pre=2, magnitudes="large")
    for alpha in ("small", None):
        with pytest.raises(DesignError, match="alpha"):
            did.honest(good, vcov=np.eye(3), n_pre=2, alpha=alpha)
        with pytest.raises(DesignError, match="alpha"):
            did.parallel_trends_test(good[:2], vcov=np.eye(2), alpha=alpha)


def test_a_large_level_of_a_covariate_does_not_matter_to_saturated_slopes():
    table = panel([4] * 6 + [5] * 6 + [0] * 6)
    plain, large = (
        ck.ExtendedTWFE().fit(t, covariates=["x"], **ROLES) for t in (table, table.assign(x=table["x"] + 1e9))
    )
    np.testing.assert_allclose(large.effects.values, plain.effects.values, rtol=0, atol=1e-5)
    np.testing.assert_allclose(large.effects.se, plain.effects.se, rtol=0, atol=1e-5)
