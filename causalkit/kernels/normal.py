"""Products of few long columns in one pass over the rows, on one thread.

A threaded matrix product gains little on columns that memory can't feed faster, and loses much where other processes
use the cores; it also lets the last digits depend on the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats
from causalkit.kernels.demean import over_columns

FEW = 12
SPARSE = 64
_BLOCK = 2048


def cross_products(rows: Floats) -> Floats:
    """Return ``rows @ rows.T``, of shape ``(k, k)``, for an array of shape ``(k, n)`` with contiguous rows."""
    if rows.shape[0] > FEW:
        product: Floats = rows @ rows.T
        return product
    table = np.zeros((rows.shape[0], rows.shape[0]))
    _cross_products(np.ascontiguousarray(rows), table)
    return table


def residuals_and_scores(target: Floats, rows: Floats, slopes: Floats) -> tuple[Floats, Floats]:
    """Return ``target - slopes @ rows`` and its products with each row.

    Parameters
    ----------
    target : array, shape (n,)
    rows : array, shape (k, n)
    slopes : array, shape (k,)

    Returns
    -------
    residuals : array, shape (n,)
    scores : array, shape (k,)
    """
    if rows.shape[0] > FEW:
        left = target - slopes @ rows
        return left, rows @ left
    residuals, scores = np.empty_like(target), np.zeros(rows.shape[0])
    _residuals_and_scores(np.ascontiguousarray(target), np.ascontiguousarray(rows), slopes, residuals, scores)
    return residuals, scores


def table_products(table: Floats, totals: Floats) -> Floats:
    """Return ``table.T @ diag(1 / totals) @ table`` for a tall table of shape ``(G, K)``, many of its cells zero."""
    if table.shape[1] > SPARSE:
        return cross_products(np.ascontiguousarray((table / np.sqrt(totals)[:, None]).T))
    products = np.zeros((table.shape[1], table.shape[1]))
    _table_products(table, totals, products)
    return products


def table_scores(table: Floats, values: Floats) -> Floats:
    """Return ``values @ table`` for such a table and few rows of values: ``(k, G)`` and ``(G, K)``."""
    if table.shape[1] > SPARSE:
        product: Floats = values @ table
        return product
    scores = np.zeros((values.shape[0], table.shape[1]))
    for column, row in zip(values, scores, strict=True):
        _table_scores(table, column, row)
    return scores


def table_values(table: Floats, levels: Floats) -> Floats:
    """Return ``levels @ table.T`` for such a table: ``(k, K)`` and ``(G, K)``."""
    if table.shape[1] > SPARSE:
        product: Floats = levels @ table.T
        return product
    values = np.empty((levels.shape[0], table.shape[0]))
    for row, column in zip(levels, values, strict=True):
        _table_values(table, row, column)
    return values


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _table_products(table: Floats, totals: Floats, products: Floats) -> None:
    # Blocks keep the sums short: what is left after they cancel must not drown in rounding.
    k = table.shape[1]
    for low in range(0, table.shape[0], _BLOCK):
        part = np.zeros((k, k))
        for u in range(low, min(low + _BLOCK, table.shape[0])):
            share = 1.0 / totals[u]
            for i in range(k):
                cell = table[u, i] * share
                if cell != 0.0:
                    for j in range(i + 1):
                        part[i, j] += cell * table[u, j]
        products += part
    for i in range(k):
        for j in range(i):
            products[j, i] = products[i, j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _table_scores(table: Floats, values: Floats, scores: Floats) -> None:
    for low in range(0, table.shape[0], _BLOCK):
        part = np.zeros(scores.size)
        for u in range(low, min(low + _BLOCK, table.shape[0])):
            value = values[u]
            for j in range(table.shape[1]):
                part[j] += table[u, j] * value
        scores += part


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _table_values(table: Floats, levels: Floats, values: Floats) -> None:
    for u in range(table.shape[0]):
        total = 0.0
        for j in range(table.shape[1]):
            total += table[u, j] * levels[j]
        values[u] = total


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _dot(a: Floats, b: Floats) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cross_products(rows: Floats, table: Floats) -> None:
    k, n = rows.shape
    for low in range(0, n, _BLOCK):
        high = min(low + _BLOCK, n)
        for i in range(k):
            for j in range(i + 1):
                table[i, j] += _dot(rows[i, low:high], rows[j, low:high])
    for i in range(k):
        for j in range(i):
            table[j, i] = table[i, j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _residuals_and_scores(target: Floats, rows: Floats, slopes: Floats, residuals: Floats, scores: Floats) -> None:
    k, n = rows.shape
    for low in range(0, n, _BLOCK):
        high = min(low + _BLOCK, n)
        left = residuals[low:high]
        left[:] = target[low:high]
        for j in range(k):
            row, slope = rows[j, low:high], slopes[j]
            for i in range(row.size):
                left[i] -= slope * row[i]
        for j in range(k):
            scores[j] += _dot(rows[j, low:high], left)


def influence_values(design: Floats, residuals: Floats, bread: Floats) -> Floats:
    """Return ``(design * residuals[:, None]) @ bread``, of shape ``(n, k)``, each column contiguous."""
    if design.shape[1] > FEW:
        product: Floats = (bread.T @ (design * residuals[:, None]).T).T
        return product
    values = np.empty((design.shape[1], design.shape[0]))
    rows, inverse = np.ascontiguousarray(design.T), np.ascontiguousarray(bread)
    n = len(residuals)
    parts = ((0, n // 2), (n // 2, n))  # no sum runs over rows here, so they may be split
    over_columns(lambda part: _influence_values(rows, residuals, inverse, values, *parts[part]), 2, n)
    return values.T


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _influence_values(rows: Floats, residuals: Floats, bread: Floats, values: Floats, first: int, last: int) -> None:
    k = rows.shape[0]
    for low in range(first, last, _BLOCK):
        high = min(low + _BLOCK, last)
        left = residuals[low:high]
        for j in range(k):
            out = values[j, low:high]
            out[:] = 0.0
            for other in range(k):
                row, share = rows[other, low:high], bread[other, j]
                for i in range(row.size):
                    out[i] += share * row[i]
            for i in range(out.size):
                out[i] *= left[i]
