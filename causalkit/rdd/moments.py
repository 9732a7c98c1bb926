"""One side of a cutoff: fits in any window, from sums that are formed once for all cutoffs and bandwidths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.rdd.line import KERNELS, NEIGHBOURS, Line, Summand, interquartile_range
from causalkit.rdd.polynomial_fit import Fit, from_rows, invert

#: Constant of the pilot bandwidth, by kernel.
PILOT = {"triangular": 2.576, "uniform": 1.843, "epanechnikov": 2.34}

#: Where the inverse of the scaled Gram matrix has a larger entry, sums of powers lose digits that few rows can save.
_STIFF = 1e5
_FEW_ROWS = 1 << 16
#: Sums that are remembered.
_REMEMBERED = 32


def mean_of(column: Floats) -> float:
    """Return the mean of a column, without rounding where it has one value only: nothing is left of it then."""
    first = float(column[0])
    return first if column[-1] == first and not np.ptp(column) else float(column.mean())


@dataclass(frozen=True, eq=False)
class Side:
    """Rows on one side of a cutoff, nearest first: a line of rows, or a part of it seen from another place.

    Attributes
    ----------
    line : Line
        The rows by their distance from the true cutoff.
    sign : int
        +1 above the cutoff, -1 below.
    levels : array, shape (k,)
        Means that columns are centred at, less ``pivots``.
    pivots : array, shape (k,)
        A number near every column's values, the same on both sides: differences of levels keep their digits.
    low, high : int
        Rows of the line that belong to this side, ``high`` not included.
    origin : float
        Where the cutoff lies on the line.
    direction : int
        +1 where rows are met in the order of the line, -1 where in its reverse.
    """

    line: Line
    sign: int
    levels: Floats
    pivots: Floats
    low: int
    high: int
    origin: float = 0.0
    direction: int = 1

    @property
    def n(self) -> int:
        """Rows."""
        return self.high - self.low

    @property
    def kernel(self) -> str:
        """Kernel."""
        return self.line.kernel

    @property
    def n_clusters(self) -> int:
        """Number of clusters on both sides."""
        return self.line.n_clusters

    @property
    def n_columns(self) -> int:
        """Outcome, treatment and covariates."""
        return len(self.line.columns)

    @cached_property
    def whole(self) -> bool:
        """Whether these are all rows of the line, seen from its start."""
        return self.n == self.line.n and self.origin == 0.0 and self.direction > 0

    @cached_property
    def distance(self) -> Floats:
        """Distance of each row from the cutoff, ascending."""
        return self._distances(0, self.n)

    @cached_property
    def columns(self) -> Floats:
        """Outcome, then treatment and covariates, less ``levels`` and ``pivots``, shape (k, n)."""
        columns: Floats = self._cut(self.line.columns)
        return columns

    @cached_property
    def weights(self) -> Floats:
        """Weights of the rows, all positive; empty where all are one."""
        return self._cut(self.line.weights) if self.line.weights.size else self.line.weights

    @cached_property
    def codes(self) -> Codes | None:
        """Cluster of each row."""
        return None if self.line.codes is None else self._cut(self.line.codes)

    @cached_property
    def rows(self) -> Ints:
        """Where each row stands among the arrays that were split."""
        rows: Ints = self._cut(self.line.rows)
        return rows

    @property
    def reach(self) -> float:
        """Distance of the farthest row."""
        return self._distance(self.n - 1)

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Standard deviation and interquartile range of the running variable on this side."""
        from causalkit.kernels.rd_split import spread

        distance = self.distance
        signed = distance if self.sign > 0 else -distance[::-1]
        return spread(distance[:0], distance), interquartile_range(lambda rank: float(signed[rank]), self.n)

    @cached_property
    def starts(self) -> Ints:
        """Where each group of equal distances starts; the number of rows stands at the end."""
        if not self.line.tied:
            return np.arange(self.n + 1)
        starts = self.line.starts
        first, last = np.searchsorted(starts, (self.low, self.high))
        part = starts[first : last + 1]
        return part - self.low if self.direction > 0 else (self.high - part)[::-1]

    @cached_property
    def n_distinct(self) -> int:
        """Distinct values of the running variable."""
        if self.whole:
            return self.line.n_distinct
        return self.starts.size - 1 if self.line.tied else self.n

    # Other sides of the same rows.

    def with_columns(self, columns: Floats) -> Side:
        """Return the same rows with other columns, shape (k, n); what depends on distances only is shared."""
        levels = np.array([mean_of(column) for column in columns])
        made = self.line if self.whole else self._alone()
        line = made.with_columns(np.subtract(columns, levels[:, None], order="C"))
        return Side(line, self.sign, read_only(levels), read_only(np.zeros(len(levels))), 0, line.n)

    def _alone(self) -> Line:
        """Return these rows as a line of their own."""
        return replace(
            self.line, distance=self.distance, columns=self.columns, weights=self.weights, codes=self.codes,
            rows=self.rows, n_distinct=self.n_distinct,
        )  # fmt: skip

    def without_column(self, at: int) -> Side:
        """Return the side without one of its columns."""
        line = self.line.with_columns(np.delete(self.line.columns, at, axis=0))
        return replace(self, line=line, levels=np.delete(self.levels, at), pivots=np.delete(self.pivots, at))

    def beyond(self, distance: float, sign: int) -> Side:
        """Return the rows farther than a distance (or at it, above the cutoff) as a side of a cutoff there."""
        return self._part(self._rows_before(distance), self.n, distance, sign, 1)

    def before(self, distance: float, sign: int) -> Side:
        """Return the rows nearer than a distance (or at it, below the cutoff) as the other side of a cutoff there."""
        return self._part(0, self._rows_before(distance), distance, sign, -1)

    def from_radius(self, radius: float) -> Side:
        """Return the rows at least this far from the cutoff."""
        return self._part(int(np.searchsorted(self.distance, radius, side="left")), self.n, 0.0, self.sign, 1)

    def _rows_before(self, distance: float) -> int:
        """Count rows on the near side of a cutoff at a distance."""
        return int(np.searchsorted(self.distance, distance, side="left" if self.sign > 0 else "right"))

    def _part(self, first: int, stop: int, distance: float, sign: int, turn: int) -> Side:
        """Return some rows as seen from a place at a distance, looking on or (``turn`` -1) back."""
        low, high = self._span(first, stop)
        return replace(
            self, sign=sign, low=low, high=high, origin=self.origin + self.direction * distance,
            direction=self.direction * turn,
        )  # fmt: skip

    # Rows of the line.

    def _span(self, first: int, stop: int) -> tuple[int, int]:
        """Return the rows of the line that rows ``first .. stop - 1`` are."""
        if self.direction > 0:
            return self.low + first, self.low + stop
        return self.high - stop, self.high - first

    def _cut(self, values: Any, first: int = 0, stop: int | None = None) -> Any:
        """Return what the line has for some rows, nearest first."""
        low, high = self._span(first, self.n if stop is None else stop)
        part = values[..., low:high]
        return part if self.direction > 0 else np.ascontiguousarray(part[..., ::-1])

    def _distances(self, first: int, stop: int) -> Floats:
        part: Floats = self._cut(self.line.distance, first, stop)
        return part if self.origin == 0.0 and self.direction > 0 else self.direction * (part - self.origin)

    def _distance(self, row: int) -> float:
        """Return the distance of one row."""
        at = self.low + row if self.direction > 0 else self.high - 1 - row
        return self.direction * float(self.line.distance[at] - self.origin)

    def rows_within(self, bandwidth: float) -> int:
        """Return the rows with positive weight: those on the edge count for the uniform kernel only."""
        edge_counts = self.kernel == "uniform"
        rows = self._rows_upto(bandwidth, edge_counts)
        while not edge_counts and rows and self._distance(rows - 1) / bandwidth >= 1.0:  # rounding put it on the edge
            rows -= 1
        return rows

    def _rows_upto(self, bandwidth: float, edge_counts: bool) -> int:
        """Count rows nearer than a bandwidth, or at it, without writing all distances down where none repeats."""
        if self.whole or self.line.tied:
            return int(np.searchsorted(self.distance, bandwidth, side="right" if edge_counts else "left"))
        line = self.line.distance[self.low : self.high]
        rows = int(np.searchsorted(line, self.origin + self.direction * bandwidth))
        rows = rows if self.direction > 0 else self.n - rows

        def counts(row: int) -> bool:
            distance = self._distance(row)
            return distance <= bandwidth if edge_counts else distance < bandwidth

        while rows < self.n and counts(rows):  # the place was rounded
            rows += 1
        while rows and not counts(rows - 1):
            rows -= 1
        return rows

    def groups_within(self, rows: int) -> int:
        """Return how many distinct values the first ``rows`` have."""
        return int(np.searchsorted(self.starts, rows)) if self.line.tied else rows

    def _start(self, group: int) -> int:
        """Return the first row of a group of equal distances."""
        return int(self.starts[group]) if self.line.tied else group

    # Fits and variances.

    def fit(self, bandwidth: float, order: int) -> Fit:
        """Fit a polynomial of this order to every column in the window.

        Raises
        ------
        DesignError
            If the window has too few distinct values.
        """
        from causalkit.kernels.rd_powers import normal_equations

        rows = self.rows_within(bandwidth)
        distinct = self.groups_within(rows)
        if distinct <= order:
            side = "above" if self.sign > 0 else "below"
            raise DesignError(
                f"a polynomial of order {order} needs {order + 1} distinct values of the running variable {side} the "
                f"cutoff within {bandwidth:.6g} of it; there are {distinct}.",
                hint="Use a larger bandwidth, a lower order, or a local randomization design.",
            )
        columns = [self._sums(column, 0, rows, bandwidth) for column in range(self.n_columns)]
        ones = self._sums("ones", 0, rows, bandwidth)
        gram, crossed, moments, units = normal_equations(ones, np.array(columns), KERNELS[self.kernel], order)
        scaled = invert(gram * units)
        size = np.abs(scaled).max()
        if not size <= _STIFF and (rows <= _FEW_ROWS or not np.isfinite(size)):
            return Fit(bandwidth, rows, gram, *self._exact(bandwidth, order, rows))
        inverse = scaled * units
        return Fit(bandwidth, rows, gram, inverse, inverse @ crossed, inverse @ moments[order + 1 :])

    def _exact(self, bandwidth: float, order: int, rows: int) -> tuple[Floats, Floats, Floats]:
        """Return inverse Gram matrix, coefficients, and those of the next power, from the rows rather than their sums."""
        u = self._distances(0, rows) / bandwidth
        weight = np.asarray(np.polynomial.polynomial.polyval(u, KERNELS[self.kernel]), dtype=np.float64)
        if self.line.weights.size:
            weight = weight * self._cut(self.line.weights, 0, rows)
        found = from_rows(u, weight, self._cut(self.line.columns, 0, rows), order)
        if found is None:
            raise DesignError(
                f"values of the running variable within {bandwidth:.6g} of the cutoff are too uneven for a polynomial of "
                f"order {order}.",
                hint="Use a smaller bandwidth, a lower order, or another scale, such as ranks or logarithms.",
            )
        return found

    def _sums(self, what: Summand, first: int, stop: int, bandwidth: float) -> Floats:
        """Return sums of ``(distance / bandwidth) ** k`` times something over rows ``first .. stop - 1``."""
        key = what, first, stop, bandwidth
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            if self.whole:
                self._known[key] = self.line.sums(what, stop).until(stop, bandwidth)
            else:
                span = self._span(first, stop)
                sums = self.line.sums(what, self.line.n)
                self._known[key] = sums.between(*span, self.origin, self.direction / bandwidth)
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[Summand, int, int, float], Floats]:
        return {}

    def residual_edge(self, rows: int) -> tuple[int, Floats]:
        """Return the row from which the window's end matters to neighbours, and the residuals from there, (k, rows - edge)."""
        stop = self.groups_within(rows)
        ends = self.high == self.line.n if self.direction > 0 else self.low == 0
        first = stop if stop == self.n_distinct and ends else max(stop - NEIGHBOURS, 0)
        return self._start(first), self._residuals(first, stop, stop)

    @cached_property
    def _fresh(self) -> Floats:
        """Residuals of the first rows where the line goes on behind the cutoff, shape (k, rows)."""
        begins = self.low == 0 if self.direction > 0 else self.high == self.line.n
        groups = 0 if begins else min(NEIGHBOURS, self.n_distinct)
        return self._residuals(0, groups, self.n_distinct)

    def _residuals(self, first: int, stop: int, end: int) -> Floats:
        """Return residuals of some groups, with neighbours among this side's groups before ``end``."""
        from causalkit.kernels.rd_local import neighbour_residuals

        start, out_stop = self._start(first), self._start(stop)
        out = np.empty((self.n_columns, out_stop - start))
        if out.size:
            low, high = max(first - NEIGHBOURS - 1, 0), min(stop + NEIGHBOURS + 1, end)
            a, b = self._start(low), self._start(high)
            starts = self.starts[low : high + 1] - a if self.line.tied else np.arange(high - low + 1)
            columns = np.ascontiguousarray(self._cut(self.line.columns, a, b))
            neighbour_residuals(
                self._distances(a, b), columns, starts, first - low, stop - low, high - low, NEIGHBOURS, out
            )
        return out

    @cached_property
    def neighbour_residuals(self) -> Floats:
        """Nearest-neighbour residuals of every column with all rows as possible neighbours, shape (k, n)."""
        held = self.line.residuals(self.line.n)
        if self.whole:
            return held
        found = np.array(self._cut(held))
        found[:, : self._fresh.shape[1]] = self._fresh
        edge, outer = self.residual_edge(self.n)
        found[:, edge:] = outer
        return found

    def squared_residual_sums(self, rows: int, edge: int, outer: Floats, bandwidth: float) -> Floats:
        """Return sums of squared (weight times residual of the outcome) times ``(distance / bandwidth) ** k``.

        ``edge`` and ``outer`` (of the outcome) are what :meth:`residual_edge` returns.
        """
        inner = min(rows, edge)
        fresh = min(self._fresh.shape[1], inner)
        sums = self._sums("squares", fresh, inner, bandwidth)
        for first, residuals in ((0, self._fresh[0, :fresh]), (edge, outer[: max(rows - edge, 0)])):
            if residuals.size:
                sums = sums + self._squares(first, residuals, bandwidth, sums.size)
        return sums

    def _squares(self, first: int, residuals: Floats, bandwidth: float, n_powers: int) -> Floats:
        """Sum a few squared residuals row by row."""
        from causalkit.kernels.rd_powers import rows_powers

        stop = first + residuals.size
        if self.line.weights.size:
            residuals = residuals * self._cut(self.line.weights, first, stop)
        sums: Floats = rows_powers(self._distances(first, stop), residuals, True, 1.0 / bandwidth, n_powers)
        return sums
