"""The knapsack against a general linear program, against all subsets, and its invariances."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from causalkit.uplift.knapsack import allocate, draw, uniform


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.05, 1.5))
@settings(max_examples=60, deadline=None)
def test_it_is_the_optimum_of_the_linear_program(seed, n, share):
    rng = np.random.default_rng(seed)
    gain, cost = rng.normal(size=n).round(1), rng.choice([0.0, 0.5, 1.0, 2.0], n)
    mass = rng.choice([1.0, 2.0], n)
    budget = share * float((mass * cost).sum()) + 0.1
    plan = allocate(gain, cost, budget, mass)
    exact = linprog(-mass * gain, A_ub=[mass * cost], b_ub=[budget], bounds=[(0, 1)] * n)
    assert plan.gain == pytest.approx(-exact.fun, abs=1e-9)
    assert plan.spend <= budget * (1 + 1e-12)
    # The price of the budget is what the program gains from a little more of it.
    more = linprog(-mass * gain, A_ub=[mass * cost], b_ub=[budget + 1e-6], bounds=[(0, 1)] * n)
    assert plan.shadow_price == pytest.approx(-(more.fun - exact.fun) / 1e-6, abs=1e-4)


def test_whole_people_of_one_price_are_the_best_of_all_subsets():
    rng = np.random.default_rng(1)
    for _ in range(20):
        gain, cost, budget = rng.normal(size=10), np.full(10, 0.5), 0.5 * rng.integers(1, 9)
        best = max(
            sum(g for g, chosen in zip(gain, subset, strict=True) if chosen)
            for subset in product((False, True), repeat=10)
            if 0.5 * sum(subset) <= budget
        )
        assert allocate(gain, cost, budget).gain == pytest.approx(best, abs=1e-12)


def test_equals_share_what_is_left():
    plan = allocate(np.array([5.0, 1.0, 1.0, 1.0, -1.0]), np.ones(5), 2.5)
    np.testing.assert_allclose(plan.probability, [1.0, 0.5, 0.5, 0.5, 0.0])
    assert plan.shadow_price == pytest.approx(1.0)


def test_a_budget_that_ends_between_two_groups_has_the_price_of_the_next():
    plan = allocate(np.array([3.0, 2.0, 1.0]), np.ones(3), 1.0)
    np.testing.assert_allclose(plan.probability, [1.0, 0.0, 0.0])
    assert plan.shadow_price == pytest.approx(2.0)


def test_without_a_binding_budget_whoever_gains_is_treated():
    plan = allocate(np.array([0.3, -0.1, 0.0]), np.array([1.0, 1.0, 0.0]), 10.0)
    np.testing.assert_array_equal(plan.probability, [1.0, 0.0, 0.0])
    assert plan.shadow_price == 0.0


def test_free_people_come_first():
    plan = allocate(np.array([0.1, 9.0]), np.array([0.0, 1.0]), 0.5)
    np.testing.assert_allclose(plan.probability, [1.0, 0.5])


@given(st.integers(0, 10_000), st.floats(0.1, 5.0), st.floats(0.1, 5.0))
@settings(max_examples=40, deadline=None)
def test_more_budget_never_gains_less_and_money_has_no_unit(seed, first, second):
    rng = np.random.default_rng(seed)
    gain, cost = rng.normal(size=20), rng.uniform(0.1, 1.0, 20)
    low, high = sorted((first, second))
    small, large = allocate(gain, cost, low), allocate(gain, cost, high)
    assert small.gain <= large.gain + 1e-12
    assert small.shadow_price >= large.shadow_price - 1e-9
    cents = allocate(100 * gain, 100 * cost, 100 * low)
    np.testing.assert_allclose(cents.probability, small.probability, atol=1e-12)
    assert cents.shadow_price == pytest.approx(small.shadow_price)


def test_the_lottery_keeps_the_budget_and_does_not_follow_the_order_of_rows():
    rng = np.random.default_rng(0)
    cost = rng.uniform(0.5, 2.0, 200)
    chance = np.full(200, uniform(cost, 60.0))
    order = np.argsort(cost)
    drawn = draw(chance, cost, 60.0, order, random_state=7)
    assert 55.0 < cost[drawn].sum() <= 60.0
    shuffle = rng.permutation(200)
    again = draw(chance, cost[shuffle], 60.0, np.argsort(cost[shuffle]), random_state=7)
    np.testing.assert_array_equal(again, drawn[shuffle])
    shares = np.mean([draw(chance, cost, 60.0, order, seed) for seed in range(400)], axis=0)
    assert np.abs(shares - chance).max() < 0.12
