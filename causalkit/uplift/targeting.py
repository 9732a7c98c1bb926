"""Targeting: whom to treat with a budget, what it earns, and nobody where that can't be justified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from causalkit.core import params
from causalkit.core.check import Check, Checks
from causalkit.data.frame import first_rows
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats, read_only
from causalkit.uplift.evidence import Evidence, gather, seeded
from causalkit.uplift.heterogeneity import Heterogeneity, heterogeneity
from causalkit.uplift.knapsack import Allocation, allocate, draw, uniform
from causalkit.uplift.policy_value import policy_profit
from causalkit.uplift.profit_path import profit_path
from causalkit.uplift.targeting_plan import Candidate, TargetingPlan


@dataclass(frozen=True, kw_only=True)
class Targeting:
    """Choose whom to treat so that the profit is largest, within a budget, and only where held-out outcomes justify it.

    Treating a person earns ``value * effect - cost``. Three policies are candidates: treat nobody; treat everyone (or,
    where the budget does not reach, a random share); treat in the order of expected profit per cost, as long as it is
    positive and money is left. The profit of each, net of treating nobody, is estimated from held-out doubly robust
    scores, never from the predictions that chose the people.

    1. The ranked rule is the candidate if the ranking is better than a random one (one-sided AUTOC of held-out profits
       at level ``alpha``) and it earns at least as much as the uniform rule; else the uniform rule is.
    2. The candidate becomes the plan if its profit is shown to be positive (one-sided lower limit at level ``alpha``);
       else nobody is treated.

    Parameters
    ----------
    value : float
        Money per unit of the outcome; negative for an outcome to be avoided.
    cost : float
        Money per person treated; or per person at the fit (``cost=``).
    budget : float, optional
        Most that may be spent on the people of the table. None: no limit.
    paid_on : {"treatment", "outcome"}
        When the cost arises: for everyone treated, or only for those treated who have the outcome (a coupon that is
        redeemed, a reward that is fetched). The latter needs a 0/1 outcome; the expected cost of a person is then
        ``cost * P(outcome | treated)``.
    alpha : float
        Level of both one-sided tests; and one minus the coverage of intervals and bands.
    random_state : int, optional
        Seed of the lottery among equals, and of the cross-fitting of scores where they are not the model's own.

    Notes
    -----
    The ranked rule solves the linear knapsack exactly (Dantzig 1957). People with the same expected profit per cost
    are equals: a budget that ends among them is drawn by lot, with one probability for all of them.

    The ranking uses the model's shrunken effects, out of fold for its training table. Effects handed over as numbers are
    first calibrated on the held-out scores. Money is total over the people of the table; with weights, a row stands for
    as many people as its weight, with mean one.

    References
    ----------
    Dantzig (1957), "Discrete-variable extremum problems", *Operations Research* 5. Sverdrup, Wu, Athey and Wager (2025),
    "Qini curves for multi-armed treatment rules", *JCGS*.
    """

    value: float = params.number(1.0)
    cost: float = params.number(0.0, low=0.0)
    budget: float | None = params.number(None, low=0.0, open_low=True)
    paid_on: str = params.choice("treatment", "treatment", "outcome")
    alpha: float = params.number(0.05, low=0.0, high=0.5, open_low=True, open_high=True)
    random_state: int | None = params.seed()

    def __post_init__(self) -> None:
        params.enforce(self)
        if self.value == 0:
            raise DesignError(
                "value=0: an outcome that is worth nothing pays for no treatment.",
                hint="Pass money per unit of outcome.",
            )

    def fit(
        self,
        data: Any,
        *,
        effect: Any = None,
        score: Any = None,
        cost: Any = None,
        outcome: Any = None,
        treatment: Any = None,
        covariates: str | Sequence[str] = (),
        control: Any = None,
        treatment_level: Any = None,
        propensity: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: str | None = None,
    ) -> TargetingPlan:
        """Plan for the people of a table whose outcomes are known.

        Parameters
        ----------
        data : table
            The model's training table (effects are then out of fold), or rows it has not seen.
        cost : str, array or float, optional
            Cost of treating each person, instead of the ``cost`` of the configuration.
        effect, score, outcome, treatment, covariates, control, treatment_level, propensity, cluster, unit, weights, missing
            As for :class:`~causalkit.uplift.evaluation.UpliftEvaluation`; with a fitted model its roles are the default.

        Returns
        -------
        TargetingPlan

        Raises
        ------
        DesignError
            If there is no effect; if the table is a part of the model's training table; or if ``paid_on="outcome"`` and
            the outcome is not 0 and 1.
        DataError
            If a cost is negative, or the table holds values that can't be used.
        """
        single = isinstance(cost, Real) and not isinstance(cost, bool)
        given = {
            "effect": effect,
            "score": score,
            "cost": None if single else cost,
            "outcome": outcome,
            "treatment": treatment,
            "covariates": covariates,
            "control": control,
            "treatment_level": treatment_level,
            "propensity": propensity,
            "cluster": cluster,
            "unit": unit,
            "weights": weights,
            "missing": missing,
        }
        if single and not (np.isfinite(cost) and cost >= 0):
            raise DataError(f"cost={cost!r} is not an amount of money.", hint="Pass zero or more.")
        run = seeded(self)
        evidence = gather(data, given, run.random_state or 0)
        return run._plan(evidence, run._costs(evidence, float(cost) if single else run.cost))

    def _costs(self, evidence: Evidence, single: float) -> Floats:
        """Price of each person's treatment (per redemption where it is paid on the outcome)."""
        sample = evidence.sample
        if self.paid_on == "outcome" and not evidence.is_binary:
            raise DesignError(
                f'paid_on="outcome" needs a 0/1 outcome; {evidence.outcome!r} has other values.',
                hint='Use paid_on="treatment", or take the cost off the outcome before the fit.',
            )
        if not sample.has("cost"):
            return np.full(sample.n, single)
        costs = sample.number("cost")
        negative = costs < 0
        if negative.any():
            at = tuple(int(sample.rows.positions[row]) for row in first_rows(negative))
            raise DataError(
                f"cost {sample.name('cost')!r} has {int(negative.sum())} negative values (first in row {at[0]}).",
                hint="A cost is zero or more; put a saving into the outcome.",
                column=sample.name("cost"),
                rows=at,
            )
        return costs

    def _plan(self, evidence: Evidence, price: Floats) -> TargetingPlan:
        p, weights = evidence.prediction, evidence.weights
        on_outcome = self.paid_on == "outcome"
        cost = price * np.clip(p.baseline + p.effect, 0.0, 1.0) if on_outcome else price
        gain = self.value * p.effect - cost
        paid = price * evidence.arm_scores[:, 1] if on_outcome else price
        net_scores = self.value * evidence.scores - paid
        ranked = allocate(gain, cost, self.budget, weights)
        # At one cost for all, profit ranks people as the effect does, and that ranking is there before it is shrunk.
        alike = not on_outcome and np.ptp(price) == 0 and self.value > 0
        judged, rank_by = (evidence.scores, evidence.priority) if alike else (net_scores, _within_rounding(gain))
        found = heterogeneity(judged, rank_by, "autoc", weights, evidence.codes, evidence.folds)
        candidates = self._candidates(evidence, ranked, gain, cost, net_scores)
        chosen = self._choose(candidates, found)
        mass = np.ones(len(cost)) if weights is None else weights
        assignment = draw(
            chosen.probability, mass * cost, self.budget, evidence.sample.canonical_order, self.random_state or 0
        )
        share = candidates[2].n_treated / len(cost)
        path = profit_path(ranked.rank, net_scores, gain, cost, share, weights, evidence.codes)
        ledger = {
            **evidence.checks(),
            "heterogeneity": found.check(self.alpha),
            "profit": _profit_check(candidates, chosen),
        }
        return TargetingPlan(
            tool=self,
            checks=Checks(ledger),
            rows=evidence.sample.rows.positions,
            effect=p.effect,
            expected_profit=read_only(gain),
            cost=read_only(np.asarray(cost)),
            assignment=read_only(assignment),
            candidates=candidates,
            policy=chosen.name,
            heterogeneity=found,
            path_numbers=path,
            planned_profit=float(np.sum(mass * chosen.probability * gain)),
            shadow_price=self._shadow_price(chosen, ranked),
            noise=_noise(evidence, self.value, price if on_outcome else np.zeros(len(price)), chosen),
            outcome=evidence.outcome,
            contrast=evidence.contrast,
        )

    def _candidates(
        self, evidence: Evidence, ranked: Allocation, gain: Floats, cost: Floats, net_scores: Floats
    ) -> tuple[Candidate, ...]:
        n, weights = len(gain), evidence.weights
        mass = np.ones(n) if weights is None else weights
        share = uniform(cost, self.budget, weights)
        limit = np.inf if self.budget is None else self.budget
        rules = {
            "nobody": np.zeros(n),
            "everyone" if share == 1.0 else "random_share": np.full(n, share),
            "ranked": ranked.probability,
        }
        return tuple(
            Candidate(
                name=name,
                probability=read_only(rule),
                n_treated=float(mass @ rule),
                spend=min(float(np.sum(mass * rule * cost)), limit),  # the last bits of a sum are not money
                profit=policy_profit(rule, net_scores, weights, evidence.groups, self.alpha),
            )
            for name, rule in rules.items()
        )

    def _choose(self, candidates: tuple[Candidate, ...], found: Heterogeneity) -> Candidate:
        """One candidate, one test: so nobody is the answer with probability 1 - alpha where no policy earns."""
        nobody, even, ranked = candidates
        better = ranked.profit.estimate >= even.profit.estimate and ranked.n_treated > 0
        candidate = ranked if found.found(self.alpha) and better else even
        return candidate if candidate.profit.lower > 0 else nobody

    def _shadow_price(self, chosen: Candidate, ranked: Allocation) -> float:
        """Profit of one more unit of budget under the plan that was chosen."""
        if chosen.name == "ranked":
            return ranked.shadow_price
        if chosen.name == "random_share":
            return chosen.profit.estimate / chosen.spend
        return 0.0


def _within_rounding(gain: Floats) -> Floats:
    """Gains that differ by rounding only are equal, so that a constant effect is no ranking."""
    scale = float(np.abs(gain).max())
    return np.asarray(np.round(gain / scale, 12)) if scale > 0 else gain


def _noise(evidence: Evidence, value: float, redeemed: Floats, chosen: Candidate) -> tuple[float, float, float]:
    """Variances of money per person, treated and not, among those the plan treats; and the design effect of clusters."""
    s = evidence.sample
    who = chosen.probability * (np.ones(s.n) if evidence.weights is None else evidence.weights)
    out = []
    for arm in (1, 0):
        here = (s.arms.codes == arm) & (who > 0)
        money = (value - redeemed[here] * (arm == 1)) * s.outcome[here]
        out.append(float(np.cov(money, aweights=who[here], ddof=0)) if here.sum() > 1 else 0.0)
    if evidence.groups is None or not who.any():
        return out[0], out[1], 1.0
    scores = evidence.scores
    ratio = policy_profit(chosen.probability, scores, evidence.weights, evidence.groups).se
    alone = policy_profit(chosen.probability, scores, evidence.weights, None).se
    return out[0], out[1], max(1.0, (ratio / alone) ** 2) if alone > 0 else 1.0


def _profit_check(candidates: tuple[Candidate, ...], chosen: Candidate) -> Check:
    from causalkit.core import format as fmt

    best = max(candidates[1:], key=lambda c: c.profit.estimate)
    shown = chosen if chosen.name != "nobody" else best
    p = shown.profit
    message = (
        f"On held-out outcomes the policy {shown.name.replace('_', ' ')!r} earns {fmt.number(p.estimate)} (standard error "
        f"{fmt.number(p.se)}); that it earns nothing or less has p-value {fmt.pvalue(p.pvalue)} (one-sided)."
    )
    if chosen.name != "nobody":
        return Check("profit", "pass", message, p.estimate, p.pvalue)
    return Check("profit", "warn", message, p.estimate, p.pvalue, "Treat nobody, or run a larger experiment first.")


__all__ = ["Targeting"]
