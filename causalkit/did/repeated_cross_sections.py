"""Effects by cohort and time where units are not followed: each comparison is one of four groups of rows.

A cell compares treated and control rows of two periods. Units that are seen in both, or in several cells, enter through
the sum of the influence values of their rows. These are made for a block of units at a time, and go into the covariance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.core.deferred import influence_or_covariance
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups, Rows
from causalkit.did.cell_estimates import CellEstimates, require_cells
from causalkit.did.cohorts import Cohorts, require_units
from causalkit.did.four_groups import FourGroups, Solved
from causalkit.did.group_time import Method
from causalkit.did.logit import NotEstimable
from causalkit.did.panel_moments import add_by_cluster
from causalkit.did.plan import Cell
from causalkit.did.row_moments import RowCells, RowMoments
from causalkit.did.row_panel import RowPanel
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only


def on_rows(cohorts: Cohorts, plan: Sequence[Cell], method: Method) -> CellEstimates:
    """Estimate cells from the rows that are there.

    Parameters
    ----------
    cohorts : Cohorts
        Read with ``unbalanced="cells"``.
    plan : sequence of Cell
    method : {"dr", "ipw", "reg"}
        Doubly robust and locally efficient, inverse propensity weighting (Hajek), or outcome regression.

    References
    ----------
    Sant'Anna and Zhao (2020), "Doubly robust difference-in-differences estimators", sections 2.2 and 3.2 (estimators for
    repeated cross-sections); Callaway and Sant'Anna (2021), appendix B.
    """
    cohorts.require_spread()
    moments = RowMoments.of(cohorts)
    if isinstance(cohorts.panel, RowPanel):  # one row each, in every period: nothing deviates from its mean
        require_units(np.einsum("ctt->ct", moments.seen), cohorts.sample.name("outcome"))
    table = _Covariates.of(moments) if cohorts.sample.has("covariates") else None
    kept: list[Cell] = []
    failed: list[tuple[Cell, str]] = []
    solved: list[Solved] = []
    for cell in plan:
        try:
            moments.require(cell)
            if table is not None:
                solved.append(table.solve(cell, method))
        except NotEstimable as reason:
            failed.append((cell, str(reason)))
            continue
        kept.append(cell)
    require_cells(cohorts, kept, failed)
    plain = moments.cells(kept)
    found = plain if table is None else _Solutions(plain, table, tuple(kept), tuple(solved))
    shares, ways = moments.shares, cohorts.clusters
    vcov = None if len(ways) > 1 else found.vcov(ways[0] if ways else None)
    shape = (cohorts.n_units, len(kept) + len(shares))
    carrier = influence_or_covariance(found.influence, shape, vcov, lambda: _rows(cohorts), ways, "CR0")
    return CellEstimates(
        tuple(kept),
        read_only(shares),
        Estimate(np.concatenate([found.theta, shares]), carrier),
        moments.unit_counts(kept),
        tuple(failed),
        None if table is None else sum(one.trimmed for one in solved),
    )


def _rows(cohorts: Cohorts) -> Rows:
    rows = cohorts.sample.rows
    return Rows(rows.positions, rows.token) if isinstance(cohorts.panel, RowPanel) else cohorts.unit_rows


@dataclass(frozen=True, eq=False)
class _Covariates:
    """The rows with their covariates, and where those of each cohort and period are."""

    moments: RowMoments
    values: Floats
    middle: Floats
    spread: Floats
    order: Codes
    bounds: Ints

    @classmethod
    def of(cls, moments: RowMoments) -> _Covariates:
        values, rows = moments.rows.cohorts.covariates(), moments.rows
        spread = np.array([column.std() for column in values.T])
        place = rows.place(slice(None))
        short = place.astype(np.uint16) if moments.means.size < 2**16 else place
        bounds = np.concatenate([[0], np.cumsum(np.bincount(short, minlength=moments.means.size))])
        del place
        order = np.argsort(short, kind="stable").astype(np.int32)
        return cls(moments, values, values.mean(axis=0), np.where(spread > 0, spread, 1.0), order, bounds)

    def solve(self, cell: Cell, method: Method) -> Solved:
        """Solve the comparison of a cell."""
        return Solved.of(self.groups(cell, self.order, self.bounds)[1], method)

    def groups(self, cell: Cell, order: Ints | Codes, bounds: Ints) -> tuple[Ints | Codes, FourGroups]:
        """Return the rows of a cell, among those in ``order``, whose cohorts and periods begin at ``bounds``."""
        width = self.moments.means.shape[1]
        sides = [(side, at) for side in (cell.controls, (cell.cohort,)) for at in (cell.base, cell.time)]
        places = [[c * width + at for c in side] for side, at in sides]
        sizes = [sum(int(bounds[p + 1] - bounds[p]) for p in some) for some in places]
        rows = np.concatenate([order[bounds[p] : bounds[p + 1]] for some in places for p in some])
        kind = np.repeat(np.arange(4, dtype=np.int8), sizes)
        x = np.empty((len(rows), 1 + self.values.shape[1]))
        x[:, 0] = 1.0
        x[:, 1:] = (self.values[rows] - self.middle) / self.spread
        table = self.moments.rows
        return rows, FourGroups(table.y[rows] - table.centre, x, table.weight(rows), kind >= 2, kind % 2 == 1)


@dataclass(frozen=True, eq=False)
class _Solutions:
    """Comparisons with covariates; shares come from the moments."""

    plain: RowCells
    table: _Covariates
    plan: tuple[Cell, ...]
    solved: tuple[Solved, ...]

    @property
    def theta(self) -> Floats:
        """The estimates, shape (k,)."""
        return np.array([one.value for one in self.solved])

    def values(self) -> Iterator[tuple[slice, Floats]]:
        """Yield units and their influence values, shape (k + shares, m), 1/n folded in."""
        moments, k = self.table.moments, len(self.plan)
        rows, size = moments.rows, moments.means.size
        unit = rows.cohorts.panel.unit.codes
        for start, stop in rows.units():
            mine = rows.rows(start, stop)
            place = rows.place(mine)
            order = mine[np.argsort(place, kind="stable")]
            bounds = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=size))])
            psi = np.empty((self.plain.coefficients.shape[1], stop - start))
            for j, (cell, one) in enumerate(zip(self.plan, self.solved, strict=True)):
                some, groups = self.table.groups(cell, order, bounds)
                psi[j] = np.bincount(unit[some] - start, one.influence(groups), stop - start)
            psi[k:] = self._of_shares(start, stop, mine)
            yield slice(start, stop), psi

    def _of_shares(self, start: int, stop: int, mine: Ints) -> Floats:
        """Return the influence values of some units on the shares, shape (shares, m)."""
        cohorts, moved = self.table.moments.rows.cohorts, self.plain.coefficients[:, len(self.plan) :, -2:]
        unit = cohorts.panel.unit.codes[mine] - start
        mean = np.bincount(unit, self.table.moments.rows.weight(mine), stop - start) / np.bincount(unit)
        at = cohorts.of_start[cohorts.start[start:stop]]
        return np.asarray(moved[at, :, 0].T * mean + moved[at, :, 1].T)

    def vcov(self, way: Groups | None) -> Floats:
        """Return the covariance of cells and shares, by unit or by cluster; no more than a block of values is held."""
        size = self.plain.coefficients.shape[1]
        found = np.zeros((size, size) if way is None else (len(way.labels), size))
        for some, psi in self.values():
            if way is None:
                found += psi @ psi.T
            else:
                add_by_cluster(found, way.codes[some], psi)
        return found if way is None else np.asarray(found.T @ found)

    def influence(self) -> Floats:
        """Return the influence values of all units, shape (n_units, k + shares)."""
        found = np.empty((self.table.moments.rows.cohorts.n_units, self.plain.coefficients.shape[1]))
        for some, psi in self.values():
            found[some] = psi.T
        return found
