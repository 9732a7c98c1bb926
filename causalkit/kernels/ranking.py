"""Walks along a ranking: the areas under the targeting curve, and the influence of each unit on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats, Ints

#: A sort key: the priority in single precision above, the row below.
_ROW = np.uint64(0xFFFFFFFF)
_SIGN, _ALL = np.uint32(0x80000000), np.uint32(0xFFFFFFFF)


@njit(cache=True)  # type: ignore[untyped-decorator]
def pack_falling(priority: Floats) -> Any:
    """Unsigned integers whose rising order is that of falling priorities in single precision, then of rows."""
    single = (priority + 0.0).astype(np.float32).view(np.uint32)  # the sum makes -0 a 0
    out = np.empty(priority.size, dtype=np.uint64)
    for i in range(priority.size):
        bits = single[i]
        falling = bits if bits & _SIGN else (bits ^ _ALL) ^ _SIGN
        out[i] = (np.uint64(falling) << np.uint64(32)) | np.uint64(i)
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def unpack_falling(packed: Any, priority: Floats, order: Ints, ranked: Floats) -> bool:
    """Rows and priorities in falling order, written to the last two; false where too many have to change places."""
    m = packed.size
    for i in range(m):
        order[i] = np.int64(packed[i] & _ROW)
        ranked[i] = priority[order[i]]
    left = 4 * m
    for i in range(1, m):
        value, row, j = ranked[i], order[i], i
        while j > 0 and ranked[j - 1] < value:
            ranked[j], order[j] = ranked[j - 1], order[j - 1]
            j -= 1
        ranked[j], order[j] = value, row
        left -= i - j
        if left < 0:
            return False
    return True


@njit(cache=True)  # type: ignore[untyped-decorator]
def areas_and_influence(
    width: Floats, centred: Floats, starts: Ints, order: Ints, autoc_psi: Floats, qini_psi: Floats
) -> tuple[float, float]:
    """Areas under TOC(q) and under q TOC(q); influence values are written to the last two arrays, by row.

    Parameters
    ----------
    width : Floats, shape (m,)
        Weights in ranked order, summing to one.
    centred : Floats, shape (m,)
        Scores in ranked order, with weighted mean zero.
    starts : Ints, shape (B,)
        Where each block of ties begins.
    order : Ints, shape (m,)
        Row of each ranked unit.
    autoc_psi, qini_psi : Floats, shape (n,)
        Filled with influence values at these rows, 1/n folded in.
    """
    m, n_blocks = width.size, starts.size
    share, total = 0.0, 0.0
    autoc, tail, tail_mean = 0.0, 0.0, 0.0
    qini, level = 0.0, 0.0
    for b in range(n_blocks):
        start, stop = starts[b], starts[b + 1] if b + 1 < n_blocks else m
        mean = _block_mean(width, centred, start, stop)
        for i in range(start, stop):
            w = width[i]
            share += w
            total += w * mean
            inverse = w / share
            autoc += inverse * total
            tail += inverse
            tail_mean += inverse * total / share
            qini += w * total
            level += w * share
    whole = share
    share, total, before, before_mean = 0.0, 0.0, 0.0, 0.0
    # What lies behind a unit is the whole less what lies before it.
    for b in range(n_blocks):
        start, stop = starts[b], starts[b + 1] if b + 1 < n_blocks else m
        mean = _block_mean(width, centred, start, stop)
        mass, autoc_score, autoc_weight, qini_score, qini_weight = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(start, stop):
            w = width[i]
            behind = whole - share
            share += w
            total += w * mean
            mass += w
            inverse = 1.0 / share
            autoc_score += w * (tail - before - 1.0)
            autoc_weight += w * (total * inverse - (tail_mean - before_mean) - autoc)
            qini_score += w * (behind - level)
            qini_weight += w * (total - 2.0 * qini)
            before += w * inverse
            before_mean += w * total * inverse * inverse
        for i in range(start, stop):
            part = width[i] / mass
            autoc_psi[order[i]] = part * (centred[i] * autoc_score + autoc_weight)
            qini_psi[order[i]] = part * (centred[i] * qini_score + qini_weight)
    return autoc, qini


@njit(cache=True)  # type: ignore[untyped-decorator]
def jackknife(
    width: Floats,
    centred: Floats,
    starts: Ints,
    order: Ints,
    autoc: float,
    qini: float,
    autoc_psi: Floats,
    qini_psi: Floats,
) -> None:
    """Change of both areas when one unit is left out, times (m - 1) / m, written to the last two arrays.

    Exact but for two terms. Behind a unit of weight w the sum of ``w_j (M_j - score) / (A_j - w)``, with A the share and M
    the mean score so far, is summed term by term where A_j < 8 w and by its series in w / A_j beyond (error of one in 500).
    Within a block of ties the order of who is left is averaged.

    Parameters
    ----------
    width, centred, starts, order
        As for :func:`areas_and_influence`.
    autoc, qini : float
        The areas.
    autoc_psi, qini_psi : Floats, shape (n,)
        Filled at these rows.
    """
    m, n_blocks = width.size, starts.size
    share, level = np.empty(m), np.empty(m)  # share so far, and the sum of scores up to here
    before, total, squares = 0.0, 0.0, 0.0
    for b in range(n_blocks):
        start, stop = starts[b], starts[b + 1] if b + 1 < n_blocks else m
        mean = _block_mean(width, centred, start, stop)
        for i in range(start, stop):
            before += width[i]
            total += width[i] * mean
            squares += width[i] ** 2
            share[i], level[i] = before, total
    behind = np.zeros((2, 3))  # sums over units behind of w / A^p and w M / A^p, p = 1, 2, 3
    mass_behind = 0.0
    for b in range(n_blocks - 1, -1, -1):
        start, stop = starts[b], starts[b + 1] if b + 1 < n_blocks else m
        first_share = share[start - 1] if start > 0 else 0.0
        first_level = level[start - 1] if start > 0 else 0.0
        block = _block_sums(width, share, level, start, stop)
        for i in range(start, stop):
            w, score = width[i], centred[i]
            left = 1.0 - w
            mean = -w * score / left
            one, two = _block_without(w, score, first_share, first_level, share[stop - 1], level[stop - 1], block)
            tail = _tail(w, score, stop, width, share, level, behind)
            without = (autoc - block[0] + one + w * (tail + score)) / left
            raw = qini - block[1] + two - w * score * mass_behind
            without_qini = (raw - mean * 0.5 * (left * left + squares - w * w)) / (left * left)
            autoc_psi[order[i]] = (autoc - without) * (m - 1) / m
            qini_psi[order[i]] = (qini - without_qini) * (m - 1) / m
        for i in range(start, stop):
            part = width[i]
            mass_behind += part
            for p in range(3):
                part /= share[i]
                behind[0, p] += part
                behind[1, p] += part * level[i] / share[i]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _block_sums(
    width: Floats, share: Floats, level: Floats, start: int, stop: int
) -> tuple[float, float, float, float]:
    """Parts of a block in AUTOC and QINI, and its sums of w / A and of squared weights; one unit has no remainder."""
    autoc, qini, inverse, squares = 0.0, 0.0, 0.0, 0.0
    for i in range(start, stop):
        autoc += width[i] * level[i] / share[i]
        qini += width[i] * level[i]
        inverse += width[i] / share[i]
        squares += width[i] ** 2
    return autoc, qini, inverse if stop > start + 1 else 0.0, squares


@njit(cache=True)  # type: ignore[untyped-decorator]
def _block_without(
    w: float,
    score: float,
    first_share: float,
    first_level: float,
    last_share: float,
    last_level: float,
    block: tuple[float, float, float, float],
) -> tuple[float, float]:
    """Parts of a block in AUTOC and QINI when a unit of it is left out."""
    if block[2] == 0.0:
        return 0.0, 0.0
    mass = last_share - first_share - w
    if mass <= 1e-12 * (last_share - first_share):  # the unit is its block, up to rounding
        return 0.0, 0.0
    total = last_level - first_level - w * score
    mean = total / mass
    inverse = block[2] + np.log((last_share - w) / last_share)
    spread = 0.5 * (mass * mass + block[3] - w * w)
    return total + (first_level - mean * first_share) * inverse, first_level * mass + mean * spread


@njit(cache=True)  # type: ignore[untyped-decorator]
def _tail(w: float, score: float, stop: int, width: Floats, share: Floats, level: Floats, behind: Floats) -> float:
    """Sum of ``w_j (M_j - score) / (A_j - w)`` over the units behind."""
    total, power = 0.0, 1.0
    for p in range(3):
        total += power * (behind[1, p] - score * behind[0, p])
        power *= w
    j = stop
    while j < width.size and share[j] < 8.0 * w:
        a = share[j]
        series = (1.0 + w / a + (w / a) ** 2) / a
        total += width[j] * (level[j] / a - score) * (1.0 / (a - w) - series)
        j += 1
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def _block_mean(width: Floats, centred: Floats, start: int, stop: int) -> float:
    if stop == start + 1:
        return float(centred[start])
    total, mass = 0.0, 0.0
    for i in range(start, stop):
        total += width[i] * centred[i]
        mass += width[i]
    return total / mass
