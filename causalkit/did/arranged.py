"""Units in the order of their cohorts, so that a cohort is a slice and not a list of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.kernels.arrays import Floats, Ints, read_only

#: Units that are worked on at a time, so that what is made of them stays in the processor's cache.
BLOCK = 8192


@dataclass(frozen=True, eq=False)
class Arranged:
    """A balanced panel, sorted by cohort.

    Attributes
    ----------
    order : Ints, shape (n,)
        The unit at each place.
    bounds : Ints, shape (cohorts + 2,)
        Where each cohort begins; the never treated are the last one.
    outcome : Floats, shape (n, n_periods)
        Outcome minus that of the unit's first period: comparisons of changes do not see the difference, and no digit is
        lost to the level of a unit.
    weights : Floats, shape (n, 1) or (n, n_periods), or None
        One column where they do not vary over time.
    covariates : Floats, shape (p, n, 1) or (p, n, n_periods), or None
    """

    order: Ints
    bounds: Ints
    outcome: Floats
    weights: Floats | None
    covariates: Floats | None

    @classmethod
    def of(cls, cohorts: Cohorts) -> Arranged:
        """Sort the units of a panel in which every unit is observed in every period."""
        small = cohorts.of_unit.astype(np.uint16) if len(cohorts.starts) < 2**16 else cohorts.of_unit
        order = np.argsort(small, kind="stable")  # counts, for short integers
        wide = cohorts.outcome
        outcome = np.empty_like(wide, order="C")
        for start in range(0, len(order), BLOCK):
            some = wide[order[start : start + BLOCK]]
            np.subtract(some, some[:, :1], out=outcome[start : start + BLOCK])
        bounds = np.concatenate([[0], np.cumsum(cohorts.sizes)])
        weights = None if cohorts.weights is None else _shortened(cohorts.weights)[order]
        return cls(order, bounds, read_only(outcome), weights, _covariates(cohorts, order))

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.order)

    @property
    def is_fixed(self) -> bool:
        """Whether neither weights nor covariates vary over time."""
        given = [part for part in (self.weights, self.covariates) if part is not None]
        return all(part.shape[-1] == 1 for part in given)

    def blocks(self, cohort: int) -> Iterator[slice]:
        """Return the places of a cohort, a few thousand at a time."""
        start, stop = int(self.bounds[cohort]), int(self.bounds[cohort + 1])
        for first in range(start, stop, BLOCK):
            yield slice(first, min(first + BLOCK, stop))

    def weight(self, some: slice, base: int) -> Floats:
        """Return the weights of some units in a base period, shape (m,)."""
        if self.weights is None:
            return np.ones(some.stop - some.start)
        return self.weights[some, base if self.weights.shape[1] > 1 else 0]

    def design(self, some: slice, base: int) -> Floats:
        """Return ones and the covariates of some units in a base period, shape (1 + p, m)."""
        ones = np.ones((1, some.stop - some.start))
        if self.covariates is None:
            return ones
        at = base if self.covariates.shape[2] > 1 else 0
        return np.concatenate([ones, self.covariates[:, some, at]])


def _shortened(wide: Floats) -> Floats:
    """Return one column where all are alike."""
    return wide[:, :1] if (wide == wide[:, :1]).all() else wide


def _covariates(cohorts: Cohorts, order: Ints) -> Floats | None:
    """Return covariates around their mean in units of their spread: comparisons do not change, products keep digits."""
    values = cohorts.covariates()
    if values.shape[1] == 0:
        return None
    parts = []
    for column in values.T:
        wide = _shortened(cohorts.panel.wide(column))[order]
        moved = wide - wide.mean()
        spread = float(np.sqrt((moved**2).mean()))
        parts.append(moved / spread if spread > 0 else moved)
    width = max(part.shape[1] for part in parts)
    return np.stack([part if part.shape[1] == width else np.repeat(part, width, axis=1) for part in parts])
