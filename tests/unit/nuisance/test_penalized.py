from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from causalkit.nuisance.penalized import _PENALTIES, LinearRegressor, ridge


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n", "k", "signal", "noise"),
    [
        (9000, 6, 1.0, 1.0),  # more rows than are worked on at a time
        (300, 20, 1.0, 1.0),
        (300, 20, 0.0, 1.0),  # the largest penalty
        (300, 3, 1.0, 0.0),  # the smallest
        (20, 40, 1.0, 0.5),  # more columns than rows
        (30, 30, 1.0, 0.5),
    ],
)
def test_ridge_is_that_of_scikit_learn(n, k, signal, noise, weighted):
    """Its generalised cross-validation finds the same penalty, slopes and intercept, duplicate columns included."""
    rng = np.random.default_rng(n + k)
    x = rng.normal(size=(n, k)) + 3.0
    x[:, -1] = x[:, 0]
    y = 5.0 + signal * x[:, 0] + noise * rng.normal(size=n)
    weights = rng.random(n) + 0.1 if weighted else None
    found = ridge(x, y, weights)
    theirs = RidgeCV(alphas=_PENALTIES).fit(x, y, sample_weight=weights)
    np.testing.assert_allclose(found.slopes, theirs.coef_, atol=1e-11)
    np.testing.assert_allclose(found.predict(x), theirs.predict(x), rtol=1e-11)


def test_gaps_have_a_flag():
    """A missing number counts as the mean of the others, plus what goes with its being missing."""
    rng = np.random.default_rng(0)
    x, gone = rng.normal(size=(500, 2)), np.arange(500) % 5 == 0
    y = x[:, 0] + 2.0 * gone + 0.1 * rng.normal(size=500)
    x[gone, 1] = np.nan
    filled = np.column_stack([x[:, 0], np.where(gone, np.nanmean(x[:, 1]), x[:, 1]), gone])
    middle, scale = filled.mean(axis=0), filled.std(axis=0)
    middle[1:], scale[1] = (np.nanmean(x[:, 1]), 0.0), np.nanstd(x[:, 1])
    by_hand = np.column_stack([(filled[:, :2] - middle[:2]) / scale[:2], gone])
    theirs = RidgeCV(alphas=_PENALTIES).fit(by_hand, y)
    np.testing.assert_allclose(LinearRegressor().fit(x, y).predict(x), theirs.predict(by_hand), atol=1e-11)


@pytest.mark.parametrize("counted", [1, 2])
def test_few_rows_with_a_weight_give_their_mean(counted):
    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(9, 2)), rng.normal(size=9), (np.arange(9) < counted).astype(float)
    np.testing.assert_allclose(LinearRegressor().fit(x, y, weights).predict(x), y[:counted].mean(), rtol=1e-14)
