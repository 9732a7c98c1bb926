"""The best use of a budget on people with known gains and costs, exactly, with ties treated as ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Bools, Floats, Ints, read_only

#: Returns per cost that differ by less than this share of the largest are one.
_SAME = 12
#: Share of a budget that is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Allocation:
    """Who is treated with which probability.

    Parameters
    ----------
    probability : Floats, shape (n,)
        In [0, 1]; strictly between for the group of equals that the budget does not reach in full.
    rank : Ints, shape (n,)
        Dense rank of the priority: larger is earlier, equals share one.
    spend, gain : float
        Expected cost and gain of the plan.
    shadow_price : float
        Gain of one more unit of budget; zero where the budget does not bind.
    """

    probability: Floats
    rank: Ints
    spend: float
    gain: float
    shadow_price: float


def allocate(gain: Floats, cost: Floats, budget: float | None = None, mass: Floats | None = None) -> Allocation:
    """Choose treatment probabilities that maximise the total gain within a budget.

    The linear program ``max sum mass p gain  s.t.  sum mass p cost <= budget, 0 <= p <= 1`` is solved exactly by taking
    people in the order of gain per cost as long as the gain is positive (Dantzig 1957); the group of equals at which
    the budget ends is treated with one probability.

    Parameters
    ----------
    gain : Floats, shape (n,)
        Expected gain of treating each person, net of her cost.
    cost : Floats, shape (n,)
        Expected cost of treating each person, zero or more.
    budget : float, optional
        Most that may be spent; None for no limit.
    mass : Floats, shape (n,), optional
        How many people a row stands for.
    """
    weight = np.ones(len(gain)) if mass is None else mass
    rank = _dense_rank(gain, cost)
    probability = np.zeros(len(gain))
    worth = gain > 0
    if not worth.any():
        return Allocation(read_only(probability), rank, 0.0, 0.0, 0.0)
    total_cost = np.bincount(rank, weight * cost * worth)[::-1]
    total_gain = np.bincount(rank, weight * gain * worth)[::-1]
    room = np.inf if budget is None else budget
    # What is over or missing by rounding is not money: a group is whole, or not reached, up to the last bits.
    left = room - np.concatenate(([0.0], np.cumsum(total_cost)[:-1]))
    slack = 0.0 if budget is None else _ROUNDING * budget
    with np.errstate(divide="ignore", invalid="ignore"):
        partly = np.where(left <= slack, 0.0, left / total_cost)
    filled = np.where((total_cost == 0) | (left >= total_cost - slack), 1.0, partly)
    probability[worth] = filled[::-1][rank[worth]]
    short = np.flatnonzero((filled < 1.0) & (total_gain > 0))
    # A budget that ends exactly between two groups still has a price: that of the next one.
    price = float(total_gain[short[0]] / total_cost[short[0]]) if short.size else 0.0
    spend = min(float(np.sum(weight * probability * cost)), room)
    return Allocation(read_only(probability), rank, spend, float(np.sum(weight * probability * gain)), price)


def uniform(cost: Floats, budget: float | None, mass: Floats | None = None) -> float:
    """Return the largest probability with which everybody can be treated within the budget."""
    total = float(np.sum(cost if mass is None else mass * cost))
    return 1.0 if budget is None or total <= budget else budget / total


def draw(probability: Floats, cost: Floats, budget: float | None, order: Ints, random_state: int) -> Bools:
    """Draw who is treated: the certain ones, then a lottery among the others that never exceeds the budget.

    Parameters
    ----------
    probability, cost : Floats, shape (n,)
        The plan, and what each row costs.
    budget : float, optional
        Most that may be spent.
    order : Ints, shape (n,)
        An order of the rows that does not depend on the user's.
    random_state : int
        Seed of the lottery.
    """
    treated = probability >= 1.0
    open_ = order[(probability[order] > 0.0) & ~treated[order]]
    if not open_.size:
        return np.asarray(treated)
    shuffled = np.random.default_rng(random_state).permutation(open_)
    spent = float(np.sum(cost[treated]))
    limit = spent + float(np.sum(probability[open_] * cost[open_]))
    limit = limit if budget is None else min(limit, budget)
    running = spent + np.cumsum(cost[shuffled])
    treated = treated.copy()
    treated[shuffled[running <= limit * (1.0 + _ROUNDING)]] = True
    return np.asarray(treated)


def _dense_rank(gain: Floats, cost: Floats) -> Ints:
    """Rank people: those worth treating by gain per cost, below them the others by gain."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(gain > 0, gain / cost, np.minimum(gain, 0.0))
    free = np.isinf(ratio)
    scale_up = float(np.max(ratio, initial=0.0, where=~free))
    scale_down = float(-np.min(ratio, initial=0.0))
    scale = np.where(ratio > 0, scale_up or 1.0, scale_down or 1.0)
    with np.errstate(invalid="ignore"):
        key = np.where(free, np.inf, np.round(np.where(free, 0.0, ratio) / scale, _SAME))
    # Rounding must not move a gain to the side of the losses.
    key = np.where((gain > 0) & (key <= 0), np.finfo(float).tiny, key)
    rank = np.unique(key, return_inverse=True)[1].astype(np.int64)
    return np.asarray(rank)
