"""Random numbers inside compiled loops: one generator per tree, so that a forest is the same for any number of threads.

The generator is SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", *OOPSLA*).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

State = NDArray[np.uint64]

_LARGE_MEAN = 500.0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def uniform(state: State) -> float:
    """Advance the generator, shape (1,), and return a number in [0, 1)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def below(state: State, n: int) -> int:
    """Return a whole number from 0 to n - 1."""
    found = int(uniform(state) * n)
    return found if found < n else n - 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
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
