"""Honest intervals: the bias bound is attained, the bandwidth is the best one, and the certificate says so."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.rd_honest import neighbour_residuals
from causalkit.rdd.honest_bandwidth import CRITERIA, Criterion
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_discrete import bounded_misspecification
from causalkit.rdd.honest_fit import HonestConfig, HonestProblem, honest_fit
from causalkit.rdd.honest_moments import SideMoments
from causalkit.rdd.honest_optimal import optimal_weights
from causalkit.rdd.honest_pilot import pilot, rule_of_thumb
from causalkit.rdd.honest_regression import local_linear
from causalkit.rdd.honest_smoothness import smoothness_bound


def table(n=400, seed=0, effect=1.0, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(0.1, 1.0, n)
    y = np.sin(1.3 * x) + effect * (x >= 0) + noise * rng.normal(size=n)
    return y, x


@pytest.fixture(scope="module")
def rows():
    return HonestData.of(*table())


def test_neighbours_enter_by_whole_groups_of_ties():
    rng = np.random.default_rng(3)
    x = np.sort(rng.integers(-12, 12, 60)) / 4.0
    y, w = rng.normal(size=(60, 2)) + 1e6, rng.uniform(1, 3, 60)
    found = neighbour_residuals(x, y, w, 3)
    for k in range(60):
        distance = np.abs(x - x[k])
        near = distance <= np.sort(np.delete(distance, k))[2]
        near[k] = False
        total = w[near].sum()
        mean = w[near] @ y[near] / total
        np.testing.assert_allclose(found[k], np.sqrt(total / (total + w[k])) * (y[k] - mean), atol=1e-9)


def test_a_row_alone_has_no_neighbour():
    assert neighbour_residuals(np.array([1.0]), np.array([[2.0]]), np.ones(1), 3).tolist() == [[0.0]]


@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
@pytest.mark.parametrize("kind", ["holder", "taylor"])
def test_running_sums_give_what_the_regression_gives(rows, kernel, kind):
    weighted = replace(rows, weights=np.random.default_rng(1).integers(1, 4, rows.x.size).astype(float))
    variance = pilot(weighted)
    criterion = Criterion(weighted, variance, kernel, kind)
    for h in (0.3, 0.77, 1.9, 10.0):
        fit = local_linear(weighted, h, kernel)
        bias = 0.7 * fit.unit_bias(kind)
        sigma2 = np.where(fit.data.treated, variance.right[0, 0], variance.left[0, 0])
        expected = bias**2 + fit.weights**2 @ sigma2
        assert criterion(np.array([h]), np.array([0.7]))[0] == pytest.approx(expected, rel=1e-9)


def test_windows_that_rows_only_touch_have_no_variance_below_zero():
    x = np.concatenate([-np.linspace(1.0, 0.01, 30), np.linspace(0.01, 1.0, 30)])
    moments = SideMoments(HonestData.of(np.sin(x), x), True, 1.0)
    second = float(np.sort(x[x > 0])[1])
    found = moments.at(second * (1.0 + np.logspace(-15, -1, 200)), "triangular", "holder").squares
    assert np.isnan(found[0])
    assert (found[np.isfinite(found)] >= 0.5).all()


def test_weights_are_those_of_weighted_least_squares(rows):
    fit = local_linear(rows, 1.1, "triangular")
    x, treated = fit.data.x, fit.data.treated.astype(float)
    design = np.column_stack([treated, np.ones_like(x), x, x * treated])
    root = np.sqrt(1.0 - np.abs(x) / 1.1)[:, None]
    solved = np.linalg.pinv(root * design) * root.T
    np.testing.assert_allclose(fit.weights, solved[0], atol=1e-12)
    np.testing.assert_allclose(fit.residuals[:, 0], fit.data.y[:, 0] - design @ solved @ fit.data.y[:, 0], atol=1e-11)


@pytest.mark.parametrize("kernel", ["triangular", "uniform"])
def test_no_function_of_the_class_has_more_bias_than_the_bound(rows, kernel):
    fit = local_linear(rows, 1.2, kernel)
    x = fit.data.x
    worst = np.where(x < 0, -1.0, 1.0) * -0.5 * x**2  # curved down above the cutoff, up below it
    assert abs(fit.weights @ worst) == pytest.approx(fit.unit_bias("holder"), rel=1e-12)
    assert fit.unit_bias("holder") <= fit.unit_bias("taylor") + 1e-15
    rng = np.random.default_rng(5)
    for _ in range(50):  # random functions with a second derivative of +-1
        knots = np.sort(rng.uniform(-1.2, 1.2, 6))
        signs = rng.choice([-1.0, 1.0], 7)
        grid = np.linspace(-1.2, 1.2, 4001)
        second = signs[np.searchsorted(knots, grid)]
        slope = np.concatenate([[0.0], np.cumsum((second[1:] + second[:-1]) / 2 * np.diff(grid))])
        value = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(grid))])
        assert abs(fit.weights @ np.interp(x, grid, value)) <= fit.unit_bias("holder") + 1e-4


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_bandwidth_has_the_smallest_criterion(rows, criterion):
    for kernel in ("triangular", "uniform"):
        objective = Criterion(rows, pilot(rows), kernel, "holder", criterion)
        best = objective.best(np.array([2.0]))
        tried = np.geomspace(0.1, rows.largest, 3000)
        if kernel == "uniform":
            tried = np.unique(np.abs(rows.x))
        assert objective(np.array([best]), np.array([2.0]))[0] <= objective(tried, np.array([2.0])).min() * (1 + 1e-12)


def test_the_critical_value_is_that_of_a_folded_normal(rows):
    fit = honest_fit(rows, smoothness=1.0)
    expected = np.sqrt(stats.ncx2.ppf(0.95, 1, (fit.bias / fit.se) ** 2))
    assert fit.critical_value == pytest.approx(expected, rel=1e-9)
    low, high = fit.interval
    assert fit.pvalue(low) == pytest.approx(0.05, abs=1e-10)
    assert fit.pvalue(high) == pytest.approx(0.05, abs=1e-10)


def test_without_curvature_the_interval_is_the_usual_one(rows):
    fit = honest_fit(rows, HonestConfig(vcov="HC0", kernel="uniform"), smoothness=0.0, bandwidth=1.0)
    assert fit.bias == 0.0
    assert fit.critical_value == pytest.approx(stats.norm.ppf(0.975), rel=1e-12)


def test_the_rule_of_thumb_finds_the_curvature_of_a_quartic():
    x = np.linspace(-1, 2, 301)
    y = np.where(x < 0, 0.3 * x**4 - x**3, 0.5 * x**2 - 0.1 * x**3)
    # left: |3.6 x^2 - 6 x| at -1 is 9.6; right: |1 - 0.6 x| at 0 is 1
    assert rule_of_thumb(HonestData.of(y, x))[0] == pytest.approx(9.6, rel=1e-8)


def test_neither_units_nor_location_nor_the_order_of_rows_matter():
    y, x = table(300, 2)
    base = honest_fit(HonestData.of(y, x))
    order = np.random.default_rng(1).permutation(300)
    moved = honest_fit(HonestData.of(1e6 * y[order] + 1e9, 1e-3 * x[order]))
    assert moved.estimate == pytest.approx(1e6 * base.estimate, rel=1e-7)
    assert moved.interval == pytest.approx(tuple(1e6 * v for v in base.interval), rel=1e-6)
    assert moved.bandwidth[0] == pytest.approx(1e-3 * base.bandwidth[0], rel=1e-6)
    flipped = honest_fit(HonestData.of(y, -x))
    assert flipped.estimate == pytest.approx(-base.estimate, rel=1e-7)


def test_clusters_of_one_row_are_no_clusters(rows):
    alone = replace(rows, cluster=np.arange(rows.x.size, dtype=np.int32))
    one = honest_fit(alone, HonestConfig(vcov="CR0"), smoothness=1.0)
    two = honest_fit(rows, HonestConfig(vcov="HC0"), smoothness=1.0)
    assert one == two


def test_clusters_widen_the_bandwidth_by_their_correlation():
    y, x = table(300, 4)
    cluster = np.random.default_rng(9).integers(0, 30, 300).astype(np.int32)
    data = HonestData.of(y + np.random.default_rng(8).normal(size=30)[cluster], x, cluster=cluster)
    variance = pilot(data)
    assert variance.within[0, 0] > 0.3
    fit = local_linear(data, 1.0, "triangular")
    shared = fit.weights[:, None] * fit.weights * (fit.data.cluster[:, None] == fit.data.cluster)
    sigma2 = np.where(fit.data.treated, variance.right[0, 0], variance.left[0, 0])
    expected = fit.weights**2 @ sigma2 + variance.within[0, 0] * (shared.sum() - np.trace(shared))
    found = Criterion(data, variance, "triangular", "holder")(np.array([1.0]), np.zeros(1))[0]
    assert found == pytest.approx(expected, rel=1e-9)


def test_covariates_do_not_move_the_bias_much_and_sharpen_the_estimate():
    y, x = table(500, 6)
    z = np.random.default_rng(2).normal(size=(500, 1))
    plain = honest_fit(HonestData.of(y + 2.0 * z[:, 0], x), smoothness=1.0)
    fit = honest_fit(HonestData.of(y + 2.0 * z[:, 0], x, covariates=z), smoothness=1.0)
    assert fit.se < 0.5 * plain.se
    twice = HonestData.of(y + 2.0 * z[:, 0], x, covariates=np.column_stack([z, 3 * z + 1]))
    assert honest_fit(twice, smoothness=1.0).estimate == pytest.approx(fit.estimate, rel=1e-9)


def test_a_fuzzy_design_with_a_perfect_first_stage_is_a_sharp_one(rows):
    fuzzy = replace(rows, y=np.column_stack([rows.y, rows.treated.astype(float)]))
    one = honest_fit(fuzzy, smoothness=[1.0, 0.0], bandwidth=1.0)
    two = honest_fit(rows, smoothness=1.0, bandwidth=1.0)
    assert one.first_stage == pytest.approx(1.0, abs=1e-12)
    assert (one.estimate, one.se, one.bias) == pytest.approx((two.estimate, two.se, two.bias), rel=1e-9)


def test_no_weights_beat_the_optimal_ones(rows):
    variance, bound = pilot(rows), 1.5
    best = optimal_weights(rows, variance, bound, "mse", 0.05, 0.8)
    w, x, treated = best.fit.weights, best.fit.data.x, best.fit.data.treated
    assert w[treated].sum() == pytest.approx(1.0, rel=1e-10)
    assert w[~treated].sum() == pytest.approx(-1.0, rel=1e-9)
    np.testing.assert_allclose([w[treated] @ x[treated], w[~treated] @ x[~treated]], 0.0, atol=1e-9)
    assert best.bias == pytest.approx(bound / 2.0 * np.abs(w * x**2).sum(), rel=1e-9)
    sigma2 = np.where(treated, variance.right[0, 0], variance.left[0, 0])
    error = best.bias**2 + w**2 @ sigma2
    linear = Criterion(rows, variance, "triangular", "taylor")
    at = linear.best(np.array([bound]))
    assert error < linear(np.array([at]), np.array([bound]))[0]
    oci = optimal_weights(rows, variance, bound, "oci", 0.05, 0.8)
    assert oci.bias < best.bias


def test_the_data_bound_the_curvature_from_below():
    rng = np.random.default_rng(11)
    x = rng.uniform(-1, 1, 4000)
    y = 4.0 * x**2 + 0.3 * rng.normal(size=4000)
    data = HonestData.of(y, x)
    found = smoothness_bound(data, pilot(data), points=300)
    assert 2.0 < found.low < found.estimate < 11.0  # the truth is 8
    flat = HonestData.of(0.3 * rng.normal(size=4000), x)
    assert smoothness_bound(flat, pilot(flat), points=300).low == 0.0
    noisy = HonestData.of(rng.normal(size=4000) * (0.1 + 3.0 * np.abs(x)), x)
    assert smoothness_bound(noisy, pilot(noisy), points=30).low == 0.0
    assert smoothness_bound(noisy, pilot(noisy), points=30, equal_variances=True).low > 0.0  # noise taken for curvature
    with pytest.raises(DesignError, match="fewer points"):
        smoothness_bound(data, pilot(data), points=3000)


def test_misfit_at_the_support_points_widens_the_interval():
    rng = np.random.default_rng(12)
    x = rng.integers(-6, 6, 3000).astype(float)
    y = 0.1 * x + 0.5 * (x >= 0) + rng.normal(size=3000)
    data = HonestData.of(y, x)
    straight = bounded_misspecification(data, left=4, right=4)
    bent = bounded_misspecification(replace(data, y=data.y + 0.05 * data.x[:, None] ** 2), left=4, right=4)
    assert straight.support == 9
    assert straight.low < 0.5 < straight.high
    assert bent.high - bent.low > straight.high - straight.low
    with pytest.raises(DesignError, match="support points"):
        bounded_misspecification(data, order=4, left=3, right=3)
    with pytest.raises(InferenceUnavailable, match="discrete"):
        bounded_misspecification(HonestData.of(rng.normal(size=5000), rng.normal(size=5000)))


def test_bad_requests_teach(rows):
    with pytest.raises(DesignError, match="not negative"):
        honest_fit(rows, smoothness=-1.0)
    with pytest.raises(DesignError, match="two bounds"):
        honest_fit(replace(rows, y=np.column_stack([rows.y, rows.y])), smoothness=1.0)
    with pytest.raises(DesignError, match="within the bandwidth"):
        honest_fit(rows, smoothness=1.0, bandwidth=1e-9)
    with pytest.raises(DesignError, match="needs clusters"):
        HonestProblem.of(rows, HonestConfig(vcov="CR0"))
    with pytest.raises(DesignError, match="kernel='cosine'"):
        HonestConfig(kernel="cosine")
    with pytest.raises(InferenceUnavailable, match="distinct values below"):
        honest_fit(HonestData.of(np.arange(6.0), np.array([-1.0, -1, -1, 1, 2, 3])))


def test_intervals_hold_the_truth():
    """150 draws of a function at the edge of its class: coverage is at least nominal, within binomial error."""
    held = 0
    rng = np.random.default_rng(21)
    x = np.sort(rng.uniform(-1, 1, 200))
    signal = np.where(x < 0, 1.0, -1.0) * 1.5 * x**2
    rows = HonestData.of(signal, x)
    for _ in range(150):
        y = signal + 0.4 * rng.normal(size=200)
        low, high = honest_fit(rows.with_outcomes(y[:, None]), smoothness=3.0).interval
        held += low <= 0.0 <= high
    assert held >= 150 * 0.95 - 3 * np.sqrt(150 * 0.95 * 0.05)
