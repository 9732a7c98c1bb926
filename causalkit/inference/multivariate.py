"""Probability that a multivariate normal or t vector stays in a symmetric box, by quasi-random integration."""

from __future__ import annotations

import numpy as np
from scipy import special

from causalkit.inference.wald import t_quantile
from causalkit.kernels.arrays import Floats

#: A Korobov lattice: a prime number of points, and the generator whose error is the smallest over sixteen dimensions with
#: weights 1/j**2, among all generators (they were tried one by one).
_POINTS, _GENERATOR = 4093, 450
#: Dimensions that one shift of the lattice serves: more shifts keep the error of long vectors down.
_PER_SHIFT = 32
_SINGULAR = 1e-9
#: The secant: when it has arrived, and how long it tries.
_CLOSE, _MOST_STEPS = 1e-4, 20


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
    Separation of variables (Genz 1992; Genz and Bretz 1999 for t) on a Korobov lattice with random shifts and the
    baker's transformation. An entry that others determine tightens the bounds of the last normal it depends on, so a
    singular correlation stays smooth. The fixed points make the probability smooth in c, so a root can be found.
    """

    def __init__(self, correlation: Floats, df: float, rng: np.random.Generator) -> None:
        factor = _pivoted_factor(correlation)
        size, rank = factor.shape
        last = rank - 1 - np.argmax(np.abs(factor[:, ::-1]) > _SINGULAR, axis=1)
        self._log_size, self._df, self._stretch = float(np.log(size)), df, np.ones(1)
        # By normal: what the earlier ones move its bounds by, and how wide these are.
        self._bounds = [_bounds(factor[last == column], column) for column in range(rank)]
        self._points = _lattice(rank + 1, rng)
        if np.isfinite(df):  # the first dimensions are the most even: the scale moves the box most
            self._stretch = np.sqrt(2.0 * special.gammaincinv(df / 2.0, self._points[0]) / df)
            self._points = self._points[1:]

    def critical(self, alpha: float) -> float:
        """Return the half-width outside of which at least one entry lies with probability ``alpha``.

        The unknown is how many independent comparisons Bonferroni would have to pay for: the chance of an exceedance is
        almost inversely proportional to that number, so that a secant in its logarithm arrives in three steps.
        """
        before = after = self._log_size
        gap = step = self._excess(before, alpha)
        for _ in range(_MOST_STEPS):
            after = float(np.clip(before + step, 0.0, self._log_size))
            if abs(after - before) < _CLOSE:  # the next step would be a thousandth of this one
                break
            new = self._excess(after, alpha)
            slope = (new - gap) / (after - before)
            before, gap = after, new
            step = -new / slope if slope < 0.0 else new
        return self._half_width(after, alpha)

    def _half_width(self, log_count: float, alpha: float) -> float:
        return float(t_quantile(1.0 - alpha / (2.0 * np.exp(log_count)), self._df))

    def _excess(self, log_count: float, alpha: float) -> float:
        """Return the logarithm of how much more likely an exceedance is than ``alpha``."""
        outside = 1.0 - self.probability(self._half_width(log_count, alpha))
        return float(np.log(max(outside, np.finfo(float).tiny) / alpha))

    def probability(self, critical: float) -> float:
        """Probability of the box ``[-critical, critical]^k``."""
        limit = critical * self._stretch
        inside = np.ones(self._points.shape[1])
        normal = np.zeros((len(self._bounds), inside.size))
        for column, (moved, reach) in enumerate(self._bounds):
            centre, half = moved @ normal[:column], reach * limit
            low = special.ndtr((centre - half).max(axis=0))
            width = np.maximum(special.ndtr((centre + half).min(axis=0)) - low, 0.0)
            inside *= width
            if column + 1 < len(normal):  # nothing depends on the last one
                drawn = low + self._points[column] * width
                normal[column] = special.ndtri(np.clip(drawn, 1e-300, 1.0 - 1e-16))
        return float(inside.mean())


def _bounds(rows: Floats, column: int) -> tuple[Floats, Floats]:
    loading = rows[:, column : column + 1]
    return -rows[:, :column] / loading, 1.0 / np.abs(loading)


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
    """Points in the unit cube of ``size`` dimensions, one dimension a row."""
    generators = [pow(_GENERATOR, j, _POINTS) for j in range(size)]
    steps = np.outer(generators, np.arange(_POINTS)) % _POINTS / _POINTS
    points = np.concatenate(list(steps + rng.random((1 + size // _PER_SHIFT, size, 1))), axis=1)
    points -= np.floor(points)
    return np.abs(2.0 * points - 1.0)
