"""Sums over the window of every bandwidth at once.

Kernels are polynomials in the distance from the cutoff, so all that a local linear regression needs are differences of
running sums of powers of that distance: after one pass, the bias and the variance at any bandwidth cost two look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats, Ints
from causalkit.rdd.honest_data import HonestData

#: Powers of the distance u/h in each kernel: coefficient by power.
_POLYNOMIALS = {"uniform": {0: 1.0}, "triangular": {0: 1.0, 1: -1.0}, "epanechnikov": {0: 1.0, 2: -1.0}}

#: Least mean kernel weight of the rows in a window.
_EDGE = 1e-5


@dataclass(frozen=True, eq=False)
class Weighing:
    """What the intercept's weights on one side amount to, at each of several bandwidths.

    Parameters
    ----------
    jump : array, shape (H, m)
        The intercept of each outcome.
    squares : array, shape (H,)
        Sum of squared weights.
    curved : array, shape (H,)
        Sum of the weights times the squared distance; in absolute value one by one for the Taylor class.
    """

    jump: Floats
    squares: Floats
    curved: Floats


class SideMoments:
    """Running sums on one side of the cutoff.

    Parameters
    ----------
    data : HonestData
    right : bool
        Which side.
    scale : float
        Distances are measured in this unit.
    """

    def __init__(self, data: HonestData, right: bool, scale: float) -> None:
        rows = data.side(right)
        order = slice(None) if right else slice(None, None, -1)
        self._u = np.abs(data.x[rows][order]) / scale
        w, y = data.weights[rows][order], data.y[rows][order]
        self._plain = _running(w, self._u, 6)
        self._square = _running(w**2, self._u, 7)
        self._outcomes = [_running(w * column, self._u, 4) for column in y.T]
        self._scale = scale

    def at(self, bandwidths: Floats, kernel: str, smoothness_class: str) -> Weighing:
        """Return what the weights amount to at each bandwidth; NaN where there are fewer than two distinct values."""
        h = np.asarray(bandwidths, float) / self._scale
        shape = _POLYNOMIALS[kernel]
        at = np.searchsorted(self._u, h, side="right")
        s0, s1, s2, s3 = (_combined(self._plain, at, h, shape, power) for power in range(4))
        both = _squared(shape)
        v0, v1, v2 = (_combined(self._square, at, h, both, power) for power in range(3))
        determinant = s0 * s2 - s1**2
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where all rows are on the edge of the window, or nearly of one value, nothing is left of the digits.
            sound = (determinant > 1e-12 * s0 * s2) & (s0 > _EDGE * self._plain[0][at])
            determinant = np.where(sound, determinant, np.nan)
            squares = (s2**2 * v0 - 2.0 * s1 * s2 * v1 + s1**2 * v2) / determinant**2
            squares = np.where(squares * at >= 1.0 - 1e-9, squares, np.nan)  # the weights of `at` rows add up to one
            curved = np.abs(s2**2 - s1 * s3) / determinant
            if smoothness_class == "taylor":
                turn = np.searchsorted(self._u, np.minimum(s2 / s1, h), side="right")
                t2, t3 = (_combined(self._plain, turn, h, shape, power) for power in (2, 3))
                curved = (2.0 * (s2 * t2 - s1 * t3) - (s2 * s2 - s1 * s3)) / determinant
            pairs = [[_combined(sums, at, h, shape, power) for power in (0, 1)] for sums in self._outcomes]
            jump = np.stack([(s2 * y0 - s1 * y1) / determinant for y0, y1 in pairs], axis=-1)
        return Weighing(jump, squares, curved * self._scale**2)


def _running(weight: Floats, u: Floats, powers: int) -> Floats:
    """Running sums of weight times powers of the distance, shape (powers + 1, n + 1), starting from zero."""
    sums = np.zeros((powers + 1, u.size + 1))
    term = weight.astype(np.float64)
    for row in sums:
        np.cumsum(term, out=row[1:])
        term = term * u
    return sums


def _combined(sums: Floats, at: Ints, h: Floats, shape: dict[int, float], power: int) -> Floats:
    """Sum over the window of kernel times weight times ``u**power``."""
    total = np.zeros(h.shape)
    for degree, coefficient in shape.items():
        total += coefficient * sums[power + degree][at] / h**degree
    return total


def _squared(shape: dict[int, float]) -> dict[int, float]:
    out: dict[int, float] = {}
    for one, a in shape.items():
        for two, b in shape.items():
            out[one + two] = out.get(one + two, 0.0) + a * b
    return out
