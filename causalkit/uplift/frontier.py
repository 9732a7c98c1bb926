"""Profit at every budget: what a policy family spends and earns from nothing to all that is worth spending."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from causalkit.core.rows import Groups
from causalkit.kernels.arrays import Bools, Codes, Floats, read_only
from causalkit.uplift.policy_value import degrees_of_freedom, profit_influence
from causalkit.uplift.ranks import group_sums
from causalkit.uplift.routes import Routes

#: Rows held at once.
_BLOCK = 16_384
#: The gain per money at a margin is averaged over so many standard errors of the spend to either side.
_WINDOW = 2.0


@dataclass(frozen=True, eq=False)
class Held:
    """Held-out scores of all arms, ready to judge routes.

    Parameters
    ----------
    scores : Floats, shape (n, n_arms)
        Doubly robust scores of what is earned by giving each person each arm.
    cost : Floats, shape (n, n_arms)
        Expected costs, which budgets count.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    groups : Groups or None
        Clusters.
    """

    scores: Floats
    cost: Floats
    weights: Floats | None
    groups: Groups | None


@dataclass(frozen=True, eq=False)
class Frontier:
    """Totals over all people at each of k budgets.

    Parameters
    ----------
    budget, spend, n_treated, planned, profit : Floats, shape (k,)
        Budget; money spent, people treated and profit by the model's predictions; profit on held-out scores.
    counts : Floats, shape (k, n_arms)
        People given each arm.
    price : Floats, shape (k,)
        Gain of one more unit of budget by the predictions.
    vcov : Floats, shape (k, k)
        Joint covariance of the profits.
    df : float
        Degrees of freedom.
    """

    budget: Floats
    spend: Floats
    n_treated: Floats
    planned: Floats
    profit: Floats
    counts: Floats
    price: Floats
    vcov: Floats
    df: float

    @property
    def se(self) -> Floats:
        """Standard errors of the profits, shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.vcov), 0.0))

    def band(self, alpha: float, random_state: int | None = 0) -> tuple[Floats, Floats]:
        """Band (low, high) that holds at all budgets at once, so that a budget may be chosen by looking at it."""
        from causalkit.inference.bands import simultaneous_band, sup_t_critical

        if not self.vcov.any():
            return self.profit, self.profit
        return simultaneous_band(
            self.profit, self.se, sup_t_critical(self.vcov, alpha, random_state=random_state, df=self.df)
        )


def frontier(routes: Routes, held: Held, budgets: Floats) -> Frontier:
    """Follow a family of policies over budgets.

    Parameters
    ----------
    routes : Routes
        Steps between arms, found without the scores that judge them.
    held : Held
        What judges them.
    budgets : Floats, shape (k,)
        Totals, zero or more; at most about 200.

    Notes
    -----
    With ``E_i`` and ``P_i`` what person i earns (by her scores) and is paid for at a budget, and ``l`` the held-out
    profit of a little more money there, the influence values of the profit are ``(E_i - mean E) - l (P_i - mean P)``: the
    budget is fixed, so that people who cost more leave less for others. ``l`` is the slope of the curve over two standard
    errors of the spend to either side; it is zero where the budget does not bind.
    """
    budgets = np.minimum(np.asarray(budgets, dtype=float), routes.total_cost)
    gained = _totals(routes, held.scores)
    profit = _along(routes, gained, budgets)
    spend = np.minimum(budgets, routes.total_cost)
    product = _cross_products(routes, held, budgets, profit, spend)
    k = len(budgets)
    spread = np.sqrt(np.maximum(np.diag(product)[k:], 0.0))
    slope = _slopes(routes, gained, budgets, spread)
    turn = np.vstack([np.eye(k), -np.diag(slope)])
    counts = np.column_stack([_along(routes, _counts(routes, arm), budgets) for arm in range(1, routes.n_arms + 1)])
    return Frontier(
        budget=read_only(budgets),
        spend=read_only(spend),
        n_treated=read_only(counts.sum(axis=1)),
        planned=read_only(_along(routes, routes.group_gain, budgets)),
        profit=read_only(profit),
        counts=read_only(counts),
        price=read_only(np.array([routes.price(budget) for budget in budgets])),
        vcov=read_only(turn.T @ product @ turn),
        df=degrees_of_freedom(held.groups),
    )


def reached(routes: Routes, kind: Codes, n_kinds: int, budgets: Floats) -> Floats:
    """Count the people of each kind who are treated at each budget, shape (k, n_kinds).

    Parameters
    ----------
    routes : Routes
        Steps of one arm.
    kind : Codes, shape (n,)
        Kind of each person, from 0.
    n_kinds : int
        How many kinds there are.
    budgets : Floats, shape (k,)
    """
    found = [_counts(routes, 1, kind == code) for code in range(n_kinds)]
    return read_only(np.column_stack([_along(routes, people, np.asarray(budgets, dtype=float)) for people in found]))


def influence_at(routes: Routes, held: Held, budget: float | None) -> tuple[float, Floats]:
    """Return the held-out profit at one budget and its influence values (n,), as :func:`frontier` has them."""
    taken = routes.taken(routes.filled(budget))
    earned = (taken * routes.along(held.scores)).sum(axis=1)
    psi = profit_influence(earned, held.weights)
    total = len(earned) * float(np.average(earned, weights=held.weights))
    if budget is None or budget >= routes.total_cost:
        return total, psi
    paid = profit_influence((taken * routes.along(held.cost)).sum(axis=1), held.weights)
    codes = None if held.groups is None else held.groups.codes
    sums = paid if codes is None else group_sums(paid, codes)
    factor = len(sums) / (len(sums) - 1) if held.groups is None else held.groups.count / (held.groups.count - 1)
    at = np.array([budget])
    slope = _slopes(routes, _totals(routes, held.scores), at, np.array([sqrt(factor * float(sums @ sums))]))
    return total, read_only(psi - slope[0] * paid)


def _totals(routes: Routes, scores: Floats) -> Floats:
    """Score of each group of steps over all people, shape (m,)."""
    real = routes.group >= 0
    worth = (routes.mass[:, None] * routes.along(scores))[real]
    return np.asarray(np.bincount(routes.group[real], worth, len(routes.group_cost)), dtype=np.float64)


def _counts(routes: Routes, arm: int, who: Bools | None = None) -> Floats:
    """People (of some) that each group of steps brings to an arm, less those it takes from it, shape (m,)."""
    mass = routes.mass if who is None else routes.mass * who
    moved = mass[:, None] * ((routes.arm == arm).astype(float) - (routes.start == arm))
    real = routes.group >= 0
    return np.asarray(np.bincount(routes.group[real], moved[real], len(routes.group_cost)), dtype=np.float64)


def _along(routes: Routes, per_group: Floats, budgets: Floats) -> Floats:
    """Cumulative total of groups at each budget; the last group in part."""
    if not per_group.size:
        return np.zeros(len(budgets))
    at, total = np.cumsum(routes.group_cost), np.cumsum(per_group)
    if routes.group_cost[0] > 0:  # else the free ones are there from the start
        at, total = np.concatenate(([0.0], at)), np.concatenate(([0.0], total))
    return np.interp(budgets, at, total)


def _slopes(routes: Routes, gained: Floats, budgets: Floats, spread: Floats) -> Floats:
    """Held-out profit of a little more money at each budget; zero where the budget does not bind."""
    half = np.maximum(_WINDOW * spread, 1e-9 * routes.total_cost)
    below = np.maximum(budgets - half, 0.0)
    rise = _along(routes, gained, budgets + half) - _along(routes, gained, below)
    binds = (budgets < routes.total_cost) & (budgets > 0)
    return np.where(binds, rise / np.where(binds, budgets + half - below, 1.0), 0.0)


def _cross_products(routes: Routes, held: Held, budgets: Floats, profit: Floats, spend: Floats) -> Floats:
    """Joint covariance of profits and spends at all budgets, shape (2k, 2k), in one pass over blocks of people."""
    n, k = len(routes.mass), len(budgets)
    worth, paid = routes.along(held.scores), routes.along(held.cost)
    groups = held.groups
    n_codes = 0 if groups is None else int(groups.codes.max()) + 1
    sums = np.zeros((n_codes, 2 * k))
    product = np.zeros((2 * k, 2 * k))
    centre = np.concatenate([profit, spend]) / n
    for first in range(0, n, _BLOCK):
        here = slice(first, first + _BLOCK)
        share = _filled_at(routes, here, budgets)
        values = np.concatenate(
            [np.einsum("ihk,ih->ik", share, worth[here]), np.einsum("ihk,ih->ik", share, paid[here])], axis=1
        )
        psi = routes.mass[here, None] * (values - centre)
        if groups is None:
            product += psi.T @ psi
        else:
            part = group_sums(psi, groups.codes[here])
            sums[: len(part)] += part
    if groups is not None:
        product = sums.T @ sums
    count = n if groups is None else groups.count
    return product * (count / (count - 1))


def _filled_at(routes: Routes, rows: slice, budgets: Floats) -> Floats:
    """Share of the steps of some people that is taken at each budget, shape (rows, h, k)."""
    group = routes.group[rows]
    before, price = (np.where(group >= 0, v[group], 0.0) if v.size else group * 0.0 for v in _prices(routes))
    left = budgets - before[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(price[..., None] > 0, left / price[..., None], 1.0)
    return np.where(group[..., None] >= 0, np.clip(share, 0.0, 1.0), 0.0)


def _prices(routes: Routes) -> tuple[Floats, Floats]:
    return routes.spent_before, routes.group_cost


__all__ = ["Frontier", "Held", "frontier", "influence_at", "reached"]
