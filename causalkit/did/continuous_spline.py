"""Splines in a dose: polynomials that change their highest coefficient at knots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats

_CONDITION = 1e10


@dataclass(frozen=True, eq=False)
class Spline:
    """The space of B-splines of one order with given knots, in a basis of Chebyshev polynomials and truncated powers.

    Parameters
    ----------
    low, high : float
        Ends of the range of doses; beyond them the last polynomial goes on.
    knots : Floats
        Interior knots.
    order : int
        Degree of the polynomials.
    """

    low: float
    high: float
    knots: Floats
    order: int

    @classmethod
    def of(cls, doses: Floats, knots: Floats, order: int) -> Spline | None:
        """Return the spline of these doses, or None where they do not vary enough for it, or there is no unit to spare.

        Parameters
        ----------
        doses : Floats, shape (n,)
            Of which the spline takes its range.
        knots : Floats
            Interior knots; those outside the range are left out.
        order : int
        """
        low, high = float(doses.min()), float(doses.max())
        inside = np.unique(knots[(knots > low) & (knots < high)])
        size = order + 1 + len(inside)
        if low == high or len(np.unique(doses)) < size or len(doses) == size:  # one unit for each coefficient: no error
            return None
        spline = cls(low, high, inside, order)
        return spline if np.linalg.cond(spline.basis(doses)) < _CONDITION else None

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.order + 1 + len(self.knots)

    def basis(self, doses: Floats) -> Floats:
        """Return the basis at doses, shape (n, size)."""
        u = self._unit(doses)
        beyond = np.maximum(u[:, None] - self._unit(self.knots)[None, :], 0.0)
        return np.hstack([np.polynomial.chebyshev.chebvander(u, self.order), beyond**self.order])

    def slope(self, doses: Floats) -> Floats:
        """Return the derivative of the basis in the dose, shape (n, size)."""
        u, each = self._unit(doses), np.eye(self.order + 1)
        series = [np.polynomial.chebyshev.chebder(row) for row in each]
        smooth = np.column_stack([np.polynomial.chebyshev.chebval(u, s) for s in series])
        gap = u[:, None] - self._unit(self.knots)[None, :]
        beyond = self.order * np.where(gap > 0, np.maximum(gap, 0.0) ** (self.order - 1), 0.0)
        return np.hstack([smooth, beyond]) * (2.0 / (self.high - self.low))

    def _unit(self, doses: Floats) -> Floats:
        return np.asarray(2.0 * (doses - self.low) / (self.high - self.low) - 1.0)
