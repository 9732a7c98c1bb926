"""Marginal treatment effects: a population that is known, influence as derivatives in the weights, and what follows from what."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import causalkit as ck
from causalkit.errors import DesignError
from causalkit.iv.mte_basis import Normal, Polynomial
from causalkit.iv.mte_fit import fit_mte
from causalkit.iv.mte_logit import logit
from causalkit.iv.mte_parameters import common_support, policy_effect, standard_parameters, weighted_quantile


def _study(n=4000, seed=0, gain=lambda u: 1.0 - 2.0 * u, binary=False):
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=n), rng.random(n)
    z = rng.integers(0, 2, n).astype(float) if binary else rng.normal(size=n)
    p = 1 / (1 + np.exp(-(1.3 * (2 * z - 1 if binary else z) + 0.5 * x)))
    D = (p > u).astype(int)
    effect = 1 + 0.3 * x + gain(u)
    y = x + 0.5 * u + D * effect + 0.3 * rng.normal(size=n)
    table = pd.DataFrame({"y": y, "D": D, "z": z, "x": x, "town": rng.integers(0, 40, n)})
    return table.assign(effect=effect, p=p, u=u)


def _fit(table, method="polynomial", order=1, **more):
    estimator = ck.MarginalTreatmentEffects(method=method, order=order)
    return estimator.fit(table, outcome="y", treatment="D", instruments="z", covariates="x", **more)


def _truths(table):
    treated = table["D"] == 1
    return [table["effect"].mean(), table.loc[treated, "effect"].mean(), table.loc[~treated, "effect"].mean()]


@pytest.mark.parametrize(("method", "order"), [("polynomial", 1), ("polynomial", 2), ("normal", 2)])
def test_recovers_a_known_population(method, order):
    gain = (lambda u: -0.8 * norm.ppf(u)) if method == "normal" else (lambda u: 1.0 - 2.0 * u)
    table = _study(n=40_000, gain=gain)
    result = _fit(table, method, order)
    for term, truth in zip(("ATE", "ATT", "ATU"), _truths(table), strict=True):
        at = result.parameters.index(term)
        assert abs(result.parameters.values[at] - truth) < 4 * result.parameters.se[at] + 0.02, term
    u = np.array(result.curve.columns["u"])
    low, high = result.curve.ci(alpha=1e-3, simultaneous=True)
    truth = 1 + 0.3 * table["x"].mean() + gain(u)
    assert np.mean((low < truth) & (truth < high)) > 0.95
    marginal = np.mean(1 + 0.3 * table["x"] + gain(table["p"]))
    assert result.policy_effect().values[0] == pytest.approx(marginal, abs=0.06)
    moved = (table["u"] > table["p"]) & (table["u"] < table["p"] + 0.1)
    assert result.policy_effect(0.1).values[0] == pytest.approx(table.loc[moved, "effect"].mean(), abs=0.08)
    assert result.heterogeneity_test().pvalue < 1e-6


def test_semiparametric_follows_a_bend():
    bend = lambda u: 3 * (u - 0.5) ** 2  # noqa: E731
    table = _study(n=40_000, gain=bend)
    result = _fit(table, "semiparametric", 3)
    low, high = result.support
    u = np.array(result.curve.columns["u"])
    assert (u[0], u[-1]) == pytest.approx((low, high))
    gap = result.curve.values - (1 + 0.3 * table["x"].mean() + bend(u))
    assert np.abs(gap[10:-10]).max() < 0.25
    inside = (table["u"] > low) & (table["u"] < high)
    assert abs(result.estimate - table.loc[inside, "effect"].mean()) < 4 * result.se + 0.02
    assert "common support" in result.estimand


def test_no_heterogeneity_is_not_found():
    pvalues = [_fit(_study(n=800, seed=seed, gain=lambda u: 0 * u)).heterogeneity_test().pvalue for seed in range(100)]
    assert np.mean(np.array(pvalues) < 0.05) < 0.13


def test_intervals_cover():
    inside = 0
    for seed in range(100):
        table = _study(n=1000, seed=500 + seed)
        result = _fit(table)
        low, high = result.parameters.ci()
        inside += (low[0] < 1.0) & (high[0] > 1.0)
    assert inside >= 88


def test_late_of_a_binary_instrument_is_its_wald_ratio_without_covariates():
    table = _study(binary=True)
    estimator = ck.MarginalTreatmentEffects(method="normal")
    result = estimator.fit(table, outcome="y", treatment="D", instruments="z")
    wald = ck.IV().fit(table, outcome="y", treatment="D", instruments="z")
    assert result.parameters.values[3] == pytest.approx(wald.estimate, rel=1e-6)
    assert result.parameters.se[3] == pytest.approx(wald.se, rel=0.01)


@pytest.mark.parametrize("basis", [Normal(), Polynomial(2), Polynomial(2, (0.3, 0.6))])
def test_integrals_are_integrals(basis):
    X = np.array([[1.0, 0.7]])
    r = basis.design(np.array([0.5]), np.array([1.0]), X)[0].shape[1]
    theta = np.random.default_rng(0).normal(size=r)
    expected = quad(lambda u: (basis.effect(np.array([u]), X) @ theta)[0], 0.2, 0.9)[0]
    found = basis.integral(np.array([0.2]), np.array([0.9]), X) @ theta
    assert found[0] == pytest.approx(expected, rel=1e-7)
    step, D = 1e-6, np.array([1.0])
    level, slope = basis.design(np.array([0.4]), D, X)
    ahead, behind = (basis.design(np.array([0.4 + s * step]), D, X)[0] for s in (1, -1))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-8)
    ahead, behind = (basis.effect(np.array([0.4 + s * step]), X) for s in (1, -1))
    np.testing.assert_allclose(basis.slope(np.array([0.4]), X), (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-8)
    assert level.shape == slope.shape


def test_the_normal_model_is_heckmans_two_regressions():
    table = _study()
    result = _fit(table, "normal")
    p = logit(table["D"].to_numpy(float), table[["x", "z"]].to_numpy()).probability
    coefficients = []
    for arm, ratio in ((1, -norm.pdf(norm.ppf(p)) / p), (0, norm.pdf(norm.ppf(p)) / (1 - p))):
        rows = (table["D"] == arm).to_numpy()
        X = np.column_stack([np.ones(rows.sum()), table.loc[rows, "x"], ratio[rows]])
        coefficients.append(np.linalg.lstsq(X, table.loc[rows, "y"], rcond=None)[0])
    difference = coefficients[0] - coefficients[1]
    assert result.estimate == pytest.approx(difference[0] + difference[1] * table["x"].mean(), rel=1e-8)
    at = 12
    u = result.curve.columns["u"][at]
    expected = difference[0] + difference[1] * table["x"].mean() + difference[2] * norm.ppf(u)
    assert result.curve.values[at] == pytest.approx(expected, rel=1e-8)


def test_the_logit_is_statsmodels():
    import statsmodels.api as sm

    table = _study(n=500)
    X = table[["x", "z"]].to_numpy()
    fit = sm.Logit(table["D"], sm.add_constant(X)).fit(disp=False, tol=1e-14)
    np.testing.assert_allclose(logit(table["D"].to_numpy(float), X).probability, fit.predict(), rtol=1e-8)


@pytest.mark.parametrize("basis", [Normal(), Polynomial(2), Polynomial(2, (0.4, 0.6))])
def test_influence_values_are_derivatives_in_the_weights(basis):
    table = _study(n=200, seed=4)
    y, D = table["y"].to_numpy() + 100.0, table["D"].to_numpy(float)
    Z, X = table[["z"]].to_numpy(), table[["x"]].to_numpy()
    base = np.random.default_rng(0).uniform(0.5, 2.0, 200)
    support = (0.2, 0.8) if isinstance(basis, Polynomial) and basis.knots else (0.0, 1.0)

    def everything(w):
        fit = fit_mte(y, D, Z, X, basis, w)
        parts = [standard_parameters(fit, support), fit.curve(np.array([0.3, 0.7]))]
        extra = [
            policy_effect(fit, shift, kind, support) for shift in (0.0, 0.15) for kind in ("index", "proportional")
        ]
        theta = np.concatenate([parts[0][0], parts[1][0], [part[0] for part in extra]])
        return theta, np.column_stack([parts[0][1], parts[1][1], *[part[1] for part in extra]])

    psi = everything(base)[1]
    for i in (3, 50, 151):
        step, ends = 1e-5 * base[i], []
        for sign in (1, -1):
            moved = base.copy()
            moved[i] += sign * step
            ends.append(everything(moved)[0])
        np.testing.assert_allclose(base[i] * (ends[0] - ends[1]) / (2 * step), psi[i], rtol=2e-4, atol=2e-7)


def test_support_and_quantiles_turn_around():
    rng = np.random.default_rng(0)
    p, D, w = rng.random(501), (rng.random(501) < 0.5).astype(float), rng.uniform(0.5, 2, 501)
    assert weighted_quantile(p, w, 0.25) == pytest.approx(1 - weighted_quantile(1 - p, w, 0.75))
    low, high = common_support(p, D, w)
    assert common_support(1 - p, 1 - D, w) == pytest.approx((1 - high, 1 - low))
    assert weighted_quantile(np.arange(5.0), np.ones(5), 0.5) == 2.0


def test_clusters_and_the_rest_of_the_result():
    table = _study(n=1500)
    result = _fit(table, cluster="town")
    plain = _fit(table)
    assert result.estimate == plain.estimate
    assert result.se != plain.se
    assert plain.with_vcov("CR1", cluster=table["town"].to_numpy()).curve.se[0] == pytest.approx(result.curve.se[0])
    assert plain.with_vcov("CR1", cluster=table["town"].to_numpy()).se == pytest.approx(result.se)
    assert "ATT" in result.summary()
    assert {row["term"] for row in result.to_dict()["parameters"]} == {"ATE", "ATT", "ATU", "LATE", "MPRTE"}
    for kind in result.plots:
        assert result.plot(kind) is not None
    assert result.checks["weak_instruments"].status == "pass"
    assert result.checks["overlap"].status == "warn"
    nothing = table.assign(z=np.random.default_rng(9).normal(size=len(table)))
    assert _fit(nothing, "normal").checks["weak_instruments"].status == "warn"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"instruments": "z2", "method": "polynomial"}, "does not vary enough"),
        ({"treatment": "three", "control": 0}, "3 arms"),
        ({"instruments": "x2"}, "determined by the covariates"),
        ({"instruments": "perfect"}, "perfectly"),
    ],
)
def test_errors_teach(changes, told):
    table = _study(n=300)
    table = table.assign(
        z2=(table["z"] > 0) * 1.0,
        three=np.arange(300) % 3,
        x2=2 * table["x"],
        perfect=table["D"] + 0.1 * table["z"] * 0,
    )
    method = changes.pop("method", "polynomial")
    covariates = [] if "z2" in changes.values() else "x"
    keywords = {"outcome": "y", "treatment": "D", "instruments": "z", "covariates": covariates, **changes}
    with pytest.raises(DesignError, match=told):
        ck.MarginalTreatmentEffects(method=method).fit(table, **keywords)


def test_kind_of_a_policy_is_checked():
    result = _fit(_study(n=300))
    with pytest.raises(DesignError, match="not an option"):
        result.policy_effect(0.1, kind="sudden")
    with pytest.raises(DesignError, match="ignores cluster="):
        ck.MarginalTreatmentEffects(vcov="HC1").fit(
            _study(n=300), outcome="y", treatment="D", instruments="z", cluster="town"
        )


def test_more_columns_than_rows_are_refused_not_tripped_over():
    table = pd.DataFrame({"y": [1.0, 2, 4, 3], "D": [0, 1, 0, 1], "z": list("abca"), "x": [0.1, 0.5, 0.2, 0.9]})
    with pytest.raises(DesignError):
        ck.MarginalTreatmentEffects().fit(table, outcome="y", treatment="D", instruments="z", covariates=["x"])
