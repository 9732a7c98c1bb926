from __future__ import annotations

import numpy as np
import pytest

from causalkit.core.rows import Groups
from causalkit.effects.averages import average_effect, group_effects, target_effect
from causalkit.errors import DesignError


def test_mean_and_its_standard_error():
    scores = np.array([1.0, 2.0, 4.0, 9.0])
    found = average_effect(scores)
    assert found.theta[0] == 4.0
    assert found.se[0] == pytest.approx(scores.std(ddof=1) / 2, rel=1e-14)
    assert found.df[0] == 3
    assert found.carrier.psi.sum() == pytest.approx(0, abs=1e-15)


def test_weights_count_rows():
    scores, weights = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0])
    assert average_effect(scores, weights).theta[0] == pytest.approx(np.repeat(scores, [1, 3, 2]).mean(), rel=1e-14)
    psi = average_effect(scores, weights).carrier.psi[:, 0]
    np.testing.assert_allclose(psi, weights / 6 * (scores - 2.5), atol=1e-15)


def test_clusters_of_equal_size_are_the_mean_of_their_means():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=30)
    codes = np.repeat(np.arange(10, dtype=np.int32), 3)
    found = average_effect(scores, groups=Groups(codes, tuple(range(10))))
    means = scores.reshape(10, 3).mean(axis=1)
    assert found.se[0] == pytest.approx(means.std(ddof=1) / np.sqrt(10), rel=1e-12)
    assert found.df[0] == 9
    assert found.carrier.kind == "CR1"


def test_one_cluster_is_refused():
    with pytest.raises(DesignError, match="one cluster"):
        average_effect(np.arange(3.0), groups=Groups(np.zeros(3, np.int32), ("a",)))


def test_large_level_costs_no_digits():
    scores = np.array([1.0, 2.0, 4.0, 9.0])
    assert average_effect(scores + 2.0**40).se[0] == average_effect(scores).se[0]


@pytest.mark.parametrize("target", ["treated", "control", "overlap", "all"])
def test_constant_propensity_and_no_covariates_give_the_difference_in_means(target):
    rng = np.random.default_rng(0)
    arms = np.repeat(np.array([0, 1], np.int32), [30, 20])
    y = rng.normal(size=50)
    mu = np.tile([y[:30].mean(), y[30:].mean()], (50, 1))
    e = np.tile([0.6, 0.4], (50, 1))
    found = target_effect(target, y, arms, mu, e)
    assert found.theta[0] == pytest.approx(y[30:].mean() - y[:30].mean(), rel=1e-12)
    if target in ("treated", "control"):
        hc0 = y[30:].var() / 20 + y[:30].var() / 30
        assert found.vcov[0, 0] == pytest.approx(hc0 * 50 / 49, rel=1e-12)


def test_treated_and_control_average_to_all():
    """With the same nuisances and unnormalised weights, ATE is the mix of ATT and ATC by the arms' shares."""
    rng = np.random.default_rng(3)
    n = 200
    e1 = rng.uniform(0.2, 0.8, n)
    arms = (rng.random(n) < e1).astype(np.int32)
    mu = rng.normal(size=(n, 2))
    y = rng.normal(size=n)
    e = np.column_stack([1 - e1, e1])
    found = {t: target_effect(t, y, arms, mu, e, normalize=False).theta[0] for t in ("all", "treated", "control")}
    p = arms.mean()
    assert p * found["treated"] + (1 - p) * found["control"] == pytest.approx(found["all"], rel=1e-12)


def test_unknown_target():
    with pytest.raises(DesignError, match="'treated'"):
        target_effect("att", np.zeros(2), np.zeros(2, np.int32), np.zeros((2, 2)), np.full((2, 2), 0.5))


@pytest.mark.parametrize("slope", [False, True])
def test_degrees_of_freedom_of_small_groups(slope):
    rng = np.random.default_rng(0)
    scores, v = rng.normal(size=40), rng.normal(size=40) if slope else None
    by = Groups(np.repeat([0, 1], [37, 3]).astype(np.int32), ("many", "few"))
    np.testing.assert_array_equal(group_effects(scores, by, slope=v).df, [36, 2])
    shops = Groups((np.arange(40) % 10).astype(np.int32), tuple(range(10)), "shop")
    np.testing.assert_array_equal(group_effects(scores, by, slope=v, groups=shops).df, [9, 2])
    halves = Groups((np.arange(40) % 2).astype(np.int32), (0, 1), "half")
    np.testing.assert_array_equal(group_effects(scores, by, slope=v, groups=(shops, halves)).df, [1, 1])
    nested = Groups(np.where(by.codes == 1, 9, np.arange(40) % 9).astype(np.int32), tuple(range(10)), "shop")
    with pytest.raises(DesignError, match="group 'few' lies in one cluster of 'shop'"):
        group_effects(scores, by, slope=v, groups=nested)
