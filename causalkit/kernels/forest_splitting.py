"""The best split of a node: histograms of a covariate's codes, scanned from the left.

One treatment is what forests spend their time on: its loops are written out, and those for several treatments are
compiled only where there are several (``w.ndim`` is known to the compiler, which drops the branch not taken).
"""

from __future__ import annotations

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
#: Rows of the work space: a bin each, then the sums on the left and those of the node.
LEFT, TOTAL, WORK_ROWS = 256, 257, 258


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def best_split(
    codes: Bytes,
    rows: Ints,
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
    order: Ints,
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
    rows : Ints
        Rows of the tree; those of the node are ``rows[first:stop]``.
    table : Floats, shape (at least stop - first, 1 + 3 k)
        What each row adds to its bin (see :func:`causalkit.kernels.forest_relabel.relabel`).
    w : Floats
        Only its dimensions count: one for one treatment, two for several.
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
    sums : Floats, shape (258, 1 + 3 k)
        Work space; zeros before and after, but for its last two rows.
    order : Ints, shape (256,)
        Work space.
    state : State
        Generator.
    chosen : uint64 array, shape (2, 4)
        Out: in row 0 the codes of a category that go left; row 1 is work space.

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
    if not _add_up(table, stop - first, sums, min_node):
        return feature, threshold, missing_left
    for attempt in range(tries):
        swap = attempt + below(state, features.size - attempt)
        f = features[swap]
        features[swap] = features[attempt]
        features[attempt] = f
        found = _fill(codes, f, rows, first, stop, table, w, sums, order, chosen, n_codes[f])
        gaps, numbers = -1, found
        if is_category[f]:
            _sort_by_effect(sums, order, found)
        elif found > 0 and order[found - 1] == MISSING:
            gaps, numbers = MISSING, found - 1
        gain, at, side = _scan(sums, order, numbers, gaps, w, every_arm, min_node, alpha, best)
        if gain > best:
            best, feature = gain, f
            if is_category[f]:
                missing_left = False
                for word in range(_WORDS):
                    chosen[0, word] = np.uint64(0)
                for t in range(at + 1):
                    q = order[t]
                    chosen[0, q >> 6] |= np.uint64(1) << np.uint64(q & 63)
            else:
                missing_left, threshold = side, order[at]
                if at + 1 < numbers:  # the middle of the gap between the two bins
                    threshold = (order[at] + order[at + 1]) >> 1
        for t in range(found):
            for c in range(sums.shape[1]):
                sums[order[t], c] = 0.0
    return feature, threshold, missing_left


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add_up(table: Floats, m: int, sums: Floats, min_node: int) -> bool:
    """Sum the node's rows; tell whether there are enough on either side for two children."""
    for c in range(sums.shape[1]):
        sums[TOTAL, c] = 0.0
    for i in range(m):
        for c in range(sums.shape[1]):
            sums[TOTAL, c] += table[i, c]
    for c in range(HEAD + 1, sums.shape[1], 3):
        high = np.floor(sums[TOTAL, c] / HIGH)
        low = sums[TOTAL, c] - (HIGH + 1.0) * high
        if high < 2 * min_node or low < 2 * min_node:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill(
    codes: Bytes, f: int, rows: Ints, first: int, stop: int, table: Floats, w: Floats, sums: Floats, order: Ints,
    marks: Words, n_codes: int,
) -> int:  # fmt: skip
    """Add the rows to their bins; list the bins met, ascending."""
    for i in range(stop - first):
        q = codes[f, rows[first + i]]
        if w.ndim == 1:  # loads before stores: the compiler can't know that table and sums are apart
            weight, rho, tally, info = table[i, 0], table[i, 1], table[i, 2], table[i, 3]
            weight += sums[q, 0]
            rho += sums[q, 1]
            tally += sums[q, 2]
            info += sums[q, 3]
            sums[q, 0] = weight
            sums[q, 1] = rho
            sums[q, 2] = tally
            sums[q, 3] = info
        else:
            for c in range(sums.shape[1]):
                sums[q, c] += table[i, c]
    found = 0
    if stop - first >= _FEW_ROWS:
        for b in range(n_codes):
            order[found] = b
            found += 1 if sums[b, 0] > 0.0 else 0
        order[found] = MISSING
        found += 1 if sums[MISSING, 0] > 0.0 else 0
        return found
    for word in range(_WORDS):
        marks[1, word] = np.uint64(0)
    for i in range(first, stop):
        q = codes[f, rows[i]]
        marks[1, q >> 6] |= np.uint64(1) << np.uint64(q & 63)
    for word in range(_WORDS):
        bits = marks[1, word]
        while bits != np.uint64(0):
            rest = bits & (bits - np.uint64(1))
            lowest = bits ^ rest  # its position, by a de Bruijn sequence
            order[found] = 64 * word + _POSITIONS[(lowest * _DE_BRUIJN) >> np.uint64(58)]
            found += 1
            bits = rest
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sort_by_effect(sums: Floats, order: Ints, found: int) -> None:
    """Sort the bins by their mean relabelled value, of the treatment for which these means differ most."""
    most, column = -1.0, HEAD
    for c in range(HEAD, sums.shape[1], 3):
        spread = 0.0
        for t in range(found):
            spread += sums[order[t], c] * sums[order[t], c] / sums[order[t], 0]
        if spread > most:
            most, column = spread, c
    for i in range(1, found):  # insertion: stable, and the list is short
        q = order[i]
        key = sums[q, column] / sums[q, 0]
        j = i
        while j > 0 and sums[order[j - 1], column] / sums[order[j - 1], 0] > key:
            order[j] = order[j - 1]
            j -= 1
        order[j] = q


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scan(
    sums: Floats,
    order: Ints,
    found: int,
    gaps: int,
    w: Floats,
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
        for c in range(sums.shape[1]):
            sums[LEFT, c] = sums[gaps, c] if turn == 1 else 0.0
        cuts = found - 1 if gaps < 0 or turn == 1 else found
        if w.ndim == 1:
            gain, cut, weight = _scan_one(sums, order, cuts, min_node, alpha, best)
        else:
            gain, cut, weight = _scan_many(sums, order, cuts, every_arm, min_node, alpha, best)
        if cut >= 0:
            best, at = gain, cut
            side = turn == 1 if gaps >= 0 else weight > 0.5 * sums[TOTAL, 0]
    return best, at, side


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scan_one(
    sums: Floats, order: Ints, cuts: int, min_node: int, alpha: float, best: float
) -> tuple[float, int, float]:
    """Try the cuts for one treatment. As rho sums to zero, the gain is ``S_left^2 n / (n_left n_right)``.

    Returns the gain, the cut (-1: none better than ``best``), and the weight on its left.
    """
    weight, rho, tally, info = sums[LEFT, 0], sums[LEFT, 1], sums[LEFT, 2], sums[LEFT, 3]
    n, all_tally = sums[TOTAL, 0], sums[TOTAL, 2]
    high_total = np.floor(all_tally / HIGH)
    low_total = all_tally - (HIGH + 1.0) * high_total
    least, most = alpha * sums[TOTAL, 3], (1.0 - alpha) * sums[TOTAL, 3]
    at, at_weight = -1, 0.0
    top = best / n
    for t in range(cuts):
        q = order[t]
        weight += sums[q, 0]
        rho += sums[q, 1]
        tally += sums[q, 2]
        info += sums[q, 3]
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


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scan_many(
    sums: Floats, order: Ints, cuts: int, every_arm: bool, min_node: int, alpha: float, best: float
) -> tuple[float, int, float]:
    """Try the cuts for several treatments; returns as :func:`_scan_one` does."""
    columns = sums.shape[1]
    at, weight = -1, 0.0
    for t in range(cuts):
        fine, gain, treated, treated_total = True, 0.0, 0.0, 0.0
        for c in range(columns):
            sums[LEFT, c] += sums[order[t], c]
        for c in range(HEAD, columns, 3):
            high, high_total = np.floor(sums[LEFT, c + 1] / HIGH), np.floor(sums[TOTAL, c + 1] / HIGH)
            count, count_total = sums[LEFT, c + 1] - HIGH * high, sums[TOTAL, c + 1] - HIGH * high_total
            treated += high
            treated_total += high_total
            fine &= high >= min_node and high_total - high >= min_node
            fine &= count - high >= min_node and count_total - count - (high_total - high) >= min_node
            left, all_of_it = sums[LEFT, c + 2], sums[TOTAL, c + 2]
            fine &= left >= alpha * all_of_it and all_of_it - left >= alpha * all_of_it
            gain += sums[LEFT, c] * sums[LEFT, c]
            if every_arm and c == columns - 3:
                control = count - treated
                fine &= control >= min_node and count_total - treated_total - control >= min_node
        if fine:
            gain *= sums[TOTAL, 0] / (sums[LEFT, 0] * (sums[TOTAL, 0] - sums[LEFT, 0]))
            if gain > best:
                best, at, weight = gain, t, sums[LEFT, 0]
    return best, at, weight
