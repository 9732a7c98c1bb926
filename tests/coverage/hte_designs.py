"""Seven designs on which methods for effects person by person are compared, and how such a comparison is scored.

``nwA`` to ``nwD`` are setups A to D of Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment
effects", *Biometrika* 108; ``awnull`` is the confounded design without effects and ``wa2`` equation 28 of Wager and Athey
(2018), *JASA* 113; ``rct`` is a coupon trial with a binary outcome and effects from -6 to 12 points. Six covariates,
noise of standard deviation one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: R grf 2.6.1, ``causal_forest(X, Y, W, num.trees = 2000)``, n = 2,000, five data sets each, R 4.2.2: root mean squared
#: error and coverage of 95 % intervals on 2,000 new rows; then the error of the average effect given to everybody
#: (weighted by the inverse of the true chances). Seeds 0 to 4 of :func:`score` are the data that grf saw, but for
#: ``rct``, which is another coupon trial of the same kind.
GRF = {
    "nwA": (0.147, 0.90, 0.241),
    "nwB": (0.345, 0.85, 1.128),
    "nwC": (0.148, 0.89, 0.133),
    "nwD": (0.759, 0.57, 1.307),
    "awnull": (0.087, 0.97, 0.058),
    "wa2": (0.177, 0.90, 0.994),
    "rct": (0.046, 0.87, 0.054),
}
NAMES = tuple(f"x{j}" for j in range(6))


@dataclass(frozen=True)
class People:
    """One draw of a design: covariates (n, 6), arms, outcomes, effects and the chance of treatment (n,)."""

    x: np.ndarray
    w: np.ndarray
    y: np.ndarray
    tau: np.ndarray
    chance: np.ndarray

    @property
    def table(self) -> dict[str, np.ndarray]:
        """Columns ``y``, ``w`` and ``x0 ... x5``."""
        return {"y": self.y, "w": self.w} | dict(zip(NAMES, self.x.T, strict=True))


def draw(name: str, n: int, rng: np.random.Generator) -> People:
    """Draw ``n`` people of a design."""
    x = rng.uniform(size=(n, 6)) if name in ("nwA", "awnull", "wa2") else rng.normal(size=(n, 6))
    if name == "rct":
        return _coupon(x, rng)
    level, tau, chance = _surfaces(name, x)
    w = rng.binomial(1, chance)
    return People(x, w, level + (w - 0.5) * tau + rng.normal(size=n), tau, chance)


def _surfaces(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over both arms, effect, chance of treatment."""
    half, nothing = np.full(len(x), 0.5), np.zeros(len(x))
    up = np.maximum(x[:, 0] + x[:, 1] + x[:, 2], 0)
    down = np.maximum(x[:, 3] + x[:, 4], 0)
    if name == "nwA":
        wave = np.sin(np.pi * x[:, 0] * x[:, 1])
        level = wave + 2 * (x[:, 2] - 0.5) ** 2 + x[:, 3] + 0.5 * x[:, 4]
        return level, (x[:, 0] + x[:, 1]) / 2, np.clip(wave, 0.1, 0.9)
    if name == "nwB":
        level = np.maximum(np.maximum(x[:, 0] + x[:, 1], x[:, 2]), 0) + down
        return level, x[:, 0] + np.logaddexp(0, x[:, 1]), half
    if name == "nwC":
        level = 2 * np.logaddexp(0, x[:, 0] + x[:, 1] + x[:, 2])
        return level, nothing + 1.0, 1 / (1 + np.exp(x[:, 1] + x[:, 2]))
    if name == "nwD":
        return (up + down) / 2, up - down, 1 / (1 + np.exp(-x[:, 0]) + np.exp(-x[:, 1]))
    if name == "awnull":
        return 2 * x[:, 0] - 1, nothing, 0.25 * (1 + 20 * x[:, 0] * (1 - x[:, 0]) ** 3)
    if name == "wa2":
        return nothing, np.prod(1 + 1 / (1 + np.exp(-20 * (x[:, :2] - 1 / 3))), axis=1), half
    raise ValueError(name)


def _coupon(x: np.ndarray, rng: np.random.Generator) -> People:
    base = 1 / (1 + np.exp(2 - x[:, 0] - 0.5 * x[:, 1]))
    treated = np.clip(base + 0.12 / (1 + np.exp(-4 * x[:, 2])) - 0.06 * (x[:, 3] > 1), 0.001, 0.999)
    w = rng.integers(0, 2, len(x))
    y = (rng.random(len(x)) < np.where(w == 1, treated, base)).astype(float)
    return People(x, w, y, treated - base, np.full(len(x), 0.5))


@dataclass(frozen=True)
class Score:
    """How one fit does on new people: root mean squared error, coverage and mean width of 95 % intervals."""

    rmse: float
    covered: float
    width: float


def score(name: str, seed: int, fit: Callable[[People, int], object], n: int = 2000) -> Score:
    """Fit on ``n`` people of a design and judge the model on 2,000 others.

    ``fit(people, seed)`` returns a model with ``cate(table)`` and ``cate_ci(table)``.
    """
    rng = np.random.default_rng([2024, list(GRF).index(name), seed])
    model = fit(draw(name, n, rng), seed)
    fresh = draw(name, 2000, rng)
    people = {column: fresh.table[column] for column in NAMES}
    low, high = model.cate_ci(people)
    inside = (low <= fresh.tau) & (fresh.tau <= high)
    rmse = np.sqrt(np.mean((model.cate(people) - fresh.tau) ** 2))
    return Score(float(rmse), float(inside.mean()), float(np.mean(high - low)))


def error_of_the_average(name: str, seed: int, n: int = 2000) -> float:
    """Root mean squared error of giving everybody the average effect, weighted by the true chance of treatment."""
    rng = np.random.default_rng([2024, list(GRF).index(name), seed])
    people, fresh = draw(name, n, rng), draw(name, 2000, rng)
    w, e = people.w, people.chance
    average = np.mean(w * people.y / e - (1 - w) * people.y / (1 - e))
    return float(np.sqrt(np.mean((average - fresh.tau) ** 2)))
