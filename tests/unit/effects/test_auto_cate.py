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


def test_stack_weights_trade_loss_for_evenness():
    """Exponential weights are the minimum of mean loss plus a multiple of the divergence from equal weights."""
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(8):
        truth = rng.normal(size=60)
        predicted = truth[:, None] * rng.uniform(0.3, 1.2, 3) + rng.normal(size=(60, 3)) * rng.uniform(0.1, 0.6, 3)
        target, weights = truth + 4 * rng.normal(size=60), rng.uniform(0.5, 1, 60)
        moved = predicted - np.average(predicted, axis=0, weights=weights)
        left = target - np.average(target, weights=weights)
        losses = np.array([weights @ (left - x) ** 2 for x in (np.zeros(60), *moved.T)])

        def objective(logits, losses=losses):
            a = np.exp(logits) / np.exp(logits).sum()
            return a @ losses / (8 * losses.min() / 60) + a @ np.log(4 * a)

        logits = minimize(objective, np.zeros(4), options={"gtol": 1e-9}).x
        shares = np.exp(logits) / np.exp(logits).sum()
        if shares.min() > 0.011:  # a learner with less is left out
            compared += 1
            assert stack_weights(target, predicted, weights) == pytest.approx(shares[1:], abs=1e-4)
    assert compared >= 5


def test_a_learner_that_knows_gets_all_and_twins_share():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=600)
    noise = rng.normal(size=600)
    found = stack_weights(truth + noise, np.column_stack([truth, truth, noise[::-1]]), np.ones(600))
    assert found == pytest.approx([0.5, 0.5, 0.0], abs=1e-9)
    assert stack_weights(truth, truth[:, None], np.ones(600)) == pytest.approx([1.0])


def test_clusters_and_weights_temper_the_choice():
    """Copies of rows say nothing new where the clusters are told; a weight of two is two rows."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=80)
    predicted = np.column_stack([0.3 * truth, 0.3 * rng.normal(size=80)])
    target = truth + 3 * rng.normal(size=80)
    once = stack_weights(target, predicted, np.ones(80))
    copies = stack_weights(
        np.tile(target, 4),
        np.tile(predicted, (4, 1)),
        np.ones(320),
        groups=np.tile(np.arange(80), 4).astype(np.int32),
    )
    assert copies == pytest.approx(once, abs=1e-12)
    weighted = stack_weights(target, predicted, np.ones(80), own=np.full(80, 2.0))
    assert weighted == pytest.approx(once, abs=1e-12)


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
