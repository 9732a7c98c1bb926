from __future__ import annotations

import numpy as np
import pytest

from causalkit.effects.forest.growing import grow_forest
from causalkit.effects.forest.honest import Growth
from causalkit.effects.forest.local_linear import tune_local_linear
from causalkit.effects.forest.predicting import find, oob_predict, predict_spread

GROWTH = Growth(n_trees=60, keep_rows=True)


def steep(n=500, seed=0, arms=2, flat=False):
    """Effects that rise with the first covariate."""
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=(n, 3)), rng.integers(0, arms, n).astype(np.int32)
    w = np.eye(arms)[arm][:, 1:] - 1 / arms
    tau = np.ones(n) if flat else 2.0 * x[:, 0]
    return x, w, arm, w[:, 0] * tau + rng.normal(size=n), tau


def fitted(weights=None, categorical=(), **more):
    x, w, arm, y, tau = steep(**more)
    forest, bags = grow_forest(x, y, w, arms=arm, weights=weights, categorical=categorical, growth=GROWTH)
    plain = oob_predict(forest, bags, x)
    k = w.shape[1]
    local = tune_local_linear(forest, bags, x, y, w, weights=weights, categorical=categorical, plain=plain.mean[:, :k])
    return x, w, y, tau, forest, bags, plain, local


@pytest.mark.parametrize(("arms", "weighted"), [(2, False), (2, True), (3, False)])
def test_a_prediction_is_a_ridge_regression_around_the_row(arms, weighted):
    """Solved as least squares on extra rows, for each point anew."""
    s = np.random.default_rng(5).uniform(0.5, 2.0, 500) if weighted else None
    x, w, y, _, forest, _, _, local = fitted(arms=arms, weights=s)
    k, share = arms - 1, np.ones(500) if s is None else s
    new = x[:4] + 0.01
    leaves = find(forest, new, 0, 4)
    found = predict_spread(forest, new, local=local).mean
    for i in range(4):
        alpha = np.zeros(500)
        for leaf in leaves[:, i]:
            rows = forest.rows[forest.leaf_starts[leaf] : forest.leaf_starts[leaf + 1]]
            alpha[rows] += share[rows] / len(rows)
        alpha /= alpha.sum()
        d = (x - new[i]) / x.std(axis=0)
        columns = [np.ones(500), *d.T]
        for a in range(k):
            columns += [w[:, a], *(w[:, [a]] * d).T]
        z = np.column_stack(columns)
        slopes = np.concatenate(
            [[0, 1, 1, 1], *([0, *3 * [np.average(w[:, a] ** 2, weights=share)]] for a in range(k))]
        )
        beta = np.linalg.solve(z.T @ (z * alpha[:, None]) + np.diag(local.penalty * slopes), z.T @ (alpha * y))
        assert found[i, :k] == pytest.approx([beta[4 * (a + 1)] for a in range(k)], abs=1e-9)


def test_steep_effects_are_followed():
    x, _, _, tau, forest, bags, plain, local = fitted()
    found = oob_predict(forest, bags, x, local=local)
    before, after = (np.sqrt(np.mean((m.mean[:, 0] - tau) ** 2)) for m in (plain, found))
    assert after < 0.7 * before
    inside = [np.mean(np.abs(m.mean[:, 0] - tau) < 1.96 * np.sqrt(m.whole[:, 0, 0])) for m in (plain, found)]
    assert inside[1] > inside[0]
    assert inside[1] > 0.85


def test_slopes_are_left_out_where_effects_do_not_differ():
    chosen = [fitted(flat=True, seed=seed)[-1] for seed in range(3)]
    assert sum(local is None or local.penalty >= 0.3 for local in chosen) >= 2


def test_standard_errors_tell_the_spread_of_estimates():
    new, means, variances = np.array([[1.0, 0, 0], [-1.0, 0.5, 0]]), [], []
    for seed in range(40):
        *_, forest, _, _, local = fitted(seed=seed, n=400)
        found = predict_spread(forest, new, local=local)
        means.append(found.mean[:, 0])
        variances.append(found.whole[:, 0, 0])
    assert 0.6 < np.mean(variances) / np.var(means, axis=0, ddof=1).mean() < 1.7


def test_gaps_and_categories_have_no_slopes():
    x, w, arm, y, _ = steep()
    x = np.column_stack([x, np.random.default_rng(1).integers(0, 3, 500)])
    x[:20, 1] = np.nan
    forest, bags = grow_forest(x, y, w, arms=arm, categorical=[3], growth=GROWTH)
    plain = oob_predict(forest, bags, x).mean[:, :1]
    local = tune_local_linear(forest, bags, x, y, w, categorical=[3], plain=plain)
    assert local.columns.tolist() == [0, 1, 2]
    assert np.isfinite(oob_predict(forest, bags, x, local=local).covariance).all()
    only = x[:, 3:]
    forest, bags = grow_forest(only, y, w, arms=arm, categorical=[0], growth=GROWTH)
    assert tune_local_linear(forest, bags, only, y, w, categorical=[0], plain=plain) is None
