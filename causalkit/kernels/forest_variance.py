"""The spread of groups of trees: what the variance by little bags is made of."""

from __future__ import annotations

from numba import njit

from causalkit.kernels.arrays import Codes, Floats


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_spread(
    leaves: Codes,
    leaf_means: Floats,
    influence: Floats,
    group_size: int,
    between: Floats,
    total: Floats,
    n_groups: Codes,
    work: Floats,
) -> None:
    """Sum squares of group means, and of trees, of the influence of each tree on the predictions of a row.

    The influence is the moment of a leaf at the predictions of the row, times the inverse of their derivative (Athey,
    Tibshirani and Wager 2019, section 4): a linear function of the leaf's means. Only groups all of whose trees speak
    for the row count. Nothing is kept by tree, so memory does not grow with their number.

    Parameters
    ----------
    leaves : Codes, shape (trees, m)
        Leaf of each tree, -1 where it does not speak for the row.
    leaf_means : Floats, shape (leaves, d) or (leaves, d - 1), read-only
        Without the first column where it would hold ones.
    influence : Floats, shape (m, q, d)
        Coefficients of the influence.
    group_size : int
        Trees of a group.
    between : Floats, shape (m, q, q)
        Zeros; out, by lower triangle: sum over groups of the products of group sums.
    total : Floats, shape (m, q)
        Zeros; out: sum over trees of squares.
    n_groups : Codes, shape (m,)
        Zeros; out: groups that count.
    work : Floats, shape (q,)
        Work space.
    """
    q, d = influence.shape[1], influence.shape[2]
    lead = d - leaf_means.shape[1]
    for first in range(0, leaves.shape[0] - group_size + 1, group_size):
        for i in range(leaves.shape[1]):
            whole = True
            for tree in range(first, first + group_size):
                whole &= leaves[tree, i] >= 0
            if not whole:
                continue
            n_groups[i] += 1
            for a in range(q):
                work[a] = 0.0
                for tree in range(first, first + group_size):
                    at, one = leaves[tree, i], influence[i, a, 0] if lead else 0.0
                    for c in range(lead, d):
                        one += influence[i, a, c] * leaf_means[at, c - lead]
                    work[a] += one
                    total[i, a] += one * one
                for b in range(a + 1):
                    between[i, a, b] += work[a] * work[b]
