"""Normal probabilities without draws: boxes of correlated normals, truncated and folded quantiles."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from causalkit.kernels.arrays import Floats

_SINGULAR = 1e-9
_BLOCK = 4_000_000


class NormalBox:
    """``P(low <= Z <= high)`` and the mean of Z inside the box, for ``Z ~ N(0, vcov)``.

    Parameters
    ----------
    vcov : (k, k) array
        May be singular.
    n_points : int
        Points of integration.

    Notes
    -----
    Separation of variables (Genz 1992) on a Richtmyer sequence with the baker's transformation: the same answer every
    time, smooth in the bounds. Entries that others determine tighten the bounds of the last
    normal they depend on.
    """

    def __init__(self, vcov: Floats, n_points: int = 4096) -> None:
        self._factor = _pivoted_factor(np.atleast_2d(vcov))
        rank = self._factor.shape[1]
        loaded = np.abs(self._factor) > _SINGULAR * np.abs(self._factor).max(axis=1, keepdims=True, initial=1e-300)
        last = np.where(loaded.any(axis=1), rank - 1 - np.argmax(loaded[:, ::-1], axis=1), -1)
        self._owned = [np.flatnonzero(last == column) for column in range(rank)]
        self._fixed = np.flatnonzero(last == -1)
        self._points = _lattice(rank, n_points)

    def probability(self, low: Floats, high: Floats) -> float:
        """Return the probability of the box; bounds may be infinite."""
        return float(self._walk(low, high)[0].mean())

    def mean(self, low: Floats, high: Floats) -> Floats:
        """Return the mean of Z given that it lies in the box."""
        inside, normal = self._walk(low, high)
        mean: Floats = self._factor @ (normal @ inside) / inside.sum()
        return mean

    def _walk(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return the weight of each point and its standard normals, one row each."""
        low, high = np.asarray(low, float), np.asarray(high, float)
        inside = np.ones(self._points.shape[1])
        if np.any((low[self._fixed] > 0) | (high[self._fixed] < 0)):
            inside[:] = 0.0
        normal = np.zeros((len(self._owned), inside.size))
        for column, rows in enumerate(self._owned):
            loading = self._factor[rows, column][:, None]
            centre = self._factor[rows, :column] @ normal[:column]
            ends = (low[rows, None] - centre) / loading, (high[rows, None] - centre) / loading
            lower = np.minimum(*ends).max(axis=0)
            upper = np.maximum(*ends).min(axis=0)
            far = lower > 0  # in the upper tail, count from above to keep the digits
            lower, upper = np.where(far, -upper, lower), np.where(far, -lower, upper)
            below = special.ndtr(lower)
            width = np.maximum(special.ndtr(upper) - below, 0.0)
            inside *= width
            drawn = special.ndtri(np.clip(below + self._points[column] * width, 1e-300, 1.0 - 1e-16))
            normal[column] = np.where(far, -drawn, drawn)
        return inside, normal


def largest_quantile(factor: Floats, probability: float) -> float:
    """Return c with ``P(max of factor @ z <= c) = probability`` for standard normal z, where c is positive.

    Parameters
    ----------
    factor : (k, r) array
        One row for each of the normals whose maximum is taken.
    probability : float
        Above one half.

    Notes
    -----
    With z a length times a direction u, the maximum exceeds c where the length exceeds ``c / max(factor @ u)``: a
    chi-square tail for each direction, averaged over a fixed rule on the sphere. The tail is thus met by every
    direction, and is smooth in c.
    """
    sizes, axes = np.linalg.eigh(factor.T @ factor)
    reduced = factor @ axes[:, sizes > 1e-12 * max(float(sizes.max(initial=0.0)), 1e-300)]
    if not reduced.size:
        return 0.0
    spread = np.sqrt((reduced**2).sum(axis=1))
    rank = reduced.shape[1]
    directions, weights = _sphere(rank)
    size = max(1, _BLOCK // len(reduced))
    blocks = [(reduced @ directions[:, j : j + size]).max(axis=0) for j in range(0, directions.shape[1], size)]
    reach = np.concatenate(blocks)
    reach, weights = reach[reach > 0], weights[reach > 0]
    low = float(special.ndtri(probability) * spread.max())
    high = float(-special.ndtri((1.0 - probability) / len(spread)) * spread.max())
    value = low
    for _ in range(100):
        ratio = value / reach
        miss = float(weights @ _chi_tail(ratio, rank)) - (1.0 - probability)
        step = miss / float(weights @ (_chi_density(ratio, rank) / reach))
        low, high = (value, high) if miss > 0 else (low, value)
        value, before = value + step, value
        if not low <= value <= high:
            value = (low + high) / 2.0
        if abs(value - before) <= 1e-11 * high:
            break
    return value


def _chi_tail(x: Floats, df: int) -> Floats:
    if df == 1:
        return np.asarray(2.0 * special.ndtr(-x))
    if df == 2:
        return np.asarray(np.exp(-0.5 * x * x))
    if df == 3:
        return np.asarray(2.0 * special.ndtr(-x) + np.sqrt(2.0 / np.pi) * x * np.exp(-0.5 * x * x))
    return np.asarray(special.gammaincc(df / 2.0, x * x / 2.0))


def _chi_density(x: Floats, df: int) -> Floats:
    constant = (1.0 - df / 2.0) * np.log(2.0) - special.gammaln(df / 2.0)
    return np.asarray(np.exp(constant + (df - 1.0) * np.log(x) - 0.5 * x * x))


@lru_cache(maxsize=32)
def _sphere(size: int) -> tuple[Floats, Floats]:
    """Directions in ``size`` dimensions, one a column, and their weights, which sum to one."""
    if size == 1:
        return np.array([[1.0, -1.0]]), np.array([0.5, 0.5])
    if size == 2:
        angle = 2.0 * np.pi * (np.arange(4096) + 0.5) / 4096
        return np.stack([np.cos(angle), np.sin(angle)]), np.full(4096, 1.0 / 4096)
    if size == 3:
        height, weight = np.polynomial.legendre.leggauss(48)
        angle = 2.0 * np.pi * (np.arange(96) + 0.5) / 96
        flat = np.sqrt(1.0 - height**2)
        round_ = np.stack([np.outer(flat, np.cos(angle)), np.outer(flat, np.sin(angle)), np.outer(height, np.ones(96))])
        return round_.reshape(3, -1), np.repeat(weight / 2.0 / 96, 96)
    points = special.ndtri(np.clip(_lattice(size, 8192), 1e-12, 1 - 1e-12))
    points /= np.sqrt((points**2).sum(axis=0))
    both = np.hstack([points, -points])
    return both, np.full(both.shape[1], 1.0 / both.shape[1])


def truncated_quantile(probability: float, low: Floats, high: Floats) -> Floats:
    """Quantile of a standard normal truncated to ``[low, high]``; accurate in the upper tail."""
    survival = np.logaddexp(
        np.log1p(-probability) + special.log_ndtr(-low), np.log(probability) + special.log_ndtr(-high)
    )
    return np.asarray(-special.ndtri_exp(np.minimum(survival, 0.0)))


def folded_quantile(probability: float, mean: Floats) -> Floats:
    """Quantile of ``|N(mean, 1)|`` by Newton's method."""
    mean = np.abs(np.asarray(mean, float))
    value = mean + special.ndtri(0.5 + probability / 2.0)
    for _ in range(60):
        miss = special.ndtr(value - mean) - special.ndtr(-value - mean) - probability
        slope = (np.exp(-0.5 * (value - mean) ** 2) + np.exp(-0.5 * (value + mean) ** 2)) / np.sqrt(2.0 * np.pi)
        step = miss / slope
        value = value - step
        if np.all(np.abs(step) <= 1e-14 * value):
            break
    return np.asarray(value)


def _pivoted_factor(vcov: Floats) -> Floats:
    """Factor (k, rank) with ``F F'`` the covariance; each step takes the entry with the most variance left."""
    rest = np.array(vcov, dtype=np.float64)
    size = rest.shape[0]
    least = _SINGULAR * max(float(np.diag(rest).max(initial=0.0)), 1e-300)
    factor = np.zeros((size, size))
    for step in range(size):
        best = int(np.argmax(np.diag(rest)))
        if rest[best, best] <= least:
            return factor[:, :step]
        factor[:, step] = rest[:, best] / np.sqrt(rest[best, best])
        rest -= np.outer(factor[:, step], factor[:, step])
        rest[best, :] = rest[:, best] = 0.0
    return factor


def _lattice(size: int, count: int) -> Floats:
    """Points in the unit cube, one dimension a row: multiples of square roots of primes, folded."""
    primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    number = 31
    while len(primes) < size:
        if all(number % prime for prime in primes):
            primes.append(number)
        number += 2
    steps = np.sqrt(np.array(primes[:size], dtype=np.float64))[:, None] * np.arange(1, count + 1)
    return np.abs(2.0 * np.mod(steps, 1.0) - 1.0)
