"""Stacking of effect learners: weights on a simplex that has the constant effect as one of its corners."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from causalkit.effects.bagged import Spread, shrinkage
from causalkit.effects.fold_models import unknown_errors
from causalkit.effects.model import Predictor
from causalkit.kernels.arrays import Codes, Floats


def stack_weights(target: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Return the weights of learners that minimise a weighted squared loss; the constant takes what is left of one.

    The exact minimum of ``sum w (target - c - predicted @ a)^2`` over the constant c and ``a >= 0, sum(a) <= 1``: every
    set of learners that may have a positive weight is tried, with and without the limit on the sum.

    Parameters
    ----------
    target : Floats, shape (n,)
        Pseudo-outcome.
    predicted : Floats, shape (n, k)
        Predictions of k learners for rows that they have not seen.
    weights : Floats, shape (n,)
        Weights of the rows.

    Returns
    -------
    Floats, shape (k,)
    """
    share = weights / weights.sum()
    x = predicted - share @ predicted
    y = target - share @ target
    gram, cross = (x * share[:, None]).T @ x, (x * share[:, None]).T @ y
    k = len(cross)
    best, lowest = np.zeros(k), 0.0
    for size in range(1, k + 1):
        for support in combinations(range(k), size):
            at = np.array(support)
            for found in _corners(gram[np.ix_(at, at)], cross[at]):
                loss = float(found @ gram[np.ix_(at, at)] @ found - 2 * cross[at] @ found)
                if found.min() >= 0 and found.sum() <= 1 + 1e-9 and loss < lowest - 1e-12 * abs(lowest):
                    lowest = loss
                    best = np.zeros(k)
                    best[at] = found
    return best


def _corners(gram: Floats, cross: Floats) -> tuple[Floats, Floats]:
    """The minima of a set of learners: with weights of any sum, and with weights that sum to one."""
    free = np.asarray(np.linalg.lstsq(gram, cross, rcond=1e-10)[0], dtype=np.float64)
    size = len(cross)
    bordered = np.block([[gram, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
    tied: Floats = np.linalg.lstsq(bordered, np.append(cross, 1.0), rcond=1e-10)[0][:size]
    return free, tied


@dataclass(frozen=True, eq=False)
class ArmStack:
    """The stack of one arm.

    Parameters
    ----------
    weights : Floats, shape (k,)
        Weight of each learner, from all rows.
    deviations : Floats, shape (n,)
        Deviations from the average, of each fold by weights that the other folds chose, not shrunk.
    factor, slope, statistic : float
        Shrinkage of these deviations, and the slope and t statistic behind it.
    """

    weights: Floats
    deviations: Floats
    factor: float
    slope: float
    statistic: float


def stack_arm(
    target: Floats, weights: Floats, predicted: Floats, share: Floats, folds: Codes, groups: Codes | None
) -> ArmStack:
    """Choose the weights of an arm, fold by fold and on all rows, and how far to trust what they give.

    Parameters
    ----------
    target, weights : Floats, shape (n,)
        Pseudo-outcome of the R-loss and its weights; rows of weight zero are not judged by.
    predicted : Floats, shape (n, k)
        Out-of-fold predictions.
    share : Floats, shape (n,)
        Share of each row in the population.
    folds, groups : Codes, shape (n,)
        Folds and clusters.
    """
    used = weights > 0
    centred = predicted - share @ predicted
    deviations = np.empty(len(target))
    for fold in np.unique(folds):
        learn, here = used & (folds != fold), folds == fold
        deviations[here] = centred[here] @ stack_weights(target[learn], centred[learn], weights[learn])
    deviations -= share @ deviations
    clusters = None if groups is None else groups[used]
    factor, slope, statistic = shrinkage(target[used], deviations[used], weights[used], clusters)
    chosen = stack_weights(target[used], centred[used], weights[used])
    return ArmStack(chosen, deviations, factor, slope, statistic)


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
