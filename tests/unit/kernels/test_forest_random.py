from __future__ import annotations

import numpy as np
import pytest

from causalkit.kernels.forest_random import below, draw_first, poisson, stream, uniform
from causalkit.kernels.forest_sampling import draw_bag, draw_tree


def draws(function, n, *args):
    state = stream(1, 2, 3)
    return np.array([function(state, *args) for _ in range(n)])


def test_uniform_is_flat():
    u = draws(uniform, 20_000)
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.bincount((20 * u).astype(int), minlength=20)
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi2(19) at 0.001
    assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


def test_below_reaches_all_and_no_more():
    assert set(draws(below, 300, 7)) == set(range(7))


def test_poisson():
    x = draws(poisson, 20_000, 6.0)
    assert x.mean() == pytest.approx(6.0, abs=0.09)
    assert x.var() == pytest.approx(6.0, rel=0.06)
    assert poisson(stream(0, 0, 0), 900.0) == 900


def test_streams_differ():
    firsts = [uniform(stream(*key)) for key in np.ndindex(6, 6, 6)]
    assert len(set(firsts)) == 216
    assert np.mean(firsts) == pytest.approx(0.5, abs=0.09)


def test_a_draw_is_a_random_subset():
    state, counts = stream(0, 0, 0), np.zeros(10)
    for _ in range(4000):
        items = np.arange(10)
        draw_first(state, items, 3)
        assert sorted(items) == list(range(10))
        counts[items[:3]] += 1
    assert counts == pytest.approx(1200, abs=150)


def test_bags_and_trees():
    state = stream(5, 0, 0)
    bag = draw_bag(101, state)
    assert len(bag) == len(set(bag)) == 50
    starts, rows = 2 * np.arange(102), np.arange(202)  # each unit has two neighbouring rows
    splitting, filling = draw_tree(bag, 0.6, 0.5, starts, rows, state)
    assert len(splitting) == len(filling) == 30
    assert not set(splitting // 2) & set(filling // 2)  # units stay whole
    assert set(splitting // 2) | set(filling // 2) <= set(bag)
    assert (np.diff(splitting) > 0).all()
