"""Which columns to keep: the earlier ones, by the norm of what each adds to those kept before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats, Ints

TOLERANCE = 1e-9
_NAMED = 5
_SHARE = 1e-6


@dataclass(frozen=True)
class Selection:
    """Columns kept, and for each dropped column the kept ones it is a combination of.

    Attributes
    ----------
    kept : array of int
        Positions, ascending.
    relations : dict of int to list of int
        Dropped position to the kept positions with a share in it.
    """

    kept: Ints
    relations: dict[int, list[int]]


def select_columns(matrix: Floats, tolerance: Floats) -> Selection:
    """Keep each column whose distance from the span of the kept earlier ones exceeds its tolerance.

    The order matters as it does in R: of two collinear columns the later one goes. Each column is orthogonalised
    twice, which makes its distance accurate to rounding ("twice is enough", Giraud, Langou and Rozložník 2005).

    Parameters
    ----------
    matrix : array, shape (m, k)
        Columns scaled to unit norm, or the triangular factor of such columns.
    tolerance : array, shape (k,)
        Smallest norm of what a column must add.

    Returns
    -------
    Selection
    """
    m, k = matrix.shape
    basis = np.empty((m, min(m, k)))
    kept: list[int] = []
    relations: dict[int, list[int]] = {}
    for j in range(k):
        span = basis[:, : len(kept)]
        rest = matrix[:, j] - span @ (span.T @ matrix[:, j])
        rest -= span @ (span.T @ rest)
        norm = float(np.sqrt(rest @ rest))
        if norm <= tolerance[j] or len(kept) == m:
            relations[j] = _partners(matrix[:, kept], matrix[:, j], kept)
            continue
        basis[:, len(kept)] = rest / norm
        kept.append(j)
    return Selection(np.asarray(kept, dtype=np.int64), relations)


def select_from_gram(gram: Floats, tolerance: float) -> Selection:
    """Do as `select_columns` from the cross-products of columns scaled to unit norm.

    Squaring halves the digits: distances below about 1e-7 are rounding, so the tolerance should not be smaller.

    Parameters
    ----------
    gram : array, shape (k, k)
    tolerance : float
        Smallest norm of what a column must add.

    Returns
    -------
    Selection
    """
    k = gram.shape[0]
    factor = np.zeros((k, k))
    kept: list[int] = []
    relations: dict[int, list[int]] = {}
    for j in range(k):
        size = len(kept)
        row = np.linalg.solve(factor[:size, :size], gram[kept, j]) if size else np.empty(0)
        left = gram[j, j] - row @ row
        if left <= tolerance**2:
            shares = np.linalg.solve(factor[:size, :size].T, row) if size else row
            relations[j] = _share_holders(np.asarray(shares, dtype=np.float64), kept)
            continue
        factor[size, :size], factor[size, size] = row, np.sqrt(left)
        kept.append(j)
    return Selection(np.asarray(kept, dtype=np.int64), relations)


def collinear_reason(partners: Sequence[str]) -> str:
    """Say in words why a column was dropped, from the names it is a combination of."""
    if not partners:
        return "zero in every row"
    shown = ", ".join(partners[:_NAMED])
    more = f" and {len(partners) - _NAMED} more" if len(partners) > _NAMED else ""
    return f"collinear with {shown}{more}"


def _partners(earlier: Floats, column: Floats, kept: list[int]) -> list[int]:
    if not kept:
        return []
    return _share_holders(np.asarray(np.linalg.lstsq(earlier, column, rcond=None)[0], dtype=np.float64), kept)


def _share_holders(shares: Floats, kept: list[int]) -> list[int]:
    return [position for position, share in zip(kept, shares, strict=True) if abs(share) > _SHARE]
