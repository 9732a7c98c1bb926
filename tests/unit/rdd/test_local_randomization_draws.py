"""Assignments, exact distributions and bounds, each against every assignment written out."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from scipy.stats import hypergeom, ks_2samp, mannwhitneyu

from causalkit.errors import DesignError
from causalkit.kernels import rd_permutation
from causalkit.rdd import rosenbaum
from causalkit.rdd.local_randomization_assignments import Assignments, Differences
from causalkit.rdd.local_randomization_ranks import rank_sum, rank_sum_set, smirnov, smirnov_set
from causalkit.rdd.rosenbaum import hidden_bias
from causalkit.rdd.window_balance import balance_pvalues, counted_pvalue

RNG = np.random.default_rng(11)
RIGHT = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 0], dtype=bool)
SMOOTH = RNG.normal(size=10) + 1.2 * RIGHT
TIED = np.array([1.0, 2.0, 2.0, 0.0, 3.0, 2.0, 1.0, 3.0, 0.0, 2.0])


def everything(right):
    """All assignments with as many on the right."""
    out = np.zeros((comb(right.size, int(right.sum())), right.size), dtype=bool)
    for row, chosen in enumerate(combinations(range(right.size), int(right.sum()))):
        out[row, list(chosen)] = True
    return out


def apart(y, assignment):
    return y[assignment].mean() - y[~assignment].mean()


def share(statistic, y, right):
    """Share of assignments that are as extreme as the actual one."""
    actual = abs(statistic(y, right))
    return np.mean([abs(statistic(y, other)) >= actual - 1e-9 for other in everything(right)])


def test_sums_over_every_subset():
    columns = RNG.normal(size=(2, 9))
    found = rd_permutation.enumerate_sums(columns, 4, comb(9, 4))
    np.testing.assert_allclose(found, [columns[:, list(c)].sum(axis=1) for c in combinations(range(9), 4)], rtol=1e-12)


@pytest.mark.parametrize("k", [1, 4, 8])
def test_random_subsets_are_uniform(k):
    n_draws = 400 * comb(9, k)
    codes = rd_permutation.draw_sums(2.0 ** np.arange(9)[None], k, n_draws, 5).ravel().astype(int)
    found, counts = np.unique(codes, return_counts=True)
    assert found.size == comb(9, k)
    assert {bin(code).count("1") for code in found} == {k}
    spread = np.sum((counts - 400) ** 2 / 400)
    assert spread < found.size + 4 * np.sqrt(2 * found.size)
    again = rd_permutation.draw_sums(2.0 ** np.arange(9)[None], k, n_draws, 5).ravel()
    np.testing.assert_array_equal(codes, again)


def test_distribution_of_sums_by_counting():
    scores = np.array([0, 3, 1, 4, 4, 2, 0, 5])
    found = rd_permutation.sum_distribution(scores, 3)
    sums = [scores[list(c)].sum() for c in combinations(range(8), 3)]
    np.testing.assert_allclose(found, np.bincount(sums, minlength=found.size) / comb(8, 3), atol=1e-15)


@pytest.mark.parametrize("y", [SMOOTH, TIED])
def test_tests_against_every_assignment(y):
    assignments = Assignments.of(RIGHT, 999, 0)
    assert assignments.exact
    found = Differences.of(assignments, y, RIGHT.astype(float)).test()
    assert found.pvalue == pytest.approx(share(apart, y, RIGHT), abs=1e-12)
    ranks = np.array([np.mean(np.flatnonzero(np.sort(y) == value)) for value in y])
    centred = ranks - ranks.mean()
    assert rank_sum(assignments, y).pvalue == pytest.approx(
        share(lambda _, other: centred[other].sum(), y, RIGHT), abs=1e-12
    )
    assert smirnov(assignments, y).pvalue == pytest.approx(
        share(lambda values, other: ks_2samp(values[other], values[~other], method="asymp").statistic, y, RIGHT),
        abs=1e-12,
    )


def test_rank_tests_against_scipy():
    y, right = RNG.normal(size=60), np.arange(60) % 5 < 2
    assignments = Assignments.of(right, 99, 0)
    assert not assignments.exact
    expected = mannwhitneyu(y[right], y[~right], method="exact").pvalue
    assert rank_sum(assignments, y).pvalue == pytest.approx(expected, rel=1e-9)
    assert smirnov(assignments, y).pvalue == pytest.approx(ks_2samp(y[right], y[~right]).pvalue, rel=1e-9)


def test_drawn_p_values_count_the_actual_assignment():
    y, right = RNG.normal(size=40) + 5 * (np.arange(40) < 20), np.arange(40) < 20
    found = Differences.of(Assignments.of(right, 199, 0), y, right.astype(float)).test()
    assert found.pvalue == 1 / 200
    assert not found.exact
    assert found.monte_carlo_error == pytest.approx(np.sqrt(0.005 * 0.995 / 199))


@pytest.mark.parametrize("n_draws", [99, 100_000])
@pytest.mark.parametrize("received", [RIGHT.astype(float), np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 0], dtype=float)])
def test_interval_is_what_the_test_does_not_reject(n_draws, received):
    right = RIGHT if n_draws > 99 else np.tile(RIGHT, 4)
    got = received if n_draws > 99 else np.tile(received, 4)
    y = SMOOTH if n_draws > 99 else np.tile(SMOOTH, 4) + RNG.normal(size=40)
    found = Differences.of(Assignments.of(right, n_draws, 0), y, got)
    for alpha in (0.05, 0.2):
        accepted = found.confidence_set(alpha)
        for null in np.linspace(-30, 30, 401):
            if min((abs(null - end) for piece in accepted.intervals for end in piece), default=1.0) > 1e-6:
                assert accepted.contains(null) == (found.test(null).pvalue > alpha), null


def test_set_without_a_first_stage_is_unbounded():
    y, right = RNG.normal(size=30), np.arange(30) < 15
    received = (np.arange(30) % 2).astype(float)
    found = Differences.of(Assignments.of(right, 999, 0), y, received).confidence_set(0.05)
    assert not found.is_bounded


@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_intervals_of_rank_tests_are_their_duals(alpha):
    right = np.arange(25) % 2 == 0
    y = RNG.normal(size=25) + right
    assignments = Assignments.of(right, 999, 0)
    pairs = [(rank_sum_set(assignments, y, alpha), rank_sum), (smirnov_set(y, right, alpha), smirnov)]
    for accepted, test in pairs:
        ((low, high),) = accepted.intervals
        for null in [*np.linspace(low - 1, high + 1, 60), low + 1e-9, high - 1e-9, low - 1e-9, high + 1e-9]:
            if min(abs(null - low), abs(null - high)) >= 1e-10:
                rejected = test(assignments, y - null * right).pvalue <= alpha
                assert rejected != accepted.contains(null), (test.__name__, null, low, high)


def test_binary_values_are_counted():
    y, right = (RNG.random(300) < 0.3).astype(float), np.arange(300) < 120
    total, k = int(y.sum()), 120
    chances = hypergeom(300, total, k)
    support = np.arange(0, total + 1)
    extreme = np.abs(support - k * total / 300) >= abs(y[right].sum() - k * total / 300) - 1e-9
    found = counted_pvalue(Assignments.of(right, 99, 0), 5.0 + 2.0 * y)
    assert found == pytest.approx(chances.pmf(support[extreme]).sum(), rel=1e-10)
    assert counted_pvalue(Assignments.of(right, 99, 0), RNG.normal(size=300)) is None


def test_hotelling_ranks_like_the_full_statistic():
    covariates = RNG.normal(size=(10, 2))

    def t2(_, other):
        one, two = covariates[other], covariates[~other]
        pooled = (np.cov(one.T) * (len(one) - 1) + np.cov(two.T) * (len(two) - 1)) / 8
        gap = one.mean(axis=0) - two.mean(axis=0)
        return gap @ np.linalg.solve(pooled, gap)

    found = balance_pvalues(covariates, RIGHT, "hotelling", "randomization", 99, 0)
    assert found[0] == pytest.approx(share(t2, None, RIGHT), abs=1e-12)


def test_clusters_are_assigned_together():
    cluster = np.array([0, 0, 1, 1, 2, 2, 3, 4, 4, 5])
    right = np.isin(cluster, [1, 3, 4])
    y = RNG.normal(size=10)
    found = Differences.of(Assignments.of(right, 99, 0, cluster.astype(np.int32)), y, right.astype(float)).test()
    every = [np.isin(cluster, chosen) for chosen in combinations(range(6), 3)]
    expected = np.mean([abs(apart(y, other)) >= abs(apart(y, right)) - 1e-12 for other in every])
    assert found.pvalue == pytest.approx(expected, abs=1e-12)
    assert found.n_draws == 20


@pytest.mark.parametrize("flip", [1.0, -1.0])
@pytest.mark.parametrize("y", [SMOOTH[:9], TIED[:9]])
def test_bounds_against_every_hidden_bias(y, flip):
    y, right = flip * y, RIGHT[:9]
    ranks = np.array([np.mean(np.flatnonzero(np.sort(y) == value)) for value in y])
    every = everything(right)
    sums, actual = every @ ranks, ranks[right].sum()
    far = sums >= actual - 1e-9 if actual >= right.sum() * ranks.mean() else sums <= actual + 1e-9
    for gamma in (1.0, 1.7, 3.0):
        chances = []
        for u in product([0, 1], repeat=9):
            weight = gamma ** (every @ np.array(u))
            chances.append(weight[far].sum() / weight.sum())
        found = hidden_bias(y, right, [gamma])
        assert found.exact
        assert found.upper[0] == pytest.approx(min(1.0, 2 * max(chances)), rel=1e-9)
        assert found.lower[0] == pytest.approx(min(1.0, 2 * min(chances)), rel=1e-9)


def test_breakdown_is_where_the_upper_bound_crosses():
    right = np.arange(24) % 2 == 0
    y = RNG.normal(size=24) + 2.0 * right
    found = hidden_bias(y, right, [1.0])
    around = hidden_bias(y, right, [found.breakdown * 0.999, found.breakdown * 1.001])
    assert around.upper[0] <= 0.05 < around.upper[1]
    assert found.upper[0] == pytest.approx(rank_sum(Assignments.of(right, 99, 0), y).pvalue, rel=1e-9)


def test_many_rows_use_the_normal_limit_near_the_exact_bound(monkeypatch):
    right = np.arange(70) % 2 == 0
    y = np.random.default_rng(3).normal(size=70) + 0.5 * right
    exact = hidden_bias(y, right, [1.3])
    assert exact.exact
    monkeypatch.setattr(rosenbaum, "_CELLS", 0.0)
    normal = hidden_bias(y, right, [1.3])
    assert not normal.exact
    assert normal.upper[0] == pytest.approx(exact.upper[0], rel=0.15)


def test_gammas_below_one_are_refused():
    with pytest.raises(DesignError, match="at least 1"):
        hidden_bias(SMOOTH, RIGHT, [0.5])
