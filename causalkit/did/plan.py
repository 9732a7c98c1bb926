"""Which comparison each effect by cohort and time makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from causalkit.did.cells import Cells
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints

ControlGroup = Literal["never_treated", "not_yet_treated"]


class Adoption(Protocol):
    """Who is first treated when, in numbers: what a plan needs of :class:`causalkit.did.cohorts.Cohorts`."""

    @property
    def starts(self) -> Ints:
        """Distinct starts of the units that are treated, ascending."""

    @property
    def sizes(self) -> Ints:
        """Units of each cohort, the never treated last."""

    @property
    def n_periods(self) -> int:
        """Number of periods."""

    @property
    def labels(self) -> tuple[Any, ...]:
        """Label of each cohort."""

    @property
    def periods(self) -> tuple[Any, ...]:
        """Labels of the periods, in order."""

    @property
    def event_times(self) -> Floats:
        """Time since the start, shape (cohorts, periods)."""


@dataclass(frozen=True)
class Cell:
    """One comparison: a cohort, a period, its base period, and the cohorts of the controls.

    Parameters
    ----------
    cohort : int
        Position of the cohort in ``Cohorts.starts``.
    time, base : int
        Positions of the periods.
    controls : tuple of int
        Positions of the control cohorts; ``len(starts)`` is the never treated.
    """

    cohort: int
    time: int
    base: int
    controls: tuple[int, ...]


def plan_cells(
    cohorts: Adoption, control_group: ControlGroup, base_period: Literal["varying", "universal"], anticipation: int
) -> list[Cell]:
    """List the comparisons that can be made.

    Parameters
    ----------
    cohorts : Cohorts or Adoption
    control_group : {"never_treated", "not_yet_treated"}
        The not yet treated of a cell are not treated (nor anticipate it) in either of its two periods.
    base_period : {"varying", "universal"}
        What cells before the start are measured from: the period before theirs, or the last one without treatment.
    anticipation : int
        Periods before the start in which units may already respond.

    Returns
    -------
    list of Cell

    Raises
    ------
    DesignError
        If no comparison can be made.
    """
    never, starts = len(cohorts.starts), cohorts.starts.tolist()
    # Without never-treated units the last cohort is what the others are compared with.
    compared = starts if cohorts.sizes[never] else starts[:-1]
    untreated = _untreated_cohorts(cohorts, control_group, anticipation)
    cells = []
    for g, start in enumerate(compared):
        clean = start - anticipation - 1
        if clean < 0:
            continue
        for t in range(cohorts.n_periods):
            base = clean if base_period == "universal" or t >= start else t - 1
            if base < 0 or base == t:
                continue
            controls = untreated[max(t, base)]
            if g in controls:
                controls = tuple(c for c in controls if c != g)
            if controls:
                cells.append(Cell(g, t, base, controls))
    if not cells:
        raise DesignError(
            "no comparison can be made: no cohort has both an untreated period before its start and control units.",
            hint='Use control_group="not_yet_treated", a smaller anticipation=, or add earlier periods.',
        )
    return cells


def require_treated(post: Bools) -> None:
    """Raise unless some effect is one of treatment.

    Raises
    ------
    DesignError
    """
    if not np.any(post):
        raise DesignError(
            "no effect after the start can be estimated: no treated row has untreated ones in its period to compare with.",
            hint="Add units that are treated later or never, or use a smaller anticipation=.",
        )


def _untreated_cohorts(cohorts: Adoption, control_group: ControlGroup, anticipation: int) -> list[tuple[int, ...]]:
    """Return, for each period, the cohorts with units that do not respond to a treatment in it or earlier."""
    never, starts, sizes = len(cohorts.starts), cohorts.starts.tolist(), cohorts.sizes.tolist()
    there = [c for c in range(never if control_group == "not_yet_treated" else 0) if sizes[c]]
    always = (never,) if sizes[never] else ()
    return [(*(c for c in there if starts[c] - anticipation > t), *always) for t in range(cohorts.n_periods)]


def places(plan: Sequence[Cell]) -> tuple[Ints, Ints, Ints]:
    """Return the cohort, the period and the base period of each cell, as positions."""
    cohort, time, base = np.array([(cell.cohort, cell.time, cell.base) for cell in plan], dtype=np.int64).T.copy()
    return cohort, time, base


def control_sets(plan: Sequence[Cell], count: int) -> tuple[Bools, Ints]:
    """Return the sets of controls that occur, as rows of flags over ``count`` cohorts, and which one each cell has."""
    place: dict[tuple[int, ...], int] = {}
    of = np.array([place.setdefault(cell.controls, len(place)) for cell in plan], dtype=np.int64)
    sets = np.zeros((len(place), count), dtype=np.bool_)
    for row, there in enumerate(place):
        sets[row, list(there)] = True
    return sets, of


def idle_cohorts(cohorts: Adoption, plan: Sequence[Cell]) -> Ints:
    """Return the cohorts (the never treated last) that have units and enter no comparison."""
    busy = {cell.cohort for cell in plan}.union(*{cell.controls for cell in plan})
    return np.array([c for c, size in enumerate(cohorts.sizes.tolist()) if size and c not in busy], dtype=np.int64)


def idle_note(cohorts: Adoption, idle: Ints) -> tuple[str, ...]:
    """Name the cohorts that enter no comparison, for they start too early or nobody is left to compare them with."""
    names = (*map(str, cohorts.labels), "never")
    told = ", ".join(f"{names[c]} ({cohorts.sizes[c]:,})" for c in idle)
    return (f"Cohorts in no comparison, left out: {told}.",) if len(idle) else ()


def cells_of(cohorts: Adoption, plan: Sequence[Cell], counts: Ints) -> Cells:
    """Describe planned comparisons as cells of an event study; ``counts`` holds treated and control units."""
    g, t, _ = places(plan)
    labels, periods = cohorts.labels, cohorts.periods
    return Cells(
        tuple(map(labels.__getitem__, g.tolist())),
        tuple(map(periods.__getitem__, t.tolist())),
        cohorts.event_times[g, t],
        np.asarray(t >= cohorts.starts[g]),
        g,
        counts[0],
        counts[1],
    )


def reference_of(cohorts: Adoption, anticipation: int) -> float | None:
    """Event time of the universal base period, where it is the same for all cohorts."""
    base = cohorts.starts - anticipation - 1
    found = np.unique([cohorts.event_times[g, b] for g, b in enumerate(base) if b >= 0])
    return float(found[0]) if len(found) == 1 else None


def said(cohorts: Adoption, cell: Cell) -> str:
    """Name a cell."""
    return f"{cohorts.labels[cell.cohort]} in {cohorts.periods[cell.time]}"
