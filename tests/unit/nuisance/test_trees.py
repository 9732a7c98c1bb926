from __future__ import annotations

import pickle

import lightgbm
import numpy as np
import pytest

from causalkit.nuisance.trees import Booster, Trees, without_data


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 5))
    x[:, 1] = x[:, 1].round(1)
    x[rng.random(3000) < 0.2, 2] = np.nan
    x[:, 3] = rng.integers(0, 6, 3000)
    y = x[:, 0] + np.sin(3 * x[:, 1]) + np.where(np.isnan(x[:, 2]), 2.0, x[:, 2] > 0) + rng.normal(size=3000)
    return x, y + np.isin(x[:, 3], (1, 4))


def boost(x, y, rounds=30, categorical="auto", **settings):
    settings = {"num_threads": 1, "verbosity": -1, "seed": 0, "feature_pre_filter": False, **settings}
    data = lightgbm.Dataset(x, y, categorical_feature=categorical, params=settings)
    return lightgbm.train(settings, data, num_boost_round=rounds)


@pytest.mark.parametrize("leaves", [2, 4, 16, 31, 32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_predictions_are_those_of_lightgbm(table, leaves, order):
    """To the last bit, with gaps in covariates that had some when the trees were grown, and in others."""
    x, y = table
    booster = boost(x, y, objective="l2", num_leaves=leaves)
    new = np.array(x, order=order)
    new[::7, 0] = np.nan
    trees = without_data(booster)
    assert isinstance(trees, Trees)
    assert np.array_equal(trees.predict(new), booster.predict(new))
    assert np.array_equal(without_data(booster, 9).predict(new), booster.predict(new, num_iteration=9))


def test_logits_become_probabilities(table):
    x, y = table
    booster = boost(x, (y > 1).astype(float), objective="binary", num_leaves=8)
    trees = without_data(booster)
    assert isinstance(trees, Trees)
    np.testing.assert_allclose(trees.predict(x), booster.predict(x), rtol=1e-14)


def test_trees_that_could_not_be_split(table):
    x, y = table
    booster = boost(x, y, rounds=3, objective="l2", min_data_in_leaf=2000)
    assert np.array_equal(without_data(booster).predict(x), booster.predict(x))
    assert np.ptp(booster.predict(x)) == 0.0


@pytest.mark.parametrize(
    ("settings", "categorical"),
    [
        ({"objective": "l2", "linear_tree": True}, "auto"),
        ({"objective": "l2", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "auto"),
        ({"objective": "l2"}, [3]),
        ({"objective": "l2", "num_leaves": 64}, "auto"),
        ({"objective": "multiclass", "num_class": 3}, "auto"),
        ({"objective": "poisson"}, "auto"),
        ({"objective": "l2", "zero_as_missing": True}, "auto"),
    ],
)
def test_what_is_left_to_lightgbm(table, settings, categorical):
    """Splits by category, big trees, several classes, other objectives and other gaps."""
    x, y = table
    target = np.digitize(y, [0.0, 2.0]) if settings["objective"] != "l2" else y
    booster = boost(x, target.astype(float), categorical=categorical, **settings)
    model = without_data(booster)
    assert isinstance(model, Booster)
    assert np.array_equal(model.predict(x), booster.predict(x))


def test_no_rows_and_pickles(table):
    x, y = table
    trees = without_data(boost(x, y, objective="l2"))
    assert trees.predict(x[:0]).shape == (0,)
    assert np.array_equal(pickle.loads(pickle.dumps(trees)).predict(x), trees.predict(x))


def test_a_narrower_table_is_refused(table):
    x, y = table
    trees = without_data(boost(x, y, objective="l2"))
    with pytest.raises(ValueError, match="there are 1"):
        trees.predict(x[:, :1])
