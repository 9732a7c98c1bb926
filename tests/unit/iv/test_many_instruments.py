"""K-class estimates with many-instrument errors: closed forms written out, and simulated spreads."""

from __future__ import annotations

import numpy as np
import pytest

from causalkit.iv.many_instruments import many_instrument_fit


def _draw(rng, n=400, k=60, strength=0.3, confounding=0.8):
    Z = rng.normal(size=(n, k))
    u = rng.normal(size=n)
    D = strength * Z[:, : k // 2].sum(axis=1) / np.sqrt(k / 2) * 2 + u
    return 0.5 * D + confounding * u + rng.normal(size=n), D, Z


def test_equals_the_textbook_formulas():
    rng = np.random.default_rng(0)
    y, D, Z = _draw(rng, n=200, k=8)
    W = rng.normal(size=(200, 2))
    fit = many_instrument_fit(y, D, Z=Z, W=W)
    controls = np.column_stack([np.ones(200), W])
    P = controls @ np.linalg.pinv(controls)
    full = np.column_stack([controls, Z])
    H, eye = full @ np.linalg.pinv(full), np.eye(200)
    Y = np.column_stack([y, D])
    tilde = (eye - P) @ Y
    kappa = np.linalg.eigvals(np.linalg.solve(Y.T @ (eye - H) @ Y, Y.T @ (eye - P) @ Y)).real.min()
    for name, k in (("ols", 0.0), ("2sls", 1.0), ("liml", kappa)):
        A = (eye - P) - k * (eye - H) if name != "ols" else eye - P
        beta = (D @ A @ y) / (D @ A @ D)
        found = fit.estimates[name]
        assert found.estimate == pytest.approx(beta, rel=1e-10)
        e = tilde @ [1, -beta]
        scale = 200 / (200 - 3 - 1) if name == "ols" else 1.0
        assert found.se == pytest.approx(np.sqrt(scale * e @ e / 200 / (D @ A @ D)), rel=1e-10)
    first = fit.first_stage_f
    assert first == pytest.approx((D @ (H - P) @ D / 8) / (D @ (eye - H) @ D / (200 - 11)), rel=1e-10)


def test_just_identified_estimates_agree():
    rng = np.random.default_rng(1)
    y, D, Z = _draw(rng, k=2)
    fit = many_instrument_fit(y, D, Z=Z[:, :1])
    assert fit.estimates["liml"].estimate == pytest.approx(fit.estimates["2sls"].estimate, rel=1e-9)
    assert fit.overid_statistic is None


def test_labels_are_dummies():
    rng = np.random.default_rng(2)
    y, D, _ = _draw(rng)
    codes = rng.integers(0, 20, 400).astype(np.int32)
    D = D + 0.2 * codes
    a = many_instrument_fit(y, D, labels=[codes])
    b = many_instrument_fit(y, D, Z=(codes[:, None] == np.arange(1, 20)).astype(float))
    for name in a.estimates:
        assert a.estimates[name].estimate == pytest.approx(b.estimates[name].estimate, rel=1e-10)
        assert a.estimates[name].se == pytest.approx(b.estimates[name].se, rel=1e-10)


def test_many_instrument_errors_match_the_spread_of_estimates():
    """With 60 instruments and 400 rows the textbook error of LIML is too small; the many-instrument errors are right."""
    rng = np.random.default_rng(4)
    estimates, many, few, overid = {"liml": [], "mbtsls": []}, {"liml": [], "mbtsls": []}, [], []
    for _ in range(250):
        y, D, Z = _draw(rng)
        fit = many_instrument_fit(y, D, Z=Z)
        for name in estimates:
            estimates[name].append(fit.estimates[name].estimate)
            many[name].append(fit.estimates[name].se_many)
        few.append(fit.estimates["liml"].se)
        overid.append(fit.overid_pvalue)
    for name in estimates:
        spread = np.subtract(*np.percentile(estimates[name], [75, 25])) / 1.349
        assert np.median(many[name]) == pytest.approx(spread, rel=0.15), name
        assert abs(np.median(estimates[name]) - 0.5) < 0.03
    assert np.median(few) < 0.9 * np.median(many["liml"])
    assert 0.01 < np.mean(np.array(overid) < 0.05) < 0.11


def test_an_instrument_without_strength_has_no_finite_many_instrument_error():
    rng = np.random.default_rng(12)
    D, y = rng.normal(size=100), rng.normal(size=100)
    Z = rng.normal(size=(100, 10))
    Z -= np.outer(D - D.mean(), (D - D.mean()) @ Z) / ((D - D.mean()) ** 2).sum()  # not related to the treatment at all
    fit = many_instrument_fit(y, D, Z=Z)
    assert np.isinf(fit.estimates["mbtsls"].se_many)
