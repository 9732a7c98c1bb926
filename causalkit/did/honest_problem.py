"""One sensitivity analysis: the effect, what is assumed of the violation, and how its interval is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from causalkit.did.honest_fixed_length import FixedLength
from causalkit.did.honest_moments import DualVertices
from causalkit.did.honest_restrictions import Restriction
from causalkit.did.honest_vector import EventVector
from causalkit.kernels.arrays import Floats

Method = Literal["c-lf", "conditional", "flci"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One effect, the class of violations and the way its interval is made; in units of the largest standard error."""

    vector: EventVector
    weights: Floats
    restriction: Restriction
    method: Method
    alpha: float
    vertices: DualVertices = field(default_factory=DualVertices)

    @cached_property
    def scale(self) -> float:
        """The unit: the largest standard error."""
        return float(np.sqrt(np.diag(self.vector.vcov).max()))

    @cached_property
    def fixed_length(self) -> FixedLength:
        """The estimators that the interval of fixed length chooses from."""
        vector = self.vector
        return FixedLength.of(vector.values / self.scale, vector.vcov / self.scale**2, vector.n_pre, self.weights)

    def limits(self, magnitude: float) -> tuple[float, float] | None:
        """Return the robust interval at one magnitude, or None where every value is rejected."""
        inner = magnitude / self.scale if self.restriction.kind == "smoothness" else magnitude
        if self.method == "flci":
            low, high, _ = self.fixed_length.interval(inner, self.alpha)
            return low * self.scale, high * self.scale
        vector, found = self.vector, (math.inf, -math.inf)
        values, vcov = vector.values / self.scale, vector.vcov / self.scale**2
        for piece in self.restriction.pieces(vector.n_pre):
            rows, limit = self.restriction.inequalities(vector.n_pre, vector.n_post, inner, piece)
            test = self.vertices.test(
                values, vcov, vector.n_pre, self.weights, rows, limit, self.alpha, self.method == "c-lf"
            )
            ends = test.hull(found)
            if ends is not None:
                found = min(found[0], ends[0]), max(found[1], ends[1])
        return None if found[0] > found[1] else (found[0] * self.scale, found[1] * self.scale)
