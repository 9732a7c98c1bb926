from __future__ import annotations

import numpy as np
import pytest

from causalkit.kernels.forest_random import below, poisson, uniform


def draws(function, n, *args):
    state = np.array([123], np.uint64)
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
    assert poisson(np.zeros(1, np.uint64), 900.0) == 900


def test_generators_differ():
    firsts = [uniform(np.array([seed], np.uint64)) for seed in range(216)]
    assert len(set(firsts)) == 216
    assert np.mean(firsts) == pytest.approx(0.5, abs=0.09)
