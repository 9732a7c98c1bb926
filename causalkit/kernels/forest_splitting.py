"""The best split of a node: histograms of a covariate's codes, scanned from the left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_random import State, below

#: Columns of a histogram that belong to the bin, before three for each treatment.
HEAD = 2
#: Nodes smaller than this find their bins by marking them.
_FEW_ROWS = 128
_WORDS = 4
Words = NDArray[np.uint64]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def best_split(
    codes: Bytes,
    rows: Ints,
    table: Floats,
    features: Ints,
    tries: int,
    is_category: Bools,
    n_codes: Ints,
    every_arm: bool,
    min_node: int,
    alpha: float,
    histogram: Floats,
    state: State,
    chosen: Words,
) -> tuple[int, int, bool]:
    """Find the split of a node with the largest ``sum over treatments of S_left^2 / n_left + S_right^2 / n_right``.

    ``S`` are sums of relabelled rows and ``n`` weights. Both children must hold at least ``min_node`` rows of each arm
    (above and below the mean, for a dose) and the share ``alpha`` of the information on each treatment.

    Parameters
    ----------
    codes : uint8 array, shape (p, n)
        Codes of the covariates.
    rows : Ints, shape (m,)
        Rows of the node.
    table : Floats, shape (at least m, 2 + 3 k)
        What each row adds to its bin (see :func:`causalkit.kernels.forest_relabel.relabel`).
    features : Ints, shape (p,)
        Covariates in any order; shuffled in place.
    tries : int
        Covariates to try.
    is_category, n_codes : arrays, shape (p,)
        Kind and number of codes of each covariate.
    every_arm : bool
        Whether the control's rows are counted as an arm of their own (several arms).
    min_node, alpha
        See above.
    histogram : Floats, shape (256, 2 + 3 k)
        Scratch, zero on entry and on return.
    state : State
        Generator.
    chosen : uint64 array, shape (4,)
        Out: the codes of a category that go left.

    Returns
    -------
    feature : int
        -1 where no split is allowed.
    threshold : int
        Largest code that goes left (numbers).
    missing_left : bool
        Where missing values go.
    """
    best, feature, threshold, missing_left = 0.0, -1, 0, False
    total = np.zeros(table.shape[1])
    for i in range(rows.size):
        for c in range(total.size):
            total[c] += table[i, c]
    order = np.empty(MISSING + 1, np.int64)
    for attempt in range(tries):
        swap = attempt + below(state, features.size - attempt)
        f = features[swap]
        features[swap] = features[attempt]
        features[attempt] = f
        found = _fill(codes[f], rows, table, histogram, order, n_codes[f])
        if is_category[f]:
            _sort_by_effect(histogram, order, found)
            gain, at, _ = _scan(histogram, order, found, -1, total, every_arm, min_node, alpha, best)
            if gain > best:
                best, feature, missing_left = gain, f, False
                chosen[:] = np.uint64(0)
                for q in order[: at + 1]:
                    chosen[q >> 6] |= np.uint64(1) << np.uint64(q & 63)
        else:
            gaps = found > 0 and order[found - 1] == MISSING
            numbers = found - 1 if gaps else found
            gain, at, side = _scan(
                histogram, order, numbers, MISSING if gaps else -1, total, every_arm, min_node, alpha, best
            )
            if gain > best:
                best, feature, missing_left = gain, f, side
                threshold = order[at]
                if at + 1 < numbers:  # the middle of the gap between the two bins
                    threshold = (order[at] + order[at + 1]) >> 1
        for q in order[:found]:
            histogram[q, :] = 0.0
    return feature, threshold, missing_left


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    codes: Bytes, rows: Ints, table: Floats, histogram: Floats, order: Ints, n_codes: int
) -> int:
    """Add the rows to their bins; list the bins met, ascending."""
    if table.shape[1] == HEAD + 3:  # one treatment: written out, as it is what forests spend their time on
        for i in range(rows.size):
            q = codes[rows[i]]
            histogram[q, 0] += table[i, 0]
            histogram[q, 1] += table[i, 1]
            histogram[q, 2] += table[i, 2]
            histogram[q, 3] += table[i, 3]
            histogram[q, 4] += table[i, 4]
    else:
        for i in range(rows.size):
            q = codes[rows[i]]
            for c in range(table.shape[1]):
                histogram[q, c] += table[i, c]
    found = 0
    if rows.size >= _FEW_ROWS:
        for q in range(n_codes):
            order[found] = q
            found += histogram[q, 1] > 0.0
        order[found] = MISSING
        found += histogram[MISSING, 1] > 0.0
        return found
    marks = np.zeros(_WORDS, np.uint64)
    for i in rows:
        q = codes[i]
        marks[q >> 6] |= np.uint64(1) << np.uint64(q & 63)
    for word in range(_WORDS):
        bits = marks[word]
        while bits:
            order[found] = 64 * word + _trailing_zeros(bits)
            found += 1
            bits &= bits - np.uint64(1)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _trailing_zeros(bits: Any) -> int:
    """Position of the lowest set bit, by halving."""
    position = 0
    for width in (32, 16, 8, 4, 2, 1):
        low = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
        if not bits & low:
            bits >>= np.uint64(width)
            position += width
    return position


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sort_by_effect(histogram: Floats, order: Ints, found: int) -> None:
    """Sort the bins by their mean relabelled value, of the treatment for which these means differ most."""
    k = (histogram.shape[1] - HEAD) // 3
    most, column = -1.0, HEAD
    for a in range(k):
        spread = 0.0
        for q in order[:found]:
            spread += histogram[q, HEAD + 3 * a] ** 2 / histogram[q, 0]
        if spread > most:
            most, column = spread, HEAD + 3 * a
    for i in range(1, found):  # insertion: stable, and the list is short
        q = order[i]
        key = histogram[q, column] / histogram[q, 0]
        j = i
        while j > 0 and histogram[order[j - 1], column] / histogram[order[j - 1], 0] > key:
            order[j] = order[j - 1]
            j -= 1
        order[j] = q


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scan(
    histogram: Floats,
    order: Ints,
    found: int,
    gaps: int,
    total: Floats,
    every_arm: bool,
    min_node: int,
    alpha: float,
    best: float,
) -> tuple[float, int, bool]:
    """Try every cut of the listed bins, with the bin ``gaps`` (-1: none) on the right, then on the left.

    Returns the gain (``best`` if none is larger), the last bin on the left as a position in the list, and whether the
    gaps go left. Without gaps in the node, missing values will go where most of the weight is.
    """
    k = (total.size - HEAD) // 3
    left = np.empty(total.size)
    at, side = -1, False
    for turn in range(2 if gaps >= 0 else 1):
        left[:] = 0.0
        if turn == 1:
            left += histogram[gaps]
        for t in range(found - 1 if gaps < 0 or turn == 1 else found):
            q = order[t]
            for c in range(left.size):
                left[c] += histogram[q, c]
            control, control_total = left[1], total[1]
            fine, gain = True, 0.0
            for a in range(k):
                c = HEAD + 3 * a
                high, high_total = left[c + 1], total[c + 1]
                control -= high
                control_total -= high_total
                fine &= high >= min_node and high_total - high >= min_node
                fine &= left[1] - high >= min_node
                fine &= (total[1] - left[1]) - (high_total - high) >= min_node
                fine &= left[c + 2] >= alpha * total[c + 2] and total[c + 2] - left[c + 2] >= alpha * total[c + 2]
                gain += left[c] ** 2 / left[0] + (total[c] - left[c]) ** 2 / (total[0] - left[0])
            if every_arm:
                fine &= control >= min_node and control_total - control >= min_node
            if fine and gain > best:
                best, at = gain, t
                side = turn == 1 if gaps >= 0 else left[0] > 0.5 * total[0]
    return best, at, side
