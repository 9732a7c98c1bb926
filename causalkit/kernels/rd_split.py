"""Put rows in order of their distance from a cutoff, each side by itself, with one sort of whole numbers.

The bits of a non-negative float sort like the float. A key holds the side in its first bit, then as many bits of the
distance as leave room for the number of the row, then that number: sorting the keys sorts the rows, and ties by row.
Distances that differ in the bits left out only are put right afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats, Ints

_ABOVE = np.uint64(1) << np.uint64(63)
#: Rows may move this many places on average when distances that share a key are put in order.
_MOVES = 8


@njit(cache=True)  # type: ignore[untyped-decorator]
def split_keys(x: Floats, cutoff: float, donut: float, n_bits: int) -> tuple[Any, int]:
    """Return the key of every row at least ``donut`` away from the cutoff, and how many of these are below it.

    Parameters
    ----------
    x : Floats, shape (n,)
    cutoff, donut : float
    n_bits : int
        Bits that hold n - 1.
    """
    keys = np.empty(x.size, np.uint64)
    drop = np.uint64(n_bits)
    count = below = 0
    for i in range(x.size):
        distance = abs(x[i] - cutoff)
        if donut > 0.0 and not distance >= donut:
            continue
        key = ((np.float64(distance).view(np.uint64) >> drop) << drop) | np.uint64(i)
        if x[i] >= cutoff:
            key |= _ABOVE
        else:
            below += 1
        keys[count] = key
        count += 1
    return keys[:count], below


@njit(cache=True)  # type: ignore[untyped-decorator]
def place_rows(keys: Any, n_bits: int, x: Floats, cutoff: float, distance: Floats, rows: Ints) -> int:
    """Write distance and row of sorted keys; return the number of distinct distances, or -1 where sorting is not done.

    It is given up where very many distances share a key, as in a cluster of values far from the cutoff.
    """
    mask = (np.uint64(1) << np.uint64(n_bits)) - np.uint64(1)
    for i in range(keys.size):
        row = np.int64(keys[i] & mask)
        rows[i] = row
        distance[i] = abs(x[row] - cutoff)
    moves = 0
    distinct: int = min(keys.size, 1)
    for i in range(1, keys.size):
        if distance[i - 1] > distance[i]:
            here, row, at = distance[i], rows[i], i
            while at > 0 and distance[at - 1] > here:
                distance[at], rows[at] = distance[at - 1], rows[at - 1]
                at -= 1
                moves += 1
            distance[at], rows[at] = here, row
            if moves > _MOVES * keys.size:
                return -1
    for i in range(1, keys.size):
        distinct += distance[i] != distance[i - 1]
    return distinct


@njit(cache=True)  # type: ignore[untyped-decorator]
def gather(values: Floats, rows: Ints, pivot: float, out: Floats) -> None:
    """Write chosen values less a number."""
    for i in range(rows.size):
        out[i] = values[rows[i]] - pivot


@njit(cache=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def spread(below: Floats, above: Floats) -> float:
    """Return the standard deviation of the running variable from distances on both sides of the cutoff."""
    n = below.size + above.size
    total = 0.0
    for i in range(above.size):
        total += above[i]
    for i in range(below.size):
        total -= below[i]
    mean = total / n
    squares = 0.0
    for i in range(above.size):
        squares += (above[i] - mean) ** 2
    for i in range(below.size):
        squares += (below[i] + mean) ** 2
    return float(np.sqrt(squares / (n - 1)))
