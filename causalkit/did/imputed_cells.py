"""Average effects of cells, imputed, with influence values by unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.did.cell_regression import cell_totals
from causalkit.did.cells import Cells
from causalkit.did.panel_moments import add_by_cluster
from causalkit.did.untreated import UntreatedFit
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints

#: Units that are worked on at a time.
_BLOCK = 2**13


@dataclass(frozen=True, eq=False)
class _Own:
    """What the units of a cohort contribute to its own cells.

    Attributes
    ----------
    at : Ints, shape (m,)
        The cells.
    units : Ints, shape (r,)
    left : callable
        Returns the deviations from the average of the cell, times the share of each unit, shape (r, m).
    """

    at: Ints
    units: Ints
    left: Callable[[], Floats]


@dataclass(frozen=True, eq=False)
class ImputedCells:
    """Weighted means of the gap between outcome and expectation, by cohort and period.

    Parameters
    ----------
    fit : UntreatedFit
    values, totals : Floats, shape (k,)
        The means, and the sum of the weights of each.
    slopes : Floats, shape (n_periods + p, k)
        What an error of the fit does to the means.
    own : mapping of int to _Own
        By cohort.
    counts : Ints, shape (k,)
        Observations of each cell.
    alone : tuple of int
        Cells that rest on a single unit (or cluster).
    """

    fit: UntreatedFit
    values: Floats
    totals: Floats
    slopes: Floats
    own: Mapping[int, _Own]
    counts: Ints
    alone: tuple[int, ...]

    def blocks(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield units and their influence values, shape (r, k), 1/n folded in; no more than a block is held."""
        of_unit = self.fit.cohorts.of_unit
        for g in range(len(self.fit.cohorts.sizes)):
            own = self.own.get(g)
            units = np.flatnonzero(of_unit == g) if own is None else own.units
            left = None if own is None else own.left()
            for start in range(0, len(units), _BLOCK):
                some = slice(start, start + _BLOCK)
                psi = -self.fit.scores(units[some]) @ self.slopes
                if own is not None and left is not None:
                    psi[:, own.at] += left[some]
                yield units[some], psi

    @property
    def psi(self) -> Floats:
        """Influence values of the means, shape (n_units, k), with 1/n folded in."""
        found = np.empty((self.fit.cohorts.n_units, len(self.values)))
        for units, psi in self.blocks():
            found[units] = psi
        return found

    def vcov(self, ways: Sequence[Groups]) -> Floats | None:
        """Return the covariance by unit or by cluster; None with several ways of clustering."""
        if len(ways) > 1:
            return None
        k = len(self.values)
        found = np.zeros((len(ways[0].labels), k) if ways else (k, k))
        for units, psi in self.blocks():
            if ways:
                add_by_cluster(found, ways[0].codes[units], psi.T)
            else:
                found += psi.T @ psi
        return np.asarray(found.T @ found) if ways else found


def impute(
    fit: UntreatedFit,
    plan: Sequence[tuple[int, int]],
    *,
    conservative: bool,
    leave_one_out: bool = False,
    clusters: Codes | None = None,
) -> ImputedCells:
    """Average the gaps over cells.

    Parameters
    ----------
    fit : UntreatedFit
    plan : sequence of (cohort, period)
    conservative : bool
        Deviations within a cell are from the average that makes the variance conservative (Borusyak, Jaravel and Spiess
        2024, equation 8); else from the cell's mean (the scores of Gardner's second stage).
    leave_one_out : bool
        That average leaves out the unit itself (their appendix A.9).
    clusters : Codes, shape (n_units,), optional
        Clusters of the units, for that average; units where None.

    Returns
    -------
    ImputedCells
    """
    if not plan:
        raise DesignError(
            "no treated observation can be imputed: no treated unit and period have untreated observations that link them.",
            hint="Add earlier periods, or units that are treated later or never.",
        )
    k = len(plan)
    cohort, time = np.array(plan).T
    values, totals, own = np.empty(k), np.empty(k), {}
    counts, alone = np.empty(k, dtype=np.int64), []
    loads = np.empty((len(fit.equations.scale), k))
    for g in np.unique(cohort):
        at = np.flatnonzero(cohort == g)
        units, when = np.flatnonzero(fit.cohorts.of_unit == g), time[at]
        place = np.ix_(units, when)
        w = fit.weights[place] * fit.imputable[place]
        totals[at], counts[at] = w.sum(axis=0), fit.imputable[place].sum(axis=0)
        share = w / totals[at]
        values[at] = (share * fit.gap[place]).sum(axis=0)
        loads[:, at] = fit.loads(units, when, share)
        held = share if clusters is None else _by_cluster(share, clusters[units])
        single = (held > 1.0 - 1e-12).any(axis=0)
        alone += [int(j) for j in at[single]]
        mean = _conservative_mean(share * held, fit.gap[place]) if conservative else values[at]
        if leave_one_out:
            _refuse_lone(share, held, [plan[int(j)] for j in at], fit)
        of = None if clusters is None else clusters[units]
        own[int(g)] = _Own(at, units, partial(_left, fit, units, when, totals[at], mean, of, leave_one_out))
    return ImputedCells(fit, values, totals, fit.equations.solve(loads), own, counts, tuple(sorted(alone)))


def _left(
    fit: UntreatedFit,
    units: Ints,
    when: Ints,
    totals: Floats,
    mean: Floats,
    clusters: Codes | None,
    leave_one_out: bool,
) -> Floats:
    """Return how far the gaps of units are from the average of their cell, times the share of each."""
    place = np.ix_(units, when)
    share = fit.weights[place] * fit.imputable[place] / totals
    left: Floats = share * (fit.gap[place] - mean)
    if leave_one_out:
        left *= _stretch(share, share if clusters is None else _by_cluster(share, clusters))
    return left


def weight_in_cells(fit: UntreatedFit, plan: Sequence[tuple[int, int]]) -> Floats:
    """Return the weight of each unit in each cell, shape (n_units, k)."""
    cohort, time = np.array(plan).T
    mass = np.zeros((fit.gap.shape[0], len(plan)))
    for g in np.unique(cohort):
        at, units = np.flatnonzero(cohort == g), np.flatnonzero(fit.cohorts.of_unit == g)
        place = np.ix_(units, time[at])
        mass[np.ix_(units, at)] = fit.weights[place] * fit.imputable[place]
    return mass


def _by_cluster(share: Floats, codes: Codes) -> Floats:
    _, own = np.unique(codes, return_inverse=True)
    sums = np.zeros((own.max() + 1, share.shape[1]))
    np.add.at(sums, own, share)
    return np.asarray(sums[own])


def _conservative_mean(weights: Floats, gap: Floats) -> Floats:
    return np.asarray((weights * gap).sum(axis=0) / weights.sum(axis=0))


def _stretch(share: Floats, held: Floats) -> Floats:
    """Return what turns a deviation from the mean into one from the mean of the others."""
    stretch: Floats = np.divide(1.0, _others(share, held), out=np.zeros_like(share), where=share > 0)
    return stretch


def _others(share: Floats, held: Floats) -> Floats:
    return np.asarray(1.0 - held**2 / (share * held).sum(axis=0))


def _refuse_lone(share: Floats, held: Floats, plan: Sequence[tuple[int, int]], fit: UntreatedFit) -> None:
    """Raise where a cell rests on one unit."""
    lone = (share > 0) & (_others(share, held) < 1e-12)
    if lone.any():
        g, t = plan[int(np.argmax(lone.any(axis=0)))]
        raise InferenceUnavailable(
            f"the cell {fit.cohorts.labels[g]} in {fit.cohorts.periods[t]} rests on one unit: nobody is left when it is "
            "left out.",
            hint="Use leave_one_out=False, or drop cohorts of one unit.",
        )


def describe_imputed(fit: UntreatedFit, plan: Sequence[tuple[int, int]], found: ImputedCells) -> Cells:
    """Describe imputed cells; controls are the untreated observations of the period."""
    cohorts = fit.cohorts
    g, t = np.array(plan).T
    return Cells(
        tuple(cohorts.labels[j] for j in g),
        tuple(cohorts.periods[j] for j in t),
        cohorts.event_times[g, t],
        np.asarray(t >= cohorts.starts[g]),
        np.arange(len(plan)),
        found.counts,
        fit.untreated.sum(axis=0)[t],
    )


def imputable_check(fit: UntreatedFit, first: Ints) -> Check:
    """Say how many treated observations could not be imputed, and which."""
    cohorts = fit.cohorts
    sizes = cell_totals(cohorts)[:-1]
    lost, rows = 0, []
    for g, start in enumerate(first):
        there = fit.imputable[cohorts.of_unit == g].sum(axis=0)
        for t in range(max(int(start), 0), cohorts.n_periods):
            missing = int(sizes[g, t] - there[t])
            if missing:
                rows.append((cohorts.labels[g], cohorts.periods[t], missing))
                lost += missing
    return Check(
        "imputable",
        "warn" if lost else "pass",
        f"{fmt.plural(lost, 'treated observation')} can't be imputed, for want of untreated ones in the period that are "
        "linked to the unit; the effects leave them out."
        if lost
        else "Every treated observation is imputed.",
        advice="The average speaks of the others only." if lost else "",
        table=Table.of(("cohort", "time", "observations"), rows) if rows else None,
    )
