"""The rows of an honest analysis: sorted by the running variable, measured from the cutoff."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Bools, Codes, Floats

KERNELS = ("triangular", "epanechnikov", "uniform")


def kernel_weights(u: Floats, kernel: str) -> Floats:
    """Return the kernel at ``u``, up to a constant that cancels."""
    inside = np.abs(u) <= 1.0
    if kernel == "uniform":
        return inside.astype(np.float64)
    return np.where(inside, 1.0 - np.abs(u) if kernel == "triangular" else 1.0 - u**2, 0.0)


@dataclass(frozen=True, eq=False)
class HonestData:
    """Rows sorted by the running variable.

    Parameters
    ----------
    x : array, shape (n,)
        Running variable minus cutoff, ascending; zero is on the treated side.
    y : array, shape (n, m)
        Outcome, and the treatment taken where the design is fuzzy.
    weights : array, shape (n,)
        How many observations each row stands for.
    cluster : array of codes or None
    covariates : array, shape (n, k)
    """

    x: Floats
    y: Floats
    weights: Floats
    cluster: Codes | None
    covariates: Floats

    @classmethod
    def of(
        cls,
        y: Floats,
        x: Floats,
        *,
        treatment: Floats | None = None,
        weights: Floats | None = None,
        cluster: Codes | None = None,
        covariates: Floats | None = None,
    ) -> HonestData:
        """Sort the rows; ``x`` is measured from the cutoff.

        The outcome is taken from its mean, which changes no jump but keeps its digits.
        """
        order = np.lexsort((y, x))
        outcome = np.asarray(y, float) - float(np.mean(y))
        columns = [outcome] if treatment is None else [outcome, np.asarray(treatment, float)]
        n = len(order)
        more = np.empty((n, 0)) if covariates is None else np.asarray(covariates, float).reshape(n, -1)
        return cls(
            np.ascontiguousarray(np.asarray(x, float)[order]),
            np.ascontiguousarray(np.stack(columns, axis=1)[order]),
            np.ones(n) if weights is None else np.asarray(weights, float)[order],
            None if cluster is None else np.asarray(cluster)[order],
            more[order] - more.mean(axis=0),
        )

    @property
    def fuzzy(self) -> bool:
        """Whether the treatment taken stands beside the outcome."""
        return bool(self.y.shape[1] == 2)

    @cached_property
    def split(self) -> int:
        """Position of the first row on the treated side."""
        return int(np.searchsorted(self.x, 0.0, side="left"))

    @cached_property
    def treated(self) -> Bools:
        """Whether each row is at or above the cutoff."""
        inside: Bools = np.arange(self.x.size) >= self.split
        return inside

    def side(self, right: bool) -> slice:
        """Return the rows of one side."""
        return slice(self.split, None) if right else slice(0, self.split)

    @cached_property
    def supports(self) -> tuple[Floats, Floats]:
        """Distinct distances from the cutoff, ascending, left and right."""
        return np.unique(-self.x[self.side(False)]), np.unique(self.x[self.side(True)])

    @property
    def largest(self) -> float:
        """Largest distance from the cutoff."""
        return float(max(-self.x[0], self.x[-1]))

    def require_support(self, at_least: int) -> None:
        """Refuse a side with too few distinct values of the running variable."""
        for name, support in zip(("below", "above"), self.supports, strict=True):
            if support.size < at_least:
                raise InferenceUnavailable(
                    f"the running variable has {support.size} distinct values {name} the cutoff; {at_least} are needed here.",
                    hint="Give smoothness= and a bandwidth, or use local randomization.",
                )

    def without_covariates(self) -> HonestData:
        """Return the same rows without covariates."""
        return replace(self, covariates=np.empty((self.x.size, 0)))

    def with_outcomes(self, y: Floats) -> HonestData:
        """Return the same rows with other outcomes."""
        return replace(self, y=np.ascontiguousarray(y))
