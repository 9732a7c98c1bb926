"""How often the density test fails clean scores, and scores of which a tenth was moved to just above the cutoff."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck

DESIGNS = {
    "normal": lambda rng, n: rng.normal(0.3, 1.0, n),
    "skewed": lambda rng, n: rng.gamma(2.0, 1.0, n) - 1.5,
    "uniform": lambda rng, n: rng.uniform(-1.0, 1.0, n),
    "rounded": lambda rng, n: np.round(rng.normal(0.3, 1.0, n), 2),
}


def bunched(rng, x):
    """Move a tenth of all, from anywhere on the left, to within a fifth of a standard deviation above the cutoff."""
    out = x.copy()
    moved = rng.permutation(np.flatnonzero(x < 0))[: x.size // 10]
    out[moved] = rng.uniform(0.0, 0.2 * x.std(), moved.size)
    return out


def rates(design, n, runs):
    """Share of clean and of bunched draws that fail the check."""
    failed = np.zeros(2)
    for seed in range(runs):
        rng = np.random.default_rng(1000 * n + seed)
        x = DESIGNS[design](rng, n)
        for at, scores in enumerate((x, bunched(rng, x))):
            failed[at] += ck.rdd.density_test(scores).checks["density"].status == "fail"
    return failed / runs


@pytest.mark.parametrize("design", list(DESIGNS))
def test_size_and_power_in_short(design):
    clean, sorted_out = rates(design, 2000, 60)
    assert clean <= 0.05 + 3 * np.sqrt(0.0475 / 60)
    assert sorted_out >= 0.75


@pytest.mark.long
@pytest.mark.parametrize("n", [1000, 5000, 20_000])
@pytest.mark.parametrize("design", list(DESIGNS))
def test_size_and_power(design, n):
    clean, sorted_out = rates(design, n, 500)
    print(f"{design:8} n {n:6,}: fails {clean:.1%} of clean and {sorted_out:.1%} of bunched scores")
    assert clean <= 0.05 + 3 * np.sqrt(0.0475 / 500)
    assert sorted_out >= (0.6 if n == 1000 else 0.95)
