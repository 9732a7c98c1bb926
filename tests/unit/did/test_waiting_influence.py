"""Influence values that are made when they are asked for imply the covariance that was computed without them."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

ROLES = {"outcome": "y", "unit": "id", "time": "t", "cohort": "g"}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    start = np.array([0, 0, 3, 4])[rng.permutation(np.arange(240) % 4)]
    unit, time = np.repeat(np.arange(240), 5), np.tile(np.arange(1, 6), 240)
    y = rng.normal(size=unit.size) + 0.1 * time + (start[unit] > 0) * (time >= start[unit])
    return pd.DataFrame({"id": unit, "t": time, "y": y, "g": start[unit], "w": 1.0 + unit % 3, "town": unit // 8})


@pytest.mark.parametrize("more", [{}, {"weights": "w"}, {"cluster": "town"}, {"weights": "w", "cluster": "town"}])
@pytest.mark.parametrize(
    "estimator",
    [ck.SunAbraham(), ck.ImputationDiD(), ck.ImputationDiD(leave_one_out=True), ck.CallawaySantAnna()],
    ids=lambda estimator: f"{type(estimator).__name__} {estimator.to_dict()}",
)
def test_values_imply_the_covariance(table, estimator, more):
    effects = estimator.fit(table, **ROLES, **more).effects
    carrier = effects.numbers.carrier
    psi = carrier.psi if "cluster" not in more else pd.DataFrame(carrier.psi).groupby(np.arange(240) // 8).sum()
    expected = carrier.scale * np.asarray(psi).T @ np.asarray(psi)
    np.testing.assert_allclose(effects.vcov, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
