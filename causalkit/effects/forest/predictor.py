"""Baselines and effects of new people, from a forest and a model of the control's outcome."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.effects.bagged import BLOCK, Spread
from causalkit.effects.forest.baseline import Baseline
from causalkit.effects.forest.local_linear import LocalLinear
from causalkit.effects.forest.predicting import Prediction, predict_spread
from causalkit.effects.forest.trees import Forest
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, eq=False)
class ForestPredictor:
    """Predicts baselines and effects of new rows.

    The baseline is the control's outcome model plus what the forest has learned of its errors: the mean of the control's
    doubly robust scores minus the out-of-fold model, weighted as the effects are.

    Parameters
    ----------
    forest : Forest
        With the errors of the baseline as its one extra.
    baseline : Baseline
        The control's outcome model.
    local : LocalLinear, optional
        Local regressions instead of local means.
    n_jobs : int
        Threads.
    """

    forest: Forest
    baseline: Baseline
    local: LocalLinear | None = None
    n_jobs: int = 1

    def predict(self, x: Floats) -> Spread:
        """Return means, shape (n, n_arms), and covariances: the baseline first, then the effects."""
        n, q = len(x), self.forest.n_outputs
        out = Spread(np.empty((n, q)), np.empty((n, q, q)))
        for first in range(0, n, BLOCK):
            rows = slice(first, first + BLOCK)
            found = predict_spread(self.forest, x[rows], local=self.local, n_jobs=self.n_jobs)
            part = with_baseline(found, self.baseline.model.predict(x[rows]), self.baseline.variance)
            out.mean[rows], out.covariance[rows] = part.mean, part.covariance
        return out


def with_baseline(found: Prediction, level: Floats, variance: float) -> Spread:
    """Put the baseline first, and add its model and the variance of that."""
    order = np.roll(np.arange(found.mean.shape[1]), 1)
    mean, covariance = found.mean[:, order], found.whole[:, order][:, :, order]
    mean[:, 0] += level
    covariance[:, 0, 0] += variance
    return Spread(mean, covariance)
