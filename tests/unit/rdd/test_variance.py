"""Variances against sandwiches written out with matrices."""

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.rdd.bandwidth_rules import Bandwidths, Plan
from causalkit.rdd.line import KERNELS
from causalkit.rdd.local_polynomial import estimate
from causalkit.rdd.variance import coefficient_weights, variance
from causalkit.rdd.variance_rows import cluster_covariance, row_scores
from causalkit.rdd.windows import split

H, B = 0.8, 1.1


def scores(n=500, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, np.sin(x) + (x >= 0) + rng.normal(size=n) * (1 + x**2), rng.integers(0, 25, n), rng.uniform(0.5, 2, n)


def one_side(x, y, cluster, weights, vcov, corrected):
    """Return coefficient and variance on one side from the design matrix."""
    rows = np.abs(x) < max(H, B)
    x, y, cluster, weights = x[rows], y[rows], cluster[rows], weights[rows]

    def parts(h, order):
        u = x / h
        kernel = weights * np.where(np.abs(u) < 1, 1 - np.abs(u), 0.0)
        design = np.vander(x, order + 1, increasing=True)
        return design, kernel, np.linalg.inv(design.T @ (design * kernel[:, None]))

    design, kernel, inverse = parts(H, 1)
    wide, wide_kernel, wide_inverse = parts(B, 2)
    row = inverse[0] @ (design * kernel[:, None]).T
    regression = (design, kernel, inverse)
    if corrected:
        bias = inverse[0] @ (design * kernel[:, None]).T @ x**2
        row = row - bias * (wide_inverse @ (wide * wide_kernel[:, None]).T)[2]
        regression = (wide, wide_kernel, wide_inverse)
    design, kernel, inverse = regression
    residual = y - design @ (inverse @ (design.T @ (kernel * y)))
    n, k = len(y), design.shape[1]
    if vcov.startswith("HC"):
        leverage = np.einsum("ij,jk,ik->i", design, inverse, design) * kernel
        scale = {"HC0": 1.0, "HC1": n / (n - k), "HC2": 1 / (1 - leverage), "HC3": 1 / (1 - leverage) ** 2}[vcov]
        return row @ y, float(np.sum(row**2 * residual**2 * scale))
    total, root = 0.0, np.sqrt(kernel)
    hat = (design * root[:, None]) @ inverse @ (design * root[:, None]).T
    for code in np.unique(cluster):
        at = np.flatnonzero(cluster == code)
        e = residual[at] * root[at]
        block = np.eye(at.size) - hat[np.ix_(at, at)]
        if vcov == "CR2":
            values, vectors = np.linalg.eigh(block)
            e = vectors @ ((vectors.T @ e) / np.sqrt(values))
        elif vcov == "CR3":
            e = np.linalg.solve(block, e)
        total += float(row[at] @ (e / np.where(root[at] > 0, root[at], 1.0))) ** 2
    g = np.unique(cluster).size
    return row @ y, total * ((n - 1) / (n - k) * g / (g - 1) if vcov == "CR1" else 1.0)


@pytest.mark.parametrize("vcov", ["HC0", "HC1", "HC2", "HC3", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sandwiches(vcov, weighted):
    x, y, cluster, weights = scores()
    weights = weights if weighted else np.ones_like(x)
    parts = split(x, y, cluster=cluster if vcov.startswith("C") else None, weights=weights if weighted else None)
    found = estimate(parts, Plan(vcov=vcov), Bandwidths(H, H, B, B)).effect
    above = x >= 0
    for corrected, value, se in ((False, found.conventional, found.se), (True, found.corrected, found.robust_se)):
        (low, v_low), (high, v_high) = (
            one_side(x[s], y[s], cluster[s], weights[s], vcov, corrected) for s in (~above, above)
        )
        assert value == pytest.approx(high - low, rel=1e-10)
        assert se == pytest.approx(np.sqrt(v_low + v_high), rel=1e-9)


@pytest.mark.parametrize("vcov", ["NN", "HC0", "HC1", "HC2", "HC3", "CR1"])
@pytest.mark.parametrize("widths", [(H, H, B, B), (B, B, H, H), (0.5, 1.0, 1.0, 0.9)])
def test_row_scores_square_to_the_variance(vcov, widths):
    x, y, cluster, weights = scores()
    clustered = vcov == "CR1"
    parts = split(x, y, cluster=cluster if clustered else None, weights=weights)
    plan, chosen = Plan(vcov=vcov), Bandwidths(*widths)
    effect = estimate(parts, plan, chosen).effect
    values = row_scores(parts, plan, chosen, np.ones(1), x.size)
    if clustered:
        codes = 2 * cluster + (x >= 0)
        values = np.array([values[codes == code].sum(axis=0) for code in np.unique(codes)])
        np.testing.assert_allclose(cluster_covariance(parts, plan, chosen, np.ones(1)), values.T @ values, rtol=1e-9)
    np.testing.assert_allclose(np.sqrt((values**2).sum(axis=0)), [effect.se, effect.robust_se], rtol=1e-10)


def test_kernels_integrate_alike():
    for coefficients in KERNELS.values():
        assert np.polynomial.Polynomial(coefficients).integ()(1.0) == pytest.approx(0.5)


def left_out(x, y, cluster, width, order):
    """Return the CR3 variance of the intercept on one side, each cluster's residuals from a fit without it."""
    kernel = 1.0 - x / width
    root, design = np.sqrt(kernel), np.vander(x / width, order + 1, increasing=True)
    q, r = np.linalg.qr(design * root[:, None])
    row = np.linalg.solve(r, q.T * root)[0]
    total = 0.0
    for code in np.unique(cluster):
        own = cluster == code
        beta = np.linalg.lstsq((design * root[:, None])[~own], (y * root)[~own], rcond=1e-15)[0]
        total += float(row[own] @ (y[own] - design[own] @ beta)) ** 2
    return total


@pytest.mark.parametrize("order", [1, 3, 5])
def test_cr3_leaves_clusters_out_however_collinear_the_powers_are(order):
    rng = np.random.default_rng(4)
    x = np.concatenate([-rng.lognormal(size=40), rng.lognormal(size=40)])
    x, cluster = x / 8.0, rng.integers(0, 9, 80)
    x = np.clip(x, -0.999, 0.999)
    y = np.sin(x) + rng.normal(size=80)
    parts = split(x, y, 0.0, cluster=cluster, bias_order=order + 1)
    found = estimate(parts, Plan(order, order + 1, 0, "CR3"), Bandwidths(1.0, 1.0, 1.0, 1.0)).effect
    expected = sum(left_out(np.abs(x[s]), y[s], cluster[s], 1.0, order) for s in (x < 0, x >= 0))
    assert found.se**2 == pytest.approx(expected, rel=1e-8)


def test_cr3_without_a_fit_that_leaves_a_cluster_out_is_refused():
    """A pseudo-inverse gave a number that was arbitrary, and often far too small."""
    x = np.concatenate([-np.linspace(0.1, 0.9, 12), [0.1, 0.3, 0.5, 0.7]])
    cluster = np.concatenate([np.arange(12) % 4, [0, 1, 2, 2]])
    y = np.random.default_rng(0).normal(size=16)
    parts = split(x, y, 0.0, cluster=cluster, bias_order=2)
    wide = Bandwidths(1.0, 1.0, 1.0, 1.0)
    with pytest.raises(DesignError, match="above the cutoff its polynomial could not be fitted"):
        estimate(parts, Plan(1, 2, 0, "CR3"), wide)
    assert estimate(parts, Plan(1, 2, 0, "CR2"), wide).effect.robust_se > 0


@pytest.mark.parametrize("vcov", ["HC0", "HC1", "HC2", "HC3"])
def test_as_many_rows_as_coefficients_have_no_residuals_to_go_by(vcov):
    x = np.concatenate([[-0.5, -0.3, -0.1], np.linspace(0.05, 0.95, 30)])
    y = np.random.default_rng(1).normal(size=33)
    parts, wide = split(x, y, 0.0, bias_order=2), Bandwidths(1.0, 1.0, 1.0, 1.0)
    with pytest.raises(DesignError, match="3 rows for 3 coefficients"):
        estimate(parts, Plan(1, 2, 0, vcov), wide)
    assert estimate(parts, Plan(1, 2, 0, "NN"), wide).effect.robust_se > 0


@pytest.mark.parametrize("far", [5.0, 20.0])
def test_power_sums_that_cancel_are_summed_row_by_row(far):
    """Next to a far row, coefficients of high powers are huge and their sums cancel: a variance could be negative."""
    rng = np.random.default_rng(0)
    distance = np.concatenate([rng.uniform(0.005, 0.05, 12), [far]])
    x = np.concatenate([-distance, distance])
    side = split(x, rng.normal(size=x.size), 0.0, bias_order=3).right
    fit = side.fit(side.reach * 1.0001, 3)
    weights = coefficient_weights(fit, side.kernel, 3)
    row = np.polynomial.polynomial.polyval(side.distance / fit.bandwidth, weights.near)
    expected = float(np.sum((row * side.neighbour_residuals[0]) ** 2))
    assert variance(side, weights, fit, np.ones(1), "NN", fit.rows) == pytest.approx(expected, rel=1e-10)
