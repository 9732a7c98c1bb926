"""One honest tree from start to end: draw rows, grow, fill the leaves, prune."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_growing import Features, grow_tree
from causalkit.kernels.forest_leaves import compact, find_leaves, leaf_means, prune, seen_by_arms, seen_by_doses
from causalkit.kernels.forest_random import stream
from causalkit.kernels.forest_sampling import draw_tree
from causalkit.kernels.forest_splitting import Words


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def honest_tree(
    codes: Bytes,
    y: Floats,
    w: Floats,
    s: Floats,
    extra: Floats,
    arms: Codes,
    n_arms: int,
    is_category: Bools,
    n_codes: Ints,
    bag: Ints,
    share: float,
    honest: float,
    starts: Ints,
    rows: Ints,
    mtry: float,
    min_node: int,
    alpha: float,
    seed: int,
    group: int,
    tree: int,
) -> tuple[Features, Codes, Codes, Bools, Words, Floats, Codes, bool]:
    """Grow one tree of a group; see the functions that this calls for the arguments.

    Returns
    -------
    feature, threshold, child, missing_left, sets
        The tree; leaves have their number as ``child``.
    means, size
        Averages and number of rows of each leaf.
    seen : bool
        Whether the tree shows effects at all; one that does not is left out of predictions.
    """
    state = stream(seed, group, tree + 1)
    splitting, filling = draw_tree(bag, share, honest, starts, rows, state)
    feature, threshold, child, missing_left, sets = grow_tree(
        _gather(codes, splitting), y[splitting], w[splitting], s[splitting], arms[splitting], is_category, n_codes,
        mtry, min_node, alpha, state,
    )  # fmt: skip
    own = _gather(codes, filling)
    leaf = np.empty(filling.size, np.int32)
    find_leaves(own, feature, threshold, child, missing_left, sets, is_category, 0, leaf)
    if n_arms > 0:
        seen = seen_by_arms(leaf, arms[filling], n_arms, feature, child)
    else:
        seen = seen_by_doses(leaf, w[filling], feature, child)
    fine = prune(seen, feature, threshold, child, missing_left)
    if not seen.all():
        find_leaves(own, feature, threshold, child, missing_left, sets, is_category, 0, leaf)
    means, size = leaf_means(leaf, feature.size, y[filling], w[filling], s[filling], extra[filling])
    feature, threshold, child, missing_left, leaves = compact(feature, threshold, child, missing_left)
    return feature, threshold, child, missing_left, sets, means[leaves], size[leaves], fine


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _gather(codes: Bytes, rows: Ints) -> Bytes:
    """Copy the codes of some rows, covariate by covariate, so that a node's rows lie close together."""
    out = np.empty((codes.shape[0], rows.size), np.uint8)
    for f in range(codes.shape[0]):
        for i in range(rows.size):
            out[f, i] = codes[f, rows[i]]
    return out
