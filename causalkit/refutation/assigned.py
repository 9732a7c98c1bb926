"""Dealing the treatment out anew: the assigned columns are permuted among the rows, units or clusters they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from causalkit.core.estimator import Estimator
from causalkit.core.features import Features
from causalkit.core.rows import Groups
from causalkit.core.sample import Column, Number, Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints

Within = Literal["same", "period", "any"]
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
    within : {"same", "period", "any"}
        All rows of a block have the same treatment; or it varies over periods, and a row takes what the donor had in its
        period (where the donor was not seen: in the last one before, else in its first); or it varies in no order, and
        the rows take those of the donor at random.
    period : Codes, shape (n,), or None
        The period of each row, for ``"period"``.
    said : str
        What was dealt out among what.
    """

    sample: Sample
    roles: tuple[str, ...]
    block: Ints
    within: Within
    period: Codes | None
    said: str

    def permuted(self, rng: np.random.Generator) -> Iterator[Sample]:
        """Yield the sample with the treatment dealt out anew, without end.

        Every block may take the treatment of every other, so that what is dealt out has nothing to do with the real
        treatment, nor with what tells blocks apart.
        """
        size = np.bincount(self.block)
        while True:
            moved = self.sample.take(self._rows_of(rng.permutation(len(size)), size, rng))
            out = self.sample
            for role in self.roles:
                out = out.with_column(role, moved.columns[role])
            yield out

    def _rows_of(self, donor: Ints, size: Ints, rng: np.random.Generator) -> Ints:
        """Return the row whose treatment each row takes, given the donor of each block."""
        start = np.r_[0, np.cumsum(size)[:-1]]
        mine = donor[self.block]
        if self.within == "same":
            same: Ints = np.argsort(self.block, kind="stable")[start[mine]]
            return same
        if self.within == "any":
            order = np.lexsort((rng.random(len(self.block)), self.block))
            rank = np.empty(len(order), dtype=np.int64)
            rank[np.lexsort((rng.random(len(order)), self.block))] = np.arange(len(order))
            anyhow: Ints = order[start[mine] + (rank - start[self.block]) % size[mine]]
            return anyhow
        assert self.period is not None
        order = np.lexsort((self.period, self.block))
        span = int(self.period.max()) + 1
        key = self.block[order] * span + self.period[order]
        at = np.searchsorted(key, mine * span + self.period, side="right") - 1
        out: Ints = order[np.maximum(at, start[mine])]
        return out


def dealing(estimator: Estimator[Any], sample: Sample) -> Dealing:
    """Say how the treatment of this analysis may be dealt out anew.

    Among clusters where all rows of each have the same treatment; whole paths among units where units were assigned;
    among clusters, and then among the rows of each, where it varies within them, so that rows of a cluster stay as alike
    in treatment as they were; else among rows.

    Raises
    ------
    InferenceUnavailable
        If the estimator declares no assignment, or there is one block only.
    """
    assignment = estimator.assignment
    given = [] if assignment is None else [name for name in (assignment.role, "cohort") if sample.has(name)]
    if assignment is None or not given:
        raise InferenceUnavailable(f"{type(estimator).__name__} does not say what was assigned to whom.")
    role = given[0]
    roles = tuple(name for name in dict.fromkeys((role, *_TRAVEL)) if sample.has(name))
    cluster, unit = sample.groups("cluster"), sample.groups("unit")
    whole = [
        (groups, what) for groups, what in ((cluster, "clusters"), (unit, "units")) if _constant(sample, roles, groups)
    ]
    if whole and (assignment.level != "row" or whole[0][1] == "clusters"):
        groups, what = whole[0]
        return _dealt(sample, roles, groups, "same", f"{role} among {what}")
    if assignment.level == "unit" and unit is not None:
        time = sample.groups("time")
        period = np.zeros(sample.n, dtype=np.int32) if time is None else time.codes
        return _dealt(sample, roles, unit, "period", f"paths of {role} among units", period)
    if cluster is not None:
        return _dealt(sample, roles, cluster, "any", f"{role} among clusters, and among the rows of each")
    return _dealt(sample, roles, None, "same", f"{role} among rows")


def _dealt(
    sample: Sample,
    roles: tuple[str, ...],
    groups: Groups | None,
    within: Within,
    said: str,
    period: Codes | None = None,
) -> Dealing:
    """Number the blocks, and refuse where there is nothing to exchange."""
    block = np.arange(sample.n) if groups is None else np.unique(groups.codes, return_inverse=True)[1]
    if block.max() == 0:
        raise InferenceUnavailable(
            "all rows belong to one cluster or unit, so there is nobody to exchange treatments with."
        )
    return Dealing(sample, roles, block, within, period, said)


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
