"""Small nodes: their rows are kept sorted by every covariate, so that a split is a walk along sorted rows.

A subtree starts with one counting sort by covariate; each split then deals the sorted rows to the children, in order.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_random import State
from causalkit.kernels.forest_splitting import (
    GAPS,
    PLACE,
    SHIFT,
    Sets,
    Words,
    draw,
    list_categories,
    scan,
    scan_categories,
)

Lists = NDArray[np.uint32]
_CODES = 257


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def sort_rows(codes: Bytes, rows: Ints, first: int, stop: int, lists: Lists, starts: Ints) -> None:
    """List the rows of a node by each covariate, ascending by code: words of codes and of numbers from 0.

    Parameters
    ----------
    codes : uint8 array, shape (p, n)
    rows : Ints
        Rows of the tree; those of the node are ``rows[first:stop]``.
    lists : uint32 array, shape (p, at least stop - first)
        Out.
    starts : Ints, shape (at least 257,)
        Work space.
    """
    for f in range(codes.shape[0]):
        for q in range(_CODES):
            starts[q] = 0
        for j in range(first, stop):
            starts[np.int64(codes[f, np.uint64(rows[j])]) + 1] += 1
        for q in range(1, _CODES):
            starts[q] += starts[q - 1]
        for j in range(first, stop):
            q = codes[f, np.uint64(rows[j])]
            at = starts[q]
            starts[q] = at + 1
            lists[f, np.uint64(at)] = np.int64(q) << SHIFT | (j - first)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def best_cut(
    lists: Lists,
    first: int,
    stop: int,
    table: Floats,
    w: Floats,
    features: Ints,
    tries: int,
    is_category: Bools,
    n_codes: Ints,
    every_arm: bool,
    min_node: int,
    alpha: float,
    sums: Floats,
    words: Words,
    state: State,
    chosen: Sets,
) -> tuple[int, int, bool]:
    """Find the best split of a small node, as :func:`causalkit.kernels.forest_splitting.best_split` does.

    The rows of the node are ``lists[f, first:stop]`` for each covariate; the table is by their numbers.
    """
    best, feature, threshold, missing_left = 0.0, -1, 0, False
    draw(features, tries, state)
    for attempt in range(tries):
        f = features[attempt]
        if is_category[f]:
            gain, at, side = _cut_categories(
                lists[f], first, stop, table, w, n_codes[f], every_arm, min_node, alpha, best, sums, words, chosen
            )
        else:
            own, numbers = lists[f], stop
            if own[stop - 1] >> SHIFT == MISSING:
                for c in range(sums.shape[1]):
                    sums[GAPS, c] = 0.0
                while numbers > first and own[numbers - 1] >> SHIFT == MISSING:
                    numbers -= 1
                    for c in range(sums.shape[1]):
                        sums[GAPS, c] += table[own[numbers] & PLACE, c]
            gain, at, side = scan(
                table, sums, 0, own, first, numbers, numbers < stop, w, every_arm, min_node, alpha, best
            )
            if gain > best:
                threshold = int(np.int64(own[at] >> SHIFT))
                if at + 1 < numbers:  # the middle of the gap between the two codes
                    threshold = (threshold + int(np.int64(own[at + 1] >> SHIFT))) >> 1
        if gain > best:
            best, feature, missing_left = gain, f, side
    return feature, threshold, missing_left


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _cut_categories(
    own: Lists, first: int, stop: int, table: Floats, w: Floats, n_codes: int, every_arm: bool, min_node: int,
    alpha: float, best: float, sums: Floats, words: Words, chosen: Sets,
) -> tuple[float, int, bool]:  # fmt: skip
    """Add up the rows of each category, and scan these."""
    for t in range(first, stop):
        q = own[t] >> SHIFT
        for c in range(sums.shape[1]):
            sums[q, c] += table[own[t] & PLACE, c]
    found = list_categories(sums, 0, n_codes, words)
    gain, at, side = scan_categories(sums, 0, words, found, w, every_arm, min_node, alpha, best, chosen)
    for t in range(first, stop):
        for c in range(sums.shape[1]):
            sums[own[t] >> SHIFT, c] = 0.0
    return gain, at, side


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def choose_sides(
    own: Lists, first: int, stop: int, is_category: bool, threshold: int, missing_left: bool, chosen: Sets,
    goes_left: Bytes,
) -> int:  # fmt: skip
    """Write by number whether a row goes left, given the rows listed by the covariate of the split; count these."""
    left = 0
    for t in range(first, stop):
        code = np.int64(own[t] >> SHIFT)
        if is_category:
            goes = (chosen[0, code >> 6] >> np.uint64(code & 63)) & np.uint64(1) != np.uint64(0)
        else:
            goes = missing_left if code == MISSING else code <= threshold
        goes_left[own[t] & PLACE] = goes
        left += goes
    return left


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def deal(lists: Lists, first: int, stop: int, goes_left: Bytes, spare: Words) -> None:
    """Deal the rows of all lists to the left and to the right, keeping their order."""
    for f in range(lists.shape[0]):
        left, right = np.uint64(first), np.uint64(0)
        for t in range(first, stop):
            word = lists[f, t]
            goes = np.uint64(goes_left[word & PLACE])
            lists[f, left] = word
            spare[right] = word
            left += goes
            right += np.uint64(1) - goes
        for t in range(np.int64(right)):
            lists[f, np.int64(left) + t] = spare[t]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def keep(lists: Lists, first: int, stop: int, goes_left: Bytes, side: int) -> None:
    """Move the rows of one side to the front of all lists, keeping their order; the others are lost."""
    for f in range(lists.shape[0]):
        at = np.uint64(first)
        for t in range(first, stop):
            word = lists[f, t]
            lists[f, at] = word
            at += np.uint64(goes_left[word & PLACE] == side)
