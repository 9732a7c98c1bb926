"""Solve a least-squares problem whose columns are ready: scale, find the rank, pick a factorisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats, Ints
from causalkit.linear.rank import TOLERANCE, select_columns

GRAM_CONDITION = 1e6
_EPSILON = float(np.finfo(np.float64).eps)
_REFINEMENTS = 2


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


def solve_columns(target: Floats, columns: Floats, reference: Floats, raw: Floats) -> Solution:
    """Regress ``target`` on ``columns`` by Cholesky where the condition number allows it, else by QR.

    Columns are scaled to unit norm first, so neither the rank nor the factorisation depends on their units. A column
    counts as empty if its norm is at most 1e-9 of ``reference`` (its norm before effects or the mean were removed) or
    within rounding of ``raw`` (its norm as given), and as collinear if what it adds to the columns kept before it is.

    Parameters
    ----------
    target : array, shape (n,)
    columns : array, shape (k, n)
        One regressor per row, times the square root of the weights.
    reference, raw : array, shape (k,)
        Norms to compare with.

    Returns
    -------
    Solution
    """
    norms = np.sqrt(np.einsum("ij,ij->i", columns, columns))
    noise = 8.0 * _EPSILON * raw
    full = norms > np.maximum(TOLERANCE * reference, noise)
    present = np.flatnonzero(full)
    empty = tuple(int(j) for j in np.flatnonzero(~full))
    scaled = columns[present] / norms[present, None]
    gram = scaled @ scaled.T
    if _well_conditioned(gram, target.size):
        slopes, inverse, residuals = _by_cholesky(target, scaled, gram)
        within, relations, factorisation = np.arange(present.size), {}, "cholesky"
    else:
        tolerance = np.maximum(TOLERANCE, noise[present] / norms[present])
        basis, triangle = np.linalg.qr(scaled.T)
        selection = select_columns(triangle, tolerance)
        within, relations, factorisation = selection.kept, selection.relations, "qr"
        slopes, inverse, residuals = _by_qr(target, scaled[within], basis, triangle[:, within])
    kept = present[within]
    return Solution(
        slopes / norms[kept],
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


def _by_cholesky(target: Floats, scaled: Floats, gram: Floats) -> tuple[Floats, Floats, Floats]:
    """Solve from the cross-products, then repeat on the residuals, which recovers what the squaring lost."""
    inverse = np.linalg.inv(gram) if gram.size else gram
    inverse = (inverse + inverse.T) / 2.0
    slopes, residuals = np.zeros(gram.shape[0]), target
    for _ in range(_REFINEMENTS):
        slopes = slopes + inverse @ (scaled @ residuals)
        residuals = target - slopes @ scaled
    return slopes, inverse, residuals


def _by_qr(target: Floats, scaled: Floats, basis: Floats, triangle: Floats) -> tuple[Floats, Floats, Floats]:
    """Solve from the orthogonal factor of all columns and the triangle's columns that are kept."""
    rotation, small = np.linalg.qr(triangle)
    unrotated = np.linalg.inv(small)
    slopes = unrotated @ (rotation.T @ (basis.T @ target))
    return slopes, unrotated @ unrotated.T, target - slopes @ scaled
