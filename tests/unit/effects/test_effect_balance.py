from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causalkit.core.features import Features, Schema
from causalkit.core.rows import Groups
from causalkit.effects.balance import assess_balance


def features(values, levels=None):
    p = values.shape[1]
    return Features(np.asfortranarray(values), Schema(tuple(f"x{j}" for j in range(p)), levels or (None,) * p))


def test_one_covariate_is_the_squared_t_statistic():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1))
    arms = np.repeat(np.array([0, 1], np.int32), [40, 20])
    found = assess_balance(features(x), arms, ("a", "b"), np.tile([2 / 3, 1 / 3], (60, 1)))
    a, b = x[:40, 0], x[40:, 0]
    assert found.difference[0] == pytest.approx((b.mean() - a.mean()) / np.sqrt((a.var() + b.var()) / 2), rel=1e-12)
    exact = stats.ttest_ind(b, a)
    assert found.statistic == pytest.approx(exact.statistic**2, rel=1e-10)
    assert found.pvalue == pytest.approx(exact.pvalue, rel=1e-10)


def test_several_covariates_are_a_regression_of_the_arm_on_them():
    """Hotelling's two-sample test is the F test of that regression (Anderson 2003, section 5.4)."""
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(1)
    x, arms = rng.normal(size=(50, 4)), np.repeat(np.array([0, 1], np.int32), [41, 9])
    found = assess_balance(features(x), arms, ("a", "b"), np.tile([0.82, 0.18], (50, 1)))
    fitted = sm.OLS(arms, sm.add_constant(x)).fit()
    assert found.statistic == pytest.approx(fitted.fvalue, rel=1e-10)
    assert found.pvalue == pytest.approx(fitted.f_pvalue, rel=1e-10)


def test_rows_of_a_randomised_cluster_count_as_one():
    """Clusters of equal size and equal covariates are their one row each."""
    rng = np.random.default_rng(2)
    x, arms = rng.normal(size=(24, 2)), rng.permutation(np.repeat(np.array([0, 1], np.int32), [15, 9]))
    codes = np.repeat(np.arange(24, dtype=np.int32), 5)
    one = assess_balance(features(x), arms, ("a", "b"), np.full((24, 2), 0.5))
    five = assess_balance(
        features(x[codes]), arms[codes], ("a", "b"), np.full((120, 2), 0.5), groups=Groups(codes, tuple(range(24)))
    )
    assert five.statistic == pytest.approx(one.statistic, rel=1e-10)
    assert five.df == pytest.approx(one.df)


def test_clusters_whose_rows_were_randomised_cost_no_degrees_of_freedom():
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(15, dtype=np.int32), 20)
    groups, found = Groups(codes, tuple(range(15))), []
    for _ in range(300):
        x = rng.normal(size=(15, 6))[codes] + rng.normal(size=(300, 6))
        arms = rng.integers(0, 2, 300).astype(np.int32)
        found.append(assess_balance(features(x), arms, ("a", "b"), np.full((300, 2), 0.5), groups=groups).pvalue)
    assert 0.015 <= np.mean(np.array(found) < 0.05) <= 0.09


def test_weighting_by_the_true_propensity_removes_the_difference():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 1))
    e1 = 1 / (1 + np.exp(-x[:, 0]))
    arms = (rng.random(20_000) < e1).astype(np.int32)
    found = assess_balance(features(x), arms, ("a", "b"), np.column_stack([1 - e1, e1]))
    assert found.difference[0] > 0.7
    assert abs(found.adjusted[0]) < 0.05
    assert found.pvalue < 1e-10


def test_gaps_and_categories_become_columns():
    x = np.array([[1.0, 0], [2, 1], [np.nan, 2], [4, 0], [5, 1], [np.nan, 2], [1, 1], [0, 0]])
    arms = np.array([0, 1, 0, 1, 0, 1, 0, 1], np.int32)
    found = assess_balance(features(x, (None, ("p", "q", "r"))), arms, ("a", "b"), np.full((8, 2), 0.5))
    assert found.names == ("x0", "x1[q]", "x1[r]", "x0 missing")
    assert found.difference[3] == 0


@pytest.mark.parametrize("treated", [15, 6])
def test_size_of_the_joint_test_with_few_clusters(treated):
    rng = np.random.default_rng(5)
    rejected = 0
    codes = np.repeat(np.arange(30, dtype=np.int32), 4)
    groups = Groups(codes, tuple(range(30)))
    for _ in range(400):
        x = rng.normal(size=(30, 3))[codes] + rng.normal(size=(120, 3))
        arms = rng.permutation(np.repeat(np.array([0, 1], np.int32), [30 - treated, treated]))[codes]
        rejected += assess_balance(features(x), arms, ("a", "b"), np.full((120, 2), 0.5), groups=groups).pvalue < 0.05
    assert 0.02 <= rejected / 400 <= 0.085


def test_size_of_the_joint_test_with_a_small_arm():
    rng = np.random.default_rng(6)
    arms = np.repeat(np.array([0, 1, 2], np.int32), [40, 12, 12])
    found = [
        assess_balance(features(rng.normal(size=(64, 6))), arms, ("a", "b", "c"), np.full((64, 3), 1 / 3)).pvalue
        for _ in range(400)
    ]
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.085


def test_too_many_covariates_for_the_clusters_have_no_joint_test():
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(6, dtype=np.int32), 4)
    found = assess_balance(
        features(rng.normal(size=(24, 9))),
        (codes % 2).astype(np.int32),
        ("a", "b"),
        np.full((24, 2), 0.5),
        groups=Groups(codes, tuple(range(6))),
    )
    assert found.pvalue is None
