"""Predict effects and their uncertainty from a forest, for new rows and out of bag."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from causalkit.effects.forest.debias import debiased_variance
from causalkit.effects.forest.growing import Bags
from causalkit.effects.forest.trees import Forest
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats
from causalkit.kernels.forest_predict import block_leaves, block_means, leave_out, solve
from causalkit.kernels.forest_variance import block_spread

#: Leaves (rows times trees) looked up at a time by a thread, which bounds the memory of a prediction.
BLOCK_LEAVES = 500_000
MOST_ROWS = 512


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions and their joint uncertainty.

    Parameters
    ----------
    mean : Floats, shape (n, q)
        Effects of the treatments, then means of the extras.
    covariance : Floats, shape (n, q, q)
        Covariances: variances by little bags, correlations of the means of groups.
    n_groups : Codes, shape (n,)
        Groups of trees that each variance rests on.
    """

    mean: Floats
    covariance: Floats
    n_groups: Codes


def predict(forest: Forest, x: Floats, *, n_jobs: int = 1) -> Floats:
    """Predict effects.

    Parameters
    ----------
    forest : Forest
    x : Floats, shape (n, p)
        Covariates.
    n_jobs : int
        Threads; the answer is the same for any number.

    Returns
    -------
    Floats, shape (n, q)
        Coefficients of the treatments in a regression weighted by how often a training row shares the row's leaf, then
        means of the extras with these weights.
    """
    mean = np.empty((len(x), forest.n_outputs))

    def one(first: int, stop: int) -> None:
        leaves = _leaves(forest, x, first, stop)
        _solve(forest, leaves, mean[first:stop])

    _by_block(forest, len(x), one, n_jobs)
    return mean


def predict_spread(forest: Forest, x: Floats, *, n_jobs: int = 1) -> Prediction:
    """Predict effects and their covariances.

    The variance of a prediction is that of a half-sample's forest: the variance between the means of groups of trees
    that share one, minus the Monte Carlo variance of such a mean, made non-negative by the posterior mean under a flat
    prior on the positive half-line (Athey, Tibshirani and Wager 2019, section 4.1; Sexton and Laake 2009).

    Raises
    ------
    InferenceUnavailable
        If groups have one tree, or fewer than two groups speak for a row.
    """
    return _spread(forest, x, None, n_jobs)


def predict_variance(forest: Forest, x: Floats, *, n_jobs: int = 1) -> Floats:
    """Return the variances of :func:`predict_spread`, shape (n, q)."""
    return np.diagonal(predict_spread(forest, x, n_jobs=n_jobs).covariance, axis1=1, axis2=2)


def oob_predict(forest: Forest, bags: Bags, x: Floats, *, n_jobs: int = 1) -> Prediction:
    """Predict the rows of the fit by the trees that have not seen them, nor others of their cluster.

    Parameters
    ----------
    forest, bags
        As :func:`causalkit.effects.forest.growing.grow_forest` returned them.
    x : Floats, shape (n, p)
        The covariates of the fit, in its order.
    n_jobs : int
        Threads.

    Raises
    ------
    DesignError
        If all trees have seen some row.
    InferenceUnavailable
        As for :func:`predict_spread`.
    """
    return _spread(forest, x, bags, n_jobs)


def _spread(forest: Forest, x: Floats, bags: Bags | None, n_jobs: int) -> Prediction:
    if forest.group_size < 2:
        raise InferenceUnavailable(
            "the variance of a forest needs groups of two trees or more.", hint="Grow it with group_size=2."
        )
    n, q = len(x), forest.n_outputs
    mean, covariance, n_groups = np.empty((n, q)), np.empty((n, q, q)), np.empty(n, np.int32)

    def one(first: int, stop: int) -> None:
        leaves = _leaves(forest, x, first, stop)
        if bags is not None:
            leave_out(leaves, bags.bits, bags.units[first:stop], forest.group_size)
        here = slice(first, stop)
        means, inverse = _solve(forest, leaves, mean[here])
        total = np.empty((stop - first, q))
        block_spread(
            leaves, forest.means, means, mean[here], inverse, forest.group_size, covariance[here], total, n_groups[here]
        )  # fmt: skip
        covariance[here] = debiased_variance(covariance[here], total, n_groups[here], forest.group_size)

    _by_block(forest, n, one, n_jobs)
    few = int((n_groups < 2).sum())
    if few:
        raise InferenceUnavailable(
            f"{few} rows are predicted by fewer than two groups of trees, so their variance is unknown.",
            hint="Grow more trees.",
        )
    return Prediction(mean, covariance, n_groups)


def _by_block(forest: Forest, n: int, one: Callable[[int, int], None], n_jobs: int) -> None:
    """Work on blocks of rows in threads."""
    size = max(1, min(MOST_ROWS, BLOCK_LEAVES // max(forest.n_trees, 1)))
    blocks = [(first, min(first + size, n)) for first in range(0, n, size)]
    if n_jobs == 1 or len(blocks) < 2:
        for block in blocks:
            one(*block)
        return
    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(lambda block: one(*block), blocks))


def _leaves(forest: Forest, x: Floats, first: int, stop: int) -> Codes:
    """Leaf of each tree and row, shape (trees, rows)."""
    if x.shape[1] != forest.binning.n_features:
        raise DesignError(f"x has {x.shape[1]} columns; the forest was grown on {forest.binning.n_features}.")
    leaves = np.empty((forest.n_trees, stop - first), np.int32)
    block_leaves(
        forest.binning.code(x, first, stop),
        forest.feature,
        forest.threshold,
        forest.child,
        forest.missing_left,
        forest.sets,
        forest.binning.is_category,
        forest.roots,
        leaves,
    )
    return leaves


def _solve(forest: Forest, leaves: Codes, mean: Floats) -> tuple[Floats, Floats]:
    """Fill ``mean``; return the averages over trees and the inverse that variances need."""
    m, k = leaves.shape[1], forest.n_treatments
    means, count, inverse = np.empty((m, forest.means.shape[1])), np.empty(m, np.int32), np.empty((m, k, k))
    block_means(leaves, forest.means, means, count)
    if not count.all():
        raise DesignError(
            f"every tree has seen {int((count == 0).sum())} of the rows, so none can predict them out of bag.",
            hint="Grow more trees.",
        )
    solve(means, k, mean, inverse)
    return means, inverse
