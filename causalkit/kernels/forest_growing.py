"""One tree, grown on the rows that choose splits: large nodes by histograms, small ones by sorted rows.

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
from causalkit.kernels.forest_sorting import Lists, best_cut, choose_sides, deal, keep, sort_rows
from causalkit.kernels.forest_splitting import PLACE, SET_WORDS, TOTAL, Sets, Words, best_split, enough

Features = NDArray[np.int32]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def grow_tree(
    codes: Bytes,
    cells: Floats,
    w: Floats,
    is_category: Bools,
    n_codes: Ints,
    every_arm: bool,
    mtry: float,
    min_node: int,
    alpha: float,
    state: State,
    feature: Features,
    threshold: Codes,
    child: Codes,
    missing_left: Bools,
    sets: Sets,
    rows: Ints,
    spare: Ints,
    bounds: Ints,
    table: Floats,
    sums: Floats,
    work: Floats,
    words: Words,
    features: Ints,
    chosen: Sets,
    lists: Lists,
    own_cells: Floats,
    goes_left: Bytes,
) -> int:
    """Grow a tree; return its number of nodes.

    Parameters
    ----------
    codes : uint8 array, shape (p, m)
        Codes of the rows that choose splits; one covariate or more.
    cells : Floats, shape (m, 3 + k)
        Centred outcome; weight, positive; arm, or -1 for doses; centred treatments.
    w : Floats
        Only its dimensions count: one for one treatment, two for several.
    is_category, n_codes : arrays, shape (p,)
        Kind and number of codes of each covariate.
    every_arm : bool
        Whether the control's rows are counted as an arm of their own (several arms).
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
    rows, spare : Ints, shapes (m,), (max(m, few),)
        The numbers from 0 to m - 1; work space.
    bounds : Ints, shape (3, most)
        Work space: the rows of each node, and the nodes that wait.
    table, sums, work : Floats, shapes (max(m, few), 1 + 3 k), (WORK_ROWS, 1 + 3 k), (k + 3, k)
        Work space; ``sums`` holds zeros.
    words, features, chosen : uint32, int64 and uint64 arrays, shapes (few,), (p,), (2, 4)
        Work space; ``features`` holds 0 to p - 1.
    lists, own_cells, goes_left : uint32, float64 and uint8 arrays, shapes (p, few), (few, 3 + k), (few,)
        Work space. Nodes of at most ``few`` rows, at least 257 of them, are searched row by row.
    """
    most, few = feature.size, goes_left.size
    n_sets, count, waiting = 0, 1, 1
    bounds[0, 0], bounds[1, 0], bounds[2, 0] = 0, rows.size, 0
    feature[0] = -1
    while waiting > 0:
        waiting -= 1
        node = bounds[2, waiting]
        a, b = bounds[0, node], bounds[1, node]
        if b - a <= few:
            sort_rows(codes, rows, a, b, lists, spare)
            for j in range(b - a):
                for c in range(cells.shape[1]):
                    own_cells[j, c] = cells[rows[a + j], c]
            count, n_sets = _grow_small(
                node, b - a, waiting, count, n_sets, own_cells, w, is_category, n_codes, every_arm, mtry, min_node, alpha,
                state, feature, threshold, child, missing_left, sets, spare, bounds, table, sums, work, words, features,
                chosen, lists, goes_left,
            )  # fmt: skip
            continue
        if count + 2 > most:
            continue
        if w.ndim == 1:
            fine = relabel(rows, a, b, cells, False, table, sums[TOTAL])
        else:
            fine = relabel_many(rows, a, b, cells, False, table, sums[TOTAL], work)
        if not fine or not enough(sums, min_node):
            continue
        tries = min(max(poisson(state, mtry), 1), features.size)
        f, t, side = best_split(
            codes, rows, a, b, table, w, features, tries, is_category, n_codes, every_arm, min_node, alpha, sums, words,
            state, chosen,
        )  # fmt: skip
        if f < 0:
            continue
        middle = a + _partition(codes, f, rows, a, b, spare, is_category[f], t, side, chosen)
        larger_left = 2 * (middle - a) > b - a
        n_sets = _record(
            node, count, f, t, side, larger_left, is_category[f], n_sets, feature, threshold, child, missing_left, sets,
            chosen,
        )  # fmt: skip
        bounds[0, count], bounds[1, count], bounds[0, count + 1], bounds[1, count + 1] = a, middle, middle, b
        for new in range(count + 1, count - 1, -1):
            if bounds[1, new] - bounds[0, new] >= 4 * min_node:
                bounds[2, waiting] = new
                waiting += 1
        count += 2
    return count


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _grow_small(
    root: int, m: int, bottom: int, count: int, n_sets: int, cells: Floats, w: Floats, is_category: Bools,
    n_codes: Ints, every_arm: bool, mtry: float, min_node: int, alpha: float, state: State, feature: Features,
    threshold: Codes, child: Codes, missing_left: Bools, sets: Sets, members: Ints, bounds: Ints, table: Floats,
    sums: Floats, work: Floats, words: Words, features: Ints, chosen: Sets, lists: Lists, goes_left: Bytes,
) -> tuple[int, int]:  # fmt: skip
    """Grow what is below a small node, whose rows have been sorted; return the number of nodes and of sets."""
    waiting = bottom + 1
    bounds[0, root], bounds[1, root], bounds[2, bottom] = 0, m, root
    while waiting > bottom:
        waiting -= 1
        node = bounds[2, waiting]
        a, b = bounds[0, node], bounds[1, node]
        if count + 2 > feature.size:
            continue
        for j in range(a, b):
            members[j] = lists[0, j] & PLACE
        if w.ndim == 1:
            fine = relabel(members, a, b, cells, True, table, sums[TOTAL])
        else:
            fine = relabel_many(members, a, b, cells, True, table, sums[TOTAL], work)
        if not fine or not enough(sums, min_node):
            continue
        tries = min(max(poisson(state, mtry), 1), features.size)
        f, t, side = best_cut(
            lists, a, b, table, w, features, tries, is_category, n_codes, every_arm, min_node, alpha, sums, words, state,
            chosen,
        )  # fmt: skip
        if f < 0:
            continue
        left = choose_sides(lists[f], a, b, is_category[f], t, side, chosen, goes_left)
        right = b - a - left
        n_sets = _record(
            node, count, f, t, side, left > right, is_category[f], n_sets, feature, threshold, child, missing_left, sets,
            chosen,
        )  # fmt: skip
        if left >= 4 * min_node and right >= 4 * min_node:
            deal(lists, a, b, goes_left, words)
            bounds[0, count + 1], bounds[1, count + 1], bounds[2, waiting] = a + left, b, count + 1
            waiting += 1
        elif right >= 4 * min_node:
            keep(lists, a, b, goes_left, 0)
            bounds[0, count + 1], bounds[1, count + 1], bounds[2, waiting] = a, a + right, count + 1
            waiting += 1
        elif left >= 4 * min_node:
            keep(lists, a, b, goes_left, 1)
        if left >= 4 * min_node:
            bounds[0, count], bounds[1, count], bounds[2, waiting] = a, a + left, count
            waiting += 1
        count += 2
    return count, n_sets


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _record(
    node: int, count: int, f: int, t: int, side: bool, larger_left: bool, is_category: bool, n_sets: int,
    feature: Features, threshold: Codes, child: Codes, missing_left: Bools, sets: Sets, chosen: Sets,
) -> int:  # fmt: skip
    """Write a split; categories that the node has not met go to the side with more rows. Returns the number of sets."""
    if is_category:
        t, side = n_sets, larger_left
        n_sets += 1
        for word in range(SET_WORDS):
            sets[t, word] = chosen[0, word] | (~chosen[1, word] if larger_left else np.uint64(0))
    feature[node], threshold[node], child[node], missing_left[node] = f, t, count, side
    feature[count] = feature[count + 1] = -1
    return n_sets


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _partition(
    codes: Bytes, f: int, rows: Ints, first: int, stop: int, spare: Ints, is_category: bool, threshold: int,
    missing_left: bool, chosen: Sets,
) -> int:  # fmt: skip
    """Move the rows that go left to the front, keeping the order on either side; return their number."""
    left, right = np.uint64(first), np.uint64(0)
    for j in range(first, stop):
        i = rows[j]
        code = np.int64(codes[f, np.uint64(i)])
        if is_category:
            goes = (chosen[0, code >> 6] >> np.uint64(code & 63)) & np.uint64(1) != np.uint64(0)
        else:
            goes = missing_left if code == MISSING else code <= threshold
        rows[left] = i
        spare[right] = i
        left += np.uint64(goes)
        right += np.uint64(not goes)
    for j in range(np.int64(right)):
        rows[np.int64(left) + j] = spare[j]
    return int(np.int64(left)) - first
