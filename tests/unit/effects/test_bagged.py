from __future__ import annotations

import numpy as np
import pytest

from causalkit.effects.bagged import fit_bagged, half_samples, match_covariance, shrinkage
from causalkit.nuisance.penalized import LinearRegressor


def test_halves_are_even_by_arm():
    arms = np.repeat(np.array([0, 1], np.int32), [31, 10])
    inside = half_samples(arms, None, 50, np.random.default_rng(0))
    assert set(inside[:, :31].sum(axis=1)) == {15, 16}
    assert set(inside[:, 31:].sum(axis=1)) == {5}


def test_halves_take_whole_clusters():
    arms = np.tile(np.array([0, 1], np.int32), 40)
    groups = np.repeat(np.arange(20, dtype=np.int32), 4)
    inside = half_samples(arms, groups, 20, np.random.default_rng(0))
    by_cluster = inside.reshape(20, 20, 4)
    assert (by_cluster.all(axis=2) | ~by_cluster.any(axis=2)).all()
    assert (by_cluster[:, :, 0].sum(axis=1) == 10).all()


def test_clusters_of_one_arm_are_halved_by_arm():
    arms = np.repeat(np.array([0, 1], np.int32), [32, 8])
    groups = np.repeat(np.arange(10, dtype=np.int32), 4)
    inside = half_samples(arms, groups, 20, np.random.default_rng(0))
    assert (inside[:, :32].sum(axis=1) == 16).all()
    assert (inside[:, 32:].sum(axis=1) == 4).all()


def test_spread_of_half_sample_means_estimates_the_variance_of_the_mean():
    rng = np.random.default_rng(1)
    values = rng.normal(size=200)
    inside = half_samples(np.zeros(200, np.int32), None, 4000, rng)
    means = np.array([values[half].mean() for half in inside])
    assert means.var() == pytest.approx(values.var(ddof=1) / 200, rel=0.06)


def test_matched_draws_have_the_covariance_asked_for():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(40, 3))
    draws -= draws.mean(axis=0)
    wanted = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]])
    np.testing.assert_allclose(np.cov(match_covariance(draws, wanted), rowvar=False), wanted, atol=1e-12)
    np.testing.assert_allclose(match_covariance(draws, np.cov(draws, rowvar=False)), draws, atol=1e-12)
    assert (match_covariance(np.zeros((40, 3)), wanted) == 0).all()


def test_shrinkage_matches_a_robust_regression():
    from scipy.stats import linregress

    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    y = 0.4 * x + rng.normal(size=300)
    factor, slope, t = shrinkage(y, x)
    assert slope == pytest.approx(linregress(x, y).slope, rel=1e-12)
    residual = y - y.mean() - slope * (x - x.mean())
    hc0 = np.sqrt(((x - x.mean()) ** 2 * residual**2).sum()) / ((x - x.mean()) ** 2).sum()
    assert t == pytest.approx(slope / hc0, rel=1e-12)
    assert factor == pytest.approx(slope * (1 - 1 / t**2), rel=1e-12)


@pytest.mark.parametrize(("slope", "expected"), [(-2.0, 0.0), (5.0, 1.0)])
def test_factor_lies_between_nought_and_one(slope, expected):
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    assert shrinkage(slope * x + 0.1 * rng.normal(size=500), x)[0] == pytest.approx(expected, abs=1e-3)


def test_a_prediction_that_does_not_vary_is_shrunk_away():
    assert shrinkage(np.arange(5.0), np.ones(5)) == (0.0, 0.0, 0.0)


class Linear:
    def __init__(self, x, targets):
        self.x, self.targets = x, targets

    def fit(self, rows, seed):
        return tuple(LinearRegressor().fit(self.x[rows], t[rows]) for t in self.targets.T)


def _fit(targets, x, n_jobs=1, folds=None):
    n = len(x)
    folds = np.arange(n, dtype=np.int32) % 4 if folds is None else folds
    average = targets.mean(axis=0)
    psi = (targets - average) / n
    model, held_out, _ = fit_bagged(
        lambda: Linear(x, targets),
        x,
        targets,
        folds,
        arms=(np.arange(n) % 2).astype(np.int32),
        average=average,
        average_cov=psi.T @ psi,
        n_boot=30,
        n_jobs=n_jobs,
    )
    return model, held_out


def test_pure_noise_gives_the_average_and_its_error():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(400, 3))
    targets = rng.normal(size=(400, 2))
    model, held_out = _fit(targets, x)
    still = model.factors[:, 1] == 0
    assert still.any()
    rows = np.isin(np.arange(400) % 4, np.flatnonzero(still & (model.factors[:, 0] == 0)))
    np.testing.assert_allclose(held_out.mean[rows], np.tile(targets.mean(axis=0), (rows.sum(), 1)), atol=1e-12)
    psi = (targets - targets.mean(axis=0)) / 400
    np.testing.assert_allclose(held_out.covariance[rows], np.tile(psi.T @ psi, (rows.sum(), 1, 1)), atol=1e-12)


def test_strong_signal_is_kept_with_the_standard_error_of_least_squares():
    rng = np.random.default_rng(0)
    n = 800
    x = rng.normal(size=(n, 1))
    noise = rng.normal(size=(n, 2))
    targets = np.column_stack([x[:, 0], 2 * x[:, 0]]) + noise
    model, held_out = _fit(targets, x)
    assert model.factors.min() > 0.95
    assert np.sqrt(np.mean((held_out.mean[:, 1] - 2 * x[:, 0]) ** 2)) < 0.12
    at = model.predict(np.array([[0.0], [2.0]]))
    se = np.sqrt(at.covariance[:, 1, 1])
    # se(x) of a regression line: the average over all rows, the slope over the three quarters outside a fold
    expected = np.sqrt([1 / n, 1 / n + 4 / (0.75 * n)])
    np.testing.assert_allclose(se, expected, rtol=0.25)


def test_rows_of_a_fold_do_not_touch_their_own_prediction():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    targets = np.column_stack([x[:, 0], 2 * x[:, 0]]) + 0.1 * rng.normal(size=(200, 2))
    changed = targets.copy()
    changed[::4] += 100 * rng.normal(size=(50, 2))
    first, second = _fit(targets, x)[1], _fit(changed, x)[1]
    inside = np.arange(200) % 4 == 0
    difference = (first.mean - targets.mean(axis=0)) - (second.mean - changed.mean(axis=0))
    np.testing.assert_allclose(difference[inside], 0.0, atol=1e-12)


def test_threads_do_not_change_the_answer():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    targets = rng.normal(size=(120, 2)) + x
    one, two = _fit(targets, x)[1], _fit(targets, x, n_jobs=3)[1]
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.covariance, two.covariance)


def test_the_ranking_is_there_even_where_the_factor_is_zero():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(400, 3))
    targets = rng.normal(size=(400, 2))
    folds = (np.arange(400) % 4).astype(np.int32)
    model, held_out, ranking = fit_bagged(
        lambda: Linear(x, targets),
        x,
        targets,
        folds,
        arms=(np.arange(400) % 2).astype(np.int32),
        average=targets.mean(axis=0),
        average_cov=np.eye(2) / 400,
        n_boot=30,
    )
    assert (model.factors == 0).any()
    for fold in range(4):
        for target in range(2):
            rows = folds == fold
            assert np.ptp(ranking[rows, target]) > 0
            shrunk = held_out.mean[rows, target] - targets[:, target].mean()
            np.testing.assert_allclose(shrunk, model.factors[fold, target] * ranking[rows, target], atol=1e-12)
