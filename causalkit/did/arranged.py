"""Units in the order of their cohorts, so that a cohort is a slice and not a list of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.kernels.arrays import Floats, Ints, read_only

#: Units that are worked on at a time, so that what is made of them stays in the processor's cache.
BLOCK = 4096
#: Units, about, that tell the constant of a period: it need only be near.
_SAMPLED = 512


@dataclass(frozen=True, eq=False)
class Arranged:
    """A balanced panel, sorted by cohort.

    Attributes
    ----------
    order : Ints, shape (n,)
        The unit at each place.
    bounds : Ints, shape (cohorts + 2,)
        Where each cohort begins; the never treated are the last one.
    outcome : Floats, shape (n_periods, n)
        Outcome minus that of the unit's first period and a constant of the period: comparisons of changes do not see the
        difference, and no digit is lost to the level of a unit or to a trend.
    weights : Floats, shape (1, n) or (n_periods, n), or None
        One row where they do not vary over time.
    designs : Floats, shape (1, 1 + p, n) or (n_periods, 1 + p, n), or None
        Ones and covariates; None without covariates.
    """

    order: Ints
    bounds: Ints
    outcome: Floats
    weights: Floats | None
    designs: Floats | None

    @classmethod
    def of(cls, cohorts: Cohorts) -> Arranged:
        """Sort the units of a panel in which every unit is observed in every period."""
        short = np.min_scalar_type(len(cohorts.starts))
        order = np.argsort(cohorts.of_unit.astype(short), kind="stable")  # counts, for short integers
        wide = cohorts.outcome
        outcome = np.empty(wide.shape[::-1])
        sampled = wide[:: max(1, len(order) // _SAMPLED)]
        level = (sampled - sampled[:, :1]).mean(axis=0)[:, None]
        for start in range(0, len(order), BLOCK):
            some, part = wide.take(order[start : start + BLOCK], axis=0), outcome[:, start : start + BLOCK]
            np.subtract(some.T, some[:, 0], out=part)
            part -= level
        bounds = np.concatenate([[0], np.cumsum(cohorts.sizes)])
        weights = None if cohorts.weights is None else _shortened(cohorts.weights)[order].T.copy()
        return cls(order, bounds, read_only(outcome), weights, _designs(cohorts, order))

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.order)

    @property
    def is_fixed(self) -> bool:
        """Whether neither weights nor covariates vary over time."""
        return all(len(part) == 1 for part in (self.weights, self.designs) if part is not None)

    def blocks(self, cohort: int, size: int = BLOCK) -> Iterator[slice]:
        """Return the places of a cohort, at most ``size`` at a time."""
        start, stop = int(self.bounds[cohort]), int(self.bounds[cohort + 1])
        for first in range(start, stop, size):
            yield slice(first, min(first + size, stop))

    def weight(self, some: slice, base: int) -> Floats:
        """Return the weights of some units in a base period, shape (m,)."""
        if self.weights is None:
            return np.ones(some.stop - some.start)
        return self.weights[base if len(self.weights) > 1 else 0, some]

    def design(self, some: slice, base: int) -> Floats:
        """Return ones and the covariates of some units in a base period, shape (1 + p, m)."""
        if self.designs is None:
            return np.ones((1, some.stop - some.start))
        return self.designs[base if len(self.designs) > 1 else 0, :, some]


def _shortened(wide: Floats) -> Floats:
    """Return one column where all are alike."""
    return wide[:, :1] if (wide == wide[:, :1]).all() else wide


def _designs(cohorts: Cohorts, order: Ints) -> Floats | None:
    """Return covariates around their mean in units of their spread: comparisons do not change, products keep digits."""
    if not cohorts.sample.has("covariates"):
        return None
    values = cohorts.covariates()
    if values.shape[1] == 0:
        return None
    parts = [_shortened(cohorts.panel.wide(column)) for column in values.T]
    found = np.ones((max(part.shape[1] for part in parts), 1 + len(parts), len(order)))
    for j, part in enumerate(parts, start=1):
        found[:, j] = standardised(part)[order].T
    return found


def standardised(values: Floats) -> Floats:
    """Return values around their mean, in units of their spread."""
    moved = values - values.mean()
    spread = float(np.sqrt((moved**2).mean()))
    return np.asarray(moved / spread) if spread > 0 else moved
