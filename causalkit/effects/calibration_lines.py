"""An effect with an error for each person from predictions whose own errors are not known: lines of held-out scores on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.effects.averages import shares
from causalkit.effects.bagged import shrinkage
from causalkit.effects.prediction import EffectPrediction
from causalkit.inference.vcov import sandwich
from causalkit.kernels.arrays import Codes, Floats, read_only


@dataclass(frozen=True)
class Line:
    """``mean + slope * (x - center)``; a slope of zero where the numbers do not rank."""

    mean: float
    slope: float
    center: float

    def along(self, x: Floats) -> Floats:
        """Return the derivatives of a value by mean and slope, shape (n, 2)."""
        moved = x - self.center if self.slope else np.zeros(len(x))
        return np.column_stack([np.ones(len(x)), moved])

    def value(self, x: Floats) -> Floats:
        """Return the line, shape (n,)."""
        out: Floats = self.mean + self.slope * (x - self.center)
        return out


@dataclass(frozen=True, eq=False)
class CalibrationLines:
    """Lines that calibrate predictions of effects and of baselines, with their joint error.

    The effect is the best linear prediction from the priority, ``mean + k * slope * (priority - mean priority)``, with
    the empirical-Bayes factor ``k = max(0, 1 - 1/t^2)`` of :mod:`causalkit.effects.bagged` (zero where the slope is
    not positive). Its error is that of the two averages behind it; it does not take in how effects differ among people
    with the same priority.

    Parameters
    ----------
    effect, level : Line
        Of the effect, and of the outcome without treatment.
    vcov : Floats, shape (4, 4)
        Covariance of mean and slope of the effect, then of the level.
    """

    effect: Line
    level: Line
    vcov: Floats

    @classmethod
    def fit(
        cls,
        priority: Floats,
        scores: Floats,
        control_scores: Floats,
        baseline: Floats,
        weights: Floats | None = None,
        groups: Codes | None = None,
    ) -> CalibrationLines:
        """Fit both lines.

        Parameters
        ----------
        priority : Floats, shape (n,)
            Held-out numbers that should rise with the effect, in any unit.
        scores, control_scores : Floats, shape (n,)
            Doubly robust scores of the effect, and of the outcome without treatment.
        baseline : Floats, shape (n,)
            Predicted outcome without treatment, out of fold; constant where there is no prediction.
        weights, groups : optional
            Weights and clusters.
        """
        share = shares(len(priority), weights)
        effect, psi_effect = _line(scores, priority, share, weights, groups)
        level, psi_level = _line(control_scores, baseline, share, weights, groups)
        count = len(priority) if groups is None else len(np.unique(groups))
        vcov = sandwich(np.column_stack([psi_effect, psi_level]), groups, count / (count - 1))
        return cls(effect, level, vcov)

    def predict(self, priority: Floats, baseline: Floats, df: float = np.inf) -> EffectPrediction:
        """Calibrate predictions of these or other people, shape (m,)."""
        along, across = self.effect.along(priority), self.level.along(baseline)
        return EffectPrediction(
            baseline=read_only(self.level.value(baseline)),
            effect=read_only(self.effect.value(priority)),
            baseline_se=_se(across, self.vcov[2:, 2:]),
            effect_se=_se(along, self.vcov[:2, :2]),
            covariance=read_only(np.einsum("ij,jk,ik->i", along, self.vcov[:2, 2:], across)),
            df=df,
        )


def _line(
    target: Floats, predictor: Floats, share: Floats, weights: Floats | None, groups: Codes | None
) -> tuple[Line, Floats]:
    """The line, and influence values (n, 2) of mean and shrunk slope."""
    _, slope, statistic = shrinkage(target, predictor, weights, groups)
    keep = max(0.0, 1.0 - 1.0 / statistic**2) if statistic > 0 else 0.0
    mean = float(target[0] + share @ (target - target[0]))
    center = float(share @ predictor)
    x = predictor - center
    psi = np.zeros((len(x), 2))
    psi[:, 0] = share * (target - mean)
    if keep > 0:
        psi[:, 1] = keep * share * x * (target - mean - slope * x) / float(share @ x**2)
    return Line(mean, keep * slope if keep > 0 else 0.0, center), psi


def _se(design: Floats, vcov: Floats) -> Floats:
    return read_only(np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, vcov, design), 0.0)))
