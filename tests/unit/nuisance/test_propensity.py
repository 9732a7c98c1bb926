from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError
from causalkit.nuisance.crossfit import make_folds
from causalkit.nuisance.propensity import clip_probabilities, estimate_propensity, known_propensity

ARMS = np.array([0, 1, 1, 0], dtype=np.int32)


def test_known_forms_agree():
    number = known_propensity(0.3, ARMS, 2)
    for same in (np.full(4, 0.3), [0.7, 0.3], np.tile([0.7, 0.3], (4, 1))):
        np.testing.assert_allclose(known_propensity(same, ARMS, 2).values, number.values, atol=1e-15)
    np.testing.assert_allclose(number.values, np.tile([0.7, 0.3], (4, 1)))
    assert (number.source, number.clipped, number.auc) == ("known", 0, None)
    assert (number.low, number.high) == pytest.approx((0.3, 0.7))


def test_impossible_values_are_counted_and_located():
    with pytest.raises(DataError, match=r"'p' has 2 rows with .* first row 1: \[1\.\]") as caught:
        known_propensity(np.array([0.5, 1.0, 0.5, 0.0]), ARMS, 2, name="p")
    assert caught.value.column == "p"
    assert caught.value.rows == (1, 3)
    with pytest.raises(DataError, match="4 rows"):
        known_propensity(1.0, ARMS, 2)
    with pytest.raises(DataError, match="1 row "):
        known_propensity(np.array([0.5, np.nan, 0.5, 0.5]), ARMS, 2)
    with pytest.raises(DataError, match="do not sum to one"):
        known_propensity([0.5, 0.2, 0.2], ARMS, 3)
    with pytest.raises(DesignError, match="there are 3 arms"):
        known_propensity(0.5, ARMS, 3)
    with pytest.raises(DesignError, match="shape"):
        known_propensity(np.full(7, 0.5), ARMS, 2)


def test_logistic_regression_matches_statsmodels(matrix, trial):
    import statsmodels.api as sm
    from sklearn.linear_model import LogisticRegression

    x, arms, *_ = trial(500, confounded=True)
    folds = (np.arange(500) % 5).astype(np.int32)
    exact = LogisticRegression(C=np.inf, tol=1e-12, max_iter=5000)
    ours = estimate_propensity(matrix(x), arms, folds, classifier=exact, calibrate=False, clip=0.0)
    reference = np.empty(500)
    for fold in range(5):
        train = folds != fold
        fitted = sm.Logit(arms[train], sm.add_constant(x[train])).fit(disp=0, tol=1e-12)
        reference[~train] = fitted.predict(sm.add_constant(x[~train]))
    np.testing.assert_allclose(ours.values[:, 1], reference, atol=1e-6)


def test_trial_gives_nearly_constant_propensities(matrix, trial):
    for seed in range(5):
        x, arms, *_ = trial(3000, seed)
        found = estimate_propensity(matrix(x), arms, make_folds(3000, 5, arms=arms, random_state=seed))
        assert found.values[:, 1].std() < 0.02
        assert found.overlap.status == "pass"
        assert found.clipped == 0
        assert abs(found.auc - 0.5) < 0.03


def test_confounding_is_found(matrix, trial):
    x, arms, _, _, chance = trial(3000, confounded=True)
    found = estimate_propensity(matrix(x), arms, make_folds(3000, 5, arms=arms))
    assert np.sqrt(np.mean((found.values[:, 1] - chance) ** 2)) < 0.07
    assert found.auc > 0.7


def test_three_arms_are_multinomial(matrix):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    weights = np.exp(np.column_stack([np.zeros(2000), x[:, 0], -x[:, 1]]))
    chance = weights / weights.sum(axis=1, keepdims=True)
    arms = (rng.random((2000, 1)) > chance.cumsum(axis=1)).sum(axis=1).astype(np.int32)
    for spec in (None, "linear"):
        found = estimate_propensity(matrix(x), arms, make_folds(2000, 5, arms=arms), classifier=spec)
        np.testing.assert_allclose(found.values.sum(axis=1), 1.0, atol=1e-12)
        assert np.sqrt(np.mean((found.values - chance) ** 2)) < 0.1


def test_clipping_keeps_sums_and_floor():
    raw = np.array([[0.5, 0.5, 0.0], [0.0, 0.001, 0.999], [0.3, 0.3, 0.4], [0.0, 0.011, 0.989]])
    values, touched = clip_probabilities(raw, 0.01)
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-12)
    assert values.min() >= 0.01
    assert touched.tolist() == [True, True, False, True]
    np.testing.assert_allclose(values[0], [0.495, 0.495, 0.01])
    np.testing.assert_allclose(values[1], [0.01, 0.01, 0.98])
    two, _ = clip_probabilities(np.array([[0.001, 0.999]]), 0.01)
    np.testing.assert_allclose(two, [[0.01, 0.99]])


def test_clipped_rows_are_counted_and_a_rare_arm_is_not_clipped_away(matrix):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2))
    sharp = (x[:, 0] + 0.1 * rng.normal(size=2000) > 0).astype(np.int32)
    found = estimate_propensity(matrix(x), sharp, make_folds(2000, 5, arms=sharp), classifier="linear")
    assert found.low == 0.01
    assert found.clipped == np.sum((found.values == 0.01).any(axis=1)) > 1000
    assert found.overlap.status == "fail"
    rare = (np.arange(2000) < 20).astype(np.int32)
    found = estimate_propensity(matrix(x), rare, make_folds(2000, 5, arms=rare))
    assert found.low == pytest.approx(0.001)
    np.testing.assert_allclose(found.values[:, 1], 0.01, atol=1e-3)
    with pytest.raises(DesignError, match="clip"):
        estimate_propensity(matrix(x), rare, make_folds(2000, 5, arms=rare), clip=0.5)
