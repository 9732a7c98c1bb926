"""Simulated cutoffs: units just below and just above one differ in nothing but what the cutoff brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def close_elections(n: int = 4000, *, effect: float = 6.0, sorting: float = 0.0, random_state: int = 0) -> pd.DataFrame:
    """Draw seats that a party won or lost, and its share of the vote in the next election.

    Parameters
    ----------
    n : int
        Elections.
    effect : float
        What holding the seat adds to the next share, in percentage points.
    sorting : float
        Share of those that would lose by less than two points and arrange to win: a violation of the design.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``margin`` (share of the vote minus that of the strongest opponent, in points; the seat is won from 0 on),
        ``next_vote`` (in points), ``previous_vote`` and ``turnout`` (before the election), ``state``, and the truth:
        ``true_effect``.
    """
    import pandas as pd

    if n < 2:
        raise ValueError(f"n={n} elections can't stand on both sides of the cutoff")
    rng = np.random.default_rng(random_state)
    state = rng.integers(0, 50, n)
    leaning = rng.normal(scale=6.0, size=50)[state] + rng.normal(scale=10.0, size=n)
    previous = 50.0 + leaning + rng.normal(scale=5.0, size=n)
    turnout = 55.0 + 0.1 * leaning + rng.normal(scale=6.0, size=n)
    margin = np.clip(1.6 * leaning + rng.normal(scale=14.0, size=n), -90.0, 90.0)
    near = (margin > -2.0) & (margin < 0.0) & (rng.random(n) < sorting)
    margin = np.where(near, -margin, margin)
    won = margin >= 0
    curve = 46.0 + 0.22 * margin + 0.0009 * margin**2 * np.where(won, -1.0, 1.0)
    vote = np.clip(curve + effect * won + 0.3 * (previous - 50.0) + rng.normal(scale=8.0, size=n), 0.0, 100.0)
    return pd.DataFrame(
        {
            "margin": margin,
            "next_vote": vote,
            "previous_vote": previous,
            "turnout": turnout,
            "state": state,
            "true_effect": effect,
        }
    )


def account_eligibility(
    n: int = 6000, *, effect: float = 5.0, take_up: float = 0.6, random_state: int = 0
) -> pd.DataFrame:
    """Draw customer accounts; those open for two years (730 days) may use an advisory service, and some do.

    Parameters
    ----------
    n : int
        Accounts.
    effect : float
        What the service adds to the hours that an account uses the product in a month.
    take_up : float
        Share of eligible accounts that use it; a tenth of the others get it by exception.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``days_open`` (eligible from 730 on), ``advised`` (0/1), ``hours``, ``seats`` (set when the account was
        opened), ``region``, and the truth: ``true_effect``.
    """
    import pandas as pd

    if not 0.1 < take_up <= 1.0:
        raise ValueError(f"take_up={take_up} is not above 0.1, the share of others that get the service")
    rng = np.random.default_rng(random_state)
    days = rng.integers(30, 1500, n)
    years = (days - 730.0) / 365.0
    wish = rng.random(n)
    advised = np.where(days >= 730, wish < take_up, wish < 0.1)
    seats = rng.poisson(8.0, n) + 1
    hours = 40.0 + 4.0 * years - 0.8 * years**2 + 0.5 * seats - 6.0 * wish + effect * advised
    return pd.DataFrame(
        {
            "days_open": days,
            "advised": advised.astype(int),
            "hours": hours + rng.normal(scale=7.0, size=n),
            "seats": seats,
            "region": np.array(["north", "east", "south", "west"])[rng.integers(0, 4, n)],
            "true_effect": effect,
        }
    )
