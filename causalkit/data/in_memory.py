"""Moments of an eager table, from numpy arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from causalkit.data.cells import CellSums, check_sums, coarse, sums_by_cell
from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints

_LARGEST_GRID = 2**62


class Request(NamedTuple):
    """What is asked of a table: columns, key columns, an optional weight column, a pivot, and the missing rule."""

    columns: tuple[str, ...]
    by: tuple[str, ...]
    weights: str | None
    pivot: Floats | None
    missing: str


def moments_in_memory(frame: Frame, request: Request) -> tuple[CellSums, Floats, int]:
    """Return the sums by cell, the pivot, and the number of rows dropped."""
    names = request.columns if request.weights is None else (*request.columns, request.weights)
    numbers = np.empty((len(names), frame.n_rows))
    for place, name in enumerate(names):
        numbers[place] = frame.numeric(name)
    keys = [frame.labels(name) for name in request.by]
    bad = _missing_rows(numbers, names, keys, request)
    dropped = int(np.count_nonzero(bad))
    if dropped:
        numbers = numbers[:, ~bad]
        keys = [(codes[~bad], labels) for codes, labels in keys]
    if numbers.shape[1] == 0:
        raise DataError("No rows are left.", hint='Check the table, and missing="drop" if you set it.')
    weights = None if request.weights is None else numbers[-1]
    values = numbers if weights is None else numbers[:-1]
    cell, n_cells = _number_cells([(codes, len(labels)) for codes, labels in keys], numbers.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # check_sums looks at what came out
        pivot = coarse(values.mean(axis=1)) if request.pivot is None else request.pivot
        values -= pivot[:, None]
        sums = sums_by_cell(values, cell, n_cells, weights)
    rows = [key[0] for key in sums.keys]
    named = tuple(tuple(labels[codes[row]] for codes, labels in keys) for row in rows)  # type: ignore[call-overload]
    sums = replace(sums, keys=named)
    check_sums(sums, request.by)
    return sums, pivot, dropped


def _missing_rows(
    numbers: Floats, names: tuple[str, ...], keys: list[tuple[Codes, tuple[object, ...]]], request: Request
) -> Bools:
    """Return which rows have a missing value; raise for infinite values, and for missing ones unless they drop."""
    bad = np.zeros(numbers.shape[1], dtype=np.bool_)
    for name, column in zip(names, numbers, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(column.sum()):  # one pass instead of two; a sum that overflows is looked at below
                continue
        infinite, absent = np.isinf(column), np.isnan(column)
        if infinite.any() or (request.missing == "raise" and absent.any()):
            raise _unusable(name, absent, infinite)
        bad |= absent
    for name, (codes, _) in zip(request.by, keys, strict=True):
        absent = codes < 0
        if request.missing == "raise" and absent.any():
            raise _unusable(name, absent, np.zeros_like(absent))
        bad |= absent
    if request.weights is not None and (numbers[-1] < 0).any():
        rows = first_rows(numbers[-1] < 0)
        raise DataError(
            f"Weights {request.weights!r} are negative in {np.count_nonzero(numbers[-1] < 0)} rows, first in row {rows[0]}.",
            hint="Weights must be zero or positive.",
            column=request.weights,
            rows=rows,
        )
    return bad


def _unusable(name: str, absent: Bools, infinite: Bools) -> DataError:
    """Build the error for a column with values that can't enter a moment."""
    rows = first_rows(infinite if infinite.any() else absent)
    return DataError(
        f"Column {name!r} has {np.count_nonzero(absent)} missing (null or NaN) and "
        f"{np.count_nonzero(infinite)} infinite values, first in row {rows[0]}.",
        hint="Remove the infinite values." if infinite.any() else 'Fill them, or pass missing="drop".',
        column=name,
        rows=rows,
    )


def _number_cells(keys: list[tuple[Codes, int]], n: int) -> tuple[Ints, int]:
    """Number the combinations of the key codes that occur, in the order of the labels."""
    cell: Ints = np.zeros(n, dtype=np.int64)
    size = 1
    for codes, n_labels in keys:
        if size * n_labels > _LARGEST_GRID:
            cell, size = _dense(cell, size)
        cell = cell * n_labels + codes
        size *= n_labels
    return _dense(cell, size)


def _dense(cell: Ints, size: int) -> tuple[Ints, int]:
    """Renumber cells without gaps, keeping their order."""
    if size > 4 * len(cell) + 16:
        present, dense = np.unique(cell, return_inverse=True)
        return dense.astype(np.int64), len(present)
    occurs = np.bincount(cell, minlength=size) > 0
    if occurs.all():
        return cell, size
    return (np.cumsum(occurs) - 1)[cell].astype(np.int64), int(np.count_nonzero(occurs))
