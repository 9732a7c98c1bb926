"""Imputation: what treated units would have seen, from untreated observations, and the gap to what they saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from causalkit.core.check import Check, Checks
from causalkit.core.deferred import influence_or_covariance
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, flag, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.absorbed import absorbed_check
from causalkit.did.aggregate_result import AGGREGATIONS
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.imputed_cells import ImputedCells, describe_imputed, imputable_check, impute
from causalkit.did.leads import ImputationResult
from causalkit.did.plan import require_treated
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.untreated import UntreatedFit, cells_to_impute, with_untreated


@dataclass(frozen=True, kw_only=True)
class ImputationDiD(Estimator[ImputationResult]):
    """Average effects by cohort and period, imputed (Borusyak, Jaravel and Spiess 2024).

    Unit and time effects (and slopes of covariates) are fitted to untreated observations only; the effect on a treated
    observation is what it exceeds their prediction by. The estimand is the average effect on treated observations, and by
    cohort and period. Assumptions: parallel trends in all periods and for all units, and nobody responds earlier than
    ``anticipation`` periods before the start. Under homoskedastic, uncorrelated errors it is the efficient linear
    unbiased estimator whatever the effects are.

    Parameters
    ----------
    anticipation : int
        Periods before the start in which units may already respond; these are imputed too, but not part of the headline.
    leave_one_out : bool
        Compare each effect with the average of the *other* units of its cohort and period in the variance: less biased
        in small cohorts, and not available for cohorts of one unit.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.

    Notes
    -----
    Standard errors are the conservative ones of their theorem 3, clustered by unit (or by ``cluster=``), without a
    small-sample factor, with averages over cohort and period as the auxiliary model: only the deviation of a unit's effect
    from that average counts as error. Units that are never observed untreated are left out; treated observations whose
    period has no untreated observation linked to the unit are left out too, and the check ``imputable`` counts them.

    References
    ----------
    Borusyak, Jaravel and Spiess (2024), "Revisiting event-study designs: robust and efficient estimation", Review of
    Economic Studies 91.
    """

    anticipation: int = integer(0, low=0)
    leave_one_out: bool = flag(False)
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
        """Impute on a bound sample."""
        given = sample.given
        cohorts = with_untreated(Cohorts.of(sample, unbalanced=self.unbalanced), self.anticipation)
        del sample  # where units were left out, those who stay are a copy: the first rows make room
        cohorts.require_spread()
        fitted = UntreatedFit.of(cohorts, self.anticipation)
        first = cohorts.starts - self.anticipation
        plan = cells_to_impute(fitted, first)
        clusters = cohorts.clusters[0].codes if cohorts.clusters else None
        found = impute(fitted, plan, conservative=True, leave_one_out=self.leave_one_out, clusters=clusters)
        cells = describe_imputed(fitted, plan, found)
        require_treated(cells.post)
        carrier = influence_or_covariance(
            lambda: found.psi,
            (cohorts.n_units, len(plan)),
            found.vcov(cohorts.clusters),
            lambda: cohorts.unit_rows,
            cohorts.clusters,
            "CR0",
        )
        joint = Estimate(found.values, carrier)
        result = ImputationResult(
            estimator=self,
            effects=Effects(cells.terms, joint, cells.columns()),
            headline="simple",
            estimand=AGGREGATIONS["simple"],
            checks=Checks({}),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=given,
            cells=cells,
            shares=found.totals,
            joint=joint,
            base_period="universal",
            anticipation=self.anticipation,
        )
        checks: dict[str, Any] = {
            **cohorts.checks(),
            **absorbed_check(cohorts),
            "imputable": lambda: imputable_check(fitted, first),
            "exact_fits": lambda: exact_fits_check(result),
            "auxiliary": _lone_cells(found, cells.terms, self.leave_one_out),
            "pre_trends": lambda: pre_trends_check(result),
        }
        return replace(result, checks=Checks(checks))


def _lone_cells(found: ImputedCells, terms: Sequence[str], leave_one_out: bool) -> Check:
    alone = [terms[j] for j in found.alone]
    if not alone:
        said = "Every cohort and period has several units to tell error from effect."
        return Check("auxiliary", "pass", said if not leave_one_out else f"{said} Each is left out of its own average.")
    return Check(
        "auxiliary",
        "warn",
        f"{len(alone)} of {len(terms)} cells rest on one unit (or cluster), first {alone[0]!r}: its deviation from itself "
        "is zero, so that the standard error is too small.",
        advice="Leave such cohorts out, or read their effects without an interval.",
    )
