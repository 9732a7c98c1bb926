"""The best single cut of a policy tree, by a scan of the sums of every feature's values.

Codes are dense ranks of feature values from zero; a cut at c sends codes up to c to the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats

Array = Any


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def local_codes(codes: Array, rows: Array) -> tuple[Array, Array]:
    """Dense ranks, shape (p, m), among some of the rows, and how many distinct values each feature has there."""
    p, m = codes.shape[0], rows.size
    out = np.empty((p, m), dtype=np.int32)
    sizes = np.zeros(p, dtype=np.int64)
    for f in range(p):
        top = 0
        for i in range(m):
            top = max(top, codes[f, rows[i]])
        rank = np.zeros(top + 1, dtype=np.int32)
        for i in range(m):
            rank[codes[f, rows[i]]] = 1
        seen = 0
        for v in range(top + 1):
            if rank[v] == 1:
                rank[v] = seen
                seen += 1
        for i in range(m):
            out[f, i] = rank[codes[f, rows[i]]]
        sizes[f] = seen
    return out, sizes


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def best_split(codes: Array, sizes: Array, scores: Floats, least: int, slack: float) -> tuple[float, int, int]:
    """Best single cut of some rows.

    Parameters
    ----------
    codes : int32, shape (p, m)
        Dense ranks.
    sizes : int64, shape (p,)
        Distinct values of each feature.
    scores : Floats, shape (m, k)
        Score of each action.
    least : int
        Fewest rows of a leaf.
    slack : float
        By how much a cut must beat those before it: less is rounding.

    Returns
    -------
    reward, feature, cut
        Feature -1 where no cut beats a single leaf.
    """
    p, m = codes.shape
    k = scores.shape[1]
    total = np.zeros(k)
    for i in range(m):
        for a in range(k):
            total[a] += scores[i, a]
    best, feature, cut = total.max(), -1, -1
    for f in range(p):
        u = sizes[f]
        if u < 2:
            continue
        sums, counts = np.zeros((u, k)), np.zeros(u, dtype=np.int64)
        for i in range(m):
            c = codes[f, i]
            counts[c] += 1
            for a in range(k):
                sums[c, a] += scores[i, a]
        left, n_left = np.zeros(k), 0
        for c in range(u - 1):
            n_left += counts[c]
            one, two = -np.inf, -np.inf
            for a in range(k):
                left[a] += sums[c, a]
                one, two = max(one, left[a]), max(two, total[a] - left[a])
            if n_left >= least and m - n_left >= least and one + two > best + slack:
                best, feature, cut = one + two, f, c
    return best, feature, cut
