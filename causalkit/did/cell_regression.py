"""Two-way fixed effects whose regressors are constant within cohort and period: the fit needs cohort means only.

On a balanced panel without covariates, with weights that do not vary over time, partialling unit and time effects out of
such a regressor leaves one that is constant within cohort and period too. So the normal equations need the mean path of
each cohort, and the influence values of a unit are its residual path times a matrix of its cohort. No regressor is ever
written out row by row; where a condition does not hold, they are, and the general regression runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.core.deferred import influence_or_covariance
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups
from causalkit.did.cohorts import Cohorts
from causalkit.did.event_study import Cells
from causalkit.did.panel_moments import add_by_cluster
from causalkit.did.saturated import numbers_of, two_way_fit
from causalkit.kernels.arrays import Bools, Floats, Ints, read_only

#: Units that are worked on at a time.
_BLOCK = 2**13

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
    first = (cohorts.of_unit * cohorts.n_periods).astype(np.int32)  # of the cells of each unit
    found = np.zeros(shape[0] * shape[1])
    for start in range(0, cohorts.sample.n, 8 * _BLOCK):
        some = slice(start, start + 8 * _BLOCK)
        cell = first[cohorts.panel.unit.codes[some]] + cohorts.panel.time.codes[some]
        found += np.bincount(cell, None if values is None else values[some], minlength=len(found))
    return found.reshape(shape)


def describe_cells(cohorts: Cohorts, plan: Sequence[tuple[int, int]]) -> Cells:
    """Describe the cells of a saturated regression; each has its own weight."""
    g, t = np.array(plan).T
    sizes = cell_totals(cohorts).astype(np.int64)
    return Cells(
        tuple(cohorts.labels[j] for j in g),
        tuple(cohorts.periods[j] for j in t),
        cohorts.event_times[g, t],
        np.asarray(t >= cohorts.starts[g]),
        np.arange(len(plan)),
        sizes[g, t],
        sizes[-1, t],
    )


def weight_of_cells(cohorts: Cohorts, plan: Sequence[tuple[int, int]]) -> Floats:
    """Return the sum of the weights of each cell (its rows where there are none)."""
    g, t = np.array(plan).T
    return np.asarray(cell_totals(cohorts, cohorts.sample.optional("weights"))[g, t])


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
    found = closed_form(cohorts, design, vcov) if _applies(cohorts, vcov) else None
    if found is not None:
        return found
    at = cohorts.of_unit[cohorts.panel.unit.codes], cohorts.panel.time.codes
    fit = two_way_fit(cohorts, [values[at].astype(float) for values in design], names, vcov)
    return numbers_of(fit, cohorts, names)


def _applies(cohorts: Cohorts, vcov: str) -> bool:
    if vcov not in ("auto", "CR0", "CR1") or not cohorts.panel.is_balanced or cohorts.sample.has("covariates"):
        return False
    w = cohorts.weights
    return len(cohorts.sample.several("cluster")) <= 1 and (w is None or bool((w == w[:, :1]).all()))


def closed_form(cohorts: Cohorts, design: Bools, vcov: str) -> Estimate | None:
    """Fit from the mean path of each cohort; None where the regressors are collinear."""
    n, n_periods, k = cohorts.n_units, cohorts.n_periods, len(design)
    groups = cohorts.clusters[0] if cohorts.clusters else None
    count = n if groups is None else groups.count
    small = vcov != "CR0"
    n_parameters = k + n_periods  # as count_parameters: unit effects are nested in the clusters, one constant counts
    if count < 2 or n * n_periods <= n_parameters:
        return None
    paths = _Paths.of(cohorts)
    left = _partialled(design, paths.mass)
    root = np.repeat(np.sqrt(paths.mass), n_periods)
    rows = left.transpose(1, 2, 0).reshape(-1, k) * root[:, None]
    bread = _inverse(rows.T @ rows)
    if bread is None:
        return None
    target = paths.means.ravel() * root
    theta = bread @ (rows.T @ target)
    theta += bread @ (rows.T @ (target - rows @ theta))
    expected, loadings = np.einsum("k,kct->ct", theta, left), np.einsum("kct,kj->ctj", left, bread)
    n_rows = n * n_periods
    scale = count / (count - 1) * (n_rows - 1) / (n_rows - n_parameters) if small else 1.0
    carrier = influence_or_covariance(
        lambda: paths.influence(expected, loadings),
        (n, k),
        scale * paths.meat(expected, loadings, groups),
        lambda: cohorts.unit_rows,
        () if groups is None else (groups,),
        "CR1" if small else "CR0",
        float(count - 1),
        scale,
    )
    return Estimate(theta, carrier)


@dataclass(frozen=True, eq=False)
class _Paths:
    """Outcomes of units over time, less the mean of the unit and that of the period; read a block of units at a time.

    Attributes
    ----------
    cohorts : Cohorts
    weights : Floats, shape (n_units,)
    mass : Floats, shape (c,)
        Sum of the weights of each cohort, the never treated last.
    middle : Floats, shape (n_periods,)
        What is subtracted from every unit.
    means : Floats, shape (c, n_periods)
        Mean path of each cohort.
    """

    cohorts: Cohorts
    weights: Floats
    mass: Floats
    middle: Floats
    means: Floats

    @classmethod
    def of(cls, cohorts: Cohorts) -> _Paths:
        """Average the paths by cohort."""
        n, n_periods = cohorts.n_units, cohorts.n_periods
        w = np.ones(n) if cohorts.weights is None else cohorts.weights[:, 0]
        mass = np.bincount(cohorts.of_unit, w, minlength=len(cohorts.starts) + 1).astype(float)
        raw = cls(cohorts, w, mass, np.zeros(n_periods), np.zeros((len(mass), n_periods)))
        for c, units, path in raw.blocks():
            raw.means[c] += w[units] @ path
        middle = raw.means.sum(axis=0) / mass.sum()
        means = raw.means / np.where(mass > 0, mass, 1.0)[:, None] - middle
        return cls(cohorts, w, mass, middle, np.where(mass[:, None] > 0, means, 0.0))

    def blocks(self) -> Iterator[tuple[int, Ints, Floats]]:
        """Yield some units of a cohort, and their paths."""
        wide = self.cohorts.outcome
        for c in range(len(self.mass)):
            within = np.flatnonzero(self.cohorts.of_unit == c)
            for start in range(0, len(within), _BLOCK):
                units = within[start : start + _BLOCK]
                path = wide[units]
                path -= path.mean(axis=1, keepdims=True)
                path -= self.middle
                yield c, units, path

    def meat(self, expected: Floats, loadings: Floats, groups: Groups | None) -> Floats:
        """Return the sum of the squares of the influence values, by unit or by cluster."""
        k = loadings.shape[2]
        found = np.zeros((k, k) if groups is None else (len(groups.labels), k))
        for c, units, path in self.blocks():
            scores = self.weights[units, None] * (path - expected[c])
            if groups is None:
                found += loadings[c].T @ (scores.T @ scores) @ loadings[c]
            else:
                add_by_cluster(found, groups.codes[units], (scores @ loadings[c]).T)
        return found if groups is None else np.asarray(found.T @ found)

    def influence(self, expected: Floats, loadings: Floats) -> Floats:
        """Return the influence values, shape (n_units, k)."""
        psi = np.empty((self.cohorts.n_units, loadings.shape[2]))
        for c, units, path in self.blocks():
            psi[units] = (self.weights[units, None] * (path - expected[c])) @ loadings[c]
        return psi


def _partialled(design: Bools, mass: Floats) -> Floats:
    """Take unit and time effects out of regressors by cohort and period."""
    left = design - design.mean(axis=2, keepdims=True)
    return np.asarray(left - np.einsum("c,kct->kt", mass / mass.sum(), left)[:, None, :])


def _inverse(gram: Floats) -> Floats | None:
    norms = np.sqrt(np.diag(gram))
    if not (norms > 0).all():
        return None
    values, vectors = np.linalg.eigh(gram / np.outer(norms, norms))
    if values[0] < _SINGULAR:
        return None
    return np.asarray((vectors / values) @ vectors.T / np.outer(norms, norms))
