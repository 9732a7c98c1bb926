"""Extended two-way fixed effects: one regression, saturated in cohort and period (and their covariates)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
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
from causalkit.did.leads import ImputationResult
from causalkit.did.plan import reference_of, require_treated
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.saturated import VCOV, numbers_of, two_way_fit
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, kw_only=True)
class ExtendedTWFE(Estimator[EventStudyResult]):
    """Effects by cohort and period from a regression with unit and time effects that is flexible enough (Wooldridge 2021).

    The estimand of a cell is the average effect, in one period, on the units first treated in one period. With
    ``control_group="not_yet_treated"`` only treated cells have an indicator, so that every untreated observation serves as
    a control: on balanced panels that is imputation (:class:`ImputationDiD`), with the standard errors of a regression.
    With ``"never_treated"`` every cell but the reference has one: that is :class:`SunAbraham`. Assumptions: parallel
    trends (given covariates, where named) in all periods, or after the reference only; nobody responds earlier than
    ``anticipation`` periods before the start. The headline averages treated cells by the number of observations in each.

    Parameters
    ----------
    control_group : {"not_yet_treated", "never_treated"}
        Whose observations serve as controls.
    anticipation : int
        Periods before the start in which units may already respond.
    vcov : {"auto", "iid", "HC1", "CR0", "CR1", "CR3"}
        Variance; ``"auto"`` is CR1 by unit, or by ``cluster=``, with the small-sample factors of R's fixest.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.

    Notes
    -----
    Covariates enter about their cohort's mean times each indicator, and with slopes by cohort and by period (Wooldridge's
    equation 6.33; R's ``etwfe``). An effect is then the one at the mean covariates of its cohort, whose sampling error, as
    that of cohort sizes, is not part of the standard error. Where nobody is never treated, the cohort treated last is
    compared with, and later periods are left out.

    References
    ----------
    Wooldridge (2021), "Two-way fixed effects, the two-way Mundlak regression, and difference-in-differences estimators".
    """

    control_group: Literal["not_yet_treated", "never_treated"] = choice(
        "not_yet_treated", "not_yet_treated", "never_treated"
    )
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
            Numbers or categories, constant or not; effects may differ by them.
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
        EventStudyResult
            An :class:`~causalkit.did.leads.ImputationResult`, which tests trends on untreated observations, where these all
            serve as controls.

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
        sizes = cell_totals(cohorts)
        plan = self._plan(cohorts, sizes)
        names = [f"{cohorts.labels[g]} in {cohorts.periods[t]}" for g, t in plan]
        if cohorts.sample.has("covariates"):
            joint, told = _with_covariates(cohorts, plan, names, self.vcov)
        else:
            told = {}
            joint = cell_regression(
                cohorts, cell_indicators(plan, len(cohorts.starts), cohorts.n_periods), names, self.vcov
            )
        cells = describe_cells(cohorts, plan, sizes)
        never = self.control_group == "never_treated"
        more: dict[str, Any] = {} if never else {"anticipation": self.anticipation}
        result = (EventStudyResult if never else ImputationResult)(
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
            reference=reference_of(cohorts, self.anticipation) if never else None,
            **more,
        )
        checks: dict[str, Any] = {
            **cohorts.checks(),
            **told,
            "exact_fits": lambda: exact_fits_check(result),
            "pre_trends": lambda: pre_trends_check(result),
        }
        return replace(result, checks=Checks(checks))

    def _plan(self, cohorts: Cohorts, sizes: Floats) -> list[tuple[int, int]]:
        """List the cells that have an indicator."""
        plan = []
        for g, start in enumerate(cohorts.starts):
            first = int(start) - self.anticipation
            all_but_one = self.control_group == "never_treated"
            there = np.flatnonzero(sizes[g])
            plan += [(g, int(t)) for t in there if t >= first or (all_but_one and t != first - 1)]
        if not plan:
            raise DesignError("no treated cell is left.", hint="Add periods, or lower anticipation=.")
        require_treated(np.array([t >= cohorts.starts[g] for g, t in plan]))
        return plan


_Told = dict[str, Callable[[], Check]]


def _with_covariates(
    cohorts: Cohorts, plan: Sequence[tuple[int, int]], names: Sequence[str], vcov: str
) -> tuple[Estimate, _Told]:
    """Let effects, trends and levels differ by the covariates; return what makes their check too."""
    group, time = cohorts.of_unit[cohorts.panel.unit.codes], cohorts.panel.time.codes
    values, labels = cohorts.sample.features().dummies()
    indicators = [((group == g) & (time == t)).astype(float) for g, t in plan]
    columns, more = [], []
    for x, label in zip(values.T, labels, strict=True):
        about = x - _means(x, group, cohorts.sample.optional("weights"))[group]
        columns += [indicator * about for indicator in indicators]
        more += [f"{label} x {name}" for name in names]
    # Slopes come last: where they are collinear with the columns of interest it is they that go.
    slopes, of_slopes = _slopes(cohorts)
    fit = two_way_fit(cohorts, indicators, names, vcov, further=([*columns, *slopes], [*more, *of_slopes]))
    lost = [name for name in of_slopes if name in fit.dropped]
    return numbers_of(fit, cohorts, names), {"covariates": lambda: _covariates_check(cohorts, lost)}


def _slopes(cohorts: Cohorts) -> tuple[list[Floats], list[str]]:
    """Return the columns that let trends and levels differ by the covariates, and their names."""
    group, time = cohorts.of_unit[cohorts.panel.unit.codes], cohorts.panel.time.codes
    values, labels = cohorts.sample.features().dummies()
    columns, names = [], []
    for values_of, label in zip(values.T, labels, strict=True):
        x = values_of - values_of.mean()  # a level is absorbed anyway, and a large one would cost digits
        columns += [x * (time == t) for t in range(cohorts.n_periods)]
        names += [f"{label} x {period}" for period in cohorts.periods]
        columns += [x * (group == g) for g in range(len(cohorts.starts))]
        names += [f"{label} x cohort {cohort}" for cohort in cohorts.labels]
    return columns, names


def _covariates_check(cohorts: Cohorts, lost: Sequence[str]) -> Check:
    """Say which slopes went because effects determine them, beside those that other effects and slopes absorb."""
    columns, names = _slopes(cohorts)
    try:
        absorbed = set(two_way_fit(cohorts, (), (), "iid", further=(columns, names)).dropped)
    except DesignError:  # all of them are
        absorbed = set(names)
    except InferenceUnavailable:
        absorbed = set()
    bad = [name for name in lost if name not in absorbed]
    if not bad:
        return Check("covariates", "pass", "Trends differ by the covariates as far as these vary among the untreated.")
    return Check(
        "covariates",
        "warn",
        f"{fmt.plural(len(bad), 'slope')} of covariates can't be told from effects and left out, first {bad[0]!r}: among the "
        "untreated, the covariate does not vary enough. It is not adjusted for there.",
        advice="Use fewer covariates, or such as do not change with the treatment.",
    )


def _means(x: Floats, group: Any, weights: Floats | None) -> Floats:
    total = np.bincount(group, weights)
    sums = np.bincount(group, x if weights is None else x * weights)
    return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
