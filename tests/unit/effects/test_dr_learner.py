from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable

LINEAR = ck.DRLearner(regressor="linear", classifier="linear", n_folds=2, n_boot=10, random_state=0)
BOOSTED = ck.DRLearner(n_folds=2, n_boot=10, random_state=0)


@pytest.fixture(scope="module")
def model(trial, roles):
    return BOOSTED.fit(trial, **roles, propensity=0.5, cluster="village")


@pytest.fixture(scope="module")
def linear(trial, roles):
    return LINEAR.fit(trial, **roles, propensity=0.5)


def test_the_headline_is_aipw(model, trial, roles):
    average = ck.AIPW(n_folds=2, random_state=0).fit(trial, **roles, propensity=0.5, cluster="village")
    assert model.estimate == average.estimate
    assert model.se == average.se


def test_zero_predicted_effects_are_no_finding_that_nobody_was_moved():
    # Both arms of every cell of x have the same outcomes: whatever the folds, the average effect is zero.
    data = pd.DataFrame({"y": [0] * 40, "t": [0, 1] * 20, "x": np.arange(40) // 2 % 5})
    none = LINEAR.fit(data, outcome="y", treatment="t", covariates=["x"], propensity=0.5)
    with pytest.raises(InferenceUnavailable, match="no evidence of an effect is not evidence of none"):
        none.calibration_test()


def test_a_difference_that_rounds_to_zero_has_no_minus(linear):
    from types import SimpleNamespace

    shares = SimpleNamespace(study=SimpleNamespace(scale=SimpleNamespace(binary=True, pivot=0.0, unit=1.0)))
    assert type(linear)._show(shares, -1e-9, points=True) == "0.0 points"
    assert type(linear)._show(shares, -0.0123, points=True) == "-1.2 points"
    assert type(linear)._show(shares, 0.5) == "50.0%"


def test_effects_are_found_in_the_users_order(linear, trial):
    effect = linear.cate()
    assert effect.shape == (400,)
    assert np.corrcoef(effect, trial["x"])[0, 1] > 0.9
    assert np.sqrt(np.mean((effect - 1 - trial["x"]) ** 2)) < 0.4
    assert effect.mean() == pytest.approx(linear.estimate, abs=0.05)
    assert np.corrcoef(linear.baseline(), trial["x"] + 0.02 * trial["age"].fillna(44))[0, 1] > 0.9


def test_the_table_of_the_fit_gets_out_of_fold_predictions(model, trial):
    assert np.array_equal(model.cate(trial), model.cate())
    assert np.array_equal(model.cate(trial.copy()), model.cate())
    assert np.array_equal(model.cate(pl.from_pandas(trial)), model.cate())


def test_rows_of_the_fit_are_known_again_in_any_order(model, trial):
    """In part, shuffled, among strangers, with and without the outcome."""
    order = np.random.default_rng(0).permutation(len(trial))[:150]
    for table in (trial, trial.drop(columns="y")):
        assert np.array_equal(model.cate(table.iloc[order]), model.cate()[order])
        low, high = model.cate_ci(table.iloc[order])
        assert np.array_equal(low, model.cate_ci()[0][order])
        assert np.array_equal(high, model.cate_ci()[1][order])
    strangers = trial.iloc[:3].assign(x=7.25)
    mixed = pd.concat([strangers, trial.iloc[order]])
    found = model.cate(mixed)
    assert np.array_equal(found[3:], model.cate()[order])
    assert np.array_equal(found[:3], model.cate(strangers))
    other_outcome = trial.iloc[order].assign(y=lambda t: t["y"] + 1.0)
    assert not np.allclose(model.cate(other_outcome), model.cate()[order])


def test_rows_left_out_of_the_fit_are_predicted_too(trial, roles):
    holed = trial.assign(y=trial["y"].mask(np.arange(400) < 5))
    found = LINEAR.fit(holed, **roles, propensity=0.5)
    whole = found.cate(holed)
    assert whole.shape == (400,)
    assert np.array_equal(whole[5:], found.cate())
    np.testing.assert_allclose(whole[:5], found.cate(holed.iloc[:5]), rtol=1e-12)


def test_a_changed_table_is_new(linear, trial):
    moved = trial.assign(x=trial["x"] + 1)
    assert 0.5 < linear.cate(moved).mean() - linear.cate().mean() < 1.5
    moved = trial.assign(group=trial["group"].map({"red": "green", "green": "blue", "blue": "red"}))
    assert not np.array_equal(linear.cate(moved), linear.cate())


def test_joint_prediction(model, trial):
    found = model.prediction()
    assert np.array_equal(found.effect, model.cate())
    assert np.array_equal(found.baseline, model.baseline())
    assert (np.abs(found.covariance) <= found.baseline_se * found.effect_se * (1 + 1e-9)).all()
    low, high = model.cate_ci(alpha=0.1)
    assert ((low < found.effect) & (found.effect < high)).all()
    from scipy import stats

    np.testing.assert_allclose((high - low) / 2, stats.t.ppf(0.95, model.effects.df[0]) * found.effect_se, rtol=1e-9)
    assert len(model.prediction(trial.iloc[:3])) == 3


def test_where_nothing_is_found_everybody_has_the_average_and_its_interval(trial, roles):
    rng = np.random.default_rng(0)
    found = None
    for seed in range(6):
        flat = trial.assign(y=rng.normal(size=len(trial)).round(3))
        found = LINEAR.replace(random_state=seed).fit(flat, **roles, propensity=0.5)
        if not found.predictor.factors.any():
            break
    assert not found.predictor.factors.any(), "no seed was shrunk to the average"
    np.testing.assert_allclose(found.cate(), found.estimate, rtol=1e-12)
    low, high = found.cate_ci()
    np.testing.assert_allclose([low[0], high[-1]], found.ci(), rtol=1e-9)
    assert "everybody is given the average" in found.passages()[1].text[-1]
    check = found.calibration_test().checks["heterogeneity"]
    assert check.status == "untestable"


def test_shuffled_treatment_leaves_little(trial, roles):
    """With the arms shuffled there is no effect: most runs shrink almost everything."""
    rng = np.random.default_rng(3)
    kept = []
    for _ in range(8):
        shuffled = trial.assign(arm=rng.permutation(trial["arm"]))
        kept.append(LINEAR.fit(shuffled, **roles, propensity=0.5).predictor.factors[:, 1].mean())
    assert np.median(kept) < 0.1


@pytest.mark.usefixtures("unshared")
@pytest.mark.parametrize(
    "change",
    [lambda t: t.sample(frac=1, random_state=3), lambda t: t.assign(group=t["group"].str.upper()), pl.from_pandas],
    ids=["order", "labels", "polars"],
)
def test_what_must_not_matter(trial, roles, model, change):
    changed = change(trial)
    found = BOOSTED.fit(changed, **roles, propensity=0.5, cluster="village")
    own = pd.Series(model.cate(), index=trial.index)
    same = own.loc[changed.index].to_numpy() if isinstance(changed, pd.DataFrame) else own.to_numpy()
    np.testing.assert_allclose(found.cate(), same, atol=1e-9)
    np.testing.assert_allclose(np.sort(found.cate_ci()[0]), np.sort(model.cate_ci()[0]), atol=1e-9)


@pytest.mark.parametrize(("unit", "shift"), [(1e6, 0.0), (1.0, 2.0**30)])
def test_follows_the_outcome(trial, roles, unit, shift):
    y = np.round(trial["y"] * 64) / 64
    base = BOOSTED.fit(trial.assign(y=y), **roles, propensity=0.5)
    found = BOOSTED.fit(trial.assign(y=unit * y + shift), **roles, propensity=0.5)
    np.testing.assert_allclose(found.cate() / unit, base.cate(), atol=1e-8)
    np.testing.assert_allclose(found.prediction().effect_se / unit, base.prediction().effect_se, atol=1e-8)
    np.testing.assert_allclose((found.baseline() - shift) / unit, base.baseline(), atol=1e-6)


@pytest.mark.usefixtures("unshared")
def test_threads_and_other_fits_do_not_matter(trial, roles, model):
    BOOSTED.fit(trial.iloc[:200], **roles, propensity=0.5)
    again = BOOSTED.replace(n_jobs=2).fit(trial, **roles, propensity=0.5, cluster="village")
    assert np.array_equal(again.cate(), model.cate())
    assert np.array_equal(again.prediction().effect_se, model.prediction().effect_se)
    assert np.array_equal(again.cate(trial.iloc[:9]), model.cate(trial.iloc[:9]))


def test_a_pickle_predicts(model, trial):
    back = pickle.loads(pickle.dumps(model))
    assert back.sample is None
    assert np.array_equal(back.cate(trial.iloc[:20]), model.cate(trial.iloc[:20]))
    assert np.array_equal(back.cate(trial), model.cate())
    assert back.calibration_test().effects.values[0] == model.calibration_test().effects.values[0]
    with pytest.raises(InferenceUnavailable, match="keep_data"):
        back.feature_importance()


def test_calibration(linear):
    found = linear.calibration_test()
    assert found.effects.terms == ("mean_prediction", "differential_prediction")
    assert abs(found.effects.values[1] - 1) < 3 * found.effects.se[1]
    check = found.checks["heterogeneity"]
    assert check.status == "pass"
    assert check.pvalue < 1e-4
    assert found.refit().effects.values[1] == found.effects.values[1]


def test_importance_names_the_covariate_that_matters(linear):
    table = linear.feature_importance()
    assert table.rows[0][0] == "x"
    assert 0.8 < table.rows[0][1] <= 1


def test_three_arms(trial, roles):
    table = trial.assign(arm=np.where(np.arange(400) % 3 == 0, "phone", trial["arm"]))
    found = LINEAR.fit(table, **roles)
    assert found.cate().shape == (400, 2)
    assert found.cate(table.iloc[:5]).shape == (5, 2)
    low, high = found.cate_ci()
    assert (low <= high).all()
    assert low.shape == (400, 2)
    assert np.array_equal(found.prediction(arm=2).effect, found.cate()[:, 1])
    with pytest.raises(DesignError, match="from 1 to 2"):
        found.prediction(arm=3)
    assert found.plots == ("effects", "overlap", "balance")
    for speaks_of_one_arm in (found.calibration_test, found.blp, found.feature_importance, found.prediction):
        with pytest.raises(InferenceUnavailable, match=r"'arm' has 3.*treatment_level="):
            speaks_of_one_arm()
    named = LINEAR.fit(table, **roles, treatment_level="phone")
    assert named.calibration_test().effects.terms[0] == "mean_prediction"
    assert np.array_equal(named.prediction().effect, named.cate()[:, 0])
    assert "effect_histogram" in named.plots


def test_any_regressor(trial, roles):
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_depth=2)
    found = ck.DRLearner(regressor=tree, classifier="linear", n_folds=2, n_boot=10, random_state=0).fit(
        trial, **roles, propensity=0.5
    )
    assert np.corrcoef(found.cate(), trial["x"])[0, 1] > 0.5
    assert not hasattr(tree, "tree_")


def test_weights(trial, roles):
    twice = pd.concat([trial, trial[trial["w"] == 2]])
    weighted = LINEAR.fit(trial.assign(w=np.where(trial["w"] == 2, 2, 1)), **roles, propensity=0.5, weights="w")
    assert weighted.estimate == pytest.approx(LINEAR.fit(twice, **roles, propensity=0.5).estimate, abs=0.1)
    scaled = LINEAR.fit(trial.assign(w=10.0 * np.where(trial["w"] == 2, 2, 1)), **roles, propensity=0.5, weights="w")
    np.testing.assert_allclose(scaled.cate(), weighted.cate(), atol=1e-9)


def test_errors_teach(model, trial, roles):
    with pytest.raises(DesignError, match="covariates= is missing"):
        BOOSTED.fit(trial, outcome="y", treatment="arm", control="letter")
    with pytest.raises(DataError, match="'age'"):
        model.cate(trial[["x", "group"]])
    with pytest.raises(DataError, match="not seen"):
        model.cate(trial.assign(group="violet"))
    with pytest.raises(DesignError, match="alpha"):
        model.cate_ci(alpha=5)
    with pytest.raises(DesignError, match="n_boot"):
        ck.DRLearner(n_boot=2)


def test_figures(model):
    assert model.plots == ("effects", "effect_histogram", "overlap", "balance", "calibration")
    for kind in model.plots:
        assert model.plot(kind).axes
    assert model.plot_data("effect_histogram")["average"] == model.estimate
    assert model.passages()[1].figure == "effect_histogram"


def test_a_group_in_one_cluster_has_no_error():
    rng = np.random.default_rng(2)
    shop = np.repeat(np.arange(12), [80, *[20] * 11])  # the first shop holds more than a fifth of the rows
    v = np.where(shop == 0, -5.0, np.where(shop < 6, 0.0, 1.0))
    arm = rng.permutation(np.repeat([0, 1], 150))
    table = {"y": arm * v + 0.1 * rng.normal(size=300), "arm": arm, "v": v, "shop": shop, "far": v < -1}
    found = ck.TLearner(regressor="linear", n_folds=2, random_state=0).fit(
        table, outcome="y", treatment="arm", covariates=["v", "far"], cluster="shop", propensity=0.5
    )
    drawn = found.plot_data("calibration")
    assert min(drawn["estimate"]) > -4.9  # no fifth that is all of one shop
    assert np.isfinite(drawn["low"]).all()
    with pytest.raises(DesignError, match="lies in one cluster of 'shop'"):
        found.gate("far")
