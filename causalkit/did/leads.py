"""Parallel trends tested on untreated observations only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate
from causalkit.did.by_event_time import clusters_at, small_sample
from causalkit.did.cells import event_time_of
from causalkit.did.cohorts import Cohorts
from causalkit.did.event_study import EventStudyResult
from causalkit.did.exact_fits import terms_with_spread
from causalkit.did.saturated import per_row
from causalkit.did.untreated import before
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.linear.least_squares import least_squares


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ImputationResult(EventStudyResult):
    """Effects by cohort and period, imputed from untreated observations.

    Parameters
    ----------
    anticipation : int
        Periods before the start that were not taken for untreated.
    """

    anticipation: int = 0

    def leads(self, n: int | None = None) -> Effects:
        """Return how outcomes differ, before the start, from parallel trends.

        Parameters
        ----------
        n : int, optional
            Leads to estimate: the ``n`` last event times before the start (and its anticipation), relative to all earlier
            ones. All but the earliest by default.

        Returns
        -------
        Effects
            Coefficients of a regression on untreated observations only, so that no effect of treatment, and no selection
            on having passed, contaminates them (Borusyak, Jaravel and Spiess 2024, section 4.4). CR1 by unit or cluster.
            Leads that the others determine are left out: where nobody is never treated, trends are told up to a straight
            line only, and the lead next to the start is a second reference.

        Raises
        ------
        InferenceUnavailable
            If the rows are not kept, or no lead is identified.
        """
        if self.sample is None:
            raise InferenceUnavailable("the rows were not kept.", hint="Fit again, or pickle with keep_data=True.")
        return leads_of(Cohorts.of(self.sample, unbalanced="cells"), self.anticipation, n)

    def pre_trends(self) -> Test:
        """Test that all leads are zero (Wald), on untreated observations only.

        Raises
        ------
        InferenceUnavailable
            If no lead is identified.
        """
        return super().pre_trends()

    def _tested(self) -> tuple[Effects, list[str]]:
        leads = self.leads()
        return leads, terms_with_spread(leads, np.ones(len(leads), dtype=np.bool_))


def leads_of(cohorts: Cohorts, anticipation: int, n: int | None) -> Effects:
    """Regress untreated outcomes on indicators of the time until the start, with unit and time effects."""
    sample, panel = cohorts.sample, cohorts.panel
    rows = np.flatnonzero(before(cohorts, anticipation)[panel.unit.codes, panel.time.codes])
    unit, time = panel.unit.codes[rows], panel.time.codes[rows]
    event = np.vstack([cohorts.event_times, np.full((1, cohorts.n_periods), np.nan)])[cohorts.of_unit[unit], time]
    times = np.unique(event[~np.isnan(event)])
    times = times[1:] if n is None else times[max(len(times) - n, 1) :]
    if not len(times):
        raise InferenceUnavailable(
            "there is no lead to test: every cohort has one period before its start.", hint="Use more early periods."
        )
    adjust, more = sample.features().take(rows).dummies()
    names = [event_time_of(e) for e in times]
    weights = sample.optional("weights")
    nothing = InferenceUnavailable("no lead is identified.", hint="Use more early periods, or never-treated units.")
    try:
        fit = least_squares(
            sample.outcome[rows],
            [*(((event == e).astype(float)) for e in times), *adjust.T],
            names=[*names, *more],
            weights=None if weights is None else weights[rows],
            absorb=[unit, time],
            groups=clusters_at(cohorts, unit),
            vcov="CR1",
        )
    except DesignError as error:  # units or periods absorb them all, or the rows are of one cluster
        raise nothing from error
    kept = [name for name in names if name in fit.names]
    if not kept:
        raise nothing
    at = np.array([fit.names.index(name) for name in kept])
    psi: Floats = np.stack([np.bincount(unit, fit.psi[:, j], minlength=cohorts.n_units) for j in at], axis=1)
    return Effects(
        tuple(kept),
        Estimate(fit.coefficients[at], cohorts.carrier(psi, "CR1", small_sample(fit), fit.df[at], per_row(fit))),
    )
