"""Honest leaves: the other half of a tree's rows fill the leaves, and leaves that they leave empty are pruned."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_growing import Features, goes_left
from causalkit.kernels.forest_splitting import Words

_FLAT = 1e-10


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def find_leaves(
    codes: Bytes,
    feature: Features,
    threshold: Codes,
    child: Codes,
    missing_left: Bools,
    sets: Words,
    is_category: Bools,
    root: int,
    out: Codes,
) -> None:
    """Write the leaf node of each column of ``codes``, shape (p, m), to ``out``, starting at the node ``root``."""
    for i in range(out.size):
        node = root
        f = feature[node]
        while f >= 0:
            left = goes_left(codes[f, i], is_category[f], threshold[node], missing_left[node], sets)
            node = child[node] if left else child[node] + 1
            f = feature[node]
        out[i] = node


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def prune(seen: Bools, feature: Features, threshold: Codes, child: Codes, missing_left: Bools) -> bool:
    """Remove the nodes in which the effect can't be seen; return whether it is seen at the root.

    The place of such a node, and its parent's, is taken by its sibling; where neither child is seen the parent becomes
    a leaf. The arrays of the tree change in place; nodes that nothing leads to any more are left behind.
    """
    for node in range(feature.size - 1, -1, -1):  # children come after their parents
        if feature[node] < 0:
            continue
        left, right = child[node], child[node] + 1
        if not seen[left] and not seen[right]:
            feature[node] = -1
        elif not (seen[left] and seen[right]):
            keep = left if seen[left] else right
            feature[node], threshold[node] = feature[keep], threshold[keep]
            child[node], missing_left[node] = child[keep], missing_left[keep]
    return bool(seen[0])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def seen_by_arms(leaf: Codes, arms: Codes, n_arms: int, feature: Features, child: Codes) -> Bools:
    """Tell for each node whether every arm has a row below it."""
    met = np.zeros((feature.size, n_arms), np.bool_)
    for i in range(leaf.size):
        met[leaf[i], arms[i]] = True
    seen = np.zeros(feature.size, np.bool_)
    for node in range(feature.size - 1, -1, -1):
        if feature[node] >= 0:
            met[node] = met[child[node]] | met[child[node] + 1]
        seen[node] = met[node].all()
    return seen


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def seen_by_doses(leaf: Codes, w: Floats, feature: Features, child: Codes) -> Bools:
    """Tell for each node whether every dose varies among the rows below it."""
    k = w.shape[1]
    sums = np.zeros((feature.size, 1 + 2 * k))
    for i in range(leaf.size):
        row = sums[leaf[i]]
        row[0] += 1.0
        for a in range(k):
            row[1 + a] += w[i, a]
            row[1 + k + a] += w[i, a] ** 2
    seen = np.zeros(feature.size, np.bool_)
    for node in range(feature.size - 1, -1, -1):
        if feature[node] >= 0:
            sums[node] = sums[child[node]] + sums[child[node] + 1]
        row = sums[node]
        seen[node] = row[0] > k
        if seen[node]:
            for a in range(k):
                seen[node] &= row[1 + k + a] - row[1 + a] ** 2 / row[0] > _FLAT * row[1 + k + a]
    return seen


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def leaf_means(leaf: Codes, nodes: int, y: Floats, w: Floats, s: Floats, extra: Floats) -> tuple[Floats, Codes]:
    """Average over the rows of each leaf what predictions are made of.

    Returns
    -------
    means : Floats, shape (nodes, 2 + 2 k + k k + e)
        ``s``, ``s y``, ``s w`` (k), ``s w y`` (k), ``s w w'`` (k k) and ``s extra`` (e), divided by the number of rows.
    size : Codes, shape (nodes,)
        Rows of each leaf.
    """
    k, e = w.shape[1], extra.shape[1]
    means, size = np.zeros((nodes, 2 + 2 * k + k * k + e)), np.zeros(nodes, np.int32)
    for i in range(leaf.size):
        row = means[leaf[i]]
        size[leaf[i]] += 1
        row[0] += s[i]
        row[1] += s[i] * y[i]
        for a in range(k):
            d = s[i] * w[i, a]
            row[2 + a] += d
            row[2 + k + a] += d * y[i]
            for b in range(k):
                row[2 + 2 * k + a * k + b] += d * w[i, b]
        for a in range(e):
            row[2 + 2 * k + k * k + a] += s[i] * extra[i, a]
    for node in range(nodes):
        if size[node] > 0:
            means[node] /= size[node]
    return means, size


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def compact(
    feature: Features, threshold: Codes, child: Codes, missing_left: Bools
) -> tuple[Features, Codes, Codes, Bools, Ints]:
    """Drop the nodes that nothing leads to; leaves get their number in ``child``.

    Returns the arrays of the nodes kept, and the old node of each leaf.
    """
    nodes = feature.size
    old, leaves = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    place = np.empty(nodes, np.int32)
    old[0] = 0
    node, count, n_leaves = 0, 1, 0
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
    kept = old[:count]
    return feature[kept], threshold[kept], place[:count].copy(), missing_left[kept], leaves[:n_leaves]
