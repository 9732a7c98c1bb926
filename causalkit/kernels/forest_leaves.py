"""Leaves: who falls into which, and the removal of those in which the honest half shows no effect."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.kernels.forest_binning import MISSING, TOGETHER, Bytes
from causalkit.kernels.forest_growing import Features
from causalkit.kernels.forest_splitting import Sets

#: A node is one word. From its lowest bit on: the largest code that goes left, 8 bits; the column of codes, 23; whether
#: these are categories, 1; and the left child, 32. A leaf leads to itself.
_COLUMN, _CATEGORY = 0x7FFFFF, 1 << 31

Nodes = NDArray[np.uint64]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pack(
    feature: Features,
    threshold: Codes,
    child: Codes,
    missing_left: Bools,
    is_category: Bools,
    words: Nodes,
    set_of: Codes,
    levels: Codes,
    depth: Codes,
) -> None:
    """Write the nodes of trees as words, and how deep the trees are.

    Parameters
    ----------
    feature, threshold, child, missing_left, is_category : arrays, read-only
        See :class:`causalkit.effects.forest.trees.Forest`; parents come before their children.
    words : uint64 array, shape (nodes,)
        Out: words.
    set_of : Codes, shape (nodes,)
        Zeros; out: by left child, the row of ``sets`` of a split on a category.
    levels : Codes, shape (trees,)
        Out: the mean depth of the leaves of each tree.
    depth : Codes, shape (nodes,)
        Zeros; work space.
    """
    p = is_category.size
    tree, total, leaves = -1, 0, 0
    for node in range(feature.size):
        if depth[node] == 0 and tree + 1 < levels.size:
            tree, total, leaves = tree + 1, 0, 0
        f = np.int64(feature[node])
        if f < 0:
            words[node] = np.int64(node) << 32 | MISSING
            total += depth[node]
            leaves += 1
            levels[tree] = total // leaves
            continue
        left, most = np.int64(child[node]), np.int64(threshold[node])
        depth[left] = depth[left + 1] = depth[node] + 1
        if is_category[f]:
            set_of[left] = most
            words[node] = left << 32 | _CATEGORY | f << 8
        elif missing_left[node]:
            words[node] = left << 32 | (p + f) << 8 | (most + 1)
        else:
            words[node] = left << 32 | f << 8 | most


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _next(flat: Bytes, base: int, node: int, words: Nodes, set_of: Codes, sets: Sets, categories: bool) -> np.uint64:
    """Return the child of a node to which the row goes whose codes start at ``base``. Unsigned: no wrapping to check."""
    word = words[np.uint64(node)]
    child = word >> np.uint64(32)
    column = word >> np.uint64(8) & np.uint64(_COLUMN if categories else 2 * _COLUMN + 1)
    code = flat[np.uint64(base) + column]
    right = np.uint64(code > np.uint8(word))
    if categories:
        inside = sets[set_of[child], code >> 6] >> np.uint64(code & 63)
        right ^= word >> np.uint64(31) & (right ^ inside ^ np.uint64(1)) & np.uint64(1)
    following: np.uint64 = child + right
    return following


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def go_down(
    flat: Bytes, first: int, width: int, rows: int, root: int, levels: int, words: Nodes, set_of: Codes, sets: Sets,
    at: Codes, who: Codes,
) -> None:  # fmt: skip
    """Lead rows down a tree, to ``at``: the leaf of each.

    All rows take a step together and without a branch to guess, so that many steps are under way at once; a row in a
    leaf stays there. Below the mean depth only rows that are not yet in a leaf go on.

    Parameters
    ----------
    flat : uint8 array
        Codes, row by row.
    first, width, rows : int
        Where the first row starts, codes of a row, and how many rows there are.
    root, levels : int
        The root, and the mean depth.
    words, set_of, sets : arrays
        See :func:`find_leaves`.
    at, who : Codes, shape (rows,) or longer
        Out: nodes; work space.
    """
    categories = len(sets) > 0
    for i in range(rows):
        at[i] = root
    for _ in range(levels):
        base = first
        for i in range(rows):
            at[i] = _next(flat, base, at[i], words, set_of, sets, categories)
            base += width
    left = 0
    for i in range(rows):
        who[left] = i
        left += words[np.uint64(at[i])] >> np.uint64(32) != np.uint64(at[i])
    while left > 0:
        going, left = left, 0
        for j in range(going):
            i = who[j]
            node = _next(flat, first + np.int64(i) * width, at[i], words, set_of, sets, categories)
            at[i], who[left] = node, i
            left += words[node] >> np.uint64(32) != node


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def mark_leaves(words: Nodes, marks: Nodes) -> None:
    """Write which nodes are leaves, by which leaves are numbered in the order of nodes.

    Parameters
    ----------
    words : uint64 array, shape (nodes,), read-only
    marks : uint64 array, shape (ceil(nodes / 64), 2)
        Zeros; out, for 64 nodes each: bits of those that are leaves, and how many leaves come before.
    """
    count = 0
    for node in range(words.size):
        if node & 63 == 0:
            marks[node >> 6, 1] = count
        if words[node] >> np.uint64(32) == node:
            marks[node >> 6, 0] |= np.uint64(1) << np.uint64(node & 63)
            count += 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def leaf_number(node: int, marks: Nodes) -> np.uint64:
    """Return how many leaves come before a leaf."""
    at = np.uint64(node) >> np.uint64(6)
    bits = marks[at, 0] & ((np.uint64(1) << (np.uint64(node) & np.uint64(63))) - np.uint64(1))
    # the number of bits, by adding neighbours: pairs, fours, bytes, all
    bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    number: np.uint64 = marks[at, 1] + (bits * np.uint64(0x0101010101010101) >> np.uint64(56))
    return number


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def find_leaves(
    codes: Bytes,
    words: Nodes,
    marks: Nodes,
    set_of: Codes,
    sets: Sets,
    roots: Codes,
    levels: Codes,
    out: Codes,
) -> None:
    """Write the number of the leaf to which each tree sends each row; leaves are numbered in the order of nodes.

    Parameters
    ----------
    codes : uint8 array, shape (m, 2 p)
        Codes of each row, then codes plus one, by which missing values come first instead of last.
    words, set_of, levels : arrays, read-only
        As :func:`pack` wrote them.
    marks : uint64 array, read-only
        As :func:`mark_leaves` wrote them.
    sets : uint64 array, shape (splits on categories, 4), read-only
        Bits of the codes that go left.
    roots : Codes, shape (trees,), read-only
        First node of each tree; -1 for a tree without a root.
    out : Codes, shape (trees, m)
        Out: numbers; -1 for a tree without a root.
    """
    m, width = codes.shape
    flat = codes.reshape(-1)
    at, who = np.empty(TOGETHER, np.int32), np.empty(TOGETHER, np.int32)
    for first in range(0, m, TOGETHER):
        rows = min(TOGETHER, m - first)
        for tree in range(roots.size):
            if roots[tree] < 0:
                out[tree, first : first + rows] = -1
                continue
            go_down(flat, first * width, width, rows, roots[tree], levels[tree], words, set_of, sets, at, who)
            for i in range(rows):
                out[tree, first + i] = leaf_number(at[i], marks)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def climb(sums: Floats, feature: Features, child: Codes) -> None:
    """Add the sums of leaves, shape (nodes, c), to all nodes above them, in place."""
    for node in range(feature.size - 1, -1, -1):  # children come after their parents
        if feature[node] >= 0:
            for c in range(sums.shape[1]):
                sums[node, c] = sums[child[node], c] + sums[child[node] + 1, c]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def prune(seen: Bools, feature: Features, threshold: Codes, child: Codes, missing_left: Bools) -> None:
    """Remove the nodes in which the effect can't be seen.

    The place of such a node, and its parent's, is taken by its sibling; where neither child is seen the parent becomes
    a leaf. The arrays of the tree change in place; nodes that nothing leads to any more are left behind.
    """
    for node in range(feature.size - 1, -1, -1):
        if feature[node] >= 0:
            left = child[node]
            if not seen[left] and not seen[left + 1]:
                feature[node] = -1
            elif not (seen[left] and seen[left + 1]):
                keep = left if seen[left] else left + 1
                feature[node], threshold[node] = feature[keep], threshold[keep]
                child[node], missing_left[node] = child[keep], missing_left[keep]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def compact(feature: Features, child: Codes, old: Codes, new_child: Codes, leaves: Codes) -> int:
    """Number anew the nodes that the root leads to, parents first; return how many there are.

    Parameters
    ----------
    feature, child : arrays, shape (nodes,)
    old : Codes, shape (nodes,)
        Out: the old number of each node kept.
    new_child : Codes, shape (nodes,)
        Out: by new number, the new number of the left child of a split.
    leaves : Codes, shape (nodes,)
        Out: the old number of each leaf, in the order of the new ones.
    """
    old[0] = 0
    node = n_leaves = 0
    count = 1
    while node < count:
        was = old[node]
        if feature[was] >= 0:
            old[count], old[count + 1] = child[was], child[was] + 1
            new_child[node] = count
            count += 2
        else:
            leaves[n_leaves] = was
            n_leaves += 1
        node += 1
    return count
