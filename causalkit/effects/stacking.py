"""Averages of effect learners that the constant effect is a member of: weights by how well each predicts unseen rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.effects.bagged import Spread, shrinkage
from causalkit.effects.fold_models import unknown_errors
from causalkit.effects.model import Predictor
from causalkit.kernels.arrays import Bools, Codes, Floats

#: Temperature of the exponential weights, in units of the variance of the noise. The oracle inequality of Dalalyan and
#: Tsybakov (2008) holds from 4 on; 8, which mixes more, was the better in weak designs and no worse elsewhere.
TEMPERATURE = 8.0
#: Learners with a smaller weight are left out: they cost time at every prediction.
LEAST_WEIGHT = 0.01
#: The variance of a statistic of out-of-fold predictions is up to twice what it is for independent folds: the noise of each
#: pair of folds enters twice, once as outcomes judged and once as outcomes learned from.
FOLDS_VARIANCE = 2.0


def stack_weights(
    target: Floats,
    predicted: Floats,
    weights: Floats,
    *,
    own: Floats | None = None,
    groups: Codes | None = None,
) -> Floats:
    """Return exponential weights of learners; the constant takes what is left of one.

    A learner with squared loss L has a weight in proportion to ``exp(-n L / (8 sigma^2))``, sigma^2 being the least of these
    losses. Unlike weights that minimise the loss of the average they overfit little: learners that the rows can't tell
    apart share alike.

    Parameters
    ----------
    target : Floats, shape (n,)
        Pseudo-outcome.
    predicted : Floats, shape (n, k)
        Predictions of k learners for rows that they have not seen.
    weights : Floats, shape (n,)
        Weights of the squared errors, such that a weighted squared error has about the variance of the outcome.
    own : Floats, shape (n,), optional
        How many people a row stands for.
    groups : Codes, shape (n,), optional
        Clusters: rows that go together count for fewer.

    Returns
    -------
    Floats, shape (k,)
        Not negative, with a sum of at most one.

    References
    ----------
    Dalalyan and Tsybakov (2008), "Aggregation by exponential weighting, sharp PAC-Bayesian bounds and sparsity",
    *Machine Learning* 72.
    """
    mass = weights if own is None else weights * own
    share = mass / mass.sum()
    x = np.column_stack([np.zeros(len(target)), predicted - share @ predicted])
    y = target - share @ target
    people = np.ones(len(target)) if own is None else own
    losses = (mass @ (y[:, None] - x) ** 2) / people.sum()
    noise = float(losses.min())
    if noise <= 0.0:
        perfect: Floats = (losses[1:] <= 0.0) / np.count_nonzero(losses <= 0.0)
        return perfect
    count = people.sum() ** 2 / (people @ people) / _design_effect(mass * y * x.mean(axis=1), groups)
    found = np.exp(-count * (losses - noise) / (TEMPERATURE * noise))
    found /= found.sum()
    found[found < LEAST_WEIGHT] = 0.0
    out: Floats = found[1:] / found.sum()
    return out


def _design_effect(values: Floats, groups: Codes | None) -> float:
    """By how much clusters inflate the variance of a sum; at least one."""
    total = float(values @ values)
    if groups is None or total == 0.0:
        return 1.0
    sums = np.bincount(groups, values)
    return max(1.0, float(sums @ sums) / total)


@dataclass(frozen=True, eq=False)
class ArmStack:
    """The stack of one arm.

    Parameters
    ----------
    weights : Floats, shape (k,)
        Weight of each learner, from all rows.
    deviations : Floats, shape (n,)
        Deviations from the average, of each fold by weights that the other folds chose, not shrunk.
    factor, slope : float
        Shrinkage of these deviations, and the slope behind it.
    statistic : float
        The t statistic of the slope, which takes in that each fold's outcomes taught the other folds' learners.
    """

    weights: Floats
    deviations: Floats
    factor: float
    slope: float
    statistic: float


def stack_arm(
    target: Floats,
    weights: Floats,
    predicted: Floats,
    folds: Codes,
    *,
    own: Floats | None = None,
    groups: Codes | None = None,
) -> ArmStack:
    """Choose the weights of an arm, fold by fold and on all rows, and how far to trust what they give.

    Parameters
    ----------
    target, weights : Floats, shape (n,)
        Pseudo-outcome of the R-loss and its weights; rows of weight zero are not judged by.
    predicted : Floats, shape (n, k)
        Out-of-fold predictions.
    folds : Codes, shape (n,)
        Folds.
    own : Floats, shape (n,), optional
        How many people a row stands for.
    groups : Codes, shape (n,), optional
        Clusters.
    """
    people = np.ones(len(target)) if own is None else own
    share = people / people.sum()
    used = weights * people > 0
    centred = predicted - share @ predicted

    def choose(rows: Bools) -> Floats:
        at = np.flatnonzero(rows)
        clusters = None if groups is None else groups[at]
        return stack_weights(target[at], centred[at], weights[at], own=people[at], groups=clusters)

    deviations = np.empty(len(target))
    for fold in np.unique(folds):
        here = folds == fold
        deviations[here] = centred[here] @ choose(used & ~here)
    deviations -= share @ deviations
    clusters = None if groups is None else groups[used]
    factor, slope, statistic = shrinkage(target[used], deviations[used], (weights * people)[used], clusters)
    return ArmStack(choose(used), deviations, factor, slope, statistic / float(np.sqrt(FOLDS_VARIANCE)))


@dataclass(frozen=True, eq=False)
class Stacked:
    """Predicts by a stack of learners.

    Parameters
    ----------
    parts : tuple of Predictor
        The learners; the first gives the baseline.
    weights : Floats, shape (k, n_arms - 1)
        Weight of each learner in each arm, shrinkage included.
    centers : Floats, shape (k, n_arms - 1)
        Average prediction of each learner for the rows of the fit.
    average : Floats, shape (n_arms - 1,)
        Average effects.
    """

    parts: tuple[Predictor, ...]
    weights: Floats
    centers: Floats
    average: Floats

    def predict(self, x: Floats) -> Spread:
        """Return baselines and effects, shape (n, n_arms); their errors are not known."""
        effects = np.tile(self.average, (len(x), 1))
        baseline = np.empty(0)
        for at, part in enumerate(self.parts):
            if at and not self.weights[at].any():
                continue
            mean = part.predict(x).mean
            if not at:
                baseline = mean[:, 0]
            effects += self.weights[at] * (mean[:, 1:] - self.centers[at])
        return unknown_errors(np.column_stack([baseline, effects]))
