"""The columns of a table that a graph speaks of, as numbers and codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError
from causalkit.kernels.arrays import Bools, Codes, Floats, read_only

#: A column of numbers with at most so many values may be tested by counts.
FEW = 5


@dataclass(frozen=True, eq=False)
class Measured:
    """One column per measured node.

    Parameters
    ----------
    names : tuple of str
        The columns, in the order of the nodes.
    values : Floats, shape (n, p)
        Numbers; codes where the column holds categories, NaN where missing.
    categories : tuple of bool
        Whether a column holds text, categories or dates, so that its codes have no order.
    levels : tuple of int
        Distinct values of each column.
    """

    names: tuple[str, ...]
    values: Floats
    categories: tuple[bool, ...]
    levels: tuple[int, ...]

    @classmethod
    def read(cls, data: Any, names: Sequence[str]) -> Measured:
        """Read the columns named like the nodes.

        Parameters
        ----------
        data : table
        names : sequence of str
            Nodes that were measured.

        Raises
        ------
        DataError
            If columns are missing (all are named), or one is infinite somewhere, or never varies.
        """
        frame = Frame.read(data)
        lacking = [name for name in names if name not in frame.columns]
        if lacking:
            shown = ", ".join(map(repr, lacking[:10]))
            raise DataError(
                f"{len(lacking)} nodes of the graph have no column: {shown}.",
                hint="Add them, rename columns like the nodes, or declare the nodes as latent=.",
                column=lacking[0],
            )
        frame = frame.select(names).collect() if frame.is_lazy else frame
        columns = [_column(frame, name) for name in names]
        values = np.column_stack([values for values, _, _ in columns])
        return cls(tuple(names), read_only(values), tuple(c for _, c, _ in columns), tuple(k for _, _, k in columns))

    @property
    def n(self) -> int:
        """Rows of the table."""
        return len(self.values)

    @cached_property
    def present(self) -> Bools:
        """Where a value is there, shape (n, p)."""
        return ~np.isnan(self.values)

    @cached_property
    def gaps(self) -> frozenset[int]:
        """Columns in which a value is missing somewhere."""
        return frozenset(np.flatnonzero(~self.present.all(axis=0)).tolist())

    def rows(self, columns: frozenset[int]) -> Bools:
        """Return where every one of some columns is there."""
        return np.asarray(self.present[:, sorted(columns & self.gaps)].all(axis=1))

    def complete(self) -> Measured:
        """Return the rows where every column is there."""
        if not self.gaps:
            return self
        kept = self.values[self.rows(self.gaps)]
        return Measured(self.names, read_only(kept), self.categories, self.levels)

    def codes(self, column: int, rows: Bools) -> Codes:
        """Return the values of a column as codes, from zero."""
        return np.unique(self.values[rows, column], return_inverse=True)[1].astype(np.int32)

    def matrix(self, columns: Sequence[int], rows: Bools) -> Floats:
        """Return columns as numbers: categories become indicators, without the first."""
        parts = [np.empty((int(rows.sum()), 0))]
        for column in columns:
            x = self.values[rows, column]
            if self.categories[column]:
                parts.append((x[:, None] == np.unique(x)[1:]).astype(float))
            else:
                parts.append(x[:, None])
        return np.hstack(parts)


def _column(frame: Frame, name: str) -> tuple[Floats, bool, int]:
    if frame.is_numeric(name):
        values, category = frame.numeric(name), False
        bad = np.isinf(values)
        if bad.any():
            raise DataError(
                f"column {name!r} holds {int(bad.sum())} infinite values, the first in row {first_rows(bad)[0]}.",
                hint="Replace them or leave the rows out.",
                column=name,
                rows=first_rows(bad),
            )
    else:
        codes, _ = frame.labels(name)
        values, category = np.where(codes < 0, np.nan, codes.astype(float)), True
    levels = len(np.unique(values[~np.isnan(values)]))
    if levels < 2:
        raise DataError(
            f"column {name!r} never varies, so that nothing can depend on it.",
            hint="Declare the node as latent= or, if it decides who is in the data, selected=.",
            column=name,
        )
    return values, category, levels
