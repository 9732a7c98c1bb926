"""Cross-products and projections of many long columns, a block of rows at a time, without a copy of the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats

#: Rows of a block: a block of fifty columns stays in the cache.
BLOCK = 4096
_PIVOT_ROWS = 1000


@dataclass(frozen=True, eq=False)
class Stack:
    """Columns as the algebra wants them: less a pivot each, times the square root of the weights.

    Parameters
    ----------
    columns : tuple of arrays, each of shape (n,)
        Not changed and not copied.
    pivots : array, shape (k,)
        What is subtracted from each column.
    root : array, shape (n,), or None
        Square root of the weights.
    rows : int
        Rows, where there is no column.
    """

    columns: tuple[Floats, ...]
    pivots: Floats
    root: Floats | None = None
    rows: int = 0

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.columns[0].size) if self.columns else self.rows

    @property
    def k(self) -> int:
        """Columns."""
        return len(self.columns)

    def blocks(self) -> Iterator[tuple[int, int, Floats]]:
        """Yield first row, last row and the block, of shape (k, rows); the next block overwrites it."""
        buffer = np.empty((self.k, BLOCK))
        for low in range(0, self.n, BLOCK):
            high = min(low + BLOCK, self.n)
            block = buffer[:, : high - low]
            for row, column, pivot in zip(block, self.columns, self.pivots, strict=True):
                np.subtract(column[low:high], pivot, out=row)
            if self.root is not None:
                block *= self.root[low:high]
            yield low, high, block

    def take(self, positions: list[int]) -> Stack:
        """Return some of the columns."""
        return Stack(tuple(self.columns[j] for j in positions), self.pivots[positions], self.root, self.n)

    def joined(self, other: Stack) -> Stack:
        """Return these columns and then those of another stack of the same rows."""
        return Stack((*self.columns, *other.columns), np.concatenate([self.pivots, other.pivots]), self.root)


def pivots_of(columns: tuple[Floats, ...]) -> Floats:
    """Return a number near the mean of each column, from rows spread over all of it: it need not be exact."""
    if not columns:
        return np.empty(0)
    step = max(1, columns[0].size // _PIVOT_ROWS)
    return np.array([float(column[::step].mean()) for column in columns])


def cross_products(stack: Stack) -> Floats:
    """Return the k x k cross-products of the columns in one pass."""
    total = np.zeros((stack.k, stack.k))
    for _, _, block in stack.blocks():
        total += block @ block.T
    return total


def triangle(stack: Stack) -> Floats:
    """Return the triangular factor of the columns: QR by blocks of rows, which squares nothing.

    The factor of all rows is that of the factors stacked (Demmel, Grigori, Hoemmen and Langou 2012, TSQR).
    """
    factor = np.empty((0, stack.k))
    for _, _, block in stack.blocks():
        factor = np.asarray(np.linalg.qr(np.vstack([factor, block.T]), mode="r"), dtype=np.float64)
    return factor


def partial_out(outer: Stack, inner: Stack, shares: Floats, into: Floats) -> Floats:
    """Write ``outer - shares' inner`` into an array of shape (r, n); return what of ``inner`` is left in it.

    Parameters
    ----------
    outer : Stack of r columns
    inner : Stack of k columns
    shares : array, shape (k, r)
    into : array, shape (r, n)
        Overwritten.

    Returns
    -------
    array, shape (k, r)
        Cross-products of ``inner`` with what was written.
    """
    left = np.zeros((inner.k, outer.k))
    both = inner.joined(outer)
    for low, high, block in both.blocks():
        rest = into[:, low:high]
        np.subtract(block[inner.k :], shares.T @ block[: inner.k], out=rest)
        left += block[: inner.k] @ rest.T
    return left


def subtract_more(inner: Stack, shares: Floats, rows: Floats) -> Floats:
    """Subtract ``shares' inner`` from rows of shape (r, n) in place; return what of ``inner`` is left in them."""
    left = np.zeros((inner.k, rows.shape[0]))
    for low, high, block in inner.blocks():
        rows[:, low:high] -= shares.T @ block
        left += block @ rows[:, low:high].T
    return left


def combination(inner: Stack, shares: Floats) -> Floats:
    """Return ``shares' inner`` of shape (n,) for a vector of shares."""
    values = np.empty(inner.n)
    for low, high, block in inner.blocks():
        values[low:high] = shares @ block
    return values


def quadratic_forms(inner: Stack, matrix: Floats) -> Floats:
    """Return ``x' matrix x`` of each row x of the columns, shape (n,): leverages where ``matrix`` is their bread."""
    values = np.empty(inner.n)
    for low, high, block in inner.blocks():
        np.einsum("ij,ij->j", matrix @ block, block, out=values[low:high])
    return values


def score_products(inner: Stack, residuals: Floats, scores: Floats) -> Floats:
    """Return the cross-products over rows of ``[scores, inner times residuals]``.

    Parameters
    ----------
    inner : Stack of k columns
    residuals : array, shape (n,)
    scores : array, shape (r, n)

    Returns
    -------
    array, shape (r + k, r + k)
    """
    r = scores.shape[0]
    total = np.zeros((r + inner.k, r + inner.k))
    buffer = np.empty((r + inner.k, BLOCK))
    for low, high, block in inner.blocks():
        both = buffer[:, : high - low]
        both[:r] = scores[:, low:high]
        np.multiply(block, residuals[low:high], out=both[r:])
        total += both @ both.T
    return total
