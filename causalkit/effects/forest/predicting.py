"""Predict effects and their uncertainty from a forest, for new rows and out of bag."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalkit.effects.forest.debias import debiased_variance, monte_carlo_variance
from causalkit.effects.forest.growing import Bags
from causalkit.effects.forest.moments import influences, solve
from causalkit.effects.forest.trees import Forest
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats
from causalkit.kernels.forest_predict import add_leaves
from causalkit.kernels.forest_variance import add_spread

if TYPE_CHECKING:
    from causalkit.effects.forest.local_linear import LocalLinear

#: Leaves (rows times trees) looked up at a time by a thread, which bounds the memory of a prediction.
BLOCK_LEAVES = 500_000
MOST_ROWS = 512
#: Rows predicted at a time where their leaves are not kept.
BLOCK_ROWS = 4096


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
    monte_carlo : Floats, shape (n, q)
        Variances over repeated draws of the trees, which the covariances leave out.
    """

    mean: Floats
    covariance: Floats
    n_groups: Codes
    monte_carlo: Floats

    @property
    def whole(self) -> Floats:
        """Covariances with the Monte Carlo error of the trees, shape (n, q, q)."""
        out = self.covariance.copy()
        at = np.arange(out.shape[1])
        out[:, at, at] += self.monte_carlo
        return out


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
    _check_columns(forest, x)
    mean = np.empty((len(x), forest.n_outputs))
    speaking = int((forest.ways.roots >= 0).sum())

    def one(first: int, stop: int) -> None:
        sums = forest.ways.add_means(x[first:stop], forest.binning, forest.means)
        mean[first:stop] = solve(forest.whole(sums / speaking), forest.n_treatments)[0]

    _by_block(len(x), one, n_jobs, BLOCK_ROWS)
    return mean


def predict_spread(forest: Forest, x: Floats, *, local: LocalLinear | None = None, n_jobs: int = 1) -> Prediction:
    """Predict effects and their covariances.

    The variance of a prediction is that of a half-sample's forest: the variance between the means of groups of trees
    that share one, minus the Monte Carlo variance of such a mean, made non-negative by the posterior mean under a flat
    prior on the positive half-line (Athey, Tibshirani and Wager 2019, section 4.1; Sexton and Laake 2009).
    ``local`` replaces local means by local regressions.

    Raises
    ------
    InferenceUnavailable
        If groups have one tree, or fewer than two groups speak for a row.
    """
    return _spread(forest, x, None, local, n_jobs)


def predict_variance(forest: Forest, x: Floats, *, n_jobs: int = 1) -> Floats:
    """Return the variances of :func:`predict_spread`, shape (n, q)."""
    return np.diagonal(predict_spread(forest, x, n_jobs=n_jobs).covariance, axis1=1, axis2=2)


def oob_predict(
    forest: Forest, bags: Bags, x: Floats, *, local: LocalLinear | None = None, n_jobs: int = 1
) -> Prediction:
    """Predict the rows of the fit by the trees that have not seen them, nor others of their cluster.

    Parameters
    ----------
    forest, bags
        As :func:`causalkit.effects.forest.growing.grow_forest` returned them.
    x : Floats, shape (n, p)
        The covariates of the fit, in its order.
    local : LocalLinear, optional
        Replaces local means by local regressions.
    n_jobs : int
        Threads.

    Raises
    ------
    DesignError
        If all trees have seen some row.
    InferenceUnavailable
        As for :func:`predict_spread`.
    """
    return _spread(forest, x, bags, local, n_jobs)


def _spread(forest: Forest, x: Floats, bags: Bags | None, local: LocalLinear | None, n_jobs: int) -> Prediction:
    if forest.group_size < 2:
        raise InferenceUnavailable(
            "the variance of a forest needs groups of two trees or more.", hint="Grow it with group_size=2."
        )
    n, q = len(x), forest.n_outputs
    mean, covariance, n_groups = np.empty((n, q)), np.empty((n, q, q)), np.zeros(n, np.int32)
    chance = np.empty((n, q))

    def one(first: int, stop: int) -> None:
        leaves = find(forest, x, first, stop)
        if bags is not None:
            leave_out(leaves, bags, first, stop, forest.group_size)
        here = slice(first, stop)
        mean[here], between, total, groups = _bags(forest, leaves)
        if local is not None:
            mean[here], between, total, groups = local.correct(forest, leaves, x[here], mean[here])
        n_groups[here], size = groups, forest.group_size
        covariance[here] = debiased_variance(between, total, groups, size)
        chance[here] = monte_carlo_variance(between, total, groups, size)

    most = MOST_ROWS if local is None else local.most_rows
    _by_block(n, one, n_jobs, max(1, min(most, BLOCK_LEAVES // forest.n_trees)))
    few = int((n_groups < 2).sum())
    if few:
        raise InferenceUnavailable(
            f"{few} rows are predicted by fewer than two groups of trees, so their variance is unknown.",
            hint="Grow more trees.",
        )
    return Prediction(mean, covariance, n_groups, chance)


def _bags(forest: Forest, leaves: Codes) -> tuple[Floats, Floats, Floats, Codes]:
    """Predictions of a block, mean products of the means of groups, mean squares of trees, and the number of groups."""
    m, q, size = leaves.shape[1], forest.n_outputs, forest.group_size
    means = average(forest, leaves)
    mean, inverse = solve(means, forest.n_treatments)
    between, total, n_groups = np.zeros((m, q, q)), np.zeros((m, q)), np.zeros(m, np.int32)
    add_spread(leaves, forest.means, influences(means, mean, inverse), size, between, total, n_groups, np.empty(q))
    groups = np.maximum(n_groups, 1)
    between = (between + np.tril(between, -1).transpose(0, 2, 1)) / (groups[:, None, None] * size**2)
    return mean, between, total / (groups[:, None] * size), n_groups


def _by_block(n: int, one: Callable[[int, int], None], n_jobs: int, size: int) -> None:
    """Work on blocks of rows in threads."""
    blocks = [(first, min(first + size, n)) for first in range(0, n, size)]
    if n_jobs == 1 or len(blocks) < 2:
        for block in blocks:
            one(*block)
        return
    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(lambda block: one(*block), blocks))


def _check_columns(forest: Forest, x: Floats) -> None:
    if x.shape[1] != forest.binning.n_features:
        raise DesignError(f"x has {x.shape[1]} columns; the forest was grown on {forest.binning.n_features}.")


def find(forest: Forest, x: Floats, first: int, stop: int) -> Codes:
    """Leaf of each tree and row, shape (trees, rows)."""
    _check_columns(forest, x)
    return forest.ways.leaves(forest.binning.pairs(x, first, stop))


def leave_out(leaves: Codes, bags: Bags, first: int, stop: int, group_size: int) -> None:
    """Set to -1 the leaves of the trees of each group whose bag holds the row."""
    units = bags.units[first:stop]
    drawn = np.unpackbits(bags.bits[units], axis=1, bitorder="little") & (units >= 0)[:, None]
    in_bag = np.repeat(drawn.T, group_size, axis=0)[: len(leaves)]
    np.putmask(leaves, in_bag, -1)


def average(forest: Forest, leaves: Codes) -> Floats:
    """Average leaf means over the trees that speak for each row, shape (m, d)."""
    m = leaves.shape[1]
    means, count = np.zeros((m, forest.means.shape[1])), np.zeros(m, np.int32)
    add_leaves(leaves, forest.means, means, count)
    if not count.all():
        raise DesignError(
            f"every tree has seen {int((count == 0).sum())} of the rows, so none can predict them out of bag.",
            hint="Grow more trees.",
        )
    return forest.whole(means / count[:, None])
