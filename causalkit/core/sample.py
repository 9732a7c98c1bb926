"""A Sample: the rows of a study as read-only arrays, validated once, ready for any estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core.features import Features
from causalkit.core.rows import Groups, Rows
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only


@dataclass(frozen=True, eq=False)
class Arms:
    """A treatment with levels.

    Parameters
    ----------
    codes : Codes, shape (n,)
        0 is the control, 1 the arm of interest, further arms follow.
    levels : tuple
        The label of each code.
    name : str
        The column.
    """

    codes: Codes
    levels: tuple[object, ...]
    name: str

    @property
    def control(self) -> object:
        """The level that the others are compared with."""
        return self.levels[0]

    @property
    def treatment_level(self) -> object:
        """The arm of interest."""
        return self.levels[1]

    @property
    def count(self) -> int:
        """Number of arms, the control among them."""
        return len(self.levels)

    def contrast(self, arm: int = 1) -> str:
        """Say in words what is compared: ``coupon minus no_coupon``."""
        return f"{self._said(arm)} minus {self._said(0)}"

    def _said(self, arm: int) -> str:
        level = self.levels[arm]
        return level if isinstance(level, str) else f"{self.name}={level}"


@dataclass(frozen=True, eq=False)
class Number:
    """A numeric column."""

    values: Floats
    name: str


Column = Number | Groups | Arms | Features | tuple[Groups, ...] | tuple[Number, ...]


@dataclass(frozen=True)
class Dropped:
    """Rows that a fit left out.

    Parameters
    ----------
    reasons : tuple of (reason, column, count, first row)
        Why rows were left out, in the order in which the reasons were applied. The rows of a lazy table have no
        number: there the first row is None.
    total : int
        Rows left out.
    by_arm : tuple of (level, rows, rows without an outcome)
        All rows of the table by arm, and those whose outcome is missing; empty where there are no arms or outcomes.
    by_arm_and_cluster : tuple of (arm, cluster, rows, rows without an outcome)
        The same by code of arm and cluster, where one cluster column was named.
    """

    reasons: tuple[tuple[str, str, int, int | None], ...] = ()
    total: int = 0
    by_arm: tuple[tuple[object, int, int], ...] = ()
    by_arm_and_cluster: tuple[tuple[int, int, int, int], ...] = ()

    def plus(self, reason: str, column: str, rows: int, first: int | None) -> Dropped:
        """Return the account with one more reason.

        Parameters
        ----------
        reason, column : str
            Why rows were left out, and by which column.
        rows : int
            How many.
        first : int or None
            The first of them in the user's table.
        """
        return replace(self, reasons=(*self.reasons, (reason, column, rows, first)), total=self.total + rows)

    def to_table(self) -> Table:
        """Return the reasons as a table."""
        return Table.of(("reason", "column", "rows", "first row"), self.reasons)


@dataclass(frozen=True, eq=False)
class Sample:
    """The bound rows of a study.

    Parameters
    ----------
    columns : mapping of role to column
        Read-only arrays by role.
    rows : Rows
        Positions in the user's table, and the identity of that table.
    n_input : int
        Rows of the user's table.
    dropped : Dropped
        What was left out, and why.
    given : mapping
        The keywords of ``fit``, to replay the analysis on other data.
    """

    columns: Mapping[str, Column]
    rows: Rows
    n_input: int
    dropped: Dropped = Dropped()
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def has(self, role: str) -> bool:
        """Whether the role was given."""
        return role in self.columns

    def number(self, role: str) -> Floats:
        """Return a numeric role, shape (n,)."""
        column = self.columns[role]
        if not isinstance(column, Number):
            raise DesignError(f"the role {role!r} is not numeric here.")
        return column.values

    def numbers(self, role: str) -> tuple[Number, ...]:
        """Return a role that names several numeric columns; empty where it was not given."""
        column = self.columns.get(role, ())
        if not isinstance(column, tuple) or any(not isinstance(part, Number) for part in column):
            raise DesignError(f"the role {role!r} does not hold numeric columns here.")
        return column  # type: ignore[return-value]

    def name(self, role: str) -> str:
        """Return the column that plays a role."""
        column = self.columns[role]
        return column.name if isinstance(column, Number | Groups | Arms) else str(self.given.get(role))

    @property
    def outcome(self) -> Floats:
        """The outcome, shape (n,)."""
        return self.number("outcome")

    @property
    def arms(self) -> Arms:
        """The treatment as arms."""
        column = self.columns["treatment"]
        if not isinstance(column, Arms):
            raise DesignError(
                "the treatment is a dose here; this needs arms.", hint="Name the baseline level: control=."
            )
        return column

    def groups(self, role: str) -> Groups | None:
        """Return a label role such as ``unit`` or ``cluster``; None where it was not given, or names several columns."""
        column = self.columns.get(role)
        if isinstance(column, tuple) and len(column) == 1:
            (column,) = column
        return column if isinstance(column, Groups) else None

    def several(self, role: str) -> tuple[Groups, ...]:
        """Return a label role that may name several columns; empty where it was not given."""
        column = self.columns.get(role, ())
        if isinstance(column, Groups):
            return (column,)
        return tuple(part for part in column if isinstance(part, Groups)) if isinstance(column, tuple) else ()

    def features(self, role: str = "covariates") -> Features:
        """Return covariates; a matrix without columns where none were given."""
        from causalkit.core.features import Schema

        column = self.columns.get(role)
        return column if isinstance(column, Features) else Features(np.empty((self.n, 0)), Schema((), ()))

    def optional(self, role: str) -> Floats | None:
        """Return a numeric role, or None where it was not given."""
        return self.number(role) if self.has(role) else None

    def take(self, at: Ints) -> Sample:
        """Return some of the rows, in the order asked for (rows may repeat)."""
        labels = None if self.rows.labels is None else self.rows.labels[at]
        rows = Rows(read_only(self.rows.positions[at]), self.rows.token, labels)
        return replace(self, columns={role: _take(column, at) for role, column in self.columns.items()}, rows=rows)

    def with_column(self, role: str, column: Column) -> Sample:
        """Return the sample with one role replaced: how a refuter alters an analysis."""
        return replace(self, columns={**self.columns, role: column})

    @cached_property
    def canonical_order(self) -> Ints:
        """An order of the rows that depends on numbers only, never on labels or on the user's order.

        Rows are sorted by the numeric roles and arm codes; label roles enter through the size and the mean outcome
        of their groups, so that renaming a village changes nothing.
        """
        from causalkit.core.canonical import canonical_order

        return canonical_order(self)

    def canonical(self) -> Sample:
        """Return the rows in canonical order, with the codes of labels renumbered by first appearance."""
        from causalkit.core.canonical import renumbered

        return renumbered(self.take(self.canonical_order))


def _take(column: Column, at: Ints) -> Column:
    if isinstance(column, tuple):
        return tuple(_take(part, at) for part in column)  # type: ignore[return-value]
    if isinstance(column, Features):
        return column.take(at)
    if isinstance(column, Number):
        return replace(column, values=read_only(column.values[at]))
    return replace(column, codes=read_only(column.codes[at]))
