"""Who is treated: ranks by profit per cost with ties treated as ties, and a lottery among equals that keeps a budget."""

from __future__ import annotations

import numpy as np

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.uplift.routes import ROUNDING, Routes, dense_ranks

#: Losses that differ by less than this decimal of the largest are one.
_DIGITS = 12


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
    treated[shuffled[running <= limit * (1.0 + ROUNDING)]] = True
    return np.asarray(treated)


def assign(routes: Routes, budget: float | None, order: Ints, random_state: int) -> Codes:
    """Draw the arm of each person: steps reached in full are taken, those reached in part are drawn by lot.

    Parameters
    ----------
    routes : Routes
        The plan.
    budget : float, optional
        Most that may be spent.
    order, random_state
        As for :func:`draw`.

    Returns
    -------
    Codes, shape (n,)
        0 for no treatment.
    """
    taken = routes.taken(routes.filled(budget))
    rows = np.arange(len(taken))
    arm = np.zeros(len(taken), dtype=np.int32)
    chance, extra, further = np.zeros(len(taken)), np.zeros(len(taken)), np.zeros(len(taken), dtype=np.int32)
    spent = 0.0
    for step in range(taken.shape[1]):
        whole, part = taken[:, step] >= 1.0, (taken[:, step] > 0.0) & (taken[:, step] < 1.0)
        arm = np.where(whole, routes.arm[rows, step], arm)
        spent += float(np.sum(routes.mass[whole] * routes.cost[whole, step]))
        chance = np.where(part, taken[:, step], chance)
        extra += np.where(part, routes.mass * routes.cost[:, step], 0.0)
        further = np.where(part, routes.arm[:, step], further)
    left = None if budget is None else max(budget - spent, 0.0)
    return np.where(draw(chance, extra, left, order, random_state), further, arm).astype(np.int32)


def profit_rank(gain: Floats, cost: Floats) -> Ints:
    """Rank people: those worth treating by gain per cost, below them the others by gain.

    Parameters
    ----------
    gain, cost : Floats, shape (n,)
        Expected gain of treating each person, net of her cost, and that cost.

    Returns
    -------
    Ints, shape (n,)
        Dense rank: larger is earlier, equals share one.
    """
    worth = gain > 0
    with np.errstate(divide="ignore"):
        ahead = dense_ranks(gain[worth] / cost[worth])
    loss = -np.minimum(gain, 0.0)
    scale = float(loss.max(initial=0.0)) or 1.0
    behind = np.unique(-np.round(loss[~worth] / scale, _DIGITS), return_inverse=True)[1]
    rank = np.empty(len(gain), dtype=np.int64)
    rank[~worth] = behind
    rank[worth] = ahead + int(behind.max(initial=-1)) + 1
    return rank
