from __future__ import annotations

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.inference.vcov import (
    cluster_sums,
    hac,
    least_squares_vcov,
    multiway,
    multiway_vcov,
    newey_west_lags,
    sandwich,
)


def problem(seed=0, n=90, n_groups=11, k=3):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.r_[np.arange(n_groups), rng.integers(0, n_groups, n - n_groups)]).astype(np.int32)
    X = np.column_stack([np.ones(n), rng.normal(size=n_groups)[groups], rng.normal(size=(n, k - 2))])
    y = X.sum(axis=1) + rng.normal(size=n) + rng.normal(size=n_groups)[groups]
    return X, y, groups


def fit(X, y):
    bread = np.linalg.inv(X.T @ X)
    return bread, y - X @ (bread @ (X.T @ y))


def symmetric_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-12
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T


def dense_cr2(X, y, groups, w):
    """The n x n definition of Pustejovsky and Tipton (2018), with an independent homoskedastic working model."""
    n, k = X.shape
    M = np.linalg.inv(X.T @ (w[:, None] * X))
    R = np.eye(n) - X @ M @ X.T * w
    e = R @ y
    scores, contributions = [], []
    for g in np.unique(groups):
        rows = groups == g
        A = symmetric_root((R @ R.T)[np.ix_(rows, rows)])
        loading = M @ (X[rows].T * w[rows]) @ A
        scores.append(loading @ e[rows])
        contributions.append(loading @ R[rows])
    df = []
    for j in range(k):
        P = np.array([c[j] for c in contributions])
        P = P @ P.T
        df.append(np.trace(P) ** 2 / np.sum(P**2))
    scores = np.array(scores)
    return scores.T @ scores, np.array(df)


def test_sums_and_sandwich_by_hand():
    psi = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])
    groups = np.array([2, 0, 2], dtype=np.int32)
    sums = cluster_sums(psi, groups)
    np.testing.assert_array_equal(sums, [[3.0, -1.0], [0.0, 0.0], [1.5, 2.0]])
    np.testing.assert_allclose(
        sandwich(psi, groups, 2.0), 2 * (np.outer(sums[0], sums[0]) + np.outer(sums[2], sums[2]))
    )
    np.testing.assert_allclose(sandwich(psi), psi.T @ psi)


def test_bad_codes():
    with pytest.raises(DataError, match="row 1"):
        cluster_sums(np.ones((3, 1)), np.array([0, -1, 2], dtype=np.int32))
    with pytest.raises(DataError, match="3 rows"):
        sandwich(np.ones((3, 1)), np.array([0, 1], dtype=np.int32))


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_adjusted_psi_reproduces_matrix(kind):
    X, y, _ = problem()
    bread, e = fit(X, y)
    ours = least_squares_vcov(kind, X, e, bread)
    np.testing.assert_allclose(sandwich(ours.adjusted_psi, None, ours.scale), ours.matrix, rtol=1e-12)
    assert ours.df[0] == 87


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
def test_adjusted_psi_reproduces_cluster_matrix(kind):
    X, y, groups = problem()
    bread, e = fit(X, y)
    ours = least_squares_vcov(kind, X, e, bread, groups=groups)
    np.testing.assert_allclose(sandwich(ours.adjusted_psi, groups, ours.scale), ours.matrix, rtol=1e-12)
    np.testing.assert_allclose(ours.psi, (X * e[:, None]) @ bread)
    assert ours.n_clusters == (11,)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_cr2_equals_dense_definition(seed, weighted):
    X, y, groups = problem(seed)
    w = np.random.default_rng(seed).uniform(0.3, 4.0, len(y)) if weighted else np.ones(len(y))
    root = np.sqrt(w)
    bread, e = fit(X * root[:, None], y * root)
    ours = least_squares_vcov("CR2", X * root[:, None], e, bread, groups=groups, weights=w)
    matrix, df = dense_cr2(X, y, groups, w)
    np.testing.assert_allclose(ours.matrix, matrix, rtol=1e-10)
    np.testing.assert_allclose(ours.df, df, rtol=1e-10)
    rescaled = least_squares_vcov("CR2", 3 * X * root[:, None], 3 * e, bread / 9, groups=groups, weights=9 * w)
    np.testing.assert_allclose(rescaled.matrix, matrix, rtol=1e-10)
    np.testing.assert_allclose(rescaled.df, df, rtol=1e-10)


def test_cr2_rank_deficient_blocks():
    """A dummy for one cluster and a singleton fitted exactly: the residual maker of a block is singular."""
    X, y, groups = problem(4)
    X = np.column_stack([X, groups == 3, np.arange(len(y)) == 5]).astype(float)
    groups = groups.copy()
    groups[5] = 11
    bread, e = fit(X, y)
    ours = least_squares_vcov("CR2", X, e, bread, groups=groups)
    matrix, df = dense_cr2(X, y, groups, np.ones(len(y)))
    np.testing.assert_allclose(ours.matrix[:3, :3], matrix[:3, :3], rtol=1e-9)
    np.testing.assert_allclose(ours.df[:3], df[:3], rtol=1e-9)
    w = np.ones(len(y))
    w[0] += 1e-12
    weighted = least_squares_vcov("CR2", X, e, bread, groups=groups, weights=w)
    np.testing.assert_allclose(weighted.matrix[:3, :3], matrix[:3, :3], rtol=1e-6)


def test_cr2_df_is_undefined_for_a_coefficient_without_variance():
    """A dummy for a cluster of one row is fitted exactly, so its variance is zero whatever the errors."""
    X = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    X[0] = [0.0, 1.0]
    bread, e = fit(X, np.array([3.0, 1.0, 2.0, 4.0]))
    ours = least_squares_vcov("CR2", X, e, bread, groups=np.arange(4, dtype=np.int32))
    assert ours.matrix[1, 1] == pytest.approx(0.0, abs=1e-20)
    assert np.isnan(ours.df[1])
    assert ours.df[0] == pytest.approx(2.0)


def test_results_are_read_only():
    X, y, groups = problem()
    bread, e = fit(X, y)
    ours = least_squares_vcov("CR1", X, e, bread, groups=groups)
    for array in (ours.matrix, ours.df, ours.psi, ours.adjusted_psi):
        assert not array.flags.writeable


def test_cr2_zero_weight_rows_do_not_enter():
    X, y, groups = problem(5)
    w = np.r_[np.zeros(10), np.random.default_rng(0).uniform(1, 2, len(y) - 10)]
    root = np.sqrt(w)
    bread, e = fit(X * root[:, None], y * root)
    ours = least_squares_vcov("CR2", X * root[:, None], e, bread, groups=groups, weights=w)
    matrix, df = dense_cr2(X[10:], y[10:], groups[10:], w[10:])
    np.testing.assert_allclose(ours.matrix, matrix, rtol=1e-10)
    np.testing.assert_allclose(ours.df, df, rtol=1e-10)


def test_singleton_clusters_reduce_to_rows():
    X, y, _ = problem(2)
    bread, e = fit(X, y)
    rows = np.arange(len(y), dtype=np.int32)
    for cluster, row in (("CR0", "HC0"), ("CR2", "HC2")):
        ours = least_squares_vcov(cluster, X, e, bread, groups=rows).matrix
        np.testing.assert_allclose(ours, least_squares_vcov(row, X, e, bread).matrix, rtol=1e-10)
    n = len(y)
    cr3 = least_squares_vcov("CR3", X, e, bread, groups=rows).matrix
    np.testing.assert_allclose(cr3 * n / (n - 1), least_squares_vcov("HC3", X, e, bread).matrix, rtol=1e-10)


def test_cr3_is_the_jackknife():
    X, y, groups = problem(1)
    bread, e = fit(X, y)
    beta = bread @ (X.T @ y)
    left = [np.linalg.lstsq(X[groups != g], y[groups != g], rcond=None)[0] - beta for g in range(11)]
    expected = 10 / 11 * sum(np.outer(d, d) for d in left)
    ours = least_squares_vcov("CR3", X, e, bread, groups=groups)
    np.testing.assert_allclose(ours.matrix, expected, rtol=1e-10)
    assert (ours.df == 10).all()


def test_cr2_is_unbiased_under_the_working_model():
    """With homoskedastic independent errors E[V] = sigma^2 bread exactly: check by the trace over unit errors."""
    X, _, groups = problem(6, n=40, n_groups=7)
    bread = np.linalg.inv(X.T @ X)
    R = np.eye(40) - X @ bread @ X.T
    total = sum(least_squares_vcov("CR2", X, R[:, i], bread, groups=groups).matrix for i in range(40))
    np.testing.assert_allclose(total, bread, rtol=1e-9, atol=1e-14)


def test_saturated_row_is_left_out_of_hc2():
    X, y, _ = problem(3)
    X = np.column_stack([X, np.arange(len(y)) == 7]).astype(float)
    bread, e = fit(X, y)
    ours = least_squares_vcov("HC3", X, e, bread)
    inner = np.delete(X[:, :3], 7, axis=0)
    part_bread, part_e = fit(inner, np.delete(y, 7))
    assert ours.n_saturated == 1
    expected = least_squares_vcov("HC3", inner, part_e, part_bread).matrix
    np.testing.assert_allclose(ours.matrix[:3, :3], expected, rtol=1e-9)


def test_absorbed_effects_through_leverage_and_parameters():
    """Partialling out group dummies gives the same HC1-HC3 as writing them out."""
    X, y, groups = problem(8)
    dummies = (groups[:, None] == np.arange(11)).astype(float)
    full = np.column_stack([X[:, 2:], dummies])
    full_bread, e = fit(full, y)
    means = dummies / dummies.sum(axis=0)
    inner = X[:, 2:] - dummies @ (means.T @ X[:, 2:])
    bread = np.linalg.inv(inner.T @ inner)
    extra = (1 / dummies.sum(axis=0))[groups]
    for kind in ("iid", "HC1", "HC2", "HC3"):
        expected = least_squares_vcov(kind, full, e, full_bread)
        ours = least_squares_vcov(kind, inner, e, bread, n_parameters=12, leverage_extra=extra)
        np.testing.assert_allclose(ours.matrix[0, 0], expected.matrix[0, 0], rtol=1e-10)
        assert ours.df[0] == expected.df[0] == 78
    for kind in ("CR2", "CR3"):  # exact as the effects are nested in the clusters
        expected = least_squares_vcov(kind, full, e, full_bread, groups=groups)
        ours = least_squares_vcov(kind, inner, e, bread, groups=groups)
        np.testing.assert_allclose(ours.matrix[0, 0], expected.matrix[0, 0], rtol=1e-9)
        np.testing.assert_allclose(ours.df[0], expected.df[0], rtol=1e-9)


def test_multiway_reduces_to_one_way_and_inclusion_exclusion():
    psi = np.random.default_rng(0).normal(size=(60, 2))
    a, b = np.arange(60, dtype=np.int32) % 5, np.arange(60, dtype=np.int32) // 10
    np.testing.assert_allclose(multiway(psi, [a]), sandwich(psi, a, 5 / 4))
    np.testing.assert_allclose(multiway(psi, [a, a], small_sample=False), sandwich(psi, a), rtol=1e-12)
    both = a * 6 + b
    raw = sandwich(psi, a) + sandwich(psi, b) - sandwich(psi, both)
    result = multiway_vcov(psi, [a, b], small_sample=False)
    assert result.n_clusters == (5, 6)
    values = np.linalg.eigvalsh(raw)
    assert result.repaired == (values[0] < 0)
    if not result.repaired:
        np.testing.assert_allclose(result.matrix, raw, rtol=1e-12)


def test_three_ways_against_a_direct_sum():
    rng = np.random.default_rng(1)
    psi = rng.normal(size=(80, 1)) + 1.0
    ways = [rng.integers(0, 4 + j, 80).astype(np.int32) for j in range(3)]
    share = sum((way[:, None] == way).astype(int) for way in ways) > 0
    direct = float(psi[:, 0] @ share @ psi[:, 0])
    assert multiway(psi, ways, small_sample=False)[0, 0] == pytest.approx(direct, rel=1e-12)


def test_negative_multiway_variance_is_repaired_and_said():
    psi = np.array([[1.0], [-1.0], [-1.0], [1.0]])
    ways = [np.array([0, 0, 1, 1], dtype=np.int32), np.array([0, 1, 0, 1], dtype=np.int32)]
    result = multiway_vcov(psi, ways, small_sample=False)
    assert result.repaired
    assert result.matrix[0, 0] == 0.0


def test_hac_white_noise_lags_and_kernels():
    psi = np.random.default_rng(2).normal(size=(100, 2))
    assert newey_west_lags(100) == 4
    np.testing.assert_allclose(hac(psi, 0), psi.T @ psi)
    np.testing.assert_allclose(hac(psi), hac(psi, 4))
    cross = psi[1:].T @ psi[:-1]
    np.testing.assert_allclose(hac(psi, 1, "uniform"), psi.T @ psi + cross + cross.T)
    np.testing.assert_allclose(hac(psi, 1, "parzen"), psi.T @ psi + 0.25 * (cross + cross.T))
    assert np.linalg.eigvalsh(hac(psi, 20, "parzen"))[0] > 0
    with pytest.raises(DesignError, match="below the 100"):
        hac(psi, 100)
    with pytest.raises(DesignError, match="Unknown kernel"):
        hac(psi, 2, "box")


@pytest.mark.parametrize(
    ("kind", "groups", "message"),
    [
        ("HC9", None, "Unknown covariance"),
        ("HC1", np.zeros(90, np.int32), "does not take clusters"),
        ("CR1", None, "needs clusters"),
        ("CR1", np.zeros(90, np.int32), "at least two clusters"),
        ("CR2", [np.arange(90, dtype=np.int32)] * 2, "one way"),
    ],
)
def test_refusals(kind, groups, message):
    X, y, _ = problem()
    bread, e = fit(X, y)
    with pytest.raises(DesignError, match=message):
        least_squares_vcov(kind, X, e, bread, groups=groups)


def test_negative_codes_are_named_in_a_fit():
    X, y, groups = problem()
    bread, e = fit(X, y)
    groups[4] = -1
    with pytest.raises(DataError, match="the first is row 4"):
        least_squares_vcov("CR1", X, e, bread, groups=groups)


def test_no_residual_degrees_of_freedom():
    X, y, _ = problem(n=11)
    bread, e = fit(X, y)
    with pytest.raises(InferenceUnavailable, match="degrees of freedom"):
        least_squares_vcov("HC1", X, e, bread, n_parameters=11)
