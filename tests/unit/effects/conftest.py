"""One small trial with clusters, gaps and categories, shared by the tests of effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest


def simulate(n=400, seed=1, effect=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).round(3)
    age = rng.integers(18, 70, n).astype(float)
    group = rng.choice(["red", "green", "blue"], n)
    village = rng.integers(0, 40, n)
    arm = rng.permutation(np.repeat([0, 1], n // 2))
    noise = rng.normal(size=n)
    y = np.round(x + 0.02 * age + arm * effect * (1 + x) + noise, 2)
    age[:7] = np.nan
    words = np.array(["letter", "coupon"])[arm]
    return pd.DataFrame(
        {"y": y, "arm": words, "x": x, "age": age, "group": group, "village": village, "w": rng.integers(1, 4, n)}
    )


@pytest.fixture(scope="session")
def trial():
    return simulate()


@pytest.fixture
def unshared(monkeypatch):
    """Fit all nuisances anew, also those that a living result of equal rows and settings holds."""
    from causalkit.effects import crossfit_study

    monkeypatch.setattr(crossfit_study, "shared", lambda sample, settings, make: make())


@pytest.fixture(scope="session")
def roles():
    return {"outcome": "y", "treatment": "arm", "covariates": ["x", "age", "group"], "control": "letter"}
