"""The candidates for a plan, which of them is put to the test, and its profit without the optimism of the choice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalkit.inference.wald import t_quantile, upper_pvalue
from causalkit.kernels.arrays import Floats, read_only
from causalkit.uplift.better import BetterThanEven
from causalkit.uplift.frontier import Held, influence_at
from causalkit.uplift.heterogeneity import Heterogeneity
from causalkit.uplift.policy_value import Profit, degrees_of_freedom, joint_vcov
from causalkit.uplift.routes import Routes
from causalkit.uplift.winner import choice_limits


@dataclass(frozen=True, eq=False)
class Candidate:
    """A policy and what it comes to.

    Parameters
    ----------
    name : str
        ``nobody``, ``everyone``, ``random_share`` or ``ranked``; with several arms, rules that give one arm to all have it
        in brackets: ``everyone[call]``.
    probability : Floats, shape (n,) or (n, n_arms)
        Probability of treatment (of each arm) of each person.
    n_treated, spend : float
        Expected people treated and money spent.
    profit : Profit
        Held-out profit, net of treating nobody. That of the candidate that is put to the test takes in that the same scores
        chose it.
    arm : str
        The arm in words, where the policy gives one arm to all.
    counts : tuple of float
        Expected people given each arm.
    """

    name: str
    probability: Floats
    n_treated: float
    spend: float
    profit: Profit
    arm: str = ""
    counts: tuple[float, ...] = ()

    @property
    def kind(self) -> str:
        """The name without the arm."""
        return self.name.partition("[")[0]


@dataclass(frozen=True, eq=False)
class Field:
    """All candidates, with what their choice rests on.

    Parameters
    ----------
    candidates : tuple of Candidate
        Nobody, the even rule of each arm, and the ranked rule.
    routes : tuple of Routes
        Of each candidate but nobody.
    influence : Floats, shape (n, p)
        Influence values of their profits.
    vcov : Floats, shape (p, p)
        Joint covariance of their profits.
    held : Held
        What judges them.
    alpha : float
        Level.
    """

    candidates: tuple[Candidate, ...]
    routes: tuple[Routes, ...]
    influence: Floats
    vcov: Floats
    held: Held
    alpha: float

    @property
    def profits(self) -> Floats:
        """Held-out profits of all candidates but nobody, shape (p,)."""
        return np.array([c.profit.held_out for c in self.candidates[1:]])


def even_routes(arm: int, gain: Floats, cost: Floats, mass: Floats) -> Routes:
    """Return routes on which everybody takes one step to the same arm (from 1), all of them equals."""
    n, k = gain.shape
    codes = np.full((n, 1), arm, dtype=np.int32)
    one_gain, one_cost = gain[:, arm - 1 : arm], cost[:, arm - 1 : arm]
    return Routes(
        codes, np.zeros((n, 1), np.int32), np.zeros((n, 1), np.int64), one_gain, one_cost,
        np.array([float(mass @ one_gain[:, 0])]), np.array([float(mass @ one_cost[:, 0])]), mass, k,
    )  # fmt: skip


def field_of(
    ranked: Routes, gain: Floats, held: Held, budget: float | None, alpha: float, arms: tuple[str, ...]
) -> Field:
    """Judge nobody, the even rule of each arm and the ranked rule, within a budget."""
    routes = (*(even_routes(arm, gain, held.cost, ranked.mass) for arm in range(1, len(arms) + 1)), ranked)
    found = [influence_at(route, held, budget) for route in routes]
    influence = np.column_stack([psi for _, psi in found])
    vcov = joint_vcov(influence, held.groups)
    df = degrees_of_freedom(held.groups)
    n, k = gain.shape
    candidates = [_candidate("nobody", np.zeros((n, k)), ranked, held, budget, Profit(0.0, 0.0, df, alpha))]
    for j, (route, (total, _)) in enumerate(zip(routes, found, strict=True)):
        whole = budget is None or budget >= route.total_cost
        arm = arms[j] if j < len(arms) else ""
        name = "ranked" if not arm else "everyone" if whole else "random_share"
        if arm and len(arms) > 1:
            name = f"{name}[{arm}]"
        profit = Profit(total, float(np.sqrt(max(vcov[j, j], 0.0))), df, alpha)
        candidates.append(_candidate(name, route.probability(budget), route, held, budget, profit, arm))
    return Field(tuple(candidates), routes, influence, vcov, held, alpha)


def _candidate(
    name: str, rule: Floats, routes: Routes, held: Held, budget: float | None, profit: Profit, arm: str = ""
) -> Candidate:
    limit = np.inf if budget is None else budget
    return Candidate(
        name=name,
        probability=read_only(rule[:, 0] if rule.shape[1] == 1 else rule),
        n_treated=float(routes.mass @ rule.sum(axis=1)),
        spend=min(float(np.sum(routes.mass[:, None] * rule * held.cost)), limit),  # the last bits are not money
        profit=profit,
        arm=arm,
        counts=tuple(float(people) for people in routes.mass @ rule),
    )


def better_than_even(field: Field) -> BetterThanEven:
    """Test that the ranked rule beats every even rule."""
    profits, last = field.profits, len(field.profits) - 1
    df = degrees_of_freedom(field.held.groups)
    least: tuple[float, float, float] | None = None
    for j in range(last):
        gap = float(profits[last] - profits[j])
        variance = float(field.vcov[last, last] + field.vcov[j, j] - 2.0 * field.vcov[last, j])
        psi = field.influence[:, last] - field.influence[:, j]
        se = float(np.sqrt(max(variance, 0.0))) if np.any(np.abs(psi) > 1e-9 * np.abs(field.influence).max()) else 0.0
        p = float(upper_pvalue(gap / se, df)) if se > 0 else 1.0
        if least is None or p > least[0]:
            least = (p, gap, se)
    assert least is not None
    return BetterThanEven(least[1], least[2], least[0], least[2] == 0)


def tested(candidates: tuple[Candidate, ...], found: bool) -> int:
    """Return the position of the candidate that is put to the test.

    The ranked rule if its ranking is better than a random one and it earned at least as much as the best even rule; else
    that even rule.
    """
    last = len(candidates) - 1
    best = max(range(1, last), key=lambda i: candidates[i].profit.held_out)
    ranked = candidates[last]
    better = ranked.profit.held_out >= candidates[best].profit.held_out and ranked.n_treated > 0
    return last if found and better else best


def corrected(field: Field, verdict: Heterogeneity | BetterThanEven) -> tuple[Candidate, ...]:
    """Return the candidates; that which is put to the test with the truncation that its choice implies.

    Notes
    -----
    The choice is a set of inequalities on the joint estimates: the verdict on the ranking fell as it did, and the candidate
    earned more than those it was compared with.
    """
    at = tested(field.candidates, verdict.found(field.alpha))
    count = len(field.profits)
    if isinstance(verdict, Heterogeneity):
        sides, bounds, theta, vcov = _by_ranking(field, verdict, at)
        winner = at  # the verdict stands before the profits
    else:
        sides, bounds = _by_differences(field, at)
        theta, vcov, winner = field.profits, field.vcov, at - 1
    choice = choice_limits(theta, vcov, winner, sides, bounds, count)
    one = field.candidates[at]
    changed = replace(one, profit=replace(one.profit, choice=choice))
    return (*field.candidates[:at], changed, *field.candidates[at + 1 :])


def _by_ranking(field: Field, verdict: Heterogeneity, at: int) -> tuple[Floats, Floats, Floats, Floats]:
    """One arm: the AUTOC passed or not, and if it did, the larger profit of the two won."""
    effect = verdict.effect
    theta = np.concatenate(([effect.estimate], field.profits))
    vcov = joint_vcov(np.column_stack([effect.psi, field.influence]), field.held.groups)
    needed = float(t_quantile(1.0 - field.alpha, degrees_of_freedom(field.held.groups))) * effect.se
    if not verdict.found(field.alpha):
        return np.array([[1.0, 0.0, 0.0]]), np.array([needed]), theta, vcov
    against = np.array([0.0, 1.0, -1.0]) if at == 2 else np.array([0.0, -1.0, 1.0])
    if field.candidates[2].n_treated == 0:  # nobody is worth treating by the model: the profits were not compared
        return np.array([[-1.0, 0.0, 0.0]]), np.array([-needed]), theta, vcov
    return np.array([[-1.0, 0.0, 0.0], against]), np.array([-needed, 0.0]), theta, vcov


def _by_differences(field: Field, at: int) -> tuple[Floats, Floats]:
    """Several arms: the ranked rule beat each even rule clearly or not, and the best even rule was looked for."""
    count, winner = len(field.profits), at - 1
    last = count - 1
    needed = float(t_quantile(1.0 - field.alpha, degrees_of_freedom(field.held.groups)))
    sides, bounds = [], []
    for j in range(last):
        side = np.zeros(count)
        side[j], side[last] = 1.0, -1.0
        se = float(np.sqrt(max(float(side @ field.vcov @ side), 0.0)))
        passed = field.profits[last] - field.profits[j] > needed * se
        sides.append(side if passed else -side)
        bounds.append(-needed * se if passed else needed * se)
        if winner not in (j, last):
            against = np.zeros(count)
            against[j], against[winner] = 1.0, -1.0
            sides.append(against)
            bounds.append(0.0)
    return np.array(sides), np.array(bounds)


__all__ = ["Candidate", "Field", "better_than_even", "corrected", "even_routes", "field_of", "tested"]
