"""Callaway and Sant'Anna on a lazy table: from sums that the engine computes, with no row in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.design import Design, names_of
from causalkit.core.estimate import Covariance, Estimate
from causalkit.core.input_checks import missing_check
from causalkit.core.rows import Rows
from causalkit.core.sample import Dropped, Number, Sample
from causalkit.data.frame import Frame
from causalkit.data.screen import Screen
from causalkit.did.cell_estimates import CellEstimates, require_cells, unit_counts
from causalkit.did.cohorts import cohorts_check, require_units
from causalkit.did.event_study import EventStudyResult
from causalkit.did.few_clusters import treated_clusters_check
from causalkit.did.left_out import NO_COMPARISON
from causalkit.did.panel_moments import MomentCells, PanelMoments
from causalkit.did.plan import idle_cohorts, idle_note, plan_cells
from causalkit.did.pushed_down_moments import PushedCohorts, push_moments
from causalkit.did.starts import late_note
from causalkit.errors import DataError
from causalkit.kernels.arrays import Ints, read_only
from causalkit.linear.pushed_down_design import NeedsRows

if TYPE_CHECKING:
    from causalkit.did.callaway_santanna import CallawaySantAnna

_USED = ("outcome", "unit", "time", "cohort")
_NEEDS = {
    "covariates": "covariates= enter a model of each comparison",
    "treatment": "treatment= (instead of cohort=) must be read in the order of time",
    "weights": "weights= may vary over time",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PushedDownEventStudyResult(EventStudyResult):
    """Effects by cohort and time of a lazy table, whose rows stayed where they are.

    `refit` without data asks the table again. What needs rows (a refuter, other clusters) collects the named columns when
    it is asked for.

    Parameters
    ----------
    moments : PanelMoments
        Counts, means and cross-products of each cohort.
    source : table or None
        The lazy table; a pickle leaves it out.
    """

    moments: PanelMoments
    source: Any

    def refit(self, data: Any = None) -> Any:
        """Run the same analysis on other data, or once more on the lazy table; see :meth:`Result.refit`."""
        here = self.source is not None and self.sample is None
        return super().refit(self.source if data is None and here else data)

    def with_vcov(self, vcov: str, cluster: Any = None) -> EventStudyResult:
        """Return the same estimates with another variance, from rows that are collected for it.

        Parameters
        ----------
        vcov, cluster
            See :meth:`Result.with_vcov`.
        """
        if self.source is None:
            return super().with_vcov(vcov, cluster)
        collected: EventStudyResult = self.estimator.estimate(self._kept())
        return collected.with_vcov(vcov, cluster)

    def _kept(self) -> Sample:
        return super()._kept() if self.sample is not None or self.source is None else self._collected

    @cached_property
    def _collected(self) -> Sample:
        return self.estimator.bind(self.source, **self.roles)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "source": None}

    def to_pickle(self, path: str | PathLike[str], keep_data: bool = False) -> None:
        """Write a pickle; with ``keep_data`` the named columns are collected and go into it.

        Parameters
        ----------
        path : path
            The file; an existing one is replaced.
        keep_data : bool
            Whether ``refit()`` is to work on what is read.
        """
        kept = replace(self, sample=self._kept()) if keep_data else self
        super(PushedDownEventStudyResult, kept).to_pickle(path, keep_data)


def fit_lazy(estimator: CallawaySantAnna, frame: Frame, data: Any, given: Mapping[str, Any]) -> EventStudyResult:
    """Fit a lazy table from sums where the comparisons can be had from them, else collect the named columns.

    Parameters
    ----------
    estimator : CallawaySantAnna
    frame : Frame
        The lazy table.
    data : table
        The same as the user gave it, to be kept by the result.
    given : mapping
        The keywords of the fit.
    """
    named = Design(estimator.roles).named(given)
    frame.require([name for value in named.values() for name in names_of(value)])
    try:
        _require_sums(named, given)
        moments, cohorts, found = push_moments(frame, named, given.get("missing") != "raise")
        _require_balance(estimator, cohorts, named)
    except NeedsRows as reason:
        result = estimator.estimate(estimator.bind(frame, **given))
        columns = len({name for value in named.values() for name in names_of(value)})
        size = f"{fmt.plural(columns, 'column')} of {fmt.plural(result.n + result.n_dropped, 'row')}"
        check = Check("collected", "pass", f"The lazy table was brought into memory ({size}): {reason}.")
        return replace(result, checks=result.checks.joined({"collected": check}))
    return _result(estimator, moments, cohorts, _header(frame, named, given, cohorts, found), data)


def _require_sums(named: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Say what the analysis needs that no sum gives."""
    for role, why in _NEEDS.items():
        if role in named:
            raise NeedsRows(why)
    for role, value in named.items():
        if not names_of(value):
            raise NeedsRows(f"{role}= is an array with one value for each row")
    for role in _USED:
        if role not in named:
            raise NeedsRows(f"{role}= was not named")
    if "cluster" in named and names_of(named["cluster"]) != names_of(named["unit"]):
        raise NeedsRows("cluster= needs the influence value of each unit")
    if len({names_of(named[role])[0] for role in _USED}) < len(_USED):
        raise NeedsRows("a column plays two roles")
    if given.get("missing") not in (None, "drop", "raise"):
        raise NeedsRows(f"missing={given['missing']!r} is judged on rows")


def _require_balance(estimator: CallawaySantAnna, cohorts: PushedCohorts, named: Mapping[str, Any]) -> None:
    count = cohorts.partial[0]
    if count and estimator.unbalanced == "cells":
        raise NeedsRows(f"{fmt.plural(count, 'unit')} not observed in every period are compared row by row")
    if count and estimator.unbalanced == "raise":
        raise DataError(
            f"{count} units are not observed in every period.",
            hint='Use unbalanced="drop" or "cells".',
            column=named["unit"],
        )


def _header(
    frame: Frame, named: Mapping[str, Any], given: Mapping[str, Any], cohorts: PushedCohorts, found: Screen
) -> Sample:
    """Put what is known of the table into a Sample that holds no row."""
    reasons = [(f"missing {role}", name, fresh, None) for role, name, count, fresh in found.missing if count]
    told = {"treated from the first period on": cohorts.always, "not observed in every period": cohorts.partial}
    unit = names_of(named["unit"])[0]
    reasons += [(f"unit {reason}", unit, rows, None) for reason, (units, rows) in told.items() if units]
    kept = int(cohorts.sizes.sum()) * cohorts.n_periods
    columns = {"outcome": Number(np.empty(0), names_of(named["outcome"])[0])}
    rows = Rows(np.empty(0, dtype=np.int64), frame.token)
    return Sample(columns, rows, found.n_rows, Dropped(tuple(reasons), found.n_rows - kept), dict(given))


def _cohorts_check(cohorts: PushedCohorts, idle: Ints) -> Check:
    """Say which cohorts are compared, and which are not."""
    sizes = cohorts.sizes.copy()
    sizes[idle] = 0
    labels = [label for label, size in zip(cohorts.labels, sizes, strict=False) if size]
    there = np.append(sizes[:-1][sizes[:-1] > 0], sizes[-1])
    notes = (*late_note(cohorts.late), *idle_note(cohorts, idle))
    return cohorts_check(labels, there, cohorts.n_periods, notes)


def _counted(cohorts: PushedCohorts, idle: Ints) -> tuple[int, int, str]:
    """Return how many units are compared, and how many of them are treated; they are the clusters."""
    sizes = cohorts.sizes.copy()
    sizes[idle] = 0
    return int(sizes.sum()), int(sizes[:-1].sum()), ""


def _result(
    estimator: CallawaySantAnna, moments: PanelMoments, cohorts: PushedCohorts, header: Sample, data: Any
) -> EventStudyResult:
    from causalkit.did.callaway_santanna import result_of

    unit = names_of(header.given["unit"])[0]
    plan = plan_cells(cohorts, estimator.control_group, estimator.base_period, estimator.anticipation)
    require_cells(cohorts, plan, ())
    require_units(cohorts.sizes, unit)
    cells = MomentCells.of(moments, plan)
    theta = np.concatenate([cells.theta, cells.shares])
    joint = Estimate(theta, Covariance(read_only(cells.vcov()), np.full(len(theta), np.inf), "CR0"))
    found = CellEstimates(tuple(plan), read_only(cells.shares), joint, unit_counts(cohorts, plan))
    missing, idle = missing_check(header), idle_cohorts(cohorts, plan)
    lost, rows = int(cohorts.sizes[idle].sum()), int(cohorts.sizes[idle].sum()) * cohorts.n_periods
    out = {
        "treated from the first period on": cohorts.always[0],
        "not observed in every period": cohorts.partial[0],
        NO_COMPARISON: lost,
    }
    units = "; ".join(f"{fmt.plural(count, 'unit')} {reason}" for reason, count in out.items() if count)
    if units:
        missing = replace(missing, message=f"{missing.message} Units: {units}.")
    checks = {
        "missing": missing,
        "cohorts": _cohorts_check(cohorts, idle),
        "few_clusters": treated_clusters_check([_counted(cohorts, idle)]),
    }
    result = result_of(
        estimator,
        found,
        cohorts,
        checks,
        sample=None,
        n=int(cohorts.sizes.sum()) * cohorts.n_periods - rows,
        dropped=header.dropped.plus(f"unit {NO_COMPARISON}", unit, rows, None) if lost else header.dropped,
        roles=header.given,
    )
    held = {f.name: getattr(result, f.name) for f in fields(result)}
    return PushedDownEventStudyResult(**held, moments=moments, source=data)
