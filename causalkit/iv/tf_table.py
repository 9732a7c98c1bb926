"""Critical values of the t-ratio that depend on the first-stage F, so that a test of size 5 % results."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr, ndtri

from causalkit.errors import ConvergenceError, InferenceUnavailable
from causalkit.kernels.arrays import Floats

#: The level for which the construction below is the published one.
LEVEL = 0.05

_DEGREE = 80
_MOST_ROUNDS = 1000
_TOLERANCE = 1e-14


def tf_critical_value(f: float, alpha: float = LEVEL) -> float:
    """Critical value of the absolute t-ratio of a just-identified estimate with first-stage F statistic ``f``.

    Parameters
    ----------
    f : float
        First-stage F of the one instrument, with the same kind of covariance as the t-ratio.
    alpha : float
        Only 0.05.

    Returns
    -------
    float
        Infinite up to ``f = 3.84``; 1.96 from ``f = 104.7``.

    Raises
    ------
    InferenceUnavailable
        For other levels.

    Notes
    -----
    Lee, McCrary, Moreira and Porter (2022). In the worst case the errors of both stages are perfectly correlated. With
    a first-stage t-ratio of mean ``m`` and the null's normal variable z, the first-stage t-ratio is ``m + z`` and the
    t-ratio ``z (m + z) / m``. A critical value c(f) that rejects z above ``u - m`` and below ``-(l + m)``, with
    ``c(u) = (u - m) u / m`` and ``c(l) = (l + m) l / m``, has size 5 % for every m where both tails add to it. As
    ``c(l)`` is also the upper value at the smaller mean ``1 / (1/m + 2/l)``, these are equations in the function u(m)
    alone. They are solved here by iteration on a Chebyshev polynomial; the values published in the paper's table are
    these, rounded up.
    """
    if abs(alpha - LEVEL) > 1e-12:
        raise InferenceUnavailable(
            f"tF critical values exist for alpha={LEVEL}, not {alpha:g}.", hint='Use method="ar", valid at any level.'
        )
    from scipy.optimize import brentq

    root, conventional = math.sqrt(max(f, 0.0)), -float(ndtri(LEVEL / 2))
    if root <= conventional:
        return math.inf
    coefficients, top = _upper_ends()

    def excess(mean: float) -> float:
        return float(_value(coefficients, top, np.array([mean]))[0]) - root

    if excess(top) <= 0.0:
        return conventional
    if excess(0.0) >= 0.0:
        return math.inf
    mean = float(brentq(excess, 0.0, top, xtol=1e-300, rtol=8.9e-16, maxiter=300))
    return max((root - mean) * root / mean, conventional) if mean > 0 else math.inf


@cache
def _upper_ends() -> tuple[Floats, float]:
    """Return Chebyshev coefficients of u(m) - m, and the mean up to which they hold."""
    z, one_sided = -float(ndtri(LEVEL / 2)), -float(ndtri(LEVEL))
    # Beyond this mean the lower tail is gone and the conventional value is large enough: (one + m) one / m = z.
    top = one_sided**2 / (z - one_sided)
    points = -np.cos(np.pi * (np.arange(_DEGREE) + 0.5) / _DEGREE)
    table = chebyshev.chebvander(points, _DEGREE - 1).T * (2.0 / _DEGREE)  # values at these points to coefficients
    table[0] *= 0.5
    nodes = 0.5 * top * (1.0 + points)
    offset = np.full(_DEGREE, one_sided) + (z - one_sided) * np.exp(-nodes)
    lower = nodes + offset
    for _ in range(_MOST_ROUNDS):
        lower = _value(table @ offset, top, nodes * lower / (lower + 2.0 * nodes))
        found = -ndtri(LEVEL - ndtr(-lower - nodes))
        if float(np.max(np.abs(found - offset))) < _TOLERANCE:
            return table @ offset, top
        offset = 0.5 * (offset + found)  # the map overshoots by as much as it misses near zero
    raise ConvergenceError("The critical values of the tF test were not found.")


def _value(coefficients: Floats, top: float, means: Floats) -> Floats:
    return np.asarray(means + chebyshev.chebval(2.0 * means / top - 1.0, coefficients))
