"""UpliftEvaluation: what it computes, what it refuses, and that it follows the house contract."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from scipy import stats

import causalkit as ck
from causalkit.uplift.folds import by_fold
from causalkit.uplift.ranking import rank_weighted_effect


@pytest.fixture(scope="module")
def result(campaign, model):
    return ck.UpliftEvaluation(random_state=0).fit(campaign, effect=model)


def test_on_its_own_table_a_model_is_judged_fold_by_fold(result, model):
    effect = model.ranking[:, 0]  # before it is shrunk: folds whose factor is zero rank as well
    exact = by_fold(model.scores, effect, model.folds, "autoc")
    assert result.estimate == pytest.approx(exact.effect.estimate, abs=1e-14)
    assert result.se == pytest.approx(exact.effect.se, rel=1e-12)
    assert result.heterogeneity.pvalue == pytest.approx(exact.pvalue)
    qini = by_fold(model.scores, effect, model.folds, "qini")
    at = result.effects.index("qini")
    assert result.effects.values[at] == pytest.approx(qini.effect.estimate)
    assert result.effects.se[at] == pytest.approx(qini.effect.se)
    assert result.checks["held_out"].status == "pass"


def test_a_copy_is_recognised_and_a_part_refused(campaign, model, result):
    assert ck.UpliftEvaluation(random_state=0).fit(campaign.copy(), effect=model).estimate == result.estimate
    for part in (campaign.iloc[:1000], campaign.iloc[::-1]):
        with pytest.raises(ck.DesignError, match="trained the model"):
            ck.UpliftEvaluation(random_state=0).fit(part, effect=model)


def test_new_rows_get_cross_fitted_scores(fresh, model):
    found = ck.UpliftEvaluation(random_state=0).fit(fresh, effect=model)
    assert found.n == len(fresh)
    assert not found.sample.has("fold")
    scores = found.sample.number("held_out_score")
    exact = rank_weighted_effect(scores, model.cate(fresh))
    assert found.estimate == pytest.approx(exact.estimate)
    assert found.se == pytest.approx(exact.se)
    # Held-out scores are unbiased for the effect whatever the covariates.
    assert scores.mean() == pytest.approx(fresh["true_effect"].mean(), abs=0.07)


def test_numbers_and_columns_rank_alike(fresh, model, roles):
    known = fresh.assign(effect=model.cate(fresh))
    one = ck.UpliftEvaluation(random_state=0).fit(known, effect="effect", **roles)
    two = ck.UpliftEvaluation(random_state=0).fit(fresh, effect=model.cate(fresh), **roles)
    three = ck.UpliftEvaluation(random_state=0).fit(fresh, score=10 * model.cate(fresh) - 3, **roles)
    assert one.estimate == two.estimate == pytest.approx(three.estimate)
    # Scores do not depend on what they judge, so two rankings are compared on the same scores.
    np.testing.assert_array_equal(one.sample.number("held_out_score"), three.sample.number("held_out_score"))
    assert one.checks["held_out"].status == "untestable"
    assert three.checks["calibration"].status == "untestable"


def test_the_truth_is_found_and_noise_is_not(fresh, roles):
    truth = ck.UpliftEvaluation(random_state=0).fit(fresh, effect="true_effect", **roles)
    assert truth.has_evidence
    assert truth.answer.startswith("The ranking is better than a random one")
    assert truth.checks["heterogeneity"].status == "pass"
    assert truth.checks["calibration"].status == "pass"
    noise = ck.UpliftEvaluation(random_state=0).fit(
        fresh, score=np.random.default_rng(1).normal(size=len(fresh)), **roles
    )
    assert not noise.has_evidence
    assert noise.answer.startswith("No evidence of heterogeneity")
    assert noise.checks["heterogeneity"].status == "warn"


def test_a_constant_effect_is_exactly_zero(fresh, roles):
    found = ck.UpliftEvaluation(random_state=0).fit(fresh, effect=np.full(len(fresh), 0.1), **roles)
    assert found.estimate == 0.0
    assert not found.has_evidence
    assert "same predicted effect" in found.answer
    assert found.checks["calibration"].status == "untestable"
    tops = found.effects.values[3:]
    np.testing.assert_allclose(tops, found.average)
    for kind in found.plots:
        found.plot(kind)


def test_a_constant_model_has_flat_curves(campaign, roles):
    learner = ck.DRLearner(random_state=0, regressor="mean", classifier="mean", n_boot=10)
    flat = learner.fit(campaign, covariates=["recency"], **roles)
    found = ck.UpliftEvaluation(random_state=0).fit(campaign, effect=flat)
    np.testing.assert_allclose(found.effects.values[3:], found.average, rtol=1e-9)
    np.testing.assert_allclose(found.toc.value, 0.0, atol=1e-12)


def test_another_models_fit_is_accepted(fresh, roles):
    class Foreign:
        def effect(self, x):
            return x.to_numpy()[:, 0] / 100

    found = ck.UpliftEvaluation(random_state=0).fit(fresh, effect=Foreign(), covariates=["recency"], **roles)
    exact = ck.UpliftEvaluation(random_state=0).fit(
        fresh, effect=fresh["recency"] / 100, covariates=["recency"], **roles
    )
    assert found.estimate == pytest.approx(exact.estimate)
    with pytest.raises(ck.DesignError, match="needs covariates"):
        ck.UpliftEvaluation(random_state=0).fit(fresh, effect=Foreign(), **roles)


def test_order_library_and_scale_do_not_matter(fresh, roles):
    import polars as pl

    base = ck.UpliftEvaluation(random_state=0).fit(fresh, effect="recency", covariates=["loyalty"], **roles)
    shuffled = fresh.sample(frac=1, random_state=1)
    for data in (shuffled, pl.from_pandas(fresh)):
        other = ck.UpliftEvaluation(random_state=0).fit(data, effect="recency", covariates=["loyalty"], **roles)
        np.testing.assert_allclose(other.effects.values, base.effects.values, rtol=1e-9)
        np.testing.assert_allclose(other.effects.se, base.effects.se, rtol=1e-9)
    big = ck.UpliftEvaluation(random_state=0).fit(
        fresh.assign(purchase=1e6 * fresh["purchase"]), effect="recency", covariates=["loyalty"], **roles
    )
    np.testing.assert_allclose(big.effects.values, 1e6 * base.effects.values, rtol=1e-8)


def test_bands_hold_the_curve_and_are_wider_than_points(result):
    for kind in ("toc", "gain"):
        low, high = result.band(kind)
        data = result.plot_data(kind)
        inner = slice(0, -1)
        assert (low[inner] <= data["low"][inner] + 1e-12).all()
        assert (high[inner] >= data["high"][inner] - 1e-12).all()
    assert result.plot_data("gain")["value"][-1] == pytest.approx(result.average)


def test_clusters_widen_what_they_should(quick):
    data = ck.datasets.coupon_campaign(1500, n_stores=30, random_state=8)
    fitted = quick(data, cluster="store")
    found = ck.UpliftEvaluation(random_state=0).fit(data, effect=fitted)
    exact = by_fold(fitted.scores, fitted.ranking[:, 0], fitted.folds, groups=found.sample.groups("cluster").codes)
    assert found.se == pytest.approx(exact.effect.se)
    assert found.effects.numbers.carrier.kind == "CR1"


def test_the_house_contract(result, tmp_path, campaign, model):
    assert list(result.to_frame()["term"]) == [
        "autoc",
        "qini",
        "auuc",
        "uplift_top_10",
        "uplift_top_20",
        "uplift_top_30",
    ]
    told = json.loads(result.to_json())
    assert told["has_evidence"] is result.has_evidence
    assert set(result.plots) == {"toc", "gain", "calibration"}
    assert [p.section for p in result.passages()][:2] == ["found", "certainty"]
    assert (result.report(tmp_path / "r.html")).read_text().count('class="ck-figure"') == 3
    back = pickle.loads(pickle.dumps(result))
    assert back.estimate == result.estimate
    assert back.answer == result.answer
    assert result.refit().estimate == result.estimate
    assert result.refit(campaign).estimate == result.estimate
    difference = result - ck.UpliftEvaluation(random_state=0).fit(campaign, effect=model)
    assert difference.estimate == 0.0
    assert difference.se == pytest.approx(0.0, abs=1e-15)


def test_hostile_names(campaign, quick):
    odd = {
        "purchase": "out\ncome `x` <b>",
        "arm": "a|b, $\\beta$",
        "recency": "café \u202e",
        "loyalty": "",
        "channel": "_",
    }
    data = campaign.rename(columns=odd)
    fitted = quick(
        data, outcome=odd["purchase"], treatment=odd["arm"], covariates=[odd["recency"], odd["loyalty"], odd["channel"]]
    )
    found = ck.UpliftEvaluation(random_state=0).fit(data, effect=fitted)
    segments = ck.Segmentation(random_state=0).fit(data, effect=fitted)
    plan = ck.Targeting(value=10.0, cost=0.3, random_state=0).fit(data, effect=fitted)
    for part in (found, segments, plan):
        part.summary()
        part.to_json()
        part._repr_html_()
        part.to_latex()
        for kind in part.plots:
            part.plot(kind)


def test_refusals_teach(fresh, campaign, roles):
    with pytest.raises(ck.DesignError, match="effect= is missing"):
        ck.UpliftEvaluation(random_state=0).fit(fresh)
    with pytest.raises(ck.DesignError, match="outcome= is missing"):
        ck.UpliftEvaluation(random_state=0).fit(fresh, effect="recency", treatment="arm", control="no_coupon")
    average = ck.OLS().fit(campaign, outcome="purchase", treatment="arm", control="no_coupon")
    with pytest.raises(ck.DesignError, match="average effects"):
        ck.UpliftEvaluation(random_state=0).fit(campaign, effect=average)
    with pytest.raises(ck.DesignError, match="alpha"):
        ck.UpliftEvaluation(alpha=0.0)
    with pytest.raises(ck.DesignError, match="shape"):
        ck.UpliftEvaluation(random_state=0).fit(fresh, effect=np.ones(5), **roles)


def test_rows_without_an_effect_are_dropped_and_told(fresh, roles):
    gaps = fresh.assign(effect=fresh["recency"].where(fresh.index >= 100))
    found = ck.UpliftEvaluation(random_state=0).fit(gaps, effect="effect", **roles)
    assert found.n == len(fresh) - 100
    assert "100" in found.checks["missing"].message


def test_rate_is_the_array_level_number(model):
    found = ck.uplift.rate(model.scores, model.cate(), method="qini")
    exact = rank_weighted_effect(model.scores, model.cate(), "qini")
    assert found.estimate == pytest.approx(exact.estimate)
    assert found.se == pytest.approx(exact.se)
    assert found.curve.value[-1] == 0.0
    found.plot("toc")
    other = ck.uplift.rate(model.scores, model.baseline(), method="qini")
    paired = found - other
    assert paired.estimate == pytest.approx(found.estimate - other.estimate)
    assert found.refit().estimate == found.estimate
    clustered = ck.uplift.rate(model.scores, model.cate(), cluster=np.arange(len(model.scores)) // 10)
    assert clustered.effects.numbers.carrier.kind == "CR1"
    with pytest.raises(ck.DesignError):
        ck.uplift.rate(model.scores, model.cate(), method="other")


def test_the_variance_of_the_fit_is_had_back(result, campaign, model):
    np.testing.assert_allclose(result.with_vcov("HC1").effects.se, result.effects.se, rtol=1e-12)
    groups = np.arange(len(campaign)) // 10
    clustered = ck.uplift.rate(model.scores, model.cate(), cluster=groups)
    np.testing.assert_allclose(clustered.with_vcov("CR1").se, clustered.se, rtol=1e-12)
    assert clustered.with_vcov("CR1").effects.df == clustered.effects.df == len(np.unique(groups)) - 1


def test_few_clusters_are_judged_by_t(fresh, model):
    known = fresh.assign(village=np.arange(len(fresh)) % 12)
    found = ck.UpliftEvaluation(random_state=0).fit(known, effect=model, cluster="village")
    t = found.estimate / found.se
    assert found.heterogeneity.pvalue == pytest.approx(stats.t(11).sf(t), rel=1e-9)
    assert found.pvalue == pytest.approx(2 * stats.t(11).sf(abs(t)), rel=1e-9)
    assert (found.effects.df[:3] == 11).all()
    assert (found.effects.df[3:] <= 11).all()


def test_the_training_table_with_other_outcomes_is_judged_by_those(campaign, model, result):
    """Rows are known again by their covariates; scores of the fit's outcomes are not those of new ones."""
    doubled = ck.UpliftEvaluation(random_state=0).fit(campaign.assign(purchase=2 * campaign["purchase"]), effect=model)
    assert doubled.average == pytest.approx(2 * result.average, rel=0.1)
    assert doubled.estimate == pytest.approx(2 * result.estimate, rel=0.2)
    swapped = campaign["arm"].map({"coupon": "no_coupon", "no_coupon": "coupon"}).fillna(campaign["arm"])
    other = ck.UpliftEvaluation(random_state=0).fit(campaign.assign(arm=swapped), effect=model)
    assert other.average == pytest.approx(-result.average, rel=0.1)


def test_outcomes_that_do_not_vary_are_told(fresh, roles):
    flat = ck.UpliftEvaluation(random_state=0).fit(fresh.assign(purchase=0.1), effect="recency", **roles)
    assert (flat.estimate, flat.se, flat.pvalue) == (0.0, 0.0, 1.0)
    assert "all held-out scores are the same" in flat.answer
    assert flat.checks["outcome"].status == "fail"
    treated = fresh["arm"] != "no_coupon"
    fixed = fresh.assign(purchase=0.3 * treated + 0.1 * fresh["recency"])
    linear = ck.UpliftEvaluation(random_state=0).fit(fixed.assign(purchase=0.3 * treated), effect="recency", **roles)
    assert (linear.estimate, linear.se) == (0.0, 0.0)
    assert linear.average == pytest.approx(0.3)


def test_more_refusals_teach(fresh, campaign, roles, model):
    run = ck.UpliftEvaluation(random_state=0)
    with pytest.raises(ck.DesignError, match="score= was given too"):
        run.fit(fresh, effect="recency", score="loyalty", **roles)
    with pytest.raises(ck.DesignError, match="effect= is missing"):
        run.fit(fresh, score=[], **roles)
    with pytest.raises(ck.DesignError, match="that is not fitted"):
        run.fit(fresh, effect=ck.DRLearner(), **roles)
    with pytest.raises(ck.DesignError, match="held-out scores need 5 in each arm"):
        run.fit(fresh.iloc[:8], effect="recency", **roles)
    with pytest.raises(ck.DesignError, match="folds cut clusters"):
        run.fit(campaign.assign(village=np.arange(len(campaign)) // 10), effect=model, cluster="village")
    listed = run.fit(fresh, score=fresh["recency"].tolist(), **roles)
    assert listed.estimate == run.fit(fresh, score="recency", **roles).estimate
