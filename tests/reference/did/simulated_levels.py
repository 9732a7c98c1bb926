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


def controlled_panel(seed: int, level: int | None = None, gaps: bool = False, last: int = 7) -> pd.DataFrame:
    """Return such a panel with two covariates that vary over time.

    If asked, of one first level, with rows missing, or without the first period and those after ``last``.
    """
    data = level_panel(240 if level is not None else 160, seed=seed)
    rng = np.random.default_rng(1000 + seed)
    drift = 0.3 * data["time"] * rng.normal(size=data["unit"].max() + 1)[data["unit"]]
    base = data.groupby("unit")["level"].transform("first")
    data["x1"] = np.round(drift + rng.normal(size=len(data)), 3)
    data["x2"] = np.round(rng.normal(size=len(data)) + 0.4 * data["x1"] + 0.2 * data["level"], 3)
    data["y"] = np.round(data["y"] + (0.8 + 0.4 * base) * data["x1"] - 0.5 * data["x2"], 3)
    if level is not None:
        data = data[base == level]
    if last != 7:
        data = data[data["time"].between(2, last)]
    return data[data.index % 11 != 5] if gaps else data


def without_slopes(data: pd.DataFrame) -> pd.DataFrame:
    """Take from the outcome what goes with the covariates while the treatment stays, for a panel of one first level."""
    unit, time = data["unit"], data["time"]
    stays = ~(data["level"] != data.groupby(unit)["level"].transform("first")).groupby(unit).cummax()
    follows = time == time.groupby(unit).shift() + 1
    change = data.groupby(unit)[["y", "x1", "x2"]].diff()[stays & follows]
    change -= change.groupby(time).transform("mean")
    slopes = np.linalg.lstsq(change[["x1", "x2"]].to_numpy(), change["y"].to_numpy(), rcond=None)[0]
    return data.assign(y=data["y"] - data[["x1", "x2"]].to_numpy() @ slopes)
