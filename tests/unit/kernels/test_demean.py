from __future__ import annotations

import threading

import numpy as np
import pytest

from causalkit.kernels import demean
from causalkit.kernels.demean import (
    centre_and_sum,
    cross_table,
    over_columns,
    pair_table,
    stack_codes,
    subtract_effects,
)

N = 50


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    effects = [rng.integers(0, size, N).astype(np.int32) for size in (7, 4, 3)]
    return rng.standard_normal(N) + 1e6, rng.uniform(0.5, 2.0, N), effects


def dummies(codes, size):
    return np.eye(size)[codes]


@pytest.mark.parametrize("weighted", [False, True])
def test_centre_and_sum(rows, weighted):
    column, w, (largest, *others) = rows
    weights = w if weighted else None
    used = w if weighted else np.ones(N)
    rest = stack_codes(others, [4, 3])
    out, by_largest, by_rest = np.empty(N), np.zeros(7), np.zeros(7)
    pivot, mean, squares = centre_and_sum(column, weights, used.sum(), largest, rest, out, by_largest, by_rest)
    centred = column - np.average(column, weights=used)
    assert column.min() <= pivot <= column.max()
    np.testing.assert_allclose(mean, np.average(column, weights=used), rtol=1e-15)
    np.testing.assert_allclose(squares, used @ centred**2, rtol=1e-9)
    centred = column - pivot
    np.testing.assert_array_equal(out, centred)
    np.testing.assert_allclose(by_largest, dummies(largest, 7).T @ (used * centred), atol=1e-8)
    both = np.column_stack([dummies(others[0], 4), dummies(others[1], 3)])
    np.testing.assert_allclose(by_rest, both.T @ (used * centred), atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_subtract_effects_leaves_the_residual_and_its_sums(rows, weighted):
    column, w, (largest, *others) = rows
    used = w if weighted else np.ones(N)
    effect, values = np.arange(7.0), np.linspace(-1, 1, 7)
    work, by_largest, by_rest = column.copy(), np.zeros(7), np.zeros(7)
    rest = stack_codes(others, [4, 3])
    subtract_effects(work, w if weighted else None, largest, rest, effect, values, by_largest, by_rest)
    expected = column - effect[largest] - values[others[0]] - values[4 + others[1]]
    np.testing.assert_allclose(work, expected, rtol=1e-15)
    np.testing.assert_allclose(by_largest, dummies(largest, 7).T @ (used * expected), rtol=1e-12)
    np.testing.assert_allclose(by_rest[4:], dummies(others[1], 3).T @ (used * expected), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_tables_are_products_of_dummies(rows, weighted):
    _, w, (largest, *others) = rows
    used = w if weighted else np.ones(N)
    rest = stack_codes(others, [4, 3])
    both = np.column_stack([dummies(others[0], 4), dummies(others[1], 3)])
    cross, pairs = np.zeros((7, 7)), np.zeros((7, 7))
    cross_table(w if weighted else None, largest, rest, cross)
    pair_table(w if weighted else None, rest, pairs)
    np.testing.assert_allclose(cross, dummies(largest, 7).T @ (used[:, None] * both), atol=1e-13)
    np.testing.assert_allclose(pairs, both.T @ (used[:, None] * both), atol=1e-13)


def test_columns_are_spread_over_two_threads_at_most(monkeypatch):
    monkeypatch.setattr(demean.os, "cpu_count", lambda: 64)
    seen, names = [], set()
    lock = threading.Lock()

    def work(j):
        with lock:
            seen.append(j)
            names.add(threading.current_thread().name)

    over_columns(work, 20, 10**6)
    assert sorted(seen) == list(range(20))
    assert len(names) <= 2
    over_columns(lambda j: names.add(threading.current_thread().name), 3, 10)
    assert threading.current_thread().name in names


def test_an_error_in_a_thread_is_raised():
    def fail(j):
        raise KeyError(j)

    with pytest.raises(KeyError):
        over_columns(fail, 2, 10**6)
