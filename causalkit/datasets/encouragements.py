"""Simulated studies in which something random moves a treatment that people choose themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def feature_encouragement(
    n: int = 6_000, *, effect: float = 4.0, heterogeneity: float = 1.0, random_state: int = 0
) -> pd.DataFrame:
    """Draw users of an app of whom half, at random, were invited to try a feature that anyone may use.

    A fifth use it anyway, two fifths only if invited, and the rest never. Those who use it anyway spend more to begin
    with, so comparing users with non-users overstates what the feature does.

    Parameters
    ----------
    n : int
        Users.
    effect : float
        Average effect of the feature on spending, among those who use it only if invited.
    heterogeneity : float
        How far the effect on those who use it anyway lies above that, in units of half of ``effect``.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``spend``, ``used`` (0/1), ``invited`` (0/1), ``tenure`` (months), ``plan``, and the truth: ``kind``
        (``"always"``, ``"if invited"``, ``"never"``) and ``true_effect``.
    """
    import pandas as pd

    rng = np.random.default_rng(random_state)
    kind = rng.choice(3, size=n, p=[0.2, 0.4, 0.4])
    invited = (rng.random(n) < 0.5).astype(int)
    used = np.where(kind == 0, 1, np.where(kind == 1, invited, 0))
    tenure = np.round(rng.gamma(2.0, 9.0, n), 1)
    plan = rng.choice(["free", "basic", "pro"], size=n, p=[0.5, 0.35, 0.15])
    true_effect = np.array([effect * (1 + 0.5 * heterogeneity), effect, 0.5 * effect])[kind]
    base = 20 + 0.1 * tenure + 6 * (plan == "pro") + np.array([8.0, 2.0, 0.0])[kind]
    spend = np.round(base + used * true_effect + rng.normal(0.0, 8.0, n), 2)
    words = np.array(["always", "if invited", "never"])[kind]
    columns = {"spend": spend, "used": used, "invited": invited, "tenure": tenure, "plan": plan}
    return pd.DataFrame({**columns, "kind": words, "true_effect": true_effect})


def schooling(n: int = 4_000, *, effect: float = 0.08, random_state: int = 0) -> pd.DataFrame:
    """Draw wages of men who stayed at school longer where a college was near, in the manner of Card (1995).

    Ability, which nobody observed, raises both schooling and wages: least squares overstates the return. A college
    nearby, and low fees at it, raise schooling and have no other way to wages given region and city.

    Parameters
    ----------
    n : int
        Men.
    effect : float
        Return to one more year of schooling, in log points.
    random_state : int
        Seed.

    Returns
    -------
    DataFrame
        Columns ``log_wage``, ``schooling`` (years), ``near_college`` (0/1), ``fees`` (thousands), ``age``, ``city``
        (0/1), ``region``, ``parents_schooling``, ``county``, and the truth: ``true_effect``.
    """
    import pandas as pd

    rng = np.random.default_rng(random_state)
    county = rng.integers(0, 120, n)
    region = np.array(["north", "south", "west"])[county % 3]
    city = (rng.random(n) < 0.35 + 0.3 * (region == "north")).astype(int)
    near = (rng.random(n) < 0.4 + 0.35 * city).astype(int)
    fees = np.round(np.clip(rng.normal(2.0, 0.6, n) - 0.4 * near, 0.2, None), 2)
    parents = np.clip(np.round(rng.normal(10.5, 2.5, n)), 4, 18)
    age, ability = rng.integers(24, 37, n), rng.normal(size=n)
    years = 9 + 0.35 * parents + 0.5 * city + 0.7 * near - 0.6 * fees + 1.2 * ability + rng.normal(0.0, 1.5, n)
    years = np.clip(np.round(years), 6, 20)
    wage = 0.02 * (age - 24) + 0.1 * city - 0.1 * (region == "south") + 0.01 * parents + 0.12 * ability
    wage = 4.6 + effect * years + wage + 0.1 * rng.normal(size=120)[county] + rng.normal(0.0, 0.35, n)
    columns = {"log_wage": np.round(wage, 4), "schooling": years.astype(int), "near_college": near, "fees": fees}
    columns |= {"age": age, "city": city, "region": region, "parents_schooling": parents.astype(int), "county": county}
    return pd.DataFrame({**columns, "true_effect": effect})
