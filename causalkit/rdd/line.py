"""The rows on one side of a cutoff, with sums of powers and residuals that are formed as far as windows ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

#: Kernel -> its polynomial in u = distance / bandwidth on [0, 1].
KERNELS: dict[str, Floats] = {
    "triangular": read_only(np.array([1.0, -1.0])),
    "uniform": read_only(np.array([0.5])),
    "epanechnikov": read_only(np.array([0.75, 0.0, -0.75])),
}

#: Neighbours of the nearest-neighbour variance.
NEIGHBOURS = 3

#: What is summed: a column by its number, "ones", or the "squares" of the outcome's residuals (each times the weights).
Summand = int | Literal["ones", "squares"]


class PowerSums:
    """Sums of ``values * distance ** k`` over windows.

    Parameters
    ----------
    distance : array, shape (n,)
        Ascending.
    values : array, shape (n,) or (0,)
        What is summed; empty stands for ones. It may be filled later than this is made, but before it is summed.
    squared : bool
        Sum the squares of the values.
    n_powers : int
        k goes from 0 to one less.
    """

    def __init__(self, distance: Floats, values: Floats, squared: bool, n_powers: int) -> None:
        self.distance, self.values, self.squared, self.n_powers = distance, values, squared, n_powers
        self._unit = 1.0 / float(distance[-1]) if distance[-1] > 0 else 1.0
        self._prefix: Floats | None = None
        self._ready = 0
        self._nodes: tuple[Floats, Ints] | None = None

    def until(self, rows: int, bandwidth: float) -> Floats:
        """Return sums of ``values * (distance / bandwidth) ** k`` over the first rows."""
        from causalkit.kernels.rd_powers import BLOCK, powers_until, prefix_powers

        if self._prefix is None:
            self._prefix = np.zeros((self.distance.size // BLOCK + 1, self.n_powers))
        wanted = rows // BLOCK
        if wanted > self._ready:
            prefix_powers(self.distance, self.values, self.squared, self._unit, self._ready, wanted, self._prefix)
            self._ready = wanted
        sums: Floats = powers_until(
            self._prefix, self.distance, self.values, self.squared, self._unit, rows, 1.0 / bandwidth
        )
        return sums

    def between(self, low: int, high: int, origin: float, unit: float) -> Floats:
        """Return sums of ``values * ((distance - origin) * unit) ** k`` over rows ``low .. high - 1``."""
        from causalkit.kernels.rd_powers import block_powers, powers_between

        if self._nodes is None:
            self._nodes = block_powers(self.distance, self.values, self.squared, self.n_powers)
        sums: Floats = powers_between(*self._nodes, self.distance, self.values, self.squared, low, high, origin, unit)
        return sums


@dataclass(frozen=True, eq=False)
class Line:
    """Rows on one side of the cutoff, nearest first.

    Attributes
    ----------
    distance : array, shape (n,)
        Distance from the cutoff, ascending.
    columns : array, shape (k, n)
        Outcome, then treatment and covariates, each less its mean on this side.
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
    n_distinct : int
        Distinct distances.
    """

    distance: Floats
    columns: Floats
    weights: Floats
    codes: Codes | None
    n_clusters: int
    kernel: str
    top_order: int
    rows: Ints
    n_distinct: int

    @property
    def n(self) -> int:
        """Rows."""
        return self.distance.size

    @property
    def tied(self) -> bool:
        """Whether any distance repeats."""
        return self.n_distinct < self.n

    @cached_property
    def starts(self) -> Ints:
        """Where each group of equal distances starts; the number of rows stands at the end."""
        from causalkit.kernels.rd_local import tie_starts

        found: Ints = tie_starts(self.distance)
        return found

    def with_columns(self, columns: Floats) -> Line:
        """Return the same rows with other columns; what depends on distances only is shared."""
        made = replace(self, columns=read_only(columns))
        made._sums.update({what: sums for what, sums in self._sums.items() if what == "ones"})
        if "starts" in vars(self):
            vars(made)["starts"] = self.starts
        return made

    def residuals(self, rows: int) -> Floats:
        """Return nearest-neighbour residuals, shape (k, n): all rows are possible neighbours, the first ``rows`` are filled."""
        from causalkit.kernels.rd_local import distinct_residuals, neighbour_residuals

        ready = self._ready["residuals"]
        if rows <= ready:
            return self._residuals
        if self.tied:
            first, stop = np.searchsorted(self.starts, (ready, rows))
            rows = int(self.starts[stop])
            neighbour_residuals(
                self.distance, self.columns, self.starts, first, stop, self.n_distinct, NEIGHBOURS,
                self._residuals[:, ready:rows],
            )  # fmt: skip
        else:
            distinct_residuals(self.distance, self.columns, ready, rows, self._residuals)
        self._ready["residuals"] = rows
        return self._residuals

    def sums(self, what: Summand, rows: int) -> PowerSums:
        """Return sums of a column, of ones, or of squared residuals, which must reach to ``rows``."""
        if what == "squares":
            self._fill(rows)
        if what not in self._sums:
            self._sums[what] = self._make(what)
        return self._sums[what]

    def _make(self, what: Summand) -> PowerSums:
        top, degree = self.top_order, KERNELS[self.kernel].size - 1
        if what == "ones":
            return PowerSums(self.distance, self.weights, False, 2 * top + 2 + degree)
        if what == "squares":
            return PowerSums(self.distance, self._scores, True, 2 * (top - 1 + degree) + 1)
        column = self.columns[what]
        return PowerSums(self.distance, column * self.weights if self.weights.size else column, False, top + 1 + degree)

    def _fill(self, rows: int) -> None:
        """Make residuals (times weights) of the outcome, as far as they are wanted."""
        residuals, ready = self.residuals(rows)[0], self._ready["scores"]
        if self.weights.size and rows > ready:
            np.multiply(residuals[ready:rows], self.weights[ready:rows], out=self._scores[ready:rows])
            self._ready["scores"] = rows

    @cached_property
    def _residuals(self) -> Floats:
        return np.empty(self.columns.shape)

    @cached_property
    def _scores(self) -> Floats:
        return np.empty(self.n) if self.weights.size else self._residuals[0]

    @cached_property
    def _ready(self) -> dict[str, int]:
        return {"residuals": 0, "scores": 0}

    @cached_property
    def _sums(self) -> dict[Summand, PowerSums]:
        return {}


def interquartile_range(value: Callable[[int], float], n: int) -> float:
    """Return the distance of the quartiles, which average at jumps (Hyndman and Fan 1996, type 2), from values by rank."""

    def quantile(level: float) -> float:
        place = n * level
        at = int(place)
        return 0.5 * (value(at - 1) + value(at)) if place == at else value(at)

    return quantile(0.75) - quantile(0.25)
