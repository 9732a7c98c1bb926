"""Panels: units observed over time, checked once for what breaks every panel estimator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only

#: Rows that are worked on at a time; and cells of the grid, for each row, that may be ticked off.
_BLOCK, _LARGE_GRID = 2**16, 32


@dataclass(frozen=True, eq=False)
class Panel:
    """The unit and time structure of a sample.

    Parameters
    ----------
    unit, time : Groups
        Codes per row; time codes are in order of time.
    sample : Sample
        The rows.
    """

    unit: Groups
    time: Groups
    sample: Sample

    @classmethod
    def of(cls, sample: Sample) -> Panel:
        """Read the panel structure.

        Raises
        ------
        DesignError
            If ``unit`` or ``time`` was not given, or there is one period only.
        DataError
            If a unit is observed twice in one period.
        """
        unit, time = sample.groups("unit"), sample.groups("time")
        if unit is None or time is None:
            raise DesignError("a panel needs unit= and time=.", hint="Name both columns.")
        panel = cls(unit, time, sample)
        if not panel.is_sorted:  # then every label occurs
            panel = cls(_compact(unit), _compact(time), sample)
        if panel.n_periods < 2:
            raise DesignError(f"time {time.name!r} has one period only ({panel.time.labels[0]!r}).", column=time.name)
        panel._refuse_duplicates()
        return panel

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.unit.size

    @property
    def n_periods(self) -> int:
        """Number of distinct periods."""
        return self.time.size

    @property
    def is_balanced(self) -> bool:
        """Whether every unit is observed in every period."""
        return self.sample.n == self.n_units * self.n_periods

    @cached_property
    def is_sorted(self) -> bool:
        """Whether rows are the (unit, period) grid itself: balanced, by unit and then by time."""
        if not self.is_balanced:
            return False
        shape = (self.n_units, self.n_periods)
        unit, time = self.unit.layout, self.time.layout
        if unit is not None and time is not None and (unit.each, unit.times, time.each, time.times) == (
            shape[1], 1, 1, shape[0]
        ):  # fmt: skip
            return unit.ascends and time.ascends
        units, times = self.unit.codes.reshape(shape), self.time.codes.reshape(shape)
        return bool(
            (times == np.arange(self.n_periods, dtype=np.int32)).all()
            and (units == np.arange(self.n_units, dtype=np.int32)[:, None]).all()
        )

    @property
    def cell(self) -> Ints:
        """Position of each row in the (unit, period) grid."""
        return self._cells(slice(None))

    def _cells(self, some: slice) -> Ints:
        return np.asarray(self.unit.codes[some].astype(np.int64) * self.n_periods + self.time.codes[some])

    def wide(self, values: Floats) -> Floats:
        """Return values as a (units, periods) matrix with NaN where a unit was not observed."""
        if self.is_sorted:
            return values.reshape(self.n_units, self.n_periods)
        grid = np.full(self.n_units * self.n_periods, np.nan)
        for some in self._blocks():
            grid[self._cells(some)] = values[some]
        return grid.reshape(self.n_units, self.n_periods)

    def _blocks(self) -> Iterator[slice]:
        """Yield the rows a few at a time, so that what is made of them takes no room beside the table."""
        for start in range(0, self.sample.n, _BLOCK):
            yield slice(start, start + _BLOCK)

    def _each_cell_once(self) -> bool:
        """Tell by ticking off the grid that no cell has two rows; False too where the grid is too large for that."""
        size = self.n_units * self.n_periods
        if size > _LARGE_GRID * self.sample.n:
            return False
        there = np.zeros(size, dtype=np.bool_)
        for some in self._blocks():
            there[self._cells(some)] = True
        return int(np.count_nonzero(there)) == self.sample.n

    def constant(self, role: str) -> Codes:
        """Return the code of a label role for each unit.

        Raises
        ------
        DataError
            If it varies within a unit; the error names the first unit and how many there are.
        """
        column = self.sample.groups(role)
        if column is None:
            raise DesignError(f"{role}= is missing.")
        first, varies = self.first_of_unit(column)
        if varies is not None:
            units = np.unique(self.unit.codes[varies])
            row = int(self.sample.rows.positions[np.flatnonzero(varies)[0]])
            raise DataError(
                f"{role} {column.name!r} varies within {len(units)} units, first within "
                f"{self.unit.name}={self.unit.labels[units[0]]!r} (row {row}).",
                hint=f"Give every unit one {role}.",
                column=column.name,
                rows=(row,),
            )
        return first

    def first_of_unit(self, groups: Groups) -> tuple[Codes, Bools | None]:
        """Return the first code of each unit, and for each row whether its code differs from that; None if no row's does."""
        layout = groups.layout
        if layout is not None and self.is_sorted and (layout.each, layout.times) == (self.n_periods, 1):
            return layout.codes, None
        codes = groups.codes
        if self.is_sorted:
            wide = codes.reshape(self.n_units, self.n_periods)
            first, varies = wide[:, 0].copy(), (wide != wide[:, :1]).ravel()
        else:
            first = np.full(self.n_units, -1, dtype=np.int32)
            first[self.unit.codes[::-1]] = codes[::-1]
            varies = first[self.unit.codes] != codes
        return first, varies if varies.any() else None

    def _refuse_duplicates(self) -> None:
        if self.is_sorted or self._each_cell_once():
            return
        cell = self.cell
        order = np.argsort(cell, kind="stable")
        repeated = np.flatnonzero(np.diff(cell[order]) == 0)
        if len(repeated) == 0:
            return
        at = order[repeated + 1]
        row = int(self.sample.rows.positions[at].min())
        culprit = int(np.flatnonzero(self.sample.rows.positions == row)[0])
        unit, time = self.unit.labels[self.unit.codes[culprit]], self.time.labels[self.time.codes[culprit]]
        raise DataError(
            f"{len(repeated)} rows repeat a unit and period, first {self.unit.name}={unit!r}, {self.time.name}={time!r} "
            f"(row {row}).",
            hint="Aggregate or drop the repeats; a panel has one row per unit and period.",
            column=self.unit.name,
            rows=(row,),
        )


def _compact(groups: Groups) -> Groups:
    """Number the labels that occur without gaps, in their order."""
    there = np.zeros(len(groups.labels), dtype=np.bool_)
    there[groups.codes] = True
    if there.all():
        return groups
    codes = (np.cumsum(there) - 1).astype(np.int32)[groups.codes]
    return Groups(read_only(codes), tuple(groups.labels[code] for code in np.flatnonzero(there)), groups.name)
