"""From leaves to effects: averages over trees, solved for the effects of each row."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_growing import Features
from causalkit.kernels.forest_leaves import find_leaves
from causalkit.kernels.forest_relabel import invert
from causalkit.kernels.forest_splitting import Words


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def block_leaves(
    codes: Bytes,
    feature: Features,
    threshold: Codes,
    child: Codes,
    missing_left: Bools,
    sets: Words,
    is_category: Bools,
    roots: Codes,
    out: Codes,
) -> None:
    """Write the leaf of each tree and row to ``out``, shape (trees, m); -1 for a tree without a root."""
    for tree in range(roots.size):
        if roots[tree] < 0:
            out[tree, :] = -1
            continue
        row = out[tree]
        find_leaves(codes, feature, threshold, child, missing_left, sets, is_category, roots[tree], row)
        for i in range(row.size):
            row[i] = child[row[i]]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def leave_out(leaves: Codes, bags: Bytes, units: Codes, group_size: int) -> None:
    """Set to -1 the leaves of the trees of each group whose bag holds the row.

    Parameters
    ----------
    leaves : Codes, shape (trees, m)
    bags : uint8 array, shape (units, bytes)
        Bit g tells whether the unit is in the bag of group g.
    units : Codes, shape (m,)
        Unit of each row; -1 where it is in no bag.
    group_size : int
        Trees of a group.
    """
    for tree in range(leaves.shape[0]):
        group = tree // group_size
        byte, bit = group >> 3, group & 7
        for i in range(units.size):
            if units[i] >= 0 and (bags[units[i], byte] >> bit) & 1:
                leaves[tree, i] = -1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def block_means(leaves: Codes, means: Floats, out: Floats, count: Codes) -> None:
    """Average the leaf means of the trees that speak for a row: to ``out``, shape (m, d), and their number."""
    out[:] = 0.0
    count[:] = 0
    for tree in range(leaves.shape[0]):
        for i in range(leaves.shape[1]):
            at = leaves[tree, i]
            if at >= 0:
                count[i] += 1
                for c in range(out.shape[1]):
                    out[i, c] += means[at, c]
    for i in range(out.shape[0]):
        if count[i] > 0:
            for c in range(out.shape[1]):
                out[i, c] /= count[i]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def solve(means: Floats, k: int, effects: Floats, inverse: Floats) -> None:
    """Solve the local moment equations of each row.

    Parameters
    ----------
    means : Floats, shape (m, 2 + 2 k + k k + e)
        Averages over trees (see :func:`causalkit.kernels.forest_leaves.leaf_means`).
    k : int
        Treatments.
    effects : Floats, shape (m, k + e)
        Out: coefficients of the treatments in a weighted regression with a constant, then the means of the extras; NaN
        where the treatments don't vary.
    inverse : Floats, shape (m, k, k)
        Out: inverse of the local covariance of the treatments, times the mean weight.
    """
    gram = np.zeros((k, k))
    for i in range(means.shape[0]):
        row = means[i]
        for a in range(k):
            for b in range(k):
                gram[a, b] = row[2 + 2 * k + a * k + b] - row[2 + a] * row[2 + b] / row[0]
        if row[0] <= 0.0 or not invert(gram):
            effects[i, :] = np.nan
            continue
        inverse[i] = gram
        for a in range(k):
            total = 0.0
            for b in range(k):
                total += gram[a, b] * (row[2 + k + b] - row[2 + b] * row[1] / row[0])
            effects[i, a] = total
        for a in range(effects.shape[1] - k):
            effects[i, k + a] = row[2 + 2 * k + k * k + a] / row[0]
