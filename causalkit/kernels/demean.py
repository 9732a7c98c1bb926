"""Row passes of partialling out: sums by effect, and subtraction of effects, one column at a time.

Each function walks the rows once, in order, for one column, without the interpreter lock. Threads are spread over
columns, never over rows, so a sum is always taken in the same order and the result does not depend on their number.
The largest effect is kept apart from the ``rest``, whose codes are stacked with offsets: row ``i`` belongs to the
levels ``rest[0, i], rest[1, i], ...`` of one long vector.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Codes, Floats

MAX_THREADS = 2
_ROWS_WORTH_A_THREAD = 200_000
_SAMPLED = 1024


def over_columns(work: Callable[[int], None], n_columns: int, n_rows: int) -> None:
    """Call ``work(j)`` for each column, on at most two threads where there are rows enough to pay for them.

    The caller is one of the two: it takes the columns from the front, the helper those from the back.
    """
    if min(MAX_THREADS, n_columns, os.cpu_count() or 1) < 2 or n_rows < _ROWS_WORTH_A_THREAD:
        for j in range(n_columns):
            work(j)
        return
    helped = [_helper().submit(work, j) for j in range((n_columns + 1) // 2, n_columns)]
    try:
        for j in range((n_columns + 1) // 2):
            work(j)
    finally:
        errors = [future.exception() for future in helped]  # the helper writes into the caller's arrays: wait for it
    for error in errors:
        if error is not None:
            raise error


@lru_cache(maxsize=1)
def _helper() -> ThreadPoolExecutor:
    """One thread that is kept: to start one costs as much as a pass over a short column."""
    return ThreadPoolExecutor(1, thread_name_prefix="causalkit")


if hasattr(os, "register_at_fork"):  # a forked child has no threads
    os.register_at_fork(after_in_child=_helper.cache_clear)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def centre_and_sum(
    column: Floats,
    weights: Floats | None,
    total: float,
    largest: Codes,
    rest: Codes,
    out: Floats,
    of_largest: Floats,
    of_rest: Floats,
) -> tuple[float, float, float]:
    """Write a column less a typical value into ``out``, and add up its sums by level of each effect.

    The typical value (the median of some rows) keeps the sums small, so that a large mean costs no digits.

    Parameters
    ----------
    column : array, shape (n,)
    weights : array, shape (n,), or None
    total : float
        Sum of the weights.
    largest : array of int32, shape (n,)
    rest : array of int32, shape (m, n)
        Codes of the other effects, offset into one long vector; ``m`` may be 0.
    out : array, shape (n,)
        Changed in place.
    of_largest : array, shape (G,)
        Changed in place.
    of_rest : array, shape (K,)
        Changed in place.

    Returns
    -------
    pivot : float
        What was subtracted.
    mean : float
        Weighted mean of the column.
    square_sum : float
        Weighted sum of squares about the mean.
    """
    pivot = np.median(column[:: max(1, column.size // _SAMPLED)])
    shifted, square_sum = 0.0, 0.0
    for i in range(column.size):
        value = column[i] - pivot
        out[i] = value
        square = value * value
        if weights is not None:
            value *= weights[i]
            square *= weights[i]
        shifted += value
        square_sum += square
        of_largest[largest[i]] += value
        for f in range(rest.shape[0]):
            of_rest[rest[f, i]] += value
    return pivot, pivot + shifted / total, max(square_sum - shifted * shifted / total, 0.0)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def subtract_effects(
    column: Floats,
    weights: Floats | None,
    largest: Codes,
    rest: Codes,
    effect: Floats,
    others: Floats,
    of_largest: Floats,
    of_rest: Floats,
) -> None:
    """Subtract estimated effects from a column in place, and sum what remains by level of each effect.

    The sums are the residuals of the normal equations: they certify the solve without a further pass.

    Parameters
    ----------
    column : array, shape (n,)
        Changed in place.
    weights, largest, rest
        As in `centre_and_sum`.
    effect : array, shape (G,)
        Value of each level of the largest effect.
    others : array, shape (K,)
        Values of the levels of the other effects.
    of_largest, of_rest : array
        Receive the sums; changed in place.
    """
    for i in range(column.size):
        value = column[i] - effect[largest[i]]
        for f in range(rest.shape[0]):
            value -= others[rest[f, i]]
        column[i] = value
        if weights is not None:
            value *= weights[i]
        of_largest[largest[i]] += value
        for f in range(rest.shape[0]):
            of_rest[rest[f, i]] += value


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def cross_table(weights: Floats | None, largest: Codes, rest: Codes, table: Floats) -> None:
    """Add up the (weighted) number of rows by level of the largest effect and level of the others.

    Parameters
    ----------
    weights, largest, rest
        As in `centre_and_sum`.
    table : array, shape (G, K)
        Changed in place.
    """
    for i in range(largest.size):
        value = 1.0
        if weights is not None:
            value = weights[i]
        for f in range(rest.shape[0]):
            table[largest[i], rest[f, i]] += value


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def pair_table(weights: Floats | None, rest: Codes, table: Floats) -> None:
    """Add up the (weighted) number of rows by pair of levels of the other effects: ``D'WD``.

    Parameters
    ----------
    weights, rest
        As in `centre_and_sum`.
    table : array, shape (K, K)
        Changed in place.
    """
    for i in range(rest.shape[1]):
        value = 1.0
        if weights is not None:
            value = weights[i]
        for f in range(rest.shape[0]):
            for g in range(rest.shape[0]):
                table[rest[f, i], rest[g, i]] += value


def stack_codes(effects: list[Codes], sizes: list[int]) -> Codes:
    """Stack the codes of several effects, offset into one long vector; shape ``(m, n)``."""
    offsets = np.concatenate([[0], np.cumsum(sizes[:-1])]) if effects else np.zeros(0)
    return np.stack([codes + np.int32(offset) for codes, offset in zip(effects, offsets, strict=True)])
