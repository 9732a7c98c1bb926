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


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def bin_rows(
    x: Floats, edges: Floats, starts: Ints, is_category: Bools, first: int, low_f: int, high_f: int, out: Bytes,
    value: Floats, at: NDArray[np.uint64],
) -> None:  # fmt: skip
    """Code rows ``first ... first + out.shape[1]`` of the columns ``low_f ... high_f`` of ``x``.

    Parameters
    ----------
    x : Floats, shape (n, p), read-only
        Covariates.
    edges : Floats, read-only
        All edges, covariate by covariate, ascending; for a category the bin of each of its codes.
    starts : Ints, shape (p + 1,), read-only
        Where the edges of each covariate start.
    is_category : Bools, shape (p,), read-only
    first : int
        First row.
    low_f, high_f : int
        Covariates to code.
    out : uint8 array, shape (p, m)
        For a number, how many edges lie below it: ``x <= edges[j]`` exactly where ``code <= j``.
    value, at : arrays, shape (m,)
        Work space.
    """
    for f in range(low_f, high_f):
        low, size = starts[f], starts[f + 1] - starts[f]
        if is_category[f]:
            for i in range(out.shape[1]):
                code = x[first + i, f]
                out[f, i] = int(edges[low + int(code)]) if code >= 0.0 and code < size else MISSING
            continue
        for i in range(out.shape[1]):
            value[i] = x[first + i, f]
            at[i] = low
        if size > 0:  # the last 2^power edges, or the first: either holds the place
            power = 0
            while 2 << power <= size:
                power += 1
            skip, probe = np.uint64(size - (1 << power)), low + (1 << power) - 1
            for i in range(out.shape[1]):
                at[i] += skip * np.uint64(edges[probe] < value[i])
            # all values take a step together and none a branch, so that many steps are under way at once
            for step in range(power - 1, -1, -1):
                half, shift = np.uint64((1 << step) - 1), np.uint64(step)
                for i in range(out.shape[1]):
                    at[i] += np.uint64(edges[at[i] + half] < value[i]) << shift
            for i in range(out.shape[1]):
                at[i] += np.uint64(edges[at[i]] < value[i])
        for i in range(out.shape[1]):
            out[f, i] = MISSING if np.isnan(value[i]) else at[i] - np.uint64(low)
