"""Density on both sides of the cutoff: local polynomial fits of the empirical distribution function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from causalkit.kernels import rd_density
from causalkit.kernels.arrays import Floats, read_only
from causalkit.rdd.density_model import Kernel, Model, gram, population_moments, population_squares

Variance = Literal["jackknife", "plugin"]

_KIND = {
    "triangular": rd_density.TRIANGULAR,
    "uniform": rd_density.UNIFORM,
    "epanechnikov": rd_density.EPANECHNIKOV,
}


@dataclass(frozen=True, eq=False)
class Ordered:
    """The running variable, measured from the cutoff, in rising order.

    Parameters
    ----------
    x : Floats, shape (n,)
        Rising; the cutoff is at zero.
    n_left : int
        Values below the cutoff: the others, zero among them, are on the right.
    mass_points : bool
        Whether equal values are one mass point: the distribution function jumps there, and they leave a jackknife
        together.
    """

    x: Floats
    n_left: int
    mass_points: bool

    @classmethod
    def of(cls, values: Floats, cutoff: float, mass_points: bool) -> Ordered:
        """Sort the values around the cutoff."""
        x = np.sort(values)
        n_left = int(np.searchsorted(x, cutoff, side="left"))
        x -= cutoff
        return cls(read_only(x), n_left, mass_points)

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.x.size)

    @property
    def n_right(self) -> int:
        """Number of values at or above the cutoff."""
        return self.n - self.n_left

    @cached_property
    def has_ties(self) -> bool:
        """Whether some value occurs twice."""
        return bool(np.any(self.x[1:] == self.x[:-1]))

    def rows(self, side: int, h: float) -> tuple[int, int]:
        """Rows within ``h`` of the cutoff on one side."""
        if side < 0:
            return int(np.searchsorted(self.x, -h, side="left")), self.n_left
        return self.n_left, int(np.searchsorted(self.x, h, side="right"))

    def nearest(self, side: int, count: int, distinct: bool) -> float:
        """Distance of the ``count``-th nearest value to the cutoff on one side; of the farthest where there are fewer."""
        away = -self.x[: self.n_left][::-1] if side < 0 else self.x[self.n_left :]
        if distinct:
            size = min(count, away.size)
            while True:
                found = np.unique(away[:size])
                if found.size > count or size == away.size:
                    away = found
                    break
                size = min(2 * size + 1, away.size)
        return float(away[min(count, away.size) - 1])


@dataclass(frozen=True, eq=False)
class Fit:
    """Local polynomials on both sides.

    Parameters
    ----------
    ordered : Ordered
        The values.
    model : Model
        Orders and bandwidths.
    kernel : str
        The kernel.
    """

    ordered: Ordered
    model: Model
    kernel: Kernel

    @property
    def n_effective(self) -> tuple[int, int]:
        """Values within the bandwidths, left and right."""
        rows = [self.ordered.rows(side, h) for side, h in self._sides]
        return rows[0][1] - rows[0][0], rows[1][1] - rows[1][0]

    @property
    def _sides(self) -> tuple[tuple[int, float], tuple[int, float]]:
        return (-1, self.model.left), (1, self.model.right)

    @cached_property
    def _sums(self) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Moments and products of the left and of the right."""
        left, right = (self._sums_of(side, h) for side, h in self._sides)
        return left, right

    def _sums_of(self, side: int, h: float) -> tuple[Floats, Floats]:
        order, ordered = self.model.order, self.ordered
        moments, products = np.empty(2 * order + 1), np.empty(order + 1)
        start, stop = ordered.rows(side, h)
        rd_density.window_moments(
            ordered.x, start, stop, ordered.n_left, ordered.mass_points, 0.0, h, side * h / 2.0, h / 2.0,
            _KIND[self.kernel], moments, products,
        )  # fmt: skip
        return moments, products

    def weights(self, which: int) -> Floats:
        """Weights of the coefficients of ``x ** which``; see :meth:`Model.derivatives`."""
        (left, _), (right, _) = self._sums
        order = self.model.order
        return self.model.derivatives(gram(left, order), gram(right, order), which)

    def coefficients(self, which: int) -> Floats:
        """Coefficients of ``x ** which`` of the distribution function, left and right; the densities for 1."""
        (_, left), (_, right) = self._sums
        weights = self.weights(which)
        return np.asarray((weights[:, 0] @ left + weights[:, 1] @ right) / (self.ordered.n - 1))

    def covariance(self, vcov: Variance) -> Floats:
        """Covariance matrix of the densities on the left and on the right.

        Parameters
        ----------
        vcov : {"jackknife", "plugin"}
            Sums over the data, or their limits at the estimated densities.
        """
        return self._jackknife() if vcov == "jackknife" else self._plugin()

    def _jackknife(self) -> Floats:
        weights, later, squares = self.weights(1), np.zeros(2), np.zeros(3)
        for at in (1, 0):
            side, h = self._sides[at]
            start, stop = self.ordered.rows(side, h)
            if self.model.restricted:
                self._add_squares(side, h, start, stop, weights[:, at], later, squares)
            else:  # the other side's rows add nothing
                alone = np.zeros(3)
                self._add_squares(side, h, start, stop, weights[at : at + 1, at], np.zeros(1), alone)
                squares[at] = alone[0]
        return np.array([[squares[0], squares[2]], [squares[2], squares[1]]]) / (self.ordered.n - 1) ** 2

    def _add_squares(
        self, side: int, h: float, start: int, stop: int, series: Floats, later: Floats, squares: Floats
    ) -> None:
        rd_density.suffix_squares(
            self.ordered.x, start, stop, self.ordered.mass_points, 0.0, h, side * h / 2.0, h / 2.0,
            _KIND[self.kernel], np.ascontiguousarray(series), later, squares,
        )  # fmt: skip

    def _plugin(self) -> Floats:
        density = self.coefficients(1)
        weights = self.population_weights(density)
        total = np.zeros((2, 2))
        for at, (side, h) in enumerate(self._sides):
            for i in range(2):
                for j in range(2):
                    tails = population_squares(self.kernel, weights[i, at], weights[j, at], side)
                    total[i, j] += h * density[at] ** 3 * tails
        return total / self.ordered.n

    def population_weights(self, density: Floats) -> Floats:
        """Limits of :meth:`weights` for the densities, times the number of values."""
        order = self.model.order
        flat = [gram(population_moments(self.kernel, order, side), order) for side in (-1, 1)]
        if self.model.restricted:
            return self.model.derivatives(density[0] * flat[0], density[1] * flat[1], 1)
        return self.model.derivatives(flat[0], flat[1], 1) / density[:, None, None]
