"""Where each bootstrap draw is at least as extreme as the data, as the null moves along the line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Floats

_FLAT = 1e-11


def extreme_intervals(numerators: Floats, denominators: Floats, imposed: bool) -> tuple[Floats, Floats]:
    """Start and end points of the intervals of x where a draw's statistic is at least that of the data.

    Parameters
    ----------
    numerators : (B, 2) array
        ``(n0, n1)``: the draw's numerator is ``n0 - n1 x``.
    denominators : (B, 3) array
        ``(q0, q1, q2)``: its squared denominator is ``q0 - 2 q1 x + q2 x^2``.
    imposed : bool
        False: the draws do not move with the null (numerator ``n0``, squared denominator ``q0``).

    Returns
    -------
    starts, ends : arrays of equal length
        The data's statistic at x is x squared. A draw may own up to three intervals, and infinite ends are kept.
    """
    if not imposed:
        size = np.sqrt(numerators[:, 0] ** 2 / np.where(denominators[:, 0] > 0, denominators[:, 0], np.nan))
        size = np.where(np.isnan(size), np.where(numerators[:, 0] != 0, np.inf, 0.0), size)
        return -size, size
    coefficients = _difference(numerators, denominators)
    roots = _real_roots(coefficients)
    edges = np.concatenate([np.full((roots.shape[0], 1), -np.inf), roots, np.full((roots.shape[0], 1), np.inf)], axis=1)
    low, high = edges[:, :-1], edges[:, 1:]
    extreme = (_signs(coefficients, low, high) >= 0) & (low < high)
    return low[extreme], high[extreme]


def _difference(numerators: Floats, denominators: Floats) -> Floats:
    """Coefficients, from x^4 down, of numerator^2 - x^2 denominator; rows of rounding error alone become zero."""
    (n0, n1), (q0, q1, q2) = numerators.T, denominators.T
    rows = np.column_stack([-q2, 2.0 * q1, n1**2 - q0, -2.0 * n0 * n1, n0**2])
    sizes = np.column_stack([q2, 2.0 * np.abs(q1), n1**2 + q0, 2.0 * np.abs(n0 * n1), n0**2])
    typical = sizes.max(axis=0)
    rows[np.abs(rows) <= _FLAT * np.maximum(sizes, typical)] = 0.0
    return rows


def _real_roots(coefficients: Floats) -> Floats:
    """Real roots of each quartic in ascending order, padded with +inf to four."""
    n_draws = coefficients.shape[0]
    roots = np.full((n_draws, 4), np.inf)
    full = (coefficients[:, 0] != 0) & (np.abs(coefficients[:, 0]) > 1e-12 * np.abs(coefficients).max(axis=1))
    if full.any():
        companion = np.zeros((int(full.sum()), 4, 4))
        companion[:, 0, :] = -coefficients[full, 1:] / coefficients[full, :1]
        companion[:, [1, 2, 3], [0, 1, 2]] = 1.0
        roots[full] = np.sort(_keep_real(np.linalg.eigvals(companion)), axis=1)
    for row in np.flatnonzero(~full & coefficients.any(axis=1)):
        found = _keep_real(np.roots(np.trim_zeros(coefficients[row], "f")))
        roots[row, : found.size] = np.sort(found)
    return roots


def _keep_real(values: NDArray[Any]) -> Floats:
    """Real parts; complex values become +inf, and near-double roots are kept (an extra edge changes nothing)."""
    real: Bools = np.abs(values.imag) <= 1e-7 * (1.0 + np.abs(values.real))
    kept: Floats = np.where(real, values.real, np.inf)
    return kept


def _signs(coefficients: Floats, low: Floats, high: Floats) -> Floats:
    """Sign of each quartic between two neighbouring edges."""
    from_low, to_high = np.isfinite(low), np.isfinite(high)
    left, right = np.where(from_low, low, 0.0), np.where(to_high, high, 0.0)
    open_right, open_left = left + 1.0 + np.abs(left), right - 1.0 - np.abs(right)
    middle = np.select([from_low & to_high, from_low, to_high], [0.5 * (left + right), open_right, open_left], 0.0)
    value = np.zeros_like(middle)
    for column in range(5):
        value = value * middle + coefficients[:, column : column + 1]
    return np.sign(value)
