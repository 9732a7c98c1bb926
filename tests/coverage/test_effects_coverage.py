"""Coverage of the average effect, size of the tests, and accuracy of effects person by person, by simulation.

The designs are those of Nie and Wager (2021), Wager and Athey (2018), and a coupon trial with a binary outcome and
effects of a few points.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck

QUICK = {"regressor": "linear", "classifier": "linear", "n_folds": 2}
ROLES = {"outcome": "y", "treatment": "w"}


def confounded(rng, n=200, clusters=None):
    """Effect 1 + x on average 1, with treatment more likely at high x; optionally a shared shock per cluster."""
    x = rng.normal(size=n)
    group = np.arange(n) // (n // clusters) if clusters else np.arange(n)
    shock = rng.normal(size=n)[group] if clusters else 0.0
    chance = 1 / (1 + np.exp(-0.5 * x))
    w = (rng.random(n) < chance).astype(int)
    return {"y": x + w * (1 + x) + shock + rng.normal(size=n), "w": w, "x": x, "group": group}


def covered(reps, clusters=None, seed=0):
    rng = np.random.default_rng(seed)
    inside = 0
    for rep in range(reps):
        table = confounded(rng, clusters=clusters)
        fitted = ck.AIPW(**QUICK, random_state=rep).fit(
            table, **ROLES, covariates="x", cluster="group" if clusters else None
        )
        low, high = fitted.ci()
        inside += low <= 1.0 <= high
    return inside / reps


def test_average_effect_covers():
    """150 draws: within three binomial standard errors of 95 %, and a little room below for n = 200."""
    assert 0.89 <= covered(150) <= 1.0


@pytest.mark.long
@pytest.mark.parametrize("clusters", [None, 40])
def test_average_effect_covers_at_length(clusters):
    assert 0.93 <= covered(1000, clusters, seed=1) <= 0.97


def coupon(rng, n):
    """A coupon trial: binary outcome, effects from -6 to 12 points, some people harmed."""
    x = rng.normal(size=(n, 6))
    base = 1 / (1 + np.exp(2 - x[:, 0] - 0.5 * x[:, 1]))
    treated = np.clip(base + 0.12 / (1 + np.exp(-4 * x[:, 2])) - 0.06 * (x[:, 3] > 1), 0.001, 0.999)
    w = rng.integers(0, 2, n)
    return x, w, (rng.random(n) < np.where(w == 1, treated, base)).astype(float), treated - base, 0.5


def strong(rng, n):
    """Setup D of Nie and Wager (2021)."""
    x = rng.normal(size=(n, 6))
    up, down = np.maximum(x[:, 0] + x[:, 1] + x[:, 2], 0), np.maximum(x[:, 3] + x[:, 4], 0)
    w = (rng.random(n) < 1 / (1 + np.exp(-x[:, 0]) + np.exp(-x[:, 1]))).astype(int)
    return x, w, (up + down) / 2 + (w - 0.5) * (up - down) + rng.normal(size=n), up - down, None


def steep(rng, n):
    """Equation 28 of Wager and Athey (2018)."""
    x = rng.uniform(size=(n, 6))
    tau = np.prod(1 + 1 / (1 + np.exp(-20 * (x[:, :2] - 1 / 3))), axis=1)
    w = rng.integers(0, 2, n)
    return x, w, (w - 0.5) * tau + rng.normal(size=n), tau, 0.5


def errors(design, seed, n=2000):
    """Root mean squared error on new people: of the model, and of the average effect for everybody."""
    rng = np.random.default_rng(seed)
    x, w, y, _, chance = design(rng, n)
    names = [f"x{j}" for j in range(x.shape[1])]
    table = {"y": y, "w": w} | dict(zip(names, x.T, strict=True))
    model = ck.DRLearner(random_state=seed).fit(table, **ROLES, covariates=names, propensity=chance)
    fresh, _, _, tau, _ = design(rng, n)
    effect = model.cate(dict(zip(names, fresh.T, strict=True)))
    low, high = model.cate_ci(dict(zip(names, fresh.T, strict=True)))
    rmse = float(np.sqrt(np.mean((effect - tau) ** 2)))
    constant = float(np.sqrt(np.mean((model.estimate - tau) ** 2)))
    return rmse, constant, float(np.mean((low <= tau) & (tau <= high)))


def test_strong_effects_are_found():
    rmse, constant, _ = errors(strong, 0, n=1000)
    assert rmse < 0.65 * constant


@pytest.mark.long
def test_weak_effects_are_never_predicted_much_worse_than_by_the_constant():
    found = np.array([errors(coupon, seed) for seed in range(20)])
    assert found[:, 0].mean() <= found[:, 1].mean()
    assert (found[:, 0] <= 1.15 * found[:, 1]).mean() >= 0.9


@pytest.mark.long
@pytest.mark.parametrize(("design", "share"), [(strong, 0.55), (steep, 0.3)])
def test_strong_effects_are_found_at_length(design, share):
    found = np.array([errors(design, seed) for seed in range(5)])
    assert found[:, 0].mean() < share * found[:, 1].mean()


@pytest.mark.long
def test_calibration_test_does_not_see_differences_where_there_are_none():
    rng = np.random.default_rng(0)
    rejected, reps = 0, 200
    for seed in range(reps):
        x, w = rng.normal(size=400), rng.integers(0, 2, 400)
        table = {"y": x + w + rng.normal(size=400), "w": w, "x": x}
        model = ck.DRLearner(**QUICK, n_boot=10, random_state=seed).fit(table, **ROLES, covariates="x", propensity=0.5)
        pvalue = model.calibration_test().checks["heterogeneity"].pvalue
        rejected += pvalue is not None and pvalue < 0.05
    assert rejected / reps <= 0.07


def trial_error(seed, chance):
    """Root mean squared error of DRLearner out of fold in a trial, with known or estimated propensity."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1000, 4))
    w, tau = rng.integers(0, 2, 1000), 1.0 + np.maximum(x[:, 0], 0)
    names = [f"x{j}" for j in range(4)]
    table = {"y": x[:, 1] + w * tau + rng.normal(size=1000), "w": w} | dict(zip(names, x.T, strict=True))
    model = ck.DRLearner(random_state=seed, n_boot=0).fit(table, **ROLES, covariates=names, propensity=chance)
    return float(np.sqrt(np.mean((model.cate() - tau) ** 2)))


@pytest.mark.parametrize("reps", [3, pytest.param(20, marks=pytest.mark.long)])
def test_estimating_a_propensity_that_is_known_costs_little(reps):
    """In trials the default is as accurate as with the known propensity, within a tenth: no calibration in sample."""
    estimated, known = (np.mean([trial_error(seed, chance) for seed in range(reps)]) for chance in (None, 0.5))
    assert estimated < 1.1 * known
