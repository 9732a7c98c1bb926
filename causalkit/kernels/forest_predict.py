"""From leaves to averages over trees."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.kernels.forest_adding import LANES, add_four
from causalkit.kernels.forest_binning import TOGETHER, Ruler, code_pairs
from causalkit.kernels.forest_leaves import Nodes, go_down, leaf_number
from causalkit.kernels.forest_splitting import Sets


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add(out: Floats, i: int, means: Floats, at: int) -> None:
    """Add row ``at`` of the means to row ``i`` of ``out``."""
    d = out.shape[1]
    whole = d - d % LANES
    for c in range(0, whole, LANES):
        add_four(out, i * d + c, means, at * d + c)
    for c in range(whole, d):
        out[i, c] += means[at, c]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_trees(
    x: Floats, ruler: Ruler, words: Nodes, marks: Nodes, set_of: Codes, sets: Sets,
    roots: Codes, levels: Codes, means: Floats, out: Floats,
) -> None:  # fmt: skip
    """Add up the leaf means of all trees for the rows of ``x``, without a table of their leaves.

    Parameters
    ----------
    x : Floats, shape (n, p), read-only
        Covariates.
    ruler : Ruler
    words, marks, set_of, sets, roots, levels : arrays, read-only
        See :func:`causalkit.kernels.forest_leaves.find_leaves`.
    means : Floats, shape (leaves, d), read-only
    out : Floats, shape (n, d)
        Zeros; out: sums over the trees that have a root.
    """
    width = 2 * x.shape[1]
    codes = np.empty((TOGETHER, width), np.uint8)
    flat, at, who = codes.reshape(-1), np.empty(TOGETHER, np.int32), np.empty(TOGETHER, np.int32)
    for begin in range(0, len(x), TOGETHER):
        rows = min(TOGETHER, len(x) - begin)
        code_pairs(x, begin, rows, ruler, codes)
        for tree in range(roots.size):
            if roots[tree] < 0:
                continue
            go_down(flat, 0, width, rows, roots[tree], levels[tree], words, set_of, sets, at, who)
            for i in range(rows):
                _add(out, begin + i, means, np.int64(leaf_number(at[i], marks)))


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
                _add(out, i, means, at)


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
