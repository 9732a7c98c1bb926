"""A grown forest as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from causalkit.effects.forest.binning import Binning
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_leaves import find_leaves, pack


@dataclass(frozen=True, eq=False)
class Words:
    """Nodes as rows go through them; see :func:`causalkit.kernels.forest_leaves.pack`."""

    words: Ints
    set_of: Codes
    sets: NDArray[np.uint64]
    levels: Codes

    @classmethod
    def of(
        cls,
        feature: Codes,
        threshold: Codes,
        child: Codes,
        missing_left: Bools,
        sets: NDArray[np.uint64],
        is_category: Bools,
        n_trees: int = 1,
    ) -> Words:
        """Pack trees that lie end to end; arguments as in :class:`Forest`."""
        n = len(feature)
        words, set_of, levels = np.empty(n, np.int64), np.zeros(n, np.int32), np.zeros(n_trees, np.int32)
        arrays = (read_only(a.view()) for a in (feature, threshold, child, missing_left))
        pack(*arrays, is_category, words, set_of, levels, np.zeros(n, np.int32))
        return cls(read_only(words), read_only(set_of), read_only(sets.view()), read_only(levels))

    def leaves(self, codes: Bytes, place: Codes, roots: Codes) -> Codes:
        """Return the ``place`` of the leaf of each tree and row, shape (trees, m); -1 for a tree without a root.

        ``codes`` are those of :func:`causalkit.effects.forest.binning.paired`, shape (m, 2 p).
        """
        m = len(codes)
        out, at, who = np.empty((len(roots), m), np.int32), np.empty(m, np.int64), np.empty(m, np.int32)
        find_leaves(codes, self.words, place, self.set_of, self.sets, roots, self.levels, out, at, who)
        return out


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees laid end to end.

    Parameters
    ----------
    binning : Binning
        Turns covariates into codes.
    feature : int32 array, shape (nodes,)
        Covariate of the split; -1 for a leaf.
    threshold : Codes, shape (nodes,)
        Largest code that goes left; for a category the row of ``sets``.
    child : Codes, shape (nodes,)
        Left child (the right one follows it); for a leaf its row of ``means``.
    missing_left : Bools, shape (nodes,)
        Where missing values go.
    sets : uint64 array, shape (splits on categories, 4)
        Bits of the codes that go left.
    roots : Codes, shape (trees,)
        First node of each tree; -1 for a tree that shows no effects.
    means : Floats, shape (leaves, 2 + 2 k + k k + e)
        Averages over the rows of each leaf: weight, outcome, treatments (k), treatments times outcome (k), products of
        treatments (k k), extras (e).
    size : Codes, shape (leaves,)
        Rows of each leaf.
    n_treatments : int
        k.
    group_size : int
        Trees that share a half-sample.
    rows : Codes, shape (sum of size,), or None
        Rows of each leaf, leaf by leaf, where they were kept; numbered among the rows with weight.
    """

    binning: Binning
    feature: Codes
    threshold: Codes
    child: Codes
    missing_left: Bools
    sets: NDArray[np.uint64]
    roots: Codes
    means: Floats
    size: Codes
    n_treatments: int
    group_size: int = 2
    rows: Codes | None = None

    @cached_property
    def packed(self) -> Words:
        """The nodes as rows go through them."""
        arrays = self.feature, self.threshold, self.child, self.missing_left, self.sets
        return Words.of(*arrays, self.binning.is_category, self.n_trees)

    @cached_property
    def leaf_starts(self) -> Ints:
        """Where the rows of each leaf start in ``rows``, shape (leaves + 1,)."""
        return read_only(np.concatenate([[0], np.cumsum(self.size, dtype=np.int64)]))

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    @property
    def n_outputs(self) -> int:
        """Number of predicted quantities: effects of the treatments, then means of the extras."""
        k = self.n_treatments
        return int(self.means.shape[1]) - 2 - k - k * k

    @property
    def nbytes(self) -> int:
        """Memory of the trees, in bytes."""
        arrays = (self.feature, self.threshold, self.child, self.missing_left, self.sets, self.means, self.size)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree, numbered from its own root; fields as in :class:`Forest`."""

    feature: Codes
    threshold: Codes
    child: Codes
    missing_left: Bools
    sets: NDArray[np.uint64]
    means: Floats
    size: Codes
    seen: bool = True
    rows: Codes | None = None


def join(trees: Sequence[Tree], binning: Binning, n_treatments: int, group_size: int = 2) -> Forest:
    """Lay trees end to end.

    Parameters
    ----------
    trees : sequence of Tree
        Group by group.
    binning : Binning
        The binning that they were grown on.
    n_treatments, group_size : int
        See :class:`Forest`.
    """
    first_node = _starts([len(tree.feature) for tree in trees])
    first_leaf = _starts([len(tree.means) for tree in trees])
    first_set = _starts([len(tree.sets) for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    child = np.concatenate([tree.child for tree in trees])
    tree_of = np.repeat(np.arange(len(trees)), [len(tree.feature) for tree in trees])
    leaf = feature < 0
    child += np.where(leaf, first_leaf[tree_of], first_node[tree_of]).astype(np.int32)
    on_category = ~leaf & binning.is_category[np.maximum(feature, 0)] if binning.n_features else np.zeros_like(leaf)
    threshold = np.where(on_category, threshold + first_set[tree_of], threshold).astype(np.int32)
    seen = np.array([tree.seen for tree in trees])
    return Forest(
        binning=binning,
        feature=read_only(feature),
        threshold=read_only(threshold),
        child=read_only(child),
        missing_left=read_only(np.concatenate([tree.missing_left for tree in trees])),
        sets=read_only(np.concatenate([tree.sets for tree in trees])),
        roots=read_only(np.where(seen, first_node, -1).astype(np.int32)),
        means=read_only(np.concatenate([tree.means for tree in trees])),
        size=read_only(np.concatenate([tree.size for tree in trees])),
        n_treatments=n_treatments,
        group_size=group_size,
        rows=None
        if trees[0].rows is None
        else read_only(np.concatenate([tree.rows for tree in trees if tree.rows is not None])),
    )


def _starts(sizes: Sequence[int]) -> Codes:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
