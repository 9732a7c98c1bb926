from __future__ import annotations

import gc

import lightgbm
import numpy as np
import pytest

from causalkit.core.features import Features, Schema
from causalkit.nuisance import boosting
from causalkit.nuisance.binned import BinnedTable, _tables, binned, bins_for, dataset_parameters, part
from causalkit.nuisance.boosting import BoostingClassifier, BoostingRegressor, like
from causalkit.nuisance.outcome import Probability, Standardized
from causalkit.nuisance.penalized import LinearRegressor


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 4))
    x[:, 3] = rng.integers(0, 5, 900)
    x[:40, 1] = np.nan
    return Features(x, Schema(("a", "b", "c", "d"), (None, None, None, tuple("vwxyz"))))


def test_a_part_of_a_binned_table_gives_the_trees_of_a_fit_of_its_own(features):
    """A subset with new labels is the same as a dataset that was made from these rows with the same bins."""
    rng = np.random.default_rng(1)
    table = BinnedTable(features)
    settings = {"objective": "l2", "num_leaves": 8, "deterministic": True, "force_row_wise": True, "num_threads": 1}
    settings |= dataset_parameters(bins_for(900))
    for _ in range(3):
        rows = np.sort(rng.permutation(900)[:500])
        y = features.values[rows, 0] + rng.normal(size=500)
        rows_of_table = part(table.dataset(), rows, settings)
        rows_of_table.set_label(y)
        own = lightgbm.Dataset(
            features.values[rows], y, reference=table.dataset(), categorical_feature=[3], params=settings
        )
        one, two = (lightgbm.train(settings, data, num_boost_round=20) for data in (rows_of_table, own))
        assert np.array_equal(one.predict(features.values), two.predict(features.values))


def test_the_default_bins_follow_the_rows():
    """And a part of a large table keeps the fine bins of the whole."""
    x = np.random.default_rng(5).normal(size=(30_000, 1))
    large, small = (BinnedTable(Features(values, Schema(("a",), (None,)))) for values in (x, x[:-1]))
    assert large.dataset().feature_num_bin(0) > 200 > 64 >= small.dataset().feature_num_bin(0)
    model = BoostingRegressor().fit(large.view(np.arange(500)), np.sin(9.0 * x[:500, 0]))
    assert np.isfinite(model.predict(x[:500])).all()


def test_a_wider_table_takes_over_the_bins_of_a_narrow_one(features):
    rng = np.random.default_rng(2)
    arm = rng.integers(0, 2, 900).astype(float)
    schema = Schema((*features.names, "arm"), (*features.schema.levels, None))
    wide = Features(np.column_stack([features.values, arm]), schema)
    rows, y = np.sort(rng.permutation(900)[:700]), features.values[:, 0] * arm
    tables = BinnedTable(wide), BinnedTable(wide, BinnedTable(features))
    one, two = (BoostingRegressor((3,)).fit(t.view(rows), y[rows]).predict(wide.values) for t in tables)
    assert np.array_equal(one, two)
    assert np.ptp(one) > 1.0


def test_as_many_rounds_as_another_model(features, monkeypatch):
    """On all rows, and chosen no more; what doesn't boost, or chose by five folds, is left alone."""
    y = features.values[:, 0] + np.random.default_rng(3).normal(size=900)
    several = BoostingRegressor().fit(features.values, y)
    assert like(BoostingRegressor(), several) == BoostingRegressor()
    monkeypatch.setattr(boosting, "_ONE_VALIDATION", 100)
    for learner, target in (
        (Standardized(BoostingRegressor((3,))), y),
        (Probability(BoostingClassifier(2, (3,))), (y > 0).astype(float)),
    ):
        model = learner.fit(BinnedTable(features).view(np.arange(900)), target)
        again = like(learner, model)
        assert type(again) is type(learner)
        rounds = again.learner.rounds
        second = again.fit(BinnedTable(features).view(np.arange(900)), target)
        assert like(learner, second).learner.rounds == rounds
        binary = isinstance(learner, Probability)
        z = target if binary else (target - target.mean()) / target.std()
        settings = {"objective": "binary" if binary else "l2", **boosting.parameters(900, seed=0, n_jobs=1)}
        settings |= dataset_parameters(bins_for(900))
        data = lightgbm.Dataset(features.values, z, categorical_feature=[3], params=settings)
        hand = lightgbm.train(settings, data, num_boost_round=rounds).predict(features.values)
        np.testing.assert_allclose(
            second.predict(features.values), hand if binary else target.mean() + target.std() * hand, atol=1e-9
        )
    plain = LinearRegressor()
    assert like(plain, plain.fit(features.values[:, :1], y)) is plain


def test_learners_on_views(features):
    """On all rows the bins are those of the rows, so a view and an array teach the same."""
    y = np.nan_to_num(features.values[:, 1]) + (features.values[:, 3] == 2)
    rows = np.arange(900)
    view = BinnedTable(features).view(rows)
    assert view.shape == features.values.shape
    for learner, target in ((BoostingRegressor((3,)), y), (BoostingClassifier(2, (3,)), (y > 0).astype(float))):
        one, two = (learner.fit(x, target).predict(features.values) for x in (view, features.values))
        np.testing.assert_allclose(one, two, atol=1e-12)


def test_a_table_is_binned_once_while_its_features_live():
    features = Features(np.random.default_rng(0).normal(size=(50, 2)), Schema(("a", "b"), (None, None)))
    gc.collect()
    before = len(_tables)
    table = binned(features)
    assert binned(features) is table
    assert table.dataset() is table.dataset()
    assert table.dataset(63) is table.dataset() is not table.dataset(31)
    assert len(_tables) == before + 1
    del features
    gc.collect()
    assert len(_tables) == before
