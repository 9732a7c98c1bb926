"""One tree, grown breadth first on the rows that choose splits.

Loops compile in a fraction of the time where they make no arrays of their own, so all arrays come from outside.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_random import State, poisson
from causalkit.kernels.forest_relabel import relabel, relabel_many
from causalkit.kernels.forest_splitting import Words, best_split

Features = NDArray[np.int32]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def grow_tree(
    codes: Bytes,
    y: Floats,
    w: Floats,
    s: Floats,
    arms: Codes,
    is_category: Bools,
    n_codes: Ints,
    mtry: float,
    min_node: int,
    alpha: float,
    state: State,
    feature: Features,
    threshold: Codes,
    child: Codes,
    missing_left: Bools,
    sets: Words,
    rows: Ints,
    spare: Ints,
    bounds: Ints,
    table: Floats,
    sums: Floats,
    work: Floats,
    order: Ints,
    features: Ints,
    chosen: Words,
) -> int:
    """Grow a tree; return its number of nodes.

    Parameters
    ----------
    codes : uint8 array, shape (p, m)
        Codes of the rows that choose splits.
    y, s : Floats, shape (m,)
        Centred outcome; weight, positive.
    w : Floats, shape (m,) or (m, k)
        Centred treatments; one or several.
    arms : Codes, shape (m,)
        Arms, or -1 for doses.
    is_category, n_codes : arrays, shape (p,)
        Kind and number of codes of each covariate.
    mtry : float
        Mean number of covariates tried at a node: Poisson, at least one.
    min_node, alpha
        See :func:`causalkit.kernels.forest_splitting.best_split`.
    state : State
        Generator.
    feature : int32 array, shape (most,)
        Out: covariate of the split; -1 for a leaf. ``most`` bounds the number of nodes.
    threshold : Codes, shape (most,)
        Out: largest code that goes left; for a category the row of ``sets``.
    child : Codes, shape (most,)
        Out: left child; the right one follows it.
    missing_left : Bools, shape (most,)
        Out: where missing values go.
    sets : uint64 array, shape (splits on categories, 4)
        Out: codes that go left.
    rows, spare : Ints, shape (m,)
        The numbers from 0 to m - 1; work space.
    bounds : Ints, shape (2, most)
        Work space.
    table, sums, work : Floats, shapes (m, 1 + 3 k), (258, 1 + 3 k), (k + 3, k)
        Work space; ``sums`` holds zeros.
    order, features : Ints, shapes (256,), (p,)
        Work space; ``features`` holds 0 to p - 1.
    chosen : uint64 array, shape (2, 4)
        Work space.
    """
    most, p = feature.size, codes.shape[0]
    n_sets = node = 0
    count = 1
    bounds[0, 0], bounds[1, 0] = 0, rows.size
    feature[0] = -1
    while node < count:
        a, b = bounds[0, node], bounds[1, node]
        fine = b - a >= 4 * min_node and count + 2 <= most
        if fine:
            if w.ndim == 1:
                fine = relabel(rows, a, b, y, w, s, arms, table)
            else:
                fine = relabel_many(rows, a, b, y, w, s, arms, table, work)
        f = -1
        if fine:
            tries = min(max(poisson(state, mtry), 1), p)
            every_arm = sums.shape[1] > 4 and arms[0] >= 0
            f, t, side = best_split(
                codes, rows, a, b, table, w, features, tries, is_category, n_codes, every_arm, min_node, alpha, sums,
                order, state, chosen,
            )  # fmt: skip
        if f >= 0:
            if is_category[f]:
                t = n_sets
                n_sets += 1
                for word in range(4):
                    sets[t, word] = chosen[0, word]
            middle = a + _partition(codes, f, rows, a, b, spare, is_category[f], t, side, sets)
            if is_category[f]:
                side = _complete(sets, t, codes, f, rows, a, b, middle - a)
            feature[node], threshold[node], child[node], missing_left[node] = f, t, count, side
            feature[count] = feature[count + 1] = -1
            bounds[0, count], bounds[1, count] = a, middle
            bounds[0, count + 1], bounds[1, count + 1] = middle, b
            count += 2
        node += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _partition(
    codes: Bytes, f: int, rows: Ints, first: int, stop: int, spare: Ints, is_category: bool, threshold: int,
    missing_left: bool, sets: Words,
) -> int:  # fmt: skip
    """Move the rows that go left to the front, keeping the order on either side; return their number."""
    left = right = 0
    for j in range(first, stop):
        i = rows[j]
        code = codes[f, i]
        if is_category:
            goes = (sets[threshold, code >> 6] >> np.uint64(code & 63)) & np.uint64(1) != np.uint64(0)
        else:
            goes = missing_left if code == MISSING else code <= threshold
        if goes:
            rows[first + left] = i
            left += 1
        else:
            spare[right] = i
            right += 1
    for j in range(right):
        rows[first + left + j] = spare[j]
    return left


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _complete(sets: Words, t: int, codes: Bytes, f: int, rows: Ints, first: int, stop: int, left: int) -> bool:
    """Send the categories that the node has not met to the side with more rows."""
    larger_left = 2 * left > stop - first
    if larger_left:
        for word in range(4):
            met = np.uint64(0)
            for j in range(first, stop):
                code = codes[f, rows[j]]
                if code >> 6 == word:
                    met |= np.uint64(1) << np.uint64(code & 63)
            sets[t, word] |= ~met
    return larger_left
