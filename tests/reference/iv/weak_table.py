"""A small table with weak instruments that is the same on every machine: no random numbers."""

import numpy as np


def weak_table(q, strength, n=240):
    """Return outcome (n,), two treatments (n, 2), instruments (n, q) and two covariates (n, 2)."""
    i = np.arange(n)
    wave = [np.sin(1.0 + 0.7 * (k + 1) * i + 0.013 * (k + 2) * i**2) for k in range(q + 5)]
    z = np.column_stack(wave[:q])
    u, v, v2 = wave[q], 0.7 * wave[q] + 0.7 * wave[q + 1], -0.4 * wave[q] + 0.9 * wave[q + 2]
    w = np.column_stack(wave[q + 3 : q + 5])
    spread = 0.5 + np.abs(np.cos(0.3 * i))
    first = strength * (z @ np.linspace(1.0, 0.4, q)) + 0.3 * w[:, 0] + v * spread
    second = strength * (z @ np.linspace(-0.5, 1.0, q)) + 0.2 * w[:, 1] + v2
    y = 0.5 * first + 0.5 * second + 0.5 * w.sum(axis=1) + 2.0 * u * spread + 3.0
    return y, np.column_stack([first, second]), z, w
