"""Columns of a lazy table under names that are safe in any engine, and what an engine can tell about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from causalkit.data.engines import fetch_small, renamed
from causalkit.data.expressions import indicator, is_infinite, is_missing
from causalkit.data.frame import Frame
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, eq=False)
class LazyColumns:
    """Some columns of a lazy table: ``x0``, ``x1``, ... to compute with, and ``k0``, ``k1``, ... as they are.

    Numbers and booleans are floating in ``x``, text and categories are text.

    Attributes
    ----------
    frame : Frame
        The table they were taken from.
    names : tuple of str
        Their names in that table.
    table : narwhals LazyFrame
        The columns under our names.
    """

    frame: Frame
    names: tuple[str, ...]
    table: Any

    @classmethod
    def of(cls, frame: Frame, names: Sequence[str]) -> LazyColumns:
        """Take columns of a lazy table, each once."""
        chosen = frame.select(names)
        kept = chosen.columns
        table = renamed(chosen.table, [f"k{place}" for place in range(len(kept))])
        read = [_read(frame, name, f"k{place}").alias(f"x{place}") for place, name in enumerate(kept)]
        return cls(frame, kept, table.with_columns(*read))

    def place(self, name: str) -> int:
        """Return the number in our name of a column."""
        return self.names.index(name)

    def value(self, name: str) -> str:
        """Return our name of a column to compute with."""
        return f"x{self.place(name)}"

    def missing(self, name: str) -> nw.Expr:
        """Return whether a value is null or NaN."""
        return is_missing(self.value(name), floating=self.frame.is_numeric(name))

    def levels(self, name: str, limit: int) -> tuple[Frame, Floats] | None:
        """Query the distinct values of a column, and how many rows hold each; None where they are more than ``limit``.

        Returns
        -------
        levels : Frame
            One column of the name asked for; a missing value may be among its rows.
        counts : (m,) float array
        """
        key = f"k{self.place(name)}"
        counted = self.table.group_by(key).agg(nw.len().alias("n")).head(limit + 1)
        found = Frame.read(fetch_small(counted))
        if found.n_rows > limit:
            return None
        table = found.table.select(nw.col(key).alias(name))
        return Frame(table, found.token), found.numeric("n")

    def has_other_than(self, name: str, values: Sequence[float]) -> bool:
        """Query whether a numeric column holds any value besides these and missing ones."""
        column, known = self.value(name), self.missing(name)
        for value in values:
            known = known | (nw.col(column) == value).fill_null(False)
        counted = self.table.select(indicator(~known).alias("n")).select(nw.col("n").sum())
        return bool(np.nan_to_num(Frame.read(fetch_small(counted)).numeric("n"))[0] > 0)

    def example(self, fault: nw.Expr, names: Sequence[str]) -> tuple[object, ...]:
        """Query the values of some columns in one row where ``fault`` holds."""
        keys = [f"k{self.place(name)}" for name in names]
        found = Frame.read(fetch_small(self.table.filter(fault).select(*keys).head(1)))
        labelled = [found.labels(key) for key in keys]
        return tuple(labels[codes[0]] if len(codes) and codes[0] >= 0 else None for codes, labels in labelled)

    def infinite(self, name: str) -> nw.Expr:
        """Return whether a value is infinite; a column that is not numeric has none."""
        return is_infinite(self.value(name)) if self.frame.is_numeric(name) else nw.lit(False)


def _read(frame: Frame, name: str, key: str) -> nw.Expr:
    if frame.is_numeric(name):
        return nw.col(key).cast(nw.Float64)
    return nw.col(key).cast(nw.String) if frame.is_text(name) else nw.col(key)
