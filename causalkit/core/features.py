"""Covariates as one matrix of numbers, with categories as integer codes, and the schema that reads new rows alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalkit.core.text_numbers import refuse_numbers_in_text
from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError
from causalkit.kernels.arrays import Bools, Floats, Ints, read_only


@dataclass(frozen=True)
class Schema:
    """Names and categories of the covariates of a fit.

    Parameters
    ----------
    names : tuple of str
        Column names, in the order they were given.
    levels : tuple of (tuple of labels or None)
        For each column, its categories in the order of their codes, or None for numbers.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[object, ...] | None, ...]

    @classmethod
    def of(cls, frame: Frame, names: tuple[str, ...]) -> Schema:
        """Learn the schema of these columns."""
        return cls(names, tuple(_levels(frame, name) for name in names))

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the columns that hold category codes."""
        return tuple(j for j, levels in enumerate(self.levels) if levels is not None)

    def read(self, frame: Frame) -> Features:
        """Read a table in this schema.

        Raises
        ------
        DataError
            If a column is missing, has another type than at the fit, holds an infinite value, or holds a category that
            was not seen at the fit.
        """
        frame.require(self.names)
        values = np.empty((len(self.names), frame.n_rows))  # each column contiguous
        for j in range(len(self.names)):
            values[j] = self._column(frame, j)
        return Features(read_only(values.T), self)

    def _column(self, frame: Frame, j: int) -> Floats:
        name, levels = self.names[j], self.levels[j]
        if levels is None:
            values = frame.numeric(name)
            refuse_infinite(values, name)
            return values
        codes, labels = frame.labels(name)
        known = {label: code for code, label in enumerate(levels)}
        unseen = [label for label in labels if label not in known]
        if unseen:
            mask = np.isin(codes, [labels.index(label) for label in unseen])
            raise DataError(
                f"column {name!r} has {len(unseen)} categories that the fit has not seen, first {unseen[0]!r} in row "
                f"{first_rows(mask, 1)[0]}.",
                hint="Drop or recode these rows, or fit on data that holds them.",
                column=name,
                rows=first_rows(mask),
            )
        recode = np.array([known[label] for label in labels] + [np.nan])
        return recode[codes]


@dataclass(frozen=True, eq=False)
class Features:
    """A matrix of covariates.

    Parameters
    ----------
    values : Floats, shape (n, p)
        Numbers, and category codes as floats; NaN where missing.
    schema : Schema
        Names and categories.
    """

    values: Floats
    schema: Schema

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return self.schema.names

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the columns that hold category codes."""
        return self.schema.categorical

    @property
    def missing(self) -> Bools:
        """Rows with a missing value, shape (n,)."""
        gaps: Bools = np.any(np.isnan(self.values), axis=1)
        return gaps

    def take(self, rows: Ints) -> Features:
        """Return some of the rows."""
        return replace(self, values=read_only(np.asfortranarray(self.values[rows])))

    def dummies(self) -> tuple[Floats, tuple[str, ...]]:
        """Return numbers and one indicator per category but the first, with a name for each column."""
        if not self.categorical:
            return self.values, self.names
        columns, names = [], []
        for j, (name, levels) in enumerate(zip(self.names, self.schema.levels, strict=True)):
            if levels is None:
                columns.append(self.values[:, j])
                names.append(name)
                continue
            for code, level in enumerate(levels[1:], start=1):
                columns.append((self.values[:, j] == code).astype(float))
                names.append(f"{name}[{level}]")
        n = len(self.values)
        return (np.stack(columns).T if columns else np.empty((n, 0))), tuple(names)


def is_complete(values: Floats) -> bool:
    """Tell in one pass, without a mask, that no value is missing or infinite; a sum too large also says False."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def refuse_infinite(values: Floats, name: str) -> None:
    """Raise if a column holds an infinite value."""
    if is_complete(values):
        return
    mask = np.isinf(values)
    if mask.any():
        count = int(mask.sum())
        raise DataError(
            f"column {name!r} has {count} infinite value{'s' if count > 1 else ''} (first in row {first_rows(mask, 1)[0]}).",
            hint="Fix or drop it; causalkit never drops infinities.",
            column=name,
            rows=first_rows(mask),
        )


def _levels(frame: Frame, name: str) -> tuple[object, ...] | None:
    if frame.is_numeric(name):
        return None
    if frame.is_temporal(name):
        raise DataError(
            f"column {name!r} holds dates; a covariate is a number or a category.",
            hint="Turn it into a number (days since a date, month, weekday).",
            column=name,
        )
    return refuse_numbers_in_text(frame, name)
