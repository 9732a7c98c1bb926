from __future__ import annotations

import time

import numpy as np
import pytest

from causalkit.effects.forest.debias import debiased_variance, posterior_mean
from causalkit.effects.forest.growing import grow_forest
from causalkit.effects.forest.honest import Growth
from causalkit.effects.forest.predicting import oob_predict, predict, predict_spread, predict_variance
from causalkit.errors import DesignError, InferenceUnavailable


def walk(forest, tree, row):
    """The leaf of a row, in plain Python (numbers only)."""
    ways, node = forest.ways, int(forest.ways.roots[tree])
    twice = np.concatenate([row, row + np.uint8(1)])
    while int(ways.words[node]) >> 32 != node:
        word = int(ways.words[node])
        node = (word >> 32) + int(twice[word >> 8 & 0x7FFFFF] > word & 255)
    ends = np.flatnonzero(ways.words >> np.uint64(32) == np.arange(len(ways.words)))
    return int(np.searchsorted(ends, node))  # leaves are numbered in the order of nodes


@pytest.fixture(scope="module")
def two_arms():
    rng = np.random.default_rng(0)
    x, arms = rng.normal(size=(500, 3)), rng.integers(0, 3, 500).astype(np.int32)
    x[rng.random((500, 3)) < 0.1] = np.nan
    w = np.eye(3)[arms][:, 1:] - 1 / 3
    y = w @ [1.0, -1.0] + rng.normal(size=500)
    weights = rng.uniform(0.5, 2.0, 500)
    extra = rng.normal(size=(500, 1))
    grown = grow_forest(x, y, w, arms=arms, weights=weights, extra=extra, growth=Growth(n_trees=40, min_node_size=3))
    return x, *grown


def by_hand(forest, x, use):
    """Predictions and covariances from the definitions, tree by tree."""
    codes, kept = forest.binning.code_all(x).T, forest.whole(forest.means)
    k, q = forest.n_treatments, forest.n_outputs
    means, covariances = [], []
    for row, trees in zip(codes, use, strict=True):
        leaf = {t: kept[walk(forest, t, row)] for t in trees}

        def parts(a):
            return a[0], a[1], a[2 : 2 + k], a[2 + k : 2 + 2 * k], a[2 + 2 * k : 2 + 2 * k + k * k].reshape(k, k), a[
                2 + 2 * k + k * k :
            ]  # fmt: skip

        n, y, w, wy, ww, e = parts(np.mean([leaf[t] for t in trees], axis=0))
        bread = np.block([[ww, w[:, None]], [w[None], np.array([[n]])]])
        theta = np.linalg.solve(bread, np.append(wy, y))
        rho = {}
        for t in trees:
            n_t, y_t, w_t, wy_t, ww_t, e_t = parts(leaf[t])
            moment = np.append(wy_t - ww_t @ theta[:k] - w_t * theta[k], y_t - w_t @ theta[:k] - n_t * theta[k])
            rho[t] = np.append(np.linalg.solve(bread, moment)[:k], (e_t - n_t * e / n) / n)
        pairs = [(t, t + 1) for t in range(0, forest.n_trees, 2) if t in leaf and t + 1 in leaf]
        group = np.array([(rho[a] + rho[b]) / 2 for a, b in pairs])
        between = group.T @ group / len(pairs)
        total = np.mean([(rho[a] ** 2 + rho[b] ** 2) / 2 for a, b in pairs], axis=0)
        means.append(np.append(theta[:k], e / n))
        covariances.append(debiased_variance(between[None], total[None], np.array([len(pairs)]), 2)[0])
    assert len(means[0]) == q
    return np.array(means), np.array(covariances)


def test_predictions_by_hand(two_arms):
    x, forest, _ = two_arms
    mean, covariance = by_hand(forest, x[:30], [range(40)] * 30)
    found = predict_spread(forest, x[:30])
    assert found.mean == pytest.approx(mean, abs=1e-10)
    assert predict(forest, x[:30]) == pytest.approx(mean, abs=1e-10)
    assert found.covariance == pytest.approx(covariance, abs=1e-10)
    assert predict_variance(forest, x[:30]) == pytest.approx(np.diagonal(covariance, axis1=1, axis2=2), abs=1e-10)


def test_out_of_bag_by_hand(two_arms):
    x, forest, bags = two_arms
    in_bag = np.unpackbits(bags.bits, axis=1, bitorder="little")[:, :20].astype(bool)
    use = [[t for t in range(40) if not in_bag[i, t // 2]] for i in range(30)]
    mean, covariance = by_hand(forest, x[:30], use)
    found = oob_predict(forest, bags, x)
    assert found.mean[:30] == pytest.approx(mean, abs=1e-10)
    assert found.covariance[:30] == pytest.approx(covariance, abs=1e-10)
    assert found.n_groups[:30].tolist() == [len(u) // 2 for u in use]
    assert not np.allclose(found.mean, predict(forest, x))


def test_covariances_are_positive_semidefinite(two_arms):
    x, forest, _ = two_arms
    assert np.linalg.eigvalsh(predict_spread(forest, x).covariance).min() > -1e-12


def test_a_prediction_is_a_weighted_regression(data):
    """Regress y on w with the forest's weights: how often a training row of the honest half shares the leaf."""
    forest, _ = grow_forest(data.x, data.y, data.w, arms=data.arms, extra=np.eye(600), growth=Growth(n_trees=20))
    codes = forest.binning.code_all(data.x[:5]).T
    for row, effect in zip(codes, predict(forest, data.x[:5])[:, 0], strict=True):
        alpha = np.mean([forest.means[walk(forest, t, row)][4:] for t in range(20)], axis=0)
        assert alpha.sum() == pytest.approx(1.0)
        design = np.column_stack([np.ones(600), data.w])
        slope = np.linalg.solve(design.T @ (design * alpha[:, None]), design.T @ (alpha * data.y))[1]
        assert effect == pytest.approx(slope, abs=1e-10)


def test_noise_is_not_learned_out_of_bag(simulated):
    """Where nobody differs, out-of-bag effects must not follow the rows' own noise."""
    found = []
    for seed in range(5):
        d = simulated(seed=seed)
        y = np.random.default_rng([9, seed]).normal(size=600)
        forest, bags = grow_forest(d.x, y, d.w, arms=d.arms, growth=Growth(n_trees=100), random_state=seed)
        own = 4 * d.w * y  # unbiased for each row's effect
        found.append(
            [np.corrcoef(m, own)[0, 1] for m in (predict(forest, d.x)[:, 0], oob_predict(forest, bags, d.x).mean[:, 0])]
        )
    in_bag, out_of_bag = np.mean(found, axis=0)
    assert in_bag > 0.2
    assert out_of_bag < 0.06


def test_standard_errors_tell_the_spread_of_estimates(simulated):
    """Over repeated samples, the mean variance is that of the prediction (within Monte Carlo error)."""
    x_new = np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0], [1.5, 1, 1, 1]])
    means, variances = [], []
    for seed in range(40):
        d = simulated(n=400, seed=seed)
        forest, _ = grow_forest(d.x, d.y, d.w, arms=d.arms, growth=Growth(n_trees=300), random_state=seed)
        found = predict_spread(forest, x_new)
        means.append(found.mean[:, 0])
        variances.append(found.covariance[:, 0, 0])
    ratio = np.mean(variances) / np.var(means, axis=0, ddof=1).mean()
    assert 0.7 < ratio < 1.6


def test_few_trees_predict_everybody_out_of_bag_and_own_up_to_their_noise(data):
    """Forests of eight trees on the same data differ by their Monte Carlo error."""
    found = []
    for seed in range(60):
        forest, bags = grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=8), random_state=seed)
        found.append(oob_predict(forest, bags, data.x))
    assert all((f.n_groups == 2).all() for f in found)
    new = [predict_spread(forest, data.x) for forest in (grow_few(data, seed) for seed in range(60))]
    spread = np.var([f.mean[:, 0] for f in new], axis=0, ddof=1).mean()
    told = np.mean([f.monte_carlo[:, 0] for f in new])
    assert 0.7 < told / spread < 1.4
    one = new[0]
    assert np.diagonal(one.whole - one.covariance, axis1=1, axis2=2) == pytest.approx(one.monte_carlo)


def grow_few(data, seed):
    return grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=8), random_state=seed)[0]


def test_posterior_mean():
    from scipy.integrate import quad
    from scipy.stats import norm

    for estimate, se in ((0.5, 1.0), (-2.0, 0.7), (3.0, 0.2)):
        mass, _ = quad(lambda v, m=estimate, s=se: norm.pdf(v, m, s), 0, 12)
        first, _ = quad(lambda v, m=estimate, s=se: v * norm.pdf(v, m, s), 0, 12)
        assert posterior_mean(np.array(estimate), np.array(se)) == pytest.approx(first / mass, rel=1e-7)
    far = posterior_mean(np.array([-1e3, 1e3, 0.0, 2.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    assert far == pytest.approx([1e-3, 1e3, 0.0, 2.0], rel=1e-5)


def test_one_row_takes_less_than_a_millisecond(data):
    forest, _ = grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=500))
    row, best = data.x[:1], 1.0
    for _ in range(200):
        start = time.perf_counter()
        predict(forest, row)
        best = min(best, time.perf_counter() - start)
    assert best < 1e-3


def test_blocks_do_not_matter(data):
    forest, _ = grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=20))
    x = np.tile(data.x, (3, 1))
    found = predict_spread(forest, x, n_jobs=2)
    assert np.array_equal(found.mean[:600], found.mean[1200:])
    assert found.mean[777] == pytest.approx(predict(forest, x[777:778])[0], abs=1e-13)
    assert predict(forest, x[:0]).shape == (0, 1)


def test_refusals(data):
    forest, bags = grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=2))
    with pytest.raises(DesignError, match="columns"):
        predict(forest, data.x[:, :2])
    with pytest.raises(DesignError, match="every tree has seen"):
        oob_predict(forest, bags, data.x)
    few, few_bags = grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=4), random_state=8)
    with pytest.raises(InferenceUnavailable, match="ore trees"):
        oob_predict(few, few_bags, data.x)
    single, _ = grow_forest(data.x, data.y, data.w, arms=data.arms, growth=Growth(n_trees=9, group_size=1))
    assert single.n_trees == 9
    with pytest.raises(InferenceUnavailable, match="groups"):
        predict_spread(single, data.x)
