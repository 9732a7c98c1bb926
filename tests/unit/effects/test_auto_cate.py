from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import causalkit as ck
from causalkit.effects.stacking import stack_weights
from causalkit.errors import InferenceUnavailable

QUICK = ck.AutoCATE(regressor="linear", classifier="linear", n_folds=2, n_trees=100, random_state=0)


@pytest.fixture(scope="module")
def model(trial, roles):
    return QUICK.fit(trial, **roles, propensity=0.5)


def test_stack_weights_are_the_minimum_on_the_simplex():
    """Against a general optimiser."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        truth = rng.normal(size=80)
        predicted = truth[:, None] * rng.uniform(0, 2, 4) + rng.normal(size=(80, 4)) * rng.uniform(0.1, 2, 4)
        target, weights = truth + rng.normal(size=80), rng.uniform(0.1, 1, 80)

        def loss(a, target=target, predicted=predicted, weights=weights):
            left = target - predicted @ a
            left = left - np.average(left, weights=weights)
            return np.average(left**2, weights=weights)

        found = stack_weights(target, predicted, weights)
        limits = {"type": "ineq", "fun": lambda a: 1 - a.sum()}
        peer = minimize(loss, np.full(4, 0.2), bounds=[(0, 1)] * 4, constraints=[limits], options={"ftol": 1e-14})
        assert (found >= 0).all()
        assert found.sum() <= 1 + 1e-9
        assert loss(found) <= peer.fun + 1e-9


def test_learners_that_point_the_wrong_way_get_nothing():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    predicted = np.column_stack([-truth, rng.normal(size=500) * 1e-3 - truth])
    assert not stack_weights(truth, predicted, np.ones(500)).any()


def test_effects_are_found(model, trial):
    assert np.corrcoef(model.cate(), trial["x"])[0, 1] > 0.9
    assert model.cate().mean() == pytest.approx(model.estimate, abs=1e-8)
    assert model.checks["heterogeneity"].status == "pass"
    weights = [row[1] for row in model.learners.rows]
    assert sum(weights) == pytest.approx(1.0)
    assert [row[0] for row in model.learners.rows][-1] == "constant"
    order = np.random.default_rng(0).permutation(400)
    assert np.array_equal(model.cate(trial.iloc[order]), model.cate()[order])
    fresh = model.cate(trial.assign(x=trial["x"] + 0.001))
    assert np.corrcoef(fresh, model.cate())[0, 1] > 0.9
    with pytest.raises(InferenceUnavailable, match="stack"):
        model.cate_ci()
    back = pickle.loads(pickle.dumps(model))
    assert np.array_equal(back.cate(trial.assign(x=1.0)), model.cate(trial.assign(x=1.0)))


def test_the_verdict_where_nobody_differs(roles):
    """With no differences, most runs say so, and the predictions stay close to the average."""
    said, spread = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        table = pd.DataFrame(
            {"x": rng.normal(size=300), "age": rng.normal(size=300), "group": rng.choice(list("ab"), 300)}
        )
        arm = rng.permutation(np.repeat([0, 1], 150))
        table["y"] = table["x"] + arm + rng.normal(size=300)
        table["arm"] = np.array(["letter", "coupon"])[arm]
        found = QUICK.fit(table, **roles, propensity=0.5)
        said.append(found.checks["heterogeneity"].status)
        spread.append(np.std(found.cate()))
    assert said.count("warn") >= 5
    assert np.median(spread) < 0.05


def test_three_arms(trial, roles):
    arm = np.where(np.arange(400) % 3 == 0, "phone", trial["arm"])
    found = QUICK.fit(trial.assign(arm=arm), **roles, treatment_level="coupon")
    assert found.cate().shape == (400, 2)
    assert found.cate(trial.assign(x=trial["x"] + 0.1).iloc[:4]).shape == (4, 2)
