from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from causalkit.core.features import Features, Schema
from causalkit.nuisance.blended import best_share, blend
from causalkit.nuisance.bundle import fit_nuisances


def test_the_best_share_is_the_minimum():
    """Against a general optimiser."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=90)
    for scale in (0.1, 1.0, 3.0):
        first, second = truth + scale * rng.normal(size=90), truth + rng.normal(size=90)
        weights = rng.uniform(0.1, 2, 90)

        def loss(share, first=first, second=second, weights=weights):
            return weights @ (truth - first - share * (second - first)) ** 2

        peer = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-12})
        assert best_share(truth, first, second, weights) == pytest.approx(peer.x, abs=1e-6)
    assert best_share(truth, first, first) == 0.5
    assert best_share(truth, -truth, truth) == 1.0


@pytest.fixture(scope="module")
def two():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    arms = rng.binomial(1, 1 / (1 + np.exp(-x[:, 0]))).astype(np.int32)
    y = 2 * x[:, 0] + arms + rng.normal(size=600)
    features = Features(np.asfortranarray(x), Schema(("a", "b"), (None, None)))
    folds = fit_nuisances(features, y, arms, regressor="mean", classifier="mean").folds
    first = fit_nuisances(features, y, arms, folds=folds, regressor="mean", classifier="mean")
    second = fit_nuisances(features, y, arms, folds=folds, regressor="linear", classifier="linear")
    return x, y, arms, first, second


def test_the_better_models_get_almost_everything(two):
    x, y, arms, first, second = two
    found = blend(first, second, y, arms)
    assert np.sqrt(np.mean((found.mu - second.mu) ** 2)) < 0.05
    assert found.e.sum(axis=1) == pytest.approx(1.0)
    assert found.quality.outcome_skill[0] > 0.6
    assert found.scores[:, 1].mean() - found.scores[:, 0].mean() == pytest.approx(1.0, abs=0.3)
    here = found.folds == 2  # a fold is predicted by its own models
    assert found.models[2].predict(x[here]) == pytest.approx(found.mu[here], abs=1e-12)


def test_outcomes_of_a_fold_do_not_choose_its_shares(two):
    _, y, arms, first, second = two
    other = y.copy()
    other[first.folds == 0] = -50 * y[first.folds == 0]
    here = first.folds == 0
    assert np.array_equal(blend(first, second, y, arms).mu[here], blend(first, second, other, arms).mu[here])


def test_known_propensities_stay(two):
    _, y, arms, first, second = two
    x = two[0]
    features = Features(np.asfortranarray(x), Schema(("a", "b"), (None, None)))
    known = fit_nuisances(features, y, arms, folds=first.folds, propensity=0.5, regressor="mean", classifier="mean")
    assert blend(known, second, y, arms).propensity is known.propensity
