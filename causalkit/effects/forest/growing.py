"""Grow an honest causal forest."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np

from causalkit.effects.forest.binning import learn_binning, paired
from causalkit.effects.forest.honest import Growth, Training, honest_tree, leaf_parts
from causalkit.effects.forest.trees import Forest, Tree, join
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.kernels.forest_binning import Bytes


@dataclass(frozen=True, eq=False)
class Bags:
    """Who is in the bag of which group of trees.

    Parameters
    ----------
    bits : uint8 array, shape (units, ceil(groups / 8))
        Bit g of a unit: whether group g has drawn it.
    units : Codes, shape (n,)
        Unit of each row, the row itself or its cluster; -1 for a row without weight, which no tree has seen.
    """

    bits: Bytes
    units: Codes


def grow_forest(
    x: Floats,
    y: Floats,
    w: Floats,
    *,
    categorical: Sequence[int] = (),
    arms: Codes | None = None,
    weights: Floats | None = None,
    groups: Codes | None = None,
    extra: Floats | None = None,
    growth: Growth | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
) -> tuple[Forest, Bags]:
    """Grow a forest of effects.

    Every split is chosen to make the effects of the children as different as can be, by the relabelled outcomes of
    Athey, Tibshirani and Wager (2019), "Generalized random forests", *Annals of Statistics* 47. Covariates are cut
    into at most 255 bins first, so a split costs one pass over the rows of its node.

    Parameters
    ----------
    x : Floats, shape (n, p)
        Covariates, in an order of rows that does not depend on the user's. Missing values are NaN; each split sends
        them where the effects differ most (Twala, Jones and Hand 2008). Categories are codes 0, 1, ..., ordered in
        each node by their mean relabelled outcome.
    y : Floats, shape (n,)
        Outcome minus its out-of-fold expectation given covariates.
    w : Floats, shape (n,) or (n, k)
        Treatments minus their out-of-fold expectations: indicators of the arms other than the control, or a dose.
    categorical : sequence of int
        Positions of categories in ``x``.
    arms : Codes, shape (n,), optional
        The arm of each row, 0 for the control and a for column a - 1 of ``w``: then every leaf holds every arm.
    weights : Floats, shape (n,), optional
        Weights; a row with weight zero counts for nothing.
    groups : Codes, shape (n,), optional
        Clusters: drawn whole into half-samples and their halves.
    extra : Floats, shape (n, e), optional
        Further columns whose local means are predicted beside the effects.
    growth : Growth, optional
        How trees are grown.
    random_state, n_jobs : int
        Seed and threads; the forest is the same for any number of threads.

    Returns
    -------
    forest : Forest
    bags : Bags
        Which groups of trees have seen which rows, for out-of-bag predictions. Two groups have the two halves of the
        rows, so that each row is outside half of the bags.

    Raises
    ------
    DesignError
        If there are fewer than 8 rows or clusters, or no tree shows an effect (an arm too rare).
    """
    growth = growth or Growth()
    x, w = np.asarray(x, dtype=float), np.asarray(w, dtype=float).reshape(len(y), -1)
    kept = np.arange(len(y)) if weights is None else np.flatnonzero(weights > 0)
    units, n_units = _units(kept, groups, len(y))
    binning = learn_binning(
        x[kept] if len(kept) < len(x) else x,
        categorical,
        max_bins=growth.max_bins,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    y, w = np.ascontiguousarray(y[kept], dtype=float), np.ascontiguousarray(w[kept])
    s = np.ones(len(kept)) if weights is None else np.asarray(weights[kept], dtype=float)
    weighted, e = (
        bool((s != 1.0).any()),
        np.empty((len(kept), 0)) if extra is None else np.asarray(extra[kept], dtype=float),
    )
    codes = binning.code_all(x[kept] if len(kept) < len(x) else x, n_jobs)
    own_arms = np.full(len(kept), -1, np.int32) if arms is None else np.ascontiguousarray(arms[kept], dtype=np.int32)
    training = Training(
        codes=codes,
        pairs=paired(codes),
        cells=np.column_stack([y, s, own_arms, w]),
        w=w,
        arms=own_arms,
        n_arms=0 if arms is None else w.shape[1] + 1,
        parts=leaf_parts(y, w, s if weighted else None, e),
        weighted=weighted,
        own_unit=None if groups is None else units[kept],
        n_units=n_units,
        binning=binning,
    )
    return _grow(training, growth, units, n_units, random_state, n_jobs)


def _units(kept: Ints, groups: Codes | None, n: int) -> tuple[Codes, int]:
    """Number the units that are drawn: rows with weight, or clusters that have one."""
    units = np.full(n, -1, np.int32)
    if groups is None:
        units[kept] = np.arange(len(kept), dtype=np.int32)
        count = len(kept)
    else:
        # by first appearance, so that names of clusters play no part
        _, first, code = np.unique(groups[kept], return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int32)
        rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
        count = len(first)
        number = np.full(int(groups.max()) + 1, -1, np.int32)
        number[groups[kept]] = rank[code]
        units = number[groups]  # a row without weight is left out of the bags of its cluster all the same
    if count < 8:
        kind = "rows" if groups is None else "clusters"
        raise DesignError(
            f"a causal forest needs at least 8 {kind}, and there are {count}.", hint="Use AIPW for the average effect."
        )
    return units, count


def _grow(
    training: Training, growth: Growth, units: Codes, n_units: int, seed: int, n_jobs: int
) -> tuple[Forest, Bags]:
    n_groups = -(-growth.n_trees // growth.group_size)
    bits = np.zeros((n_units, -(-n_groups // 8)), np.uint8)

    def one(byte: int) -> list[Tree]:
        """Grow eight groups: the groups of a byte, so that threads don't share one."""
        trees: list[Tree] = []
        for group in range(8 * byte, min(8 * byte + 8, n_groups)):
            bag = _bag(n_units, seed, group)
            rng = np.random.default_rng([seed, 1, group])
            bits[bag, byte] |= np.uint8(1 << (group & 7))
            trees.extend(honest_tree(training, growth, bag, rng) for _ in range(growth.group_size))
        return trees

    with ThreadPoolExecutor(n_jobs) as pool:
        trees = chain.from_iterable(pool.map(one, range(bits.shape[1])))
        forest = join(
            trees,
            training.binning,
            training.w.shape[1],
            growth.group_size,
            weighted=training.weighted,
            n_trees=n_groups * growth.group_size,
        )
    if not (forest.ways.roots >= 0).any():
        kind, share = "rows" if training.own_unit is None else "clusters", growth.sample_fraction
        small = f"Raise sample_fraction: {share:g} of {n_units} {kind} are few. " if share < 0.5 else ""
        raise DesignError(
            "no tree of the causal forest has every arm in its leaves: an arm is too rare, or the treatment doesn't vary.",
            hint=f"{small}Use AIPW for the average effect, or merge arms.",
        )
    return forest, Bags(read_only(bits), read_only(units))


def _bag(n_units: int, seed: int, group: int) -> Ints:
    """Draw half of the units; two neighbouring groups have the two halves of one draw.

    So every unit is outside half of the bags, however few trees there are, and the mean over trees varies less.
    """
    half = n_units // 2
    order = np.random.default_rng([seed, 0, group // 2]).permutation(n_units)
    return order[half : 2 * half] if group % 2 else order[:half]
