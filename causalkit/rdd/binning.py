"""Bins for the plot of a regression discontinuity: how many, where, and what the outcome is in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats, Ints

RULES = ("es", "espr", "esmv", "esmvpr", "qs", "qspr", "qsmv", "qsmvpr")
#: A side with a larger share of repeated values has mass points: differences of neighbours then say little.
MASS_POINTS = 0.2
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class Bins:
    """Means of the outcome in bins on both sides of a cutoff.

    Parameters
    ----------
    rule : str
        The rule that chose their number.
    count : (int, int)
        Bins on the left and on the right, empty ones among them.
    integrated_error, mimicking : (float, float)
        Numbers of bins that minimise the integrated mean squared error, and that give the dots the variability of the
        data, by the rule's spacing and variance estimate.
    edges_left, edges_right : array
        Limits of all bins, shape (count + 1,), measured from the cutoff.
    low, high, x, y, se : array, shape (B,)
        Limits, mean of the running variable and of the outcome, and standard error of the latter, of the bins with rows.
    n : array of int, shape (B,)
        Rows in each.
    """

    rule: str
    count: tuple[int, int]
    integrated_error: tuple[float, float]
    mimicking: tuple[float, float]
    edges_left: Floats
    edges_right: Floats
    low: Floats
    high: Floats
    x: Floats
    y: Floats
    se: Floats
    n: Ints

    @property
    def middle(self) -> Floats:
        """Middle of each bin with rows."""
        return (self.low + self.high) / 2.0

    def ci(self, alpha: float = 0.05) -> tuple[Floats, Floats]:
        """Return t intervals of the means; a bin with one row has an interval of no length."""
        half = special.stdtrit(np.maximum(self.n - 1, 1), 1.0 - alpha / 2.0) * self.se
        return self.y - half, self.y + half


def bins(y: Floats, x: Floats, rule: str = "esmv", count: tuple[int, int] | None = None, adjust: bool = True) -> Bins:
    """Bin the outcome for a plot (Calonico, Cattaneo and Titiunik 2015).

    Parameters
    ----------
    y, x : array, shape (n,)
        Outcome, and running variable measured from the cutoff.
    rule : {"es", "espr", "esmv", "esmvpr", "qs", "qspr", "qsmv", "qsmvpr"}
        Bins of equal length (``es``) or with equally many rows (``qs``); as many as minimise the integrated mean squared
        error, or as mimic the variability of the data (``mv``); with the variance from differences of neighbours, or from
        a polynomial regression (``pr``).
    count : (int, int), optional
        Number of bins on each side, instead of the rule's.
    adjust : bool
        Take the variance from a polynomial where a fifth of the rows on a side repeat a value.

    Raises
    ------
    DesignError
        If the rule is not known.
    DataError
        If there are fewer than 20 rows, or a side has fewer than two distinct values.
    """
    if rule not in RULES:
        raise DesignError(f"the rule {rule!r} is not known.", hint=f"Use one of {', '.join(RULES)}.")
    if y.size < _FEWEST:
        raise DataError(f"{y.size} rows are too few to be binned; {_FEWEST} are needed.")
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    at = int(np.searchsorted(x, 0.0))
    sides = _Side(x[:at], y[:at], -float(x[0]), y.size), _Side(x[at:], y[at:], float(x[-1]), y.size)
    for side, name in zip(sides, ("below", "above"), strict=True):
        if side.distinct < 2:
            raise DataError(f"fewer than two distinct values of the running variable lie {name} the cutoff.")
    if adjust and not rule.endswith("pr") and any(side.distinct <= (1 - MASS_POINTS) * side.x.size for side in sides):
        rule += "pr"
    error = [side.number(rule, "error") for side in sides]
    mimicking = [side.number(rule, "mimicking") for side in sides]
    wanted = mimicking if "mv" in rule else error
    numbers = [int(value) for value in wanted] if count is None else list(count)
    numbers = [1 if side.flat else max(value, 1) for side, value in zip(sides, numbers, strict=True)]
    edges = [side.edges(rule, number) for side, number in zip(sides, numbers, strict=True)]
    parts = [_means(side, limits) for side, limits in zip(sides, edges, strict=True)]
    low, high, mean_x, mean_y, se, n = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    return Bins(
        rule, (numbers[0], numbers[1]), (error[0], error[1]), (mimicking[0], mimicking[1]), edges[0], edges[1],
        low, high, mean_x, mean_y, se, n,
    )  # fmt: skip


def global_curve(y: Floats, x: Floats, order: int = 4, points: int = 200) -> tuple[Floats, Floats]:
    """Return a polynomial of the outcome on one side, fitted to all its rows: positions and values.

    Parameters
    ----------
    y, x : array, shape (n,)
        Rows of one side, measured from the cutoff.
    order : int
        Order of the polynomial; lower where there are fewer distinct values.
    points : int
        Positions, from the cutoff to the farthest row.
    """
    far = float(x[np.argmax(np.abs(x))])
    power = np.arange(min(order, np.unique(x).size - 1) + 1)
    coefficients = np.linalg.lstsq((x / far)[:, None] ** power, y, rcond=None)[0]
    t = np.linspace(0.0, 1.0, points)
    return t * far, t[:, None] ** power @ coefficients


@dataclass(frozen=True, eq=False)
class _Side:
    """Rows of one side in ascending order, the length of its support, and the number of rows on both sides."""

    x: Floats
    y: Floats
    length: float
    total: int

    @cached_property
    def distinct(self) -> int:
        return int(np.count_nonzero(np.diff(self.x)) + 1) if self.x.size else 0

    @cached_property
    def flat(self) -> bool:
        return bool(np.ptp(self.y) == 0.0)

    @cached_property
    def _centred(self) -> Floats:
        return np.asarray(self.y - self.y.mean())

    @cached_property
    def _fit(self) -> tuple[Floats, Floats]:
        """Coefficients of quartics of the outcome and of its square in the distance over the length."""
        power = np.arange(min(4, self.distinct - 1) + 1)
        both = np.column_stack([self._centred, self._centred**2])
        found = np.linalg.lstsq((self.x / self.length)[:, None] ** power, both, rcond=None)[0].astype(float)
        return found[:, 0], found[:, 1]

    def _slope(self, x: Floats) -> Floats:
        a = self._fit[0]
        power = np.arange(1, a.size)
        return ((x / self.length)[:, None] ** (power - 1)) @ (power * a[1:]) / self.length

    def _variance(self, x: Floats) -> Floats:
        level, square = ((x / self.length)[:, None] ** np.arange(a.size) @ a for a in self._fit)
        found = square - level**2
        return np.where(found < 0, np.var(self.y, ddof=1), found)

    def number(self, rule: str, aim: str) -> float:
        """Return the number of bins for an aim."""
        variance = self._spread(rule)
        if self.flat or variance <= 0:
            return 1.0
        n = self.total
        if aim == "mimicking":
            return float(np.ceil(np.var(self.y, ddof=1) / variance * (n / np.log(n) ** 2)))
        return float(np.ceil((2.0 * self._bias(rule) / variance * n) ** (1.0 / 3.0)))

    def _bias(self, rule: str) -> float:
        if rule.startswith("es"):
            return float(self.length**2 / (12.0 * self.total) * (self._slope(self.x) ** 2).sum())
        step, middle = np.diff(self.x), (self.x[1:] + self.x[:-1]) / 2.0
        return float(self.x.size**2 / (24.0 * self.total) * (step**2 * self._slope(middle) ** 2).sum())

    def _spread(self, rule: str) -> float:
        step, middle = np.diff(self.x), (self.x[1:] + self.x[:-1]) / 2.0
        if rule.startswith("es"):
            own = self._variance(middle) if rule.endswith("pr") else self._jumps / 2.0
            return float((step * own).sum() / self.length)
        own = self._variance(self.x) if rule.endswith("pr") else self._jumps / 2.0
        return float(own.sum() / self.x.size)

    @cached_property
    def _jumps(self) -> Floats:
        """Squared differences of neighbours, averaged over all orders of the rows that share a value of x."""
        new = np.concatenate(([True], np.diff(self.x) != 0.0))
        codes = np.cumsum(new) - 1
        n = np.bincount(codes).astype(float)
        means = np.bincount(codes, self._centred) / n
        within = np.bincount(codes, (self._centred - means[codes]) ** 2)
        tied = 2.0 * within / np.maximum(n - 1.0, 1.0)
        across = np.diff(means) ** 2 + within[1:] / n[1:] + within[:-1] / n[:-1]
        return np.where(new[1:], across[np.maximum(codes[1:] - 1, 0)] if across.size else 0.0, tied[codes[1:]])

    def edges(self, rule: str, number: int) -> Floats:
        """Return the limits of the bins."""
        if rule.startswith("qs"):
            return np.quantile(self.x, np.linspace(0.0, 1.0, number + 1))
        ends = (-self.length, 0.0) if self.x[0] < 0 else (0.0, self.length)
        return np.linspace(*ends, number + 1)


def _means(side: _Side, edges: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Ints]:
    """Means in bins that are closed on the left, the last one on both sides."""
    last = edges.size - 2
    codes = np.clip(np.searchsorted(edges, side.x, side="right") - 1, 0, last)
    n = np.bincount(codes, minlength=last + 1)
    held = np.flatnonzero(n)
    size = n[held]
    shift = float(side.y.mean())
    x = np.bincount(codes, side.x, last + 1)[held] / size
    y = np.bincount(codes, side._centred, last + 1)
    means = y[held] / size
    rest = side._centred - np.divide(y, n, out=np.zeros_like(y), where=n > 0)[codes]
    squares = np.bincount(codes, rest**2, last + 1)[held]
    se = np.sqrt(squares / np.maximum(size - 1, 1) / size)
    return edges[held], edges[held + 1], x, means + shift, se, size
