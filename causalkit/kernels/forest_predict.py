"""From leaves to averages over trees."""

from __future__ import annotations

from numba import njit

from causalkit.kernels.arrays import Codes, Floats, Ints


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_leaves(leaves: Codes, means: Floats, out: Floats, count: Codes) -> None:
    """Add up the leaf means of the trees that speak for a row.

    Parameters
    ----------
    leaves : Codes, shape (trees, m)
        Leaf of each tree and row; -1 where the tree does not speak for the row.
    means : Floats, shape (leaves, d), read-only
    out : Floats, shape (m, d)
        Zeros; out: sums.
    count : Codes, shape (m,)
        Zeros; out: number of trees.
    """
    for tree in range(leaves.shape[0]):
        for i in range(leaves.shape[1]):
            at = leaves[tree, i]
            if at >= 0:
                count[i] += 1
                for c in range(out.shape[1]):
                    out[i, c] += means[at, c]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_neighbours(leaves: Codes, starts: Ints, rows: Codes, out: Floats) -> None:
    """Add up how often training rows share a leaf with the rows predicted, each leaf counting one.

    Parameters
    ----------
    leaves : Codes, shape (trees, m)
        As in :func:`add_leaves`.
    starts : Ints, shape (leaves + 1,), read-only
        Where the rows of each leaf start.
    rows : Codes, read-only
        Rows of the honest halves, leaf by leaf.
    out : Floats, shape (m, n)
        Zeros; out: sums over trees.
    """
    for i in range(leaves.shape[1]):
        for tree in range(leaves.shape[0]):
            at = leaves[tree, i]
            if at >= 0:
                share = 1.0 / (starts[at + 1] - starts[at])
                for j in range(starts[at], starts[at + 1]):
                    out[i, rows[j]] += share


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def leaf_scores(leaves: Codes, starts: Ints, rows: Codes, scores: Floats, out: Floats) -> None:
    """Average scores, shape (m, n), over the rows of each leaf: to ``out``, shape (trees, m), which holds zeros."""
    for i in range(leaves.shape[1]):
        for tree in range(leaves.shape[0]):
            at = leaves[tree, i]
            if at >= 0:
                total = 0.0
                for j in range(starts[at], starts[at + 1]):
                    total += scores[i, rows[j]]
                out[tree, i] = total / (starts[at + 1] - starts[at])
