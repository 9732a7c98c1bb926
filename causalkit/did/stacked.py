"""Stacked difference-in-differences: one clean experiment per cohort, in one regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.by_event_time import by_event_time, clusters_at, small_sample
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.saturated import apart, per_row
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.linear.least_squares import LeastSquares, least_squares


@dataclass(frozen=True, kw_only=True)
class StackedDiD(Estimator[AggregateResult]):
    """Effects by event time from a stack of clean experiments, one per cohort.

    An experiment holds one cohort and units that are not treated until its window has passed. The estimand is the
    average effect, at each event time of the window, on the treated of all cohorts whose whole window is observed (the
    trimmed aggregate of Wing, Freedman and Hollingsworth 2024), so that its make-up does not change with event time.
    Assumptions: parallel trends within each experiment, and no response earlier than ``anticipation`` periods before the
    start. The headline is the plain mean from the start on.

    Parameters
    ----------
    pre_window, post_window : int
        Periods before and after the start that an experiment spans. Event time is counted in observed periods.
    method : {"corrective", "plain"}
        ``"corrective"`` weights controls so that each experiment has the same share of controls as of treated (Wing et
        al., table 1, aggregate), with effects of treatment status and of event time. ``"plain"`` is the unweighted
        regression with effects of unit and of time within experiment (Cengiz, Dube, Lindner and Zipperer 2019), whose
        weights are those that least squares happens to give.
    control_group : {"not_yet_treated", "never_treated"}
        Whom a cohort is compared with.
    anticipation : int
        Periods before the start in which units may already respond; moves the reference and widens the window.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.

    Notes
    -----
    A unit stands in several experiments: standard errors are clustered by unit (or by ``cluster=``), CR1 with the rows
    of the stack counted. Corrective weights are taken as known.

    References
    ----------
    Wing, Freedman and Hollingsworth (2024), "Stacked difference-in-differences", NBER working paper 32054.
    Cengiz, Dube, Lindner and Zipperer (2019), "The effect of minimum wages on low-wage jobs", appendix D.
    """

    pre_window: int = integer(2, low=1)
    post_window: int = integer(2, low=0)
    method: Literal["corrective", "plain"] = choice("corrective", "corrective", "plain")
    control_group: Literal["not_yet_treated", "never_treated"] = choice(
        "not_yet_treated", "not_yet_treated", "never_treated"
    )
    anticipation: int = integer(0, low=0)
    unbalanced: Literal["drop", "cells", "raise"] = choice("cells", "drop", "cells", "raise")

    roles: ClassVar[Mapping[str, Role]] = ROLES
    assignment: ClassVar[Assignment | None] = Assignment("cohort", "unit")
    strategies: ClassVar[tuple[str, ...]] = ("parallel_trends",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        unit: Any,
        time: Any,
        cohort: Any = None,
        treatment: Any = None,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> AggregateResult:
        """Estimate the effects.

        Parameters
        ----------
        data : table
            One row per unit and period.
        outcome : str
            Numeric column.
        unit, time : str
            Who and when: labels of any type; times must sort in their order.
        cohort : str, optional
            When the unit is first treated, in the units of ``time``; 0, missing, infinite or later than the last period
            means never.
        treatment : str, optional
            Instead of ``cohort``: whether a row is treated.
        covariates : list of str
            Numbers or categories that vary over time.
        control, treatment_level : level, optional
            Levels of ``treatment``, needed for text.
        cluster : str, optional
            Clusters that hold whole units; units by default.
        weights : str, optional
            Weights.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        AggregateResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        """
        return self._fit(
            data,
            outcome=outcome,
            unit=unit,
            time=time,
            cohort=cohort,
            treatment=treatment,
            covariates=covariates,
            control=control,
            treatment_level=treatment_level,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> AggregateResult:
        """Stack and regress a bound sample."""
        cohorts = Cohorts.of(sample, unbalanced=self.unbalanced)
        kept, trimmed = self._experiments(cohorts)
        labels = [str(cohorts.label_of[int(start)]) for start in trimmed]
        if len(kept) == 1:
            cohorts.require_spread()
        stack = _Stack.of(cohorts, kept, self)
        reference = -1 - self.anticipation
        times = [e for e in range(-self.pre_window - self.anticipation, self.post_window + 1) if e != reference]
        fit = self._regress(cohorts, stack, times)
        at = np.array([fit.names.index(f"event time {e}") for e in times])
        unit = cohorts.panel.unit.codes[stack.row]
        psi: Floats = np.stack([np.bincount(unit, fit.psi[:, j], minlength=cohorts.n_units) for j in at], axis=1)
        used = np.bincount(unit, minlength=cohorts.n_units) > 0
        carrier = cohorts.carrier(psi, "CR1", small_sample(fit), fit.df[at], per_row(fit))
        counts = [int((stack.treated & (stack.event == e)).sum()) for e in times]
        check = Check(
            "window",
            "warn" if labels else "pass",
            f"{fmt.plural(len(labels), 'cohort')} left out, whose window is not observed or has no clean controls: "
            f"{', '.join(labels)}."
            if labels
            else "Every cohort has its whole window and clean controls.",
            advice="A shorter pre_window= or post_window= keeps more cohorts." if labels else "",
        )
        numbers = Estimate(fit.coefficients[at], carrier)
        return by_event_time(
            self,
            sample,
            cohorts,
            used,
            numbers,
            times,
            counts,
            {"window": check, **_covariates(fit)},
            self.anticipation,
        )

    def _experiments(self, cohorts: Cohorts) -> tuple[list[int], list[int]]:
        """Return the starts of the cohorts that have their window and controls, and of those that have not."""
        kept: list[int] = []
        trimmed: list[int] = []
        for start in map(int, cohorts.starts):
            inside = start - self.pre_window - self.anticipation >= 0 and start + self.post_window < cohorts.n_periods
            good = inside and self._controls(cohorts, start).any()
            (kept if good else trimmed).append(start)
        if not kept:
            raise DesignError(
                f"no cohort is observed from {self.pre_window + self.anticipation} periods before its start to "
                f"{self.post_window} after it, with clean controls.",
                hint="Lower pre_window= or post_window=.",
            )
        return kept, trimmed

    def _controls(self, cohorts: Cohorts, start: int) -> Bools:
        if self.control_group == "never_treated":
            return np.asarray(cohorts.start >= cohorts.n_periods)
        last = np.where(cohorts.start < cohorts.n_periods, cohorts.start - self.anticipation, cohorts.n_periods)
        return np.asarray(last > start + self.post_window)

    def _regress(self, cohorts: Cohorts, stack: _Stack, times: Sequence[int]) -> LeastSquares:
        sample, panel = cohorts.sample, cohorts.panel
        columns = [(stack.treated & (stack.event == e)).astype(float) for e in times]
        names = [f"event time {e}" for e in times]
        adjust, more = sample.features().take(stack.row).dummies()
        weights = sample.optional("weights")
        weights = None if weights is None else weights[stack.row]
        if self.method == "corrective":
            weights = stack.corrective(weights)
            effects = [stack.treated.astype(np.int32), (stack.event - stack.event.min()).astype(np.int32)]
            of_effects = ["treatment status", "event time"]
        else:
            effects = [
                (stack.experiment * size + codes[stack.row]).astype(np.int32)
                for codes, size in ((panel.unit.codes, panel.n_units), (panel.time.codes, panel.n_periods))
            ]
            of_effects = [f"{name} within experiment" for name in (panel.unit.name, panel.time.name)]
        fit = least_squares(
            sample.outcome[stack.row],
            [*adjust.T, *columns],  # covariates first: what they determine is not identified
            names=[*apart(more, names), *names],
            weights=weights,
            absorb=effects,
            absorb_names=of_effects,
            groups=clusters_at(cohorts, panel.unit.codes[stack.row]),
            vcov="CR1",
        )
        lost = [name for name in names if name in fit.dropped]
        if lost:
            raise DesignError(
                f"{len(lost)} effects are not identified, first {lost[0]!r}: it is {fit.dropped[lost[0]]}.",
                hint="Lower pre_window= or post_window=, or use fewer covariates.",
            )
        return fit


def _covariates(fit: LeastSquares) -> dict[str, Check]:
    """Say which covariates the effects of the regression, or other covariates, determine."""
    if not fit.dropped:
        return {}
    told = "; ".join(f"{name}: it is {why}" for name, why in fit.dropped.items())
    advice = "Use covariates that vary over time."
    return {"covariates": Check("covariates", "warn", f"Nothing was adjusted for by {told}.", advice=advice)}


@dataclass(frozen=True, eq=False)
class _Stack:
    """Rows of all experiments: positions in the sample, experiment, event time, and whether the unit is the cohort's."""

    row: Ints
    experiment: Ints
    event: Ints
    treated: Bools

    @classmethod
    def of(cls, cohorts: Cohorts, starts: Sequence[int], how: StackedDiD) -> _Stack:
        """Stack the experiments of some cohorts."""
        unit, time = cohorts.panel.unit.codes, cohorts.panel.time.codes.astype(np.int64)
        rows, experiments = [], []
        for number, start in enumerate(starts):
            member = (cohorts.start == start) | how._controls(cohorts, start)
            early, late = start - how.pre_window - how.anticipation, start + how.post_window
            inside = np.flatnonzero(member[unit] & (time >= early) & (time <= late))
            rows.append(inside)
            experiments.append(np.full(len(inside), number))
        row, experiment = np.concatenate(rows), np.concatenate(experiments)
        start = np.asarray(starts)[experiment]
        return cls(row, experiment, time[row] - start, np.asarray(cohorts.start[unit[row]] == start))

    def corrective(self, weights: Floats | None) -> Floats:
        """Return weights that give the controls of an experiment, at each event time, the share of its treated."""
        w = np.ones(len(self.row)) if weights is None else weights
        event = self.event - self.event.min()
        size = int(event.max()) + 1
        cell = self.experiment * size + event
        shape = (int(self.experiment.max()) + 1, size)
        treated, control = (
            np.bincount(cell[at], w[at], minlength=shape[0] * shape[1]).reshape(shape)
            for at in (self.treated, ~self.treated)
        )
        if not ((control > 0) & (treated > 0)).all():
            raise DesignError(
                "an experiment has no treated or no control observation at some event time.",
                hint='Lower the window, or use unbalanced="drop".',
            )
        of_treated, of_control = treated / treated.sum(axis=0), control / control.sum(axis=0)
        return np.where(self.treated, w, w * (of_treated / of_control).ravel()[cell])
