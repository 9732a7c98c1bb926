"""Triple differences: a policy that reaches some groups at some time, and within them the eligible only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.arranged import standardised
from causalkit.did.cell_estimates import overlap_check, require_cells
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.event_study import EventStudyResult
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.plan import cells_of, plan_cells, reference_of
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.triple_difference_cells import Triples, compare_triples, eligible_units, share_of_treated, triples_of
from causalkit.kernels.arrays import Bools, Floats


@dataclass(frozen=True, kw_only=True)
class TripleDifference(Estimator[EventStudyResult]):
    """Average effects by cohort and time where a policy reaches only the eligible of the groups that adopt it.

    The estimand of a cell is the average effect, in one period, on the eligible units of the groups that adopt the policy
    in one period (Ortiz-Villavicencio and Sant'Anna 2025, ATT(g, t)). Assumptions: without the policy, the outcomes of
    eligible and ineligible units would have drifted apart by as much in the adopting groups as in those they are compared
    with (given covariates, where named); nobody responds earlier than ``anticipation`` periods before the start; the policy
    does not touch the ineligible. Parallel trends between eligible and ineligible units, or between groups, are not
    needed. The headline is the average over all treated cells, weighted by the number of treated units.

    Parameters
    ----------
    method : {"dr", "ipw", "reg"}
        With covariates: doubly robust, inverse propensity weighting, or outcome regression. Without, all are the same.
    control_group : {"never_treated", "not_yet_treated"}
        The groups that an adopting group is compared with. The not yet treated are not pooled, which would be biased:
        each cohort of them gives an estimate of its own, and these are combined with the weights of least variance.
    base_period : {"varying", "universal"}
        What cells before the start are measured from: the period before theirs, or, for all of them, the last period
        before the start (and its anticipation).
    anticipation : int
        Periods before the start in which units may already respond.
    unbalanced : {"drop", "raise"}
        What to do with units that are not observed in every period.

    Notes
    -----
    With covariates, each of the three comparisons of a triple difference (the treated units against the ineligible of
    their own groups, the eligible of other groups, and the ineligible of other groups) is weighted to the covariates of
    the treated units; the difference of two doubly robust differences-in-differences is not, and is biased. Standard
    errors come from influence values clustered by unit (or by ``cluster=``), without a small-sample factor; those of
    aggregates take in that cohort sizes are estimated.

    References
    ----------
    Ortiz-Villavicencio and Sant'Anna (2025), "Better understanding triple differences estimators", equations 4.1 to 4.13.
    """

    method: Literal["dr", "ipw", "reg"] = choice("dr", "dr", "ipw", "reg")
    control_group: Literal["never_treated", "not_yet_treated"] = choice(
        "never_treated", "never_treated", "not_yet_treated"
    )
    base_period: Literal["varying", "universal"] = choice("varying", "varying", "universal")
    anticipation: int = integer(0, low=0)
    unbalanced: Literal["drop", "raise"] = choice("drop", "drop", "raise")

    roles: ClassVar[Mapping[str, Role]] = {
        **{role: spec for role, spec in ROLES.items() if role not in ("cohort", "treatment")},
        "cohort": Role("cohort"),
        "eligible": Role("number"),
    }
    assignment: ClassVar[Assignment | None] = Assignment("cohort", "unit")
    strategies: ClassVar[tuple[str, ...]] = ("parallel_trends",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        unit: Any,
        time: Any,
        cohort: Any,
        eligible: Any,
        covariates: Sequence[str] | str = (),
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
        cohort : str
            When the unit's group adopts the policy, in the units of ``time``, for eligible and ineligible units alike; 0,
            missing, infinite or later than the last period means never.
        eligible : str
            Whether the unit is one that the policy reaches: 1 or 0, or a bool, the same in all its rows.
        covariates : list of str
            Numbers or categories; a comparison uses their values in its base period.
        cluster : str, optional
            Clusters that hold whole units, such as the groups that adopt; units by default.
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
            eligible=eligible,
            covariates=covariates,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> EventStudyResult:
        """Run the comparisons on a bound sample."""
        cohorts = Cohorts.of(sample, unbalanced=self.unbalanced)
        cohorts.require_spread()
        eligible = eligible_units(cohorts)
        every = plan_cells(cohorts, self.control_group, self.base_period, self.anticipation)
        found = compare_triples(
            cohorts, eligible, triples_of(cohorts, eligible, every), _wide_covariates(cohorts), self.method
        )
        plan = found.plan
        require_cells(cohorts, plan, found.failed)
        shares, of_shares = share_of_treated(cohorts, eligible)
        joint = Estimate(np.concatenate([found.values, shares]), cohorts.carrier(np.hstack([found.psi, of_shares])))
        cells = cells_of(cohorts, found.plan, found.counts)
        result = EventStudyResult(
            estimator=self,
            effects=Effects(cells.terms, joint.linear(np.eye(joint.size)[: len(plan)]), cells.columns()),
            headline="simple",
            estimand="average effect on the eligible units of adopting groups, over all treated cohorts and periods",
            checks=Checks({}),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
            cells=cells,
            shares=shares,
            joint=joint,
            base_period=self.base_period,
            reference=reference_of(cohorts, self.anticipation) if self.base_period == "universal" else None,
        )
        checks: dict[str, Any] = {
            **cohorts.checks(),
            "eligible": _eligible_check(cohorts, eligible, found),
            "exact_fits": lambda: exact_fits_check(result),
            "pre_trends": lambda: pre_trends_check(result),
        }
        if sample.has("covariates"):
            checks["overlap"] = overlap_check(found.trimmed)
        return replace(result, checks=Checks(checks))


def _wide_covariates(cohorts: Cohorts) -> Floats | None:
    """Return covariates around their mean in units of their spread, shape (n_units, n_periods, p), or None."""
    values = cohorts.covariates()
    if values.shape[1] == 0:
        return None
    return np.stack([standardised(cohorts.panel.wide(column)) for column in values.T], axis=2)


def _eligible_check(cohorts: Cohorts, eligible: Bools, found: Triples) -> Check:
    """Say who is eligible, and for which cohorts and cells there is no effect."""
    used = {cell.cohort for cell in found.plan}
    left = [str(label) for g, label in enumerate(cohorts.labels) if g not in used]
    told = [f"{int(eligible.sum()):,} of {cohorts.n_units:,} units are eligible."]
    if left:
        told.append(f"No effect is estimated for the cohorts {', '.join(left)}.")
    if found.failed:
        cell, why = found.failed[0]
        told.append(
            f"{len(found.failed)} cells can't be estimated, first {cohorts.labels[cell.cohort]} in "
            f"{cohorts.periods[cell.time]}: {why}."
        )
    bad = bool(left or found.failed)
    return Check(
        "eligible",
        "warn" if bad else "pass",
        " ".join(told),
        advice="The averages speak of what is left: a cohort needs eligible, ineligible and comparison units, and few "
        "covariates."
        if bad
        else "",
    )
