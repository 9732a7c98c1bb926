"""A grown forest as flat arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalkit.effects.forest.binning import Binning, stored
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.kernels.forest_binning import Bytes
from causalkit.kernels.forest_leaves import Nodes, find_leaves, pack
from causalkit.kernels.forest_predict import add_trees


@dataclass(frozen=True, eq=False)
class Ways:
    """How rows go down trees that lie end to end.

    Parameters
    ----------
    words : uint64 array, shape (nodes,)
        Splits; see :func:`causalkit.kernels.forest_leaves.pack`.
    place : Codes, shape (nodes,)
        The place of a leaf, for rows that end in it.
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
    place: Codes
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
        place: Codes,
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
        sets, place
            As for :class:`Ways`.
        is_category : Bools, shape (p,)
            Which covariates are categories.
        """
        n = len(feature)
        words, set_of, levels = np.empty(n, np.uint64), np.zeros(n if len(sets) else 0, np.int32), np.zeros(1, np.int32)
        arrays = (read_only(a.view()) for a in (feature, threshold, child, missing_left))
        pack(*arrays, is_category, words, set_of, levels, np.zeros(n, np.int32))
        numbers = read_only(words), read_only(place.view()), read_only(set_of), read_only(sets.view())
        return cls(*numbers, read_only(np.zeros(1, np.int32)), read_only(levels))

    def leaves(self, codes: Bytes) -> Codes:
        """Return the place of the leaf of each tree and row, shape (trees, m); -1 for a tree without a root.

        ``codes`` are those of :func:`causalkit.effects.forest.binning.paired`, shape (m, 2 p).
        """
        out = np.empty((len(self.roots), len(codes)), np.int32)
        find_leaves(codes, self.words, self.place, self.set_of, self.sets, self.roots, self.levels, out)
        return out

    def add_means(self, x: Floats, first: int, stop: int, binning: Binning, means: Floats) -> Floats:
        """Return the sums over trees of the leaf means of rows ``first ... stop`` of ``x``, shape (rows, d)."""
        out = np.zeros((stop - first, means.shape[1]))
        ways = self.words, self.place, self.set_of, self.sets, self.roots, self.levels
        add_trees(x, first, stop, binning.ruler, *ways, means, out)
        return out


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees laid end to end.

    Parameters
    ----------
    binning : Binning
        Turns covariates into codes.
    ways : Ways
        The trees; the place of a leaf is its row of ``means``.
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
    ways: Ways
    means: Floats
    size: Codes
    n_treatments: int
    group_size: int = 2
    rows: Codes | None = None

    def __getstate__(self) -> dict[str, Any]:
        return stored(self)

    @cached_property
    def leaf_starts(self) -> Ints:
        """Where the rows of each leaf start in ``rows``, shape (leaves + 1,)."""
        return read_only(np.concatenate([[0], np.cumsum(self.size, dtype=np.int64)]))

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.ways.roots)

    @property
    def n_outputs(self) -> int:
        """Number of predicted quantities: effects of the treatments, then means of the extras."""
        k = self.n_treatments
        return int(self.means.shape[1]) - 2 - k - k * k

    @property
    def nbytes(self) -> int:
        """Memory of the trees, in bytes."""
        w = self.ways
        return sum(array.nbytes for array in (w.words, w.place, w.set_of, w.sets, self.means, self.size))


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree, numbered from its own root; fields as in :class:`Forest`."""

    ways: Ways
    means: Floats
    size: Codes
    seen: bool = True
    rows: Codes | None = None


def join(trees: Iterable[Tree], binning: Binning, n_treatments: int, group_size: int = 2) -> Forest:
    """Lay trees end to end.

    Parameters
    ----------
    trees : iterable of Tree
        Group by group. Each is let go once it is copied, so that memory does not hold the trees twice.
    binning : Binning
        The binning that they were grown on.
    n_treatments, group_size : int
        See :class:`Forest`.
    """
    words, sets, means = _Long(), _Long(), _Long()
    place, set_of, roots, levels, size, rows = (_Long() for _ in range(6))
    for tree in trees:
        own, node, leaf = tree.ways, words.used, means.used
        roots.add(np.array([node if tree.seen else -1], np.int32))
        levels.add(own.levels)
        words.add(own.words + (np.uint64(node) << np.uint64(32)))
        place.add(own.place + np.int32(leaf))
        set_of.add(own.set_of + np.int32(sets.used) if len(own.sets) else np.zeros(len(own.words), np.int32))
        sets.add(own.sets)
        means.add(tree.means)
        size.add(tree.size)
        if tree.rows is not None:
            rows.add(tree.rows)
    ways = Ways(
        words=words.end(),
        place=place.end(),
        set_of=set_of.end() if sets.used else read_only(np.zeros(0, np.int32)),
        sets=sets.end(),
        roots=roots.end(),
        levels=levels.end(),
    )
    return Forest(binning, ways, means.end(), size.end(), n_treatments, group_size, rows.end() if rows.used else None)


class _Long:
    """An array that grows in place, a little ahead of what is added to it."""

    def __init__(self) -> None:
        self.used = 0

    def add(self, piece: NDArray[Any]) -> None:
        if self.used == 0:
            self.data = np.empty((0, *piece.shape[1:]), piece.dtype)
        need = self.used + len(piece)
        if need > len(self.data):
            self.data.resize((need + need // 8, *piece.shape[1:]), refcheck=False)
        self.data[self.used : need] = piece
        self.used = need

    def end(self) -> NDArray[Any]:
        self.data.resize((self.used, *self.data.shape[1:]), refcheck=False)
        return read_only(self.data)
