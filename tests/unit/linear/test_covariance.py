from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.linear import covariance
from causalkit.linear.least_squares import least_squares


def panel(units=30, periods=5, seed=0):
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    keep = rng.random(unit.size) > 0.2
    unit, time = unit[keep].astype(np.int32), time[keep].astype(np.int32)
    alpha = rng.standard_normal(units)
    X = rng.standard_normal((unit.size, 2)) + alpha[unit, None]
    return X @ [1.0, -0.5] + alpha[unit] + 0.1 * time + rng.standard_normal(unit.size), X, unit, time, rng


def explicit(unit, time):
    return np.column_stack([np.eye(unit.max() + 1)[unit], np.eye(time.max() + 1)[time][:, 1:]])


@pytest.mark.parametrize("cluster", ["unit", "region", "time", "crossing"])
@pytest.mark.parametrize("vcov", ["CR2", "CR3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_bias_reduced_kinds_agree_with_explicit_dummies(vcov, cluster, weighted):
    """Absorbed or written out, the adjustment and the degrees of freedom are the same."""
    y, X, unit, time, rng = panel(units=12, periods=4)
    groups = {"unit": unit, "region": unit // 3, "time": time, "crossing": rng.integers(0, 5, y.size)}[cluster]
    w = rng.uniform(0.5, 2.0, y.size) if weighted else None
    options = {"groups": groups.astype(np.int32), "vcov": vcov, "weights": w}
    wide = np.column_stack([X, explicit(unit, time)])
    long = least_squares(y, wide, names=[str(j) for j in range(wide.shape[1])], **options)
    ours = least_squares(y, X, names=["a", "b"], absorb=[unit, time], **options)
    np.testing.assert_allclose(ours.coefficients, long.coefficients[:2], atol=1e-12)
    np.testing.assert_allclose(ours.vcov.matrix, long.vcov.matrix[:2, :2], atol=1e-11)
    np.testing.assert_allclose(ours.df, long.df[:2], rtol=1e-9)


def test_jackknife_agrees_with_leaving_clusters_out():
    y, X, unit, time, _ = panel(units=12, periods=4)
    fit = least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR3")
    total = np.zeros((2, 2))
    for left_out in range(12):
        rest = unit != left_out
        wide = np.column_stack([X, explicit(unit, time)])[rest]
        change = np.linalg.lstsq(wide, y[rest], rcond=None)[0][:2] - fit.coefficients
        total += np.outer(change, change)
    np.testing.assert_allclose(fit.vcov.matrix, total * 11 / 12, atol=1e-12)


@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_leverage_kinds_agree_with_explicit_dummies(vcov, weighted):
    y, X, unit, time, rng = panel()
    w = rng.uniform(0.5, 2.0, y.size) if weighted else None
    wide = np.column_stack([X, explicit(unit, time)])
    long = least_squares(y, wide, names=[str(j) for j in range(wide.shape[1])], vcov=vcov, weights=w)
    ours = least_squares(y, X, names=["a", "b"], absorb=[unit, time], vcov=vcov, weights=w)
    np.testing.assert_allclose(ours.vcov.matrix, long.vcov.matrix[:2, :2], atol=1e-12)


@pytest.mark.parametrize("vcov", ["HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"])
def test_the_intercept_is_carried_back_from_centred_columns(vcov):
    y, X, unit, _, _ = panel()
    X = np.column_stack([np.ones(y.size), X + 5.0])
    groups = unit if vcov.startswith("CR") else None
    fit = least_squares(y, X, names=["Intercept", "a", "b"], groups=groups, vcov=vcov)
    # a rotation of the regressors that has no constant column is solved as it stands
    turn = np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    raw = least_squares(y, X @ turn, names=["p", "q", "r"], groups=groups, vcov=vcov)
    np.testing.assert_allclose(turn @ raw.coefficients, fit.coefficients, atol=1e-10)
    np.testing.assert_allclose(turn @ raw.vcov.matrix @ turn.T, fit.vcov.matrix, atol=1e-10)
    np.testing.assert_allclose(raw.psi @ turn.T, fit.psi, atol=1e-10)


def test_degrees_of_freedom_of_the_intercept_are_its_own():
    from causalkit.inference.vcov import least_squares_vcov

    y, X, unit, _, _ = panel()
    X = np.column_stack([np.ones(y.size), X + 1.0])
    fit = least_squares(y, X, names=["Intercept", "a", "b"], groups=unit, vcov="CR2")
    bread = np.linalg.inv(X.T @ X)
    expected = least_squares_vcov("CR2", X, y - X @ (bread @ X.T @ y), bread, groups=unit)
    np.testing.assert_allclose(fit.df, expected.df, rtol=1e-9)


def test_too_many_dummies_are_refused(monkeypatch):
    monkeypatch.setattr(covariance, "_MAX_DUMMIES", 3)
    y, X, unit, time, _ = panel()
    with pytest.raises(InferenceUnavailable, match="5 absorbed levels"):
        least_squares(y, X, names=["a", "b"], absorb=[unit, time], groups=unit, vcov="CR2")


def test_kind_and_clusters_must_go_together():
    y, X, unit, _, _ = panel()
    with pytest.raises(DesignError, match="Unknown covariance"):
        least_squares(y, X, names=["a", "b"], vcov="HC9")
    with pytest.raises(DesignError, match="does not take clusters"):
        least_squares(y, X, names=["a", "b"], groups=unit, vcov="HC1")
    with pytest.raises(DesignError, match="needs clusters"):
        least_squares(y, X, names=["a", "b"], vcov="CR1")
