"""A small panel of our own in which units get doses from different periods on."""

from __future__ import annotations

import numpy as np
import pandas as pd


def dose_panel(n_units: int = 300, n_periods: int = 5, seed: int = 23) -> pd.DataFrame:
    """Return units first treated in period 3, 4 or never, with a dose between 0.1 and 2 whose effect is concave."""
    rng = np.random.default_rng(seed)
    start = rng.choice([0, 3, 4], n_units)
    dose = np.where(start > 0, np.round(rng.uniform(0.1, 2.0, n_units), 3), 0.0)
    unit, time = np.repeat(np.arange(n_units), n_periods), np.tile(np.arange(1, n_periods + 1), n_units)
    on = (start[unit] > 0) & (time >= start[unit])
    effect = on * (2 * dose[unit] - 0.5 * dose[unit] ** 2) * (1 + 0.2 * (time - start[unit]))
    y = np.round(rng.normal(size=n_units)[unit] + 0.3 * time + effect + rng.normal(size=unit.size), 3)
    return pd.DataFrame({"unit": unit, "time": time, "start": start[unit], "dose": dose[unit], "y": y})
