"""The knapsack against a general linear program, against all subsets, and its invariances; with one arm and with several."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from causalkit.uplift.routes import dense_ranks, find_routes


class allocate:
    """What a budget buys on the routes of people."""

    def __init__(self, gain, cost, budget=None, mass=None):
        routes = find_routes(gain, cost, mass)
        rule = routes.probability(budget)
        worth = routes.mass[:, None] * rule
        self.probability = rule[:, 0] if np.ndim(gain) == 1 else rule
        self.gain = float((worth * np.reshape(gain, rule.shape)).sum())
        self.spend = float((worth * np.reshape(cost, rule.shape)).sum())
        self.shadow_price = routes.price(budget)


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.05, 1.5))
@settings(max_examples=60)
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
@settings(max_examples=40)
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


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(2, 4), st.floats(0.05, 1.2))
@settings(max_examples=60)
def test_several_arms_are_the_optimum_of_the_linear_program(seed, n, k, share):
    rng = np.random.default_rng(seed)
    gain, cost = rng.normal(0.3, 1.0, (n, k)).round(1), rng.choice([0.0, 0.5, 1.0, 2.0], (n, k))
    mass = rng.choice([1.0, 2.0], n)
    heavy = mass[:, None]
    budget = share * float((heavy * cost).sum()) + 0.1
    plan = allocate(gain, cost, budget, mass)
    one_arm = np.kron(np.eye(n), np.ones(k))
    program = {"A_ub": np.vstack([(heavy * cost).ravel(), one_arm]), "bounds": [(0, 1)] * (n * k)}
    exact = linprog(-(heavy * gain).ravel(), b_ub=[budget, *np.ones(n)], **program)
    more = linprog(-(heavy * gain).ravel(), b_ub=[budget + 1e-6, *np.ones(n)], **program)
    assert plan.gain == pytest.approx(-exact.fun, abs=1e-9)
    assert plan.spend <= budget * (1 + 1e-12)
    assert plan.probability.sum(axis=1).max() <= 1 + 1e-12
    assert plan.shadow_price == pytest.approx(-(more.fun - exact.fun) / 1e-6, abs=1e-4)


def test_an_arm_below_the_hull_of_the_others_is_never_given():
    gain, cost = np.array([[1.0, 1.2, 3.0]]), np.array([[1.0, 2.0, 3.0]])
    routes = find_routes(gain, cost)
    assert routes.arm.tolist() == [
        [3]
    ]  # one step: the slope to the third arm is the largest, 1 like the first, but further
    rule = find_routes(np.array([[2.0, 2.1, 3.0]]), cost).probability(2.5)
    np.testing.assert_allclose(rule, [[0.25, 0.0, 0.75]])


def test_nobody_worth_treating_has_no_route():
    routes = find_routes(np.array([[-1.0, -2.0]]), np.ones((1, 2)))
    assert routes.n_steps == 0
    np.testing.assert_array_equal(routes.probability(5.0), np.zeros((1, 2)))
    assert routes.price(5.0) == 0.0


def test_a_person_who_costs_next_to_nothing_does_not_make_equals_of_the_others():
    """Gains per cost were compared with the largest: one cost of 1e-14 made a lottery of everybody else."""
    gain = np.array([1.0, 3.0, 2.0, 1.0])
    cost = np.array([1e-14, 1.0, 1.0, 1.0])
    plan = allocate(gain, cost, 1.5)
    assert plan.probability == pytest.approx([1.0, 1.0, 0.5, 0.0], abs=1e-12)
    assert plan.shadow_price == pytest.approx(2.0)
    assert allocate(gain[1:], cost[1:] * (1 + 4e-16), 1.5).probability == pytest.approx([1.0, 0.5, 0.0])


def test_ranks_join_what_differs_by_rounding_only():
    third = np.array([0.1 * 3, 0.3, np.inf, 1e-300, 0.3 * (1 + 1e-9), np.inf])
    assert dense_ranks(third).tolist() == [1, 1, 3, 0, 2, 3]
    assert dense_ranks(np.empty(0)).size == 0
