"""Predictions of boosted trees of at most 32 leaves, many rows at a time and without a branch.

A row ends in the leftmost leaf that no node rules out; a node that sends the row to the right rules out the leaves on its
left (Lucchese, Nardini, Orlando, Perego, Tonellotto and Venturini 2015, "QuickScorer", *SIGIR*). So a tree is a set of
comparisons that are made in any order, column by column, and a word of bits per row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints

#: Most leaves of a tree: one bit each.
MOST_LEAVES = 32
#: Rows at a time: a column of them and their words stay in the fastest cache.
_BLOCK = 1024
_ALL, _TOP = np.uint32(0xFFFFFFFF), np.uint64(0xFFFFFFFF)
#: Times a power of two, the five highest of 32 bits tell which power it is (a de Bruijn sequence).
_SEQUENCE, _SHIFT = np.uint64(0x077CB531), np.uint64(27)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def leaf_masks(starts: Ints, left: Codes, right: Codes, leaves: Floats, masks: Any, values: Floats) -> None:
    """Write the leaves that each node leaves open to rows it sends right, and leaf values by place in the sequence.

    Parameters
    ----------
    starts : Ints, shape (trees + 1,)
        Where the nodes of each tree start; it has one leaf more, and its leaves start ``tree`` places further on.
    left, right : Codes, shape (nodes,)
        Children: a node of the tree (after its parent), or ``-1 - leaf``.
    leaves : Floats, shape (nodes + trees,)
        Values of the leaves.
    masks : array of uint32, shape (nodes,)
        Out.
    values : Floats, shape (trees, 32)
        Out.
    """
    count, first = np.empty(MOST_LEAVES, dtype=np.int64), np.empty(MOST_LEAVES, dtype=np.int64)
    for tree in range(len(starts) - 1):
        at, nodes = starts[tree], starts[tree + 1] - starts[tree]
        for node in range(nodes - 1, -1, -1):
            low, high = left[at + node], right[at + node]
            count[node] = (1 if low < 0 else count[low]) + (1 if high < 0 else count[high])
        first[0] = 0
        if nodes == 0:
            values[tree, (_SEQUENCE & _TOP) >> _SHIFT] = leaves[at + tree]
        for node in range(nodes):
            low, high = left[at + node], right[at + node]
            size = 1 if low < 0 else count[low]
            bits = ((np.uint64(1) << np.uint64(size)) - np.uint64(1)) << np.uint64(first[node])
            masks[at + node] = np.uint32(~bits & _TOP)
            for child, place in ((low, first[node]), (high, first[node] + size)):
                if child < 0:
                    slot = (((np.uint64(1) << np.uint64(place)) * _SEQUENCE) & _TOP) >> _SHIFT
                    values[tree, slot] = leaves[at + tree - 1 - child]
                else:
                    first[child] = place


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def add_trees(
    columns: Floats,
    starts: Ints,
    feature: Codes,
    threshold: Floats,
    gap_left: Bools,
    masks: Any,
    values: Floats,
    out: Floats,
) -> None:
    """Add the trees' values to ``out``, shape (n,), tree after tree.

    Parameters
    ----------
    columns : Floats, shape (p, n)
        Covariates.
    starts : Ints, shape (trees + 1,)
        Where the nodes of each tree start.
    feature, threshold : shape (nodes,)
        Rows whose covariate is at most the threshold go left.
    gap_left : Bools, shape (nodes,)
        Whether rows without the covariate do.
    masks, values
        From :func:`leaf_masks`.
    """
    n = columns.shape[1]
    words = np.empty(_BLOCK, dtype=np.uint32)
    for begin in range(0, n, _BLOCK):
        size = min(_BLOCK, n - begin)
        for tree in range(len(starts) - 1):
            for i in range(size):
                words[i] = _ALL
            for node in range(starts[tree], starts[tree + 1]):
                column = columns[feature[node], begin : begin + size]
                cut, open_right = threshold[node], masks[node]
                if gap_left[node]:
                    for i in range(size):
                        words[i] &= open_right if column[i] > cut else _ALL
                else:
                    for i in range(size):
                        words[i] &= _ALL if column[i] <= cut else open_right
            own = values[tree]
            for i in range(size):
                word = np.uint64(words[i])
                lowest = word & (~word + np.uint64(1))
                out[begin + i] += own[((lowest * _SEQUENCE) & _TOP) >> _SHIFT]
