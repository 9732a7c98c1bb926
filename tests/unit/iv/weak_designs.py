"""Designs for the tests of weak-instrument inference, and the duality of a set with its test."""

import numpy as np
import pandas as pd

from causalkit.iv.variance import Variance
from causalkit.iv.weak_sets_form import reduced_form

KINDS = ("iid", "HC0", "HC1", "CR0", "CR1")


def columns(seed, n=200, q=3, strength=0.1, invalid=0.0, effect=1.0):
    """Return centred outcome (n,), treatment (n, 1), instruments (n, q) and clusters."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, q))
    u = rng.normal(size=n)
    d = strength * z.sum(axis=1) + (0.8 * u + 0.6 * rng.normal(size=n)) * np.exp(0.4 * z[:, 0])
    y = effect * d + u * np.exp(0.3 * z[:, 0]) + invalid * z[:, 0]
    z, d, y = z - z.mean(axis=0), d - d.mean(), y - y.mean()
    return y, d[:, None], z, rng.integers(0, 40, n).astype(np.int32)


def form(kind="iid", df=np.inf, **design):
    """Return the reduced form of such columns."""
    y, d, z, groups = columns(**design)
    variance = Variance(kind, (groups,) if kind.startswith("CR") else ())
    return reduced_form(y, d, z, variance=variance, n_exogenous=1, df=df)


GRID = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 602)[1:-1])


def agrees(found, pvalue, alpha=0.05):
    """Whether a set holds just those points of a grid that the test does not reject; and its ends have p-value alpha."""
    for beta in GRID:
        p = pvalue(beta)
        if abs(p - alpha) > 1e-9:
            assert found.contains(beta) == (p > alpha), beta
    ends = [end for piece in found.intervals for end in piece if np.isfinite(end)]
    np.testing.assert_allclose([pvalue(end) for end in ends], alpha, atol=1e-10)


def table(strength=0.4, n=400, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3))
    u = rng.normal(size=n)
    d = strength * z.sum(axis=1) + 0.7 * u + rng.normal(size=n)
    group = rng.integers(0, 30, n)
    columns = {"y": 0.5 * d + u + 0.1 * group, "d": d, "d2": z[:, 2] + u + rng.normal(size=n), "group": group}
    return pd.DataFrame({**columns, "z1": z[:, 0], "z2": z[:, 1], "z3": z[:, 2], "x": rng.normal(size=n)})


ROLES = {"outcome": "y", "treatment": "d", "covariates": ["x"]}
