"""DoubleML, TMLE and residual-on-residual projections against DoubleML 0.11.4, econml 0.17 and R grf 2.6.1.

The public estimators run on fixed folds with the learners that the references used; numbers, versions and calls lie in
``double_ml.json``, made by ``double_ml_reference.py``.
"""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalkit as ck
from causalkit.effects.averages import average_effect, target_effect
from causalkit.effects.double_ml_nuisance import Splits
from causalkit.effects.double_ml_setup import Setup
from causalkit.effects.outcome_scale import Scale
from causalkit.effects.tmle import fluctuate, targeted_effect, targeted_study
from causalkit.nuisance.scores import dr_scores

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "double_ml.json").read_text())
X = [f"x{j}" for j in range(5)]


def read(name):
    with gzip.open(HERE / name, "rt") as file:
        rows = list(csv.reader(file))
    return dict(zip(rows[0], np.array(rows[1:], dtype=float).T, strict=True))


@pytest.fixture(scope="module")
def data():
    found = read("predictions.csv.gz") | read("double_ml.csv.gz")
    at = np.arange(len(found["y"]))
    return {**found, "arm": (found["w"] * (1 + at % 2)).astype(int), "other": (at * 7) % 50}


@pytest.fixture
def on_folds(monkeypatch):
    """Let every repetition use given folds, in the order of the table."""

    def install(*repeats):
        original = Setup.learners

        def learners(self, run, repeat):
            return replace(original(self, run, repeat), splits=Splits.of(*(way[self.order] for way in repeats[repeat])))

        monkeypatch.setattr(Setup, "learners", learners)

    return install


def logit():
    return LogisticRegression(C=1e6, tol=1e-10, max_iter=10000)


def double_ml(method, **changes):
    return ck.DoubleML(method=method, regressor=LinearRegression(), classifier=logit(), random_state=0, **changes)


def fit(data, estimator, outcome="y", treatment="w", covariates=X, **roles):
    return estimator.fit(data, outcome=outcome, treatment=treatment, covariates=covariates, **roles)


def same(result, name, vcov="HC0"):
    reference = REFERENCE[name]
    assert result.estimate == pytest.approx(reference["coef"][0], abs=1e-9)
    assert result.with_vcov(vcov).se == pytest.approx(reference["se"][0], abs=1e-9)


@pytest.mark.parametrize("method", ["plr", "plr_iv", "irm", "irm_hajek"])
def test_doubleml(data, on_folds, method):
    on_folds((np.arange(2000) % 5,))
    same(fit(data, double_ml(method)), method)


def test_doubleml_effect_on_the_treated(data, on_folds):
    on_folds((np.arange(2000) % 5,))
    same(fit(data, double_ml("irm")).ate("treated"), "irm_atte")


def test_doubleml_binary_outcome(data, on_folds):
    on_folds((np.arange(2000) % 5,))
    estimator = ck.DoubleML(method="irm", classifier=logit(), random_state=0)
    same(fit(data, estimator, outcome="yb"), "irm_binary")


def test_doubleml_dose(data, on_folds):
    on_folds((np.arange(2000) % 5,))
    same(fit(data, double_ml("auto"), treatment="x2", covariates=["x0", "x1", "x3", "x4"]), "plr_dose")


def test_doubleml_clusters(data, on_folds):
    on_folds((data["cluster"].astype(int) % 5,))
    same(fit(data, double_ml("plr"), cluster="cluster"), "plr_clustered", "CR0")


def test_doubleml_two_ways_of_clusters(data, on_folds):
    """The estimate is DoubleML's. Its variance adds both ways block by block; ours takes the intersection off once."""
    on_folds((data["cluster"].astype(int) % 2, data["other"] % 2))
    found = fit(data, double_ml("plr", n_folds=2), cluster=["cluster", "other"])
    assert found.estimate == pytest.approx(REFERENCE["plr_two_way"]["coef"][0], abs=1e-9)
    v = found.residuals[0]
    psi = v.treatment * (v.outcome - found.estimate / found.unit * v.treatment) / (v.treatment @ v.treatment)
    total = 0.0
    for code, sign in [(data["cluster"], 1), (data["other"], 1), (data["cluster"] * 50 + data["other"], -1)]:
        total += sign * (np.bincount(code.astype(int), psi) ** 2).sum()
    assert found.se == pytest.approx(found.unit * np.sqrt(50 / 49 * total), rel=1e-10)


def test_doubleml_repeated(data, on_folds):
    """The median is DoubleML's; the error is definition 3.3 of Chernozhukov et al., from DoubleML's single fits."""
    at = np.arange(2000)
    on_folds((at % 5,), (at // 400,), ((at // 2) % 5,))
    found = fit(data, double_ml("plr", n_repeats=3))
    reference = REFERENCE["plr_repeated"]
    assert found.estimate == pytest.approx(reference["coef"][0], abs=1e-9)
    single, se = np.array(reference["all_coef"]), np.array(reference["all_se"])
    expected = np.sqrt(np.median(2000 / 1999 * se**2 + (single - found.estimate) ** 2))
    assert found.se == pytest.approx(expected, abs=1e-9)


def test_doubleml_groups_and_projection(data, on_folds):
    on_folds((np.arange(2000) % 5,))
    found = fit(data, double_ml("irm"))
    groups = found.gate(data["x1"] > 0).with_vcov("HC0").effects
    reference = np.array(REFERENCE["irm_gate"])
    np.testing.assert_allclose(groups.values, reference[:, 0], atol=1e-9)
    np.testing.assert_allclose(groups.se, reference[:, 1], atol=1e-9)
    line = found.blp(["x1", "x2"], vcov="HC0").effects
    reference = np.array(REFERENCE["irm_cate"])
    np.testing.assert_allclose(line.values, reference[:, 0], atol=1e-9)
    np.testing.assert_allclose(line.se, reference[:, 1], atol=1e-9)


def test_doubleml_several_arms(data):
    """DoubleML models the probability of each arm on its own, so the scores are built from such probabilities here."""
    x, y, arm = np.column_stack([data[name] for name in X]), data["y"], data["arm"]
    mu, e = np.empty((2000, 3)), np.empty((2000, 3))
    for fold in range(5):
        train = np.arange(2000) % 5 != fold
        for level in range(3):
            own = train & (arm == level)
            mu[~train, level] = LinearRegression().fit(x[own], y[own]).predict(x[~train])
            e[~train, level] = logit().fit(x[train], arm[train] == level).predict_proba(x[~train])[:, 1]
    scores = dr_scores(y, arm.astype(np.int32), mu, e)
    reference = REFERENCE["apos"]
    levels = average_effect(scores, small_sample=False)
    np.testing.assert_allclose(levels.theta, reference["coef"], atol=1e-9)
    np.testing.assert_allclose(levels.se, reference["se"], atol=1e-9)
    contrasts = levels.linear([[-1, 1, 0], [-1, 0, 1]])
    np.testing.assert_allclose(contrasts.theta, reference["contrast"][0], atol=1e-9)
    np.testing.assert_allclose(contrasts.se, reference["contrast"][1], atol=1e-9)


def test_econml_linear_dml(data, on_folds):
    on_folds((np.arange(2000) % 5,))
    found = fit(data, double_ml("plr")).blp(vcov="HC1").effects
    reference = REFERENCE["econml"]
    np.testing.assert_allclose(found.values, [reference["intercept"], *reference["coef"]], atol=1e-9)
    np.testing.assert_allclose(found.se[1:], reference["coef_se"], atol=1e-9)
    average = found.contrast([1.0, *(data[name].mean() for name in X)])
    assert average.values[0] == pytest.approx(reference["ate"], abs=1e-9)
    assert average.se[0] == pytest.approx(reference["ate_se"], abs=1e-9)


def test_doubleml_effect_on_the_treated_of_a_job_programme():
    """NSW participants against CPS rows: DoubleML 0.11.4, ATTE, folds by row mod 5, trimming at 0.01.

    1273.6411766 (652.8634589); the logistic regressions behind it had converged to 1e-7 only.
    """
    causaldata = pytest.importorskip("causaldata")
    import pandas as pd

    treated, others = (getattr(causaldata, name).load_pandas().data for name in ("nsw_mixtape", "cps_mixtape"))
    table = pd.concat([treated[treated["treat"] == 1], others], ignore_index=True)
    x = table[["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]].to_numpy(float)
    y, w, fold = table["re78"].to_numpy(float), table["treat"].to_numpy(np.int32), np.arange(len(table)) % 5
    mu, e = np.empty((len(y), 2)), np.empty(len(y))
    for k in range(5):
        train = fold != k
        for arm in (0, 1):
            own = train & (w == arm)
            mu[~train, arm] = LinearRegression().fit(x[own], y[own]).predict(x[~train])
        model = LogisticRegression(C=1e6, tol=1e-10, max_iter=1000, solver="newton-cholesky")
        e[~train] = model.fit(x[train], w[train]).predict_proba(x[~train])[:, 1]
    e = np.clip(e, 0.01, 0.99)
    found = target_effect("treated", y, w, mu, np.column_stack([1 - e, e]), normalize=False, small_sample=False)
    assert found.theta[0] == pytest.approx(1273.6411766, abs=1e-3)
    assert found.se[0] == pytest.approx(652.8634589, abs=1e-3)


@pytest.fixture(scope="module")
def forest_study(data):
    """The study that grf's predictions describe."""
    result = ck.AIPW(regressor="mean", n_folds=2, random_state=0).fit(data, outcome="y", treatment="w", propensity="e")
    tau, e, y = data["grf_tau"], data["e"], data["y"]
    center = data["grf_y"]
    mu = np.column_stack([center - e * tau, center + (1 - e) * tau])
    chances = np.column_stack([1 - e, e])
    n = replace(result.study.nuisances, mu=mu, scores=dr_scores(y, data["w"].astype(np.int32), mu, chances))
    return replace(result.study, z=y, scale=Scale(0.0, 0.0, 1.0, False), nuisances=n)


def test_grf_tmle(forest_study):
    study = targeted_study(forest_study, "tmle_linear")
    found = average_effect(study.contrasts)
    reference = REFERENCE["grf"]["tmle_all"]
    assert found.theta[0] == pytest.approx(reference["estimate"], abs=1e-12)
    # grf adds the variance of the mean prediction to that of the two steps; the influence values hold their covariance too.
    assert found.se[0] == pytest.approx(reference["std.err"], rel=0.01)
    plug_in = study.nuisances.mu[:, 1] - study.nuisances.mu[:, 0]
    assert found.theta[0] == pytest.approx(plug_in.mean(), abs=1e-12)


@pytest.mark.parametrize(("target", "own"), [("treated", 1), ("control", 0)])
def test_grf_tmle_of_att_and_atc(data, forest_study, target, own):
    """grf takes the group's mean outcome from the model of its own arm; ours is the observed mean.

    The gap is the mean residual of that model in the group, to the last digit.
    """
    found = targeted_effect(forest_study, target, "tmle_linear")
    here = data["w"] == own
    residual = (data["y"] - forest_study.nuisances.mu[:, own])[here].mean()
    sign = 2 * own - 1
    expected = REFERENCE["grf"][f"tmle_{target}"]
    assert found.theta[0] - sign * residual == pytest.approx(expected["estimate"], abs=1e-12)
    assert found.se[0] == pytest.approx(expected["std.err"], rel=0.05)


def test_grf_effect_in_a_subset(data, forest_study):
    here = data["x1"] > 0
    found = average_effect(forest_study.contrasts[here])
    assert found.theta[0] == pytest.approx(REFERENCE["grf"]["subset_x1pos"]["estimate"], abs=1e-10)
    assert found.se[0] == pytest.approx(REFERENCE["grf"]["subset_x1pos"]["std.err"], abs=1e-10)


def test_logistic_step_is_that_of_statsmodels(data, forest_study):
    """A weighted logistic regression on a constant, with the initial logit as offset."""
    import statsmodels.api as sm

    y, mu, rows = forest_study.z, forest_study.nuisances.mu[:, 1], data["w"] == 1
    low, high = y.min(), y.max()
    clever = 1.0 / data["e"]
    moved = fluctuate(forest_study, mu, rows, clever, "tmle")
    start = np.clip((mu - low) / (high - low), 0.005, 0.995)
    offset = np.log(start / (1 - start))
    share = (y - low) / (high - low)
    model = sm.GLM(
        share[rows], np.ones(rows.sum()), family=sm.families.Binomial(), offset=offset[rows], var_weights=clever[rows]
    )
    step = model.fit(tol=1e-14).params[0]
    np.testing.assert_allclose(moved, low + (high - low) / (1 + np.exp(-offset - step)), atol=1e-9)
