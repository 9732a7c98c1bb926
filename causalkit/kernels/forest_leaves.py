"""Leaves: who falls into which, and the removal of those in which the honest half shows no effect."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_growing import Features
from causalkit.kernels.forest_splitting import Sets

#: A node is one word. From its lowest bit on: the largest code that goes left, 8 bits; the column of codes, 23; whether
#: these are categories, 1; the left child, 31; and the sign, set for a leaf, which leads to itself.
_COLUMN, _CATEGORY, _CHILD = 0x7FFFFF, 1 << 31, 0x7FFFFFFF
_LEAF = MISSING - (1 << 63)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def pack(
    feature: Features,
    threshold: Codes,
    child: Codes,
    missing_left: Bools,
    is_category: Bools,
    words: Ints,
    set_of: Codes,
    levels: Codes,
    depth: Codes,
) -> None:
    """Write the nodes of trees as words, and how deep the trees are.

    Parameters
    ----------
    feature, threshold, child, missing_left, is_category : arrays, read-only
        See :class:`causalkit.effects.forest.trees.Forest`; parents come before their children.
    words : Ints, shape (nodes,)
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
            words[node] = (np.int64(node) << 32) + _LEAF
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
def _next(flat: Bytes, base: int, word: int, set_of: Codes, sets: Sets, categories: bool) -> int:
    """Return the child to which the row goes whose codes start at ``base``."""
    child = (word >> 32) & _CHILD
    code = np.int64(flat[np.uint64(base) + np.uint64((word >> 8) & _COLUMN)])  # unsigned: no wrapping to check
    right = np.int64(code > (word & 255))
    if categories:
        inside = np.int64((sets[set_of[child], code >> 6] >> np.uint64(code & 63)) & np.uint64(1))
        right ^= (word >> 31) & (right ^ inside ^ 1) & 1
    return int(child + right)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def find_leaves(
    codes: Bytes,
    words: Ints,
    place: Codes,
    set_of: Codes,
    sets: Sets,
    roots: Codes,
    levels: Codes,
    out: Codes,
    at: Ints,
    who: Codes,
) -> None:
    """Write where each tree sends each row.

    All rows go down a tree together, a level at a time and without a branch to guess, so that many steps are under way
    at once; a row in a leaf stays there. Below the mean depth only rows that are not yet in a leaf go on.

    Parameters
    ----------
    codes : uint8 array, shape (m, 2 p)
        Codes of each row, then codes plus one, by which missing values come first instead of last.
    words, set_of, levels : arrays, read-only
        As :func:`pack` wrote them.
    place : Codes, shape (nodes,), read-only
        What is written for each leaf.
    sets : uint64 array, shape (splits on categories, 4), read-only
        Bits of the codes that go left.
    roots : Codes, shape (trees,), read-only
        First node of each tree; -1 for a tree without a root.
    out : Codes, shape (trees, m)
        Out: places; -1 for a tree without a root.
    at, who : arrays, shape (m,)
        Work space.
    """
    m, width = codes.shape
    flat, categories = codes.reshape(-1), len(sets) > 0
    for tree in range(roots.size):
        root = roots[tree]
        if root < 0:
            out[tree] = -1
            continue
        for i in range(m):
            at[i] = words[root]
        for _ in range(levels[tree]):
            base = 0
            for i in range(m):
                at[i] = words[_next(flat, base, at[i], set_of, sets, categories)]
                base += width
        left = 0
        for i in range(m):
            word = at[i]
            out[tree, i] = place[(word >> 32) & _CHILD]
            at[left], who[left] = word, i
            left += word >= 0
        while left > 0:
            rows, left = left, 0
            for j in range(rows):
                i = who[j]
                node = _next(flat, np.int64(i) * width, at[j], set_of, sets, categories)
                word = words[node]
                out[tree, i] = place[node]
                at[left], who[left] = word, i
                left += word >= 0


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
def compact(feature: Features, child: Codes, old: Codes, place: Codes, leaves: Codes) -> int:
    """Number anew the nodes that the root leads to, parents first; return how many there are.

    Parameters
    ----------
    feature, child : arrays, shape (nodes,)
    old : Codes, shape (nodes,)
        Out: the old number of each node kept.
    place : Codes, shape (nodes,)
        Out: by new number, the new number of the left child, or the number of a leaf.
    leaves : Codes, shape (nodes,)
        Out: the old number of each leaf.
    """
    old[0] = 0
    node = n_leaves = 0
    count = 1
    while node < count:
        was = old[node]
        if feature[was] >= 0:
            old[count], old[count + 1] = child[was], child[was] + 1
            place[node] = count
            count += 2
        else:
            leaves[n_leaves] = was
            place[node] = n_leaves
            n_leaves += 1
        node += 1
    return count
