from __future__ import annotations

import numpy as np
import pytest

from causalkit.effects.forest.baseline import fit_baseline
from causalkit.nuisance.learners import MeanRegressor
from causalkit.nuisance.penalized import LinearRegressor


def test_the_variance_of_a_mean_is_that_of_a_mean():
    """Over many draws the variance told is s^2 / n, with clusters that of the mean of clusters."""
    arms = np.tile([0, 1], 100).astype(np.int32)
    groups = np.repeat(np.arange(20), 10).astype(np.int32)
    plain, clustered = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x, noise, shock = np.zeros((200, 1)), rng.normal(size=200), rng.normal(size=20)[groups]
        plain.append(fit_baseline(MeanRegressor(), x, noise, arms, None, None, seed=seed).variance)
        clustered.append(fit_baseline(MeanRegressor(), x, noise + shock, arms, None, groups, seed=seed).variance)
    assert np.mean(plain) == pytest.approx(1 / 100, rel=0.2)
    assert np.mean(clustered) == pytest.approx(1 / 100 + 1 / 20, rel=0.2)


def test_the_variance_of_a_line():
    """p + 1 coefficients have mean variance (p + 1) s^2 / n over the rows."""
    arms, found = np.zeros(300, np.int32), []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(300, 4))
        found.append(
            fit_baseline(
                LinearRegressor(()), x, x @ [1.0, 2, 3, 4] + rng.normal(size=300), arms, None, None, seed=seed
            ).variance
        )
    assert np.mean(found) == pytest.approx(5 / 300, rel=0.35)


def test_halves_that_do_not_vary_fall_back_on_the_variance_of_the_mean():
    z = np.zeros(20)
    z[3] = 1.0
    found = fit_baseline(MeanRegressor(), np.zeros((20, 1)), z, np.zeros(20, np.int32), None, None, seed=0)
    assert found.variance == pytest.approx(z.var() / 20)
