"""One tree, grown breadth first on the rows that choose splits."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_random import State, poisson
from causalkit.kernels.forest_relabel import HEAD, relabel
from causalkit.kernels.forest_splitting import Words, best_split, make_scratch

Features = NDArray[np.int32]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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
) -> tuple[Features, Codes, Codes, Bools, Words]:
    """Grow a tree.

    Parameters
    ----------
    codes : uint8 array, shape (p, m)
        Codes of the rows that choose splits.
    y, s : Floats, shape (m,)
        Centred outcome; weight, positive.
    w : Floats, shape (m, k)
        Centred treatments.
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

    Returns
    -------
    feature : int32 array, shape (nodes,)
        Covariate of the split; -1 for a leaf.
    threshold : Codes, shape (nodes,)
        Largest code that goes left; for a category the row of ``sets``.
    child : Codes, shape (nodes,)
        Left child; the right one follows it.
    missing_left : Bools, shape (nodes,)
        Where missing values go.
    sets : uint64 array, shape (splits on categories, 4)
        Codes that go left.
    """
    p, m = codes.shape
    k = w.shape[1]
    most = 2 * (m // (2 * min_node)) + 3
    feature, threshold = np.full(most, -1, np.int32), np.zeros(most, np.int32)
    child, missing_left = np.zeros(most, np.int32), np.zeros(most, np.bool_)
    sets, n_sets = np.zeros((4, 4), np.uint64), 0
    start, stop = np.zeros(most, np.int64), np.zeros(most, np.int64)
    stop[0] = m
    rows, spare = np.arange(m), np.empty(m, np.int64)
    table, scratch = np.empty((m, HEAD + 3 * k)), make_scratch(HEAD + 3 * k)
    features, chosen = np.arange(p), np.zeros(4, np.uint64)
    node, count = 0, 1
    while node < count:
        a, b = start[node], stop[node]
        if b - a >= 4 * min_node and count + 2 <= most and relabel(rows[a:b], y, w, s, arms, table):
            tries = min(max(poisson(state, mtry), 1), p)
            f, t, side = best_split(
                codes, rows[a:b], table, features, tries, is_category, n_codes, k > 1 and arms[0] >= 0, min_node,
                alpha, scratch, state, chosen,
            )  # fmt: skip
            if f >= 0:
                if is_category[f]:
                    if n_sets == sets.shape[0]:
                        sets = np.concatenate((sets, np.zeros_like(sets)))
                    sets[n_sets] = chosen
                    t = n_sets
                    n_sets += 1
                feature[node], threshold[node], child[node], missing_left[node] = f, t, count, side
                middle = _partition(codes[f], rows[a:b], spare, is_category[f], t, side, sets) + a
                if is_category[f]:
                    missing_left[node] = _complete(sets[t], codes[f], rows[a:b], middle - a)
                start[count], stop[count] = a, middle
                start[count + 1], stop[count + 1] = middle, b
                count += 2
        node += 1
    return feature[:count], threshold[:count], child[:count], missing_left[:count], sets[:n_sets]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def goes_left(code: int, is_category: bool, threshold: int, missing_left: bool, sets: Words) -> bool:
    """Tell to which side a code goes."""
    if is_category:
        word = sets[threshold, code >> 6]
        return (word >> np.uint64(code & 63)) & np.uint64(1) != 0  # type: ignore[no-any-return]
    return missing_left if code == MISSING else code <= threshold


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _partition(
    codes: Bytes, rows: Ints, spare: Ints, is_category: bool, threshold: int, missing_left: bool, sets: Words
) -> int:
    """Move the rows that go left to the front, keeping the order on either side; return their number."""
    left = right = 0
    for i in rows:
        if goes_left(codes[i], is_category, threshold, missing_left, sets):
            rows[left] = i
            left += 1
        else:
            spare[right] = i
            right += 1
    for i in range(right):
        rows[left + i] = spare[i]
    return left


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _complete(chosen: Words, codes: Bytes, rows: Ints, left: int) -> bool:
    """Send the categories that the node has not met to the side with more rows."""
    larger_left = 2 * left > rows.size
    if larger_left:
        met = np.zeros(4, np.uint64)
        for i in rows:
            met[codes[i] >> 6] |= np.uint64(1) << np.uint64(codes[i] & 63)
        for word in range(4):
            chosen[word] |= ~met[word]
    return larger_left
