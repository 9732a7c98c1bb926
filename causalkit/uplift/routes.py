"""The best use of every budget on people with several arms: one sort of the steps between arms, for all budgets at once.

Each person starts without treatment. Her efficient arms are the corners of the upper concave hull of the points (cost,
gain) of her arms and (0, 0); going from one corner to the next is a *step* with a gain per cost that falls from step to
step. The linear multiple-choice knapsack (Sinha and Zoltners 1979, "The multiple-choice knapsack problem", *Operations
Research* 27) is solved for every budget by taking all people's steps in the order of gain per cost (Sverdrup, Wu, Athey
and Wager 2025, "Qini curves for multi-armed treatment rules", *JCGS*): a step is never taken before the one it starts
from, because its gain per cost is smaller. Steps with one gain per cost are equals, which a budget that ends among them
treats with one probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

#: Share of a number that is rounding: gains per cost that differ by less are one.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Routes:
    """The steps of all people, and what the groups of equal steps cost and gain.

    Parameters
    ----------
    arm, start : Codes, shape (n, h)
        Arm that a person's step leads to, and the arm it starts from (codes from 1; 0 is no treatment, and marks a step that
        does not exist). ``h`` is the longest route.
    group : Ints, shape (n, h)
        Group of equal steps, 0 first; -1 where there is no step.
    gain, cost : Floats, shape (n, h)
        What a step adds for one person.
    group_gain, group_cost : Floats, shape (m,)
        Totals of the groups over all people.
    mass : Floats, shape (n,)
        How many people a row stands for.
    n_arms : int
        Arms that can be given.
    """

    arm: Codes
    start: Codes
    group: Ints
    gain: Floats
    cost: Floats
    group_gain: Floats
    group_cost: Floats
    mass: Floats
    n_arms: int

    @cached_property
    def spent_before(self) -> Floats:
        """Total cost of the groups before each group, shape (m,)."""
        return np.concatenate(([0.0], np.cumsum(self.group_cost)[:-1])) if self.group_cost.size else np.zeros(0)

    @property
    def total_cost(self) -> float:
        """What the whole route costs: the budget from which on nothing more is gained."""
        return float(self.group_cost.sum())

    @property
    def n_steps(self) -> int:
        """Number of steps of all people."""
        return int(np.count_nonzero(self.arm))

    def filled(self, budget: float | None) -> Floats:
        """Return the share of each group that a budget reaches, shape (m,).

        What is over or missing by rounding is not money: a group is whole, or not reached, up to the last bits.
        """
        room = np.inf if budget is None else budget
        slack = 0.0 if budget is None else ROUNDING * budget
        left = room - self.spent_before
        with np.errstate(divide="ignore", invalid="ignore"):
            partly = np.where(left <= slack, 0.0, left / self.group_cost)
        return np.where((self.group_cost == 0) | (left >= self.group_cost - slack), 1.0, partly)

    def probability(self, budget: float | None) -> Floats:
        """Return the probability of each arm for each person, shape (n, n_arms)."""
        taken = self.taken(self.filled(budget))
        out = np.zeros((len(self.mass), self.n_arms + 1))
        rows = np.arange(len(self.mass))
        for step in range(self.arm.shape[1]):
            # Column 0, where steps begin that lead nowhere, is thrown away.
            out[rows, self.arm[:, step]] += taken[:, step]
            out[rows, self.start[:, step]] -= taken[:, step]
        return np.clip(out[:, 1:], 0.0, 1.0)

    def taken(self, filled: Floats) -> Floats:
        """Return the share of each person's steps that is taken, shape (n, h), given that of the groups."""
        if not filled.size:
            return np.zeros(self.group.shape)
        return np.where(self.group >= 0, filled[self.group], 0.0)

    def along(self, values: Floats) -> Floats:
        """Return by how much a value per arm, shape (n, n_arms), changes with each step, shape (n, h)."""
        padded = np.column_stack([np.zeros(len(values)), values])
        rows = np.arange(len(values))[:, None]
        return np.asarray(padded[rows, self.arm] - padded[rows, self.start])

    def price(self, budget: float | None) -> float:
        """Return the gain of one more unit of budget; zero where the budget does not bind.

        A budget that ends exactly between two groups has the price of the next one.
        """
        short = np.flatnonzero((self.filled(budget) < 1.0) & (self.group_gain > 0))
        return float(self.group_gain[short[0]] / self.group_cost[short[0]]) if short.size else 0.0


def find_routes(gain: Floats, cost: Floats, mass: Floats | None = None) -> Routes:
    """Find each person's efficient arms and sort all steps.

    Parameters
    ----------
    gain : Floats, shape (n,) or (n, n_arms)
        Expected gain of treating each person with each arm, over no treatment.
    cost : Floats, same shape
        Expected cost, zero or more.
    mass : Floats, shape (n,), optional
        How many people a row stands for.

    Returns
    -------
    Routes
        An arm is on a person's route only if it gains more than every cheaper mixture of her arms.

    Notes
    -----
    Each pass finds the next corner of all hulls at once, so there are at most as many passes as arms:
    O(n K h + n h log(n h)) with h the longest route.
    """
    gain, cost = (np.asarray(v, dtype=float).reshape(len(v), -1) for v in (gain, cost))
    n, k = gain.shape
    mass = np.ones(n) if mass is None else mass
    arms: list[Codes] = [np.zeros((n, 0), np.int32)]
    starts: list[Codes] = [np.zeros((n, 0), np.int32)]
    gains: list[Floats] = [np.zeros((n, 0))]
    costs: list[Floats] = [np.zeros((n, 0))]
    here, at_gain, at_cost = np.zeros(n, np.int32), np.zeros(n), np.zeros(n)
    rows = np.arange(n)
    for _ in range(k):
        more, dearer = gain - at_gain[:, None], cost - at_cost[:, None]
        better = more > ROUNDING * np.maximum(np.abs(gain), np.abs(at_gain[:, None]))
        if not better.any():
            break
        arm = _steepest(more, dearer, better)
        steps = better.any(axis=1)
        arms.append(np.where(steps, arm + 1, 0).astype(np.int32)[:, None])
        starts.append(np.where(steps, here, 0).astype(np.int32)[:, None])
        gains.append(np.where(steps, more[rows, arm], 0.0)[:, None])
        costs.append(np.where(steps, np.maximum(dearer[rows, arm], 0.0), 0.0)[:, None])
        here = np.where(steps, arm + 1, here).astype(np.int32)
        at_gain, at_cost = (np.where(steps, v[rows, arm], at) for v, at in ((gain, at_gain), (cost, at_cost)))
    return _gather(np.hstack(arms), np.hstack(starts), np.hstack(gains), np.hstack(costs), mass, k)


def _steepest(more: Floats, dearer: Floats, better: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Ints:
    """Arm with the largest gain per cost among those that gain more; of equal ones the one that gains most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(better, np.where(dearer > 0, more / dearer, np.inf), -np.inf)
    top = slope.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        equal = (slope == top) | (slope >= top * (1.0 - ROUNDING))
    return np.asarray(np.where(equal & better, more, -np.inf).argmax(axis=1))


def _gather(arm: Codes, start: Codes, gain: Floats, cost: Floats, mass: Floats, n_arms: int) -> Routes:
    """Put steps of one gain per cost into groups, the best first."""
    group = np.full(arm.shape, -1, dtype=np.int64)
    real = arm > 0
    with np.errstate(divide="ignore"):
        slope = np.where(cost[real] > 0, gain[real] / np.where(cost[real] > 0, cost[real], 1.0), np.inf)
    rank = dense_ranks(slope)
    m = int(rank.max(initial=-1)) + 1
    group[real] = m - 1 - rank
    heavy = np.broadcast_to(mass[:, None], arm.shape)[real]
    gains, costs = (np.asarray(np.bincount(group[real], heavy * v[real], m), dtype=np.float64) for v in (gain, cost))
    return Routes(
        read_only(arm), read_only(start), read_only(group), read_only(gain), read_only(cost),
        read_only(gains), read_only(costs), mass, n_arms,
    )  # fmt: skip


def dense_ranks(values: Floats) -> Ints:
    """Rank positive numbers (infinity may be one) from 0, the smallest: those that differ by rounding only share a rank.

    A number is compared with its neighbour, not with the largest one: a person who costs next to nothing has a huge gain per
    cost, and the others still differ.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.concatenate(([0], np.cumsum(ordered[1:] * (1.0 - ROUNDING) > ordered[:-1])))[: len(values)]
    return rank


__all__ = ["ROUNDING", "Routes", "dense_ranks", "find_routes"]
