from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.nuisance.bundle import fit_nuisances
from causalkit.nuisance.defaults import as_regressor
from causalkit.nuisance.scores import dr_scores

REFERENCE = Path(__file__).parents[2] / "reference" / "nuisance"


@pytest.fixture
def doubleml():
    rows = np.genfromtxt(REFERENCE / "doubleml_irm.csv", delimiter=",", names=True)
    return rows, json.loads((REFERENCE / "doubleml_irm.json").read_text())


def test_scores_give_the_reference_effect(doubleml):
    rows, expected = doubleml
    arms = rows["w"].astype(np.int32)
    e = np.column_stack([1 - rows["m"], rows["m"]])
    scores = dr_scores(rows["y"], arms, np.column_stack([rows["g0"], rows["g1"]]), e)
    effect = scores[:, 1] - scores[:, 0]
    assert effect.mean() == pytest.approx(expected["coef"], abs=1e-10)
    assert effect.std() / np.sqrt(len(effect)) == pytest.approx(expected["se"], abs=1e-10)


def test_outcome_models_are_the_reference_ones(doubleml, matrix):
    from sklearn.linear_model import LinearRegression

    rows, expected = doubleml
    x = np.column_stack([rows[f"x{j}"] for j in range(5)])
    folds = (np.arange(len(rows)) % 5).astype(np.int32)
    arms = rows["w"].astype(np.int32)
    found = fit_nuisances(
        matrix(x), rows["y"], arms, propensity=rows["m"], folds=folds, regressor=LinearRegression(), classifier="linear"
    )
    np.testing.assert_allclose(found.mu, np.column_stack([rows["g0"], rows["g1"]]), atol=1e-10)
    assert np.mean(found.scores[:, 1] - found.scores[:, 0]) == pytest.approx(expected["coef"], abs=1e-10)
    mixed = (1 - rows["m"]) * rows["g0"] + rows["m"] * rows["g1"]
    np.testing.assert_allclose(found.mean_outcome, mixed, atol=1e-10)


def test_same_for_any_number_of_jobs_and_global_state_is_left_alone(matrix, trial):
    x, arms, y, *_ = trial(700, confounded=True)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (fit_nuisances(matrix(x), y, arms, random_state=4, n_jobs=jobs) for jobs in (1, 3))
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.folds, two.folds)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_effect_is_recovered_under_confounding(matrix, trial):
    errors = []
    for seed in range(2):
        x, arms, y, mu, _ = trial(1500, seed, confounded=True)
        found = fit_nuisances(matrix(x), y, arms, random_state=seed)
        errors.append((found.scores[:, 1] - found.scores[:, 0]).mean() - (mu[:, 1] - mu[:, 0]).mean())
        naive = y[arms == 1].mean() - y[arms == 0].mean()
        assert naive - 0.3 > 0.5
    assert abs(np.mean(errors)) < 0.1


def test_quality_tells_signal_from_noise(matrix, trial):
    x, arms, y, *_ = trial(1500, confounded=True)
    found = fit_nuisances(matrix(x), y, arms).quality
    assert found.metric == "r2"
    assert min(found.outcome_skill) > 0.4
    assert found.propensity_auc > 0.65
    assert found.propensity_skill > 0.05
    noise = np.random.default_rng(0).normal(size=1500)
    dull = fit_nuisances(matrix(x), (noise > 0).astype(float), arms, propensity=0.5).quality
    assert dull.metric == "log_loss"
    assert max(map(abs, dull.outcome_skill)) < 0.03
    assert (dull.propensity_auc, dull.propensity_skill) == (None, None)


def test_clusters_and_three_arms(matrix, trial):
    x, _, y, *_ = trial(900)
    groups = np.repeat(np.arange(90), 10).astype(np.int32)
    arms = (groups % 3).astype(np.int32)
    found = fit_nuisances(matrix(x), y, arms, propensity=[1 / 3] * 3, groups=groups, weights=np.ones(900))
    assert found.scores.shape == (900, 3)
    assert all(len(set(found.folds[groups == g])) == 1 for g in range(90))


def learner_error(matrix, trial, seed, propensity):
    """Error of a doubly robust learner's effect on a trial with half the units treated."""
    x, arms, y, mu, _ = trial(1000, seed)
    scores = fit_nuisances(matrix(x), y, arms, propensity=propensity, random_state=seed).scores
    effect = as_regressor(random_state=seed).fit(x, scores[:, 1] - scores[:, 0]).predict(x)
    return np.sqrt(np.mean((effect - (mu[:, 1] - mu[:, 0])) ** 2))


def compare(matrix, trial, seeds):
    return np.array([[learner_error(matrix, trial, s, p) for p in (None, 0.5)] for s in range(seeds)])


def test_estimated_propensities_cost_nothing_in_a_trial(matrix, trial):
    errors = compare(matrix, trial, 2)
    assert errors[:, 0].mean() <= 1.1 * errors[:, 1].mean()


@pytest.mark.long
def test_estimated_propensities_cost_nothing_in_twenty_trials(matrix, trial):
    errors = compare(matrix, trial, 20)
    assert errors[:, 0].mean() <= 1.1 * errors[:, 1].mean()
    assert (errors[:, 0] / errors[:, 1]).max() <= 1.1
