"""The numbers behind Moments: sums by cell, from arrays, and the formulas that merge them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import DataError
from causalkit.kernels.arrays import Floats, Ints

ARRAYS = ("counts", "totals", "squares", "shift", "scatter")
_PIVOT_BITS = 40


@dataclass(frozen=True, eq=False)
class CellSums:
    """Sufficient statistics of m cells and k columns.

    Attributes
    ----------
    keys : tuple of m tuples
        The labels of each cell.
    counts : (m,) int array
        Rows in each cell.
    totals, squares : (m,) float arrays
        Sums of the weights and of their squares (both the count when there are no weights).
    shift : (m, k) float array
        Mean minus pivot.
    scatter : (m, k, k) float array
        Weighted cross-products, centred at the cell's own mean.
    """

    keys: tuple[tuple[object, ...], ...]
    counts: Ints
    totals: Floats
    squares: Floats
    shift: Floats
    scatter: Floats


def coarse(pivot: Floats) -> Floats:
    """Round a pivot to 40 bits, so that it does not hang on the order in which an engine added the rows."""
    mantissa, exponent = np.frexp(pivot)
    rounded: Floats = np.ldexp(np.round(np.ldexp(mantissa, _PIVOT_BITS)), exponent - _PIVOT_BITS)
    return rounded


def sums_by_cell(values: Floats, cell: Ints, n_cells: int, weights: Floats | None) -> CellSums:
    """Sum ``values`` (k, n), already minus the pivot, over cells numbered 0..n_cells-1; each must have a row.

    The mean is taken twice, the second time over the residuals, and the cross-products from the residuals. ``keys``
    hold one row number of each cell, for the caller to look its labels up.
    """
    k, n = values.shape
    if n_cells == 1:
        order, counts = np.arange(1), np.array([n])
    else:
        order = np.argsort(cell.astype(np.int16) if n_cells < 2**15 else cell, kind="stable")
        counts = np.bincount(cell, minlength=n_cells).astype(np.int64)
    starts = np.cumsum(counts) - counts
    keys = tuple((int(row),) for row in order[starts])
    if n_cells == 1:
        return CellSums(keys, counts, *_stacked([_one_cell(values.copy(), weights)]))
    if 2e-5 * n_cells < 4e-9 * n * k * (k + 1) / 2:
        parts = [order[start : start + count] for start, count in zip(starts, counts, strict=True)]
        cells = [_one_cell(values[:, rows], None if weights is None else weights[rows]) for rows in parts]
        return CellSums(keys, counts, *_stacked(cells))
    weight = None if weights is None else weights[order]
    return CellSums(keys, counts, *_many_cells(np.take(values, order, axis=1), weight, starts, counts))


def _one_cell(values: Floats, weight: Floats | None) -> tuple[float, float, Floats, Floats]:
    """Return total, square, shift and scatter of the (k, n) values of one cell, which are overwritten."""
    total = float(values.shape[1]) if weight is None else float(weight.sum())
    square = total if weight is None else float((weight**2).sum())
    shift = np.zeros(len(values))
    for _ in range(2 if total > 0 else 0):
        step = (values if weight is None else values * weight).sum(axis=1) / total
        values -= step[:, None]
        shift += step
    scatter = values @ (values if weight is None else values * weight).T
    return total, square, shift, (scatter + scatter.T) / 2


def _stacked(cells: list[tuple[float, float, Floats, Floats]]) -> tuple[Floats, Floats, Floats, Floats]:
    totals, squares, shifts, scatters = zip(*cells, strict=True)
    return np.array(totals), np.array(squares), np.array(shifts), np.array(scatters)


def _many_cells(
    values: Floats, weight: Floats | None, starts: Ints, counts: Ints
) -> tuple[Floats, Floats, Floats, Floats]:
    """Do as `_one_cell` for many small cells at once; ``values`` are sorted by cell and overwritten."""
    k, m = len(values), len(starts)
    totals = counts.astype(np.float64) if weight is None else np.add.reduceat(weight, starts)
    squares = totals.copy() if weight is None else np.add.reduceat(weight**2, starts)
    shift, scatter = np.zeros((m, k)), np.empty((m, k, k))
    for _ in range(2):
        for place, column in enumerate(values):
            sums = np.add.reduceat(column if weight is None else column * weight, starts)
            step = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
            column -= np.repeat(step, counts)
            shift[:, place] += step
    for i in range(k):
        left = values[i] if weight is None else values[i] * weight
        for j in range(i, k):
            scatter[:, i, j] = scatter[:, j, i] = np.add.reduceat(left * values[j], starts)
    return totals, squares, shift, scatter


def group_cells(sums: CellSums, group: Ints, n_groups: int) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Merge cells into groups: counts, totals, squares, shift and scatter of each group.

    The pairwise formula of Chan, Golub and LeVeque (1983), for any number of parts at once: the scatter of a group is
    the sum of those of its parts plus that of their means around the group's mean.
    """
    m, k = sums.shift.shape
    counts = np.zeros(n_groups, dtype=np.int64)
    np.add.at(counts, group, sums.counts)
    totals, squares = np.zeros(n_groups), np.zeros(n_groups)
    np.add.at(totals, group, sums.totals)
    np.add.at(squares, group, sums.squares)
    # means around the first part's mean, so that equal means merge without rounding
    first = np.full(n_groups, m, dtype=np.int64)
    np.minimum.at(first, group, np.arange(m))
    origin = sums.shift[first]
    step = sums.shift - origin[group]
    share = sums.totals / totals[group]
    moved = np.zeros((n_groups, k))
    np.add.at(moved, group, step * share[:, None])
    step = step - moved[group]
    scatter = np.zeros((n_groups, k, k))
    np.add.at(scatter, group, sums.scatter + sums.totals[:, None, None] * step[:, :, None] * step[:, None, :])
    return counts, totals, squares, origin + moved, scatter


def check_sums(sums: CellSums, by: tuple[str, ...]) -> None:
    """Raise where no number can be given: nothing left, weights that sum to zero, squares beyond floating point."""
    if len(sums.counts) == 0 or not sums.counts.any():
        raise DataError("No rows are left.", hint='Check the table, and missing="drop" if you set it.')
    empty = np.flatnonzero(sums.totals <= 0)
    if len(empty):
        where = describe_cell(by, sums.keys[int(empty[0])])
        raise DataError(f"The weights{where} sum to zero.", hint="Drop that cell or give it a weight.")
    if not (np.isfinite(sums.shift).all() and np.isfinite(sums.scatter).all()):
        raise DataError("The squares of the values are beyond floating point.", hint="Rescale the columns.")


def describe_cell(by: tuple[str, ...], key: tuple[object, ...]) -> str:
    """Return words such as `` where arm = 'A' and day = 3``, or nothing when there are no key columns."""
    if not by:
        return ""
    return " where " + " and ".join(f"{name} = {label!r}" for name, label in zip(by, key, strict=True))
