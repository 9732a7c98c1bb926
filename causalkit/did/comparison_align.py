"""The same estimand from every estimator: the average over the same treated cells, with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import stack
from causalkit.core.result import Result
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.cells import Cells
from causalkit.did.cohorts import Cohorts
from causalkit.did.event_study import EventStudyResult
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats

#: A difference below this share of the standard error is rounding: the two estimates are one.
_SAME = 1e-7

#: A standard error below this share of a difference is rounding.
_ROUNDING = 1e-10

Cell = tuple[Any, Any]


def treated_cells(result: EventStudyResult) -> set[Cell]:
    """Return the cohorts and periods of the effects of treatment."""
    cells = result.cells
    return {pair for pair, post in zip(zip(cells.cohort, cells.time, strict=True), cells.post, strict=True) if post}


def common_cells(results: Mapping[str, Result]) -> set[Cell]:
    """Return the treated cells that every estimator with effects by cohort and period has."""
    found = [treated_cells(result) for result in results.values() if isinstance(result, EventStudyResult)]
    return set.intersection(*found) if found else set()


def mass_of_cells(cohorts: Cohorts) -> dict[Cell, float]:
    """Return the weight of each treated cell: its units, or the sum of their weights."""
    w = np.ones(cohorts.outcome.shape) if cohorts.weights is None else cohorts.weights
    totals = np.stack([w[cohorts.of_unit == g].sum(axis=0) for g in range(len(cohorts.starts))])
    return {
        (cohorts.labels[g], cohorts.periods[t]): float(totals[g, t])
        for g, start in enumerate(cohorts.starts)
        for t in range(int(start), cohorts.n_periods)
    }


def aligned(result: Result, common: set[Cell], mass: Mapping[Cell, float]) -> Effects:
    """Return the average over treated cells as a vector of one.

    Effects by cohort and period are averaged over ``common`` with the weights ``mass``; where the estimator's own weights
    are the same, with the error that comes from estimating them. Effects by event time are weighted by treated units. A
    result with neither keeps its headline.
    """
    if isinstance(result, EventStudyResult):
        pairs = list(zip(result.cells.cohort, result.cells.time, strict=True))
        keep = np.array([pair in common and bool(post) for pair, post in zip(pairs, result.cells.post, strict=True)])
        ideal = np.array([mass[pair] if kept else 0.0 for pair, kept in zip(pairs, keep, strict=True)])
        own = np.where(keep, result.shares[result.cells.share_of], 0.0)
        if np.allclose(own / own.sum(), ideal / ideal.sum(), rtol=1e-9, atol=1e-12):
            return restricted(result, keep).aggregate("simple").headline_effect
        return result.effects.contrast(ideal / ideal.sum())
    if isinstance(result, AggregateResult) and "n_treated" in result.effects.columns:
        weights = np.asarray(result.effects.columns["n_treated"], dtype=float) * result.post
        return result.effects.contrast(weights / weights.sum())
    return result.headline_effect


def coverage(result: Result, common: set[Cell], cohorts: Cohorts) -> float:
    """Return the share of the treated observations (of ``common``) that an average speaks of."""
    if not isinstance(result, AggregateResult) or "n_treated" not in result.effects.columns or not common:
        return 1.0
    size = dict(zip(cohorts.labels, cohorts.sizes, strict=False))
    counted = float(np.asarray(result.effects.columns["n_treated"], dtype=float) @ result.post)
    return counted / sum(float(size[cohort]) for cohort, _ in common)


def within(result: EventStudyResult, other: AggregateResult, cohorts: Cohorts) -> Effects:
    """Return the average of one result over the treated cells at the event times (in periods) of another."""
    start = dict(zip(cohorts.labels, cohorts.starts, strict=True))
    when = {label: t for t, label in enumerate(cohorts.periods)}
    times = set(np.asarray(other.effects.columns["event_time"])[other.post].tolist())
    since = [when[time] - start[cohort] for cohort, time in zip(result.cells.cohort, result.cells.time, strict=True)]
    keep = np.array([e in times for e in since]) & result.cells.post
    return restricted(result, keep).aggregate("simple").headline_effect


def restricted(result: EventStudyResult, keep: Bools) -> EventStudyResult:
    """Return the event study with some of its cells only."""
    at, k = np.flatnonzero(keep), len(result.cells)
    rows = np.concatenate([at, np.arange(k, result.joint.size)])
    joint = result.joint.linear(np.eye(result.joint.size)[rows])
    c = result.cells
    cells = Cells(
        tuple(c.cohort[j] for j in at),
        tuple(c.time[j] for j in at),
        c.event_time[at],
        c.post[at],
        c.share_of[at],
        c.n_treated[at],
        c.n_control[at],
    )
    effects = Effects(cells.terms, joint.linear(np.eye(joint.size)[: len(at)]), cells.columns())
    return replace(result, cells=cells, joint=joint, effects=effects)


def gap(one: Effects, other: Effects) -> tuple[float, float | None]:
    """Return the difference of two estimates and its standard error; zeros where they are one, None where not known."""
    value = float(one.values[0] - other.values[0])
    if abs(value) <= max(_SAME * float(other.se[0]), _ROUNDING * abs(float(other.values[0]))):
        return 0.0, 0.0
    try:
        both = stack(one.numbers, other.numbers).linear(np.array([[1.0, -1.0]]))
    except InferenceUnavailable:
        return value, None
    error = float(both.se[0])
    return value, error if error > _ROUNDING * abs(value) else None  # exact fits: nothing tells the error


def grid_of(result: EventStudyResult, cohorts: Cohorts) -> Floats:
    """Return effects by cohort and period, shape (cohorts, periods); zero in base periods, NaN where there is none."""
    place = {label: g for g, label in enumerate(cohorts.labels)}
    when = {label: t for t, label in enumerate(cohorts.periods)}
    grid = np.full((len(cohorts.starts), cohorts.n_periods), np.nan)
    for cohort, time, value in zip(result.cells.cohort, result.cells.time, result.effects.values, strict=True):
        grid[place[cohort], when[time]] = value
    for g, start in enumerate(cohorts.starts):
        base = int(start) - 1 - int(getattr(result.estimator, "anticipation", 0))
        if base >= 0 and np.isnan(grid[g, base]):
            grid[g, base] = 0.0
    return grid
