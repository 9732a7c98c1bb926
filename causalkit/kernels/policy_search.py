"""Exact search for the best first cut of a policy tree of depth two, by a sweep over trees of prefix sums.

Rows carry one score per action; a tree earns the sum of the scores of the actions its leaves choose. For two actions a
and b, the best cut of a set of rows along a feature is a largest (or smallest) prefix sum of ``score_a - score_b`` in the
order of that feature. The sweep moves rows one by one from the right of the first cut to its left; for every feature a
tree over blocks of sorted values keeps the sum, the largest and the smallest prefix sum of both sides, so a move costs
the logarithm of the number of rows, and all first cuts of p features are tried in O(p^2 n log n) (exhaustive search by
rescanning takes O(p^2 n^2)).

Codes are dense ranks of feature values from zero; a cut at c sends codes up to c to the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats

Array = Any

#: Sorted values in a block: scanned in one go, where a tree over single values would miss the cache.
BLOCK = 16


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scan_block(left: Array, whole: Array, first: int, last: int, node: Array) -> None:
    """Sum, largest and smallest prefix sum of a block of values, on the left side and on the right side."""
    for q in range(left.shape[1]):
        a, b = 0.0, 0.0
        a_max, a_min, b_max, b_min = -np.inf, np.inf, -np.inf, np.inf
        for v in range(first, last):
            a += left[v, q]
            b += whole[v, q] - left[v, q]
            a_max, a_min = max(a_max, a), min(a_min, a)
            b_max, b_min = max(b_max, b), min(b_min, b)
        node[q, 0], node[q, 1], node[q, 2] = a, a_max, a_min
        node[q, 3], node[q, 4], node[q, 5] = b, b_max, b_min


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _join(one: Array, two: Array, node: Array) -> None:
    """The same of two neighbours."""
    for q in range(node.shape[0]):
        for s in (0, 3):
            mass = one[q, s]
            node[q, s] = mass + two[q, s]
            node[q, s + 1] = max(one[q, s + 1], mass + two[q, s + 1])
            node[q, s + 2] = min(one[q, s + 2], mass + two[q, s + 2])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rebuild(left: Array, whole: Array, count_left: Array, count: Array, width: int, nodes: Array, held: Array) -> None:
    """Compute all nodes of one feature from its values."""
    u = left.shape[0]
    for b in range(width):
        first, last = min(u, b * BLOCK), min(u, (b + 1) * BLOCK)
        _scan_block(left, whole, first, last, nodes[width + b])
        one, every = 0, 0
        for v in range(first, last):
            one += count_left[v]
            every += count[v]
        held[width + b, 0], held[width + b, 1] = one, every - one
    for j in range(width - 1, 0, -1):
        _join(nodes[2 * j], nodes[2 * j + 1], nodes[j])
        for s in range(2):
            held[j, s] = held[2 * j, s] + held[2 * j + 1, s]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _move(value: int, left: Array, whole: Array, width: int, nodes: Array, held: Array) -> None:
    """Bring the nodes above one value up to date, after one row of it went to the left side."""
    u = left.shape[0]
    block = value // BLOCK
    j = width + block
    _scan_block(left, whole, block * BLOCK, min(u, (block + 1) * BLOCK), nodes[j])
    held[j, 0] += 1
    held[j, 1] -= 1
    while j > 1:
        j //= 2
        _join(nodes[2 * j], nodes[2 * j + 1], nodes[j])
        held[j, 0] += 1
        held[j, 1] -= 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _side(left: Array, whole: Array, v: int, q: int, s: int) -> float:
    return left[v, q] if s == 0 else whole[v, q] - left[v, q]  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _value_at(target: int, s: int, count_left: Array, count: Array, width: int, held: Array) -> int:
    """The first value up to which a side holds ``target`` rows."""
    j, before = 1, 0
    while j < width:
        here = held[2 * j, s]
        if before + here >= target:
            j = 2 * j
        else:
            before += here
            j = 2 * j + 1
    v = (j - width) * BLOCK
    while v < count.size:
        before += count_left[v] if s == 0 else count[v] - count_left[v]
        if before >= target:
            return v
        v += 1
    return count.size  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _prefix_range(
    first: int, last: int, q: int, s: int, left: Array, whole: Array, width: int, nodes: Array
) -> tuple[float, float]:
    """Largest and smallest prefix sum of a side that ends at one of the values ``first`` to ``last``."""
    at = 3 * s
    block, end = first // BLOCK, last // BLOCK
    mass = 0.0
    j = width + block  # what lies before the block
    while j > 1:
        if j % 2 == 1:
            mass += nodes[j - 1, q, at]
        j //= 2
    high, low = -np.inf, np.inf
    for v in range(block * BLOCK, min(last, block * BLOCK + BLOCK - 1) + 1):
        mass += _side(left, whole, v, q, s)
        if v >= first:
            high, low = max(high, mass), min(low, mass)
    b = block + 1
    while b < end:
        step, j = 1, width + b
        while b % (2 * step) == 0 and b + 2 * step <= end:
            step, j = 2 * step, j // 2
        high, low = max(high, mass + nodes[j, q, at + 1]), min(low, mass + nodes[j, q, at + 2])
        mass += nodes[j, q, at]
        b += step
    if end > block:
        for v in range(end * BLOCK, last + 1):
            mass += _side(left, whole, v, q, s)
            high, low = max(high, mass), min(low, mass)
    return high, low


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _best_of_pairs(high: Array, low: Array, total: Array) -> float:
    """Reward of the best cut of one side along one feature, from the extreme prefix sums of each pair of actions."""
    k = total.size
    best, q = -np.inf, 0
    for a in range(k):
        for b in range(a + 1, k):
            best = max(best, total[b] + high[q], total[a] - low[q])
            q += 1
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _gaps(scores: Floats) -> tuple[Array, Array, Array]:
    """Differences of scores of each pair of actions, (m, pairs); the sum of each action; each row's spread of scores."""
    m, k = scores.shape
    gap, total, spread = np.empty((m, k * (k - 1) // 2)), np.zeros(k), np.empty(m)
    for i in range(m):
        q = 0
        for a in range(k):
            total[a] += scores[i, a]
            for b in range(a + 1, k):
                gap[i, q] = scores[i, a] - scores[i, b]
                q += 1
        spread[i] = scores[i].max() - scores[i].min()
    return gap, total, spread


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _layout(sizes: Array) -> tuple[Array, Array, Array]:
    """Blocks of each feature's tree (a power of two), and where its values and its nodes begin."""
    p = sizes.size
    width = np.empty(p, dtype=np.int64)
    value_at, node_at = np.zeros(p + 1, dtype=np.int64), np.zeros(p + 1, dtype=np.int64)
    for g in range(p):
        width[g] = 1
        while width[g] * BLOCK < sizes[g]:
            width[g] *= 2
        value_at[g + 1], node_at[g + 1] = value_at[g] + sizes[g], node_at[g] + 2 * width[g]
    return width, value_at, node_at


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _by_value(codes: Array, size: int) -> tuple[Array, Array]:
    """Rows by value of a feature, and where the rows of each value begin, shape (size + 1,)."""
    m = codes.size
    starts = np.zeros(size + 1, dtype=np.int64)
    for i in range(m):
        starts[codes[i] + 1] += 1
    for c in range(size):
        starts[c + 1] += starts[c]
    order, place = np.empty(m, dtype=np.int64), starts[:-1].copy()
    for i in range(m):
        order[place[codes[i]]] = i
        place[codes[i]] += 1
    return order, starts


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _start(
    codes: Array, gap: Array, width: Array, value_at: Array, node_at: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """All rows on the right side: sums and counts by value of the left side and of both, and the trees over them."""
    (p, m), pairs = codes.shape, gap.shape[1]
    lefts, wholes = np.zeros((value_at[p], pairs)), np.zeros((value_at[p], pairs))
    counts_left, counts = np.zeros(value_at[p], dtype=np.int32), np.zeros(value_at[p], dtype=np.int32)
    nodes, held = np.zeros((node_at[p], pairs, 6)), np.zeros((node_at[p], 2), dtype=np.int32)
    for g in range(p):
        for i in range(m):
            v = value_at[g] + codes[g, i]
            counts[v] += 1
            for q in range(pairs):
                wholes[v, q] += gap[i, q]
        one, two = value_at[g], value_at[g + 1]
        _rebuild(
            lefts[one:two], wholes[one:two], counts_left[one:two], counts[one:two], width[g],
            nodes[node_at[g] : node_at[g + 1]], held[node_at[g] : node_at[g + 1]],
        )  # fmt: skip
    return lefts, wholes, counts_left, counts, nodes, held


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _move_rows(
    moved: Array, by_row: Array, gap: Array, width: Array, value_at: Array, node_at: Array, state: Array
) -> None:
    """Bring rows to the left side, feature by feature; the trees of features with few values are made anew."""
    lefts, wholes, counts_left, counts, nodes, held = state
    for g in range(width.size):
        one, two = value_at[g], value_at[g + 1]
        mine, every = lefts[one:two], wholes[one:two]
        tree, size = nodes[node_at[g] : node_at[g + 1]], held[node_at[g] : node_at[g + 1]]
        whole_anew = moved.size * 8 > two - one
        for row in moved:
            v = by_row[row, g]
            counts_left[one + v] += 1
            for q in range(gap.shape[1]):
                mine[v, q] += gap[row, q]
            if not whole_anew:
                _move(v, mine, every, width[g], tree, size)
        if whole_anew:
            _rebuild(mine, every, counts_left[one:two], counts[one:two], width[g], tree, size)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reward_bound(total: Array, node_at: Array, nodes: Array) -> float:
    """Reward of the best second cuts of both sides, whatever the size of their leaves."""
    pairs = nodes.shape[1]
    high, low = np.empty(pairs), np.empty(pairs)
    reward = 0.0
    for s in range(2):
        most = total[s].max()
        for g in range(node_at.size - 1):
            root = nodes[node_at[g] + 1]
            for q in range(pairs):
                high[q], low[q] = root[q, 3 * s + 1], root[q, 3 * s + 2]
            most = max(most, _best_of_pairs(high, low, total[s]))
        reward += most
    return reward


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reward(
    total: Array, inside: Array, least: int, width: Array, value_at: Array, node_at: Array, state: Array
) -> float:
    """Reward of the best second cuts of both sides, which hold ``inside`` rows, with leaves of ``least`` rows or more."""
    lefts, wholes, counts_left, counts, nodes, held = state
    pairs = nodes.shape[1]
    high, low = np.empty(pairs), np.empty(pairs)
    reward = 0.0
    for s in range(2):
        most = total[s].max()
        for g in range(width.size):
            if inside[s] < 2 * least:
                break
            one, two = value_at[g], value_at[g + 1]
            tree, size = nodes[node_at[g] : node_at[g + 1]], held[node_at[g] : node_at[g + 1]]
            some, every = counts_left[one:two], counts[one:two]
            start = _value_at(least, s, some, every, width[g], size)
            end = _value_at(inside[s] - least + 1, s, some, every, width[g], size) - 1
            if start > end:
                continue
            for q in range(pairs):
                high[q], low[q] = _prefix_range(start, end, q, s, lefts[one:two], wholes[one:two], width[g], tree)
            most = max(most, _best_of_pairs(high, low, total[s]))
        reward += most
    return reward


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sweep(
    feature: int, codes: Array, sizes: Array, scores: Floats, least: int, best: float, slack: float
) -> tuple[float, int]:
    """Best first cut along one feature of a tree of depth two.

    Parameters
    ----------
    feature : int
        The feature of the first cut.
    codes, sizes, scores, least, slack
        As for :func:`causalkit.kernels.policy_split.best_split`.
    best : float
        Reward to beat.

    Returns
    -------
    reward, cut
        Reward of the best tree of depth two (leaves may end early) with this first feature; cut -1 where none beats
        ``best``.
    """
    m, k = scores.shape
    gap, whole, spread = _gaps(scores)
    by_row = codes.T.copy()
    width, value_at, node_at = _layout(sizes)
    state = _start(codes, gap, width, value_at, node_at)
    order, starts = _by_value(codes[feature], sizes[feature])
    total, inside = np.zeros((2, k)), np.zeros(2, dtype=np.int64)
    total[1] = whole
    cut, done, bound = -1, 0, np.inf
    for c in range(sizes[feature] - 1):
        first, last = starts[c], starts[c + 1]
        for r in range(first, last):
            bound += spread[order[r]]
            for a in range(k):
                total[0, a] += scores[order[r], a]
                total[1, a] -= scores[order[r], a]
        if bound <= best + slack or last < least or m - last < least:
            continue
        _move_rows(order[done:last], by_row, gap, width, value_at, node_at, state)
        done = last
        reward = _reward_bound(total, node_at, state[4])
        bound = reward
        if reward <= best + slack:
            continue
        if least > 1:  # the reward above is a bound: leaves may be too small
            inside[0], inside[1] = last, m - last
            reward = _reward(total, inside, least, width, value_at, node_at, state)
            if reward <= best + slack:
                continue
        best, cut = reward, c
    return best, cut
