"""Difference-in-differences with a continuous treatment: effects by dose, and how they rise with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, integer
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.cell_estimates import require_cells
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.continuous_cells import doses_of, fit_cells
from causalkit.did.continuous_result import EFFECT, RESPONSE, DoseResult
from causalkit.did.continuous_spline import Spline
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.plan import cells_of, plan_cells
from causalkit.did.pre_trends import pre_trends_check
from causalkit.did.triple_difference_cells import share_of_treated
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats


def _check_doses(name: str, value: Any) -> Any:
    if value is None:
        return None
    listed = tuple(value) if isinstance(value, list | tuple | np.ndarray) else ()
    if not listed or not all(isinstance(v, Real) and not isinstance(v, bool) and np.isfinite(float(v)) for v in listed):
        raise DesignError(f"{name}={value!r} is not a list of numbers.", hint="Pass doses=[1.0, 2.0, 3.0].")
    numbers = tuple(float(v) for v in listed)
    if any(a >= b for a, b in pairwise(numbers)):
        raise DesignError(f"{name}={value!r} does not rise.", hint="List each dose once, the smallest first.")
    return numbers


@dataclass(frozen=True, kw_only=True)
class ContinuousDiD(Estimator[DoseResult]):
    """Effects of a dose on the units that got it, by dose, and how effects rise with the dose.

    The estimands are ATT(d), the average effect of dose d, and its slope ACRT(d), the average causal response to a little
    more of it (Callaway, Goodman-Bacon and Sant'Anna 2024). Each cohort and period compares changes of the outcome of units
    with a dose, as a spline in the dose, with the mean change of untreated units; cohorts are averaged by size, and
    periods within a cohort alike. The headline is the average effect of the doses that units got. Assumptions: without
    treatment, outcomes would have changed alike at all doses (parallel trends), which makes ATT(d) the effect on the units
    that got d; that effects at different doses can be compared, as a slope does, needs strong parallel trends: units
    would on average have responded to each dose as those did that got it. Nobody responds earlier than ``anticipation``
    periods before the start, and a unit's dose does not change.

    Parameters
    ----------
    order : int
        Degree of the spline's polynomials; 1 is a straight line.
    n_knots : int
        Interior knots, at quantiles of the doses of treated units.
    doses : list of float, optional
        Where the curves are evaluated, rising; by default the deciles of the doses of treated units.
    control_group : {"never_treated", "not_yet_treated"}
        Whom a cohort is compared with.
    anticipation : int
        Periods before the start in which units may already respond.
    unbalanced : {"drop", "raise"}
        What to do with units that are not observed in every period.

    Notes
    -----
    Standard errors come from influence values clustered by unit (or by ``cluster=``), without a small-sample factor, and
    take in that cohort sizes are estimated. They treat the spline as the truth: where it is too smooth, intervals of the
    curves miss its bias. ``result.curve(...).ci(simultaneous=True)`` is a band for a whole curve. Covariates are not
    offered.

    References
    ----------
    Callaway, Goodman-Bacon and Sant'Anna (2024), "Difference-in-differences with a continuous treatment", NBER working
    paper 32117, sections 3 to 5.
    """

    order: int = integer(3, low=1, high=5)
    n_knots: int = integer(0, low=0)
    doses: tuple[float, ...] | None = field(default=None, metadata={"check": _check_doses})
    control_group: Literal["never_treated", "not_yet_treated"] = choice(
        "never_treated", "never_treated", "not_yet_treated"
    )
    anticipation: int = integer(0, low=0)
    unbalanced: Literal["drop", "raise"] = choice("drop", "drop", "raise")

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": ROLES["outcome"],
        "unit": ROLES["unit"],
        "time": ROLES["time"],
        "cohort": Role("cohort"),
        "treatment": Role("treatment", treatment="dose"),
        "cluster": ROLES["cluster"],
        "weights": ROLES["weights"],
    }
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "unit")
    strategies: ClassVar[tuple[str, ...]] = ("parallel_trends",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        unit: Any,
        time: Any,
        cohort: Any,
        treatment: Any,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> DoseResult:
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
            When the unit is first treated, in the units of ``time``; 0, missing, infinite or later than the last period
            means never.
        treatment : str
            The unit's dose: one positive number in all its rows, or 0 before the start. That of units that are never
            treated is not read.
        cluster : str, optional
            Clusters that hold whole units; units by default.
        weights : str, optional
            Sampling weights; a comparison uses those of its base period.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        DoseResult

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        InferenceUnavailable
            If the doses vary too little for the spline in every cohort.
        """
        return self._fit(
            data,
            outcome=outcome,
            unit=unit,
            time=time,
            cohort=cohort,
            treatment=treatment,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> DoseResult:
        """Fit the cells on a bound sample, and average them."""
        starts = replace(sample, columns={role: c for role, c in sample.columns.items() if role != "treatment"})
        cohorts = Cohorts.of(starts, unbalanced=self.unbalanced)
        cohorts.require_spread()
        dose, column = doses_of(cohorts, sample)
        plan = plan_cells(cohorts, self.control_group, "varying", self.anticipation)
        require_cells(cohorts, plan, ())
        at, splines = self._curve(
            cohorts, dose, {cell.cohort for cell in plan if cell.time >= cohorts.starts[cell.cohort]}
        )
        shares, of_shares = share_of_treated(cohorts, np.ones(cohorts.n_units, dtype=bool))
        post = np.array([cell.time >= cohorts.starts[cell.cohort] for cell in plan])
        group = np.array([cell.cohort for cell in plan])
        curved = np.array([splines[g] is not None for g in group])
        mix, mix_curved = _weights(group, post, shares), _weights(group, post & curved, shares)
        found = fit_cells(cohorts, dose, plan, splines, at, mix_curved)
        total = _averaged(found.effect[:, None], found.of_effect @ mix, mix, group, shares, of_shares)
        slope = _averaged(found.response[:, None], found.of_response @ mix_curved, mix_curved, group, shares, of_shares)
        curves = _averaged(found.curves, found.of_curves, mix_curved, group, shares, of_shares)
        slopes = _averaged(found.slopes, found.of_slopes, mix_curved, group, shares, of_shares)
        values = np.concatenate([part[0] for part in (total, slope, curves, slopes)])
        psi = np.column_stack([part[1] for part in (total, slope, curves, slopes)])
        result = DoseResult(
            estimator=self,
            effects=Effects(_terms(at), Estimate(values, cohorts.carrier(psi)), _columns(at)),
            headline=EFFECT,
            estimand="average effect on treated units of the doses they got, by cohort and then over cohorts",
            checks=Checks({}),
            sample=cohorts.sample.with_column("treatment", column),
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
            cells=cells_of(cohorts, plan, found.counts),
            shares=shares,
            by_effect=_with_shares(cohorts, found.effect, found.of_effect, shares, of_shares),
            by_response=_with_shares(cohorts, found.response, found.of_response, shares, of_shares),
            curved=curved,
        )
        checks: dict[str, Any] = {
            **cohorts.checks(),
            "overlap": _support_check(cohorts, splines, group[post], at),
            "exact_fits": lambda: exact_fits_check(result),
            "pre_trends": lambda: pre_trends_check(result.event_study()),
            "strong_parallel_trends": _STRONG,
        }
        return replace(result, checks=Checks(checks))

    def _curve(self, cohorts: Cohorts, dose: Floats, used: set[int]) -> tuple[Floats, list[Spline | None]]:
        """Return where curves are evaluated, and the spline of each cohort."""
        treated = dose[dose > 0]
        knots = np.quantile(treated, np.linspace(0, 1, self.n_knots + 2)[1:-1])
        splines = [
            Spline.of(dose[cohorts.of_unit == g], knots, self.order) if g in used else None
            for g in range(len(cohorts.starts))
        ]
        if not any(splines):
            raise InferenceUnavailable(
                f"no cohort has doses that vary enough for {self.order + 1 + self.n_knots} coefficients.",
                hint="Use a smaller order= or n_knots=, or CallawaySantAnna where there is one dose only.",
            )
        if self.doses is None:
            return np.unique(np.quantile(treated, np.linspace(0.1, 0.9, 9))), splines
        at = np.array(self.doses)
        if at[0] < treated.min() or at[-1] > treated.max():
            raise DesignError(
                f"doses= reaches beyond the doses of treated units, {treated.min():g} to {treated.max():g}.",
                hint="Ask for doses inside this range.",
            )
        return at, splines


def _weights(group: Any, used: Bools, shares: Floats) -> Floats:
    """Return the weight of each cell: cohorts by size, and the periods of a cohort alike."""
    count = np.bincount(group[used], minlength=len(shares))
    per_cell = np.divide(shares, count, out=np.zeros(len(shares)), where=count > 0)
    weights = np.where(used, per_cell[group], 0.0)
    return np.asarray(weights / weights.sum())


def _averaged(
    values: Floats, psi: Floats, mix: Floats, group: Any, shares: Floats, of_shares: Floats
) -> tuple[Floats, Floats]:
    """Return averages of the cells' values, shape (k, m), and influence values that take in estimated cohort sizes."""
    used = mix > 0
    average = mix[used] @ values[used]
    size = shares[np.unique(group[used])].sum()
    gain = np.zeros((len(shares), values.shape[1]))
    for g in np.unique(group[used]):
        gain[g] = (values[used & (group == g)].mean(axis=0) - average) / size
    return average, psi.reshape(len(psi), -1) + of_shares @ gain


def _with_shares(cohorts: Cohorts, values: Floats, psi: Floats, shares: Floats, of_shares: Floats) -> Estimate:
    return Estimate(np.concatenate([values, shares]), cohorts.carrier(np.hstack([psi, of_shares])))


def _terms(at: Floats) -> tuple[str, ...]:
    named = [f"{dose:.4g}" for dose in at]
    if len(set(named)) < len(named):
        named = [repr(float(dose)) for dose in at]
    return (EFFECT, RESPONSE, *(f"effect at {dose}" for dose in named), *(f"response at {dose}" for dose in named))


def _columns(at: Floats) -> dict[str, list[Any]]:
    return {
        "quantity": ["effect", "response", *["effect"] * len(at), *["response"] * len(at)],
        "dose": [None, None, *at.tolist(), *at.tolist()],
    }


def _support_check(cohorts: Cohorts, splines: Sequence[Spline | None], group: Any, at: Floats) -> Check:
    """Say which cohorts have no curve, and at which doses the curve of one is extrapolated."""
    used = sorted(set(group.tolist()))
    without = [str(cohorts.labels[g]) for g in used if splines[g] is None]
    there = [s for s in (splines[g] for g in used) if s is not None]
    beyond = [f"{dose:.4g}" for dose in at if any(dose < s.low or dose > s.high for s in there)]
    told = []
    if without:
        told.append(f"Doses vary too little for a curve in the cohorts {', '.join(without)}.")
    if beyond:
        told.append(f"At the doses {', '.join(beyond)} the curve of some cohort is extrapolated.")
    return Check(
        "overlap",
        "warn" if told else "pass",
        " ".join(told) or "Each cohort has units with doses below and above all doses of the curve.",
        advice="Ask for doses that all cohorts have, or for a smaller order." if told else "",
    )


_STRONG = Check(
    "strong_parallel_trends",
    "untestable",
    "That effects at different doses can be compared, as the responses do, rests on strong parallel trends: units would on "
    "average have responded to each dose as those did that got it.",
    advice="Argue why units did not choose their dose by what they gain from it; else read effects dose by dose.",
)
