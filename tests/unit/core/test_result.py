"""Results: the headline, differences, refits, pickles and other variances."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

import causalkit as ck
from causalkit.core.effects import Effects
from causalkit.core.estimate import Covariance, Estimate, Placebos
from causalkit.core.result_map import ResultMap
from causalkit.errors import DesignError, InferenceUnavailable

ROLES = {"outcome": "spend", "treatment": "arm", "control": "none"}


def fit(data, vcov="auto", **roles):
    return ck.OLS(vcov=vcov).fit(data, **{**ROLES, **roles})


@pytest.fixture
def both(study):
    return fit(study), fit(study, covariates=["age", "income"])


def test_headline(study):
    result = fit(study)
    means = study.groupby("arm")["spend"].mean()
    assert result.estimate == pytest.approx(means["coupon"] - means["none"], rel=1e-12)
    assert result.pvalue == result.test().pvalue
    assert result.estimand == "effect of coupon minus none on spend"
    with pytest.raises(DesignError, match="'ar' is not offered by OLS"):
        result.ci(method="ar")


def test_without_a_headline_the_terms_are_listed(study):
    result = dataclasses.replace(fit(study), headline=None)
    for attempt in (lambda: result.estimate, lambda: result.se, result.ci, result.test):
        with pytest.raises(InferenceUnavailable, match="coupon minus none"):
            attempt()
    assert "coupon minus none 0.7212 [0.4564, 0.9860] (95% intervals, n = 300)" in result.answer


@pytest.fixture
def three(study):
    return study.assign(arm=study["arm"].where(np.arange(len(study)) % 3 != 0, "mail"))


def test_of_several_arms_none_is_the_headline_until_it_is_named(three):
    result = fit(three)
    message = r"no single headline.*coupon minus none, mail minus none.*treatment_level="
    for attempt in (lambda: result.estimate, lambda: result.se, lambda: result.pvalue, result.ci, result.test):
        with pytest.raises(InferenceUnavailable, match=message):
            attempt()
    assert result.estimand == "effect of each of 2 arms minus none on spend"
    assert "coupon minus none" in result.answer
    assert "mail minus none" in result.answer
    assert fit(three, treatment_level="mail").estimand == "effect of mail minus none on spend"
    assert fit(three, treatment_level="mail").estimate == result.effects.values[1]


def test_results_of_several_arms_subtract_arm_by_arm(three):
    bare, adjusted = fit(three), fit(three, covariates=["age", "income"])
    found = bare - adjusted
    assert found.effects.terms == bare.effects.terms
    for arm in ("coupon", "mail"):
        pair = [fit(three, treatment_level=arm, covariates=x) for x in ([], ["age", "income"])]
        alone = pair[0] - pair[1]
        at = found.effects.index(f"{arm} minus none")
        assert found.effects.values[at] == pytest.approx(alone.estimate, abs=1e-12)
        assert found.effects.se[at] == pytest.approx(alone.se, rel=1e-10)
    np.testing.assert_array_equal(found.refit().effects.se, found.effects.se)
    with pytest.raises(InferenceUnavailable, match="no single headline"):
        bare - fit(three, treatment_level="mail")


def test_difference_is_that_of_stacked_regressions(both, study):
    """Two regressions on the same rows as one stacked regression, clustered by row (statsmodels)."""
    import statsmodels.api as sm

    a, b = fit(study, "HC0"), fit(study, "HC0", covariates=["age", "income"])
    n = len(study)
    t = (study["arm"] == "coupon").to_numpy(float)
    one, two = (
        np.column_stack([np.ones(n), t]),
        np.column_stack([np.ones(n), t, study[["age", "income"]].to_numpy(float)]),
    )
    X = np.block([[one, np.zeros((n, 4))], [np.zeros((n, 2)), two]])
    y = np.tile(study["spend"].to_numpy(), 2)
    fitted = sm.OLS(y, X).fit(
        cov_type="cluster", cov_kwds={"groups": np.tile(np.arange(n), 2), "use_correction": False}
    )
    contrast = np.array([0, 1, 0, -1, 0, 0])
    found = a - b
    assert found.estimate == pytest.approx(contrast @ fitted.params, abs=1e-12)
    assert found.se == pytest.approx(np.sqrt(contrast @ fitted.cov_params() @ contrast), rel=1e-9)


def test_difference_refits_and_reclusters(both, study):
    found = both[0] - both[1]
    assert found.refit(study).se == found.se
    assert found.refit().estimate == found.estimate
    clustered = found.with_vcov("CR1", study["store"].to_numpy())
    direct = fit(study, cluster="store") - fit(study, covariates=["age", "income"], cluster="store")
    assert clustered.se == pytest.approx(direct.se, rel=1e-10)
    assert found.with_vcov("HC1").se == pytest.approx(found.se, rel=1e-12)
    assert clustered.refit().se == pytest.approx(clustered.se, rel=1e-12)


def test_a_difference_has_the_ledgers_of_both(both):
    found = both[0] - both[1]
    assert list(found.checks) == [f"{at}: {name}" for at in ("first", "second") for name in both[0].checks]
    assert found.checks["second: missing"] is both[1].checks["missing"]


def test_differences_need_to_know_the_rows(study):
    a, b = fit(study), fit(study.copy())
    with pytest.raises(InferenceUnavailable, match="different tables"):
        a - b
    together = ck.difference(a, b, independent=True)
    assert together.se == pytest.approx(np.hypot(a.se, b.se), rel=1e-12)
    by_unit = fit(study, unit="customer") - fit(study.sample(frac=1.0, random_state=1), unit="customer")
    assert by_unit.se == pytest.approx(0.0, abs=1e-12)


def test_halves_are_independent(study):
    a, b = fit(study.iloc[:150], unit="customer"), fit(study.iloc[150:], unit="customer")
    assert (a - b).se == pytest.approx(ck.difference(a, b, independent=True).se, rel=1e-12)


def test_variances_without_influence_do_not_subtract(study):
    with pytest.raises(InferenceUnavailable, match=r"Covariance.*HC0, HC1, CR0 or CR1"):
        fit(study, "HC3") - fit(study, "HC3")


@pytest.mark.parametrize(
    "roles", [{}, {"covariates": ["age", "segment"]}, {"weights": "weight", "covariates": ["age"]}]
)
@pytest.mark.parametrize("vcov", ["HC0", "HC1", "CR0", "CR1"])
def test_another_variance_is_that_of_a_refit(study, roles, vcov):
    clustered = vcov.startswith("CR")
    start = fit(study, **roles) if clustered else fit(study, cluster="store", **roles)
    found = start.with_vcov(vcov, study["store"] if clustered else None)
    refit = fit(study, vcov, **roles, **({"cluster": "store"} if clustered else {}))
    assert found.estimate == refit.estimate
    assert found.se == pytest.approx(refit.se, rel=1e-10)
    assert found.pvalue == pytest.approx(refit.pvalue, rel=1e-8)
    assert found.refit().se == pytest.approx(found.se, rel=1e-12)


def test_the_clusters_of_the_fit_are_remembered(study):
    start = fit(study, cluster="store")
    assert start.with_vcov("HC1").with_vcov("CR1").se == pytest.approx(start.se, rel=1e-12)
    with pytest.raises(DesignError, match="no cluster to go by"):
        fit(study).with_vcov("CR1")


def test_clusters_of_the_whole_table_follow_the_dropped_rows(study):
    gappy = study.assign(spend=study["spend"].where(study.index % 7 > 0))
    whole = fit(gappy).with_vcov("CR1", gappy["store"])
    used = fit(gappy).with_vcov("CR1", gappy["store"][gappy["spend"].notna()])
    assert whole.se == used.se == pytest.approx(fit(gappy, cluster="store").se, rel=1e-10)


@pytest.mark.parametrize(
    ("vcov", "cluster", "message"),
    [
        ("HC3", None, r"'HC3' can't be had.*replace\(vcov='HC3'\)"),
        ("HC1", "array", r"goes with CR0 or CR1"),
        ("CR1", "store", r"names a column"),
        ("CR1", "short", r"shape \(5,\); 300 rows"),
        ("CR1", "constant", r"one cluster only"),
        ("CR1", "gaps", r"1 missing label"),
    ],
)
def test_refused_variances(study, vcov, cluster, message):
    given = {
        "array": study["store"], "short": np.arange(5), "constant": np.zeros(300),
        "gaps": study["store"].where(study.index > 0),
    }.get(cluster, cluster)  # fmt: skip
    with pytest.raises((DesignError, InferenceUnavailable, ck.DataError), match=message):
        fit(study).with_vcov(vcov, given)


def test_a_covariance_can_not_be_reclustered(study):
    with pytest.raises(InferenceUnavailable, match="keeps a Covariance"):
        fit(study, "HC2").with_vcov("HC1")


def test_refit_on_other_data(study):
    result = fit(study, covariates=["age"], cluster="store")
    half = study.iloc[::2]
    assert result.refit(half).estimate == fit(half, covariates=["age"], cluster="store").estimate
    assert result.refit(half).n == 150


@pytest.mark.parametrize("kind", ["array", "series", "list"])
def test_an_array_belongs_to_its_table(study, kind):
    weights = study["weight"]
    given = {"array": weights.to_numpy(), "series": weights}.get(kind)
    if kind == "list":
        result = ck.AIPW(n_folds=2, random_state=0, regressor="mean", classifier="linear").fit(
            study, **ROLES, propensity=[0.5] * len(study)
        )
    else:
        result = fit(study, weights=given)
    assert result.refit().estimate == pytest.approx(result.estimate, rel=1e-12)
    with pytest.raises(DesignError, match="was an array, which belongs to the first table"):
        result.refit(study)


def test_pickles(study, tmp_path, both):
    for result in (both[0], both[0] - both[1]):
        kept = pickle.loads(pickle.dumps(result))
        assert (kept.estimate, kept.se, kept.summary()) == (result.estimate, result.se, result.summary())
        with pytest.raises(InferenceUnavailable, match="no longer holds its data"):
            kept.refit()
        assert kept.refit(study).estimate == result.estimate
        result.to_pickle(tmp_path / "with.pickle", keep_data=True)
        result.to_pickle(tmp_path / "without.pickle")
        assert pickle.loads((tmp_path / "with.pickle").read_bytes()).refit().se == result.se
        assert (tmp_path / "without.pickle").stat().st_size < (tmp_path / "with.pickle").stat().st_size


def test_two_pickles_of_one_table_still_subtract(both):
    a, b = pickle.loads(pickle.dumps(both))
    assert (a - b).se == (both[0] - both[1]).se


def test_results_are_frozen(both):
    with pytest.raises(dataclasses.FrozenInstanceError):
        both[0].n = 1


def test_placebo_results_show_gaps(study):
    result = fit(study)
    placebos = Effects(result.effects.terms, Estimate(result.estimate, Placebos(np.arange(-10.0, 10.0)[:, None] / 100)))
    shown = dataclasses.replace(result, effects=placebos)
    assert shown.pvalue == pytest.approx(1 / 21)
    assert "placebo p-value 0.048" in shown.answer
    row = shown.to_dict()["table"][0]
    assert row["se"] is None
    assert row["pvalue"] == pytest.approx(1 / 21)
    assert json.loads(shown.to_json())["answer"] == shown.answer
    with pytest.raises(InferenceUnavailable):
        _ = shown.se


def test_json_has_no_nan(study):
    broken = Effects(("a", "b"), Estimate([0.0, 1.0], Covariance(np.zeros((2, 2)), np.full(2, np.inf))))
    result = dataclasses.replace(fit(study), effects=broken, headline="b")
    assert json.loads(result.to_json())["table"][0]["statistic"] is None


def test_maps_of_results(study, both):
    several = ResultMap({"plain": both[0], "adjusted": both[1]}, "Two regressions")
    assert list(several) == ["plain", "adjusted"]
    assert several.to_frame()["result"].tolist() == ["plain", "adjusted"]
    assert set(several.checks) == {f"{name}: {check}" for name in several for check in several[name].checks}
    assert several.checks["plain: missing"] == both[0].checks["missing"]
    assert several.refit(study)["adjusted"].estimate == both[1].estimate
    assert "Two regressions" in several.summary()
    with pytest.raises(KeyError, match="plain, adjusted"):
        several["other"]
    assert ResultMap({}).to_table().rows == ()


def test_large_influence_values_are_folded_unless_they_are_asked_for(study, monkeypatch):
    whole = fit(study)
    monkeypatch.setattr("causalkit.core.estimate.INFLUENCE_LIMIT", 1000)
    folded = fit(study)
    assert isinstance(folded.effects.numbers.carrier, Covariance)
    assert folded.se == whole.se
    with pytest.raises(InferenceUnavailable, match="keep_influence=True"):
        folded.with_vcov("CR1", study["store"].to_numpy())
    with pytest.raises(InferenceUnavailable, match="keep_influence=True"):
        folded - whole
    with ck.options(keep_influence=True):
        kept = fit(study)
    assert kept.with_vcov("CR1", study["store"].to_numpy()).se == whole.with_vcov("CR1", study["store"].to_numpy()).se
    assert isinstance(fit(study).effects.numbers.carrier, Covariance)
