"""How much stronger selection on what was not observed must be than on what was (Oster 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Short:
    """A regression without and with the covariates.

    Parameters
    ----------
    bare, bare_r2 : float
        Coefficient of the treatment and R2 without covariates.
    full, full_r2 : float
        With them.
    outcome_variance : float
        Variance of the outcome.
    treatment_variance, residual_variance : float
        Variance of the treatment, and of what the covariates leave of it.
    """

    bare: float
    bare_r2: float
    full: float
    full_r2: float
    outcome_variance: float
    treatment_variance: float
    residual_variance: float

    def delta(self, r2_max: float, effect: float = 0.0) -> float:
        """Return the ratio of selection at which the effect would be ``effect`` (her corollary to proposition 3).

        Parameters
        ----------
        r2_max : float
            R2 of a regression on everything that matters.
        effect : float
            The effect if selection is that strong.
        """
        gap, moved = self.full - effect, self.bare - self.full
        gained, left = self.full_r2 - self.bare_r2, r2_max - self.full_r2
        vy, vx, tx = self.outcome_variance, self.treatment_variance, self.residual_variance
        shared = gap**2 * tx * moved * vx
        cubic = gap**3 * (tx * vx - tx**2)
        top = gap * gained * vy * tx + gap * vx * tx * moved**2 + 2 * shared + cubic
        bottom = left * vy * moved * vx + gap * left * vy * (vx - tx) + shared + cubic
        return top / bottom if bottom != 0 else math.copysign(math.inf, top)

    def r2_max(self) -> float:
        """Return 1.3 times the R2 with covariates, at most 1: her rule."""
        return min(1.0, 1.3 * self.full_r2)
