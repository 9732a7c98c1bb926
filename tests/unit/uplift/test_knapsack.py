"""Lotteries keep the budget, whoever stands in which row, with one arm and with several."""

from __future__ import annotations

import numpy as np

from causalkit.uplift.knapsack import assign, draw, profit_rank
from causalkit.uplift.routes import find_routes


def test_the_lottery_keeps_the_budget_and_does_not_follow_the_order_of_rows():
    rng = np.random.default_rng(0)
    cost = rng.uniform(0.5, 2.0, 200)
    chance = np.full(200, 60.0 / cost.sum())
    order = np.argsort(cost)
    drawn = draw(chance, cost, 60.0, order, random_state=7)
    assert 55.0 < cost[drawn].sum() <= 60.0
    shuffle = rng.permutation(200)
    again = draw(chance, cost[shuffle], 60.0, np.argsort(cost[shuffle]), random_state=7)
    np.testing.assert_array_equal(again, drawn[shuffle])
    shares = np.mean([draw(chance, cost, 60.0, order, seed) for seed in range(400)], axis=0)
    assert np.abs(shares - chance).max() < 0.12


def test_arms_are_drawn_within_the_budget():
    rng = np.random.default_rng(1)
    gain, cost = rng.normal(0.5, 1.0, (300, 3)), rng.uniform(0.5, 2.0, (300, 3))
    routes = find_routes(gain, cost)
    arm = assign(routes, 90.0, np.arange(300), 0)
    paid = np.column_stack([np.zeros(300), cost])[np.arange(300), arm]
    assert 86.0 < paid.sum() <= 90.0 * (1 + 1e-12)
    rule = np.column_stack([1 - routes.probability(90.0).sum(axis=1), routes.probability(90.0)])
    assert (rule[np.arange(300), arm] > 0).all()
    flat = find_routes(np.full((200, 2), [1.0, 3.0]), np.full((200, 2), [1.0, 4.0]))
    drawn = assign(flat, 350.0, np.arange(200), 0)  # all get the first arm; fifty are moved on to the second
    assert np.bincount(drawn).tolist() == [0, 150, 50]


def test_ranks_put_the_worthwhile_first_and_losses_by_size():
    rank = profit_rank(np.array([1.0, 4.0, -1.0, -3.0, 0.5]), np.array([1.0, 8.0, 1.0, 1.0, 0.5]))
    assert rank.tolist() == [3, 2, 1, 0, 3]
    tiny = profit_rank(np.array([1.0, 3.0, 2.0, -1.0, 0.0, 1.0]), np.array([1e-14, 1.0, 1.0, 1.0, 0.0, 0.0]))
    assert tiny.tolist() == [4, 3, 2, 0, 1, 5]  # a huge gain per cost does not make equals of the others
