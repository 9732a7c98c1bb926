"""A small panel of our own for triple differences; every number is exact in a CSV of three decimals."""

from __future__ import annotations

import numpy as np
import pandas as pd


def triple_panel(n_units: int = 240, n_periods: int = 5, seed: int = 7) -> pd.DataFrame:
    """Return units in groups that adopt in period 3, 4 or never; half of the units are eligible."""
    rng = np.random.default_rng(seed)
    unit = np.arange(n_units)
    start = np.array([0, 3, 4])[rng.integers(0, 3, n_units)]
    x = np.round(rng.normal(size=n_units) + 0.3 * (start == 3), 3)
    eligible = (rng.random(n_units) < 1 / (1 + np.exp(-0.4 * x))).astype(int)
    rows = []
    for period in range(1, n_periods + 1):
        drift = 0.3 * period * eligible + 0.2 * period * (start == 3) + 0.25 * period * x
        effect = (1.0 + 0.5 * (period - start)) * (eligible == 1) * (start > 0) * (period >= start)
        y = np.round(0.5 * x + drift + effect + rng.normal(size=n_units), 3)
        rows.append(
            pd.DataFrame(
                {
                    "unit": unit,
                    "period": period,
                    "start": start,
                    "eligible": eligible,
                    "x": x,
                    "y": y,
                    "state": unit % 30,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
