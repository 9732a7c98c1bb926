"""Estimators of one panel side by side: aligned, and explained by identities that hold on any panel."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.comparison_words import coefficient_weights

NEVER, NOT_YET = "CallawaySantAnna, never treated", "CallawaySantAnna, not yet treated"
STORES = {"outcome": "sales", "unit": "store", "time": "year", "cohort": "start"}


def random_panel(seed, n=60, periods=6):
    rng = np.random.default_rng(seed)
    start = np.concatenate([[0, 3, 4, 6], rng.choice([0, 3, 4, 6], n - 4)])
    unit, time = np.repeat(np.arange(n), periods), np.tile(np.arange(1, periods + 1), n)
    y = rng.normal(size=n)[unit] + rng.normal(size=periods)[time - 1] + rng.normal(size=n * periods)
    return pd.DataFrame({"store": unit, "year": time, "start": start[unit], "sales": y})


@pytest.fixture(scope="module")
def stores():
    return ck.datasets.staggered_rollout(120, random_state=3)


@pytest.fixture(scope="module")
def found(stores):
    return ck.did.compare(stores, **STORES)


@pytest.mark.parametrize("seed", range(5))
def test_what_must_be_equal_is_equal(seed):
    found = ck.did.compare(random_panel(seed), **STORES)
    value = {name: float(average.values[0]) for name, average in found.averages.items()}
    assert value["SunAbraham"] == pytest.approx(value[NEVER], abs=1e-12)
    assert value["LocalProjectionsDiD"] == pytest.approx(value[NOT_YET], abs=1e-12)
    assert value["TwoStageDiD"] == pytest.approx(value["ImputationDiD"], abs=1e-12)
    assert value["ExtendedTWFE"] == pytest.approx(value["ImputationDiD"], abs=1e-12)
    assert found.left_out == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_of_two_way_fixed_effects_is_explained_to_the_last_digit(seed):
    data = random_panel(seed)
    found = ck.did.compare(data, **STORES)
    split = found.weighing
    assert split.exact
    assert split.by_weights + split.by_rest == pytest.approx(split.gap, abs=1e-13)
    # The part by weights, from the public functions alone.
    table = ck.did.twfe_weights(data, unit="store", time="year", cohort="start").to_frame()
    cells = ck.CallawaySantAnna(base_period="universal").fit(data, **STORES).to_frame()
    both = table.merge(cells[["cohort", "time", "estimate"]], on=["cohort", "time"])
    assert len(both) == len(table)
    by_weights = (both["weight"] * both["estimate"]).sum() - found.averages[NEVER].values[0]
    assert split.by_weights == pytest.approx(by_weights, abs=1e-12)
    assert split.negative == pytest.approx(table.loc[table["weight"] < 0, "weight"].sum(), abs=1e-12)
    assert split.forbidden == pytest.approx(ck.did.bacon_decomposition(data, **STORES).forbidden, abs=1e-12)


def test_the_weights_of_the_coefficient_sum_to_zero_within_cohorts_and_periods():
    data = random_panel(9)
    sample = ck.TWFE().fit(data, **STORES).sample
    cohorts = Cohorts.of(sample)
    weights = coefficient_weights(cohorts, cohorts.treated)
    np.testing.assert_allclose(weights.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(weights.sum(axis=1), 0.0, atol=1e-12)
    means = np.stack([cohorts.outcome[cohorts.of_unit == g].mean(axis=0) for g in range(len(cohorts.sizes))])
    assert (weights * means).sum() == pytest.approx(ck.TWFE().fit(data, **STORES).estimate, abs=1e-12)


def test_averages_are_those_of_the_single_fits(stores, found):
    single = ck.CallawaySantAnna(base_period="universal").fit(stores, **STORES)
    assert found.averages[NEVER].values[0] == pytest.approx(single.estimate, abs=1e-14)
    assert found.averages[NEVER].se[0] == pytest.approx(single.se, abs=1e-14)
    truth = stores.loc[stores["treated"] == 1, "true_effect"].mean()
    for name in found.comparable:
        assert abs(found.averages[name].values[0] - truth) < 4 * found.averages[name].se[0]


def test_stacked_speaks_of_some_cells_and_says_so(found):
    assert found.covered["StackedDiD"] < 0.9
    assert "StackedDiD" not in found.comparable
    said = next(reason for reason in found.reasons if reason.startswith("StackedDiD"))
    assert "of the treated observations only" in said
    assert f"At these event times {NEVER} gives" in said


def test_differences_carry_their_own_error(stores, found):
    first = ck.CallawaySantAnna(base_period="universal").fit(stores, **STORES)
    other = ck.ImputationDiD().fit(stores, **STORES)
    theirs = other - first
    value, se = found.gaps["ImputationDiD"]
    assert value == pytest.approx(theirs.estimate, abs=1e-12)
    assert se == pytest.approx(theirs.se, rel=1e-10)
    assert found.gaps["SunAbraham"] == (0.0, 0.0)


def test_the_words_and_figures_are_there(found, tmp_path):
    text = found.summary()
    assert "Why they differ" in text
    assert "differences before the start, which enter the coefficient too" in text
    assert "compares with units that are treated already" in text
    data = found.plot_data("event_studies")
    assert set(data["series"]) == set(found.results)
    assert data["series"]["TWFE"]["contrast"]
    for kind in found.plots:
        found.plot(kind)
    page = found.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Why the estimators differ" in page
    assert len(found.differences().rows) == len(found.results)


def test_a_real_disagreement_is_called_out():
    data = ck.datasets.staggered_rollout(400, drift=0.1, random_state=1)
    found = ck.did.compare(data, **STORES)
    assert found.checks["pre_trends"].status == "fail"
    assert found.checks["agreement"].status == "warn"
    assert found.checks["agreement"].pvalue < 0.001


def test_without_never_treated_units_some_are_left_out(stores):
    found = ck.did.compare(stores[stores["start"] > 0], **STORES)
    assert 'control_group="not_yet_treated"' in found.left_out[NEVER]
    assert found.reference == NOT_YET
    assert not found.weighing.exact
    assert any("could not be used" in line for line in found.summary().splitlines())


def test_estimators_of_your_own(stores):
    mine = {"cs": ck.CallawaySantAnna(base_period="universal"), "twfe": ck.TWFE()}
    found = ck.did.compare(stores, estimators=mine, **STORES)
    assert tuple(found.averages) == ("cs", "twfe")
    some = ck.did.compare(stores, estimators=["ImputationDiD", "TWFE"], **STORES)
    assert some.reference == "ImputationDiD"
    with pytest.raises(ck.DesignError, match="names none"):
        ck.did.compare(stores, estimators=["Imputation"], **STORES)
    with pytest.raises(ck.DesignError, match="is not an estimator"):
        ck.did.compare(stores, estimators={"cs": ck.CallawaySantAnna}, **STORES)


def test_covariates_weights_and_a_treatment_column(stores):
    rng = np.random.default_rng(0)
    data = stores.assign(
        x=rng.normal(size=len(stores)), w=rng.uniform(1, 2, stores["store"].nunique())[stores["store"]]
    )
    by_treatment = {key: value for key, value in STORES.items() if key != "cohort"} | {"treatment": "treated"}
    found = ck.did.compare(data, covariates=["x"], weights="w", **by_treatment)
    assert len(found.averages) >= 7
    assert found.weighing.forbidden is None
    assert not found.weighing.exact


def test_roles_are_those_of_the_estimators():
    assert set(ROLES) == set(ck.TWFE.roles)
