"""Inference on winners: ordinary where nothing was chosen, exact against integration, and unbiased at the median."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t, truncnorm

from causalkit.uplift.winner import Choice, choice_limits, hybrid_interval, median_unbiased, two_sided_pvalue

FREE = Choice(-np.inf, np.inf, 1)


def test_without_a_choice_it_is_the_ordinary_interval():
    low, high = hybrid_interval(1.0, 2.0, FREE, 0.05)
    assert (low, high) == pytest.approx((1 - 2 * norm.ppf(0.975), 1 + 2 * norm.ppf(0.975)), abs=1e-9)
    assert median_unbiased(1.0, 2.0, FREE, 0.05) == pytest.approx(1.0, abs=1e-9)
    assert two_sided_pvalue(3.0, 2.0, FREE) == pytest.approx(2 * norm.sf(1.5), rel=1e-6)
    low, high = hybrid_interval(1.0, 2.0, FREE, 0.05, df=9.0)
    assert high - 1.0 == pytest.approx(2 * t.ppf(0.975, 9), rel=1e-9)
    assert two_sided_pvalue(3.0, 2.0, FREE, 9.0) == pytest.approx(2 * t.sf(1.5, 9), rel=1e-6)


def test_limits_are_quantiles_of_the_truncated_normal():
    choice = Choice(0.4, np.inf, 2)
    low, high = hybrid_interval(1.0, 1.0, choice, 0.05)
    reach = norm.isf(0.005 / 4)
    tail = (0.05 - 0.005) / (1 - 0.005) / 2
    for mean, target in ((low, 1 - tail), (high, tail)):
        a, b = max(0.4 - mean, -reach), reach
        if a < b and abs(mean - (1.0 - reach)) > 1e-6:
            assert truncnorm.cdf(1.0 - mean, a, b) == pytest.approx(target, abs=1e-6)
    assert 1.0 - reach <= low < high <= 1.0 + reach


def test_pvalue_and_interval_agree():
    for x in (0.3, 1.5, 2.2, 4.0):
        choice = Choice(0.2, np.inf, 3)
        p = two_sided_pvalue(x, 1.0, choice)
        low, high = hybrid_interval(x, 1.0, choice, 0.999 * p)
        assert low < 0 < high
        if p < 0.99:
            low, high = hybrid_interval(x, 1.0, choice, 1.001 * p)
            assert low > 0 or high < 0


def test_the_limits_of_a_choice_follow_from_its_inequalities():
    theta, vcov = np.array([1.0, 0.7]), np.array([[1.0, 0.5], [0.5, 1.0]])
    found = choice_limits(theta, vcov, 0, np.array([[-1.0, 1.0]]), np.zeros(1), 2)
    # With z = theta_1 - 0.5 theta_0 fixed, theta_0 stays ahead as long as theta_0 > z + 0.5 theta_0.
    assert found.low == pytest.approx(2 * (0.7 - 0.5))
    assert found.high == np.inf


@pytest.mark.parametrize(("mean", "correlation"), [((0.0, 0.0, 0.0, 0.0), 0.0), ((0.0, 1.0), 0.5)])
def test_it_covers_and_is_median_unbiased(mean, correlation):
    rng, k, runs = np.random.default_rng(1), len(mean), 400
    vcov = (1 - correlation) * np.eye(k) + correlation
    covered, above = 0, 0
    for x in rng.multivariate_normal(mean, vcov, runs):
        best = int(x.argmax())
        sides = np.delete(np.eye(k), best, axis=0)
        sides[:, best] = -1.0
        choice = choice_limits(x, vcov, best, sides, np.zeros(k - 1), k)
        low, high = hybrid_interval(x[best], 1.0, choice, 0.05)
        covered += low <= mean[best] <= high
        above += median_unbiased(x[best], 1.0, choice, 0.05) > mean[best]
    assert covered / runs >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)
    assert above / runs == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / runs))


@pytest.mark.parametrize("df", [1.0, 2.0, 5.0, 14.0])
@pytest.mark.parametrize("choice", [Choice(-1.0, 3.0, 2), Choice(0.2, np.inf, 3), Choice(-np.inf, 2.5, 2)])
def test_with_few_clusters_a_pvalue_does_not_vanish_in_the_tails(choice, df):
    """At a tiny level the stretched error makes the truncation narrow: the p-value was 0 while the interval held zero."""
    p = two_sided_pvalue(1.0, 1.0, choice, df)
    for alpha, inside in ((0.99 * p, True), (1.01 * p, False)):
        low, high = hybrid_interval(1.0, 1.0, choice, alpha, df)
        assert (low < 0 < high) == inside


def test_a_narrow_truncation_keeps_its_digits():
    """Between limits that are close together the density is flat: a number in the middle says nothing about the mean."""
    for x in (0.25, 0.5, 0.75):
        assert two_sided_pvalue(x, 1e20, Choice(0.0, 1.0, 1)) > 0.2
        low, high = hybrid_interval(x, 1e20, Choice(0.0, 1.0, 1), 0.05)
        assert low < -1e20 < 1e20 < high
