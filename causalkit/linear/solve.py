"""Solve a least-squares problem whose columns are ready: scale, find the rank, pick a factorisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats, Ints
from causalkit.linear.rank import TOLERANCE, select_columns

GRAM_CONDITION = 1e6
_EPSILON = float(np.finfo(np.float64).eps)
_MAX_CORRECTIONS = 4


@dataclass(frozen=True)
class Solution:
    """Coefficients of the kept columns.

    Attributes
    ----------
    coefficients : array, shape (r,)
    bread : array, shape (r, r)
        Inverse of the cross-products of the kept columns.
    residuals : array, shape (n,)
    kept : array of int
        Positions of the kept columns.
    relations : dict of int to list of int
        Dropped position to the kept positions it is a combination of.
    empty : tuple of int
        Positions of columns with nothing left (zero, constant beside an intercept, or absorbed).
    factorisation : str
        ``"cholesky"`` of the cross-products, refined on the residuals, or ``"qr"`` of the columns.
    """

    coefficients: Floats
    bread: Floats
    residuals: Floats
    kept: Ints
    relations: dict[int, list[int]]
    empty: tuple[int, ...]
    factorisation: str


def solve_columns(rows: Floats, reference: Floats, raw: Floats) -> Solution:
    """Regress the first row on the others by Cholesky where the condition number allows it, else by QR.

    Columns are scaled to unit norm first, so neither the rank nor the factorisation depends on their units. A column
    counts as empty if its norm is at most 1e-9 of ``reference`` (its norm before effects or the mean were removed) or
    within rounding of ``raw`` (its norm as given), and as collinear if what it adds to the columns kept before it is.

    Parameters
    ----------
    rows : array, shape (1 + k, n)
        The outcome, then one regressor per row, times the square root of the weights.
    reference, raw : array, shape (k,)
        Norms to compare with.

    Returns
    -------
    Solution
    """
    from causalkit.kernels.normal import cross_products

    together = cross_products(rows)  # one pass for all: the rows are what costs
    target, columns, products = rows[0], rows[1:], together[1:, 1:]
    norms = np.sqrt(np.diag(products))
    noise = 8.0 * _EPSILON * raw
    full = norms > np.maximum(TOLERANCE * reference, noise)
    present = np.flatnonzero(full)
    empty = tuple(int(j) for j in np.flatnonzero(~full))
    unit = norms[present]
    gram = pick(pick(products, present).T, present) / np.outer(unit, unit)
    left = pick(columns, present)
    if _well_conditioned(gram, target.size):
        scores = together[0, 1:][present]
        slopes, inverse, residuals = _by_cholesky(target, left, unit, gram, scores, float(np.sqrt(together[0, 0])))
        within, relations, factorisation = np.arange(present.size), {}, "cholesky"
    else:
        tolerance = np.maximum(TOLERANCE, noise[present] / unit)
        basis, triangle = np.linalg.qr((left / unit[:, None]).T)
        selection = select_columns(triangle, tolerance)
        within, relations, factorisation = selection.kept, selection.relations, "qr"
        slopes, inverse = _by_qr(target, basis, triangle[:, within])
        slopes = slopes / unit[within]
        residuals = target - slopes @ left[within]
    kept = present[within]
    return Solution(
        slopes,
        inverse / np.outer(norms[kept], norms[kept]),
        residuals,
        kept,
        {int(present[j]): [int(present[i]) for i in partners] for j, partners in relations.items()},
        empty,
        factorisation,
    )


def _well_conditioned(gram: Floats, n_rows: int) -> bool:
    if gram.shape[0] == 0:
        return True
    if gram.shape[0] > n_rows:
        return False
    values = np.linalg.eigvalsh(gram)
    return bool(values[0] * GRAM_CONDITION > values[-1])


def pick(rows: Floats, positions: Ints) -> Floats:
    """Take rows by ascending position, without a copy where all are taken."""
    return rows if positions.size == rows.shape[0] else rows[positions]


def _by_cholesky(
    target: Floats, columns: Floats, unit: Floats, gram: Floats, scores: Floats, norm: float
) -> tuple[Floats, Floats, Floats]:
    """Solve from the cross-products, then on the residuals until it settles: that recovers what squaring lost."""
    from causalkit.kernels.normal import residuals_and_scores

    factor = np.linalg.cholesky(gram)
    root = np.linalg.inv(factor) if gram.size else factor
    inverse = root.T @ root
    slopes = inverse @ (scores / unit) / unit
    residuals, scores = residuals_and_scores(target, columns, slopes)
    for _ in range(_MAX_CORRECTIONS):
        change = inverse @ (scores / unit)
        if np.abs(change).max(initial=0.0) <= 4.0 * _EPSILON * norm:
            break
        slopes = slopes + change / unit
        residuals, scores = residuals_and_scores(target, columns, slopes)
    return slopes, np.asarray(inverse), residuals


def _by_qr(target: Floats, basis: Floats, triangle: Floats) -> tuple[Floats, Floats]:
    """Solve from the orthogonal factor of all columns and the triangle's columns that are kept."""
    rotation, small = np.linalg.qr(triangle)
    unrotated = np.linalg.inv(small)
    return unrotated @ (rotation.T @ (basis.T @ target)), unrotated @ unrotated.T
