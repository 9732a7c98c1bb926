"""Honest leaves: the other half of a tree's rows fill the leaves, and leaves that they leave empty are pruned."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
def prune(
    leaf: Codes, w: Floats, arms: Codes, n_arms: int, feature: Features, threshold: Codes, child: Codes,
    missing_left: Bools,
) -> bool:  # fmt: skip
    """Remove leaves in which the effect can't be seen: their place, and their parent's, is taken by their sibling.

    An effect is seen where every arm has a row (or, for doses, where each dose varies). The arrays of the tree change
    in place; nodes that nothing leads to any more are left behind. Returns whether anything remains.
    """
    nodes = feature.size
    seen = _seen(leaf, w, arms, n_arms, nodes)
    for node in range(nodes - 1, -1, -1):  # children come after their parents
        if feature[node] < 0:
            continue
        left, right = child[node], child[node] + 1
        keep = -1
        if not seen[left]:
            keep = right
        elif not seen[right]:
            keep = left
        seen[node] = seen[left] or seen[right]
        if not seen[node]:
            feature[node] = -1  # both are blank: the parent may be seen, which a later pass finds out
        elif keep >= 0:
            feature[node], threshold[node] = feature[keep], threshold[keep]
            child[node], missing_left[node] = child[keep], missing_left[keep]
    return bool(seen[0])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _seen(leaf: Codes, w: Floats, arms: Codes, n_arms: int, nodes: int) -> Bools:
    """Tell for each node whether its own rows show the effect of every treatment."""
    seen = np.zeros(nodes, np.bool_)
    if n_arms > 0:
        met = np.zeros((nodes, n_arms), np.bool_)
        for i in range(leaf.size):
            met[leaf[i], arms[i]] = True
        for node in range(nodes):
            seen[node] = met[node].all()
        return seen
    k = w.shape[1]
    size, mean, square = np.zeros(nodes), np.zeros((nodes, k)), np.zeros((nodes, k))
    for i in range(leaf.size):
        size[leaf[i]] += 1.0
        for a in range(k):
            mean[leaf[i], a] += w[i, a]
            square[leaf[i], a] += w[i, a] ** 2
    for node in range(nodes):
        seen[node] = size[node] > k
        for a in range(k):
            if size[node] > 0:
                spread = square[node, a] - mean[node, a] ** 2 / size[node]
                seen[node] &= spread > _FLAT * square[node, a]
    return seen


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def leaf_means(
    leaf: Codes, nodes: int, y: Floats, w: Floats, s: Floats, extra: Floats
) -> tuple[Floats, Codes]:
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
