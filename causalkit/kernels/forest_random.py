"""Random numbers inside compiled loops: one counter per tree, so that a forest is the same for any number of threads.

The generator is SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", *OOPSLA*).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Ints

State = NDArray[np.uint64]

_LARGE_MEAN = 500.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def stream(seed: int, group: int, tree: int) -> State:
    """Return the state of the generator that belongs to (seed, group, tree), shape (1,)."""
    state = np.zeros(1, np.uint64)
    for part in (seed, group, tree):
        state[0] = next_bits(state) ^ (np.uint64(part) * np.uint64(0xD1342543DE82EF95))
    return state


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def next_bits(state: State) -> Any:
    """Advance the generator and return 64 random bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def uniform(state: State) -> float:
    """Return a number in [0, 1)."""
    return float(next_bits(state) >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def below(state: State, n: int) -> int:
    """Return a whole number from 0 to n - 1."""
    return min(int(uniform(state) * n), n - 1)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def draw_first(state: State, items: Ints, count: int) -> None:
    """Shuffle ``items`` in place just so far that the first ``count`` are a random subset in random order."""
    n = items.size
    for i in range(min(count, n - 1)):
        j = i + below(state, n - i)
        items[i], items[j] = items[j], items[i]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def poisson(state: State, mean: float) -> int:
    """Draw from a Poisson distribution (by products of uniforms); a large mean is returned rounded."""
    if mean > _LARGE_MEAN:
        return int(mean)
    floor = np.exp(-mean)
    product = uniform(state)
    count = 0
    while product > floor:
        product *= uniform(state)
        count += 1
    return count
