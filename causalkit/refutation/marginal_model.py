"""Marginal sensitivity model: odds of treatment that are wrong by at most a factor (Tan 2006; Zhao, Small, Bhattacharya 2019)."""

from __future__ import annotations

import numpy as np

from causalkit.kernels.arrays import Floats

#: A factor beyond which nothing is searched.
LARGEST = 1e6


def mean_bounds(residual: Floats, e: Floats, factor: float) -> tuple[float, float]:
    """Return the smallest and largest weighted mean of residuals of one arm.

    The weight of a row is ``1 + (1/e - 1) v`` with v between ``1/factor`` and ``factor``; weights are normalised, so
    the extremes are at a cut in the order of the residuals (their proposition 2).

    Parameters
    ----------
    residual : Floats, shape (n,)
        Outcomes of the rows of the arm, or outcomes minus a regression.
    e : Floats, shape (n,)
        Probability of the arm.
    factor : float
        Largest factor between the odds of treatment that are true and those that are modelled.
    """
    order = np.argsort(residual, kind="stable")
    y, odds = residual[order], 1 / e[order] - 1
    small, large = 1 + odds / factor, 1 + odds * factor

    def extreme(first: Floats, last: Floats) -> Floats:
        total = np.r_[0.0, np.cumsum(first)] + np.r_[np.cumsum(last[::-1])[::-1], 0.0]
        sums = np.r_[0.0, np.cumsum(first * y)] + np.r_[np.cumsum((last * y)[::-1])[::-1], 0.0]
        means: Floats = sums / total
        return means

    return float(extreme(large, small).min()), float(extreme(small, large).max())


def effect_bounds(outcome: Floats, treated: Floats, mu: Floats, e: Floats, factor: float) -> tuple[float, float]:
    """Return the bounds of the average effect.

    Parameters
    ----------
    outcome : Floats, shape (n,)
        The outcome.
    treated : Floats, shape (n,)
        1 in the arm of interest, 0 in the control.
    mu, e : Floats, shape (n, 2)
        Expected outcome under, and probability of, control and treatment.
    factor : float
        As for :func:`mean_bounds`; at 1 both bounds are the augmented estimate with normalised weights.
    """
    limits = []
    for arm in (0, 1):
        rows = treated == arm
        low, high = mean_bounds(outcome[rows] - mu[rows, arm], e[rows, arm], factor)
        level = float(mu[:, arm].mean())
        limits.append((level + low, level + high))
    return limits[1][0] - limits[0][1], limits[1][1] - limits[0][0]


def critical_factor(outcome: Floats, treated: Floats, mu: Floats, e: Floats) -> float:
    """Return the factor at which the bounds of the effect reach zero; infinite where they never do.

    Parameters
    ----------
    outcome, treated, mu, e
        As for :func:`effect_bounds`.
    """
    from scipy.optimize import brentq

    at_one = effect_bounds(outcome, treated, mu, e, 1.0)[0]

    def left(factor: float) -> float:
        low, high = effect_bounds(outcome, treated, mu, e, factor)
        return low if at_one > 0 else -high

    if left(1.0) <= 0.0:
        return 1.0
    high = 2.0
    while left(high) > 0.0:
        high *= 2
        if high > LARGEST:
            return float("inf")
    return float(brentq(left, 1.0, high, xtol=1e-10, rtol=1e-12))
