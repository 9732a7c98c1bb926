"""The best split of a node: its rows, or bins of them, in the order of a covariate, scanned from the left.

What is scanned is a list of words: a code in the high bits, by which neighbours are tied, and a place in the low bits, at
which the sums of the item are found. In large nodes an item is a bin of a histogram; in small ones it is a row (see
:mod:`causalkit.kernels.forest_sorting`). One treatment is what forests spend their time on: its loops are written out,
and those for several treatments are compiled only where there are several (``w.ndim`` is known to the compiler, which
drops the branch not taken).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.kernels.forest_adding import LANES, add_four
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_random import State, below
from causalkit.kernels.forest_relabel import HEAD, HIGH

Sets = NDArray[np.uint64]
Words = NDArray[np.uint32]
#: A word is a code times two to the power of this, plus a place.
SHIFT = 16
PLACE = (1 << SHIFT) - 1
SET_WORDS = 4
#: Histograms filled in one pass over the rows.
TABLES = 4
#: Rows of the work space: bins of these histograms, then sums on the left, on the right, of the gaps, and of the node.
BINS = 256
LEFT, RIGHT, GAPS, TOTAL, WORK_ROWS = (
    TABLES * BINS,
    TABLES * BINS + 1,
    TABLES * BINS + 2,
    TABLES * BINS + 3,
    TABLES * BINS + 4,
)


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
    words: Words,
    state: State,
    chosen: Sets,
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
    sums : Floats, shape (WORK_ROWS, 1 + 3 k)
        Row ``TOTAL`` holds the sums of the table; work space, zeros before and after but for the rows behind the bins.
    words : uint32 array, shape (256,)
        Work space.
    state : State
        Generator.
    chosen : uint64 array, shape (2, 4)
        Out: in row 0 the codes of a category that go left, in row 1 those that the node has met.

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
    draw(features, tries, state)
    for start in range(0, tries, TABLES):
        end = min(start + TABLES, tries)
        _fill(codes, features, start, end, rows, first, stop, table, w, sums)
        for attempt in range(start, end):
            f, base = features[attempt], BINS * (attempt - start)
            if is_category[f]:
                found = list_categories(sums, base, n_codes[f], words)
                gain, at, side = scan_categories(sums, base, words, found, w, every_arm, min_node, alpha, best, chosen)
            else:
                found = n_codes[f]
                for q in range(found):
                    words[q] = q << SHIFT | q
                for c in range(sums.shape[1]):
                    sums[GAPS, c] = sums[base + MISSING, c]
                gaps = sums[base + MISSING, 0] > 0.0
                gain, at, side = scan(sums, sums, base, words, 0, found, gaps, w, every_arm, min_node, alpha, best)
                if gain > best:
                    threshold = at
                    following = at + 1
                    while following < found and sums[base + following, 0] == 0.0:
                        following += 1
                    if following < found:  # the middle of the gap between the two bins
                        threshold = (at + following) >> 1
            if gain > best:
                best, feature, missing_left = gain, f, side
        for q in range(BINS * (end - start)):
            for c in range(sums.shape[1]):
                sums[q, c] = 0.0
    return feature, threshold, missing_left


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def draw(features: Ints, tries: int, state: State) -> None:
    """Put covariates drawn without replacement to the front."""
    for attempt in range(tries):
        swap = attempt + below(state, features.size - attempt)
        f = features[swap]
        features[swap] = features[attempt]
        features[attempt] = f


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def enough(sums: Floats, min_node: int) -> bool:
    """Tell whether there are enough rows on either side for two children."""
    for c in range(HEAD + 1, sums.shape[1], 3):
        high = np.floor(sums[TOTAL, c] / HIGH)
        low = sums[TOTAL, c] - (HIGH + 1.0) * high
        if high < 2 * min_node or low < 2 * min_node:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill(
    codes: Bytes, features: Ints, start: int, end: int, rows: Ints, first: int, stop: int, table: Floats, w: Floats,
    sums: Floats,
) -> None:  # fmt: skip
    """Add the rows to the bins of some covariates, each with a histogram of its own."""
    m = stop - first
    if w.ndim == 1 and end - start == TABLES:
        a, b, c, d = features[start], features[start + 1], features[start + 2], features[start + 3]
        for i in range(m):
            row, at = np.uint64(rows[np.uint64(first + i)]), LANES * i
            add_four(sums, LANES * np.int64(codes[a, row]), table, at)
            add_four(sums, LANES * (np.int64(codes[b, row]) + BINS), table, at)
            add_four(sums, LANES * (np.int64(codes[c, row]) + 2 * BINS), table, at)
            add_four(sums, LANES * (np.int64(codes[d, row]) + 3 * BINS), table, at)
        return
    for attempt in range(start, end):
        f, base = features[attempt], BINS * (attempt - start)
        for i in range(m):
            q = np.int64(codes[f, rows[first + i]]) + base
            if w.ndim == 1:
                add_four(sums, LANES * q, table, LANES * i)
            else:
                for j in range(sums.shape[1]):
                    sums[q, j] += table[i, j]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def list_categories(sums: Floats, base: int, n_codes: int, words: Words) -> int:
    """List the categories that the node has met, missing values among them; return their number."""
    found = 0
    for q in range(n_codes):
        if sums[base + q, 0] > 0.0:
            words[found] = q << SHIFT | q
            found += 1
    if sums[base + MISSING, 0] > 0.0:
        words[found] = MISSING << SHIFT | MISSING
        found += 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def scan_categories(
    sums: Floats, base: int, words: Words, found: int, w: Floats, every_arm: bool, min_node: int, alpha: float,
    best: float, chosen: Sets,
) -> tuple[float, int, bool]:  # fmt: skip
    """Order the listed categories by their effects and scan them; where better than ``best``, say which go left."""
    _sort_by_effect(sums, base, words, found)
    gain, at, _ = scan(sums, sums, base, words, 0, found, False, w, every_arm, min_node, alpha, best)
    if gain > best:
        for word in range(SET_WORDS):
            chosen[0, word] = chosen[1, word] = np.uint64(0)
        for t in range(found):
            q = words[t] >> SHIFT
            bit = np.uint64(1) << np.uint64(q & 63)
            chosen[1, q >> 6] |= bit
            if t <= at:
                chosen[0, q >> 6] |= bit
    return gain, at, False


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sort_by_effect(sums: Floats, base: int, words: Words, found: int) -> None:
    """Sort the bins by their mean relabelled value, of the treatment for which these means differ most."""
    most, column = -1.0, HEAD
    for c in range(HEAD, sums.shape[1], 3):
        spread = 0.0
        for t in range(found):
            at = base + (words[t] & PLACE)
            spread += sums[at, c] * sums[at, c] / sums[at, 0]
        if spread > most:
            most, column = spread, c
    for i in range(1, found):  # insertion: stable, and the list is short
        word = words[i]
        at = base + (word & PLACE)
        key = sums[at, column] / sums[at, 0]
        j = i
        while j > 0:
            at = base + (words[j - 1] & PLACE)
            if sums[at, column] / sums[at, 0] <= key:
                break
            words[j] = words[j - 1]
            j -= 1
        words[j] = word


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def scan(
    items: Floats,
    sums: Floats,
    base: int,
    words: Words,
    first: int,
    stop: int,
    gaps: bool,
    w: Floats,
    every_arm: bool,
    min_node: int,
    alpha: float,
    best: float,
) -> tuple[float, int, bool]:
    """Try every cut of ``words[first:stop]``, with the gaps on the right, then on the left.

    Returns the gain (``best`` if none is larger), the place in the list of the last item on the left, and whether gaps
    go left. Without gaps in the node, missing values will go where most of the weight is.

    Parameters
    ----------
    items : Floats
        Sums of the items, at ``base`` plus their places.
    sums : Floats, shape (WORK_ROWS, 1 + 3 k)
        Those of the node, and of the gaps if there are any.
    """
    at, side = -1, False
    for turn in range(2 if gaps else 1):
        for c in range(sums.shape[1]):
            sums[LEFT, c] = sums[GAPS, c] if turn == 1 else 0.0
            sums[RIGHT, c] = sums[GAPS, c] if gaps and turn == 0 else 0.0
        cuts = stop if gaps and turn == 0 else stop - 1
        if w.ndim == 1:
            gain, cut, weight = _scan_one(items, sums, base, words, first, stop, cuts, min_node, alpha, best)
        else:
            gain, cut, weight = _scan_many(
                items, sums, base, words, first, stop, cuts, every_arm, min_node, alpha, best
            )
        if cut >= 0:
            best, at = gain, cut
            side = turn == 1 if gaps else weight > 0.5 * sums[TOTAL, 0]
    return best, at, side


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _large(tally: float, info: float, min_node: int, least: float) -> bool:
    """Tell whether a child is large enough."""
    high = np.floor(tally / HIGH)
    return high >= min_node and tally - (HIGH + 1.0) * high >= min_node and info >= least


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scan_one(
    items: Floats, sums: Floats, base: int, words: Words, first: int, stop: int, cuts: int, min_node: int,
    alpha: float, best: float,
) -> tuple[float, int, float]:  # fmt: skip
    """Try the cuts for one treatment. As rho sums to zero, the gain is ``S_left^2 n / (n_left n_right)``.

    A child that is large enough stays so as it grows: the cuts that are allowed are found from either end.
    Returns the gain, the cut (-1: none better than ``best``), and the weight on its left.
    """
    weight, rho, tally, info = sums[LEFT, 0], sums[LEFT, 1], sums[LEFT, 2], sums[LEFT, 3]
    n, least = sums[TOTAL, 0], alpha * sums[TOTAL, 3]
    t = first - 1
    while True:
        t += 1
        if t >= cuts:
            return best, -1, 0.0
        at = base + (words[t] & PLACE)
        weight += items[at, 0]
        rho += items[at, 1]
        tally += items[at, 2]
        info += items[at, 3]
        if _large(tally, info, min_node, least):
            break
    tally, info, last = sums[RIGHT, 2], sums[RIGHT, 3], stop
    while last > cuts or not _large(tally, info, min_node, least):
        last -= 1
        if last <= t:
            return best, -1, 0.0
        at = base + (words[last] & PLACE)
        tally += items[at, 2]
        info += items[at, 3]
    cut, cut_weight, top = -1, sums[LEFT, 0], best / n
    while True:
        if rho * rho > top * weight * (n - weight):
            tied = t + 1 < stop and words[t] >> SHIFT == words[t + 1] >> SHIFT
            if not tied and weight > cut_weight:  # by rounding, an empty bin may seem better than what is before it
                top = rho * rho / (weight * (n - weight))
                cut, cut_weight = t, weight
        t += 1
        if t >= last:
            return top * n, cut, cut_weight
        at = base + (words[t] & PLACE)
        weight += items[at, 0]
        rho += items[at, 1]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scan_many(
    items: Floats, sums: Floats, base: int, words: Words, first: int, stop: int, cuts: int, every_arm: bool,
    min_node: int, alpha: float, best: float,
) -> tuple[float, int, float]:  # fmt: skip
    """Try the cuts for several treatments; returns as :func:`_scan_one` does."""
    columns = sums.shape[1]
    cut, weight = -1, sums[LEFT, 0]
    for t in range(first, cuts):
        fine, gain, treated, treated_total = True, 0.0, 0.0, 0.0
        at = base + (words[t] & PLACE)
        for c in range(columns):
            sums[LEFT, c] += items[at, c]
        if t + 1 < stop and words[t] >> SHIFT == words[t + 1] >> SHIFT:
            continue
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
            if gain > best and sums[LEFT, 0] > weight:
                best, cut, weight = gain, t, sums[LEFT, 0]
    return best, cut, weight
