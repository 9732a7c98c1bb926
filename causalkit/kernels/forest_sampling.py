"""Who is in the bag of a group of trees, and which half of it chooses splits."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Ints
from causalkit.kernels.forest_random import State, draw_first


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def draw_bag(n_units: int, state: State) -> Ints:
    """Draw half of the units, in random order."""
    units = np.arange(n_units)
    draw_first(state, units, n_units // 2)
    return units[: n_units // 2].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def draw_tree(bag: Ints, share: float, honest: float, starts: Ints, rows: Ints, state: State) -> tuple[Ints, Ints]:
    """Draw the rows of a tree from a bag: those that choose splits, and those that fill the leaves.

    Parameters
    ----------
    bag : Ints
        Units of the bag.
    share : float
        Share of the bag that the tree uses.
    honest : float
        Share of these units that chooses splits.
    starts : Ints, shape (units + 1,)
        Where the rows of each unit start in ``rows``.
    rows : Ints, shape (n,)
        Rows, unit by unit.

    Returns
    -------
    splitting, filling : Ints
        Rows, ascending.
    """
    units = bag.copy()
    used = max(int(np.ceil(share * units.size)), 2)
    draw_first(state, units, used)
    cut = min(max(int(np.ceil(honest * used)), 1), used - 1)
    return _rows_of(units[:cut], starts, rows), _rows_of(units[cut:used], starts, rows)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _rows_of(units: Ints, starts: Ints, rows: Ints) -> Ints:
    size = 0
    for unit in units:
        size += starts[unit + 1] - starts[unit]
    out = np.empty(size, np.int64)
    at = 0
    for unit in units:
        for j in range(starts[unit], starts[unit + 1]):
            out[at] = rows[j]
            at += 1
    out.sort()
    return out
