"""The spread of groups of trees: what the variance by little bags is made of."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Codes, Floats


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def block_spread(
    leaves: Codes,
    leaf_means: Floats,
    means: Floats,
    effects: Floats,
    inverse: Floats,
    group_size: int,
    between: Floats,
    total: Floats,
    n_groups: Codes,
) -> None:
    """Sum squares of group means, and of trees, of the influence of each tree on the effects of a row.

    The influence is the moment of a leaf at the effects of the row, times the inverse of their derivative (Athey,
    Tibshirani and Wager 2019, section 4). Only groups all of whose trees speak for the row count. Nothing is kept by
    tree, so memory does not grow with their number.

    Parameters
    ----------
    leaves : Codes, shape (trees, m)
        Leaf of each tree, -1 where it does not speak for the row.
    leaf_means : Floats, shape (leaves, d)
    means, effects, inverse
        As in :func:`causalkit.kernels.forest_predict.solve`.
    group_size : int
        Trees of a group.
    between : Floats, shape (m, q, q)
        Out: mean over groups of the products of group means.
    total : Floats, shape (m, q)
        Out: mean over trees of squares.
    n_groups : Codes, shape (m,)
        Out: groups that count.
    """
    q, k = effects.shape[1], inverse.shape[1]
    between[:] = 0.0
    total[:] = 0.0
    n_groups[:] = 0
    level = np.empty(means.shape[0])  # constant of the local regression
    for i in range(means.shape[0]):
        level[i] = means[i, 1]
        for a in range(k):
            level[i] -= means[i, 2 + a] * effects[i, a]
        level[i] /= means[i, 0]
    mean, one = np.empty(q), np.empty(q)
    for first in range(0, leaves.shape[0] - group_size + 1, group_size):
        for i in range(leaves.shape[1]):
            whole = True
            for tree in range(first, first + group_size):
                whole &= leaves[tree, i] >= 0
            if not whole:
                continue
            n_groups[i] += 1
            mean[:] = 0.0
            for tree in range(first, first + group_size):
                influence(leaf_means[leaves[tree, i]], means[i], effects[i], inverse[i], level[i], one)
                for a in range(q):
                    mean[a] += one[a] / group_size
                    total[i, a] += one[a] ** 2
            for a in range(q):
                for b in range(a + 1):
                    between[i, a, b] += mean[a] * mean[b]
    for i in range(means.shape[0]):
        if n_groups[i] > 0:
            for a in range(q):
                total[i, a] /= n_groups[i] * group_size
                for b in range(a + 1):
                    between[i, a, b] /= n_groups[i]
                    between[i, b, a] = between[i, a, b]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def influence(leaf: Floats, means: Floats, effects: Floats, inverse: Floats, level: float, out: Floats) -> None:
    """Write the influence of one leaf on the effects of a row to ``out``, shape (q,)."""
    k = inverse.shape[0]
    constant = leaf[1] - leaf[0] * level
    for a in range(k):
        constant -= leaf[2 + a] * effects[a]
    for a in range(k):
        out[a] = 0.0
    for b in range(k):
        moment = leaf[2 + k + b] - leaf[2 + b] * level - means[2 + b] / means[0] * constant
        for a in range(k):
            moment -= leaf[2 + 2 * k + b * k + a] * effects[a]
        for a in range(k):
            out[a] += inverse[a, b] * moment
    for a in range(k, effects.size):
        out[a] = (leaf[2 + 2 * k + k * k + a - k] - leaf[0] * effects[a]) / means[0]
