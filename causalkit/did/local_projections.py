"""Local projections: one regression of the change up to each horizon, on clean comparisons only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.by_event_time import by_event_time, clusters_at, small_sample
from causalkit.did.clean_comparisons import Comparisons, absorbing, reversible
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.saturated import apart
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats
from causalkit.linear.least_squares import least_squares

#: Name of the regressor of interest.
_TREATED = "newly treated"

#: Estimate, influence values by unit (with the small-sample factor), df, newly treated units, and who entered.
_Projection = tuple[float, Floats, float, int, Bools]


@dataclass(frozen=True, kw_only=True)
class LocalProjectionsDiD(Estimator[AggregateResult]):
    """Effects by horizon from local projections on clean comparisons (Dube, Girardi, Jorda and Taylor 2023).

    For each horizon, the change of the outcome from the period before is regressed on being newly treated, with effects of
    periods, among units that are newly treated and units that are not treated until the horizon has passed. The estimand
    is, at each horizon, an average of the effects on cohorts: weighted as least squares does, by size and by the
    variance of treatment (all weights positive), or alike for every treated unit. Assumptions: parallel trends; no
    anticipation. The headline is the plain mean over horizons from the start on.

    Parameters
    ----------
    pre_window, post_window : int or None
        Last lead and last horizon; all that the data allow by default. Event time is counted in observed periods.
    method : {"variance_weighted", "equally_weighted"}
        How cohorts are averaged.
    control_group : {"not_yet_treated", "never_treated"}
        Whom the newly treated are compared with.
    stabilization : int or None
        None: treatment is not taken away. A number L: it may be; effects are taken to have settled L periods after a
        change. Then the newly treated were untreated for L periods before and stay treated through the horizon, and
        controls, treated or not, saw no change from L periods before through the horizon. Needs ``treatment=``.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.

    Notes
    -----
    Covariates enter with their value in the period before. Standard errors are clustered by unit (or by ``cluster=``), CR1
    with the rows of each horizon's regression counted; horizons are kept together by influence values of units. Before the
    first observed period no change of treatment is supposed.

    References
    ----------
    Dube, Girardi, Jorda and Taylor (2023), "A local projections approach to difference-in-differences", NBER working
    paper 31184, sections 3 and 4.2.
    """

    pre_window: int | None = integer(None, low=1)
    post_window: int | None = integer(None, low=0)
    method: Literal["variance_weighted", "equally_weighted"] = choice(
        "variance_weighted", "variance_weighted", "equally_weighted"
    )
    control_group: Literal["not_yet_treated", "never_treated"] = choice(
        "not_yet_treated", "not_yet_treated", "never_treated"
    )
    stabilization: int | None = integer(None, low=1)
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
            Numbers or categories; a comparison uses their values in the period before.
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
        """Run the projections on a bound sample."""
        cohorts = self._cohorts(sample)
        cohorts.require_spread()
        last = cohorts.n_periods - 1
        early = min(last, last if self.pre_window is None else self.pre_window)
        late = min(last - 1, last if self.post_window is None else self.post_window)
        x = [cohorts.panel.wide(column) for column in cohorts.covariates().T]
        fits = {horizon: self._project(cohorts, horizon, x) for horizon in (*range(-early, -1), *range(late + 1))}
        found = {horizon: fit for horizon, fit in fits.items() if fit is not None}
        times = list(found)
        if not any(e >= 0 for e in times):
            raise DesignError(
                "no horizon has newly treated units with clean controls in the same period, and enough of them.",
                hint="Use a smaller post_window= or stabilization=, fewer covariates, or add untreated units.",
            )
        values, psi, df, counts, entered = zip(*found.values(), strict=True)
        used = np.logical_or.reduce(entered)
        carrier = cohorts.carrier(np.stack(psi, axis=1), "CR1", 1.0, np.array(df), per_row=np.nan)
        check = self._horizons(times, early, late)
        return by_event_time(
            self, sample, cohorts, used, Estimate(np.array(values), carrier), times, counts, {"horizons": check}
        )

    def _cohorts(self, sample: Sample) -> Cohorts:
        if self.stabilization is None:
            return Cohorts.of(sample, unbalanced=self.unbalanced)
        if not sample.has("treatment"):
            raise DesignError(
                "stabilization= lets treatment be taken away: name treatment= (1 where a row is treated).",
                hint="Name it instead of cohort=, or use stabilization=None.",
            )
        if self.control_group == "never_treated":
            raise DesignError(
                'control_group="never_treated" does not go with stabilization=.', hint='Use "not_yet_treated".'
            )
        return Cohorts.of(sample, unbalanced=self.unbalanced, always_treated="keep", reversals="keep")

    def _comparisons(self, cohorts: Cohorts, horizon: int) -> Comparisons:
        if self.stabilization is None:
            return absorbing(cohorts, horizon, never=self.control_group == "never_treated")
        return reversible(cohorts, horizon, self.stabilization)

    def _project(self, cohorts: Cohorts, horizon: int, x: Sequence[Floats]) -> _Projection | None:
        """Return the regression of one horizon; None where there is nothing to compare."""
        pairs = self._comparisons(cohorts, horizon)
        y, base = cohorts.outcome, (pairs.unit, pairs.period - 1)
        change = y[pairs.unit, pairs.period + horizon] - y[base]
        columns = [column[base] for column in x]
        weights = None if cohorts.weights is None else cohorts.weights[base]
        there = np.isfinite(sum(columns, change))
        pairs, kept = pairs.take(there).with_controls()
        at = np.flatnonzero(there)[kept]
        if not len(at) or not pairs.treated.any():
            return None
        weights = None if weights is None else weights[at]
        if self.method == "equally_weighted":
            weights = pairs.equalizing(weights)
        names = cohorts.sample.features().dummies()[1] if columns else ()
        try:
            fit = least_squares(
                change[at],
                [*(column[at] for column in columns), pairs.treated.astype(float)],  # covariates may determine it
                names=[*apart(names, [_TREATED]), _TREATED],
                weights=weights,
                absorb=[pairs.period.astype(np.int32)],
                groups=clusters_at(cohorts, pairs.unit),
                vcov="CR1",
            )
        except (DesignError, InferenceUnavailable):  # nothing, or one cluster, is left to tell an error from
            return None
        if _TREATED not in fit.names:
            return None
        j = fit.names.index(_TREATED)
        psi = np.sqrt(small_sample(fit)) * np.bincount(pairs.unit, fit.psi[:, j], minlength=cohorts.n_units)
        entered = np.bincount(pairs.unit, minlength=cohorts.n_units) > 0
        return float(fit.coefficients[j]), psi, float(fit.df[j]), int(pairs.treated.sum()), entered

    def _horizons(self, times: Sequence[int], early: int, late: int) -> Check:
        lost = [e for e in (*range(-early, -1), *range(late + 1)) if e not in times]
        asked = self.pre_window is not None or self.post_window is not None
        return Check(
            "horizons",
            "warn" if lost and asked else "pass",
            f"Horizons without clean comparisons, or too few of them: {', '.join(map(str, lost))}."
            if lost
            else "Every horizon has clean comparisons.",
            advice="The headline is the mean of the others." if lost and asked else "",
        )
