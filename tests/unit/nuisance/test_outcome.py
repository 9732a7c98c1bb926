from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.nuisance.crossfit import make_folds
from causalkit.nuisance.outcome import cross_fit_outcomes


def test_each_arm_has_its_own_least_squares(matrix, trial):
    from sklearn.linear_model import LinearRegression

    x, arms, y, *_ = trial(300)
    folds = make_folds(300, 3, arms=arms)
    weights = np.random.default_rng(0).integers(0, 3, size=300).astype(float)
    ours = cross_fit_outcomes(matrix(x), y, arms, folds, regressor=LinearRegression(), weights=weights)
    design = np.column_stack([np.ones(300), x])
    for fold in range(3):
        for arm in (0, 1):
            t = (folds != fold) & (arms == arm)
            root = np.sqrt(weights[t])
            beta = np.linalg.lstsq(root[:, None] * design[t], root * y[t], rcond=None)[0]
            np.testing.assert_allclose(ours[folds == fold, arm], design[folds == fold] @ beta, atol=1e-10)


def test_own_fold_plays_no_part(matrix, trial):
    x, arms, y, *_ = trial(600)
    folds = make_folds(600, 3, arms=arms)
    spoiled = np.where(folds == 1, 1e6 * (1 + np.arange(600)), y)
    before = cross_fit_outcomes(matrix(x), y, arms, folds)
    after = cross_fit_outcomes(matrix(x), spoiled, arms, folds)
    np.testing.assert_array_equal(before[folds == 1], after[folds == 1])


def test_recovers_the_truth(matrix, trial):
    x, arms, y, mu, _ = trial(3000)
    found = cross_fit_outcomes(matrix(x), y, arms, make_folds(3000, 5, arms=arms))
    assert np.sqrt(np.mean((found - mu) ** 2)) < 0.3
    alone = cross_fit_outcomes(matrix(x), y, np.zeros(3000, dtype=np.int32), make_folds(3000, 5))
    assert alone.shape == (3000, 1)
    assert np.sqrt(np.mean((alone[:, 0] - mu.mean(axis=1)) ** 2)) < 0.35


@pytest.mark.parametrize("spec", [None, "linear", "mean"])
def test_follows_units_and_origin(matrix, trial, spec):
    x, arms, y, *_ = trial(800)
    y = np.round(y * 1024) / 1024  # so that y + 1e9 is exact
    folds = make_folds(800, 4, arms=arms)
    plain, large, far = (
        cross_fit_outcomes(matrix(x), values, arms, folds, regressor=spec) for values in (y, y * 1e6, y + 1e9)
    )
    np.testing.assert_allclose(large / 1e6, plain, atol=1e-8)
    np.testing.assert_allclose(far - 1e9, plain, atol=2e-7)  # the spacing of numbers near 1e9 is 1.2e-7
    np.testing.assert_allclose((far - 1e9).mean(axis=0), plain.mean(axis=0), atol=1e-8)


def test_binary_outcomes_are_probabilities(matrix, trial):
    from sklearn.linear_model import LinearRegression

    x, arms, y, mu, _ = trial(1500)
    bought = (y > 1).astype(float)
    folds = make_folds(1500, 5, arms=arms, outcome=bought)
    for options in ({}, {"classifier": "linear"}, {"regressor": LinearRegression()}):
        found = cross_fit_outcomes(matrix(x), bought, arms, folds, **options)
        assert found.min() >= 0.0
        assert found.max() <= 1.0
        assert np.corrcoef(found[:, 0], mu[:, 0])[0, 1] > 0.85
    never = np.where(arms == 0, 0.0, bought)
    assert not cross_fit_outcomes(matrix(x), never, arms, folds)[:, 0].any()


def test_constant_outcome_and_zero_weights(matrix, trial):
    x, arms, y, *_ = trial(400)
    folds = make_folds(400, 4, arms=arms)
    np.testing.assert_array_equal(cross_fit_outcomes(matrix(x), np.full(400, 7.5), arms, folds), 7.5)
    weights = (np.arange(400) % 3 > 0).astype(float)
    poisoned = np.where(weights == 0, 1e9, y)
    np.testing.assert_allclose(
        cross_fit_outcomes(matrix(x), poisoned, arms, folds, weights=weights),
        cross_fit_outcomes(matrix(x), y, arms, folds, weights=weights),
        atol=1e-12,
    )


def test_too_few_rows_are_named(matrix):
    arms = np.array([0] * 20 + [1, 1], dtype=np.int32)
    folds = make_folds(22, 2, arms=arms)
    with pytest.raises(DesignError, match="arm 'mail' has 1 row to train on"):
        cross_fit_outcomes(matrix(np.ones((22, 1))), np.arange(22.0), arms, folds, arm_names=("none", "mail"))
