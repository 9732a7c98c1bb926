"""How large the curvature must be, given the data (Kolesar and Rothe 2018, supplement S2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_pilot import Pilot

#: By default the side with fewer support points is cut into this many groups: two estimates of the curvature.
_GROUPS = 6


@dataclass(frozen=True)
class SmoothnessBound:
    """A lower bound for the bound on the second derivative.

    Parameters
    ----------
    estimate : float
        Median-unbiased estimate of the lower bound: the largest curvature that the data show.
    low : float
        The bound on the second derivative exceeds this with probability ``1 - alpha``.
    points : int
        Distinct values of the running variable in each average.
    """

    estimate: float
    low: float
    points: int


def smoothness_bound(
    data: HonestData,
    variance: Pilot,
    *,
    points: int | None = None,
    smoothness_class: str = "holder",
    several: bool = True,
    sides: tuple[bool, ...] = (False, True),
    equal_variances: bool = False,
    alpha: float = 0.05,
) -> SmoothnessBound:
    """Estimate from the outcome how large its second derivative is at least.

    Averages of three neighbouring groups of support points show how far the regression function bends between them.

    Parameters
    ----------
    data : HonestData
    variance : Pilot
        Of one row on each side, near the cutoff.
    points : int, optional
        Support points in each group; by default as many as cut the side with fewer of them into six groups.
    smoothness_class : {"holder", "taylor"}
    several : bool
        Use all groups of three, or the one nearest to the cutoff.
    sides : tuple of bool
        Which sides to use.
    equal_variances : bool
        Take that variance for all groups of a side (as Kolesar and Rothe do), rather than each group's own.
    alpha : float
        One minus the coverage of the lower limit.

    Notes
    -----
    The estimates are independent, so the law of the largest in absolute value is a product of normal probabilities, here
    evaluated exactly instead of by simulation.
    """
    number = _default_points(data) if points is None else points
    curvature, error = [], []
    for right in sides:
        sigma2 = (variance.right if right else variance.left)[0, 0]
        found = _curvatures(data, right, sigma2, number, smoothness_class, equal_variances)
        if not found:
            raise DesignError(
                f"points={number} leaves no three groups of support points on one side of the cutoff.",
                hint="Use fewer points.",
            )
        for delta, sd in found if several else found[:1]:
            curvature.append(delta)
            error.append(sd)
    deltas, errors = np.array(curvature), np.array(error)
    largest = float(np.max(np.abs(deltas / errors)))
    return SmoothnessBound(_invert(largest, errors, 0.5), _invert(largest, errors, alpha), number)


def _default_points(data: HonestData) -> int:
    """Cut the side with fewer support points into as many groups as there are by default: wide ones show more."""
    return max(min(support.size for support in data.supports) // _GROUPS, 1)


def _curvatures(
    data: HonestData, right: bool, sigma2: float, points: int, smoothness_class: str, equal: bool
) -> list[tuple[float, float]]:
    """Curvature over each three groups, nearest to the cutoff first, and its standard error."""
    rows = data.side(right)
    order = slice(None) if right else slice(None, None, -1)
    x, y = np.abs(data.x[rows][order]), data.y[rows, 0][order]
    support, starts = np.unique(x, return_index=True)
    edges = np.append(starts, x.size)
    out = []
    for first in range(0, 3 * points * (support.size // (3 * points)), 3 * points):
        groups = [slice(edges[first + j * points], edges[first + (j + 1) * points]) for j in range(3)]
        n1, n2, n3 = (float(group.stop - group.start) for group in groups)
        x1, x2, x3 = (float(x[group].mean()) for group in groups)
        s1, s2, s3 = (float((x[group] ** 2).mean()) for group in groups)
        y1, y2, y3 = (float(y[group].mean()) for group in groups)
        share = (x3 - x2) / (x3 - x1)
        bend = (1 - share) * s3 + share * s1 + (s2 if smoothness_class == "taylor" else -s2)
        delta = 2.0 * (share * y1 + (1 - share) * y3 - y2) / bend
        v1, v2, v3 = (sigma2 if equal else _variance(x[group], y[group], sigma2) for group in groups)
        spread = 4.0 * (share**2 * v1 / n1 + (1 - share) ** 2 * v3 / n3 + v2 / n2) / bend**2
        out.append((delta, float(np.sqrt(spread))))
    return out


def _variance(x: Floats, y: Floats, otherwise: float) -> float:
    """Return the variance around a line; of few rows, ``otherwise``."""
    spare = y.size - (2 if np.ptp(x) > 0 else 1)
    if spare < 2:
        return otherwise
    centred = x - x.mean()
    rest = y - y.mean()
    if spare == y.size - 2:
        rest = rest - centred * (centred @ rest) / (centred @ centred)
    return float(rest @ rest) / spare


def _invert(largest: float, errors: Floats, alpha: float) -> float:
    """Return the bound at which the observed maximum is the ``1 - alpha`` quantile; zero where it is below for all."""

    def below(bound: float) -> float:
        shift = bound / errors
        return float(np.prod(special.ndtr(largest - shift) - special.ndtr(-largest - shift)))

    if below(0.0) <= 1.0 - alpha:
        return 0.0
    return falling_root(lambda bound: below(bound) - (1.0 - alpha), float(errors.min()))


def falling_root(f: Callable[[float], float], start: float) -> float:
    """Return the root of a falling function that is positive at zero."""
    from scipy.optimize import brentq

    high = start
    while f(high) > 0:
        high *= 2.0
    return float(brentq(f, 0.0, high, xtol=1e-13 * high, rtol=1e-12))
