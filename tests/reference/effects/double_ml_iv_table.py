"""The table of the double machine learning references with instruments: a formula of the row number, so nothing is drawn."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

N = 900
X = ["x0", "x1", "x2"]
#: Uniform numbers of column j are multiples of the square root of the j-th of these, modulo one (Weyl 1916).
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)


def table():
    """Return the columns, rounded so that every machine has the same."""
    at = np.arange(1, N + 1)
    uniform = [(at * at * np.sqrt(p)) % 1.0 for p in PRIMES]
    x0, x1, x2, common, e_y, e_d, e_z, e_z2 = (ndtri(u) for u in uniform[:8])
    z = np.round(0.6 * x0 + 0.3 * x1 + e_z, 5)
    z2 = np.round(0.4 * x2 + e_z2, 5)
    d = np.round(0.5 * z + 0.3 * z2 + 0.5 * x1 + common + 0.5 * e_d, 5)
    y = np.round(0.7 * d + x0 - 0.5 * x2 + common + e_y, 5)
    offered = (uniform[8] < 1.0 / (1.0 + np.exp(-0.5 * x0 + 0.3 * x1))).astype(int)
    kind = uniform[9]  # always, never takers, compliers
    taken = np.where(kind < 0.2, 1, np.where(kind < 0.5, 0, offered))
    one_sided = np.where(kind < 0.5, 0, offered)
    late = np.round(taken * (1.0 + 0.5 * x1) + x0 + 2.0 * kind + e_y, 5)
    bought = (late > 1.5).astype(int)
    return {
        **{name: np.round(column, 5) for name, column in zip(X, (x0, x1, x2), strict=True)},
        "y": y,
        "d": d,
        "z": z,
        "z2": z2,
        "offered": offered,
        "taken": taken,
        "one_sided": one_sided,
        "late": late,
        "bought": bought,
        "cluster": (7 * at) % 45,
    }
