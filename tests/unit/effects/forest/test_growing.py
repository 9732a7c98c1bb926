from __future__ import annotations

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

from causalkit.effects.forest.growing import grow_forest
from causalkit.effects.forest.honest import Growth
from causalkit.effects.forest.predicting import oob_predict, predict, predict_spread
from causalkit.effects.forest.trees import Tree, join, marks_of
from causalkit.errors import DesignError

SMALL = Growth(n_trees=60)


def rmse(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


def grow(data, **more):
    more = {"arms": data.arms, "growth": SMALL, **more}
    return grow_forest(data.x, data.y, data.w, **more)


def test_effects_are_found(data):
    forest, bags = grow(data, growth=Growth(n_trees=400))
    found = oob_predict(forest, bags, data.x)
    assert rmse(found.mean[:, 0], data.tau) < 0.6 * rmse(data.tau.mean(), data.tau)
    high = data.x[:, 0] > 0.5
    assert found.mean[high, 0].mean() - found.mean[data.x[:, 0] < -0.5, 0].mean() == pytest.approx(1.0, abs=0.35)


def test_the_number_of_threads_changes_nothing(data):
    one, two = grow(data)[0], grow(data, n_jobs=2)[0]
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(two, field.name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else True
    assert np.array_equal(predict(one, data.x), predict(one, data.x, n_jobs=2))


def test_the_seed_matters_and_fixes(data):
    first, again, other = (predict(grow(data, random_state=s)[0], data.x) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_trees_are_honest_halves_of_halves(data):
    forest, bags = grow(data, growth=replace(SMALL, keep_rows=True))
    n = len(data.y)
    in_bag = np.unpackbits(bags.bits, axis=1, bitorder="little")[:, :30]
    assert (in_bag.sum(axis=0) == n // 2).all()
    assert (in_bag[:, ::2] != in_bag[:, 1::2]).all()  # two groups share out the rows
    nodes = np.arange(len(forest.ways.words))
    ends = np.flatnonzero(forest.ways.words >> np.uint64(32) == nodes)  # leaves lead to themselves
    tree = np.searchsorted(forest.ways.roots, ends, side="right") - 1
    sizes = np.bincount(tree, weights=forest.size).tolist()  # leaves are numbered in the order of nodes
    assert sizes == [n // 4] * 60


def test_every_leaf_has_every_arm():
    rng = np.random.default_rng(0)
    x, arms = rng.normal(size=(800, 3)), rng.choice(3, 800, p=[0.6, 0.3, 0.1]).astype(np.int32)
    e = np.array([0.6, 0.3, 0.1])
    indicators = np.eye(3)[arms]
    forest, _ = grow_forest(
        x, rng.normal(size=800), (indicators - e)[:, 1:], arms=arms, extra=indicators, growth=Growth(n_trees=50)
    )
    shares = forest.means[:, -3:]
    assert len(shares) > 100
    assert shares.min() > 0
    assert forest.n_outputs == 5


def test_a_dose_varies_in_every_leaf():
    rng = np.random.default_rng(0)
    x, dose = rng.normal(size=(800, 3)), rng.integers(0, 3, 800) * 1.0
    forest, bags = grow_forest(x, dose * (x[:, 0] > 0) + rng.normal(size=800), dose - 1.0, growth=Growth(n_trees=200))
    assert (forest.means[:, 3] - forest.means[:, 1] ** 2).min() > 0
    slope = oob_predict(forest, bags, x).mean[:, 0]
    assert slope[x[:, 0] > 0.5].mean() == pytest.approx(1.0, abs=0.3)
    assert slope[x[:, 0] < -0.5].mean() == pytest.approx(0.0, abs=0.3)


def test_several_arms_are_told_apart():
    rng = np.random.default_rng(0)
    x, arms = rng.normal(size=(1500, 3)), rng.integers(0, 3, 1500).astype(np.int32)
    w = np.eye(3)[arms][:, 1:]
    tau = np.column_stack([2.0 * (x[:, 0] > 0), 1.0 - (x[:, 1] > 0)])
    y = (w * tau).sum(axis=1) + rng.normal(size=1500)
    centre = tau.sum(axis=1) / 3
    forest, bags = grow_forest(x, y - centre, w - 1 / 3, arms=arms, growth=Growth(n_trees=300))
    found = oob_predict(forest, bags, x).mean
    for a in range(2):
        assert np.corrcoef(found[:, a], tau[:, a])[0, 1] > 0.8
        assert abs(np.corrcoef(found[:, a], tau[:, 1 - a])[0, 1]) < 0.4


def test_missingness_can_tell_people_apart():
    rng = np.random.default_rng(0)
    n = 1000
    x, arms = rng.normal(size=(n, 2)), rng.integers(0, 2, n).astype(np.int32)
    gap = rng.random(n) < 0.4
    x[gap, 0] = np.nan
    y = (arms - 0.5) * 2.0 * gap + rng.normal(size=n)
    forest, bags = grow_forest(x, y, arms - 0.5, arms=arms, growth=Growth(n_trees=200))
    found = oob_predict(forest, bags, x).mean[:, 0]
    assert np.isfinite(found).all()
    assert found[gap].mean() - found[~gap].mean() == pytest.approx(2.0, abs=0.5)


def test_a_covariate_new_to_gaps_still_predicts(data):
    forest, _ = grow(data)
    x = data.x[:5].copy()
    x[:, 0] = np.nan
    assert np.isfinite(predict(forest, x)).all()


@pytest.mark.parametrize("labels", [np.arange(8), np.array([5, 2, 7, 0, 3, 6, 1, 4])])
def test_categories_need_no_order(labels):
    rng = np.random.default_rng(0)
    n = 1200
    level, arms = rng.integers(0, 8, n), rng.integers(0, 2, n).astype(np.int32)
    good = np.isin(level, [1, 4, 6])
    y = (arms - 0.5) * 2.0 * good + rng.normal(size=n)
    x = np.column_stack([labels[level].astype(float), rng.normal(size=n)])
    forest, bags = grow_forest(x, y, arms - 0.5, arms=arms, categorical=[0], growth=Growth(n_trees=150))
    found = oob_predict(forest, bags, x).mean[:, 0]
    assert np.corrcoef(found, good)[0, 1] > 0.85
    assert len(forest.ways.sets) > 0
    unseen = predict(forest, np.array([[99.0, 0.0], [np.nan, 0.0]]))
    assert np.isfinite(unseen).all()
    assert unseen[0] == unseen[1]


def test_names_of_categories_do_not_matter():
    rng = np.random.default_rng(0)
    level, arms = rng.integers(0, 8, 500), rng.integers(0, 2, 500).astype(np.int32)
    y = arms * (level % 3) + rng.normal(size=500)
    names = rng.permutation(8)
    a, b = (
        predict(
            grow_forest(codes[:, None] * 1.0, y, arms - 0.5, arms=arms, categorical=[0], growth=SMALL)[0],
            codes[:, None] * 1.0,
        )
        for codes in (level, names[level])
    )
    assert a == pytest.approx(b, abs=1e-10)


def test_a_row_without_weight_is_a_row_left_out(data):
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(data.y))
    weights[::5] = 0.0
    kept = weights > 0
    forest, bags = grow(data, weights=weights)
    short, _ = grow_forest(
        data.x[kept], data.y[kept], data.w[kept], arms=data.arms[kept], weights=weights[kept], growth=SMALL
    )
    assert np.array_equal(predict(forest, data.x), predict(short, data.x))
    assert (bags.units[~kept] == -1).all()
    out = oob_predict(forest, bags, data.x)
    assert np.array_equal(out.mean[~kept], predict_spread(forest, data.x[~kept]).mean)


def test_the_scale_of_weights_does_not_matter(data):
    weights = np.random.default_rng(0).uniform(0.5, 2.0, len(data.y))
    a, b = (predict_spread(grow(data, weights=c * weights)[0], data.x[:50]) for c in (1.0, 1024.0))
    assert a.mean == pytest.approx(b.mean, rel=1e-12)
    assert a.covariance == pytest.approx(b.covariance, rel=1e-9)


def test_weights_weigh(data):
    """Rows with the weight of a thousand are all that counts."""
    flipped = np.random.default_rng(1).random(len(data.y)) < 0.5
    y = np.where(flipped, data.y - 4 * data.w, data.y)
    light = np.where(flipped, 1e-3, 1.0)
    forest, _ = grow_forest(data.x, y, data.w, arms=data.arms, weights=light, growth=SMALL)
    assert predict(forest, data.x).mean() == pytest.approx(data.tau.mean(), abs=0.3)


def test_the_outcome_can_be_rescaled(data):
    a = predict_spread(grow(data)[0], data.x[:50])
    b = predict_spread(grow_forest(data.x, 64.0 * data.y, data.w, arms=data.arms, growth=SMALL)[0], data.x[:50])
    assert b.mean == pytest.approx(64.0 * a.mean, rel=1e-12)
    assert b.covariance == pytest.approx(4096.0 * a.covariance, rel=1e-9)


def test_monotone_covariates_grow_the_same_trees(data):
    a, _ = grow(data)
    b, _ = grow_forest(np.arctan(data.x), data.y, data.w, arms=data.arms, growth=SMALL)
    assert np.array_equal(a.ways.words, b.ways.words)


def test_clusters_stay_whole(data):
    groups = np.random.default_rng(0).integers(0, 60, len(data.y)).astype(np.int32)
    forest, bags = grow(data, groups=groups)
    in_bag = np.unpackbits(bags.bits, axis=1, bitorder="little")[bags.units][:, :30]
    for g in range(60):
        own = in_bag[groups == g]
        assert (own == own[0]).all()
    assert (np.unpackbits(bags.bits, axis=1, bitorder="little").sum(axis=0)[:30] == 30).all()
    names = np.random.default_rng(1).permutation(60).astype(np.int32)
    assert np.array_equal(predict(grow(data, groups=names[groups])[0], data.x), predict(forest, data.x))


def test_a_fraction_of_the_bag(data):
    forest, _ = grow(data, growth=Growth(n_trees=20, sample_fraction=0.2, keep_rows=True))
    assert forest.size.sum() == 20 * len(data.y) // 10


def test_extras_are_local_means(data):
    extra = np.column_stack([np.full(len(data.y), 3.0), data.x[:, 0]])
    forest, _ = grow(data, extra=extra)
    found = predict_spread(forest, data.x)
    assert found.mean[:, 1] == pytest.approx(3.0)
    assert found.covariance[:, 1, 1] == pytest.approx(0.0, abs=1e-12)
    assert np.corrcoef(found.mean[:, 2], data.x[:, 0])[0, 1] > 0.8
    assert found.mean[:, 0] == pytest.approx(predict(grow(data)[0], data.x)[:, 0], abs=1e-12)


def test_it_pickles_small_and_predicts_the_same(data):
    forest, _ = grow(data)
    found = predict(forest, data.x)
    text = pickle.dumps(forest)  # without what a prediction works out
    assert len(text) < forest.nbytes + 20_000
    assert forest.nbytes < 26 * len(forest.ways.words)  # a word, and four numbers of eight bytes for every other node
    assert np.array_equal(predict(pickle.loads(text), data.x), found)
    assert not forest.means.flags.writeable


def test_weights_of_one_are_no_weights(data):
    """The column of weights is not kept where it tells nothing; predictions are the same to the last bit."""
    none, _ = grow(data)
    ones, _ = grow(data, weights=np.ones(600))
    some, bags = grow(data, weights=np.full(600, 2.0))
    assert none.means.shape == ones.means.shape == (len(some.means), some.means.shape[1] - 1)
    assert np.array_equal(none.whole(none.means)[:, 0], 0.5 * some.means[:, 0])
    a, b = predict_spread(ones, data.x), predict_spread(some, data.x)
    assert np.array_equal(a.mean, b.mean)
    assert np.array_equal(a.covariance, b.covariance)
    assert np.array_equal(predict(none, data.x), predict(some, data.x))
    assert bags.bits.shape == (600, 4)


@pytest.mark.parametrize("told", [0, 1, 7, 40, 1000])
def test_trees_are_laid_end_to_end_whatever_number_was_foretold(data, told):
    """Trees of very different sizes, the smallest first."""
    single = [
        grow(data, growth=Growth(n_trees=2, min_node_size=60 // (i + 1) + 1), random_state=i)[0] for i in range(7)
    ]
    trees = []
    for forest in single:
        nodes, w = int(forest.ways.roots[1]), forest.ways
        leaves = (nodes + 1) // 2
        first = replace(
            w, words=w.words[:nodes], marks=marks_of(w.words[:nodes]), roots=w.roots[:1], levels=w.levels[:1]
        )
        trees.append(Tree(first, forest.means[:leaves]))
    joined = join(trees, single[0].binning, 1, weighted=False, n_trees=told)
    assert joined.n_trees == 7
    expected = [predict(replace(forest, ways=tree.ways), data.x) for forest, tree in zip(single, trees, strict=True)]
    for t in range(7):
        alone = replace(joined.ways, roots=joined.ways.roots[t : t + 1], levels=joined.ways.levels[t : t + 1])
        assert np.array_equal(predict(replace(joined, ways=alone), data.x), expected[t])


def test_too_few_rows():
    with pytest.raises(DesignError, match="at least 8 rows"):
        grow_forest(np.ones((6, 1)), np.ones(6), np.arange(6.0))
    with pytest.raises(DesignError, match="at least 8 clusters"):
        grow_forest(np.ones((60, 1)), np.ones(60), np.arange(60.0), groups=np.arange(60, dtype=np.int32) % 5)


def test_trees_of_too_few_rows_say_so(data):
    with pytest.raises(DesignError, match=r"Raise sample_fraction: 0\.004 of 600 rows"):
        grow(data, growth=Growth(n_trees=20, sample_fraction=0.004))


def test_a_treatment_that_never_varies():
    with pytest.raises(DesignError, match="too rare"):
        grow_forest(np.ones((60, 1)), np.ones(60), np.zeros(60), growth=SMALL)


def test_without_covariates_everybody_has_the_average(data):
    forest, _ = grow_forest(np.empty((600, 0)), data.y, data.w, arms=data.arms, growth=Growth(n_trees=200))
    found = predict(forest, np.empty((3, 0)))
    assert found.ravel() == pytest.approx(np.full(3, found[0, 0]))
    assert found[0, 0] == pytest.approx(np.polyfit(data.w, data.y, 1)[0], abs=0.05)
