"""Simulated panels in which something is rolled out, with effects that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


def staggered_rollout(
    n_units: int = 400,
    n_periods: int = 8,
    *,
    effect: float = 0.1,
    heterogeneity: float = 1.0,
    drift: float = 0.0,
    n_regions: int = 40,
    random_state: int = 0,
) -> pd.DataFrame:
    """Draw stores of which three cohorts get a new system, one after the other, and others never do.

    The effect on a store of cohort ``c`` (0, 1, 2), ``e`` years after the start, is
    ``effect * (1 + heterogeneity * (0.5 * e - 0.4 * c))``: it grows with time, and is larger for stores that start early,
    so that two-way fixed effects misses its average. Without it, sales would have moved in parallel, but for ``drift``.

    Parameters
    ----------
    n_units, n_periods : int
        Stores, and years from 2015 on (at least 6).
    effect : float
        Effect on log sales in the first year of the first cohort.
    heterogeneity : float
        How much effects differ; 0 makes them the same.
    drift : float
        By how much more log sales of treated stores grow each year without treatment: a violation of parallel trends.
    n_regions : int
        Regions, which share shocks; the start is drawn per store.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``store``, ``year``, ``start`` (first treated year; 0 for never), ``region``, ``sales`` (in logs),
        ``treated`` (0/1), and the truth: ``true_effect``.
    """
    import pandas as pd

    if n_periods < 6:
        raise ValueError(f"n_periods={n_periods} leaves no room for three cohorts; use at least 6")
    rng = np.random.default_rng(random_state)
    starts = np.array([3 * n_periods // 8, 5 * n_periods // 8, 6 * n_periods // 8, n_periods])
    cohort = np.concatenate([np.arange(4), rng.choice(4, size=n_units - 4, p=[0.2, 0.2, 0.15, 0.45])])
    region = rng.integers(0, n_regions, n_units)
    time = np.arange(n_periods)
    since = time[None, :] - starts[cohort][:, None]
    on = (since >= 0) & (cohort < 3)[:, None]
    truth = np.where(on, effect * (1.0 + heterogeneity * (0.5 * since - 0.4 * cohort[:, None])), 0.0)
    level = 3.0 + 0.3 * (cohort < 3) + rng.normal(scale=0.5, size=n_units)
    trend = np.cumsum(rng.normal(0.03, 0.03, n_periods)) + drift * (cohort < 3)[:, None] * time
    shocks = 0.05 * rng.normal(size=(n_regions, n_periods))[region]
    sales = level[:, None] + trend + shocks + truth + _lasting(rng, n_units, n_periods, 0.15)
    return pd.DataFrame(
        {
            "store": np.repeat(np.arange(n_units), n_periods),
            "year": np.tile(2015 + time, n_units),
            "start": np.repeat(np.where(cohort < 3, 2015 + starts[cohort], 0), n_periods),
            "region": np.repeat(region, n_periods),
            "sales": sales.ravel(),
            "treated": on.ravel().astype(int),
            "true_effect": truth.ravel(),
        }
    )


def feature_rollout(
    n_units: int = 300, n_periods: int = 12, *, effect: float = 4.0, drift: float = 0.0, random_state: int = 0
) -> pd.DataFrame:
    """Draw customer accounts by month; from the middle on, those of the Enterprise segment have a new feature.

    Parameters
    ----------
    n_units, n_periods : int
        Accounts, and months (at least 4).
    effect : float
        Effect on the hours an account uses the product in a month, once the feature is known; half of it in the first
        month.
    drift : float
        By how many hours more Enterprise accounts grow each month without the feature: a violation of parallel trends.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``account``, ``month`` (from 1), ``segment`` (``"Enterprise"``, ``"Mid-market"``, ``"Small"``), ``start``
        (first month with the feature; 0 for never), ``hours``, ``tickets`` (requests to support, which the feature does not
        change), and the truth: ``true_effect``.
    """
    import pandas as pd

    if n_periods < 4:
        raise ValueError(f"n_periods={n_periods} leaves no time before and after; use at least 4")
    rng = np.random.default_rng(random_state)
    names = np.array(["Enterprise", "Mid-market", "Small"])
    segment = np.concatenate([np.arange(3), rng.choice(3, size=n_units - 3, p=[0.25, 0.35, 0.4])])
    month, launch = np.arange(n_periods), n_periods // 2
    has = (segment == 0)[:, None] & (month >= launch)
    truth = np.where(has, effect * np.where(month == launch, 0.5, 1.0), 0.0)
    level = np.array([60.0, 40.0, 25.0])[segment] + rng.normal(scale=8.0, size=n_units)
    season = 3.0 * np.sin(2.0 * np.pi * month / 12.0) + 0.4 * month
    grows = drift * (segment == 0)[:, None] * month
    hours = level[:, None] + season + grows + truth + _lasting(rng, n_units, n_periods, 4.0)
    tickets = rng.poisson(np.array([6.0, 3.0, 2.0])[segment][:, None] * np.exp(0.02 * month), (n_units, n_periods))
    return pd.DataFrame(
        {
            "account": np.repeat(np.arange(n_units), n_periods),
            "month": np.tile(1 + month, n_units),
            "segment": np.repeat(names[segment], n_periods),
            "start": np.repeat(np.where(segment == 0, 1 + launch, 0), n_periods),
            "hours": hours.ravel(),
            "tickets": tickets.ravel(),
            "true_effect": truth.ravel(),
        }
    )


def _lasting(rng: np.random.Generator, n_units: int, n_periods: int, scale: float) -> Floats:
    """Noise of which half is carried over to the next period, with a standard deviation that stays the same."""
    noise = rng.normal(scale=scale, size=(n_units, n_periods))
    for t in range(1, n_periods):
        noise[:, t] = 0.5 * noise[:, t - 1] + np.sqrt(0.75) * noise[:, t]
    return noise
