from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from causalkit.effects.aipw import AIPW
from causalkit.effects.causal_forest import CausalForest
from causalkit.errors import DesignError

QUICK = {"n_folds": 2, "random_state": 0}
ROLES = {"outcome": "y", "treatment": "arm", "control": "letter", "covariates": ["x", "age", "group"]}


@pytest.fixture(scope="module")
def trial():
    rng = np.random.default_rng(0)
    n = 1000
    arm = rng.integers(0, 2, n)
    table = pd.DataFrame(
        {
            "arm": np.array(["letter", "coupon"])[arm],
            "x": rng.normal(size=n).round(3),
            "age": rng.integers(18, 70, n).astype(float),
            "group": rng.choice(["red", "green", "blue"], n),
            "village": rng.integers(0, 60, n),
            "weight": rng.uniform(0.5, 2.0, n).round(2),
        }
    )
    table["tau"] = 1.0 + 1.0 * (table["x"] > 0) + (table["group"] == "red")
    table["y"] = 0.1 * table["age"] + arm * table["tau"] + rng.normal(size=n)
    table.loc[:9, "age"] = np.nan
    return table


@pytest.fixture(scope="module")
def model(trial):
    return CausalForest(n_trees=300, **QUICK).fit(trial, **ROLES, propensity=0.5, cluster="village", weights="weight")


def test_effects_are_found_in_the_users_order(model, trial):
    assert model.cate().shape == (1000,)
    assert np.corrcoef(model.cate(), trial["tau"])[0, 1] > 0.85
    assert np.sqrt(np.mean((model.cate() - trial["tau"]) ** 2)) < 0.5 * trial["tau"].std()
    low, high = model.cate_ci()
    assert np.mean((low <= trial["tau"]) & (trial["tau"] <= high)) > 0.75  # .78 to .83 over seeds: steps are smoothed
    assert model.feature_importance().rows[0][0] in ("x", "group")
    assert model.feature_importance().rows[-1][0] == "age"


def test_the_headline_is_aipw(model, trial):
    average = AIPW(**QUICK).fit(trial, **ROLES, propensity=0.5, cluster="village", weights="weight")
    assert model.estimate == average.estimate
    assert model.se == average.se


def test_the_baseline_is_the_outcome_without_treatment(model, trial):
    expected = 0.1 * trial["age"].fillna(44)
    for data in (None, trial.iloc[::-1].reset_index(drop=True)):
        found = model.baseline(data) if data is None else model.baseline(data)[::-1]
        assert np.corrcoef(found, expected)[0, 1] > 0.9
        assert np.mean(found - expected) == pytest.approx(0.0, abs=0.2)


def test_the_table_of_the_fit_is_predicted_out_of_bag(model, trial):
    assert np.array_equal(model.cate(trial), model.cate())
    features = trial[["x", "age", "group"]].assign(x=trial["x"] + 1e-9)  # no longer recognised
    turned = model.cate(features)
    assert not np.allclose(turned, model.cate())
    noise = trial["y"] - 0.1 * trial["age"] - (trial["arm"] == "coupon") * trial["tau"]
    own = (noise * np.where(trial["arm"] == "coupon", 1, -1)).fillna(0.0)
    assert np.corrcoef(turned - trial["tau"], own)[0, 1] > np.corrcoef(model.cate() - trial["tau"], own)[0, 1] + 0.05


def test_ranking_goes_with_the_effect(model):
    assert np.corrcoef(model.ranking[:, 0], model.cate())[0, 1] == pytest.approx(1.0)
    assert not model.ranking.flags.writeable


def test_joint_prediction(model, trial):
    found = model.prediction(trial.iloc[:50])
    assert (np.abs(found.covariance) <= found.baseline_se * found.effect_se * (1 + 1e-9)).all()
    assert found.covariance.mean() < 0  # a control too high makes the effect too small


def test_calibration(model):
    found = model.calibration_test()
    assert found.effects.values == pytest.approx([1.0, 1.0], abs=0.35)
    assert found.checks["heterogeneity"].status == "pass"


def test_row_order_and_threads_do_not_matter(trial):
    forest = CausalForest(n_trees=100, regressor="linear", classifier="linear", **QUICK)
    order = np.random.default_rng(0).permutation(1000)
    roles = {**ROLES, "covariates": ["x", "group"]}
    base = forest.fit(trial, **roles, propensity=0.5)
    mixed = forest.replace(n_jobs=2).fit(trial.iloc[order], **roles, propensity=0.5)
    assert mixed.cate() == pytest.approx(base.cate()[order], abs=1e-9)
    assert mixed.cate_ci()[0] == pytest.approx(base.cate_ci()[0][order], abs=1e-7)


def test_the_outcome_can_be_moved_and_stretched(trial):
    forest = CausalForest(n_trees=100, regressor="linear", classifier="linear", **QUICK)
    roles = {**ROLES, "covariates": ["x", "group"]}
    base = forest.fit(trial, **roles, propensity=0.5)
    moved = forest.fit(trial.assign(y=1e6 * trial["y"] + 1e6), **roles, propensity=0.5)
    assert moved.cate() / 1e6 == pytest.approx(base.cate(), abs=1e-6)


def test_several_arms(trial):
    rng = np.random.default_rng(1)
    arm = rng.choice(["a", "b", "c"], 1000)
    y = trial["x"] * (arm == "b") - 2.0 * (arm == "c") + rng.normal(size=1000)
    table = trial.assign(arm=arm, y=y)
    model = CausalForest(n_trees=200, **QUICK).fit(
        table, outcome="y", treatment="arm", control="a", treatment_level="c", covariates=["x", "group"]
    )
    effects = model.cate()
    assert effects.shape == (1000, 2)
    assert effects[:, 0].mean() == pytest.approx(-2.0, abs=0.3)
    assert np.corrcoef(effects[:, 1], trial["x"])[0, 1] > 0.8
    assert model.prediction(arm=2).effect.shape == (1000,)


def test_it_predicts_after_a_pickle(model, trial):
    copy = pickle.loads(pickle.dumps(model))
    people = trial.iloc[:20]
    assert np.array_equal(copy.cate(people), model.cate(people))
    assert np.array_equal(copy.baseline(people), model.baseline(people))


def test_a_binary_outcome_stays_in_its_range(trial):
    rng = np.random.default_rng(2)
    chance = np.where(trial["x"] > 0, 0.3, 0.1) + 0.2 * (trial["arm"] == "coupon")
    model = CausalForest(n_trees=100, **QUICK).fit(
        trial.assign(y=(rng.random(1000) < chance).astype(int)), **ROLES, propensity=0.5
    )
    assert model.cate().mean() == pytest.approx(0.2, abs=0.07)
    assert np.corrcoef(model.baseline(), trial["x"] > 0)[0, 1] > 0.7


def test_refusals(trial):
    with pytest.raises(DesignError, match="n_trees"):
        CausalForest(n_trees=7)
    with pytest.raises(DesignError, match="sample_fraction"):
        CausalForest(sample_fraction=0.7)
    with pytest.raises(DesignError):
        CausalForest(**QUICK).fit(trial, outcome="y", treatment="arm", control="letter")
