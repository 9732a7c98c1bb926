"""The best split of a node: histograms of a covariate's codes, scanned from the left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_random import State, below
from causalkit.kernels.forest_relabel import HEAD, HIGH

#: Nodes smaller than this find their bins by marking them.
_FEW_ROWS = 128
_WORDS = 4
Words = NDArray[np.uint64]
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_POSITIONS = np.zeros(64, np.int64)
for _bit in range(64):
    _POSITIONS[(0x03F79D71B4CB0A89 << _bit & 0xFFFFFFFFFFFFFFFF) >> 58] = _bit


Scratch = tuple[Floats, Floats, Ints, Words]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def make_scratch(columns: int) -> Scratch:
    """Return what :func:`best_split` works in: a histogram of zeros, sums on the left, a list of bins, marks."""
    histogram = np.zeros((MISSING + 1, columns))
    return histogram, np.empty(columns), np.empty(MISSING + 1, np.int64), np.zeros(_WORDS, np.uint64)


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
    scratch: Scratch,
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
    table : Floats, shape (at least m, 1 + 3 k)
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
    scratch : tuple
        See :func:`make_scratch`.
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
    histogram, left, order, marks = scratch
    total = np.zeros(table.shape[1])
    for i in range(rows.size):
        for c in range(total.size):
            total[c] += table[i, c]
    for c in range(HEAD + 1, total.size, 3):
        high = np.floor(total[c] / HIGH)
        if min(high, total[c] - (HIGH + 1.0) * high) < 2 * min_node:
            return feature, threshold, missing_left
    for attempt in range(tries):
        swap = attempt + below(state, features.size - attempt)
        f = features[swap]
        features[swap] = features[attempt]
        features[attempt] = f
        found = _fill(codes[f], rows, table, histogram, order, marks, n_codes[f])
        if is_category[f]:
            _sort_by_effect(histogram, order, found)
            gain, at, _ = _scan(histogram, left, order, found, -1, total, every_arm, min_node, alpha, best)
            if gain > best:
                best, feature, missing_left = gain, f, False
                chosen[:] = np.uint64(0)
                for q in order[: at + 1]:
                    chosen[q >> 6] |= np.uint64(1) << np.uint64(q & 63)
        else:
            gaps = found > 0 and order[found - 1] == MISSING
            numbers = found - 1 if gaps else found
            gain, at, side = _scan(
                histogram, left, order, numbers, MISSING if gaps else -1, total, every_arm, min_node, alpha, best
            )
            if gain > best:
                best, feature, missing_left = gain, f, side
                threshold = order[at]
                if at + 1 < numbers:  # the middle of the gap between the two bins
                    threshold = (order[at] + order[at + 1]) >> 1
        for t in range(found):
            for c in range(total.size):
                histogram[order[t], c] = 0.0
    return feature, threshold, missing_left


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(codes: Bytes, rows: Ints, table: Floats, histogram: Floats, order: Ints, marks: Words, n_codes: int) -> int:
    """Add the rows to their bins; list the bins met, ascending."""
    if table.shape[1] == HEAD + 3:  # one treatment: written out, as it is what forests spend their time on
        for i in range(rows.size):
            q = codes[rows[i]]
            weight, rho, tally, info = table[i, 0], table[i, 1], table[i, 2], table[i, 3]
            weight += histogram[q, 0]
            rho += histogram[q, 1]
            tally += histogram[q, 2]
            info += histogram[q, 3]
            histogram[q, 0] = weight
            histogram[q, 1] = rho
            histogram[q, 2] = tally
            histogram[q, 3] = info
    else:
        for i in range(rows.size):
            q = codes[rows[i]]
            for c in range(table.shape[1]):
                histogram[q, c] += table[i, c]
    found = 0
    if rows.size >= _FEW_ROWS:
        for q in range(n_codes):
            order[found] = q
            found += histogram[q, 0] > 0.0
        order[found] = MISSING
        found += histogram[MISSING, 0] > 0.0
        return found  # type: ignore[no-any-return]
    marks[:] = np.uint64(0)
    for i in range(rows.size):
        q = codes[rows[i]]
        marks[q >> 6] |= np.uint64(1) << np.uint64(q & 63)
    for word in range(_WORDS):
        bits = marks[word]
        while bits:
            rest = bits & (bits - np.uint64(1))
            order[found] = 64 * word + _lowest(bits ^ rest)
            found += 1
            bits = rest
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _lowest(bit: Any) -> int:
    """Position of the one bit that is set, by a de Bruijn sequence."""
    return _POSITIONS[(bit * _DE_BRUIJN) >> np.uint64(58)]  # type: ignore[no-any-return]


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
    left: Floats,
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
    at, side = -1, False
    for turn in range(2 if gaps >= 0 else 1):
        for c in range(left.size):
            left[c] = histogram[gaps, c] if turn == 1 else 0.0
        cuts = found - 1 if gaps < 0 or turn == 1 else found
        if total.size == HEAD + 3:
            gain, cut, weight = _scan_one(histogram, order, cuts, left, total, min_node, alpha, best)
        else:
            gain, cut, weight = _scan_many(histogram, order, cuts, left, total, every_arm, min_node, alpha, best)
        if cut >= 0:
            best, at = gain, cut
            side = turn == 1 if gaps >= 0 else weight > 0.5 * total[0]
    return best, at, side


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scan_one(
    histogram: Floats, order: Ints, cuts: int, start: Floats, total: Floats, min_node: int, alpha: float, best: float
) -> tuple[float, int, float]:
    """Try the cuts for one treatment. As rho sums to zero, the gain is ``S_left^2 n / (n_left n_right)``.

    Returns the gain, the cut (-1: none better than ``best``), and the weight on its left.
    """
    weight, rho, tally, info = start[0], start[1], start[2], start[3]
    n, high_total = total[0], np.floor(total[2] / HIGH)
    low_total = total[2] - (HIGH + 1.0) * high_total
    least, most = alpha * total[3], (1.0 - alpha) * total[3]
    at, at_weight = -1, 0.0
    top = best / n
    for t in range(cuts):
        q = order[t]
        weight += histogram[q, 0]
        rho += histogram[q, 1]
        tally += histogram[q, 2]
        info += histogram[q, 3]
        high = np.floor(tally / HIGH)
        low = tally - (HIGH + 1.0) * high
        if high < min_node or low < min_node or info < least:
            continue
        if high_total - high < min_node or low_total - low < min_node or info > most:
            break
        if rho * rho > top * weight * (n - weight):
            top = rho * rho / (weight * (n - weight))
            at, at_weight = t, weight
    return top * n, at, at_weight


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scan_many(
    histogram: Floats, order: Ints, cuts: int, left: Floats, total: Floats, every_arm: bool, min_node: int, alpha: float,
    best: float,
) -> tuple[float, int, float]:  # fmt: skip
    """Try the cuts for several treatments; returns as :func:`_scan_one` does."""
    k = (total.size - HEAD) // 3
    at, weight = -1, 0.0
    for t in range(cuts):
        for c in range(left.size):
            left[c] += histogram[order[t], c]
        fine, gain, treated, treated_total = True, 0.0, 0.0, 0.0
        for a in range(k):
            c = HEAD + 3 * a
            high, high_total = np.floor(left[c + 1] / HIGH), np.floor(total[c + 1] / HIGH)
            count, count_total = left[c + 1] - HIGH * high, total[c + 1] - HIGH * high_total
            treated += high
            treated_total += high_total
            fine &= high >= min_node and high_total - high >= min_node
            fine &= count - high >= min_node and count_total - count - (high_total - high) >= min_node
            fine &= left[c + 2] >= alpha * total[c + 2] and total[c + 2] - left[c + 2] >= alpha * total[c + 2]
            gain += left[c] ** 2
            if every_arm and a == k - 1:
                control = count - treated
                fine &= control >= min_node and count_total - treated_total - control >= min_node
        if fine:
            gain *= total[0] / (left[0] * (total[0] - left[0]))
            if gain > best:
                best, at, weight = gain, t, left[0]
    return best, at, weight
