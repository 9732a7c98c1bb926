"""The density on either side of the cutoff as a curve with its pointwise errors, for the figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from causalkit.kernels import rd_density
from causalkit.kernels.arrays import Floats
from causalkit.rdd.density_fit import _KIND, Ordered
from causalkit.rdd.density_model import Kernel, gram


@dataclass(frozen=True, eq=False)
class Curve:
    """Density at points of one side.

    Parameters
    ----------
    at : Floats, shape (m,)
        Points, measured from the cutoff.
    density, se : Floats, shape (m,)
        Local polynomial estimates and their jackknife standard errors; the values at the cutoff are those of the test.
    """

    at: Floats
    density: Floats
    se: Floats


def curve(ordered: Ordered, side: int, h: float, order: int, kernel: Kernel, reach: float, points: int = 41) -> Curve:
    """Estimate the density from the cutoff to ``reach`` away, using the values of this side only.

    Parameters
    ----------
    ordered : Ordered
        The values.
    side : int
        -1 or 1.
    h : float
        Bandwidth.
    order : int
        Order of the local polynomials.
    kernel : str
        The kernel.
    reach : float
        Distance of the farthest point.
    points : int
        Number of points.
    """
    at = side * np.linspace(0.0, reach, points)
    found = np.array([_density(ordered, side, float(point), h, order, kernel) for point in at])
    keep = np.isfinite(found[:, 0])
    return Curve(at[keep], found[keep, 0], found[keep, 1])


def _density(ordered: Ordered, side: int, point: float, h: float, order: int, kernel: Kernel) -> tuple[float, float]:
    """Density at one point, and its standard error; NaN where too few values are near."""
    x = ordered.x
    low, high = max(point - h, 0.0 if side > 0 else -np.inf), min(point + h, 0.0 if side < 0 else np.inf)
    own = (0, ordered.n_left) if side < 0 else (ordered.n_left, ordered.n)
    start = max(int(np.searchsorted(x, low, side="left")), own[0])
    stop = min(int(np.searchsorted(x, high, side="right")), own[1])
    if np.unique(x[start:stop][: 50 * order]).size <= order + 1:
        return np.nan, np.nan
    low, high = max(low, float(x[own[0]])), min(high, float(x[own[1] - 1]))
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    moments, products = np.empty(2 * order + 1), np.empty(order + 1)
    geometry = (point, h, middle, half, _KIND[kernel])
    rd_density.window_moments(x, start, stop, start, ordered.mass_points, *geometry, moments, products)
    slopes = [chebyshev.chebval((point - middle) / half, chebyshev.chebder(unit)) for unit in np.eye(order + 1)]
    normal = gram(moments, order)
    if not np.linalg.cond(normal) < 1e13:
        return np.nan, np.nan
    weights = np.linalg.solve(normal, np.array(slopes) / half)
    squares = np.zeros(3)
    rd_density.suffix_squares(
        x, start, stop, ordered.mass_points, *geometry, np.ascontiguousarray(weights[None]), np.zeros(1), squares
    )
    count = ordered.n - 1
    return float(weights @ products) / count, float(np.sqrt(squares[0])) / count
