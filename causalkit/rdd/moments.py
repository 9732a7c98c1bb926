"""One side of the cutoff: rows by distance, with power sums anchored at the cutoff so that any window costs next to nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

#: Kernel -> its polynomial in u = distance / bandwidth on [0, 1].
KERNELS: dict[str, Floats] = {
    "triangular": read_only(np.array([1.0, -1.0])),
    "uniform": read_only(np.array([0.5])),
    "epanechnikov": read_only(np.array([0.75, 0.0, -0.75])),
}
#: Constant of the pilot bandwidth, by kernel.
PILOT = {"triangular": 2.576, "uniform": 1.843, "epanechnikov": 2.34}

#: Neighbours of the nearest-neighbour variance.
NEIGHBOURS = 3


@dataclass(frozen=True, eq=False)
class Fit:
    """A weighted polynomial of the distance on one side, in units of its bandwidth.

    Attributes
    ----------
    bandwidth : float
    rows : int
        Rows with positive weight: the first ones.
    gram, inverse : array, shape (order + 1, order + 1)
        Sums of kernel times powers of u, and the inverse.
    moments : array, shape (2 order + 2,)
        Sums of kernel times u ** j.
    beta : array, shape (order + 1, columns)
        Coefficients of u ** j for each column (centred at the side's means).
    """

    bandwidth: float
    rows: int
    gram: Floats
    inverse: Floats
    moments: Floats
    beta: Floats

    @property
    def order(self) -> int:
        """Order of the polynomial."""
        return len(self.inverse) - 1

    @property
    def next_power(self) -> Floats:
        """Coefficients of the regression of ``u ** (order + 1)``: what the polynomial takes of the next term."""
        p = self.order
        return self.inverse @ self.moments[p + 1 : 2 * p + 2]


@dataclass(frozen=True, eq=False)
class Side:
    """The rows on one side of the cutoff, nearest first.

    Attributes
    ----------
    sign : int
        +1 above the cutoff, -1 below.
    distance : array, shape (n,)
        Distance from the cutoff, ascending.
    columns : array, shape (k, n)
        Outcome, then treatment and covariates, each less its mean on this side.
    levels : array, shape (k,)
        Those means, less ``pivots``.
    pivots : array, shape (k,)
        A number near every column's values, the same on both sides: differences of levels keep their digits.
    weights : array, shape (n,) or (0,)
        Weights of the rows, all positive; empty where all are one.
    codes : array, shape (n,), or None
        Cluster of each row.
    n_clusters : int
        Number of clusters on both sides.
    kernel : str
    top_order : int
        The highest order that will be fitted.
    rows : array, shape (n,)
        Where each row stands among the arrays that were split.
    """

    sign: int
    distance: Floats
    columns: Floats
    levels: Floats
    pivots: Floats
    weights: Floats
    codes: Codes | None
    n_clusters: int
    kernel: str
    top_order: int
    rows: Ints

    @property
    def n(self) -> int:
        """Rows."""
        return self.distance.size

    @property
    def reach(self) -> float:
        """Distance of the farthest row."""
        return float(self.distance[-1])

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Standard deviation and interquartile range of the running variable on this side."""
        signed = self.distance if self.sign > 0 else -self.distance[::-1]
        return float(np.std(signed, ddof=1)), quantile(signed, 0.75) - quantile(signed, 0.25)

    @cached_property
    def starts(self) -> Ints:
        """Where each group of equal distances starts; the number of rows stands at the end."""
        from causalkit.kernels.rd_local import tie_starts

        found: Ints = tie_starts(self.distance)
        return found

    @property
    def n_distinct(self) -> int:
        """Distinct values of the running variable."""
        return self.starts.size - 1

    def with_columns(self, columns: Floats) -> Side:
        """Return the same rows with other columns, shape (k, n); what depends on distances only is shared."""
        levels = columns.mean(axis=1)
        made = replace(
            self,
            columns=read_only(columns - levels[:, None]),
            levels=read_only(levels),
            pivots=read_only(np.zeros(len(levels))),
        )
        vars(made)["starts"] = self.starts
        if None in self._held:
            made._held[None] = self._held[None]
        return made

    def beyond(self, distance: float, sign: int) -> Side:
        """Return the rows farther than a distance (or at it, above the cutoff) as a side of a cutoff there."""
        at = int(np.searchsorted(self.distance, distance, side="left" if self.sign > 0 else "right"))
        return self._part(slice(at, None), self.distance[at:] - distance, sign, self._starts_from(at))

    def before(self, distance: float, sign: int) -> Side:
        """Return the rows nearer than a distance (or at it, below the cutoff) as the other side of a cutoff there."""
        at = int(np.searchsorted(self.distance, distance, side="left" if self.sign > 0 else "right"))
        back = slice(at - 1, None, -1) if at else slice(0, 0)
        starts = at - self.starts[: self.groups_within(at) + 1][::-1]
        return self._part(back, distance - self.distance[back], sign, starts)

    def from_radius(self, radius: float) -> Side:
        """Return the rows at least this far from the cutoff."""
        at = int(np.searchsorted(self.distance, radius, side="left"))
        return self._part(slice(at, None), self.distance[at:], self.sign, self._starts_from(at))

    def _starts_from(self, at: int) -> Ints:
        """Return where groups start among the rows from ``at`` on, which starts one."""
        return self.starts[self.groups_within(at) :] - at

    def _part(self, span: slice, distance: Floats, sign: int, starts: Ints) -> Side:
        """Return some rows, in order of another distance, with the neighbour residuals that stay as they are."""
        from causalkit.kernels.rd_local import neighbour_residuals

        columns = self.columns[:, span]
        levels = columns.mean(axis=1) if columns.size else np.zeros(len(columns))
        made = replace(
            self,
            sign=sign,
            distance=read_only(np.ascontiguousarray(distance)),
            columns=read_only(np.subtract(columns, levels[:, None], order="C")),
            levels=read_only(self.levels + levels),
            weights=np.ascontiguousarray(self.weights[span]) if self.weights.size else self.weights,
            codes=None if self.codes is None else np.ascontiguousarray(self.codes[span]),
            rows=self.rows[span],
        )
        vars(made)["starts"] = starts
        if "neighbour_residuals" in vars(self) and made.n:
            first = min(NEIGHBOURS, made.n_distinct)
            fresh = np.empty((len(columns), int(made.starts[first])))
            neighbour_residuals(made.distance, made.columns, made.starts, 0, first, made.n_distinct, NEIGHBOURS, fresh)
            vars(made)["_inherited"] = fresh, self.neighbour_residuals[:, span]
        return made

    def rows_within(self, bandwidth: float) -> int:
        """Return the rows with positive weight: those on the edge count for the uniform kernel only."""
        edge_counts = self.kernel == "uniform"
        rows = int(np.searchsorted(self.distance, bandwidth, side="right" if edge_counts else "left"))
        while not edge_counts and rows and self.distance[rows - 1] / bandwidth >= 1.0:  # rounding put it on the edge
            rows -= 1
        return rows

    def groups_within(self, rows: int) -> int:
        """Return how many distinct values the first ``rows`` have."""
        return int(np.searchsorted(self.starts, rows))

    def fit(self, bandwidth: float, order: int) -> Fit:
        """Fit a polynomial of this order to every column in the window.

        Raises
        ------
        DesignError
            If the window has too few distinct values.
        """
        rows = self.rows_within(bandwidth)
        distinct = self.groups_within(rows)
        if distinct <= order:
            side = "above" if self.sign > 0 else "below"
            raise DesignError(
                f"a polynomial of order {order} needs {order + 1} distinct values of the running variable {side} the "
                f"cutoff within {bandwidth:.6g} of it; there are {distinct}.",
                hint="Use a larger bandwidth, a lower order, or a local randomization design.",
            )
        kernel = KERNELS[self.kernel]
        moments = self._kernel_sums(None, rows, bandwidth, 2 * order + 2, kernel)
        crossed = np.stack(
            [self._kernel_sums(k, rows, bandwidth, order + 1, kernel) for k in range(len(self.columns))], axis=1
        )
        gram = moments[np.add.outer(np.arange(order + 1), np.arange(order + 1))]
        inverse = _inverse(gram)
        return Fit(bandwidth, rows, gram, inverse, moments, inverse @ crossed)

    def residual_edge(self, rows: int) -> tuple[int, Floats]:
        """Return the row from which the window's end matters to neighbours, and the residuals from there, (k, rows - edge)."""
        from causalkit.kernels.rd_local import neighbour_residuals

        stop = self.groups_within(rows)
        first = max(stop - NEIGHBOURS, 0) if stop < self.n_distinct else stop
        edge = int(self.starts[first])
        outer = np.empty((len(self.columns), rows - edge))
        neighbour_residuals(self.distance, self.columns, self.starts, first, stop, stop, NEIGHBOURS, outer)
        return edge, outer

    def squared_residual_sums(self, rows: int, edge: int, outer: Floats, bandwidth: float, n_powers: int) -> Floats:
        """Return sums of squared (weight times residual of the outcome) times ``(distance / bandwidth) ** k``."""
        from causalkit.kernels.rd_local import powers_until

        prefix, scores = self._squared(min(rows, edge))
        held = powers_until(prefix, self.distance, scores, True, 1.0 / self.reach, min(rows, edge))[:n_powers]
        sums: Floats = held * (self.reach / bandwidth) ** np.arange(n_powers)
        if rows > edge:
            tail: Floats = outer[: rows - edge] * self.weights[edge:rows] if self.weights.size else outer[: rows - edge]
            sums += np.vander(self.distance[edge:rows] / bandwidth, n_powers, increasing=True).T @ tail**2
        return sums

    def _kernel_sums(self, column: int | None, rows: int, bandwidth: float, n_powers: int, kernel: Floats) -> Floats:
        """Return sums of kernel (times a column) times ``u ** j`` for j below ``n_powers``."""
        from causalkit.kernels.rd_local import powers_until

        prefix, values = self._powers(column)
        sums = powers_until(prefix, self.distance, values, False, 1.0 / self.reach, rows)[: n_powers + kernel.size - 1]
        return np.convolve(sums * (self.reach / bandwidth) ** np.arange(sums.size), kernel[::-1], "valid")

    def _powers(self, column: int | None) -> tuple[Floats, Floats]:
        """Return stored power sums of a column (of ones where None), and what is summed; empty stands for ones."""
        held = self._held
        if column not in held:
            from causalkit.kernels.rd_local import prefix_powers

            if column is None:
                values = self.weights
            else:
                values = self.columns[column] * self.weights if self.weights.size else self.columns[column]
            n_powers = (
                (2 * self.top_order + 2 if column is None else self.top_order + 1) + KERNELS[self.kernel].size - 1
            )
            held[column] = prefix_powers(self.distance, values, False, 1.0 / self.reach, n_powers), values
        return held[column]

    @cached_property
    def _held(self) -> dict[int | None, tuple[Floats, Floats]]:
        return {}

    @cached_property
    def neighbour_residuals(self) -> Floats:
        """Nearest-neighbour residuals of every column with all rows as possible neighbours, shape (k, n)."""
        return read_only(self._residuals(self.n))

    def _residuals(self, rows: int) -> Floats:
        """Return the residuals of at least the first ``rows``."""
        from causalkit.kernels.rd_local import neighbour_residuals

        if "_inherited" in vars(self):
            fresh, kept = vars(self)["_inherited"]
            return np.concatenate([fresh, kept[:, fresh.shape[1] : max(rows, fresh.shape[1])]], axis=1)
        stop, end = self.groups_within(rows), self.n_distinct
        out = np.empty((len(self.columns), int(self.starts[stop])))
        neighbour_residuals(self.distance, self.columns, self.starts, 0, stop, end, NEIGHBOURS, out)
        return out

    def _squared(self, rows: int) -> tuple[Floats, Floats]:
        """Return stored power sums of the outcome's squared residuals, at least for the first ``rows``, and residuals."""
        from causalkit.kernels.rd_local import prefix_powers

        held: tuple[Floats, Floats] | None = vars(self).get("_squares")
        if held is None or held[1].size < rows:
            upto = min(self.n, rows + rows // 2)  # later windows are seldom much larger than the first
            known = "neighbour_residuals" in vars(self)
            scores = (self.neighbour_residuals if known else self._residuals(upto))[0, :upto]
            if self.weights.size:
                scores = scores * self.weights[:upto]
            n_powers = 2 * (self.top_order - 1 + KERNELS[self.kernel].size) + 1
            held = prefix_powers(self.distance[:upto], scores, True, 1.0 / self.reach, n_powers), scores
            vars(self)["_squares"] = held
        return held


def quantile(x: Floats, level: float) -> float:
    """Return the quantile of sorted values that averages at jumps (Hyndman and Fan 1996, type 2)."""
    place = x.size * level
    at = int(place)
    return float(0.5 * (x[at - 1] + x[at]) if place == at else x[at])


def _inverse(gram: Floats) -> Floats:
    """Invert a Gram matrix, scaled to a unit diagonal first."""
    scale = 1.0 / np.sqrt(np.diag(gram))
    return np.linalg.inv(gram * np.outer(scale, scale)) * np.outer(scale, scale)
