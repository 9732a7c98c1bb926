"""Callaway and Sant'Anna: effects by cohort and time, against clean controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.did.aggregate_result import AGGREGATIONS
from causalkit.did.cell_estimates import CellEstimates, on_panel
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.event_study import EventStudyResult
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.plan import Adoption, Cell, cells_of, idle_cohorts, idle_note, plan_cells, reference_of
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.repeated_cross_sections import on_rows
from causalkit.did.row_panel import RowPanel, without_units


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
    unbalanced : {"drop", "cells", "raise"}
        What to do with units that are not observed in every period: leave them out, or use their rows in the comparisons
        of the periods in which they are observed (then treated and control rows of two periods are compared as if they
        were repeated cross-sections, and errors are clustered by unit), or refuse them.

    Notes
    -----
    Standard errors come from influence values clustered by unit (or by ``cluster=``), without a small-sample factor, as in
    R's ``did``; those of aggregates take in that cohort sizes are estimated.

    Without ``unit=`` the rows are repeated cross-sections: the estimators are those of Sant'Anna and Zhao (2020) for such
    data (the locally efficient one for ``"dr"``), and rows are independent unless ``cluster=`` says otherwise. They assume
    that the make-up of each cohort does not change over time.

    Without covariates, everything follows from the count, the means and the cross-products of the outcomes of each cohort,
    so the cost beyond one pass over the data does not depend on the number of units; and a lazy table answers one query
    with these moments, its rows stay where they are.
    """

    method: Literal["dr", "ipw", "reg"] = choice("dr", "dr", "ipw", "reg")
    control_group: Literal["never_treated", "not_yet_treated"] = choice(
        "never_treated", "never_treated", "not_yet_treated"
    )
    base_period: Literal["varying", "universal"] = choice("varying", "varying", "universal")
    anticipation: int = integer(0, low=0)
    unbalanced: Literal["drop", "cells", "raise"] = choice("drop", "drop", "cells", "raise")

    roles: ClassVar[Mapping[str, Role]] = {**ROLES, "unit": Role("label", required=False)}
    assignment: ClassVar[Assignment | None] = Assignment("cohort", "unit")
    strategies: ClassVar[tuple[str, ...]] = ("parallel_trends",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        time: Any,
        unit: Any = None,
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
            One row per unit and period, or one per respondent.
        outcome : str
            Numeric column.
        time : str
            Periods: labels of any type that sort in their order.
        unit : str, optional
            Who is observed. Without it rows are repeated cross-sections.
        cohort : str, optional
            When the unit is first treated, in the units of ``time``; 0, missing, infinite or later than the last period
            means never.
        treatment : str, optional
            Instead of ``cohort``: whether a row is treated.
        covariates : list of str
            Numbers or categories; a comparison uses their values in the earlier of its two periods
            (repeated cross-sections: in both).
        control, treatment_level : level, optional
            Levels of ``treatment``, needed for text.
        cluster : str, optional
            Clusters that hold whole units; units by default.
        weights : str, optional
            Sampling weights; a comparison uses those of the earlier of its two periods.
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

    def _fit(self, data: Any, **given: Any) -> EventStudyResult:
        """Fit; a lazy table answers with sums, and is collected only where they do not suffice."""
        frame = Frame.read(data)
        if not frame.is_lazy:
            return super()._fit(frame, **given)
        from causalkit.did.pushed_down_event_study import fit_lazy

        return fit_lazy(self, frame, data, given)

    def estimate(self, sample: Sample) -> EventStudyResult:
        """Run the comparisons on a bound sample."""
        followed = sample.has("unit")
        panel = None if followed else RowPanel.of(sample)
        bound = sample if panel is None else panel.sample
        cohorts = Cohorts.of(bound, unbalanced=self.unbalanced if followed else "cells", panel=panel)
        plan = plan_cells(cohorts, self.control_group, self.base_period, self.anticipation)
        by_panel = followed and cohorts.panel.is_balanced
        found = on_panel(cohorts, plan, self.method) if by_panel else on_rows(cohorts, plan, self.method)
        kept = cohorts.sample if followed else without_units(cohorts.sample)
        told = compared(cohorts, found.plan)
        return result_of(
            self, found, cohorts, told.checks(), sample=kept, n=told.sample.n, dropped=told.dropped, roles=sample.given
        )


def compared(cohorts: Cohorts, plan: Sequence[Cell]) -> Cohorts:
    """Return what is told of a panel: without units that entered no cell, whose cohorts are named."""
    idle = idle_cohorts(cohorts, plan)
    told = cohorts.only(~np.isin(cohorts.of_unit, idle)) if len(idle) else cohorts
    return replace(told, notes=(*told.notes, *idle_note(cohorts, idle)))


def result_of(
    estimator: CallawaySantAnna,
    found: CellEstimates,
    cohorts: Adoption,
    checks: Mapping[str, Any],
    **fields: Any,
) -> EventStudyResult:
    """Assemble the result of estimated cells; ``fields`` are those of every result that differ by source."""
    cells = cells_of(cohorts, found.plan, found.counts)
    joint, universal = found.joint, estimator.base_period == "universal"
    n_units = int(cohorts.sizes.sum())
    result: EventStudyResult
    told: dict[str, Any] = {
        **checks,
        "exact_fits": lambda: exact_fits_check(result),
        "pre_trends": lambda: pre_trends_check(result, n_units=n_units),  # read when there is a result
        **found.checks(cohorts),
    }
    result = EventStudyResult(
        estimator=estimator,
        effects=Effects(cells.terms, joint.first(len(cells)), cells.columns()),
        headline="simple",
        estimand=AGGREGATIONS["simple"],
        checks=Checks(told),
        cells=cells,
        shares=found.shares,
        joint=joint,
        base_period=estimator.base_period,
        reference=reference_of(cohorts, estimator.anticipation) if universal else None,
        **fields,
    )
    return result
