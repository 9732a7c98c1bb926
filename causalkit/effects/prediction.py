"""What a model of effects says of each person: the outcome without treatment and the effect, with their joint error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, eq=False)
class EffectPrediction:
    """Joint predictions of baseline and effect.

    Parameters
    ----------
    baseline, effect : Floats, shape (n,)
        Expected outcome in the control arm, and what the treatment adds, in the units of the outcome.
    baseline_se, effect_se : Floats, shape (n,)
        Their standard errors.
    covariance : Floats, shape (n,)
        Covariance of the two predictions of a person.
    df : float
        Degrees of freedom of intervals built on the standard errors.
    """

    baseline: Floats
    effect: Floats
    baseline_se: Floats
    effect_se: Floats
    covariance: Floats
    df: float = np.inf

    def __len__(self) -> int:
        return len(self.effect)
