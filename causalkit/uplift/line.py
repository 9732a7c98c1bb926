"""An effect with an error for each person from mere numbers: the line of held-out scores on the numbers."""

from __future__ import annotations

import numpy as np

from causalkit.effects.bagged import shrinkage
from causalkit.effects.prediction import EffectPrediction
from causalkit.inference.vcov import sandwich
from causalkit.kernels.arrays import Codes, Floats, read_only


def line_prediction(
    priority: Floats,
    scores: Floats,
    control_scores: Floats,
    baseline: Floats,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> EffectPrediction:
    """Calibrate numbers that rank people into effects, and predicted baselines into baselines.

    The effect is the best linear prediction from the priority, ``mean + k * slope * (priority - mean priority)``, with
    the empirical-Bayes factor ``k = max(0, 1 - 1/t^2)`` of :mod:`causalkit.effects.bagged` (zero where the slope is
    not positive). Its error is that of the two averages behind it; it does not take in how effects differ among people
    with the same priority.

    Parameters
    ----------
    priority : Floats, shape (n,)
        Numbers that should rise with the effect, in any unit.
    scores, control_scores : Floats, shape (n,)
        Doubly robust scores of the effect, and of the outcome without treatment.
    baseline : Floats, shape (n,)
        Predicted outcome without treatment, out of fold; constant where there is no prediction.
    weights, groups : optional
        Weights and clusters.
    """
    share = np.full(len(priority), 1.0 / len(priority)) if weights is None else weights / weights.sum()
    effect, x, psi_effect = _line(scores, priority, share, weights, groups)
    level, m, psi_level = _line(control_scores, baseline, share, weights, groups)
    vcov = sandwich(np.column_stack([psi_effect, psi_level]), groups, _factor(len(priority), groups))
    along, across = np.column_stack([np.ones_like(x), x]), np.column_stack([np.ones_like(m), m])
    return EffectPrediction(
        baseline=read_only(level),
        effect=read_only(effect),
        baseline_se=_se(across, vcov[2:, 2:]),
        effect_se=_se(along, vcov[:2, :2]),
        covariance=read_only(np.einsum("ij,jk,ik->i", along, vcov[:2, 2:], across)),
    )


def _line(
    target: Floats, predictor: Floats, share: Floats, weights: Floats | None, groups: Codes | None
) -> tuple[Floats, Floats, Floats]:
    """Fitted values, the centred predictor, and influence values (n, 2) of mean and shrunk slope."""
    _, slope, statistic = shrinkage(target, predictor, weights, groups)
    keep = max(0.0, 1.0 - 1.0 / statistic**2) if statistic > 0 else 0.0
    mean = float(target[0] + share @ (target - target[0]))
    x = predictor - share @ predictor
    psi = np.zeros((len(x), 2))
    psi[:, 0] = share * (target - mean)
    if keep > 0:
        residual = target - mean - slope * x
        psi[:, 1] = keep * share * x * residual / float(share @ x**2)
    else:
        x = np.zeros_like(x)
    return mean + keep * slope * x, x, psi


def _factor(n: int, groups: Codes | None) -> float:
    count = n if groups is None else len(np.unique(groups))
    return count / (count - 1)


def _se(design: Floats, vcov: Floats) -> Floats:
    return read_only(np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, vcov, design), 0.0)))
