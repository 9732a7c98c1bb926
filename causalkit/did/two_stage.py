"""Two stages: take out unit and time effects fitted to untreated observations, then average what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.absorbed import absorbed_check
from causalkit.did.aggregate_result import AGGREGATIONS
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.imputed_cells import describe_imputed, imputable_check, impute, weight_in_cells
from causalkit.did.leads import ImputationResult
from causalkit.did.plan import reference_of, require_treated
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.untreated import UntreatedFit, cells_to_impute, with_untreated
from causalkit.kernels.arrays import Ints

#: Less of a variance than this share is rounding.
_NOTHING = 1e-8


@dataclass(frozen=True, kw_only=True)
class TwoStageDiD(Estimator[ImputationResult]):
    """Average effects by cohort and period in two stages (Gardner 2022).

    The first stage fits unit and time effects (and slopes of covariates) to untreated observations; the second regresses
    what is left of all outcomes on indicators of treatment. Estimates after the start are those of
    :class:`ImputationDiD`; the variance is another: that of the two stages as one method-of-moments estimator, in which
    all variation of effects around the average asked for counts as error. The estimand is the average effect on treated
    observations, and by cohort and period. Assumptions: parallel trends in all periods, and no response earlier than
    ``anticipation`` periods before the start.

    Parameters
    ----------
    anticipation : int
        Periods before the start in which units may already respond.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.

    Notes
    -----
    Standard errors are clustered by unit (or by ``cluster=``), without a small-sample factor, as in R's ``did2s``. The
    static second stage of ``did2s`` is the headline, its dynamic one is ``aggregate("event_time")``. Effects before the
    start are means of the first stage's residuals, as there; :meth:`ImputationResult.pre_trends` does not use them but
    tests on untreated observations.

    References
    ----------
    Gardner (2022), "Two-stage differences in differences", arXiv:2207.05943.
    """

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
    ) -> ImputationResult:
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
            Numbers or categories that vary over time; their slopes come from untreated observations.
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
        ImputationResult

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

    def estimate(self, sample: Sample) -> ImputationResult:
        """Run both stages on a bound sample."""
        cohorts = with_untreated(Cohorts.of(sample, unbalanced=self.unbalanced), self.anticipation)
        cohorts.require_spread()
        fitted = UntreatedFit.of(cohorts, self.anticipation)
        first = cohorts.starts - self.anticipation
        plan = _with_residuals(cells_to_impute(fitted, np.zeros_like(first)), fitted, first)
        found = impute(fitted, plan, conservative=False)
        cells = describe_imputed(fitted, plan, found)
        require_treated(cells.post)
        of_shares = weight_in_cells(fitted, plan) - found.totals / cohorts.n_units
        joint = Estimate(
            np.concatenate([found.values, found.totals]), cohorts.carrier(np.hstack([found.psi, of_shares]))
        )
        result = ImputationResult(
            estimator=self,
            effects=Effects(cells.terms, Estimate(found.values, cohorts.carrier(found.psi)), cells.columns()),
            headline="simple",
            estimand=AGGREGATIONS["simple"],
            checks=Checks({}),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
            cells=cells,
            shares=found.totals,
            joint=joint,
            base_period="universal",
            reference=reference_of(cohorts, self.anticipation),
            anticipation=self.anticipation,
        )
        checks: dict[str, Any] = {
            **cohorts.checks(),
            **absorbed_check(cohorts),
            "imputable": lambda: imputable_check(fitted, first),
            "exact_fits": lambda: exact_fits_check(result),
            "pre_trends": lambda: pre_trends_check(result),
        }
        return replace(result, checks=Checks(checks))


def _with_residuals(plan: list[tuple[int, int]], fit: UntreatedFit, first: Ints) -> list[tuple[int, int]]:
    """Leave out the reference period of each cohort, and other cells in which residuals of the first stage sum to zero.

    That is so by construction where, among untreated observations, no other cohort is there to compare with: the fit of
    the cell's indicator on unit and time effects (and covariates) leaves nothing.
    """
    kept = []
    for g, t in plan:
        if t < first[g]:
            if t == first[g] - 1:
                continue
            units = np.flatnonzero(fit.cohorts.of_unit == g)
            w = fit.weights[units, t] * fit.imputable[units, t]
            share, at = w / w.sum(), np.array([t])
            # of the variance of the mean under errors of variance 1 / weight, what units take, and what periods take
            own = float(share @ (np.divide(share, w, out=np.zeros_like(w), where=w > 0)))
            loads = fit.loads(units, at, share[:, None])[:, 0]
            left = own - float(share**2 @ fit.of_unit_effects(units)) - float(loads @ fit.equations.solve(loads))
            if left <= _NOTHING * own:
                continue
        kept.append((g, t))
    return kept
