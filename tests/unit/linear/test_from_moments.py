from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.linear.from_moments import least_squares_from_moments

NAMES = ["y", "a", "b", "c"]


def table(n=100, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2)) + np.array([3.0, -2.0])
    y = 1.0 + X @ [2.0, -1.0] + rng.standard_normal(n)
    return np.column_stack([y, X, X[:, 0] - X[:, 1] + 4.0])


def moments(data):
    centred = data - data.mean(axis=0)
    return data.shape[0], data.mean(axis=0), centred.T @ centred


def test_agrees_with_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    data = table()
    fit = least_squares_from_moments(*moments(data), NAMES, outcome="y", regressors=["b", "a"])
    theirs = sm.OLS(data[:, 0], sm.add_constant(data[:, [2, 1]])).fit()
    assert fit.names == ("Intercept", "b", "a")
    np.testing.assert_allclose(fit.coefficients, theirs.params, atol=1e-12)
    np.testing.assert_allclose(fit.vcov, theirs.cov_params(), atol=1e-12)
    np.testing.assert_allclose(fit.bread, theirs.normalized_cov_params, atol=1e-12)
    assert fit.r2 == pytest.approx(theirs.rsquared, abs=1e-12)
    assert (fit.n, fit.df) == (100, theirs.df_resid)


def test_weighted_moments_agree_with_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    data, w = table(), np.random.default_rng(1).uniform(0.2, 3.0, 100)
    mean = w @ data / w.sum()
    cross = (data - mean).T @ (w[:, None] * (data - mean))
    fit = least_squares_from_moments(100, mean, cross, NAMES, outcome="y", regressors=["a", "b"], total=w.sum())
    theirs = sm.WLS(data[:, 0], sm.add_constant(data[:, 1:3]), weights=w).fit()
    np.testing.assert_allclose(fit.coefficients, theirs.params, atol=1e-12)
    np.testing.assert_allclose(fit.vcov, theirs.cov_params(), atol=1e-12)
    assert fit.r2 == pytest.approx(theirs.rsquared, abs=1e-12)


def test_takes_the_moments_of_a_table():
    import pandas as pd

    from causalkit.data.moments import Moments

    data = table()
    m = Moments.of(pd.DataFrame(data + 1e9, columns=NAMES), NAMES)
    fit = least_squares_from_moments(
        m.counts[0], m.means[0], m.cross_products(), m.columns, outcome="y", regressors=["a", "b"]
    )
    expected = np.linalg.lstsq(np.column_stack([np.ones(100), data[:, 1:3]]), data[:, 0], rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients[1:], expected[1:], atol=1e-7)


def test_collinear_and_constant_regressors_are_dropped():
    data = np.column_stack([table(), np.full(100, 5.0)])
    fit = least_squares_from_moments(*moments(data), [*NAMES, "five"], outcome="y", regressors=["a", "five", "b", "c"])
    assert fit.names == ("Intercept", "a", "b")
    assert fit.dropped == {"five": "constant", "c": "collinear with a, b"}


def test_an_intercept_alone_is_the_mean():
    data = table()
    fit = least_squares_from_moments(*moments(data), NAMES, outcome="y", regressors=[])
    assert fit.coefficients.tolist() == pytest.approx([data[:, 0].mean()])
    assert fit.vcov[0, 0] == pytest.approx(data[:, 0].var(ddof=1) / 100, rel=1e-12)
    assert fit.r2 == pytest.approx(0.0, abs=1e-15)


def test_a_constant_outcome_has_no_r2():
    data = table()
    data[:, 0] = 3.0
    fit = least_squares_from_moments(*moments(data), NAMES, outcome="y", regressors=["a"])
    assert np.isnan(fit.r2)
    np.testing.assert_allclose(fit.coefficients, [3.0, 0.0], atol=1e-14)


def test_bad_requests_are_named():
    good = moments(table())
    with pytest.raises(DataError, match="no moments of 'z'"):
        least_squares_from_moments(*good, NAMES, outcome="y", regressors=["z"])
    with pytest.raises(DesignError, match="both the outcome and a regressor"):
        least_squares_from_moments(*good, NAMES, outcome="y", regressors=["y"])
    with pytest.raises(DataError, match="4 names"):
        least_squares_from_moments(good[0], good[1][:2], good[2], NAMES, outcome="y", regressors=["a"])
    with pytest.raises(DataError, match="twice"):
        least_squares_from_moments(*good, NAMES, outcome="y", regressors=["a", "a"])
    with pytest.raises(InferenceUnavailable, match="3 rows"):
        least_squares_from_moments(3, *good[1:], NAMES, outcome="y", regressors=["a", "b"])
    broken = good[1].copy()
    broken[1] = np.nan
    with pytest.raises(DataError, match="moment of 'a' is not finite"):
        least_squares_from_moments(good[0], broken, good[2], NAMES, outcome="y", regressors=["a"])
