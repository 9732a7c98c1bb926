"""Intervals for a running variable with few distinct values, under bounded misspecification (Kolesar and Rothe 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats, Ints
from causalkit.rdd.honest_data import HonestData

_MOST_POINTS = 2000


@dataclass(frozen=True)
class DiscreteInterval:
    """An interval that allows the regression to be as wrong at the cutoff as it is at the worst support points.

    Parameters
    ----------
    estimate : float
        The jump of the polynomial regression.
    low, high : float
    worst : tuple of float
        The two support points, below and above the cutoff, whose misfit makes the lower and the upper limit:
        ``(below, above, below, above)``.
    support : int
        Distinct values of the running variable.
    """

    estimate: float
    low: float
    high: float
    worst: tuple[float, float, float, float]
    support: int


def bounded_misspecification(
    data: HonestData, *, order: int = 1, left: float = np.inf, right: float = np.inf, alpha: float = 0.05
) -> DiscreteInterval:
    """Return the interval under the bounded misspecification error class.

    A polynomial with a uniform kernel is fitted on each side; how far it misses the mean outcome at each support point
    bounds how far it may miss the limits at the cutoff (Kolesar and Rothe 2018, section 4.2).

    Parameters
    ----------
    data : HonestData
    order : int
        Order of the polynomials.
    left, right : float
        Bandwidths on each side.
    alpha : float
        One minus the coverage.
    """
    kept = (data.x <= right) & (data.x >= -left)
    x, y = data.x[kept], data.y[kept, 0]
    support, codes = np.unique(x, return_inverse=True)
    below = int((support < 0).sum())
    if min(below, support.size - below) <= order:
        raise DesignError(f"a polynomial of order {order} needs more than {order} support points on each side.")
    if support.size > _MOST_POINTS:
        raise InferenceUnavailable(
            f"the running variable has {support.size:,} distinct values in the window: this interval is for discrete ones.",
            hint='Use the honest interval with a bound on the curvature: ci(method="honest").',
        )
    design = _design(support, order)
    coefficients, scores = _regression(design[codes], y)
    counts = np.bincount(codes).astype(float)
    means = np.bincount(codes, y) / counts
    misfit = means - design @ coefficients
    deviations = (y - means[codes]) / counts[codes]
    matrix = _covariance(scores, deviations, codes, design)
    return _widest(float(coefficients[0]), misfit, matrix, support, below, alpha)


def _design(x: Floats, order: int) -> Floats:
    """Columns: the jump, then a constant and powers on both sides, then powers above the cutoff."""
    treated = (x >= 0).astype(float)
    powers = (x / np.abs(x).max())[:, None] ** np.arange(1, order + 1)
    return np.column_stack([treated, np.ones_like(x), powers, powers * treated[:, None]])


def _regression(design: Floats, y: Floats) -> tuple[Floats, Floats]:
    q, r = np.linalg.qr(design)
    coefficients = np.linalg.solve(r, q.T @ y)
    residuals = y - design @ coefficients
    return coefficients, np.linalg.solve(r, (q * residuals[:, None]).T).T


def _covariance(scores: Floats, deviations: Floats, codes: Ints, design: Floats) -> Floats:
    """Covariance of the misfits at each support point and (last) of the jump, from influence values."""
    n, size = len(codes), design.shape[0]
    crossed = np.stack([np.bincount(codes, deviations * column, size) for column in scores.T], axis=1)
    own = np.diag(np.bincount(codes, deviations**2, size))
    fitted = scores.T @ scores
    matrix = np.empty((size + 1, size + 1))
    matrix[:size, :size] = own + design @ fitted @ design.T - crossed @ design.T - design @ crossed.T
    matrix[:size, size] = matrix[size, :size] = crossed[:, 0] - design @ fitted[:, 0]
    matrix[size, size] = fitted[0, 0]
    return matrix * n / (n - 1)


def _widest(jump: float, misfit: Floats, matrix: Floats, support: Floats, below: int, alpha: float) -> DiscreteInterval:
    """Take the union over all pairs of support points and signs of their misfits."""
    z = float(special.ndtri(1.0 - alpha / 2.0))
    variance, crossed, shared = np.diag(matrix)[:-1], matrix[:-1, -1], matrix[:below, below:-1]
    lows: list[tuple[float, int]] = []
    highs: list[tuple[float, int]] = []
    for one in (-1.0, 1.0):
        for two in (-1.0, 1.0):
            moved = one * misfit[:below, None] + two * misfit[None, below:]
            total = variance[:below, None] + variance[None, below:] + matrix[-1, -1] + 2.0 * one * two * shared
            total = total + 2.0 * one * crossed[:below, None] + 2.0 * two * crossed[None, below:]
            half = z * np.sqrt(np.maximum(total, 0.0))
            for values, kept, pick in ((jump + moved - half, lows, np.argmin), (jump + moved + half, highs, np.argmax)):
                at = int(pick(values))
                kept.append((float(values.flat[at]), at))
    low, high = min(lows), max(highs)
    above = support.size - below
    worst = [support[low[1] // above], support[below + low[1] % above]]
    worst += [support[high[1] // above], support[below + high[1] % above]]
    return DiscreteInterval(jump, low[0], high[0], tuple(map(float, worst)), support.size)  # type: ignore[arg-type]
