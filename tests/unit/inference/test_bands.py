from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.bands import bonferroni_critical, sidak_critical, simultaneous_band, sup_t_critical
from causalkit.inference.multivariate import StudentBox


def equicorrelated(k, rho, critical):
    """P(max |Z| <= critical) by one-dimensional quadrature over the common factor."""
    wide, narrow = np.sqrt(rho), np.sqrt(1 - rho)

    def integrand(z):
        high, low = stats.norm.cdf((critical - wide * z) / narrow), stats.norm.cdf((-critical - wide * z) / narrow)
        return stats.norm.pdf(z) * (high - low) ** k

    return integrate.quad(integrand, -9, 9, epsabs=1e-12)[0]


def pairwise(k):
    contrasts = [np.eye(k)[a] - np.eye(k)[b] for a in range(k) for b in range(a)]
    return np.array(contrasts) @ np.array(contrasts).T


def test_one_entry_is_the_normal_quantile():
    assert sup_t_critical(np.array([[4.0]])) == stats.norm.ppf(0.975)
    assert sup_t_critical(np.array([[4.0]]), df=7) == pytest.approx(stats.t.ppf(0.975, 7), rel=1e-13)
    together = np.ones((3, 3)) * np.outer([1, 5, 2], [1, 5, 2])
    assert sup_t_critical(together) == pytest.approx(stats.norm.ppf(0.975), abs=1e-6)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_independent_entries_are_sidak(k):
    assert sup_t_critical(np.eye(k), alpha=0.1) == pytest.approx(sidak_critical(k, 0.1), abs=1e-6)
    assert sidak_critical(k) == pytest.approx(stats.norm.isf((1 - 0.95 ** (1 / k)) / 2), rel=1e-12)


@pytest.mark.parametrize(("k", "rho"), [(2, 0.5), (6, 0.8), (25, 0.4)])
def test_common_factor(k, rho):
    correlation = np.full((k, k), rho) + (1 - rho) * np.eye(k)
    expected = optimize.brentq(lambda c: equicorrelated(k, rho, c) - 0.95, 1.0, 5.0)
    assert sup_t_critical(correlation) == pytest.approx(expected, abs=4e-3)
    assert stats.norm.ppf(0.975) < expected < bonferroni_critical(k)


@pytest.mark.parametrize(("k", "df"), [(3, np.inf), (3, 10), (5, 12)])
def test_singular_pairwise_differences_are_tukey(k, df):
    expected = stats.studentized_range.ppf(0.95, k, df) / np.sqrt(2)
    assert sup_t_critical(pairwise(k), df=df) == pytest.approx(expected, abs=4e-3)


def test_scale_order_and_empty_entries_do_not_matter():
    A = np.random.default_rng(0).normal(size=(4, 4))
    V = A @ A.T
    base = sup_t_critical(V)
    scales = np.array([1e-6, 1.0, 1e5, 3.0])
    assert sup_t_critical(V * np.outer(scales, scales)) == pytest.approx(base, abs=1e-6)
    padded = np.zeros((6, 6))
    padded[:4, :4] = V
    padded[5, :] = padded[:, 5] = np.nan
    assert sup_t_critical(padded) == pytest.approx(base, abs=1e-6)
    assert sup_t_critical(V, random_state=5) == sup_t_critical(V, random_state=5)
    with pytest.raises(InferenceUnavailable, match="No entry"):
        sup_t_critical(np.zeros((2, 2)))


def test_from_draws():
    draws = np.array([[1.0, -2.0], [0.5, 1.0], [-3.0, 0.0], [0.2, 0.1], [0.0, 4.0], [1.0, 1.0], [2.0, 2.0]])
    largest = np.sort(np.maximum(np.abs(draws[:, 0]), np.abs(draws[:, 1]) / 2))
    assert sup_t_critical(np.diag([1.0, 4.0]), alpha=0.25, draws=draws) == largest[5]
    with pytest.raises(InferenceUnavailable, match="at least 19"):
        sup_t_critical(np.eye(2), draws=draws)


def test_draws_agree_with_the_integral():
    A = np.random.default_rng(0).normal(size=(5, 5))
    draws = np.random.default_rng(1).normal(size=(40_000, 5)) @ A.T
    assert sup_t_critical(A @ A.T, draws=draws) == pytest.approx(sup_t_critical(A @ A.T), abs=0.03)


def test_band():
    low, high = simultaneous_band(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.0, np.nan]), 2.0)
    np.testing.assert_array_equal(low, [0.0, 2.0, np.nan])
    np.testing.assert_array_equal(high, [2.0, 2.0, np.nan])


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
def test_a_level_is_between_zero_and_one(alpha):
    with pytest.raises(DesignError, match="not between 0 and 1"):
        sup_t_critical(np.eye(2), alpha)


@pytest.mark.parametrize("df", [np.inf, 8.0])
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.5])
def test_the_critical_value_leaves_alpha_outside(df, alpha):
    correlation = 0.8 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    box = StudentBox(correlation, df, np.random.default_rng(0))
    assert 1.0 - box.probability(box.critical(alpha)) == pytest.approx(alpha, rel=1e-6)


def test_common_factor_of_a_student_vector():
    k, rho, df = 8, 0.9, 7
    nodes, mass = np.polynomial.legendre.leggauss(200)
    stretch = np.sqrt(stats.chi2.ppf((nodes + 1) / 2, df) / df)
    common = 9 * nodes[:, None] * np.sqrt(rho)
    density = 9 * mass[:, None] * stats.norm.pdf(9 * nodes)[:, None] * mass / 2

    def outside(critical):
        """P(max |T| > critical) by quadrature over the common factor and the scale."""
        high, low = (stats.norm.cdf((sign * critical * stretch - common) / np.sqrt(1 - rho)) for sign in (1, -1))
        return 1 - (density * (high - low) ** k).sum()

    expected = optimize.brentq(lambda c: outside(c) - 0.05, 2.0, 4.0)
    correlation = np.full((k, k), rho) + (1 - rho) * np.eye(k)
    assert sup_t_critical(correlation, df=df) == pytest.approx(expected, abs=0.008)
