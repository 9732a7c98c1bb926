from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable

LINEAR = ck.AIPW(regressor="linear", classifier="linear", random_state=0)
BOOSTED = ck.AIPW(n_folds=2, random_state=0)


@pytest.fixture(scope="module")
def result(trial, roles):
    return LINEAR.fit(trial, **roles, cluster="village")


@pytest.fixture(scope="module")
def boosted(trial, roles):
    return BOOSTED.fit(trial, **roles)


def close(a, b, unit=1.0, sd=2.0):
    assert abs(a.estimate / unit - b.estimate) <= 1e-8 * max(abs(b.estimate), sd)
    assert abs(a.se / unit - b.se) <= 1e-8 * sd


def test_recovers_the_effect_and_says_what_it_is(result):
    assert result.estimand == "average effect of coupon minus letter on y"
    assert result.effects.terms == ("coupon minus letter",)
    assert abs(result.estimate - 1.0) < 3 * result.se
    low, high = result.ci()
    assert low < result.estimate < high
    assert result.effects.df[0] == 39
    assert result.effects.numbers.carrier.kind == "CR1"


def test_scores_average_to_the_estimate_in_the_users_order(result, trial):
    assert result.scores.mean() == pytest.approx(result.estimate, rel=1e-12)
    assert not result.scores.flags.writeable
    at = (np.arange(len(trial)), (trial["arm"] == "coupon").to_numpy().astype(int))
    found = result.nuisances
    mu, e = found.mu[at], found.e[at]
    np.testing.assert_allclose(found.scores[at], mu + (trial["y"] - mu) / e, rtol=1e-10)


def test_without_covariates_it_is_the_difference_in_means(trial):
    found = ck.AIPW(random_state=0).fit(trial, outcome="y", treatment="arm", control="letter", propensity=0.5)
    arms = [trial.loc[trial["arm"] == level, "y"] for level in ("coupon", "letter")]
    assert found.estimate == pytest.approx(arms[0].mean() - arms[1].mean(), abs=0.03)
    assert found.se == pytest.approx(np.sqrt(sum(a.var() / len(a) for a in arms)), rel=0.02)


@pytest.mark.usefixtures("unshared")
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.sample(frac=1, random_state=3),
        lambda t: t.set_index(pd.Index(np.arange(len(t))[::-1] * 10)),
        lambda t: t[t.columns[::-1]],
        lambda t: t.astype({"x": "float64", "w": "int8", "village": "int16"}),
        lambda t: t.assign(village=t["village"].map(lambda v: f"v{97 - v}"), group=t["group"].astype("category")),
        lambda t: pl.from_pandas(t.reset_index(drop=True)),
        lambda t: pa.Table.from_pandas(t, preserve_index=False),
    ],
    ids=["order", "index", "columns", "dtype", "labels", "polars", "arrow"],
)
@pytest.mark.parametrize("estimator", [LINEAR, BOOSTED], ids=["linear", "boosted"])
def test_what_must_not_matter(trial, roles, change, estimator):
    base = estimator.fit(trial, **roles, cluster="village", weights="w")
    close(estimator.fit(change(trial), **roles, cluster="village", weights="w"), base)


@pytest.mark.parametrize(("unit", "shift"), [(2.0**20, 0.0), (1e6, 0.0), (1.0, 2.0**30)])
@pytest.mark.parametrize("binary", [False, True])
def test_follows_the_outcome(trial, roles, unit, shift, binary):
    y = np.round(trial["y"] * 64) / 64 if not binary else (trial["y"] > 1).astype(float)
    base = BOOSTED.fit(trial.assign(y=y), **roles)
    close(BOOSTED.fit(trial.assign(y=unit * y + shift), **roles), base, unit)


@pytest.mark.usefixtures("unshared")
def test_threads_seeds_and_other_fits_do_not_matter(trial, roles, boosted):
    BOOSTED.fit(trial.iloc[:200], **roles)
    again = BOOSTED.replace(n_jobs=2).fit(trial, **roles)
    assert again.estimate == boosted.estimate
    assert again.se == boosted.se
    assert np.array_equal(again.scores, boosted.scores)


def test_the_table_stays_as_it_was(trial, roles):
    before = trial.copy(deep=True)
    LINEAR.fit(trial, **roles)
    pd.testing.assert_frame_equal(trial, before)


def test_a_drawn_seed_is_stored_and_replays(trial, roles):
    first = ck.AIPW(regressor="linear", classifier="linear").fit(trial, **roles)
    assert first.estimator.random_state is not None
    assert first.refit().estimate == first.estimate
    assert first.refit(trial).estimate == first.estimate


def test_rows_without_an_outcome_are_dropped_and_counted(trial, roles):
    holed = trial.assign(y=trial["y"].mask(np.arange(len(trial)) % 9 == 0))
    found = LINEAR.fit(holed, **roles)
    kept = LINEAR.fit(holed.dropna(subset="y"), **roles)
    assert found.estimate == kept.estimate
    assert found.n == len(kept.scores) == holed["y"].notna().sum()
    assert found.checks["missing"].status == "warn"


def test_targets(result):
    att = result.ate("treated")
    assert att.estimand == "average effect on the treated of coupon minus letter on y"
    assert att.refit().estimate == att.estimate
    assert result.ate().estimate == pytest.approx(result.estimate, rel=1e-12)
    assert result.ate().se == pytest.approx(result.se, rel=1e-12)
    gap = att - result.ate("control")
    assert 0 < gap.se < att.se
    with pytest.raises(DesignError, match="'overlap'"):
        result.ate("att")


def test_another_variance(trial, roles, boosted):
    hc0 = boosted.with_vcov("HC0")
    assert hc0.se == pytest.approx(boosted.se * np.sqrt(399 / 400), rel=1e-12)
    clustered = boosted.with_vcov("CR1", cluster=trial["village"].to_numpy())
    sums = pd.Series(boosted.scores - boosted.estimate).groupby(trial["village"].to_numpy()).sum()
    count = len(sums)
    assert clustered.se == pytest.approx(np.sqrt((sums**2).sum() * count / (count - 1)) / 400, rel=1e-12)


@pytest.mark.parametrize("clustered", [False, True])
def test_the_variance_of_the_fit_is_had_back(trial, roles, clustered):
    arms = trial.assign(arm=np.where(np.arange(len(trial)) % 3 == 0, "visit", trial["arm"]))
    found = LINEAR.fit(arms, **{**roles, "treatment_level": "coupon"}, cluster="village" if clustered else None)
    kind = "CR1" if clustered else "HC1"
    for result in (found, found.ate("treated"), found.ate("overlap")):
        again = result.with_vcov(kind)
        np.testing.assert_allclose(again.effects.se, result.effects.se, rtol=1e-12)
        np.testing.assert_array_equal(again.effects.df, result.effects.df)


def test_repeated_units_are_clusters(trial, roles):
    by_unit = LINEAR.fit(trial, **roles, unit="village")
    sums = pd.Series(by_unit.scores - by_unit.estimate).groupby(trial["village"].to_numpy()).sum()
    assert by_unit.se == pytest.approx(np.sqrt((sums**2).sum() * 40 / 39) / 400, rel=1e-12)
    folds = pd.Series(by_unit.folds).groupby(trial["village"].to_numpy()).nunique()
    assert (folds == 1).all()


def test_projection_on_covariates(result):
    found = result.blp(["x", "group"])
    assert found.effects.terms[:2] == ("constant", "x")
    assert len(found.effects) == 4
    at = found.effects.index("x")
    assert abs(found.effects.values[at] - 1) < 3 * found.effects.se[at]
    assert found.refit().effects.values[at] == found.effects.values[at]
    with pytest.raises(InferenceUnavailable, match="constant"):
        _ = found.estimate
    with pytest.raises(DataError, match="'age' has 7 missing"):
        result.blp()
    with pytest.raises(DesignError, match="'y' was not a covariate"):
        result.blp("y")


def test_projection_on_a_table(result, trial):
    named, given = result.blp("x"), result.blp(trial[["x"]])
    np.testing.assert_allclose(given.effects.values, named.effects.values, rtol=1e-12)
    with pytest.raises(DesignError, match="3 rows"):
        result.blp(trial[["x"]].iloc[:3])


def test_three_arms(trial, roles):
    arms = np.where(np.arange(len(trial)) % 3 == 0, "phone", trial["arm"])
    table = trial.assign(arm=arms)
    found = LINEAR.fit(table, **roles, treatment_level="phone")
    assert found.effects.terms == ("phone minus letter", "coupon minus letter")
    assert found.headline == "phone minus letter"
    assert found.scores.shape == (len(trial), 2)
    assert len(found.ate("overlap").effects) == 2
    assert found.effects.joint_test().pvalue < 0.01
    with pytest.raises(DesignError, match="'arm' has 3"):
        LINEAR.fit(table, **roles, propensity=0.5)
    unnamed = LINEAR.fit(table, **roles)
    assert unnamed.headline is None
    assert unnamed.estimand == "average effect of each of 2 arms minus letter on y"
    assert "coupon instead of letter" in unnamed.answer
    assert "phone instead of letter" in unnamed.answer
    assert [name for name, _, _ in unnamed.passages()[0].facts][2::2] == list(unnamed.effects.terms)
    assert unnamed.ate("overlap").headline is None
    with pytest.raises(InferenceUnavailable, match="treatment_level="):
        unnamed.blp("x")


def test_a_pickle_still_answers(result):
    back = pickle.loads(pickle.dumps(result))
    assert back.sample is None
    assert back.plots == result.plots
    before, after = result.plot_data("balance"), back.plot_data("balance")
    assert list(after["covariates"]) == list(before["covariates"])
    np.testing.assert_array_equal(after["difference"], before["difference"])
    assert back.ate("treated").estimate == result.ate("treated").estimate
    assert back.checks["balance"].pvalue == result.checks["balance"].pvalue
    with pytest.raises(InferenceUnavailable, match="keep_data"):
        back.refit()


def test_configuration_is_checked_and_round_trips():
    with pytest.raises(DesignError, match="n_folds"):
        ck.AIPW(n_folds=1)
    assert ck.AIPW.from_json(LINEAR.to_json()) == LINEAR


def test_errors_teach(trial, roles):
    with pytest.raises(DesignError, match="control='coupon'"):
        LINEAR.fit(trial, outcome="y", treatment="arm")
    with pytest.raises(DesignError, match="one cluster only"):
        LINEAR.fit(trial.assign(one=1), **roles, cluster="one")
    with pytest.raises(DataError, match="outside"):
        LINEAR.fit(trial, **roles, propensity=1.0)
    with pytest.raises(DataError, match="infinite"):
        LINEAR.fit(trial.assign(y=np.inf), **roles)


def test_constant_outcome_has_no_effect_and_no_error(trial, roles):
    found = LINEAR.fit(trial.assign(y=3.0), **roles)
    assert found.estimate == 0
    assert found.se == 0


def test_report_tells_the_finding_in_words(trial, roles):
    bought = LINEAR.fit(trial.assign(y=(trial["y"] > 1.2).astype(int)), **roles)
    found, certainty = bought.passages()
    assert found.section == "found"
    assert "coupon instead of letter raises y by" in found.text[0]
    labels = [fact[0] for fact in found.facts]
    assert labels == ["y with letter", "y with coupon", "Difference"]
    values = [float(fact[1].split("%")[0].split(" ")[0]) for fact in found.facts]
    assert values[1] - values[0] == pytest.approx(values[2], abs=0.11)
    assert certainty.figure == "effects"
    assert "rows used" in certainty.text[1]


def test_figures_have_their_numbers(result):
    assert result.plots == ("effects", "overlap", "balance")
    for kind in result.plots:
        assert result.plot(kind).axes
    overlap = result.plot_data("overlap")
    assert overlap["arms"] == ["letter", "coupon"]
    assert [len(part) for part in overlap["values"]] == [200, 200]
    with pytest.raises(DesignError, match="'effects'"):
        result.plot_data("toc")
