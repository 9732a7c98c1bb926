"""Probability that a multivariate normal or t vector stays in a symmetric box, by quasi-random integration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, special

from causalkit.kernels.arrays import Floats

_POINTS = 2048
_SHIFTS = 8
_SINGULAR = 1e-9
#: The secant: its first step, when it has arrived, and how long it tries.
_STEP, _CLOSE, _MOST_STEPS = 1e-3, 1e-8, 20


class StudentBox:
    """``P(|T_1| <= c, ..., |T_k| <= c)`` as a function of c, on one fixed set of points.

    Parameters
    ----------
    correlation : (k, k) array
        May be singular.
    df : float
        Degrees of freedom shared by all entries; infinity is the normal.
    rng : numpy Generator
        Draws the random shifts of the point set.

    Notes
    -----
    Separation of variables (Genz 1992; Genz and Bretz 1999 for t) on a Richtmyer lattice with random shifts and the
    baker's transformation. An entry that others determine tightens the bounds of the last normal it depends on, so a
    singular correlation stays smooth. The fixed points make the probability smooth in c, so a root can be found.
    """

    def __init__(self, correlation: Floats, df: float, rng: np.random.Generator) -> None:
        self._factor = _pivoted_factor(correlation)
        rank = self._factor.shape[1]
        loaded = np.abs(self._factor) > _SINGULAR
        last = rank - 1 - np.argmax(loaded[:, ::-1], axis=1)
        self._owned = [np.flatnonzero(last == column) for column in range(rank)]
        points = _lattice(rank, rng)
        self._stretch = np.ones(points.shape[1])
        if np.isfinite(df):
            self._stretch = np.sqrt(2.0 * special.gammaincinv(df / 2.0, points[-1]) / df)
        self._points = points[:-1]

    def critical(self, probability: float, low: float, high: float) -> float:
        """Return the half-width, between ``low`` and ``high``, at which the box has a probability.

        An eighth of the points brackets the root; all of them are then used in a few steps of the secant.
        """
        rough = _bracketed(lambda c: self.probability(c, _POINTS) - probability, low, high)
        before, after = rough, rough + _STEP
        gap = self.probability(before) - probability
        for _ in range(_MOST_STEPS):
            new = self.probability(after) - probability
            if new == gap:
                break
            before, gap, after = after, new, after - new * (after - before) / (new - gap)
            if abs(after - before) < _CLOSE or not low <= after <= high:
                break
        return float(np.clip(after, low, high))

    def probability(self, critical: float, points: int | None = None) -> float:
        """Probability of the box ``[-critical, critical]^k``; by the first ``points`` only where that is given."""
        limit = critical * self._stretch[:points]
        inside = np.ones(limit.size)
        normal = np.zeros((len(self._owned), limit.size))
        for column, rows in enumerate(self._owned):
            centre = -(self._factor[rows, :column] @ normal[:column])
            loading = self._factor[rows, column][:, None]
            centre, half = centre / loading, limit / np.abs(loading)
            low = special.ndtr((centre - half).max(axis=0))
            width = np.maximum(special.ndtr((centre + half).min(axis=0)) - low, 0.0)
            inside *= width
            if column + 1 < len(self._owned):  # nothing depends on the last one
                drawn = low + self._points[column, :points] * width
                normal[column] = special.ndtri(np.clip(drawn, 1e-300, 1.0 - 1e-16))
        return float(inside.mean())


def _bracketed(gap: Callable[[float], float], low: float, high: float) -> float:
    """Return a root to three digits, or the end that is nearest to one."""
    if gap(low) >= 0.0:
        return low
    return float(optimize.brentq(gap, low, high, xtol=1e-3)) if gap(high) > 0.0 else high


def _pivoted_factor(correlation: Floats) -> Floats:
    """Factor (k, rank) with ``F F'`` the correlation; each step takes the entry with the most variance left.

    Every row has a last non-zero column: given the earlier normals, it bounds that one normal.
    """
    rest = np.array(correlation, dtype=np.float64)
    size = rest.shape[0]
    factor = np.zeros((size, size))
    for step in range(size):
        best = int(np.argmax(np.round(np.diag(rest), 9)))
        if rest[best, best] <= _SINGULAR:
            return factor[:, :step]
        factor[:, step] = rest[:, best] / np.sqrt(rest[best, best])
        rest -= np.outer(factor[:, step], factor[:, step])
        rest[best, :] = rest[:, best] = 0.0
    return factor


def _lattice(size: int, rng: np.random.Generator) -> Floats:
    """Points in the unit cube of ``size + 1`` dimensions, one dimension a row; the last is for the t scale."""
    generators = np.sqrt(_primes(size + 1).astype(np.float64))[:, None]
    steps = generators * np.arange(1, _POINTS + 1)
    shifted = [np.mod(steps + rng.random((size + 1, 1)), 1.0) for _ in range(_SHIFTS)]
    return np.abs(2.0 * np.concatenate(shifted, axis=1) - 1.0)


def _primes(count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    limit = max(15, int(count * (np.log(count + 1) + np.log(np.log(count + 2)) + 1)) + 10)
    sieve = np.ones(limit, dtype=bool)
    sieve[:2] = False
    for number in range(2, int(limit**0.5) + 1):
        sieve[number * number :: number] &= not sieve[number]
    return np.flatnonzero(sieve)[:count].astype(np.int64)
