"""One honest tree: half of its rows choose the splits, the other half fills the leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from causalkit.effects.forest.binning import Binning
from causalkit.effects.forest.trees import Tree, Ways
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_growing import grow_tree
from causalkit.kernels.forest_leaves import climb, compact, prune
from causalkit.kernels.forest_splitting import WORK_ROWS

_FLAT = 1e-10
#: Nodes of at most so many rows keep them sorted: about where this costs as much as a histogram.
SMALL = 400


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How trees are grown. The defaults are those of R grf.

    Parameters
    ----------
    n_trees : int
        Trees; rounded up to whole groups.
    group_size : int
        Trees that share a half-sample; the variance needs two or more.
    sample_fraction : float
        Share of the rows (of the clusters) that a tree uses, at most 0.5.
    honest_fraction : float
        Share of these that chooses splits; the others fill the leaves.
    mtry : float, optional
        Mean number of covariates tried at a node; by default ``ceil(sqrt(p) + 20)``, at most p.
    min_node_size : int
        Rows of each arm (above and below the mean of a dose) that each child of a split must hold.
    alpha : float
        Share of the parent's variation of the treatment that each child must hold, below 0.5.
    max_bins : int
        Bins of a covariate.
    keep_rows : bool
        Whether leaves remember their rows, which local regressions need.
    """

    n_trees: int = 2000
    group_size: int = 2
    sample_fraction: float = 0.5
    honest_fraction: float = 0.5
    mtry: float | None = None
    min_node_size: int = 5
    alpha: float = 0.05
    max_bins: int = 255
    keep_rows: bool = False

    def tries(self, n_features: int) -> float:
        """Return the mean number of covariates tried at a node."""
        wanted = math.ceil(math.sqrt(n_features) + 20) if self.mtry is None else self.mtry
        return float(min(wanted, n_features))


@dataclass(frozen=True, eq=False)
class Training:
    """What trees are grown on: rows with weight.

    Parameters
    ----------
    codes : uint8 array, shape (p, n)
        Covariates.
    pairs : uint8 array, shape (n, 2 p)
        The same row by row, for rows that look for their leaves.
    cells : Floats, shape (n, 3 + k)
        Centred outcome; weight; arm, -1 for a dose; centred treatments.
    w : Floats, shape (n, k)
        Centred treatments.
    arms : Codes, shape (n,)
        Arms; -1 for a dose.
    n_arms : int
        Number of arms; 0 for a dose.
    parts : Floats, shape (n, 2 + 2 k + k k + e) or one column less
        What the means of leaves are taken of (see :func:`leaf_parts`).
    weighted : bool
        Whether weights differ from one.
    own_unit : Codes, shape (n,), or None
        The unit of each row; None where each row is one.
    n_units : int
    binning : Binning
    """

    codes: Bytes
    pairs: Bytes
    cells: Floats
    w: Floats
    arms: Codes
    n_arms: int
    parts: Floats
    weighted: bool
    own_unit: Codes | None
    n_units: int
    binning: Binning

    def rows_of(self, units: Ints) -> Ints:
        """Return the rows of some units, ascending."""
        drawn = np.zeros(self.n_units, bool)
        drawn[units] = True
        return np.flatnonzero(drawn if self.own_unit is None else drawn[self.own_unit])


def leaf_parts(y: Floats, w: Floats, s: Floats | None, extra: Floats) -> Floats:
    """Return what predictions are made of, row by row: ``s``, ``s y``, ``s w``, ``s w y``, ``s w w'`` and ``s extra``.

    Shapes are (n,), (n, k) for ``w`` and (n, e) for ``extra``; that of the result is (n, 2 + 2 k + k k + e). Where ``s`` is
    None all weights are one, and there is no column for them.
    """
    outcome, products = y[:, None], (w[:, :, None] * w[:, None, :]).reshape(len(y), -1)
    parts = np.hstack([outcome, w, w * outcome, products, extra])
    return np.ascontiguousarray(parts if s is None else s[:, None] * np.hstack([np.ones((len(y), 1)), parts]))


def honest_tree(training: Training, growth: Growth, bag: Ints, rng: np.random.Generator) -> Tree:
    """Draw rows from a bag, grow a tree on some, fill its leaves with the others, and prune what they don't show."""
    t = training
    units = rng.permutation(bag)
    used = max(math.ceil(min(2.0 * growth.sample_fraction, 1.0) * len(bag)), 2)
    cut = min(max(math.ceil(growth.honest_fraction * used), 1), used - 1)
    splitting, filling = t.rows_of(units[:cut]), t.rows_of(units[cut:used])
    feature, threshold, child, missing_left, sets = _grow(t, growth, splitting, rng)
    codes, kind = t.pairs[filling], t.binning.is_category

    def ends_of_rows() -> Ints:
        """The node in which each row ends."""
        ways = Ways.of(feature, threshold, child, missing_left, sets, kind)
        nodes: Ints = np.flatnonzero(feature < 0)[ways.leaves(codes)[0]]
        return nodes

    leaf = ends_of_rows()
    seen = _seen(t, filling, leaf, feature, child)
    if not seen.all():
        prune(seen, feature, threshold, child, missing_left)
        leaf = ends_of_rows()
    old, new_child, leaves = (np.empty(len(feature), np.int32) for _ in range(3))
    count = compact(feature, child, old, new_child, leaves)
    kept, ends = old[:count], leaves[: (count + 1) // 2]
    number = np.empty(len(feature), np.int64)
    number[ends] = np.arange(len(ends))
    leaf_number = number[leaf]
    means, size = means_by_leaf(leaf_number, len(ends), t.parts[filling])
    ways = Ways.of(feature[kept], threshold[kept], new_child[:count], missing_left[kept], sets, kind)
    if not growth.keep_rows:
        return Tree(ways, means, bool(seen[0]))
    return Tree(ways, means, bool(seen[0]), size, filling[np.argsort(leaf_number, kind="stable")].astype(np.int32))


def means_by_leaf(leaf: Ints, n_leaves: int, parts: Floats) -> tuple[Floats, Codes]:
    """Average the parts of the rows of each leaf: means, shape (leaves, d), and the number of rows."""
    size = np.bincount(leaf, minlength=n_leaves)
    means = np.empty((n_leaves, parts.shape[1]))
    for column in range(parts.shape[1]):
        means[:, column] = np.bincount(leaf, weights=parts[:, column], minlength=n_leaves)
    return means / np.maximum(size, 1)[:, None], size.astype(np.int32)


def _take(codes: Bytes, rows: Ints) -> Bytes:
    """Copy the codes of some rows, so that a node's rows lie close together."""
    return np.take(codes, rows, axis=1)


def _grow(
    t: Training, growth: Growth, rows: Ints, rng: np.random.Generator
) -> tuple[Codes, Codes, Codes, Bools, np.ndarray]:
    """Grow a tree on some rows: the arrays of a tree."""
    m, p, k = len(rows), t.binning.n_features, t.w.shape[1]
    most = 2 * (m // (2 * growth.min_node_size)) + 3
    feature, threshold, child = (np.zeros(most, np.int32) for _ in range(3))
    missing_left = np.zeros(most, bool)
    categories = bool(t.binning.is_category.any())
    sets = np.zeros((most // 2 + 1 if categories else 1, 4), np.uint64)
    if not p:
        return np.full(1, -1, np.int32), threshold[:1], child[:1], missing_left[:1], sets[:0]
    few = max(min(SMALL, m), 257)
    count = grow_tree(
        _take(t.codes, rows), t.cells[rows], t.w[:1, 0] if k == 1 else t.w[:1], t.binning.is_category, t.binning.n_codes,
        t.n_arms > 2, growth.tries(p), growth.min_node_size, growth.alpha, rng.integers(2**64, size=1, dtype=np.uint64),
        feature, threshold, child, missing_left, sets, np.arange(m), np.empty(max(m, few), np.int64),
        np.empty((3, most), np.int64), np.empty((max(m, few), 1 + 3 * k)), np.zeros((WORK_ROWS, 1 + 3 * k)),
        np.empty((k + 3, k)), np.empty(few, np.uint32), np.arange(p), np.zeros((2, 4), np.uint64),
        np.empty((p, few), np.uint32), np.empty((few, 3 + k)), np.empty(few, np.uint8),
    )  # fmt: skip
    feature, threshold, child, missing_left = feature[:count], threshold[:count], child[:count], missing_left[:count]
    if categories:
        split = feature >= 0
        n_sets = int(t.binning.is_category[feature[split]].sum())
        return feature, threshold, child, missing_left, sets[:n_sets].copy()
    return feature, threshold, child, missing_left, sets[:0]


def _seen(t: Training, rows: Ints, leaf: Ints, feature: Codes, child: Codes) -> Bools:
    """Tell for each node whether every arm has a row below it, or every dose varies."""
    nodes = len(feature)
    if t.n_arms > 0:
        counts = np.bincount(leaf * t.n_arms + t.arms[rows], minlength=nodes * t.n_arms)
        sums = counts.reshape(nodes, t.n_arms).astype(float)
        climb(sums, feature, child)
        return np.asarray((sums > 0).all(axis=1))
    w = t.w[rows]
    k = w.shape[1]
    columns = [np.ones(len(rows)), *w.T, *(w**2).T]
    sums = np.column_stack([np.bincount(leaf, weights=c, minlength=nodes) for c in columns])
    climb(sums, feature, child)
    size, first, second = sums[:, 0], sums[:, 1 : 1 + k], sums[:, 1 + k :]
    with np.errstate(invalid="ignore", divide="ignore"):
        varies = second - first**2 / size[:, None] > _FLAT * second
    return np.asarray((size > k) & varies.all(axis=1))
