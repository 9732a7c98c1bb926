"""A small table with two endogenous variables and three instruments, the same on every machine."""

import numpy as np
import pandas as pd


def simulated_iv(rows=400):
    rng = np.random.Generator(np.random.PCG64(20261122))
    group = np.arange(rows) % 36
    other = (np.arange(rows) // 7) % 25
    shock = rng.standard_normal(36)[group]
    w = rng.standard_normal((3, rows))
    z = rng.standard_normal((3, rows)) + 0.4 * w[0]
    z[1] = (z[1] > 0).astype(float)
    hidden = rng.standard_normal(rows)
    d1 = 0.4 * z[0] + 0.5 * z[1] + 0.2 * w[1] + hidden + 0.5 * rng.standard_normal(rows)
    d2 = 0.6 * z[2] - 0.3 * z[0] + 0.3 * w[2] - 0.5 * hidden + rng.standard_normal(rows)
    spread = 1 + 0.8 * np.abs(z[0])
    y = 5 + 0.7 * d1 - 0.4 * d2 + w.T @ [0.5, -0.2, 0.1] + hidden + 0.4 * shock + spread * rng.standard_normal(rows)
    table = {"y": y, "d1": d1, "d2": d2, **{f"z{j}": z[j] for j in range(3)}, **{f"w{j}": w[j] for j in range(3)}}
    return (
        pd.DataFrame(table)
        .round(6)
        .assign(
            group=group,
            other=other,
            region=group // 3,
            period=np.arange(rows) // 5 % 9,
            weight=1.0 + np.arange(rows) % 4,
        )
    )
