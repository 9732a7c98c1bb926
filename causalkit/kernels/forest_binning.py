"""Covariates as codes of one byte: bins of numbers, categories, and a code for missing values."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Floats, Ints

Bytes = NDArray[np.uint8]

#: Code of a missing value (and of a category that the fit has not seen).
MISSING = 255
#: Codes that a covariate may have beside it.
MAX_BINS = 255
#: Stretches of equal length between the outer edges of a number: where a search among its edges starts.
STRETCHES = 1024
#: Edges of a number with what a search may touch behind them, which is infinite.
PADDED = 512
#: Rows that are coded together: their values stay in the cache.
TOGETHER = 512

#: How numbers and categories are coded: edges, starts, is_category (see :func:`lay_ruler`), then what it wrote.
Ruler = tuple[Floats, Ints, Bools, Floats, Floats, Bytes, Ints]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _stretch(value: float, low: float, scale: float) -> np.uint64:
    """Return the stretch of a value: never falls as values rise, whatever is rounded or overflows. NaN is in the first."""
    place = (value - low) * scale
    place = place if place > 0.0 else 0.0
    return np.uint64(np.int64(place if place < STRETCHES - 1.0 else STRETCHES - 1.0))


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def lay_ruler(
    edges: Floats, starts: Ints, is_category: Bools, padded: Floats, scale: Floats, below: Bytes, steps: Ints
) -> None:
    """Prepare the search for the bins of numbers.

    Parameters
    ----------
    edges : Floats, read-only
        All edges, covariate by covariate, ascending; for a category the bin of each of its codes.
    starts : Ints, shape (p + 1,), read-only
        Where the edges of each covariate start.
    is_category : Bools, shape (p,), read-only
    padded : Floats, shape (p, PADDED)
        Infinite; out: the edges of each number.
    scale : Floats, shape (p, 2)
        Zeros; out: the lowest edge, and stretches per unit.
    below : uint8 array, shape (p, STRETCHES)
        Zeros; out: edges below those of each stretch.
    steps : Ints, shape (p,)
        Zeros; out: halvings that find a place among the edges of any stretch.
    """
    for f in range(is_category.size):
        size = starts[f + 1] - starts[f]
        if is_category[f] or size == 0:
            continue
        padded[f, :size] = edges[starts[f] : starts[f + 1]]
        scale[f, 0] = low = padded[f, 0]
        scale[f, 1] = STRETCHES / (padded[f, size - 1] - low) if size > 1 else 0.0
        most = first = 0
        for stretch in range(STRETCHES):
            below[f, stretch] = first
            last = first
            while last < size and _stretch(padded[f, last], low, scale[f, 1]) == np.uint64(stretch):
                last += 1
            most, first = max(most, last - first), last
        while 1 << steps[f] <= most:
            steps[f] += 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _code(x: Floats, first: int, rows: int, f: int, ruler: Ruler, value: Floats, at: NDArray[np.uint64]) -> None:
    """Write the codes of some rows of a column to ``at``."""
    edges, starts, is_category, padded, scale, below, steps = ruler
    if is_category[f]:
        low, size = starts[f], starts[f + 1] - starts[f]
        for i in range(rows):
            code = x[first + i, f]
            at[i] = np.uint64(edges[low + int(code)]) if code >= 0.0 and code < size else np.uint64(MISSING)
        return
    own, tally = padded[f], below[f]
    lowest, unit = scale[f]
    for i in range(rows):
        value[i] = x[first + i, f]
    for i in range(rows):
        at[i] = _stretch(value[i], lowest, unit)
    for i in range(rows):
        at[i] = tally[at[i]]
    # all values take a step together and none a branch, so that many steps are under way at once
    for step in range(steps[f] - 1, -1, -1):
        half, shift = np.uint64((1 << step) - 1), np.uint64(step)
        for i in range(rows):
            at[i] += np.uint64(own[at[i] + half] < value[i]) << shift
    for i in range(rows):
        at[i] = np.uint64(MISSING) if np.isnan(value[i]) else at[i]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def code_columns(x: Floats, low_f: int, high_f: int, ruler: Ruler, out: Bytes) -> None:
    """Code the columns ``low_f ... high_f`` of ``x``.

    Parameters
    ----------
    x : Floats, shape (n, p), read-only
        Covariates.
    low_f, high_f : int
        Covariates to code.
    ruler : Ruler
    out : uint8 array, shape (p, n)
        For a number, how many edges lie below it: ``x <= edges[j]`` exactly where ``code <= j``.
    """
    value, at = np.empty(TOGETHER), np.empty(TOGETHER, np.uint64)
    for f in range(low_f, high_f):
        for begin in range(0, out.shape[1], TOGETHER):
            rows = min(TOGETHER, out.shape[1] - begin)
            _code(x, begin, rows, f, ruler, value, at)
            for i in range(rows):
                out[f, begin + i] = at[i]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def code_pairs(x: Floats, first: int, rows: int, ruler: Ruler, out: Bytes) -> None:
    """Code some rows as trees read them: to ``out``, shape (rows or more, 2 p), codes and then codes plus one."""
    p = x.shape[1]
    value, at = np.empty(TOGETHER), np.empty(TOGETHER, np.uint64)
    for begin in range(0, rows, TOGETHER):
        some = min(TOGETHER, rows - begin)
        for f in range(p):
            _code(x, first + begin, some, f, ruler, value, at)
            for i in range(some):
                out[begin + i, f] = at[i]
                out[begin + i, p + f] = at[i] + np.uint64(1)
