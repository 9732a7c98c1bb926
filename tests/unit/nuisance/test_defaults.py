from __future__ import annotations

import time

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError
from causalkit.nuisance.adapters import prepare
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.features import OneHot


@pytest.fixture
def shop():
    """A number with gaps, a category whose codes have no order, and an outcome that needs both."""
    rng = np.random.default_rng(4)
    category = rng.integers(4, size=1500).astype(float)
    number = rng.normal(size=1500)
    mean = np.array([0.0, 3.0, -1.0, 2.0])[category.astype(int)] + number
    gap = rng.random(1500) < 0.2
    mean[gap] += 2.0 - number[gap]
    x = np.column_stack([category, np.where(gap, np.nan, number)])
    return x, mean, mean + 0.5 * rng.normal(size=1500)


@pytest.mark.parametrize("spec", [None, "lightgbm", "linear"])
def test_gaps_and_categories_are_understood(matrix, shop, spec):
    x, mean, y = shop
    learner = as_regressor(spec, matrix(x, categorical=[0]))
    predicted = learner.fit(x[:1000], y[:1000]).predict(x[1000:])
    assert np.sqrt(np.mean((predicted - mean[1000:]) ** 2)) < 0.25
    positive = (y > 1).astype(float)
    chance = as_classifier(spec, matrix(x, categorical=[0])).fit(x[:1000], positive[:1000]).predict(x[1000:])
    assert chance.shape == (500, 2)
    assert np.mean((chance[:, 1] > 0.5) == (positive[1000:] == 1)) > 0.9


def test_the_default_does_not_learn_noise():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 6)), rng.normal(size=2000)
    predicted = as_regressor().fit(x, y).predict(x)
    assert predicted.std() < 0.15
    assert as_classifier().fit(x, (y > 0).astype(float)).predict(x)[:, 1].std() < 0.075


@pytest.mark.long
def test_the_default_is_the_same_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60_000, 4))
    y = x[:, 0] * x[:, 1] + 10 * rng.normal(size=60_000)
    one, two = (as_regressor(n_jobs=jobs).fit(x, y).predict(x) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_clusters_stay_whole_inside_the_default():
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(40), 50).astype(np.int32)
    x = np.column_stack([rng.normal(size=40)[cluster], rng.normal(size=2000)])
    y = rng.normal(size=40)[cluster] + 0.1 * rng.normal(size=2000)  # nothing that carries over to a new cluster
    fitted = {
        name: as_regressor().fit(x, y, groups=g).predict(x).std() for name, g in (("rows", None), ("whole", cluster))
    }
    assert fitted["whole"] < 0.6 * fitted["rows"]


def test_little_data_gives_a_constant():
    x = np.random.default_rng(0).normal(size=(40, 2))
    y = x[:, 0]
    np.testing.assert_allclose(as_regressor().fit(x, y).predict(x), y.mean())
    weights = np.arange(1.0, 41.0)
    np.testing.assert_allclose(as_regressor("mean").fit(x, y, weights).predict(x), np.average(y, weights=weights))
    none = np.empty((100, 0))
    np.testing.assert_allclose(as_regressor("linear").fit(none, np.arange(100.0)).predict(none), 49.5)
    flat = np.ones((100, 1))
    np.testing.assert_allclose(as_regressor().fit(flat, np.arange(100.0)).predict(flat), 49.5, atol=3.0)


def test_absent_classes_get_zero():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    codes = np.where(x[:, 0] > 0, 2.0, 0.0)
    for spec in (None, "linear", "mean", logistic()):
        chance = as_classifier(spec, n_classes=3).fit(x, codes).predict(x)
        assert chance.shape == (300, 3)
        assert not chance[:, 1].any()
        np.testing.assert_allclose(chance.sum(axis=1), 1.0, atol=1e-9)


def logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def test_ridge_ignores_units_and_distance_from_zero():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x @ [1.0, 2.0, 0.0] + rng.normal(size=200)
    plain = as_regressor("linear").fit(x, y).predict(x)
    far = as_regressor("linear").fit(x * [1e6, 1e-6, 1] + [1e9, 0, 0], y)
    np.testing.assert_allclose(far.predict(x * [1e6, 1e-6, 1] + [1e9, 0, 0]), plain, atol=1e-8)


def test_one_hot_by_hand():
    x = np.array([[2.0, 5.0], [0.0, 6.0], [np.nan, 7.0]])
    coding = OneHot.learn(x, (0,))
    np.testing.assert_array_equal(coding.apply(x), [[5, 0, 1], [6, 1, 0], [7, 0, 0]])
    np.testing.assert_array_equal(coding.apply(np.array([[9.0, 1.0]])), [[1, 0, 0]])


def test_any_estimator_is_cloned_and_seeded():
    from lightgbm import LGBMRegressor
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    forest = RandomForestRegressor(n_estimators=5)
    search = GridSearchCV(make_pipeline(StandardScaler(), forest), {}, cv=KFold(3, shuffle=True), n_jobs=None)
    ready = prepare(search, random_state=7, n_jobs=1)
    inner = ready.estimator[-1]
    assert (inner.random_state, ready.cv.random_state) == (7, 7)
    assert (forest.random_state, search.cv.random_state) == (None, None)
    assert prepare(RandomForestRegressor(random_state=3, n_jobs=2), 7, 1).get_params()["random_state"] == 3
    boosted = prepare(make_pipeline(StandardScaler(), LGBMRegressor()), 7, 1)[-1]
    assert (boosted.n_jobs, boosted.get_params()["verbose"]) == (1, -1)
    x = np.random.default_rng(0).normal(size=(120, 2))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    learner = as_regressor(search, random_state=1)
    first, again = (learner.fit(x, x[:, 0], np.ones(120)).predict(x) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert not hasattr(search, "best_estimator_")


def test_weights_reach_the_last_step():
    from sklearn.linear_model import LinearRegression
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x, y, weights = rng.normal(size=(50, 2)), rng.normal(size=50), rng.random(50)
    design = np.column_stack([np.ones(50), x])
    expected = design @ np.linalg.solve(design.T @ (weights[:, None] * design), design.T @ (weights * y))
    piped = as_regressor(make_pipeline(StandardScaler(), LinearRegression()))
    np.testing.assert_allclose(piped.fit(x, y, weights).predict(x), expected, atol=1e-12)
    with pytest.raises(DesignError, match="KNeighborsRegressor takes no sample weights"):
        as_regressor(KNeighborsRegressor()).fit(x, y, weights)


def test_categories_become_indicators_for_estimators(matrix, shop):
    from lightgbm import LGBMClassifier, LGBMRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, mean, y = shop
    features = matrix(x, categorical=[0])
    for spec in (HistGradientBoostingRegressor(max_iter=60), LGBMRegressor(n_estimators=60)):
        predicted = as_regressor(spec, features).fit(x, y).predict(x)
        assert np.sqrt(np.mean((predicted - mean) ** 2)) < 0.4
    chance = as_classifier(LGBMClassifier(n_estimators=20), features).fit(x, (y > 1).astype(float)).predict(x)
    assert chance.shape == (1500, 2)


def test_missing_values_an_estimator_refuses_are_explained(matrix, shop):
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    x, _, y = shop
    with pytest.raises(DataError, match=r"covariate 'x1' has \d+ missing values .* Ridge can't") as caught:
        as_regressor(Ridge(), matrix(x, categorical=[0])).fit(x, y)
    assert caught.value.column == "x1"
    assert "Pipeline" in caught.value.hint
    piped = as_regressor(make_pipeline(SimpleImputer(), Ridge()), matrix(x, categorical=[0]))
    assert np.isfinite(piped.fit(x, y).predict(x)).all()


def test_what_is_not_a_learner_is_refused():
    from sklearn.linear_model import Ridge
    from sklearn.svm import LinearSVC

    with pytest.raises(DesignError, match=r"regressor='forest' is unknown.*'linear'"):
        as_regressor("forest")
    with pytest.raises(DesignError, match="regressor=LogisticRegression is a classifier"):
        as_regressor(logistic())
    with pytest.raises(DesignError, match="classifier=LinearSVC has no predict_proba"):
        as_classifier(LinearSVC())
    with pytest.raises(DesignError, match="Ridge is a class"):
        as_regressor(Ridge)
    with pytest.raises(DesignError, match="int has no fit"):
        as_classifier(3)


def test_default_is_quick(trial):
    x, _, y, *_ = trial(1120)
    as_regressor().fit(x, y)
    started = time.process_time()
    as_regressor().fit(x, y)
    assert time.process_time() - started < 0.6
