"""S-, T-, X- and R-learners: what all of them promise, and where each of them comes from."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable

LINEAR = {"regressor": "linear", "classifier": "linear", "n_folds": 2, "random_state": 0}
KINDS = {
    "S": ck.SLearner(random_state=0, n_folds=2),
    "T": ck.TLearner(**LINEAR),
    "X": ck.XLearner(**LINEAR),
    "R": ck.RLearner(**LINEAR, n_boot=10),
    "R without bags": ck.RLearner(**LINEAR, n_boot=0),
    "DR without bags": ck.DRLearner(**LINEAR, n_boot=0),
}
TEXTBOOK = [name for name in KINDS if name != "R"]


@pytest.fixture(scope="module")
def models(trial, roles):
    return {name: kind.fit(trial, **roles, propensity=0.5) for name, kind in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_effects_are_found(models, trial, name):
    effect = models[name].cate()
    assert effect.shape == (400,)
    assert np.corrcoef(effect, trial["x"])[0, 1] > 0.7
    assert effect.mean() == pytest.approx(models[name].estimate, abs=0.15)
    assert np.corrcoef(models[name].baseline(), trial["x"] + 0.02 * trial["age"].fillna(44))[0, 1] > 0.7


@pytest.mark.parametrize("name", KINDS)
def test_rows_of_the_fit_and_others(models, trial, name):
    model = models[name]
    order = np.random.default_rng(0).permutation(400)
    assert np.array_equal(model.cate(trial), model.cate())
    assert np.array_equal(model.cate(trial.iloc[order]), model.cate()[order])
    fresh = model.cate(trial.assign(x=trial["x"] + 0.001))
    assert np.corrcoef(fresh, model.cate())[0, 1] > 0.6
    assert not np.allclose(fresh, model.cate(), atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_pickle(models, trial, name):
    back = pickle.loads(pickle.dumps(models[name]))
    assert back.sample is None
    new = trial.assign(x=trial["x"] + 0.1).iloc[:30]
    assert np.array_equal(back.cate(new), models[name].cate(new))
    assert np.array_equal(back.cate(trial.iloc[::-1]), models[name].cate()[::-1])
    assert back.prediction().effect_se[0] == models[name].prediction().effect_se[0]


@pytest.mark.parametrize("name", TEXTBOOK)
def test_no_interval_for_persons_and_why(models, name):
    with pytest.raises(InferenceUnavailable, match="interval") as error:
        models[name].cate_ci()
    assert "RLearner" in error.value.hint


def test_the_r_learner_has_intervals(models):
    low, high = models["R"].cate_ci(alpha=0.1)
    assert ((low < models["R"].cate()) & (models["R"].cate() < high)).all()


@pytest.mark.parametrize("name", TEXTBOOK)
def test_predictions_without_intervals_are_calibrated_lines(models, name):
    model = models[name]
    found = model.prediction()
    assert np.isfinite(found.effect_se).all()
    assert np.corrcoef(found.effect, model.cate())[0, 1] == pytest.approx(1.0, abs=1e-9)
    assert found.effect.mean() == pytest.approx(model.estimate, abs=1e-9)
    # At the mean prediction, the error of the line is that of the average effect.
    closest = np.argmin(np.abs(model.cate() - model.cate().mean()))
    assert found.effect_se[closest] == pytest.approx(model.se, rel=0.02)


@pytest.mark.usefixtures("unshared")
@pytest.mark.parametrize("name", KINDS)
def test_what_must_not_matter(models, trial, roles, name):
    changed = trial.sample(frac=1, random_state=3).assign(group=lambda t: t["group"].str.upper())
    own = pd.Series(models[name].cate(), index=trial.index).loc[changed.index].to_numpy()
    np.testing.assert_allclose(KINDS[name].fit(changed, **roles, propensity=0.5).cate(), own, atol=1e-9)
    jobs = KINDS[name].replace(n_jobs=2).fit(trial, **roles, propensity=0.5)
    assert np.array_equal(jobs.cate(), models[name].cate())


@pytest.mark.parametrize("name", KINDS)
def test_follows_the_outcome(trial, roles, name):
    y = np.round(trial["y"] * 64) / 64
    base = KINDS[name].fit(trial.assign(y=y), **roles, propensity=0.5).cate()
    for unit, shift in ((1e6, 0.0), (1.0, 2.0**30)):
        found = KINDS[name].fit(trial.assign(y=unit * y + shift), **roles, propensity=0.5).cate()
        np.testing.assert_allclose(found / unit, base, atol=1e-8)


@pytest.mark.parametrize("name", KINDS)
def test_three_arms_are_each_compared_with_the_control(trial, roles, name):
    arm = np.where(np.arange(400) % 3 == 0, "phone", trial["arm"])
    y = trial["y"] + 3.0 * (arm == "phone") * trial["x"]
    model = KINDS[name].fit(trial.assign(arm=arm, y=y), **roles, treatment_level="coupon")
    assert model.cate().shape == (400, 2)
    assert model.cate(trial.assign(x=trial["x"] + 0.1).iloc[:5]).shape == (5, 2)
    assert np.ptp(model.cate()[:, 1]) > 1.5 * np.ptp(model.cate()[:, 0])
    assert np.corrcoef(model.cate()[:, 1], trial["x"])[0, 1] > 0.7
    assert len(model.prediction(arm=2)) == 400


@pytest.mark.usefixtures("unshared")
@pytest.mark.parametrize("name", KINDS)
def test_rows_of_weight_zero_teach_nothing(trial, roles, name):
    weights = np.where(np.arange(400) < 100, 0.0, 1.0)
    spoiled = trial.assign(w=weights, y=trial["y"].where(weights > 0, 1e3))
    whole = trial.assign(w=weights)
    a, b = (KINDS[name].fit(t, **roles, propensity=0.5, weights="w") for t in (whole, spoiled))
    new = trial.assign(x=trial["x"] + 0.001).iloc[100:]
    assert np.array_equal(a.cate(new), b.cate(new))


@pytest.mark.parametrize("name", KINDS)
def test_binary_outcomes(trial, roles, name):
    bought = trial.assign(y=(trial["y"] > 1).astype(int))
    effect = KINDS[name].fit(bought, **roles, propensity=0.5, cluster="village").cate()
    assert np.isfinite(effect).all()
    assert np.abs(effect).max() < 2


def test_the_t_learner_is_the_difference_of_the_nuisances(models):
    model = models["T"]
    np.testing.assert_allclose(model.cate(), model.nuisances.mu[:, 1] - model.nuisances.mu[:, 0], atol=1e-12)


def test_the_r_learner_minimises_the_r_loss(trial, roles):
    """With linear effects, each fold is a weighted regression of ratios of residuals."""
    from sklearn.linear_model import LinearRegression

    kind = ck.RLearner(regressor=LinearRegression(), classifier="linear", n_folds=2, n_boot=0, random_state=0)
    model = kind.fit(trial, outcome="y", treatment="arm", control="letter", covariates="x", propensity=0.5)
    w, x = (trial["arm"] == "coupon").to_numpy(float), trial["x"].to_numpy()
    n = model.nuisances
    left, residual = w - 0.5, trial["y"].to_numpy() - n.mean_outcome
    for fold in (0, 1):
        train, test = model.folds != fold, model.folds == fold
        design = left[train, None] * np.column_stack([np.ones(train.sum()), x[train]])
        slope = np.linalg.lstsq(design, residual[train], rcond=None)[0]
        np.testing.assert_allclose(model.cate()[test], slope[0] + slope[1] * x[test], atol=1e-9)


def test_known_propensities_that_vary_blend_the_x_learner(trial, roles):
    chance = np.where(trial["x"] > 0, 0.6, 0.4)
    table = trial.assign(e=chance)
    model = KINDS["X"].fit(table, **roles, propensity="e")
    assert np.corrcoef(model.cate(trial.assign(x=trial["x"] + 0.001)), model.cate())[0, 1] > 0.9


def test_any_learner_pipelines_categories_and_gaps(trial, roles):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline

    ridge = make_pipeline(SimpleImputer(), LinearRegression())
    chance = make_pipeline(SimpleImputer(), LogisticRegression(C=1e3))
    for kind in (ck.SLearner, ck.TLearner, ck.XLearner, ck.RLearner):
        options = {"n_boot": 0} if kind is ck.RLearner else {}
        model = kind(regressor=ridge, classifier=chance, n_folds=2, random_state=0, **options).fit(trial, **roles)
        assert np.isfinite(model.cate()).all()
        assert not hasattr(ridge[-1], "coef_")
    with pytest.raises(DataError, match=r"'age' has .* missing"):
        ck.TLearner(regressor=LinearRegression(), n_folds=2, random_state=0).fit(trial, **roles, propensity=0.5)


def test_default_learners_take_categories_and_gaps(trial, roles):
    for kind in (ck.SLearner, ck.TLearner, ck.XLearner, ck.RLearner):
        model = kind(n_folds=2, random_state=0).fit(trial, **roles)
        assert np.isfinite(model.cate()).all()
        with pytest.raises(DataError, match="'age'"):
            model.cate(trial.drop(columns="age"))


def test_rare_treatment():
    """One in a hundred: the design that the X-learner was made for."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3))
    arm = (rng.permutation(3000) < 30).astype(int)
    table = pd.DataFrame(x, columns=list("abc")).assign(arm=arm, y=x[:, 0] + arm * 2.0 + rng.normal(size=3000))
    for kind in (ck.XLearner, ck.TLearner, ck.SLearner, ck.RLearner):
        options = {"n_boot": 10} if kind is ck.RLearner else {}
        model = kind(random_state=0, n_folds=3, **options).fit(
            table, outcome="y", treatment="arm", covariates=list("abc")
        )
        assert np.isfinite(model.cate()).all()
        assert abs(model.estimate - 2.0) < 4 * model.se


def test_errors_teach(trial, roles):
    one = trial.assign(arm=np.where(np.arange(400) < 1, "coupon", "letter"))
    with pytest.raises(DesignError, match=r"coupon.* has 1 row"):
        KINDS["T"].fit(one, **roles)
    with pytest.raises(DesignError, match="n_boot=3"):
        ck.RLearner(n_boot=3)
    together = trial.assign(village=np.where(trial["arm"] == "coupon", 0, trial["village"] + 1))
    with pytest.raises(DesignError, match="1 cluster"):
        KINDS["X"].fit(together, **roles, cluster="village")


def test_decisions_accept_every_learner(models, trial, roles):
    for name in ("S", "T", "X", "R"):
        found = ck.UpliftEvaluation(random_state=0).fit(trial, effect=models[name])
        assert np.isfinite(found.estimate)
        labels = ck.Segmentation(random_state=0).fit(trial, effect=models[name])
        assert labels.summary()
        plan = ck.Targeting(value=1.0, random_state=0).fit(trial, effect=models[name])
        assert plan.summary()
