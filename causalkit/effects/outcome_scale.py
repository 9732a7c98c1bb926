"""The scale on which nuisances and effects are learned, so that ``y * 1e6`` and ``y + 1e9`` teach the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Floats, read_only
from causalkit.nuisance.estimator_needs import in_own_units


@dataclass(frozen=True)
class Scale:
    """An outcome is ``pivot + (center + unit * z)``; the sum in brackets keeps its digits beside a large pivot.

    Parameters
    ----------
    pivot, center : float
        A value of the outcome, and where z is zero, counted from it.
    unit : float
        How much of the outcome one unit of z is.
    binary : bool
        Whether the outcome takes two values, which z codes as 0 and 1.
    """

    pivot: float
    center: float
    unit: float
    binary: bool

    @classmethod
    def learn(cls, outcome: Floats, regressor: Any = None) -> Scale:
        """Two values become 0 and 1; anything else gets mean zero and sd one. Rows must be in canonical order.

        An outcome whose regressor needs its own units keeps them (see :mod:`causalkit.nuisance.estimator_needs`).
        """
        low, high = float(outcome.min()), float(outcome.max())
        if low < high and bool(np.all((outcome == low) | (outcome == high))):
            return cls(low, 0.0, high - low, True)
        if in_own_units(regressor):
            return cls(0.0, 0.0, 1.0, False)
        near = outcome - outcome[0]  # exact where the outcome is far from zero and its differences are not
        spread = float(near.std())
        fine = spread > 1e-14 * max(abs(low), abs(high))
        return cls(float(outcome[0]), float(near.mean()), spread if fine else 1.0, False)

    def apply(self, outcome: Floats) -> Floats:
        """Return z."""
        return read_only((outcome - self.pivot - self.center) / self.unit)

    def level(self, z: Floats) -> Floats:
        """Return z in the units of the outcome."""
        return read_only(self.pivot + (self.center + self.unit * z))
