"""Leaves: who falls into which, and the removal of those in which the honest half shows no effect."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.kernels.forest_binning import MISSING, Bytes
from causalkit.kernels.forest_growing import Features
from causalkit.kernels.forest_splitting import Words


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def find_leaves(
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
    """Write the leaf node of each tree and column of ``codes``.

    Parameters
    ----------
    codes : uint8 array, shape (p, m)
    feature, threshold, child, missing_left, sets, is_category : arrays, read-only
        See :class:`causalkit.effects.forest.trees.Forest`.
    roots : Codes, shape (trees,), read-only
        First node of each tree; -1 for a tree without a root.
    out : Codes, shape (trees, m)
        Out: leaf nodes; -1 for a tree without a root.
    """
    for tree in range(roots.size):
        root = roots[tree]
        for i in range(out.shape[1]):
            node = root
            f = feature[node] if node >= 0 else -1
            while f >= 0:
                code = codes[f, i]
                if is_category[f]:
                    word = sets[threshold[node], code >> 6]
                    left = (word >> np.uint64(code & 63)) & np.uint64(1) != np.uint64(0)
                else:
                    left = missing_left[node] if code == MISSING else code <= threshold[node]
                node = child[node] + (0 if left else 1)
                f = feature[node]
            out[tree, i] = node


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
