"""Dealing the treatment out anew: the assigned columns are permuted among the rows, units or clusters they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.estimator import Estimator
from causalkit.core.features import Features
from causalkit.core.rows import Groups
from causalkit.core.sample import Column, Number, Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints

#: Roles that belong to the assignment and travel with it, so that no propensity or instrument is left behind.
_TRAVEL = ("treatment", "propensity", "instruments", "cohort", "running")


@dataclass(frozen=True, eq=False)
class Dealing:
    """How the treatment of an analysis is dealt out anew.

    Parameters
    ----------
    sample : Sample
        The rows.
    roles : tuple of str
        The columns that move.
    block : Ints, shape (n,)
        What takes the treatment of another: rows, clusters or units, numbered from zero.
    stratum : Ints, shape (blocks,)
        Blocks change places within a stratum only.
    place : Codes, shape (n,), or None
        Where the treatment varies within a block: the order of its rows, and row j takes the value of row j. None
        where all rows of a block have the same treatment.
    said : str
        What was dealt out among what.
    """

    sample: Sample
    roles: tuple[str, ...]
    block: Ints
    stratum: Ints
    place: Codes | None
    said: str

    def permuted(self, rng: np.random.Generator) -> Iterator[Sample]:
        """Yield the sample with the treatment dealt out anew, without end."""
        members = [np.flatnonzero(self.stratum == code) for code in np.unique(self.stratum)]
        while True:
            donor = np.arange(len(self.stratum))
            for at in members:
                donor[at] = rng.permutation(at)
            moved = self.sample.take(self._rows_of(donor))
            out = self.sample
            for role in self.roles:
                out = out.with_column(role, moved.columns[role])
            yield out

    def _rows_of(self, donor: Ints) -> Ints:
        """Return the row whose treatment each row takes, given the donor of each block."""
        if self.place is None:
            first = np.unique(self.block, return_index=True)[1]
            return first[donor[self.block]]
        order = np.lexsort((self.place, self.block))
        size = np.bincount(self.block)
        start = np.r_[0, np.cumsum(size)[:-1]]
        rows = np.empty(len(order), dtype=np.int64)
        rows[order] = order[np.arange(len(order)) + np.repeat(start[donor] - start, size)]
        return rows


def dealing(estimator: Estimator[Any], sample: Sample) -> Dealing:
    """Say how the treatment of this analysis may be dealt out anew.

    Among clusters where all rows of each have the same treatment; among units with the same periods where units were
    assigned; within clusters where it varies within them; else among rows.

    Raises
    ------
    InferenceUnavailable
        If the estimator declares no assignment.
    """
    assignment = estimator.assignment
    if assignment is None or not sample.has(assignment.role):
        raise InferenceUnavailable(f"{type(estimator).__name__} does not say what was assigned to whom.")
    role = assignment.role
    roles = tuple(name for name in dict.fromkeys((role, *_TRAVEL)) if sample.has(name))
    cluster, unit = sample.groups("cluster"), sample.groups("unit")
    whole = [
        (groups, what) for groups, what in ((cluster, "clusters"), (unit, "units")) if _constant(sample, roles, groups)
    ]
    if whole and (assignment.level != "row" or whole[0][1] == "clusters"):
        groups, what = whole[0]
        block = np.unique(groups.codes, return_inverse=True)[1]  # type: ignore[union-attr]
        return Dealing(sample, roles, block, np.zeros(block.max() + 1, dtype=np.int64), None, f"{role} among {what}")
    if assignment.level == "unit" and unit is not None:
        return _paths(sample, roles, unit, role)
    rows = np.arange(sample.n)
    if cluster is None:
        return Dealing(sample, roles, rows, np.zeros(sample.n, dtype=np.int64), None, f"{role} among rows")
    within = cluster.codes.astype(np.int64)
    return Dealing(sample, roles, rows, within, None, f"{role} among the rows of each cluster")


def _paths(sample: Sample, roles: tuple[str, ...], unit: Groups, role: str) -> Dealing:
    """Exchange whole paths of treatment between units that were seen in the same periods."""
    time = sample.groups("time")
    place = np.zeros(sample.n, dtype=np.int32) if time is None else time.codes
    block = np.unique(unit.codes, return_inverse=True)[1]
    order = np.lexsort((place, block))
    ends = np.cumsum(np.bincount(block))[:-1]
    seen: dict[bytes, int] = {}
    stratum = [seen.setdefault(part.tobytes(), len(seen)) for part in np.split(place[order], ends)]
    return Dealing(sample, roles, block, np.array(stratum), place, f"paths of {role} among units with the same periods")


def _constant(sample: Sample, roles: tuple[str, ...], groups: Groups | None) -> bool:
    """Whether the rows of every group have the same treatment."""
    if groups is None:
        return False
    order = np.argsort(groups.codes, kind="stable")
    same = np.diff(groups.codes[order]) == 0
    return all(
        not np.any(np.diff(values[order])[same] != 0) for role in roles for values in _vectors(sample.columns[role])
    )


def _vectors(column: Column) -> list[Floats]:
    if isinstance(column, tuple):
        return [values for part in column for values in _vectors(part)]
    if isinstance(column, Features):
        return list(column.values.T)
    return [column.values if isinstance(column, Number) else column.codes.astype(float)]
