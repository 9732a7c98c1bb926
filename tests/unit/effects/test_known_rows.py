from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import causalkit as ck
from causalkit.core.features import Features, Schema
from causalkit.effects.known_rows import filled, typical_values

LEARNERS = {
    "boosted": ck.TLearner(n_folds=2, random_state=0),
    "scikit-learn": ck.TLearner(regressor=LinearRegression(), n_folds=2, random_state=0),
    "forest": ck.CausalForest(n_trees=100, n_folds=2, random_state=0),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_gap_that_the_fit_had_none_of_is_read_as_the_median(trial, roles, name):
    complete = trial.assign(age=trial["age"].fillna(40.0), x=trial["x"] + 5.0)  # zero lies far from every x
    model = LEARNERS[name].fit(complete, **roles, propensity=0.5)
    new = complete.iloc[:20].drop(columns="y")
    gaps, typical = new.assign(x=np.nan), new.assign(x=complete["x"].median())
    np.testing.assert_array_equal(model.cate(gaps), model.cate(typical))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).cate(gaps), model.cate(typical))


def test_gaps_that_the_fit_had_stay_gaps(trial, roles):
    model = LEARNERS["boosted"].fit(trial, **roles, propensity=0.5)
    assert np.isnan(model.typical[1])
    assert np.isnan(model.typical[2])  # a category
    assert model.typical[0] == trial["x"].median()


def test_by_hand():
    values = np.array([[1.0, np.nan, 0.0], [5.0, 2.0, 1.0], [2.0, 3.0, 1.0]])
    typical = typical_values(Features(values, Schema(("a", "b", "c"), (None, None, ("p", "q")))))
    np.testing.assert_array_equal(typical, [2.0, np.nan, np.nan])
    rows = np.array([[np.nan, np.nan, np.nan], [7.0, 1.0, 0.0]])
    np.testing.assert_array_equal(filled(rows, typical), [[2.0, np.nan, np.nan], [7.0, 1.0, 0.0]])
    assert filled(values[1:], typical) is not None


def test_a_model_of_a_dose_knows_its_rows_in_any_order():
    rng = np.random.default_rng(5)
    x, dose = rng.normal(size=300), rng.normal(size=300)
    table = {"y": x + dose * (1 + x) + rng.normal(size=300), "dose": dose, "x": x}
    model = ck.CausalForest(n_trees=100, n_folds=2, regressor="linear", random_state=0).fit(
        table, outcome="y", treatment="dose", covariates="x"
    )
    order = rng.permutation(300)[:200]
    part = {name: column[order] for name, column in table.items()}
    for known in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(known.cate(part), model.cate()[order])
    assert not np.array_equal(model.cate({**part, "y": part["y"] + 1.0}), model.cate()[order])
    nowhere, middle = (model.cate({"x": np.array([value])}) for value in (np.nan, np.median(x)))
    np.testing.assert_array_equal(nowhere, middle)
