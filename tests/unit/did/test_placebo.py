"""Placebos and leaving out: against the same numbers had another way, and with a known answer."""

import pytest

import causalkit as ck
from causalkit.core import format as fmt

STORES = {"outcome": "sales", "unit": "store", "time": "year", "cohort": "start"}
ACCOUNTS = {"outcome": "hours", "unit": "account", "time": "month", "cohort": "start"}


@pytest.fixture(scope="module")
def stores():
    return ck.datasets.staggered_rollout(150, random_state=2)


@pytest.fixture(scope="module")
def accounts():
    return ck.datasets.feature_rollout(90, random_state=2)


@pytest.mark.parametrize(
    "estimator", [ck.CallawaySantAnna(), ck.SunAbraham(), ck.ImputationDiD(), ck.TWFE(), ck.LocalProjectionsDiD()]
)
def test_one_period_earlier_with_one_cohort_is_a_comparison_of_means(accounts, estimator):
    found = ck.did.placebo_in_time(estimator.fit(accounts, **ACCOUNTS), periods=1)
    means = accounts.groupby([accounts["start"] > 0, "month"])["hours"].mean()
    gap = means[True] - means[False]
    base = (
        gap[5]
        if isinstance(estimator, ck.CallawaySantAnna | ck.SunAbraham | ck.LocalProjectionsDiD)
        else gap[:5].mean()
    )
    assert found.found[0].estimate == pytest.approx(gap[6] - base, abs=1e-10)


def test_no_treated_outcome_enters(stores):
    changed = stores.assign(sales=stores["sales"] + 7.0 * stores["treated"] * (stores["store"] % 3))
    for estimator in (ck.CallawaySantAnna(), ck.SunAbraham(), ck.ImputationDiD(), ck.TWFE()):
        before, after = (ck.did.placebo_in_time(estimator.fit(data, **STORES)) for data in (stores, changed))
        assert before.estimates == pytest.approx(after.estimates, abs=1e-9)


def test_a_drift_is_found_and_parallel_trends_pass():
    for drift, status in ((0.0, "pass"), (0.05, "fail")):
        data = ck.datasets.staggered_rollout(300, drift=drift, random_state=4)
        found = ck.did.placebo_in_time(ck.ImputationDiD().fit(data, **STORES))
        assert found.verdict.status == status
        assert found.checks["placebo_in_time"] is found.verdict
        assert len(found.to_table().rows) == 3


@pytest.mark.parametrize("drift", [0.0, 0.02, 0.03])
def test_the_interval_that_is_told_excludes_zero_where_the_adjusted_p_value_says_so(drift):
    data = ck.datasets.staggered_rollout(150, drift=drift, random_state=5)
    found = ck.did.placebo_in_time(ck.ImputationDiD().fit(data, **STORES))
    least = min(found.found, key=lambda row: row.pvalue)
    low, high = least.ci(0.05 / 3)
    assert found.verdict.pvalue == pytest.approx(min(1.0, 3 * least.pvalue), abs=1e-15)
    assert (low > 0 or high < 0) == (found.verdict.pvalue < 0.05)
    assert fmt.interval(low, high, 3) in found.verdict.message
    assert "both adjusted for 3" in found.verdict.message


def test_a_treatment_column_gives_the_same_placebo(stores):
    by_treatment = {key: value for key, value in STORES.items() if key != "cohort"} | {"treatment": "treated"}
    one = ck.did.placebo_in_time(ck.TWFE().fit(stores, **STORES), periods=2)
    two = ck.did.placebo_in_time(ck.TWFE().fit(stores, **by_treatment), periods=2)
    assert one.found[0].estimate == pytest.approx(two.found[0].estimate, abs=1e-12)
    assert one.found[0].se == pytest.approx(two.found[0].se, abs=1e-12)


def test_too_few_periods_are_named(stores):
    late = stores[(stores["year"] >= 2019) & (stores["start"] != 2018)]
    with pytest.raises(ck.InferenceUnavailable, match="at least two periods"):
        ck.did.placebo_in_time(ck.ImputationDiD().fit(late[late["start"] != 2021], **STORES), periods=1)
    with pytest.raises(ck.DesignError, match="at least 1"):
        ck.did.placebo_in_time(ck.ImputationDiD().fit(stores, **STORES), periods=0)


def test_placebo_outcomes_are_fits_of_these_columns(accounts):
    result = ck.CallawaySantAnna().fit(accounts, **ACCOUNTS)
    found = ck.did.placebo_outcome(result, accounts, outcome=["tickets", "true_effect"])
    direct = ck.CallawaySantAnna().fit(accounts, **{**ACCOUNTS, "outcome": "tickets"})
    assert found.found[0].estimate == direct.estimate
    assert found.found[0].pvalue > 0.05
    assert found.verdict.status == "fail"  # the true effect is an outcome that changed
    assert "true_effect" in found.answer


def test_leaving_out_a_cohort_is_a_fit_without_it(stores):
    result = ck.CallawaySantAnna(control_group="not_yet_treated").fit(stores, **STORES)
    found = ck.did.leave_one_cohort_out(result)
    names = [row.name for row in found.found]
    assert names == ["all cohorts", "without 2018", "without 2020", "without 2021", "without never treated"]
    for cohort, row in zip((2018, 2020, 2021, 0), found.found[1:], strict=True):
        direct = result.estimator.fit(stores[stores["start"] != cohort], **STORES)
        assert row.estimate == pytest.approx(direct.estimate, abs=1e-12)
        assert row.se == pytest.approx(direct.se, abs=1e-12)


def test_one_cohort_can_not_be_left_out(accounts):
    with pytest.raises(ck.InferenceUnavailable, match="one cohort only"):
        ck.did.leave_one_cohort_out(ck.TWFE().fit(accounts, **ACCOUNTS))


def test_a_result_that_hangs_on_one_cohort_is_called_out(stores):
    gain = (0.5 * (stores["start"] == 2018) - 0.1 * (stores["start"] != 2018)) * stores["treated"]
    only = stores.assign(sales=stores["sales"] - stores["true_effect"] + gain)
    found = ck.did.leave_one_cohort_out(ck.CallawaySantAnna().fit(only, **STORES))
    assert found.verdict.status == "warn"
    assert "2018" in found.verdict.advice


def test_reports_can_be_drawn_and_written(stores, tmp_path):
    found = ck.did.leave_one_cohort_out(ck.TWFE().fit(stores, **STORES))
    found.plot()
    assert "Leaving out one cohort" in found.report(tmp_path / "page.md").read_text(encoding="utf-8")
