"""Callaway and Sant'Anna: effects by cohort and time, against clean controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.event_study import AGGREGATIONS, Cells, EventStudyResult, pre_trends_check
from causalkit.did.group_time import Cell, compare, plan_cells
from causalkit.kernels.arrays import Floats, Ints, read_only


@dataclass(frozen=True, kw_only=True)
class CallawaySantAnna(Estimator[EventStudyResult]):
    """Average effects by cohort and time, each from its own clean comparison.

    The estimand of a cell is the average effect, in one period, on the units first treated in one period (Callaway and
    Sant'Anna 2021, ATT(g, t)). Assumptions: without treatment the cohort's outcome would have changed as that of its
    controls (given covariates, where named); nobody responds earlier than ``anticipation`` periods before the start; and
    treatment is not taken away. The headline is the average over all treated cells, weighted by cohort size.

    Parameters
    ----------
    method : {"dr", "ipw", "reg"}
        With covariates: doubly robust (Sant'Anna and Zhao 2020), inverse propensity weighting, or outcome regression.
        Without, all are the same.
    control_group : {"never_treated", "not_yet_treated"}
        Whom a cohort is compared with.
    base_period : {"varying", "universal"}
        What cells before the start are measured from: the period before theirs, or, for all of them, the last period
        before the start (and its anticipation).
    anticipation : int
        Periods before the start in which units may already respond.
    unbalanced : {"drop", "raise"}
        What to do with units that are not observed in every period.

    Notes
    -----
    Standard errors come from influence values clustered by unit (or by ``cluster=``), without a small-sample factor, as in
    R's ``did``; those of aggregates take in that cohort sizes are estimated.
    """

    method: Literal["dr", "ipw", "reg"] = choice("dr", "dr", "ipw", "reg")
    control_group: Literal["never_treated", "not_yet_treated"] = choice(
        "never_treated", "never_treated", "not_yet_treated"
    )
    base_period: Literal["varying", "universal"] = choice("varying", "varying", "universal")
    anticipation: int = integer(0, low=0)
    unbalanced: Literal["drop", "raise"] = choice("drop", "drop", "raise")

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
    ) -> EventStudyResult:
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
            Numbers or categories; a comparison uses their values in its base period.
        control, treatment_level : level, optional
            Levels of ``treatment``, needed for text.
        cluster : str, optional
            Clusters that hold whole units; units by default.
        weights : str, optional
            Sampling weights; a comparison uses those of its base period.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        EventStudyResult

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

    def estimate(self, sample: Sample) -> EventStudyResult:
        """Run the comparisons on a bound sample."""
        cohorts = Cohorts.of(sample, unbalanced=self.unbalanced)
        plan = plan_cells(cohorts, self.control_group, self.base_period, self.anticipation)
        theta, psi = np.empty(len(plan)), np.zeros((cohorts.n_units, len(plan)))
        counts, trimmed = np.empty((2, len(plan)), dtype=np.int64), 0
        found = compare(cohorts, plan, cohorts.outcome, _wide_covariates(cohorts), cohorts.weights, self.method)
        for comparison in found:
            theta[comparison.at] = comparison.values
            psi[np.ix_(comparison.units, comparison.at)] = comparison.psi
            counts[0, comparison.at], counts[1, comparison.at] = comparison.n_treated, comparison.n_control
            trimmed += comparison.trimmed
        shares, of_shares = cohort_shares(cohorts)
        ways = cohorts.clusters
        carrier = Influence(
            read_only(np.hstack([psi, of_shares])),
            cohorts.unit_rows,
            ways[0] if ways else None,
            1.0,
            np.full(len(plan) + len(shares), np.inf),
            "CR0",
            ways[1:],
        )
        joint = Estimate(np.concatenate([theta, shares]), carrier)
        cells = cells_of(cohorts, plan, counts)
        result = EventStudyResult(
            estimator=self,
            effects=Effects(cells.terms, joint.linear(np.eye(joint.size)[: len(plan)]), cells.columns()),
            headline="simple",
            estimand=AGGREGATIONS["simple"],
            checks=Checks({}),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
            cells=cells,
            shares=shares,
            joint=joint,
            base_period=self.base_period,
            reference=_reference(cohorts, self.anticipation) if self.base_period == "universal" else None,
        )
        return _checked(result, cohorts, trimmed)


def _checked(result: EventStudyResult, cohorts: Cohorts, trimmed: int) -> EventStudyResult:
    from dataclasses import replace

    checks: dict[str, Any] = {**cohorts.checks(), "pre_trends": lambda: pre_trends_check(result)}
    if result.sample is not None and result.sample.has("covariates"):
        checks["overlap"] = Check(
            "overlap",
            "warn" if trimmed else "pass",
            f"{trimmed} comparisons with a control unit were given no weight: its propensity is above .995."
            if trimmed
            else "No control unit has a propensity above .995.",
            advice="The effect then speaks of fewer units; use fewer covariates." if trimmed else "",
        )
    return replace(result, checks=Checks(checks))


def cells_of(cohorts: Cohorts, plan: Sequence[Cell], counts: Ints) -> Cells:
    """Describe planned comparisons as cells of an event study; ``counts`` holds treated and control units."""
    g, t = (np.array([getattr(cell, name) for cell in plan], dtype=np.int64) for name in ("cohort", "time"))
    return Cells(
        tuple(cohorts.labels[j] for j in g),
        tuple(cohorts.periods[j] for j in t),
        cohorts.event_times[g, t],
        np.asarray(t >= cohorts.starts[g]),
        g,
        counts[0],
        counts[1],
    )


def cohort_shares(cohorts: Cohorts) -> tuple[Floats, Floats]:
    """Return the share of each cohort among all units, and its influence values with 1/n folded in."""
    n = cohorts.n_units
    w = np.ones(n) if cohorts.weights is None else cohorts.weights[:, 0] / cohorts.weights[:, 0].mean()
    within = (cohorts.of_unit[:, None] == np.arange(len(cohorts.starts))) * w[:, None]
    shares = within.mean(axis=0)
    return shares, (within - shares) / n


def _wide_covariates(cohorts: Cohorts) -> Floats | None:
    values = cohorts.covariates()
    if values.shape[1] == 0:
        return None
    return np.stack([cohorts.panel.wide(column) for column in values.T], axis=2)


def _reference(cohorts: Cohorts, anticipation: int) -> float | None:
    """Event time of the universal base period, where it is the same for all cohorts."""
    base = cohorts.starts - anticipation - 1
    found = np.unique([cohorts.event_times[g, b] for g, b in enumerate(base) if b >= 0])
    return float(found[0]) if len(found) == 1 else None
