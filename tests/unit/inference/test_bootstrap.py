from __future__ import annotations

import itertools

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError
from causalkit.inference.bootstrap import (
    draw_multipliers,
    jackknife,
    multiplier_bootstrap,
    pairs_bootstrap,
    wild_cluster_bootstrap,
)
from causalkit.inference.vcov import least_squares_vcov, sandwich

KINDS = ["rademacher", "mammen", "webb", "normal"]


@pytest.mark.parametrize("kind", KINDS)
def test_multipliers_have_the_right_moments(kind):
    draws = draw_multipliers(np.random.default_rng(0), 4000, 50, kind)
    n = draws.size
    assert abs(draws.mean()) < 4 / np.sqrt(n)
    assert abs((draws**2).mean() - 1) < 4 * np.std(draws**2) / np.sqrt(n) + 1e-12
    third = 1.0 if kind == "mammen" else 0.0
    assert abs((draws**3).mean() - third) < 4 * np.std(draws**3) / np.sqrt(n) + 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_multiplier_bootstrap_has_the_sandwich_covariance(kind):
    rng = np.random.default_rng(1)
    psi, groups = rng.normal(size=(200, 2)), rng.integers(0, 40, 200).astype(np.int32)
    draws = multiplier_bootstrap(psi, groups, 20_000, kind, random_state=2)
    expected = sandwich(psi, groups)
    unit = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(np.cov(draws.T) / np.outer(unit, unit), expected / np.outer(unit, unit), atol=0.04)
    np.testing.assert_array_equal(draws, multiplier_bootstrap(psi, groups, 20_000, kind, random_state=2))
    assert not np.array_equal(draws, multiplier_bootstrap(psi, groups, 20_000, kind, random_state=3))


def test_global_generator_is_not_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    multiplier_bootstrap(np.ones((5, 1)), n_boot=3)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_unknown_options():
    with pytest.raises(DesignError, match="Unknown multiplier"):
        multiplier_bootstrap(np.ones((5, 1)), kind="gamma")
    with pytest.raises(DesignError, match="n_boot"):
        pairs_bootstrap(lambda rows: rows.mean(), 5, n_boot=0)


def test_pairs_bootstrap_of_a_mean():
    x = np.random.default_rng(0).normal(size=60)
    draws = pairs_bootstrap(lambda rows: x[rows].mean(), 60, n_boot=4000, random_state=1)
    assert draws.shape == (4000, 1)
    assert draws.std() == pytest.approx(x.std() / np.sqrt(60), rel=0.05)


def test_pairs_bootstrap_draws_whole_clusters():
    groups = np.repeat(np.arange(5, dtype=np.int32), [1, 2, 3, 4, 5])
    counts = pairs_bootstrap(lambda rows: np.bincount(groups[rows], minlength=5), 15, groups, 50, random_state=0)
    assert (counts % [1, 2, 3, 4, 5] == 0).all()
    np.testing.assert_array_equal((counts / [1, 2, 3, 4, 5]).sum(axis=1), 5.0)


def test_jackknife_of_mean_and_variance():
    x = np.random.default_rng(0).normal(size=30)
    mean = jackknife(lambda rows: x[rows].mean(), 30)
    assert mean.bias[0] == pytest.approx(0.0, abs=1e-12)
    assert mean.vcov[0, 0] == pytest.approx(x.var(ddof=1) / 30, rel=1e-12)
    variance = jackknife(lambda rows: np.array([x[rows].var()]), 30)
    assert x.var() - variance.bias[0] == pytest.approx(x.var(ddof=1), rel=1e-10)
    assert variance.values.shape == (30, 1)


def test_jackknife_by_cluster():
    x, groups = np.arange(6.0), np.array([0, 0, 1, 1, 1, 2], dtype=np.int32)
    result = jackknife(lambda rows: x[rows].sum(), 6, groups)
    np.testing.assert_array_equal(result.values[:, 0], [14.0, 6.0, 10.0])


def design(n_groups=7, seed=0, treated=3):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups, dtype=np.int32), rng.integers(3, 9, n_groups))
    X = np.column_stack([np.ones(groups.size), groups < treated, rng.normal(size=groups.size)]).astype(float)
    y = X @ [1.0, 0.4, -1.0] + rng.normal(size=n_groups)[groups] + rng.normal(size=groups.size)
    return y, X, groups


def direct_pvalue(y, X, groups, coefficient, null, signs, impose=True):
    """The definition: refit every bootstrap sample."""
    bread = np.linalg.inv(X.T @ X)
    others = np.delete(X, coefficient, axis=1)
    target = y - null * X[:, coefficient]
    beta = bread @ (X.T @ y)
    u = target - others @ np.linalg.lstsq(others, target, rcond=None)[0] if impose else y - X @ beta
    centre = null if impose else beta[coefficient]

    def t(outcome, value):
        b = bread @ (X.T @ outcome)
        V = least_squares_vcov("CR1", X, outcome - X @ b, bread, groups=groups).matrix
        return (b[coefficient] - value) / np.sqrt(V[coefficient, coefficient])

    draws = np.array([t(y - u + v[groups] * u, centre) for v in signs])
    return t(y, null), np.mean(np.abs(draws) >= abs(t(y, null)) * (1 - 1e-9))


@pytest.mark.parametrize("impose", [True, False])
@pytest.mark.parametrize("null", [0.0, 0.7, -2.0])
def test_enumeration_equals_refitting(null, impose):
    y, X, groups = design()
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=7)))
    statistic, pvalue = direct_pvalue(y, X, groups, 1, null, signs, impose)
    ours = wild_cluster_bootstrap(y, X, groups, 1, null=null, impose_null=impose)
    assert ours.exact
    assert ours.n_draws == 128
    assert ours.statistic == pytest.approx(statistic, rel=1e-10)
    assert ours.pvalue == pytest.approx(pvalue, abs=1e-12)
    assert wild_cluster_bootstrap(y, X, groups, 1, impose_null=impose).pvalue_at(null) == ours.pvalue


@pytest.mark.parametrize("impose", [True, False])
@pytest.mark.parametrize("treated", [1, 2, 4])
def test_confidence_set_is_the_inverted_test(impose, treated):
    """The grid only checks the set; it does not build it."""
    y, X, groups = design(9, seed=treated, treated=treated)
    ours = wild_cluster_bootstrap(y, X, groups, 1, impose_null=impose)
    region = ours.confidence_set(0.1)
    assert ours.estimate in region
    for null in np.linspace(ours.estimate - 12 * ours.se, ours.estimate + 12 * ours.se, 801):
        assert region.contains(null) == (ours.pvalue_at(null) > 0.1)
    for end in itertools.chain(*region.intervals):
        if np.isfinite(end):
            sides = [ours.pvalue_at(end - 1e-7) > 0.1, ours.pvalue_at(end + 1e-7) > 0.1]
            assert sides[0] != sides[1]


def test_five_clusters_can_reject_nothing():
    """The identity and its negative always tie, so no p-value is below 2/32."""
    y, X, groups = design(5, treated=2)
    ours = wild_cluster_bootstrap(y, X, groups, 1)
    assert ours.confidence_set(0.05).is_real_line
    assert ours.confidence_set(0.07).is_bounded
    assert ours.pvalue_at(ours.estimate + 1e6 * ours.se) == 2 / 32


@pytest.mark.parametrize("weights", ["rademacher", "webb", "mammen"])
def test_simulated_wild_bootstrap(weights):
    y, X, groups = design(20, treated=8)
    ours = wild_cluster_bootstrap(y, X, groups, 1, n_boot=1999, kind=weights, random_state=4)
    assert not ours.exact
    assert ours.n_draws == 1999
    assert (ours.pvalue * 2000) % 1 == pytest.approx(0.0, abs=1e-9)
    again = wild_cluster_bootstrap(y, X, groups, 1, n_boot=1999, kind=weights, random_state=4)
    assert ours.pvalue == again.pvalue
    assert ours.confidence_set() == again.confidence_set()
    assert ours.monte_carlo_error == pytest.approx(np.sqrt(ours.pvalue * (1 - ours.pvalue) / 1999))


def test_units_do_not_matter():
    y, X, groups = design()
    base = wild_cluster_bootstrap(y, X, groups, 1).confidence_set()
    scaled = wild_cluster_bootstrap(y * 1e6 + 1e9, X * [1, 1e-3, 1e4], groups, 1).confidence_set()
    np.testing.assert_allclose(np.array(scaled.intervals) / 1e9, base.intervals, rtol=1e-6)


def test_wild_refusals():
    y, X, groups = design()
    found = wild_cluster_bootstrap(y, X, groups, 1)
    for null in (np.nan, np.inf):
        with pytest.raises(DesignError, match="not a finite number"):
            found.pvalue_at(null)
        with pytest.raises(DesignError, match="not a finite number"):
            wild_cluster_bootstrap(y, X, groups, 1, null=null)
    for alpha in (0.0, 1.0, np.nan):
        with pytest.raises(DesignError, match="not between 0 and 1"):
            found.confidence_set(alpha)
    with pytest.raises(DesignError, match=f"fit with {len(y)} parameters"):
        wild_cluster_bootstrap(y, X, groups, 1, n_parameters=len(y))
    k = X.shape[1]
    with pytest.raises(DesignError, match=f"{k} rows don't determine"):
        wild_cluster_bootstrap(y[:k], X[:k], np.arange(k), 1)
    with pytest.raises(DesignError, match="two clusters"):
        wild_cluster_bootstrap(y, X, np.zeros_like(groups), 1)
    with pytest.raises(DesignError, match="collinear"):
        wild_cluster_bootstrap(y, np.column_stack([X, X[:, 1]]), groups, 1)


def test_size_with_few_clusters():
    """Twelve clusters, six treated: the exact test at 10 % rejects a true null within binomial error."""
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(10, dtype=np.int32), 4)
    X = np.column_stack([np.ones(40), groups < 5]).astype(float)
    rejections = 0
    for _ in range(400):
        y = rng.normal(size=10)[groups] + rng.normal(size=40)
        rejections += wild_cluster_bootstrap(y, X, groups, 1).pvalue <= 0.1
    assert abs(rejections / 400 - 0.1) < 4 * np.sqrt(0.09 / 400)


def test_wild_bootstrap_refuses_gaps_and_columns_that_are_not_there():
    groups, design = np.repeat(np.arange(6), 5), np.column_stack([np.ones(30), np.arange(30.0)])
    outcome = np.sin(np.arange(30.0))
    with pytest.raises(DesignError, match="coefficient=7 is no column of a design with 2"):
        wild_cluster_bootstrap(outcome, design, groups, 7)
    outcome[4] = np.nan
    with pytest.raises(DataError, match="outcome is not finite in 1 rows, the first is row 4"):
        wild_cluster_bootstrap(outcome, design, groups, 1)
