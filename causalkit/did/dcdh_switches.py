"""When a treatment of any level first changes, in which direction, and who can be compared with whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from causalkit.core.panel import Panel
from causalkit.core.sample import Arms, Number, Sample
from causalkit.did.left_out import LeftOut
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints

Unbalanced = Literal["drop", "cells", "raise"]


@dataclass(frozen=True, eq=False)
class Switches:
    """A panel whose treatment may change at any time, by any amount.

    Parameters
    ----------
    panel : Panel
        Units and periods of the rows that are used; ``panel.sample`` holds them.
    outcome, treatment : Floats, shape (n_units, n_periods)
        NaN where a unit was not observed, or its treatment has been both above and below its baseline.
    weights : Floats, shape (n_units, n_periods)
    baseline : Floats, shape (n_units,)
        Treatment in the unit's first period.
    first : Ints, shape (n_units,)
        Position of the period in which the treatment first differs from the baseline; ``n_periods`` where it never does.
    direction : Ints, shape (n_units,)
        1 where that change is an increase, -1 where it is a decrease, 0 where there is none.
    crossed : int
        Units that are left out from the period on in which they have been on both sides of their baseline.
    left_out : tuple of LeftOut
        Units that were left out altogether.
    """

    panel: Panel
    outcome: Floats
    treatment: Floats
    weights: Floats
    baseline: Floats
    first: Ints
    direction: Ints
    crossed: int
    left_out: tuple[LeftOut, ...] = ()

    @classmethod
    def of(cls, sample: Sample, unbalanced: Unbalanced) -> Switches:
        """Read a bound sample.

        Parameters
        ----------
        sample : Sample
            With the roles ``outcome``, ``unit``, ``time`` and ``treatment``.
        unbalanced : {"drop", "cells", "raise"}
            Units that are not observed in every period are left out, used where they are observed, or an error.

        Raises
        ------
        DataError
            If a unit is observed twice in a period, or not in every period with ``unbalanced="raise"``.
        DesignError
            If the treatment has more than two levels that are not numbers, or never changes.
        """
        panel, left_out = _balanced(Panel.of(sample), unbalanced)
        outcome, treatment = panel.wide(panel.sample.outcome), panel.wide(_levels(panel.sample))
        weights = panel.sample.optional("weights")
        wide = np.ones_like(outcome) if weights is None else np.nan_to_num(panel.wide(weights))
        start = np.argmax(~np.isnan(treatment), axis=1)
        baseline = treatment[np.arange(panel.n_units), start]
        gap = treatment - baseline[:, None]
        both = np.logical_or.accumulate(gap > 0, axis=1) & np.logical_or.accumulate(gap < 0, axis=1)
        changed = (gap != 0) & ~np.isnan(gap)
        first = np.where(changed.any(axis=1), np.argmax(changed, axis=1), panel.n_periods)
        at = np.minimum(first, panel.n_periods - 1)
        direction = np.where(first < panel.n_periods, np.sign(gap[np.arange(panel.n_units), at]), 0).astype(np.int64)
        if not direction.any():
            name = sample.name("treatment")
            raise DesignError(
                f"treatment {name!r} never changes within a unit.",
                hint="DCDH compares units whose treatment changes with units whose treatment does not.",
                column=name,
            )
        outcome, treatment = np.where(both, np.nan, outcome), np.where(both, np.nan, treatment)
        return cls(panel, outcome, treatment, wide, baseline, first, direction, int(both.any(axis=1).sum()), left_out)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.panel.n_units

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return self.panel.n_periods

    @cached_property
    def baseline_code(self) -> Ints:
        """Position of each unit's baseline among the baselines: units are compared with those of the same one."""
        return np.unique(self.baseline, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def cohort_code(self) -> Ints:
        """Units with the same baseline, the same first change and the same treatment after it."""
        at = np.minimum(self.first, self.n_periods - 1)
        after = np.where(self.first < self.n_periods, self.treatment[np.arange(self.n_units), at], np.inf)
        keys = np.column_stack([self.baseline, self.first, after])
        return np.unique(keys, axis=0, return_inverse=True)[1].ravel().astype(np.int64)

    @cached_property
    def clusters(self) -> Codes | None:
        """Cluster of each unit; None where units are their own."""
        way = self.panel.sample.groups("cluster")
        if way is None or way.name == self.panel.unit.name:
            return None
        if way.count < 2:
            raise DesignError(
                f"cluster {way.name!r} has one cluster only.",
                hint="Clustered inference needs two or more, and many to be trusted.",
                column=way.name,
            )
        return self.panel.constant("cluster")


def _levels(sample: Sample) -> Floats:
    column = sample.columns["treatment"]
    if isinstance(column, Number):
        return column.values
    assert isinstance(column, Arms)
    if column.count > 2:
        raise DesignError(
            f"treatment {column.name!r} has {column.count} levels that are not numbers.",
            hint="Give its levels as numbers, whose order and distance count.",
            column=column.name,
        )
    return column.codes.astype(float)


def _balanced(panel: Panel, unbalanced: Unbalanced) -> tuple[Panel, tuple[LeftOut, ...]]:
    partial = np.bincount(panel.unit.codes, minlength=panel.n_units) < panel.n_periods
    if unbalanced == "cells" or not partial.any():
        return panel, ()
    unit = panel.unit
    if unbalanced == "raise" or partial.all():
        raise DataError(
            f"{int(partial.sum())} units are not observed in every period, first "
            f"{unit.name}={unit.labels[int(np.argmax(partial))]!r}.",
            hint='Use unbalanced="cells".',
            column=unit.name,
        )
    gone = LeftOut.of(panel, partial, "not observed in every period")
    return Panel.of(without(panel, partial, gone)), (gone,)


def without(panel: Panel, out: Bools, gone: LeftOut) -> Sample:
    """Return the rows of a panel but those of some units."""
    sample = panel.sample.take(np.flatnonzero(~out[panel.unit.codes]))
    return replace(sample, dropped=gone.counted(panel.sample.dropped, panel.unit.name))
