"""A small panel of our own whose treatment has several levels, rises, falls, and is taken away again."""

from __future__ import annotations

import numpy as np
import pandas as pd


def level_panel(n_units: int = 160, n_periods: int = 7, seed: int = 11) -> pd.DataFrame:
    """Return units that start at level 0, 1 or 2 and whose level first changes in period 3 to 6, or never."""
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(n_units), n_periods), np.tile(np.arange(1, n_periods + 1), n_units)
    base, first = rng.integers(0, 3, n_units), rng.choice([3, 4, 5, 6, 99, 99], n_units)
    step = np.where(base == 0, rng.integers(1, 3, n_units), np.where(base == 2, -1, rng.choice([-1, 1], n_units)))
    later = rng.integers(-1, 2, n_units)  # one period after the first change, the level may change again
    level = base[unit] + step[unit] * (time >= first[unit]) + later[unit] * (time > first[unit])
    level = np.maximum(level, 0)
    before = np.concatenate([[0], level[:-1]]) * (time > 1)
    own = rng.normal(size=n_units)
    y = own[unit] + 0.1 * time * (1 + base[unit]) + 0.5 * level + 0.2 * before + rng.normal(size=unit.size)
    return pd.DataFrame(
        {
            "unit": unit,
            "time": time,
            "level": level,
            "y": np.round(y, 3),
            "w": 1.0 + unit % 3,
            "state": unit % 20,
        }
    )
