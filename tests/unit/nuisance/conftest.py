from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Matrix:
    values: np.ndarray
    names: tuple[str, ...] = ()
    categorical: tuple[int, ...] = ()


@pytest.fixture
def matrix():
    """Wrap an array as covariates."""

    def wrap(values, categorical=()):
        return Matrix(values, tuple(f"x{j}" for j in range(values.shape[1])), tuple(categorical))

    return wrap


@pytest.fixture
def trial():
    """A coupon trial: covariates, arms (half and half), outcome, and the expected outcome under each arm."""

    def draw(n, seed=0, confounded=False):
        rng = np.random.default_rng([11, seed])
        x = rng.normal(size=(n, 5))
        chance = 1 / (1 + np.exp(-x[:, 1])) if confounded else np.full(n, 0.5)
        arms = (rng.random(n) < chance).astype(np.int32)
        mu = np.column_stack([x[:, 0] + x[:, 1], x[:, 0] + x[:, 1] + 0.3 + 0.3 * x[:, 2]])
        y = mu[np.arange(n), arms] + rng.normal(size=n)
        return x, arms, y, mu, chance

    return draw
