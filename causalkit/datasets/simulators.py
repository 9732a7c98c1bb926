"""Simulated data whose causal effects are known: for tests, examples and trying things out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def coupon_campaign(
    n: int = 5_000, *, effect: float = 0.08, heterogeneity: float = 1.0, n_stores: int = 50, random_state: int = 0
) -> pd.DataFrame:
    """Draw a randomized coupon campaign with a binary purchase.

    The effect of the coupon on the probability of a purchase rises with recency (months since the last purchase) and
    turns negative for the most loyal; ``heterogeneity=0`` makes it the same for everyone.

    Parameters
    ----------
    n : int
        Customers.
    effect : float
        Average effect, as a difference of probabilities.
    heterogeneity : float
        Standard deviation of the effect, in units of ``effect``.
    n_stores : int
        Clusters; the coupon is drawn per customer.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``purchase`` (0/1), ``arm`` (``"coupon"`` or ``"no_coupon"``), ``recency``, ``loyalty``, ``channel``,
        ``store``, and the truth: ``baseline`` and ``true_effect``.
    """
    import pandas as pd

    rng = np.random.default_rng(random_state)
    recency = rng.uniform(0.0, 12.0, n)
    loyalty = rng.normal(size=n)
    channel = rng.choice(["app", "mail", "web"], size=n, p=[0.3, 0.2, 0.5])
    store = rng.integers(0, n_stores, n)
    baseline = 0.2 + 0.25 / (1.0 + np.exp(-loyalty)) + 0.05 * (channel == "app")
    shape = (recency - 6.0) / np.sqrt(12.0) - 0.5 * loyalty
    spread = np.sqrt(1.25)  # the standard deviation of shape: recency and loyalty are independent
    true_effect = np.clip(effect * (1.0 + heterogeneity * shape / spread), -baseline, 1.0 - baseline)
    coupon = rng.random(n) < 0.5
    purchase = (rng.random(n) < baseline + coupon * true_effect).astype(int)
    return pd.DataFrame(
        {
            "purchase": purchase,
            "arm": np.where(coupon, "coupon", "no_coupon"),
            "recency": recency,
            "loyalty": loyalty,
            "channel": channel,
            "store": store,
            "baseline": baseline,
            "true_effect": true_effect,
        }
    )


def linear_panel(
    n_units: int = 200, n_periods: int = 8, *, effect: float = 1.0, missing: float = 0.1, random_state: int = 0
) -> pd.DataFrame:
    """Draw an unbalanced panel with unit and time effects, three covariates and a treatment that switches on.

    Parameters
    ----------
    n_units, n_periods : int
        Size before rows are taken out.
    effect : float
        Effect of the treatment, the same for all.
    missing : float
        Share of rows taken out at random.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``y``, ``treated`` (0/1), ``x1``, ``x2``, ``x3``, ``unit``, ``time``.
    """
    import pandas as pd

    rng = np.random.default_rng(random_state)
    unit = np.repeat(np.arange(n_units), n_periods)
    time = np.tile(np.arange(n_periods), n_units)
    start = rng.integers(1, 2 * n_periods, n_units)
    treated = (time >= start[unit]).astype(int)
    unit_effect = rng.normal(size=n_units)[unit]
    time_effect = rng.normal(size=n_periods)[time]
    x = rng.normal(size=(3, unit.size)) + 0.3 * unit_effect
    noise = rng.normal(size=unit.size) + 0.5 * rng.normal(size=n_units)[unit] * (time - n_periods / 2) / n_periods
    y = effect * treated + np.array([0.5, -0.25, 0.1]) @ x + unit_effect + time_effect + noise
    keep = rng.random(unit.size) >= missing
    columns = {"y": y, "treated": treated, "x1": x[0], "x2": x[1], "x3": x[2], "unit": unit, "time": time}
    return pd.DataFrame({name: values[keep] for name, values in columns.items()})
