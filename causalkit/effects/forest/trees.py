"""A grown forest as flat arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalkit.effects.forest.binning import Binning, frozen, stored
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_leaves import Nodes, find_leaves, mark_leaves, pack
from causalkit.kernels.forest_predict import add_trees


@dataclass(frozen=True, eq=False)
class Ways:
    """How rows go down trees that lie end to end.

    Parameters
    ----------
    words : uint64 array, shape (nodes,)
        Splits; see :func:`causalkit.kernels.forest_leaves.pack`.
    marks : uint64 array, shape (ceil(nodes / 64), 2)
        Which nodes are leaves: these are numbered in the order of nodes. See
        :func:`causalkit.kernels.forest_leaves.mark_leaves`.
    set_of : Codes, shape (nodes,), or (0,) where no split is on a category
        By left child, the row of ``sets`` of a split on a category.
    sets : uint64 array, shape (splits on categories, 4)
        Bits of the codes that go left.
    roots : Codes, shape (trees,)
        First node of each tree; -1 for a tree that shows no effects.
    levels : Codes, shape (trees,)
        Mean depth of the leaves.
    """

    words: Nodes
    marks: Nodes
    set_of: Codes
    sets: NDArray[np.uint64]
    roots: Codes
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
    ) -> Ways:
        """Pack one tree.

        Parameters
        ----------
        feature : int32 array, shape (nodes,)
            Covariate of the split; -1 for a leaf.
        threshold : Codes, shape (nodes,)
            Largest code that goes left; for a category the row of ``sets``.
        child : Codes, shape (nodes,)
            Left child of a split; the right one follows it.
        missing_left : Bools, shape (nodes,)
            Where missing values go.
        sets
            As for :class:`Ways`.
        is_category : Bools, shape (p,)
            Which covariates are categories.
        """
        n = len(feature)
        words, set_of, levels = np.empty(n, np.uint64), np.zeros(n if len(sets) else 0, np.int32), np.zeros(1, np.int32)
        arrays = (read_only(a.view()) for a in (feature, threshold, child, missing_left))
        pack(*arrays, is_category, words, set_of, levels, np.zeros(n, np.int32))
        numbers = marks_of(words), read_only(set_of), read_only(sets.view())
        return cls(read_only(words), *numbers, read_only(np.zeros(1, np.int32)), read_only(levels))

    def leaves(self, codes: Bytes) -> Codes:
        """Return the number of the leaf of each tree and row, shape (trees, m); -1 for a tree without a root.

        ``codes`` are those of :func:`causalkit.effects.forest.binning.paired`, shape (m, 2 p).
        """
        out = np.empty((len(self.roots), len(codes)), np.int32)
        find_leaves(codes, self.words, self.marks, self.set_of, self.sets, self.roots, self.levels, out)
        return out

    def add_means(self, x: Floats, binning: Binning, means: Floats) -> Floats:
        """Return the sums over trees of the leaf means of the rows of ``x``, shape (rows, d)."""
        out = np.zeros((len(x), means.shape[1]))
        ways = self.words, self.marks, self.set_of, self.sets, self.roots, self.levels
        add_trees(frozen(x), binning.ruler, *ways, means, out)
        return out


def marks_of(words: Nodes) -> Nodes:
    """Mark the leaves among nodes."""
    marks = np.zeros((-(-len(words) // 64), 2), np.uint64)
    mark_leaves(read_only(words.view()), marks)
    return read_only(marks)


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees laid end to end.

    Parameters
    ----------
    binning : Binning
        Turns covariates into codes.
    ways : Ways
        The trees; the number of a leaf is its row of ``means``.
    means : Floats, shape (leaves, 2 + 2 k + k k + e), or one column less
        Averages over the rows of each leaf: weight (left out where all are one), outcome, treatments (k), treatments
        times outcome (k), products of treatments (k k), extras (e).
    n_treatments : int
        k.
    group_size : int
        Trees that share a half-sample.
    weighted : bool
        Whether the means of weights are kept.
    size : Codes, shape (leaves,), or None
        Rows of each leaf, where rows were kept.
    rows : Codes, shape (sum of size,), or None
        Rows of each leaf, leaf by leaf, where they were kept; numbered among the rows with weight.
    """

    binning: Binning
    ways: Ways
    means: Floats
    n_treatments: int
    group_size: int = 2
    weighted: bool = True
    size: Codes | None = None
    rows: Codes | None = None

    def __getstate__(self) -> dict[str, Any]:
        return stored(self)

    @cached_property
    def leaf_starts(self) -> Ints:
        """Where the rows of each leaf start in ``rows``, shape (leaves + 1,)."""
        assert self.size is not None
        return read_only(np.concatenate([[0], np.cumsum(self.size, dtype=np.int64)]))

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.ways.roots)

    @property
    def n_outputs(self) -> int:
        """Number of predicted quantities: effects of the treatments, then means of the extras."""
        k = self.n_treatments
        return int(self.means.shape[1]) - 1 - self.weighted - k - k * k

    @property
    def nbytes(self) -> int:
        """Memory of the trees, in bytes."""
        w = self.ways
        kept = (w.words, w.marks, w.set_of, w.sets, self.means, self.size, self.rows)
        return sum(array.nbytes for array in kept if array is not None)

    def whole(self, means: Floats) -> Floats:
        """Put the mean weight before means of leaves, or averages of these, shape (m, 2 + 2 k + k k + e)."""
        return means if self.weighted else np.column_stack([np.ones(len(means)), means])


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree, numbered from its own root; fields as in :class:`Forest`."""

    ways: Ways
    means: Floats
    seen: bool = True
    size: Codes | None = None
    rows: Codes | None = None


def join(
    trees: Iterable[Tree],
    binning: Binning,
    n_treatments: int,
    group_size: int = 2,
    *,
    weighted: bool = True,
    n_trees: int = 0,
) -> Forest:
    """Lay trees end to end.

    Parameters
    ----------
    trees : iterable of Tree
        Group by group. Each is let go once it is copied, so that memory does not hold the trees twice.
    binning : Binning
        The binning that they were grown on.
    n_treatments, group_size, weighted
        See :class:`Forest`.
    n_trees : int
        How many trees there will be, as far as is known: memory is asked for once, for all of them.
    """
    words, means, sets, set_of, roots, levels, size, rows = (_Long(n_trees) for _ in range(8))
    for tree in trees:
        own, node = tree.ways, words.used
        roots.add(np.array([node if tree.seen else -1], np.int32))
        levels.add(own.levels)
        words.add(own.words + (np.uint64(node) << np.uint64(32)))
        if binning.is_category.any():
            set_of.add(own.set_of + np.int32(sets.used) if len(own.sets) else np.zeros(len(own.words), np.int32))
        sets.add(own.sets)
        means.add(tree.means)
        if tree.size is not None and tree.rows is not None:
            size.add(tree.size)
            rows.add(tree.rows)
    laid = words.end()
    ways = Ways(
        words=laid,
        marks=marks_of(laid),
        set_of=set_of.end() if sets.used else read_only(np.zeros(0, np.int32)),
        sets=sets.end(),
        roots=roots.end(),
        levels=levels.end(),
    )
    kept = (size.end(), rows.end()) if rows.used else (None, None)
    return Forest(binning, ways, means.end(), n_treatments, group_size, weighted, *kept)


class _Long:
    """An array that grows in place: room is made for all pieces, as far as the first ones tell what they need."""

    def __init__(self, pieces: int) -> None:
        self.used, self.added, self.pieces = 0, 0, pieces

    def add(self, piece: NDArray[Any]) -> None:
        if self.added == 0:
            self.data = np.empty((0, *piece.shape[1:]), piece.dtype)
        self.added += 1
        need = self.used + len(piece)
        if need > len(self.data):
            self._make_room(need)
        self.data[self.used : need] = piece
        self.used = need

    def _make_room(self, need: int) -> None:
        share = max(self.pieces / self.added, 1.0)
        shape = (int(1.05 * share * need) + 1, *self.data.shape[1:])
        if share < 2.0:
            self.data.resize(shape, refcheck=False)  # the system moves pages instead of copying them
        else:
            larger = np.empty(shape, self.data.dtype)  # room that nothing is written to costs nothing
            larger[: self.used] = self.data[: self.used]
            self.data = larger

    def end(self) -> NDArray[Any]:
        self.data.resize((self.used, *self.data.shape[1:]), refcheck=False)
        return read_only(self.data)
