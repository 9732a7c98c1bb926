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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def bin_rows(x: Floats, edges: Floats, starts: Ints, is_category: Bools, first: int, out: Bytes) -> None:
    """Code rows ``first ... first + out.shape[1]`` of ``x``.

    Parameters
    ----------
    x : Floats, shape (n, p)
        Covariates.
    edges : Floats
        All edges, covariate by covariate, ascending; for a category the bin of each of its codes.
    starts : Ints, shape (p + 1,)
        Where the edges of each covariate start.
    is_category : Bools, shape (p,)
    first : int
        First row.
    out : uint8 array, shape (p, m)
        For a number, how many edges lie below it: ``x <= edges[j]`` exactly where ``code <= j``.
    """
    for f in range(out.shape[0]):
        low, high = starts[f], starts[f + 1]
        for i in range(out.shape[1]):
            value = x[first + i, f]
            if np.isnan(value):
                out[f, i] = MISSING
            elif is_category[f]:
                out[f, i] = int(edges[low + int(value)]) if 0.0 <= value < high - low else MISSING
            else:
                a, b = low, high
                while a < b:
                    middle = (a + b) >> 1
                    if edges[middle] < value:
                        a = middle + 1
                    else:
                        b = middle
                out[f, i] = a - low
