"""Learners against econml with linear models: the same fits from our parts, on the same rows and folds.

``econml.json`` holds package, version and calls. econml fits S-, T- and X-learners on all rows and predicts the same
rows; our learners cross-fit, so here their parts are fitted on all rows.
"""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from causalkit.core.features import Features, Schema
from causalkit.effects.fold_models import from_levels
from causalkit.effects.r_learner import residual_ratios
from causalkit.effects.s_learner import single_model, with_arms
from causalkit.effects.x_learner import blend, imputed_effects
from causalkit.linear.least_squares import least_squares
from causalkit.nuisance.binned import BinnedTable
from causalkit.nuisance.outcome import cross_fit_outcomes, fit_outcomes, outcome_learner
from causalkit.nuisance.propensity import estimate_propensity
from causalkit.nuisance.scores import dr_scores

HERE = Path(__file__).parent
ECONML = json.loads((HERE / "econml.json").read_text())
LOGIT = LogisticRegression(C=1e6, max_iter=1000, tol=1e-10)


@pytest.fixture(scope="module")
def data():
    with gzip.open(HERE / "small.csv.gz", "rt") as file:
        rows = list(csv.reader(file))
    columns = dict(zip(rows[0], np.array(rows[1:], dtype=float).T, strict=True))
    x = np.column_stack([columns[f"x{j}"] for j in range(5)])
    features = Features(x, Schema(tuple(f"x{j}" for j in range(5)), (None,) * 5))
    return features, columns["y"], columns["w"].astype(np.int32), np.arange(len(x), dtype=np.int32) % 5


def by_arm(features, y, w):
    """Outcome models of both arms, fitted on all rows: the model of a fold that holds no row of the data."""
    n = len(y)
    twice = Features(np.vstack([features.values] * 2), features.schema)
    seen, _ = fit_outcomes(
        twice, np.tile(y, 2), np.tile(w, 2), np.repeat([0, 1], n).astype(np.int32), regressor=LinearRegression()
    )
    return seen[:n]


def single(features, y, w, rows):
    learner = outcome_learner(features, False, LinearRegression(), None, 0)
    return single_model(learner, BinnedTable(with_arms(features, w, 2)), rows, y, 2)


def agrees(effect, name):
    np.testing.assert_allclose(effect[:5], ECONML[name]["effect"], atol=1e-10)
    assert effect.mean() == pytest.approx(ECONML[name]["mean"], abs=1e-10)


def test_s_learner(data):
    features, y, w, _ = data
    agrees(single(features, y, w, np.arange(len(y))).predict(features.values)[:, 1], "SLearner")


def test_t_learner(data):
    features, y, w, _ = data
    agrees(from_levels(by_arm(features, y, w))[:, 1], "TLearner")


def test_x_learner(data):
    features, y, w, _ = data
    x = features.values
    imputed = imputed_effects(y, w, by_arm(features, y, w))[:, 0]
    controls, treated = (LinearRegression().fit(x[w == side], imputed[w == side]) for side in (0, 1))
    chances = LOGIT.fit(x, w).predict_proba(x)
    agrees(blend(((controls, treated),), x, chances)[:, 0], "XLearner")


def test_linear_dr_learner(data):
    features, y, w, folds = data
    mu = np.empty((len(y), 2))
    for fold in range(5):
        levels = single(features, y, w, np.flatnonzero(folds != fold)).predict(features.values[folds == fold])
        mu[folds == fold] = np.column_stack([levels[:, 0], levels.sum(axis=1)])
    e = estimate_propensity(features, w, folds, classifier=LOGIT, calibrate=False, clip=0.0).values
    scores = dr_scores(y, w, mu, e)
    effect(features.values, scores[:, 1] - scores[:, 0], None, "LinearDRLearner")


def test_linear_dml(data):
    features, y, w, folds = data
    mean = cross_fit_outcomes(features, y, np.zeros_like(w), folds, regressor=LinearRegression())
    e = estimate_propensity(features, w, folds, classifier=LOGIT, calibrate=False, clip=0.0).values
    # With equal outcome models for both arms, m(x) is the regression of the outcome on covariates alone.
    target, weight = residual_ratios(y, w, np.repeat(mean, 2, axis=1), e)
    effect(features.values, target[:, 0], weight[:, 0], "LinearDML")


def effect(x, target, weight, name):
    design = np.column_stack([np.ones(len(x)), x])
    names = ("1", *(f"x{j}" for j in range(x.shape[1])))
    fit = least_squares(target, design, names=names, weights=weight, vcov="HC1")
    reference = ECONML[name]
    np.testing.assert_allclose(fit.coefficients, [reference["intercept"], *reference["coef"]], atol=1e-10)
    np.testing.assert_allclose((design @ fit.coefficients)[:5], reference["effect"], atol=1e-10)
