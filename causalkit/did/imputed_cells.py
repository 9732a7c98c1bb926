"""Average effects of cells, imputed, with influence values by unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.table import Table
from causalkit.did.cell_regression import cell_totals
from causalkit.did.event_study import Cells
from causalkit.did.untreated import UntreatedFit
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints


@dataclass(frozen=True, eq=False)
class ImputedCells:
    """Weighted means of the gap between outcome and expectation, by cohort and period.

    Parameters
    ----------
    values, totals : Floats, shape (k,)
        The means, and the sum of the weights of each.
    psi : Floats, shape (n_units, k)
        Influence values of the means, with 1/n folded in.
    counts : Ints, shape (k,)
        Observations of each cell.
    alone : tuple of int
        Cells that rest on a single unit (or cluster).
    """

    values: Floats
    totals: Floats
    psi: Floats
    counts: Ints
    alone: tuple[int, ...]


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
    values, totals, within = np.empty(k), np.empty(k), []
    counts, alone = np.empty(k, dtype=np.int64), []
    loads = np.empty((len(fit.equations.scale), k))
    for g in np.unique(cohort):
        at = np.flatnonzero(cohort == g)
        units, when = np.flatnonzero(fit.cohorts.of_unit == g), time[at]
        there = fit.imputable[np.ix_(units, when)]
        w, gap = fit.weights[np.ix_(units, when)] * there, fit.gap[np.ix_(units, when)]
        totals[at], counts[at] = w.sum(axis=0), there.sum(axis=0)
        share = w / totals[at]
        values[at] = (share * gap).sum(axis=0)
        loads[:, at] = fit.loads(units, when, share)
        held = share if clusters is None else _by_cluster(share, clusters[units])
        single = (held > 1.0 - 1e-12).any(axis=0)
        alone += [int(j) for j in at[single]]
        mean = _conservative_mean(share * held, gap) if conservative else values[at]
        left = share * (gap - mean)
        if leave_one_out:
            left *= _stretch(share, held, [plan[int(j)] for j in at], fit)
        within.append((units, at, left))
    psi = fit.take_from(loads)
    for units, at, left in within:
        psi[np.ix_(units, at)] += left
    return ImputedCells(values, totals, psi, counts, tuple(sorted(alone)))


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


def _stretch(share: Floats, held: Floats, plan: Sequence[tuple[int, int]], fit: UntreatedFit) -> Floats:
    """Return what turns a deviation from the mean into one from the mean of the others."""
    left = 1.0 - held**2 / (share * held).sum(axis=0)
    lone = (share > 0) & (left < 1e-12)
    if lone.any():
        g, t = plan[int(np.argmax(lone.any(axis=0)))]
        raise InferenceUnavailable(
            f"the cell {fit.cohorts.labels[g]} in {fit.cohorts.periods[t]} rests on one unit: nobody is left when it is "
            "left out.",
            hint="Use leave_one_out=False, or drop cohorts of one unit.",
        )
    stretch: Floats = np.divide(1.0, left, out=np.zeros_like(left), where=share > 0)
    return stretch


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
