from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass
class Data:
    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    arms: np.ndarray
    tau: np.ndarray


def simulate(n=600, p=4, seed=0, sigma=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    arms = rng.integers(0, 2, n).astype(np.int32)
    tau = 1.0 + (x[:, 0] > 0)
    y = (arms - 0.5) * tau + sigma * rng.normal(size=n)
    return Data(x, y, arms - 0.5, arms, tau)


@pytest.fixture(scope="session")
def data():
    return simulate()


@pytest.fixture(scope="session")
def simulated():
    return simulate
