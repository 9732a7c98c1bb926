"""Sun and Abraham: a regression with one indicator for each cohort and period."""

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
from causalkit.did.absorbed import absorbed_check
from causalkit.did.aggregate_result import AGGREGATIONS
from causalkit.did.cell_regression import (
    cell_indicators,
    cell_regression,
    cell_totals,
    compared_with_last,
    describe_cells,
    weight_of_cells,
    with_reference,
)
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.event_study import EventStudyResult
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.plan import reference_of, require_treated
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.saturated import VCOV
from causalkit.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class SunAbraham(Estimator[EventStudyResult]):
    """Effects by cohort and period from one regression whose indicators are saturated.

    The estimand of a cell is the average effect on one cohort in one period (Sun and Abraham 2021, CATT), relative to
    the period before the start, against units that are never treated (or, where there are none, those treated last, of
    which later periods are left out). Assumptions: parallel trends, and nobody responds earlier than ``anticipation``
    periods before the start. The headline averages treated cells by the number of observations in each.

    Parameters
    ----------
    anticipation : int
        Periods before the start in which units may already respond.
    vcov : {"auto", "iid", "HC1", "CR0", "CR1", "CR3"}
        Variance; ``"auto"`` is CR1 by unit, or by ``cluster=``, with the small-sample factors of R's fixest.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.

    Notes
    -----
    Weights of aggregates (shares of cohorts) are taken as known, as in R's ``fixest::sunab``; :class:`CallawaySantAnna`
    gives the same effects and adds what the shares contribute to the error.
    """

    anticipation: int = integer(0, low=0)
    vcov: Literal["auto", "iid", "HC1", "CR0", "CR1", "CR3"] = choice("auto", *VCOV)
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
            Numbers or categories that vary over time.
        control, treatment_level : level, optional
            Levels of ``treatment``, needed for text.
        cluster : str or list of str, optional
            Clusters; units by default.
        weights : str, optional
            Weights.
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
        """Run the regression on a bound sample."""
        cohorts = with_reference(Cohorts.of(sample, unbalanced=self.unbalanced), self.anticipation)
        cohorts = compared_with_last(cohorts, self.anticipation)
        cohorts.require_spread()
        plan, sizes = [], cell_totals(cohorts)
        for g, first in enumerate(cohorts.starts):
            reference = int(first) - 1 - self.anticipation
            if reference >= 0:
                there = np.flatnonzero(sizes[g])
                plan += [(g, int(t)) for t in there if t != reference]
        if not plan:
            raise DesignError(
                "no cohort has an untreated period before its start.",
                hint="Add earlier periods, or lower anticipation=.",
            )
        require_treated(np.array([t >= cohorts.starts[g] for g, t in plan]))
        names = [f"{cohorts.labels[g]} in {cohorts.periods[t]}" for g, t in plan]
        design = cell_indicators(plan, len(cohorts.starts), cohorts.n_periods)
        joint = cell_regression(cohorts, design, names, self.vcov)
        cells = describe_cells(cohorts, plan, sizes)
        result = EventStudyResult(
            estimator=self,
            effects=Effects(cells.terms, joint, cells.columns()),
            headline="simple",
            estimand=AGGREGATIONS["simple"],
            checks=Checks({}),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
            cells=cells,
            shares=weight_of_cells(cohorts, plan, sizes),
            joint=joint,
            base_period="universal",
            reference=reference_of(cohorts, self.anticipation),
        )
        checks: dict[str, Any] = {
            **cohorts.checks(),
            **absorbed_check(cohorts),
            "exact_fits": lambda: exact_fits_check(result),
            "pre_trends": lambda: pre_trends_check(result),
        }
        return replace(result, checks=Checks(checks))
