"""Effects by cohort and time of units that are not seen in every period, from the moments of each cohort.

Without covariates an influence value is a linear function of what a unit shows in each period - its weighted outcome, its
weight - with coefficients that its cohort shares. So the cross-products of these terms by cohort hold all there is, and
rows are read a block at a time: nothing as long as the table is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.core.rows import Groups
from causalkit.did.cohorts import Cohorts
from causalkit.did.logit import NotEstimable
from causalkit.did.panel_moments import add_by_cluster
from causalkit.did.plan import Cell
from causalkit.did.row_panel import RowPanel
from causalkit.kernels.arrays import Floats, Ints

#: Rows (or units) that are worked on at a time.
BLOCK = 2**14


@dataclass(frozen=True, eq=False)
class Block:
    """Some units of a cohort.

    Attributes
    ----------
    cohort : int
    units : Ints, shape (m,)
    columns : Ints, shape (p,)
        Which of the ``3 n_periods + 2`` terms are here; the others are zero.
    terms : Floats, shape (p, m)
        By period ``w (y - mean)``, ``w`` and one where the unit is seen; then its mean weight, and one.
    """

    cohort: int
    units: Ints
    columns: Ints
    terms: Floats


@dataclass(frozen=True, eq=False)
class UnitRows:
    """The rows of a study, and an order in which those of a unit are neighbours."""

    cohorts: Cohorts

    @property
    def y(self) -> Floats:
        """Outcomes."""
        return self.cohorts.sample.outcome

    @cached_property
    def weights(self) -> Floats | None:
        """Weights of the rows, or None."""
        return self.cohorts.sample.optional("weights")

    @cached_property
    def centre(self) -> float:
        """A number close to the outcomes: comparisons do not see a constant, and digits are lost to it."""
        return float(np.round(self.y.mean()))

    @cached_property
    def each_is_a_unit(self) -> bool:
        """Whether every row is a unit of its own, in order."""
        return isinstance(self.cohorts.panel, RowPanel)

    @cached_property
    def bounds(self) -> Ints:
        """Where the rows of each unit begin, in order of units."""
        count = np.bincount(self.cohorts.panel.unit.codes, minlength=self.cohorts.n_units)
        return np.concatenate([[0], np.cumsum(count)])

    @cached_property
    def order(self) -> Ints | None:
        """The row at each place in the order of units; None where rows are in this order."""
        unit = self.cohorts.panel.unit.codes
        return None if self.each_is_a_unit or (unit[1:] >= unit[:-1]).all() else np.argsort(unit, kind="stable")

    def rows(self, start: int, stop: int) -> Ints:
        """Return the rows of the units from ``start`` to ``stop``."""
        if self.each_is_a_unit:
            return np.arange(start, stop)
        first, last = int(self.bounds[start]), int(self.bounds[stop])
        return np.arange(first, last) if self.order is None else self.order[first:last]

    def units(self) -> Iterator[tuple[int, int]]:
        """Yield the first unit of each block and the one after its last."""
        for start in range(0, self.cohorts.n_units, BLOCK):
            yield start, min(start + BLOCK, self.cohorts.n_units)

    def weight(self, rows: Ints | slice) -> Floats:
        """Return the weights of some rows."""
        if self.weights is None:
            return np.ones(len(self.y[rows]))
        return self.weights[rows]

    def place(self, rows: Ints | slice) -> Ints:
        """Return cohort times ``n_periods`` plus period of some rows."""
        cohorts = self.cohorts
        of_unit = cohorts.of_start[cohorts.start[cohorts.panel.unit.codes[rows]]]
        return np.asarray(of_unit * cohorts.n_periods + cohorts.panel.time.codes[rows])

    def totals_and_means(self) -> tuple[Floats, Floats]:
        """Return the sum of weights and the weighted mean of the outcome less its centre, shape (cohorts + 1, n_periods)."""
        shape = (len(self.cohorts.starts) + 1, self.cohorts.n_periods)
        totals, sums = np.zeros(shape[0] * shape[1]), np.zeros(shape[0] * shape[1])
        for start in range(0, len(self.y), BLOCK):
            some = slice(start, start + BLOCK)
            place, w = self.place(some), self.weight(some)
            totals += np.bincount(place, w, len(totals))
            sums += np.bincount(place, w * (self.y[some] - self.centre), len(totals))
        means = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
        return totals.reshape(shape), means.reshape(shape)

    def blocks(self, means: Floats) -> Iterator[Block]:
        """Yield the terms of all units."""
        return self._single(means.ravel()) if self.each_is_a_unit else self._followed(means.ravel())

    def _single(self, means: Floats) -> Iterator[Block]:
        width = self.cohorts.n_periods
        for start, stop in self.units():
            place = self.place(slice(start, stop))
            order = np.argsort(place.astype(np.uint16) if len(means) < 2**16 else place, kind="stable")
            ends = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(means)))])
            for at in np.flatnonzero(np.diff(ends)):
                units = start + order[ends[at] : ends[at + 1]]
                w = self.weight(units)
                one = np.ones(len(units))
                terms = np.stack([w * (self.y[units] - self.centre - means[at]), w, one, w, one])
                c, t = divmod(int(at), width)
                yield Block(c, units, np.array([t, width + t, 2 * width + t, 3 * width, 3 * width + 1]), terms)

    def _followed(self, means: Floats) -> Iterator[Block]:
        cohorts, width = self.cohorts, self.cohorts.n_periods
        every = np.arange(3 * width + 2)
        for start, stop in self.units():
            rows = self.rows(start, stop)
            unit, time = cohorts.panel.unit.codes[rows] - start, cohorts.panel.time.codes[rows]
            w, terms = self.weight(rows), np.zeros((len(every), stop - start))
            terms[time, unit] = w * (self.y[rows] - self.centre - means[self.place(rows)])
            terms[width + time, unit], terms[2 * width + time, unit] = w, 1.0
            terms[-2] = terms[width : 2 * width].sum(axis=0) / terms[2 * width : 3 * width].sum(axis=0)
            terms[-1] = 1.0
            of_unit = cohorts.of_start[cohorts.start[start:stop]]
            for c in np.unique(of_unit):
                at = np.flatnonzero(of_unit == c)
                yield Block(int(c), start + at, every, terms[:, at])


@dataclass(frozen=True, eq=False)
class RowMoments:
    """Moments of the rows of each cohort; the never treated are the last.

    Attributes
    ----------
    rows : UnitRows
    totals, means : Floats, shape (c, n_periods)
        Sums of weights, and weighted means of the outcome less a constant.
    products : Floats, shape (c, 3 n_periods + 2, 3 n_periods + 2)
        Sums over units of the cross-products of the terms of :class:`Block`.
    """

    rows: UnitRows
    totals: Floats
    means: Floats
    products: Floats

    @classmethod
    def of(cls, cohorts: Cohorts) -> RowMoments:
        """Sum the rows."""
        rows = UnitRows(cohorts)
        totals, means = rows.totals_and_means()
        size = 3 * cohorts.n_periods + 2
        products = np.zeros((len(totals), size, size))
        for block in rows.blocks(means):
            products[block.cohort][np.ix_(block.columns, block.columns)] += block.terms @ block.terms.T
        return cls(rows, totals, means, products)

    @property
    def seen(self) -> Ints:
        """Units of each cohort that are seen in both of two periods, shape (c, n_periods, n_periods)."""
        width = self.means.shape[1]
        return np.rint(self.products[:, 2 * width : 3 * width, 2 * width : 3 * width]).astype(np.int64)

    @property
    def shares(self) -> Floats:
        """Share of each cohort in all units, by their mean weights."""
        mass = self.products[:, -2, -1]
        return np.asarray(mass[:-1] / mass.sum())

    def require(self, cell: Cell) -> None:
        """Raise where a cell lacks rows, or weight.

        Raises
        ------
        NotEstimable
        """
        seen = self.seen
        for side, name in ((list(cell.controls), "control"), ([cell.cohort], "treated")):
            for at in (cell.base, cell.time):
                if not seen[side, at, at].any():
                    raise NotEstimable(f"no {name} row is there in one of its periods")
                if not self.totals[side, at].sum() > 0:
                    raise NotEstimable("the rows of one of its groups have no weight")

    def unit_counts(self, plan: Sequence[Cell]) -> Ints:
        """Return the treated and the control units of each cell, shape (2, k): those seen in either of its periods."""
        seen = self.seen
        b, t = (np.array([getattr(cell, name) for cell in plan]) for name in ("base", "time"))
        either = seen[:, b, b] + seen[:, t, t] - seen[:, b, t]
        treated = [either[cell.cohort, k] for k, cell in enumerate(plan)]
        return np.array(
            [treated, [either[list(cell.controls), k].sum() for k, cell in enumerate(plan)]], dtype=np.int64
        )

    def cells(self, plan: Sequence[Cell]) -> RowCells:
        """Estimate cells that have rows, and their covariance."""
        n_cohorts, width = self.means.shape
        k = len(plan)
        theta, ways = np.zeros(k), np.zeros((n_cohorts, k + n_cohorts - 1, 3 * width + 2))
        for j, cell in enumerate(plan):
            for side, sign in (([cell.cohort], 1.0), (list(cell.controls), -1.0)):
                for at, turn in ((cell.time, sign), (cell.base, -sign)):
                    total = self.totals[side, at].sum()
                    middle = float(self.totals[side, at] @ self.means[side, at]) / total
                    theta[j] += turn * middle
                    ways[side, j, at] += turn / total
                    ways[side, j, width + at] += turn * (self.means[side, at] - middle) / total
        mass, units = self.products[:, -2, -1].sum(), self.products[:, -1, -1].sum()
        ways[:, k:, -1] = -self.shares / units
        for c in range(n_cohorts - 1):
            ways[c, k + c, -2] += 1.0 / mass
        return RowCells(self, theta, ways)


@dataclass(frozen=True, eq=False)
class RowCells:
    """Estimates of cells, and how a unit's terms enter the influence values of cells and shares.

    Attributes
    ----------
    moments : RowMoments
    theta : Floats, shape (k,)
    coefficients : Floats, shape (c, k + c - 1, 3 n_periods + 2)
    """

    moments: RowMoments
    theta: Floats
    coefficients: Floats

    def vcov(self, way: Groups | None) -> Floats:
        """Return the covariance of cells and shares, by unit or by cluster."""
        if way is None:
            pairs = zip(self.coefficients, self.moments.products, strict=True)
            return np.asarray(sum(moved @ product @ moved.T for moved, product in pairs))
        sums = np.zeros((len(way.labels), self.coefficients.shape[1]))
        for units, psi in self.values():
            add_by_cluster(sums, way.codes[units], psi)
        return np.asarray(sums.T @ sums)

    def values(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield units and their influence values, shape (k + c - 1, m), 1/n folded in."""
        for block in self.moments.rows.blocks(self.moments.means):
            yield block.units, self.coefficients[block.cohort][:, block.columns] @ block.terms

    def influence(self) -> Floats:
        """Return the influence values of all units, shape (n_units, k + c - 1)."""
        found = np.empty((self.moments.rows.cohorts.n_units, self.coefficients.shape[1]))
        for units, psi in self.values():
            found[units] = psi.T
        return found
