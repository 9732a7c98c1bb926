from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.wald import require_alpha, t_interval, t_pvalue, t_quantile, wald_test


def test_matches_statsmodels():
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(50), rng.normal(size=(50, 3))])
    fit = OLS(X[:, 1] + rng.normal(size=50), X).fit()
    test = fit.f_test(np.eye(4)[1:])
    scales = np.array([1.0, 1e6, 1e-7])
    ours = wald_test(fit.params[1:] * scales, fit.cov_params()[1:, 1:] * np.outer(scales, scales), df=46)
    assert (ours.statistic, ours.df1, ours.df2) == (pytest.approx(float(test.fvalue), rel=1e-10), 3, 46)
    assert ours.pvalue == pytest.approx(float(test.pvalue), rel=1e-9)
    chi2 = wald_test(fit.params[1:], fit.cov_params()[1:, 1:])
    assert chi2.statistic == pytest.approx(3 * ours.statistic)
    assert chi2.pvalue == pytest.approx(stats.chi2.sf(chi2.statistic, 3), rel=1e-12)
    assert chi2.df2 == np.inf


def test_singular_covariance_reports_rank():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(4, 4))
    V, theta = A @ A.T, rng.normal(size=4)
    repeat = np.r_[np.eye(4), [[1, 1, 0, -3]], np.zeros((1, 4))]
    ours, full = wald_test(repeat @ theta, repeat @ V @ repeat.T), wald_test(theta, V)
    assert ours.df1 == full.df1 == 4
    assert ours.statistic == pytest.approx(full.statistic, rel=1e-8)


def test_refusals():
    with pytest.raises(InferenceUnavailable, match="Entry 1"):
        wald_test(np.array([0.0, 1.0]), np.diag([1.0, 0.0]))
    with pytest.raises(InferenceUnavailable, match="No entry"):
        wald_test(np.zeros(2), np.zeros((2, 2)))
    with pytest.raises(InferenceUnavailable, match="finite"):
        wald_test(np.array([np.nan]), np.eye(1))


def test_a_level_is_between_zero_and_one():
    require_alpha(0.05)
    for alpha in (0.0, 1.0, -0.1, np.nan):
        with pytest.raises(DesignError, match="not between 0 and 1"):
            require_alpha(alpha)


@pytest.mark.parametrize("df", [1.3, 7.0, 44.7, 1e4])
def test_t_against_scipy(df):
    for statistic in (0.0, -0.3, 2.0, 11.0):
        assert t_pvalue(statistic, df) == pytest.approx(2 * stats.t.sf(abs(statistic), df), rel=1e-12)
    low, high = t_interval(1.0, 0.5, df, 0.1)
    assert (low, high) == pytest.approx(stats.t.interval(0.9, df, 1.0, 0.5), rel=1e-12)


def test_infinite_df_is_normal():
    np.testing.assert_array_equal(t_quantile([0.025, 0.975], np.inf), stats.norm.ppf([0.025, 0.975]))
    assert t_pvalue(-9.0) == pytest.approx(2 * stats.norm.sf(9.0), rel=1e-12)
    mixed = t_quantile(0.975, [np.inf, 5.0])
    np.testing.assert_allclose(mixed, [stats.norm.ppf(0.975), stats.t.ppf(0.975, 5)], rtol=1e-14)
    assert np.isnan(t_pvalue(np.nan))
