"""Covariances against statsmodels, R estimatr and pyfixest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.inference.vcov import hac, least_squares_vcov
from causalkit.inference.wald import t_interval, t_pvalue

HERE = Path(__file__).parent
ESTIMATR = json.loads((HERE / "estimatr.json").read_text())


def fit(X, y, weights=None):
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    design, target = X * root[:, None], y * root
    bread = np.linalg.inv(design.T @ design)
    beta = bread @ (design.T @ target)
    return beta, design, target - design @ beta, bread


@pytest.fixture(scope="module")
def trial():
    table = np.genfromtxt(HERE / "cluster_rct.csv", delimiter=",", names=True)
    X = np.column_stack([np.ones(table.size), table["z"]])
    return X, table["y"], table["cl"].astype(np.int32)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    n = 400
    groups = rng.integers(0, 40, n).astype(np.int32)
    other = rng.integers(0, 30, n).astype(np.int32)
    shared = rng.normal(size=(40, 2))[groups] + rng.normal(size=(30, 2))[other]
    X = np.column_stack([np.ones(n), shared + rng.normal(size=(n, 2)), rng.random(n) < 0.3]).astype(float)
    y = X @ np.array([1.0, 0.5, -0.2, 2.0]) + rng.normal(size=n) * (1 + X[:, 1] ** 2) + shared[:, 0] ** 2
    return X, y, groups, other, rng.uniform(0.2, 3.0, n)


@pytest.mark.parametrize(("kind", "name"), [("CR0", "CR0"), ("CR1", "stata"), ("CR2", "CR2")])
def test_cluster_trial_matches_estimatr(trial, kind, name):
    X, y, groups = trial
    beta, design, residuals, bread = fit(X, y)
    ours = least_squares_vcov(kind, design, residuals, bread, groups=groups)
    reference = ESTIMATR["cluster_rct"][name]
    se, df = np.sqrt(ours.matrix[1, 1]), ours.df[1]
    low, high = t_interval(beta[1], se, df)
    assert beta[1] == pytest.approx(reference["est"], rel=1e-12)
    assert se == pytest.approx(reference["se"], rel=1e-12)
    assert df == pytest.approx(reference["df"], rel=1e-12)
    assert t_pvalue(beta[1] / se, df) == pytest.approx(reference["p"], rel=1e-10)
    assert (low, high) == (pytest.approx(reference["lo"], rel=1e-10), pytest.approx(reference["hi"], rel=1e-10))


@pytest.mark.parametrize("kind", ["iid", "HC0", "HC1", "HC2", "HC3"])
def test_two_arms_match_estimatr(kind):
    """With two arms the counts, means and sums of squares decide every one of these, so other data with the same serve."""
    arms, outcomes = [], []
    for arm, cell in ESTIMATR["orders_cells"].items():
        n = cell["n"]
        wave = np.sin(np.arange(n))
        wave -= wave.mean()
        outcomes.append(cell["mean"] + wave * np.sqrt(cell["sum_of_squares"] / (wave @ wave)))
        arms.append(np.full(n, float(arm)))
    z, y = np.concatenate(arms), np.concatenate(outcomes)
    beta, design, residuals, bread = fit(np.column_stack([np.ones(z.size), z]), y)
    ours = least_squares_vcov(kind, design, residuals, bread)
    reference = ESTIMATR["orders"]["classical" if kind == "iid" else kind]
    assert beta[1] == pytest.approx(reference["est"], rel=1e-11)
    assert np.sqrt(ours.matrix[1, 1]) == pytest.approx(reference["se"], rel=1e-12)
    assert ours.df[1] == reference["df"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("kind", "name"), [("iid", "nonrobust")] + [(f"HC{i}", f"HC{i}") for i in range(4)])
def test_heteroskedastic_matches_statsmodels(data, kind, name, weighted):
    from statsmodels.regression.linear_model import WLS

    X, y, _, _, weights = data
    weights = weights if weighted else np.ones(len(y))
    _, design, residuals, bread = fit(X, y, weights)
    ours = least_squares_vcov(kind, design, residuals, bread)
    np.testing.assert_allclose(ours.matrix, WLS(y, X, weights).fit(cov_type=name).cov_params(), rtol=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["CR0", "CR1"])
def test_cluster_matches_statsmodels(data, kind, weighted):
    from statsmodels.regression.linear_model import WLS

    X, y, groups, other, weights = data
    weights = weights if weighted else np.ones(len(y))
    _, design, residuals, bread = fit(X, y, weights)
    for codes, theirs in ((groups, groups), ([groups, other], np.column_stack([groups, other]))):
        ours = least_squares_vcov(kind, design, residuals, bread, groups=codes, factor="each")
        keywords = {"groups": theirs, "use_correction": kind == "CR1"}
        reference = WLS(y, X, weights).fit(cov_type="cluster", cov_kwds=keywords).cov_params()
        assert not ours.repaired
        np.testing.assert_allclose(ours.matrix, reference, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("lags", [0, 1, 4, 11])
def test_hac_matches_statsmodels(data, lags):
    from statsmodels.regression.linear_model import OLS

    X, y, *_ = data
    _, design, residuals, bread = fit(X, y)
    psi = least_squares_vcov("HC0", design, residuals, bread).psi
    reference = OLS(y, X).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}).cov_params()
    np.testing.assert_allclose(hac(psi, lags), reference, rtol=1e-10, atol=1e-14)


def test_two_way_matches_pyfixest(trial):
    X, y, groups = trial
    rows = np.arange(len(y))
    _, design, residuals, bread = fit(np.column_stack([X, np.sin(rows)]), y)
    ours = least_squares_vcov("CR1", design, residuals, bread, groups=[groups, (rows % 7).astype(np.int32)])
    reference = ESTIMATR["two_way"]["se"]
    np.testing.assert_allclose(np.sqrt(np.diag(ours.matrix)), list(reference.values()), rtol=1e-10)
    assert ours.df[0] == 6
