"""Placebos: a start that had not happened, and outcomes that the treatment can't change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.effects import Effects
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Sample
from causalkit.did.cohorts import Cohorts
from causalkit.did.comparison_align import restricted
from causalkit.did.event_study import EventStudyResult
from causalkit.did.placebo_report import DiagnosticReport, Row, none_differs
from causalkit.errors import CausalKitError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import read_only

#: Placebo starts that are tried where none is asked for.
TRIED = 3


def placebo_in_time(result: Result, *, periods: int | None = None) -> DiagnosticReport:
    """Pretend that the start came earlier, and estimate the effect in the periods in between.

    Nothing had started, so the effect is zero if trends are parallel and nobody responded early. Estimators of effects by
    cohort and period are run with that much more anticipation, which measures the pretended effects from the period
    before the pretended start and uses no outcome of a treated unit for them; others are run on the untreated
    observations only.

    Parameters
    ----------
    result : Result
        Of a difference-in-differences estimator, with its rows.
    periods : int, optional
        By how many periods the start is moved; 1, 2 and 3 (as far as the data reach) by default.

    Returns
    -------
    DiagnosticReport
        One row per move; the verdict adjusts for their number (Holm).

    Raises
    ------
    InferenceUnavailable
        If no cohort has enough periods before its start, or the rows were not kept.
    """
    sample = _rows_of(result)
    if periods is not None and periods < 1:
        raise DesignError(f"periods={periods} must be at least 1.")
    rows, said = [], ""
    for k in range(1, TRIED + 1) if periods is None else (periods,):
        try:
            rows.append(_moved(result, sample, k))
        except CausalKitError as error:
            said = str(error)
            break
    if not rows:
        raise InferenceUnavailable(
            f"no cohort can pretend to have started {periods or 1} periods earlier: {said}",
            hint="This needs at least two periods before the start.",
        )
    kept = tuple(rows)
    verdict = none_differs(
        "placebo_in_time",
        kept,
        "The effect of a start that had not happened",
        "Trends were not parallel before the start, or units responded early: see did.honest(result), or anticipation=.",
    )
    return DiagnosticReport("Placebo in time", verdict, kept)


def placebo_outcome(result: Result, data: Any, *, outcome: str | Sequence[str]) -> DiagnosticReport:
    """Run the same analysis on outcomes that the treatment can't have changed.

    Parameters
    ----------
    result : Result
        Of a difference-in-differences estimator.
    data : table
        The table of the fit, with these columns.
    outcome : str or list of str
        Numeric columns.

    Returns
    -------
    DiagnosticReport
        One row per outcome; the verdict adjusts for their number (Holm).
    """
    names = [outcome] if isinstance(outcome, str) else list(outcome)
    if not names:
        raise DesignError("outcome= names no column.")
    rows = []
    for name in names:
        other = replace(result, roles={**result.roles, "outcome": name}).refit(data)
        rows.append(Row(name, {"n": other.n}, other.headline_effect))
    verdict = none_differs(
        "placebo_outcome",
        tuple(rows),
        "The effect on an outcome that treatment can't change",
        "Something else happened to the treated at the same time, or their trends differ.",
    )
    return DiagnosticReport("Placebo outcomes", verdict, tuple(rows))


def _rows_of(result: Result) -> Sample:
    if result.sample is None:
        raise InferenceUnavailable("the rows were not kept.", hint="Fit again, or pickle with keep_data=True.")
    return result.sample


def _moved(result: Result, sample: Sample, k: int) -> Row:
    """Return the average effect in the k periods before the start, which is taken to be k periods earlier."""
    already = int(getattr(result.estimator, "anticipation", 0))
    name = f"start {fmt.plural(k, 'period')} earlier"
    if "anticipation" in result.estimator.params():
        earlier = result.estimator.replace(anticipation=already + k).estimate(sample)
        if isinstance(earlier, EventStudyResult):
            return _average(earlier, sample, name, already, k)
    earlier = result.estimator.estimate(_untreated(sample, already, k))
    return Row(name, {"n": earlier.n}, earlier.headline_effect)


def _average(earlier: EventStudyResult, sample: Sample, name: str, already: int, k: int) -> Row:
    cohorts = Cohorts.of(sample, unbalanced="cells", always_treated="keep")
    start = dict(zip(cohorts.labels, cohorts.starts, strict=True))
    when = {label: t for t, label in enumerate(cohorts.periods)}
    cells = earlier.cells
    ahead = [start[cohort] - when[time] for cohort, time in zip(cells.cohort, cells.time, strict=True)]
    keep = np.array([already < steps <= already + k for steps in ahead], dtype=bool)
    if not keep.any():
        raise InferenceUnavailable("no cohort has a period before the pretended start.")
    chosen = restricted(earlier, keep)
    chosen = replace(chosen, cells=replace(chosen.cells, post=np.ones(int(keep.sum()), dtype=bool)))
    return Row(name, {"n": len(chosen.cells)}, _simple(chosen))


def _simple(chosen: EventStudyResult) -> Effects:
    return chosen.aggregate("simple").headline_effect


def _untreated(sample: Sample, already: int, k: int) -> Sample:
    """Return the rows before the start (and its anticipation), with treatment from k periods before that."""
    cohorts = Cohorts.of(sample, unbalanced="cells", always_treated="keep")
    panel, n = cohorts.panel, cohorts.n_periods
    last = np.where(cohorts.start < n, cohorts.start - already, n)
    first = np.where(cohorts.start < n, last - k, n)
    unit, time = panel.unit.codes, panel.time.codes
    at = np.flatnonzero((time < last[unit]) & (first[unit] > 0))
    kept = cohorts.sample.take(at)
    begins = first[unit[at]]
    if not np.any(time[at] >= begins):
        raise InferenceUnavailable("no unit has a period before the pretended start.")
    if sample.has("treatment"):
        arms = kept.arms
        return kept.with_column(
            "treatment", Arms(read_only((time[at] >= begins).astype(np.int32)), arms.levels, arms.name)
        )
    labels = (*cohorts.periods, None)
    return kept.with_column(
        "cohort", Groups(read_only(np.minimum(begins, n).astype(np.int32)), labels, sample.name("cohort"))
    )
