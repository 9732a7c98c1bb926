"""Sums over random subsets of fixed size: by every subset, by random ones, or by their exact distribution.

A randomization test with fixed margins asks for nothing else. Units are taken independently, one bit each, with about the
right chance; then as many as there are too many or too few, picked at random, are put right. Given its size a set of
independent picks is uniform, so the set that results is uniform too. Sums of all subsets of four units are looked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Floats, Ints

_SUMS = {"reassoc", "contract", "nsz", "arcp"}
_STEP = np.uint64(0x9E3779B97F4A7C15)
#: Draws that are summed together.
_TOGETHER = 64


@njit(inline="always", cache=True)  # type: ignore[untyped-decorator]
def _mixed(z: Any) -> Any:
    """The output of SplitMix64 at a state."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always", cache=True)  # type: ignore[untyped-decorator]
def _bits(word: Any) -> Any:
    """How many bits of a word are set."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _subset_sums(columns: Floats, n_words: int) -> Floats:
    """Sums of each column over the 16 subsets of every four units, shape (q, 16 words, 16)."""
    q, m = columns.shape
    table = np.zeros((q, 16 * n_words, 16))
    for j in range(q):
        for group in range((m + 3) // 4):
            for i in range(min(4, m - 4 * group)):
                value, bit = columns[j, 4 * group + i], 1 << i
                for subset in range(bit):
                    table[j, group, bit + subset] = table[j, group, subset] + value
    return table


@njit(cache=True)  # type: ignore[untyped-decorator]
def _fill(words: Any, m: int, limit: int, state: Any) -> tuple[Any, int]:
    """Take every unit with a chance of ``limit / 256``; return the state and how many were taken."""
    lowest = 0
    while not (limit >> lowest) & 1:
        lowest += 1
    count = 0
    for at in range(words.size):
        word = np.uint64(0)
        for bit in range(lowest, 8):  # the digits of a random number below the limit, from the last one up
            state += _STEP
            random = _mixed(state)
            word = word | random if (limit >> bit) & 1 else word & random
        if at == words.size - 1 and m % 64:
            word &= (np.uint64(1) << np.uint64(m % 64)) - np.uint64(1)
        words[at] = word
        count += _bits(word)
    return state, count


@njit(cache=True)  # type: ignore[untyped-decorator]
def _put_right(words: Any, m: int, count: int, k: int, state: Any) -> Any:
    """Take or give back units picked at random until there are k; return the state."""
    one = np.uint64(1)
    while count != k:
        state += _STEP
        unit = np.int64(((_mixed(state) >> np.uint64(32)) * np.uint64(m)) >> np.uint64(32))
        place, bit = unit >> 6, one << np.uint64(unit & 63)
        taken = (words[place] & bit) != 0
        if taken == (count > k):
            words[place] ^= bit
            count += -1 if taken else 1
    return state


@njit(cache=True, fastmath=_SUMS)  # type: ignore[untyped-decorator]
def _look_up(words: Any, table: Floats, out: Floats) -> None:
    """Add up the sums of the subsets that words stand for; a word at a time, whose sums stay at hand for all draws."""
    low = np.uint64(15)
    for at in range(words.shape[1]):
        sums = table[16 * at : 16 * at + 16]
        for draw in range(words.shape[0]):
            word = words[draw, at]
            total = 0.0
            for i in range(16):
                total += sums[i, (word >> np.uint64(4 * i)) & low]
            out[draw] += total


@njit(cache=True)  # type: ignore[untyped-decorator]
def draw_sums(columns: Floats, k: int, n_draws: int, seed: int) -> Floats:
    """Sums of each column over random subsets of ``k`` units.

    Parameters
    ----------
    columns : Floats, shape (q, m)
        Contiguous; m is less than 2 ** 32.
    k : int
        Size of the subsets, from 1 to m - 1.
    n_draws : int
        How many.
    seed : int
        Same subsets for the same seed, m and k.

    Returns
    -------
    Floats, shape (q, n_draws)
    """
    q, m = columns.shape
    n_words = (m + 63) // 64
    table = _subset_sums(columns, n_words)
    words = np.empty((min(n_draws, _TOGETHER), n_words), dtype=np.uint64)
    limit = min(max((256 * k + m // 2) // m, 1), 255)
    out = np.zeros((q, n_draws))
    state = _mixed(np.uint64(seed) * _STEP + np.uint64(1))
    for first in range(0, n_draws, _TOGETHER):
        some = min(_TOGETHER, n_draws - first)
        for draw in range(some):
            state, count = _fill(words[draw], m, limit, state)
            state = _put_right(words[draw], m, count, k, state)
        for j in range(q):
            _look_up(words[:some], table[j], out[j, first : first + some])
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def enumerate_sums(columns: Floats, k: int, count: int) -> Floats:
    """Sums of each column over every subset of ``k`` units, in lexicographic order.

    Parameters
    ----------
    columns : Floats, shape (q, m)
    k : int
        Size of the subsets, from 1 to m - 1.
    count : int
        Their number.

    Returns
    -------
    Floats, shape (count, q)
    """
    q, m = columns.shape
    out = np.empty((count, q))
    at = np.arange(k)
    partial = np.zeros((k + 1, q))
    changed = 0
    for row in range(count):
        for depth in range(changed, k):
            for j in range(q):
                partial[depth + 1, j] = partial[depth, j] + columns[j, at[depth]]
        out[row] = partial[k]
        changed = k - 1
        while changed >= 0 and at[changed] == m - k + changed:
            changed -= 1
        if changed < 0:
            break
        at[changed] += 1
        for depth in range(changed + 1, k):
            at[depth] = at[depth - 1] + 1
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def sum_distribution(scores: Ints, k: int) -> Floats:
    """Probability of each sum of whole numbers over a random subset of ``k`` of them.

    Parameters
    ----------
    scores : Ints, shape (m,)
        Not negative.
    k : int
        Size of the subset.

    Returns
    -------
    Floats, shape (S + 1,)
        Probabilities of 0 … S, the sum of the k largest.
    """
    m = scores.size
    top = np.sort(scores)[m - k :].sum()
    table = np.zeros((k + 1, top + 1))
    table[0, 0] = 1.0
    reach = np.zeros(k + 1, dtype=np.int64)  # largest sum so far of subsets of each size
    for i in range(m):
        r, left = scores[i], m - i
        for j in range(min(i, k), -1, -1):
            take, end = (k - j) / left, min(reach[j], top)
            if take > 0.0:
                for s in range(min(end, top - r) + 1):
                    table[j + 1, s + r] += take * table[j, s]
                reach[j + 1] = max(reach[j + 1], end + r)
            for s in range(end + 1):
                table[j, s] *= 1.0 - take
    return table[k].copy()  # type: ignore[no-any-return]


@njit(cache=True)  # type: ignore[untyped-decorator]
def smirnov_tail(n_left: int, n_right: int, distance: int, ends: Bools) -> float:
    """Probability that two distribution functions come apart by at least a distance, if labels are dealt at random.

    Parameters
    ----------
    n_left, n_right : int
        Values of either kind.
    distance : int
        In units of 1 / (n_left n_right).
    ends : Bools, shape (n_left + n_right,)
        Whether a place in the pooled order is the last of its ties.
    """
    n = n_left + n_right
    chance = np.zeros(n_left + 1)  # by the number of left values so far
    chance[0] = 1.0
    apart = 0.0
    for t in range(n):
        for i in range(min(t, n_left), -1, -1):
            if chance[i] > 0.0:
                step = (n_left - i) / (n - t)
                if step > 0.0:
                    chance[i + 1] += step * chance[i]
                chance[i] *= 1.0 - step
        if ends[t]:
            for i in range(max(0, t + 1 - n_right), min(t + 1, n_left) + 1):
                if abs(i * n_right - (t + 1 - i) * n_left) >= distance:
                    apart += chance[i]
                    chance[i] = 0.0
    return min(apart, 1.0)


@njit(cache=True)  # type: ignore[untyped-decorator]
def split_tails(scores: Ints, k: int, least: int) -> Floats:
    """Probability that k units have a sum of at least ``least``, given how many of them are among the first ones.

    Parameters
    ----------
    scores : Ints, shape (m,)
        Not negative.
    k : int
        Size of the subset.
    least : int
        The sum.

    Returns
    -------
    Floats, shape (m + 1, k + 1)
        In row a and column j: for j units drawn from the first a, and k - j from the others.
    """
    m = scores.size
    top = np.sort(scores)[m - k :].sum()
    rest = np.zeros((m + 1, k + 1, top + 2))  # of j units among those from a on: probability of a sum, then of a tail
    rest[m, 0, 0] = 1.0
    for a in range(m - 1, -1, -1):
        r, size = scores[a], m - a
        for j in range(min(k, size) + 1):
            share = j / size
            for s in range(top + 1):
                value = (1.0 - share) * rest[a + 1, j, s]
                if j and s >= r:
                    value += share * rest[a + 1, j - 1, s - r]
                rest[a, j, s] = value
    for a in range(m + 1):
        for j in range(k + 1):
            for s in range(top - 1, -1, -1):
                rest[a, j, s] += rest[a, j, s + 1]
    first = np.zeros((k + 1, top + 1))
    first[0, 0] = 1.0
    out = np.zeros((m + 1, k + 1))
    for a in range(m + 1):
        if a:
            r = scores[a - 1]
            for j in range(min(k, a), -1, -1):
                share = j / a
                for s in range(top, -1, -1):
                    value = (1.0 - share) * first[j, s]
                    if j and s >= r:
                        value += share * first[j - 1, s - r]
                    first[j, s] = value
        for j in range(min(a, k) + 1):
            if k - j <= m - a:
                total = 0.0
                for s in range(top + 1):
                    total += first[j, s] * rest[a, k - j, max(least - s, 0)]
                out[a, j] = total
    return out
