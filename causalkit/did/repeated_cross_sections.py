"""Effects by cohort and time where units are not followed: each comparison is one of four groups of rows.

A cell compares treated and control rows of two periods. Units that are seen in both, or in several cells, enter through
the sum of the influence values of their rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.core.deferred import influence_or_covariance
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups, Rows
from causalkit.core.sample import Sample
from causalkit.did.cell_estimates import CellEstimates, require_cells
from causalkit.did.cohorts import Cohorts
from causalkit.did.group_time import CONDITION, Method
from causalkit.did.logit import TRIM, NotEstimable, fit_logit
from causalkit.did.plan import Cell
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only

#: The name of the column that stands for units where rows are not followed.
ROW = "row"


def rows_as_units(sample: Sample) -> Sample:
    """Return the sample with every row a unit of its own."""
    codes = read_only(np.arange(sample.n, dtype=np.int32))
    return sample.with_column("unit", Groups(codes, tuple(range(sample.n)), ROW))


def without_units(sample: Sample) -> Sample:
    """Undo :func:`rows_as_units`."""
    return replace(sample, columns={role: column for role, column in sample.columns.items() if role != "unit"})


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
    table = _Table.of(cohorts)
    kept: list[Cell] = []
    failed: list[tuple[Cell, str]] = []
    theta, counts, trimmed = [], [], 0
    psi = _Sparse([])
    for cell in plan:
        try:
            rows, value, left, gone = table.fit(cell, method)
        except NotEstimable as reason:
            failed.append((cell, str(reason)))
            continue
        psi.add(table.unit[rows], left)
        kept.append(cell)
        theta.append(value)
        counts.append(table.counts(cell))
        trimmed += gone
    require_cells(cohorts, kept, failed)
    shares, of_shares = cohort_shares(cohorts)
    shape, ways = (cohorts.n_units, len(kept) + len(shares)), cohorts.clusters
    vcov = None if len(ways) > 1 else psi.vcov(of_shares, ways[0] if ways else None)
    carrier = influence_or_covariance(lambda: psi.beside(of_shares), shape, vcov, lambda: _rows(cohorts), ways, "CR0")
    joint = Estimate(np.concatenate([theta, shares]), carrier)
    return CellEstimates(
        tuple(kept),
        read_only(shares),
        joint,
        np.array(counts, dtype=np.int64).T,
        tuple(failed),
        trimmed if table.x.shape[1] > 1 else None,
    )


@dataclass(frozen=True, eq=False)
class _Sparse:
    """Influence values of units on cells, of which each unit enters few."""

    columns: list[tuple[Codes, Floats]]

    def add(self, unit: Ints, psi: Floats) -> None:
        """Add a cell, from its rows."""
        there = np.flatnonzero(np.bincount(unit))
        self.columns.append((there.astype(np.int32), np.bincount(unit, weights=psi)[there].astype(np.float64)))

    def beside(self, more: Floats) -> Floats:
        """Return all values beside those of further estimates, shape (n_units, k + m)."""
        found = np.zeros((len(more), len(self.columns) + more.shape[1]))
        for j, (unit, values) in enumerate(self.columns):
            found[unit, j] = values
        found[:, len(self.columns) :] = more
        return found

    def vcov(self, more: Floats, way: Groups | None) -> Floats:
        """Return the covariance of the cells and of further estimates, by unit or by cluster."""
        if way is not None:
            columns = [np.bincount(way.codes[unit], values, len(way.labels)) for unit, values in self.columns]
            sums = np.column_stack([*columns, *(np.bincount(way.codes, column, len(way.labels)) for column in more.T)])
            return np.asarray(sums.T @ sums)
        from scipy.sparse import csc_array

        ends = np.cumsum([0, *(len(unit) for unit, _ in self.columns)])
        units, values = (np.concatenate(part) for part in zip(*self.columns, strict=True))
        cells = csc_array((values, units, ends), shape=(len(more), len(self.columns)))
        beside = cells.T @ more
        return np.block([[(cells.T @ cells).toarray(), beside], [beside.T, more.T @ more]])


def _rows(cohorts: Cohorts) -> Rows:
    rows = cohorts.sample.rows
    return Rows(rows.positions, rows.token) if cohorts.sample.name("unit") == ROW else cohorts.unit_rows


def cohort_shares(cohorts: Cohorts) -> tuple[Floats, Floats]:
    """Return the share of each cohort among all units, and its influence values with 1/n folded in."""
    n, unit = cohorts.n_units, cohorts.panel.unit.codes
    weights = cohorts.sample.optional("weights")
    w = np.ones(n)
    if weights is not None:
        w = np.bincount(unit, weights=weights, minlength=n) / np.bincount(unit, minlength=n)
        w /= w.mean()
    within = (cohorts.of_unit[:, None] == np.arange(len(cohorts.starts))) * w[:, None]
    shares = within.mean(axis=0)
    return shares, (within - shares) / n


@dataclass(frozen=True, eq=False)
class _Table:
    """The rows, and where those of each cohort and period are."""

    y: Floats
    x: Floats
    w: Floats
    unit: Ints
    order: Ints
    bounds: Ints
    n_periods: int

    @classmethod
    def of(cls, cohorts: Cohorts) -> _Table:
        panel, sample = cohorts.panel, cohorts.sample
        place = cohorts.of_unit[panel.unit.codes] * cohorts.n_periods + panel.time.codes
        sizes = np.bincount(place, minlength=(len(cohorts.starts) + 1) * cohorts.n_periods)
        covariates = cohorts.covariates()
        spread = covariates.std(axis=0)
        moved = (covariates - covariates.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        weights = sample.optional("weights")
        w = np.ones(sample.n) if weights is None else weights / weights.mean()
        x = np.column_stack([np.ones(sample.n), moved])
        # Comparisons do not see a constant, and digits are lost to it.
        y = sample.outcome - np.round(sample.outcome.mean())
        order, bounds = np.argsort(place, kind="stable"), np.concatenate([[0], np.cumsum(sizes)])
        return cls(y, x, w, panel.unit.codes.astype(np.int64), order, bounds, cohorts.n_periods)

    def _rows(self, cohorts: Sequence[int], period: int) -> Ints:
        places = [c * self.n_periods + period for c in cohorts]
        return np.concatenate([self.order[self.bounds[at] : self.bounds[at + 1]] for at in places])

    def counts(self, cell: Cell) -> tuple[int, int]:
        """Return the treated and the control units of a cell."""
        sides = ((cell.cohort,), cell.controls)
        found = [
            len(np.unique(np.concatenate([self.unit[self._rows(side, at)] for at in (cell.base, cell.time)])))
            for side in sides
        ]
        return found[0], found[1]

    def fit(self, cell: Cell, method: Method) -> tuple[Ints, float, Floats, int]:
        """Return the rows of a cell, its estimate, their influence values, and how many controls have no weight."""
        groups = [self._rows(side, at) for side in (cell.controls, (cell.cohort,)) for at in (cell.base, cell.time)]
        for rows, name in zip(groups, ("control", "control", "treated", "treated"), strict=True):
            if not len(rows):
                raise NotEstimable(f"no {name} row is there in one of its periods")
        rows = np.concatenate(groups)
        kind = np.repeat(np.arange(4), [len(group) for group in groups])
        four = _FourGroups(self.y[rows], self.x[rows], self.w[rows], kind >= 2, kind % 2 == 1)
        return (rows, *four.estimate(method))


@dataclass(frozen=True, eq=False)
class _FourGroups:
    """Rows of treated and controls in two periods."""

    y: Floats
    x: Floats
    w: Floats
    treated: Bools
    post: Bools

    def estimate(self, method: Method) -> tuple[float, Floats, int]:
        """Return the estimate, influence values, and how many controls have no weight."""
        if self.x.shape[1] == 1:
            return (*_combined(self, _differences(self, self.w, self.y), {}, None), 0)
        sides = {"ipw": (), "reg": (False,), "dr": (False, True)}[method]
        fits = {(side, post): _Line.of(self, side, post) for side in sides for post in (False, True)}
        if method == "reg":
            return (*_combined(self, _regression(self, fits), fits, None), 0)
        x, w, d = self.x, self.w, self.treated
        blocks = [(x[d].T, w[d], True), (x[~d].T, w[~d], False)]
        logit = fit_logit(blocks, np.zeros(x.shape[1]))
        p = logit.probability(x.T)
        weights = np.where(d, w, w * logit.odds(p))
        for post in (False, True):
            if not weights[~d & (self.post == post)].any():
                raise NotEstimable("no control has covariates like its units")
        terms = _differences(self, weights, self.y) if method == "ipw" else _doubly_robust(self, weights, fits)
        by_score = (w * (d - p))[:, None] * (x @ logit.covariance)
        return (*_combined(self, terms, fits, by_score), int((~d & (p >= TRIM)).sum()))


@dataclass(frozen=True, eq=False)
class _Line:
    """A regression of the outcome on covariates, in one of the four groups."""

    expected: Floats
    by_row: Floats

    @classmethod
    def of(cls, rows: _FourGroups, side: bool, post: bool) -> _Line:
        here = (rows.treated == side) & (rows.post == post)
        weighted = rows.x * (rows.w * here)[:, None]
        gram = weighted.T @ rows.x
        scale = np.sqrt(np.diag(gram))
        if not (scale > 0).all() or np.linalg.cond(gram / np.outer(scale, scale)) > CONDITION:
            who = "treated" if side else "control"
            raise NotEstimable(f"its {who} rows in one period do not identify {len(gram)} coefficients")
        inverse = np.linalg.inv(gram)
        expected = rows.x @ (inverse @ (weighted.T @ rows.y))
        return cls(expected, (weighted * (rows.y - expected)[:, None]) @ inverse)


@dataclass(frozen=True, eq=False)
class _Mean:
    """A weighted mean that enters an estimate with a sign.

    ``slopes`` names the regressions whose prediction is in the value, with its sign; ``odds`` says that weights come from
    the propensity model.
    """

    sign: float
    weight: Floats
    value: Floats
    slopes: Mapping[tuple[bool, bool], float]
    odds: bool = False


Fits = Mapping[tuple[bool, bool], _Line]


def _differences(rows: _FourGroups, weights: Floats, value: Floats) -> list[_Mean]:
    """Return the four means of a difference in differences."""
    return [
        _Mean(
            1.0 if side == post else -1.0,
            weights * ((rows.treated == side) & (rows.post == post)),
            value,
            {},
            odds=not side,
        )
        for side in (False, True)
        for post in (False, True)
    ]


def _regression(rows: _FourGroups, fits: Fits) -> list[_Mean]:
    """Return the change of the treated, and what is expected of it by the regressions of the controls."""
    change = fits[False, True].expected - fits[False, False].expected
    own = [mean for mean in _differences(rows, rows.w * rows.treated, rows.y) if mean.weight.any()]
    expected = {(False, True): 1.0, (False, False): -1.0}
    return [*own, _Mean(-1.0, rows.w * rows.treated, change, expected)]


def _doubly_robust(rows: _FourGroups, weights: Floats, fits: Fits) -> list[_Mean]:
    """Return the means of the locally efficient estimator."""
    expected = np.where(rows.post, fits[False, True].expected, fits[False, False].expected)
    found = [
        replace(mean, slopes={(False, post): -1.0})
        for mean, post in zip(_differences(rows, weights, rows.y - expected), (False, True, False, True), strict=True)
    ]
    every = rows.w * rows.treated
    for post, sign in ((True, 1.0), (False, -1.0)):
        gap = fits[True, post].expected - fits[False, post].expected
        slopes = {(True, post): 1.0, (False, post): -1.0}
        found.append(_Mean(sign, every, gap, slopes))
        found.append(_Mean(-sign, every * (rows.post == post), gap, slopes))
    return found


def _combined(rows: _FourGroups, means: Sequence[_Mean], fits: Fits, by_score: Floats | None) -> tuple[float, Floats]:
    """Add the means; influence values take in the regressions and the propensity model, by the chain rule."""
    value, psi = 0.0, np.zeros(len(rows.y))
    of_slopes = {key: np.zeros(rows.x.shape[1]) for key in fits}
    of_score = np.zeros(rows.x.shape[1])
    for mean in means:
        total = mean.weight.sum()
        if not total > 0:
            raise NotEstimable("the rows of one of its groups have no weight")
        centre = float(mean.weight @ mean.value) / total
        left = mean.sign * mean.weight * (mean.value - centre) / total
        value += mean.sign * centre
        psi += left
        for key, sign in mean.slopes.items():
            of_slopes[key] += mean.sign * sign * (mean.weight @ rows.x) / total
        if mean.odds:
            of_score += left @ rows.x
    for key, line in fits.items():
        psi += line.by_row @ of_slopes[key]
    if by_score is not None:
        psi += by_score @ of_score
    return value, psi
