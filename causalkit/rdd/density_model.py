"""Two polynomials that meet at the cutoff: what a local fit of the distribution function solves for.

All series are in Chebyshev polynomials of each side's own interval, in which the normal equations are well conditioned;
the derivative at the cutoff is a linear functional of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats, read_only

Kernel = Literal["triangular", "uniform", "epanechnikov"]

#: Kernels as polynomials of the distance from the cutoff in bandwidths, on one side.
KERNELS: dict[str, tuple[float, ...]] = {
    "triangular": (1.0, -1.0),
    "uniform": (0.5,),
    "epanechnikov": (0.75, 0.0, -0.75),
}


@lru_cache
def powers_of_series(order: int, side: int) -> Floats:
    """Matrix from Chebyshev coefficients to coefficients of powers of u, which runs from the cutoff to ``side``."""
    shift = np.array([-float(side), 2.0])  # v = 2 u - side lies in [-1, 1]
    columns = np.zeros((order + 1, order + 1))
    for k in range(order + 1):
        series, power = chebyshev.cheb2poly(np.eye(order + 1)[k]), np.array([1.0])
        for coefficient in series:
            columns[: power.size, k] += coefficient * power
            power = polynomial.polymul(power, shift)
    return read_only(columns)


@lru_cache
def series_of_powers(order: int, side: int) -> Floats:
    """The inverse of :func:`powers_of_series`: the Chebyshev coefficients of each power of u."""
    columns = np.zeros((order + 1, order + 1))
    power, shift = np.array([1.0]), np.array([side / 2.0, 0.5])  # u as a polynomial of v
    for k in range(order + 1):
        series = chebyshev.poly2cheb(power)
        columns[: series.size, k] = series
        power = polynomial.polymul(power, shift)
    return read_only(columns)


def gram(moments: Floats, order: int) -> Floats:
    """Matrix of ``sum K T_i T_j`` from the sums ``sum K T_k``, k = 0 … 2 order."""
    i = np.arange(order + 1)
    return np.asarray((moments[i[:, None] + i] + moments[np.abs(i[:, None] - i)]) / 2.0)


@dataclass(frozen=True)
class Model:
    """Polynomials of one order on either side of the cutoff.

    Parameters
    ----------
    order : int
        The order of both.
    restricted : bool
        Whether they share the value at the cutoff and all derivatives but the first (Cattaneo, Jansson and Ma 2020,
        section 2.2); else they share nothing.
    left, right : float
        Bandwidths.
    """

    order: int
    restricted: bool
    left: float
    right: float

    def derivatives(self, gram_left: Floats, gram_right: Floats, which: int) -> Floats:
        """Weights of the coefficient of ``x ** which`` on the left and on the right.

        Parameters
        ----------
        gram_left, gram_right : Floats, shape (order + 1, order + 1)
            Normal equations of the two sides.
        which : int
            The power of x.

        Returns
        -------
        Floats, shape (2, 2, order + 1)
            For each coefficient (left, right), the series on each side (left, right): the coefficient is the product of
            these with the right-hand sides of the normal equations.

        Raises
        ------
        InferenceUnavailable
            If there are too few distinct values for the polynomials.
        """
        size = self.order + 1
        if self.restricted:
            return self._restricted(gram_left, gram_right, which)
        weights = np.zeros((2, 2, size))
        for at, (matrix, side, h) in enumerate(((gram_left, -1, self.left), (gram_right, 1, self.right))):
            weights[at, at] = _solve(matrix, powers_of_series(self.order, side)[which]) / h**which
        return weights

    def _restricted(self, gram_left: Floats, gram_right: Floats, which: int) -> Floats:
        size = self.order + 1
        basis = np.zeros((2 * size, self.order + 2))
        for at, (side, h) in enumerate(((-1, self.left), (1, self.right))):
            block = slice(at * size, (at + 1) * size)
            scaled = series_of_powers(self.order, side) * (h / self.left) ** np.arange(size)
            basis[block, 0] = scaled[:, 0]
            basis[block, 1 + at] = scaled[:, 1]
            basis[block, 3:] = scaled[:, 2:]
        joint = np.zeros((2 * size, 2 * size))
        joint[:size, :size], joint[size:, size:] = gram_left, gram_right
        orthonormal, triangle = np.linalg.qr(basis)
        reduced = orthonormal.T @ joint @ orthonormal
        weights = np.empty((2, 2, size))
        for at in range(2):
            wanted = np.zeros(self.order + 2)
            wanted[1 + at if which == 1 else which + 1] = 1.0
            row = np.linalg.solve(triangle.T, wanted)
            weights[at] = (orthonormal @ _solve(reduced, row)).reshape(2, size) / self.left**which
        return weights


def _solve(matrix: Floats, row: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    if not values[0] > 1e-13 * values[-1]:
        raise InferenceUnavailable(
            "there are too few distinct values of the running variable within the bandwidth.",
            hint="Widen bandwidth=, or lower order=.",
        )
    return np.asarray(vectors @ ((vectors.T @ row) / values))


def kernel_series(kernel: str, side: int) -> Floats:
    """The kernel on one side as a Chebyshev series."""
    coefficients = np.array(KERNELS[kernel]) * float(side) ** np.arange(len(KERNELS[kernel]))
    return np.asarray(series_of_powers(len(coefficients) - 1, side) @ coefficients)


@lru_cache
def population_moments(kernel: str, order: int, side: int) -> Floats:
    """Integrals of ``K T_k`` over one side, k = 0 … 2 order: the sums that a flat density of one leads to."""
    k_series = kernel_series(kernel, side)
    return read_only(np.array([_integral(chebyshev.chebmul(k_series, unit)) for unit in np.eye(2 * order + 1)]))


@lru_cache
def population_bias(kernel: str, order: int, side: int) -> Floats:
    """Integrals of ``K T_k u ** (order + 1)`` over one side: what the first power left out adds."""
    power = series_of_powers(order + 1, side)[:, -1]
    weighted = chebyshev.chebmul(kernel_series(kernel, side), power)
    return read_only(np.array([_integral(chebyshev.chebmul(weighted, unit)) for unit in np.eye(order + 1)]))


def population_squares(kernel: str, first: Floats, second: Floats, side: int) -> float:
    """Integral over z of the tails beyond z of two series times the kernel: the limit of the sums of a jackknife."""
    tails = []
    for series in (first, second):
        primitive = chebyshev.chebint(chebyshev.chebmul(kernel_series(kernel, side), series))
        # Away from the cutoff on both sides: the sum over the later rows on the left has the same square but for a
        # constant that the derivative does not see.
        primitive[0] -= chebyshev.chebval(float(side), primitive)
        tails.append(primitive / 2.0)
    return float(_integral(chebyshev.chebmul(*tails)))


def _integral(series: Any) -> float:
    """Integral over u, half that over v."""
    primitive = chebyshev.chebint(series)
    return float(chebyshev.chebval(1.0, primitive) - chebyshev.chebval(-1.0, primitive)) / 2.0


@lru_cache
def reference_constant(order: int, which: int) -> float:
    """Variance over squared bias of a derivative with the uniform kernel, for a density that is the normal one.

    The pilot bandwidths of Cattaneo, Jansson and Ma take this constant of a fit on one side of the cutoff.
    """
    model = Model(order, False, 1.0, 1.0)
    grams = [gram(population_moments("uniform", order, side), order) for side in (-1, 1)]
    weights = model.derivatives(grams[0], grams[1], which)[1, 1]
    bias = float(weights @ population_bias("uniform", order, 1))
    factorial = float(np.prod(np.arange(1.0, order + 2.0)))
    return population_squares("uniform", weights, weights, 1) * (factorial / bias) ** 2
