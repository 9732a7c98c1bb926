"""Targeting: whom to treat with which arm and a budget, what it earns, and nobody where that can't be justified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import params
from causalkit.core.check import Check, Checks
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, read_only
from causalkit.uplift.arm_evidence import ArmEvidence, gather_arms, price_of
from causalkit.uplift.better import BetterThanEven
from causalkit.uplift.evidence import seeded
from causalkit.uplift.frontier import Held, frontier, reached
from causalkit.uplift.heterogeneity import Heterogeneity, heterogeneity
from causalkit.uplift.knapsack import assign, profit_rank
from causalkit.uplift.labels import SEGMENTS
from causalkit.uplift.plan_choice import Candidate, Field, better_than_even, corrected, field_of, tested
from causalkit.uplift.policy_value import policy_profit
from causalkit.uplift.profit_path import Path, profit_path
from causalkit.uplift.routes import Routes, find_routes
from causalkit.uplift.segmentation import Segmentation, segment_codes
from causalkit.uplift.targeting_plan import TargetingPlan

#: Budgets on the frontier, beside that of the plan.
N_BUDGETS = 50


@dataclass(frozen=True, kw_only=True)
class Targeting:
    """Choose whom to treat so that the profit is largest, within a budget, and only where held-out outcomes justify it.

    Treating a person earns ``value * effect - cost``. Three kinds of policies are candidates: treat nobody; give everyone
    the same arm (or, where the budget does not reach, a random share of people); give people arms in the order of expected
    profit per cost, as long as it is positive and money is left. The profit of each, net of treating nobody, is estimated
    from held-out doubly robust scores, never from the predictions that chose the people.

    1. The ranked rule is the candidate if the ranking is better than a random one and it earns at least as much as the best
       even rule; else that even rule is. With one arm the ranking is judged by a one-sided test of AUTOC on held-out profits
       at level ``alpha``; with several, the ranked rule must beat each even rule (one-sided at level ``alpha``).
    2. The candidate becomes the plan if its profit is shown to be positive: its ``1 - alpha`` interval lies above zero;
       else nobody is treated.

    Parameters
    ----------
    value : float
        Money per unit of the outcome; negative for an outcome to be avoided.
    cost : float or mapping
        Money per person treated; with several arms, one number for all of them or ``{arm: number}``. Costs per person are
        given at the fit (``cost=``).
    budget : float, optional
        Most that may be spent on the people of the table. None: no limit.
    paid_on : {"treatment", "outcome"}
        When the cost arises: for everyone treated, or only for those treated who have the outcome (a coupon that is
        redeemed, a reward that is fetched). The latter needs a 0/1 outcome; the expected cost of a person is then
        ``cost * P(outcome | treated)``.
    alpha : float
        One minus the coverage of intervals and bands, among them that which decides; and level of the one-sided test of the
        ranking.
    random_state : int, optional
        Seed of the lottery among equals, and of the cross-fitting of scores where they are not the model's own.

    Notes
    -----
    *Whom.* The linear knapsack is solved exactly for every budget (Dantzig 1957; with several arms the multiple-choice
    knapsack over the concave hulls of people's arms, Sverdrup et al. 2025). People with the same expected profit per cost are
    equals: a budget that ends among them is drawn by lot, with one probability for all of them.

    *What it earns.* The candidate is chosen by the scores that judge it, so its plain estimate is too high on average (the
    winner's curse). The profit of the plan is therefore the median-unbiased estimate, and its interval the hybrid interval,
    of inference on winners (Andrews, Kitagawa and McCloskey 2024): both take in that this candidate won, and how the
    verdict on the ranking fell. Counting "treat nobody" as a profit of zero, the interval covers with probability
    ``1 - alpha``, and nobody is treated with a probability of at least ``1 - alpha / 2`` where no policy earns. Among the
    plans that are launched, those with a small true profit are still judged a little too well: a hold-out
    (:meth:`~causalkit.uplift.targeting_plan.TargetingPlan.holdout_size`) shows what a launched plan earns.

    *Other budgets.* :attr:`~causalkit.uplift.targeting_plan.TargetingPlan.frontier` has the profit at every budget; its band
    holds at all budgets at once, so that a budget may be chosen by looking at it.

    The ranking uses the model's shrunken effects, out of fold for its training table. Effects handed over as numbers are
    first calibrated on the held-out scores. Money is total over the people of the table; with weights, a row stands for
    as many people as its weight, with mean one. With clusters, intervals use t with one degree of freedom less than clusters.

    References
    ----------
    Dantzig (1957), "Discrete-variable extremum problems", *Operations Research* 5. Sverdrup, Wu, Athey and Wager (2025),
    "Qini curves for multi-armed treatment rules", *JCGS*. Andrews, Kitagawa and McCloskey (2024), "Inference on winners",
    *QJE* 139.
    """

    value: float = params.number(1.0)
    cost: float | Mapping[Any, float] = 0.0
    budget: float | None = params.number(None, low=0.0, open_low=True)
    paid_on: str = params.choice("treatment", "treatment", "outcome")
    alpha: float = params.number(0.05, low=0.0, high=0.5, open_low=True, open_high=True)
    random_state: int | None = params.seed()

    def __post_init__(self) -> None:
        params.enforce(self)
        _require_costs(self.cost)
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
        effect : model, str or array
            A fitted model; with several arms all of them are planned for, unless ``treatment_level`` names one. Or effects as
            numbers: a column, an array of shape (n,), or of shape (n, n_arms) with a column per arm other than the control
            (the arm of ``treatment_level`` first), or a table or mapping that names them.
        cost : float, str, array, list or mapping, optional
            Cost of treating each person, instead of the ``cost`` of the configuration: a number, a column, an array of shape
            (n,) or (n, n_arms), a list of columns (one per arm), or ``{arm: number, column or array}``.
        score, outcome, treatment, covariates, control, treatment_level, propensity, cluster, unit, weights, missing
            As for :class:`~causalkit.uplift.evaluation.UpliftEvaluation`; with a fitted model its roles are the default.

        Returns
        -------
        TargetingPlan

        Raises
        ------
        DesignError
            If there is no effect; if the table is a part of the model's training table; if costs or effects do not fit the
            arms; or if ``paid_on="outcome"`` and the outcome is not 0 and 1.
        DataError
            If a cost is negative or missing, or the table holds values that can't be used.
        """
        given = {
            "effect": effect,
            "score": score,
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
        run = seeded(self)
        evidence = gather_arms(data, given, run.random_state or 0)
        if self.paid_on == "outcome" and not evidence.base.is_binary:
            raise DesignError(
                f'paid_on="outcome" needs a 0/1 outcome; {evidence.base.outcome!r} has other values.',
                hint='Use paid_on="treatment", or take the cost off the outcome before the fit.',
            )
        return run._plan(evidence, price_of(cost, data, evidence, run.cost))

    def _plan(self, evidence: ArmEvidence, price: Floats) -> TargetingPlan:
        base, on_outcome = evidence.base, self.paid_on == "outcome"
        cost = price * np.clip(evidence.level, 0.0, 1.0) if on_outcome else price
        paid = price * evidence.level_scores if on_outcome else price
        gain = self.value * evidence.effect - cost
        held = Held(self.value * evidence.scores - paid, cost, base.weights, base.groups)
        cheapest = float(cost.min())
        reach = self.budget if self.budget is None or cheapest <= self.budget else 0.0
        ranked = find_routes(gain, cost, base.weights)
        field = field_of(ranked, gain, held, reach, self.alpha, evidence.names)
        found = self._verdict(evidence, field, gain, price)
        candidates = corrected(field, found)
        at = tested(candidates, found.found(self.alpha))
        launched = candidates[at].profit.lower > 0
        chosen = candidates[at] if launched else candidates[0]
        routes = field.routes[at - 1]
        arm = assign(routes, reach if launched else 0.0, base.sample.canonical_order, self.random_state or 0)
        arm = arm if launched else np.zeros_like(arm)
        ledger = {
            **base.checks(),
            "heterogeneity": found.check(self.alpha),
            "profit": _profit_check(candidates[at], launched),
        }
        single = evidence.n_arms == 1
        probability = chosen.probability.reshape(len(gain), -1)
        curve = frontier(routes, held, _budgets(routes, chosen.spend))
        return TargetingPlan(
            tool=self,
            checks=Checks(ledger),
            rows=base.sample.rows.positions,
            arms=evidence.names,
            labels=(base.sample.arms.control, *evidence.labels),
            effect=_shaped(evidence.effect, single),
            expected_profit=_shaped(gain, single),
            cost=_shaped(cost, single),
            assignment=read_only(arm > 0 if single else arm),
            candidates=candidates,
            policy=chosen.name,
            heterogeneity=found,
            frontier_numbers=curve,
            segment_counts=self._by_segment(evidence, routes, curve.budget) if single else None,
            path_numbers=_path(held, gain, candidates[-1]) if single else None,
            planned_profit=float(np.sum(ranked.mass[:, None] * probability * gain)),
            shadow_price=_shadow_price(chosen, ranked, reach),
            noise=_noise(evidence, self.value, price if on_outcome else np.zeros_like(price), chosen),
            cheapest=cheapest,
            outcome=base.outcome,
        )

    def _by_segment(self, evidence: ArmEvidence, routes: Routes, budgets: Floats) -> Floats:
        """People of each segment who are treated at each budget."""
        tool = Segmentation(alpha=self.alpha, value=self.value, random_state=self.random_state)
        return reached(routes, segment_codes(tool, evidence.base), len(SEGMENTS), budgets)

    def _verdict(
        self, evidence: ArmEvidence, field: Field, gain: Floats, price: Floats
    ) -> Heterogeneity | BetterThanEven:
        """Whether choosing people is better than treating all alike."""
        if evidence.n_arms > 1:
            return better_than_even(field)
        base = evidence.base
        # At one cost for all, profit ranks people as the effect does, and that ranking is there before it is shrunk.
        alike = self.paid_on != "outcome" and np.ptp(price) == 0 and self.value > 0
        judged, rank_by = (
            (base.scores, base.priority) if alike else (field.held.scores[:, 0], _within_rounding(gain[:, 0]))
        )
        return heterogeneity(judged, rank_by, "autoc", base.weights, base.codes, base.folds)


def _require_costs(cost: Any) -> None:
    """A cost of the configuration is a number, or one for each arm."""
    many = isinstance(cost, Mapping)
    if many and not cost:
        raise DesignError("cost={} names no arm.", hint="Give a cost for each arm.")
    for arm, value in cost.items() if many else [(None, cost)]:
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not number or not np.isfinite(value) or value < 0:
            told = f"cost[{arm!r}]={value!r}" if many else f"cost={value!r}"
            raise DesignError(f"{told} is not a number in [0, inf).", hint="Pass cost inside that range.")


def _shaped(values: Floats, single: bool) -> Floats:
    return read_only(np.ascontiguousarray(values[:, 0]) if single else np.array(values))


def _budgets(routes: Routes, spend: float) -> Floats:
    """Budgets of the frontier: evenly from nothing to all that the routes can use, and what the plan spends."""
    whole = routes.total_cost
    if whole <= 0:
        return np.zeros(1)
    grid = whole * np.arange(N_BUDGETS + 1) / N_BUDGETS
    near = np.abs(grid - spend) <= 1e-9 * whole
    return grid if near.any() or spend > whole else np.sort(np.append(grid, spend))


def _path(held: Held, gain: Floats, ranked: Candidate) -> Path:
    one_gain, one_cost = gain[:, 0], held.cost[:, 0]
    codes = None if held.groups is None else held.groups.codes
    share = ranked.n_treated / len(one_gain)
    return profit_path(
        profit_rank(one_gain, one_cost), held.scores[:, 0], one_gain, one_cost, share, held.weights, codes
    )


def _shadow_price(chosen: Candidate, ranked: Routes, budget: float | None) -> float:
    """Profit of one more unit of budget under the plan that was chosen."""
    if chosen.kind == "ranked":
        return ranked.price(budget)
    if chosen.kind == "random_share":
        return chosen.profit.estimate / chosen.spend
    return 0.0


def _within_rounding(gain: Floats) -> Floats:
    """Gains that differ by rounding only are equal, so that a constant effect is no ranking."""
    scale = float(np.abs(gain).max())
    return np.asarray(np.round(gain / scale, 12)) if scale > 0 else gain


def _noise(evidence: ArmEvidence, value: float, redeemed: Floats, chosen: Candidate) -> tuple[float, float, float]:
    """Variances of money per person, treated and not, among those the plan treats; and the design effect of clusters."""
    base, s = evidence.base, evidence.base.sample
    mass = np.ones(s.n) if base.weights is None else base.weights
    rule = chosen.probability.reshape(s.n, -1) * mass[:, None]
    who = rule.sum(axis=1)
    untreated = _variance(value * s.outcome, np.where(s.arms.codes == 0, who, 0.0))
    one = np.zeros(s.n)
    money = np.array(value * s.outcome)
    for arm in range(rule.shape[1]):
        here = s.arms.codes == arm + 1
        money[here] = (value - redeemed[here, arm]) * s.outcome[here]
        one[here] = rule[here, arm]
    treated = _variance(money, one)
    if base.groups is None or not who.any():
        return treated, untreated, 1.0
    scores = (chosen.probability.reshape(s.n, -1) * evidence.scores).sum(axis=1)
    ratio = policy_profit(np.ones(s.n), scores, base.weights, base.groups).se
    alone = policy_profit(np.ones(s.n), scores, base.weights, None).se
    return treated, untreated, max(1.0, (ratio / alone) ** 2) if alone > 0 else 1.0


def _variance(money: Floats, weight: Floats) -> float:
    here = weight > 0
    return float(np.cov(money[here], aweights=weight[here], ddof=0)) if here.sum() > 1 else 0.0


def _profit_check(candidate: Candidate, launched: bool) -> Check:
    from causalkit.core import format as fmt

    p = candidate.profit
    message = (
        f"On held-out outcomes the policy {candidate.name.replace('_', ' ')!r} earns {fmt.number(p.estimate)} (standard "
        f"error {fmt.number(p.se)}), corrected for having been chosen by them; that it earns nothing has p-value "
        f"{fmt.pvalue(p.pvalue)}."
    )
    if launched:
        return Check("profit", "pass", message, p.estimate, p.pvalue)
    return Check("profit", "warn", message, p.estimate, p.pvalue, "Treat nobody, or run a larger experiment first.")


__all__ = ["Targeting"]
