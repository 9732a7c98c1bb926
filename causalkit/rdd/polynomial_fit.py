"""A weighted polynomial on one side of a cutoff: what a fit holds, and how to fit where sums of powers lose digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, eq=False)
class Fit:
    """A weighted polynomial of the distance on one side, in units of its bandwidth.

    Attributes
    ----------
    bandwidth : float
    rows : int
        Rows with positive weight: the first ones.
    gram, inverse : array, shape (order + 1, order + 1)
        Sums of kernel times powers of u, and the inverse.
    beta : array, shape (order + 1, columns)
        Coefficients of u ** j for each column (centred at the side's means).
    next_power : array, shape (order + 1,)
        Coefficients of the regression of ``u ** (order + 1)``: what the polynomial takes of the next term.
    """

    bandwidth: float
    rows: int
    gram: Floats
    inverse: Floats
    beta: Floats
    next_power: Floats

    @property
    def order(self) -> int:
        """Order of the polynomial."""
        return len(self.inverse) - 1


def from_rows(u: Floats, weight: Floats, columns: Floats, order: int) -> tuple[Floats, Floats, Floats] | None:
    """Return inverse Gram matrix, coefficients, and those of the next power, by QR; None where a power is collinear.

    Parameters
    ----------
    u, weight : array, shape (n,)
        Distance in bandwidths, and weight; a negative one is rounding.
    columns : array, shape (k, n)
    order : int
    """
    root = np.sqrt(np.maximum(weight, 0.0))
    powers = np.vander(u, order + 2, increasing=True) * root[:, None]
    answers = np.column_stack([powers[:, -1], (columns * root).T])
    q, r = np.linalg.qr(powers[:, :-1])
    back = invert(r)
    if not np.isfinite(back).all():
        return None
    coefficients = np.linalg.solve(r, q.T @ answers)
    return back @ back.T, coefficients[:, 1:], coefficients[:, 0]


def invert(matrix: Floats) -> Floats:
    """Invert a matrix; infinite where it has no inverse."""
    try:
        return np.asarray(np.linalg.inv(matrix))
    except np.linalg.LinAlgError:
        return np.full(matrix.shape, np.inf)
