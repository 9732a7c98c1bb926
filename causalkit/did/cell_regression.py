"""Two-way fixed effects whose regressors are constant within cohort and period: the fit needs sums by cohort only.

Without covariates the normal equations are made of the cross-products of the periods of each cohort, and the influence
values of a unit are its residual path times a matrix of its cohort; :mod:`causalkit.did.cell_paths` adds both up. No
regressor is ever written out row by row; where a condition does not hold, they are, and the general regression runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from causalkit.core.deferred import influence_or_covariance
from causalkit.core.estimate import Covariance, Estimate
from causalkit.did.cell_paths import UnitPaths, connected
from causalkit.did.cells import Cells
from causalkit.did.cohorts import Cohorts
from causalkit.did.saturated import numbers_of, two_way_fit
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats, read_only

#: Rows that are worked on at a time.
_BLOCK = 2**16

#: Smallest eigenvalue of the correlations of the regressors; below, the general path says what is collinear.
_SINGULAR = 1e-9


def with_reference(cohorts: Cohorts, anticipation: int) -> Cohorts:
    """Leave out cohorts without a period before their start and its anticipation: they can't serve as controls either."""
    treated = cohorts.start < cohorts.n_periods
    return cohorts.without(treated & (cohorts.start <= anticipation), "without a period before anticipation")


def compared_with_last(cohorts: Cohorts, anticipation: int = 0) -> Cohorts:
    """Where nobody is never treated, make controls of the last cohort and leave out periods in which it may respond."""
    if cohorts.sizes[-1]:
        return cohorts
    last = int(cohorts.starts[-1])
    name = cohorts.label_of[last]
    late = np.asarray(cohorts.panel.time.codes >= last - anticipation)
    first = int(cohorts.sample.rows.positions[late].min())
    reason = "period in which everybody is treated or may respond"
    dropped = cohorts.dropped.plus(reason, cohorts.panel.time.name, int(late.sum()), first)
    panel = type(cohorts.panel).of(replace(cohorts.sample.take(np.flatnonzero(~late)), dropped=dropped))
    note = (
        f"Nobody is never treated: the cohort {name} is compared with, and periods from "
        f"{cohorts.periods[last - anticipation]} on are left out."
    )
    kept = set(panel.unit.labels)
    there = np.array([label in kept for label in cohorts.panel.unit.labels])
    start = np.minimum(cohorts.start[there], panel.n_periods)
    return replace(cohorts, panel=panel, start=read_only(start), notes=(*cohorts.notes, note), dropped=dropped)


def cell_indicators(plan: Sequence[tuple[int, int]], n_cohorts: int, n_periods: int) -> Bools:
    """Return one indicator for each (cohort, period), shape (k, cohorts and the never treated, periods)."""
    design = np.zeros((len(plan), n_cohorts + 1, n_periods), dtype=np.bool_)
    for k, (g, t) in enumerate(plan):
        design[k, g, t] = True
    return design


def cell_totals(cohorts: Cohorts, values: Floats | None = None) -> Floats:
    """Sum values over the rows of each cohort (the never treated last) and period; count rows where there are none."""
    shape = (len(cohorts.starts) + 1, cohorts.n_periods)
    if values is None and cohorts.panel.is_balanced:
        return np.repeat(cohorts.sizes[:, None], shape[1], axis=1).astype(float)
    first = (cohorts.of_unit * cohorts.n_periods).astype(np.int32)  # of the cells of each unit
    found = np.zeros(shape[0] * shape[1])
    for start in range(0, cohorts.sample.n, _BLOCK):
        some = slice(start, start + _BLOCK)
        cell = first[cohorts.panel.unit.codes[some]] + cohorts.panel.time.codes[some]
        found += np.bincount(cell, None if values is None else values[some], minlength=len(found))
    return found.reshape(shape)


def describe_cells(cohorts: Cohorts, plan: Sequence[tuple[int, int]], totals: Floats) -> Cells:
    """Describe the cells of a saturated regression, given the rows of each; each has its own weight."""
    g, t = np.array(plan).T
    sizes = totals.astype(np.int64)
    return Cells(
        tuple(cohorts.labels[j] for j in g),
        tuple(cohorts.periods[j] for j in t),
        cohorts.event_times[g, t],
        np.asarray(t >= cohorts.starts[g]),
        np.arange(len(plan)),
        sizes[g, t],
        sizes[-1, t],
    )


def weight_of_cells(cohorts: Cohorts, plan: Sequence[tuple[int, int]], totals: Floats) -> Floats:
    """Return the sum of the weights of each cell (its rows, which are given, where there are none)."""
    g, t = np.array(plan).T
    weights = cohorts.sample.optional("weights")
    return np.asarray((totals if weights is None else cell_totals(cohorts, weights))[g, t])


def cell_regression(cohorts: Cohorts, design: Bools, names: Sequence[str], vcov: str) -> Estimate:
    """Regress the outcome on regressors that are constant within cohort and period, with unit and time effects.

    Parameters
    ----------
    cohorts : Cohorts
        Its covariates enter too, where there are any.
    design : Bools, shape (k, cohorts + 1, periods)
        Value of each regressor by cohort (the never treated last) and period.
    names : sequence of str
        Names of the regressors.
    vcov : str
        As for :func:`~causalkit.did.saturated.two_way_fit`.

    Returns
    -------
    Estimate
        The coefficients, with influence values by unit where the variance allows them.

    Raises
    ------
    DesignError
        If a coefficient is not identified.
    """
    if _applies(cohorts, vcov):
        found = closed_form(cohorts, design, vcov)
        if found is not None:
            return found
        few = one_of_each(cohorts)
        if 4 * few.sample.n < cohorts.sample.n:  # says what is collinear without writing out all rows
            with suppress(InferenceUnavailable):
                two_way_fit(few, by_row(few, design), names, "iid")
    return numbers_of(two_way_fit(cohorts, by_row(cohorts, design), names, vcov), cohorts, names)


def by_row(cohorts: Cohorts, design: Bools) -> list[Floats]:
    """Write out regressors that are constant within cohort and period."""
    at = cohorts.of_unit[cohorts.panel.unit.codes], cohorts.panel.time.codes
    return [values[at].astype(float) for values in design]


def one_of_each(cohorts: Cohorts) -> Cohorts:
    """Keep the first unit of each cohort and set of periods: the others' regressors are those of one that is kept."""
    periods = np.packbits(~np.isnan(cohorts.outcome), axis=1)
    kinds = np.column_stack([cohorts.of_unit, periods])
    first = np.sort(np.unique(kinds, axis=0, return_index=True)[1])
    sample = cohorts.sample.take(np.flatnonzero(np.isin(cohorts.panel.unit.codes, first)))
    return replace(cohorts, panel=type(cohorts.panel).of(sample), start=read_only(cohorts.start[first]))


def _applies(cohorts: Cohorts, vcov: str) -> bool:
    if vcov == "CR3" or cohorts.sample.has("covariates"):
        return False
    return len(cohorts.sample.several("cluster")) <= 1


def closed_form(cohorts: Cohorts, design: Bools, vcov: str) -> Estimate | None:
    """Fit from sums by cohort; None where the regressors are collinear, or units do not link all periods."""
    paths, kind = UnitPaths(cohorts), "CR1" if vcov == "auto" else vcov
    n, k, n_rows = cohorts.n_units, len(design), cohorts.sample.n
    groups = cohorts.clusters[0] if cohorts.clusters else None
    count = n if groups is None else groups.count
    # as count_parameters: unit effects are nested in the clusters, then one constant counts
    n_parameters = k + cohorts.n_periods + (0 if kind.startswith("CR") else n - 1)
    if count < 2 or n_rows <= n_parameters:
        return None
    weights = cohorts.sample.optional("weights")
    normal = _Normal.of(paths.gram(), cell_totals(cohorts, weights), design)
    if normal is None or (weights is not None and not _identified(cohorts, design)):
        return None
    theta, taken = normal.solve(paths)
    loadings = normal.loadings
    if kind in ("iid", "HC1"):
        df = n_rows - n_parameters
        if kind == "iid":
            matrix = normal.bread * (paths.sum_of_squares(taken) / df)
        else:
            matrix = paths.squares_by_row(taken, loadings) * (n_rows / df)
        return Estimate(theta, Covariance(read_only(matrix), np.full(k, float(df)), kind))
    if groups is None:
        meat = paths.squares_by_unit(taken, loadings)
    else:
        sums = paths.sums_by_cluster(taken, loadings, groups)
        meat = sums.T @ sums
    per_row = (n_rows - 1) / (n_rows - n_parameters)
    scale = count / (count - 1) * per_row if kind == "CR1" else 1.0
    carrier = influence_or_covariance(
        lambda: paths.influence(taken, loadings),
        (n, k),
        scale * meat,
        lambda: cohorts.unit_rows,
        () if groups is None else (groups,),
        kind,
        float(count - 1),
        scale,
        per_row,
    )
    return Estimate(theta, carrier)


def _identified(cohorts: Cohorts, design: Bools) -> bool:
    """Tell without weights, which do not matter to it: where they differ much, collinear sums look independent."""
    return _Normal.of(UnitPaths(cohorts, weighted=False).gram(), cell_totals(cohorts), design) is not None


@dataclass(frozen=True, eq=False)
class _Normal:
    """The normal equations, time effects partialled out.

    Attributes
    ----------
    left : Floats, shape (k, c, n_periods)
        What time effects leave of each regressor, up to a constant of each unit.
    bread : Floats, shape (k, k)
        Inverse of their cross-products.
    periods : Floats, shape (n_periods, n_periods)
        Inverse of the cross-products of the periods; the first one's effect is zero.
    """

    left: Floats
    bread: Floats
    periods: Floats

    @classmethod
    def of(cls, gram: Floats, weight: Floats, design: Bools) -> _Normal | None:
        """Invert cross-products of the periods of each cohort, given their weights; None where no inverse can be trusted."""
        common, values = gram.sum(axis=0), design.astype(float)
        inverse = _inverse(common[1:, 1:]) if connected(common) else None
        if inverse is None:
            return None
        periods = np.pad(inverse, ((1, 0), (1, 0)))
        left = values - (np.tensordot(values, gram, ([1, 2], [0, 1])) @ periods)[:, None, :]
        left -= left.mean(axis=2, keepdims=True)  # so that the rounding of the mean of a unit cancels
        rows = np.ascontiguousarray(left.transpose(1, 0, 2))
        products = np.tensordot(rows @ gram, rows, ([0, 2], [0, 2]))
        if (
            np.diag(products) <= _SINGULAR * np.tensordot(values, weight, 2)
        ).any():  # absorbed: what is left is rounding
            return None
        bread = _inverse(products)
        return None if bread is None else cls(left, bread, periods)

    @property
    def loadings(self) -> Floats:
        """What the scores of a period of a cohort add to the influence values, shape (c, n_periods, k)."""
        return np.asarray(np.tensordot(self.left, self.bread, ([0], [0])))

    def solve(self, paths: UnitPaths) -> tuple[Floats, Floats]:
        """Return the coefficients, and what the fit subtracts from the paths of each cohort beside unit effects.

        The second round starts from the residuals of the first, so neither large time effects nor the rounding of the
        cross-products cost digits.
        """
        theta, taken = np.zeros(len(self.bread)), np.zeros(paths.shape)
        for _ in range(2):
            sums = paths.sums(taken)
            more = self.bread @ np.tensordot(self.left, sums, 2)
            theta += more
            taken += self.periods @ sums.sum(axis=0) + np.tensordot(more, self.left, 1)
        return theta, taken


def _inverse(gram: Floats) -> Floats | None:
    norms = np.sqrt(np.diag(gram))
    if not (norms > 0).all():
        return None
    values, vectors = np.linalg.eigh(gram / np.outer(norms, norms))
    if values[0] < _SINGULAR:
        return None
    return np.asarray((vectors / values) @ vectors.T / np.outer(norms, norms))
