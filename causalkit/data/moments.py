"""Mergeable, serialisable sufficient statistics by cell: counts, means and centred cross-products."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalkit.data.cells import ARRAYS, CellSums, check_sums, describe_cell, group_cells
from causalkit.data.frame import Frame
from causalkit.data.in_memory import Request, moments_in_memory
from causalkit.data.labels import in_order
from causalkit.errors import DataError
from causalkit.kernels.arrays import Floats, Ints, read_only


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and centred cross-products of some columns, in each cell of zero or more key columns.

    Means are stored as their distance from a pivot that all cells share, so differences between cells keep their digits
    when the values are far from zero (``y + 1e9``). Two `Moments` of disjoint rows merge into those of all the rows
    (Chan, Golub and LeVeque 1983, *The American Statistician* 37), so a table may be read in parts, on days, or in
    another place. Build them with `Moments.of`.

    Attributes
    ----------
    columns : tuple of str
        The k columns, in the order of every vector and matrix below.
    by : tuple of str
        The key columns.
    weighted : bool
        Whether rows carried weights.
    pivot : (k,) float array
        What was subtracted before summing, in the units of each column.
    sums : CellSums
        The stored numbers of the m cells.
    n_dropped : int
        Rows left out because a value was missing.
    """

    columns: tuple[str, ...]
    by: tuple[str, ...]
    weighted: bool
    pivot: Floats
    sums: CellSums
    n_dropped: int = 0

    def __post_init__(self) -> None:
        for array in (self.pivot, *(getattr(self.sums, name) for name in ARRAYS)):
            array.flags.writeable = False

    @classmethod
    def of(
        cls,
        data: Any,
        columns: str | Sequence[str],
        by: str | Sequence[str] = (),
        weights: str | None = None,
        pivot: Sequence[float] | Floats | None = None,
        missing: Literal["raise", "drop"] = "raise",
    ) -> Moments:
        """Compute the moments of a table, in memory or, for a lazy table, by two small queries.

        Parameters
        ----------
        data : table
            Anything `Frame.read` accepts. A lazy table (DuckDB, PySpark, Ibis, polars) answers one query for the pivot
            and one aggregate query; its rows stay where they are.
        columns : str or sequence of str
            Numeric or boolean columns.
        by : str or sequence of str
            Key columns; each combination that occurs is a cell.
        weights : str, optional
            A column of weights, zero or positive.
        pivot : sequence of k floats, optional
            Defaults to the mean of each column over the whole table, rounded to 12 digits.
        missing : {"raise", "drop"}
            What to do with rows that have a null or NaN in any of the columns, keys or weights.

        Raises
        ------
        DataError
            For unknown columns, columns that are not numeric, infinite values, negative weights, missing values
            (unless dropped), and when no rows are left. It names the column, the counts, and the first row of an eager
            table or an example cell of a lazy one.
        """
        frame = Frame.read(data)
        names, keys = _names(columns), _names(by)
        if not names:
            raise DataError("Moments need at least one column.", hint="Name the columns.")
        if missing not in ("raise", "drop"):
            raise DataError(f"missing is {missing!r}.", hint='Pass "raise" or "drop".')
        frame.require([*names, *keys, *([] if weights is None else [weights])])
        request = Request(names, keys, weights, _given_pivot(pivot, len(names)), missing)
        if frame.is_lazy:
            from causalkit.data.pushdown import moments_pushed_down

            sums, centre, dropped = moments_pushed_down(frame, request)
        else:
            sums, centre, dropped = moments_in_memory(frame, request)
        return cls(names, keys, weights is not None, centre, sums, dropped)

    @property
    def cells(self) -> tuple[tuple[object, ...], ...]:
        """The key labels of each cell, sorted; ``((),)`` when there are no key columns."""
        return self.sums.keys

    @property
    def counts(self) -> Ints:
        """Rows in each cell, (m,)."""
        return self.sums.counts

    @property
    def totals(self) -> Floats:
        """Sum of the weights in each cell, (m,); the counts when there are no weights."""
        return self.sums.totals

    @property
    def squares(self) -> Floats:
        """Sum of the squared weights in each cell, (m,); the counts when there are no weights."""
        return self.sums.squares

    @cached_property
    def means(self) -> Floats:
        """The (weighted) means, (m, k). Use `mean_difference` to compare cells: it keeps more digits."""
        means: Floats = self.sums.shift + self.pivot
        return read_only(means)

    def cell(self, key: object) -> int:
        """Return the position of a cell from its key: a tuple of labels, or the label itself when there is one key."""
        wanted = key if isinstance(key, tuple) and len(key) == len(self.by) else (key,)
        place = self._places.get(wanted) if _hashable(wanted) else None
        if place is None:
            shown = ", ".join(repr(label[0] if len(label) == 1 else label) for label in self.cells[:10])
            raise DataError(f"There is no cell {key!r}.", hint=f"Cells by {self.by}: {shown}.")
        return place

    def column(self, name: str) -> int:
        """Return the position of a column in every vector and matrix."""
        if name not in self.columns:
            raise DataError(
                f"There are no moments of {name!r}.", hint=f"Columns: {', '.join(self.columns)}.", column=name
            )
        return self.columns.index(name)

    def cross_products(self, cell: object = ()) -> Floats:
        """Return the (weighted) cross-products of one cell around its own mean, (k, k)."""
        products: Floats = self.sums.scatter[self.cell(cell)]
        return products

    def covariance(self, cell: object = (), ddof: float = 1) -> Floats:
        """Return the covariance matrix of one cell, (k, k).

        Parameters
        ----------
        cell : key of a cell
            See `cell`; leave it out when there are no key columns.
        ddof : float
            The divisor is ``W - ddof * W2 / W`` with W the sum of the weights and W2 that of their squares: ``n - ddof``
            without weights, and the unbiased choice for precision weights.

        Raises
        ------
        DataError
            When the cell is too small for it.
        """
        place = self.cell(cell)
        divisor = self.totals[place] - ddof * self.squares[place] / self.totals[place]
        if divisor <= 1e-12 * self.totals[place]:
            where = describe_cell(self.by, self.cells[place])
            raise DataError(
                f"{self.counts[place]} rows{where} are too few for a covariance.", hint="Pool cells, or drop this one."
            )
        covariance: Floats = self.sums.scatter[place] / divisor
        return covariance

    def mean_difference(self, cell_a: object, cell_b: object) -> Floats:
        """Return the means of ``cell_a`` minus those of ``cell_b``, (k,), without ever adding the pivot back."""
        difference: Floats = self.sums.shift[self.cell(cell_a)] - self.sums.shift[self.cell(cell_b)]
        return difference

    def select(self, columns: str | Sequence[str]) -> Moments:
        """Return the moments of some of the columns, in the order given."""
        names = _names(columns)
        places = np.array([self.column(name) for name in names], dtype=np.int64)
        sums = CellSums(
            self.sums.keys,
            self.sums.counts,
            self.sums.totals,
            self.sums.squares,
            self.sums.shift[:, places],
            self.sums.scatter[:, places[:, None], places],
        )
        return Moments(names, self.by, self.weighted, self.pivot[places], sums, self.n_dropped)

    def pool(self, by: str | Sequence[str] = ()) -> Moments:
        """Merge cells: all of them into one, or those that share the labels of the key columns in ``by``."""
        keep = _names(by)
        for name in keep:
            if name not in self.by:
                raise DataError(f"{name!r} is not a key column.", hint=f"Key columns: {self.by}.", column=name)
        places = [self.by.index(name) for name in keep]
        keys = [tuple(key[place] for place in places) for key in self.cells]
        return Moments(self.columns, keep, self.weighted, self.pivot, _grouped(self.sums, keys), self.n_dropped)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of the rows of both; see `merge_all`."""
        return Moments.merge_all([self, other])

    @staticmethod
    def merge_all(parts: Iterable[Moments]) -> Moments:
        """Return the moments of all the rows of disjoint parts, around the pivot of the first.

        Raises
        ------
        DataError
            When there is no part, or when parts differ in columns, keys, or in having weights.
        """
        found = list(parts)
        if not found:
            raise DataError("There is nothing to merge.", hint="Pass at least one Moments.")
        first = found[0]
        aligned = [first, *(_aligned(first, part) for part in found[1:])]
        stacked = _stack([part.sums for part in aligned])
        sums = _grouped(stacked, list(stacked.keys))
        return Moments(
            first.columns, first.by, first.weighted, first.pivot, sums, sum(part.n_dropped for part in found)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings that `from_dict` turns back into the same moments, to the bit."""
        from causalkit.data.stored import to_plain

        return to_plain(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Moments:
        """Rebuild moments from `to_dict`."""
        from causalkit.data.stored import from_plain

        return from_plain(stored)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a ``.json`` or ``.parquet`` file, exact to the bit."""
        from causalkit.data.stored import write

        write(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Moments:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            When the file is missing or was not written by `save`.
        """
        from causalkit.data.stored import read

        return read(path)

    @cached_property
    def _places(self) -> dict[tuple[object, ...], int]:
        return {key: place for place, key in enumerate(self.cells)}


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def _hashable(key: object) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _given_pivot(pivot: Sequence[float] | Floats | None, k: int) -> Floats | None:
    if pivot is None:
        return None
    given = np.array(pivot, dtype=np.float64)
    if given.shape != (k,) or not np.isfinite(given).all():
        raise DataError(
            f"The pivot must be {k} finite numbers, one for each column.", hint="Leave it out for the mean."
        )
    return given


def _aligned(first: Moments, part: Moments) -> Moments:
    """Return a part with the columns and the pivot of the first."""
    if set(part.columns) != set(first.columns) or part.by != first.by or part.weighted != first.weighted:
        raise DataError(
            f"Can't merge moments of {part.columns} by {part.by} ({'' if part.weighted else 'not '}weighted) with those "
            f"of {first.columns} by {first.by} ({'' if first.weighted else 'not '}weighted).",
            hint="Compute all parts with the same columns, keys and weights.",
        )
    part = part.select(first.columns)
    old = part.sums
    shift = old.shift + (part.pivot - first.pivot)
    sums = CellSums(old.keys, old.counts, old.totals, old.squares, shift, old.scatter)
    return Moments(first.columns, first.by, first.weighted, first.pivot, sums, part.n_dropped)


def _stack(parts: list[CellSums]) -> CellSums:
    """Put the cells of all parts under each other."""
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS)
    return CellSums(tuple(key for part in parts for key in part.keys), *arrays)


def _grouped(sums: CellSums, keys: list[tuple[object, ...]]) -> CellSums:
    """Merge cells with equal keys; the merged cells are sorted by their labels."""
    number: dict[tuple[object, ...], int] = {}
    group = np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
    merged = list(number)
    order = _sorted_places(merged)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    with np.errstate(over="ignore", invalid="ignore"):  # check_sums looks at what came out
        grouped = CellSums(tuple(merged[place] for place in order), *group_cells(sums, rank[group], len(order)))
    check_sums(grouped, ())
    return grouped


def _sorted_places(keys: list[tuple[object, ...]]) -> list[int]:
    """Return the order of cell keys: by the first key column, then the second, each in the order of its labels."""
    if not keys or not keys[0]:
        return list(range(len(keys)))
    ranks = []
    for column in zip(*keys, strict=True):
        number = {label: place for place, label in enumerate(dict.fromkeys(column))}
        codes = np.array([number[label] for label in column], dtype=np.int32)
        ranks.append(in_order(codes, list(number))[0])
    return [int(place) for place in np.lexsort(ranks[::-1])]
