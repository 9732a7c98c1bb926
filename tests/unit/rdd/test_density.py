from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.rdd.density import density_test_arrays
from causalkit.rdd.density_model import reference_constant

KERNELS = {
    "triangular": lambda u: 1 - np.abs(u),
    "uniform": lambda u: np.full(u.shape, 0.5),
    "epanechnikov": lambda u: 0.75 * (1 - u**2),
}


def scores(n=800, seed=0, decimals=None):
    x = np.random.default_rng(seed).normal(0.2, 1.0, n)
    return x if decimals is None else np.round(x, decimals)


def by_matrices(x, left, right, order, kernel, restricted):
    """The fit and its jackknife written out with full design matrices."""
    x = np.sort(x)
    n, last = x.size, np.searchsorted(x, x, side="right") - 1
    inside = (x >= -left) & (x <= right)
    y, x = last[inside] / (n - 1), x[inside]
    h = np.where(x < 0, left, right)
    below, powers = (x < 0)[:, None], (x[:, None]) ** np.arange(order + 1)
    if restricted:
        design = np.column_stack([np.ones(x.size), np.where(x < 0, x, 0), np.where(x >= 0, x, 0), powers[:, 2:]])
        at = [1, 2]
    else:
        design = np.hstack([np.where(below, powers, 0), np.where(below, 0, powers)])
        at = [1, order + 2]
    weighted = design * (KERNELS[kernel](x / h) / h)[:, None]
    inverse = np.linalg.inv(weighted.T @ design)
    first = np.searchsorted(x, x, side="left")
    later = np.vstack([np.cumsum(weighted[::-1], axis=0)[::-1], np.zeros(design.shape[1])])[first + 1] / (n - 1)
    covariance = inverse @ later.T @ later @ inverse
    return (inverse @ weighted.T @ y)[at], covariance[np.ix_(at, at)]


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize("bandwidth", [(0.9, 0.9), (0.7, 1.1)])
def test_fit_and_jackknife_against_matrices(kernel, restricted, decimals, bandwidth):
    x = scores(decimals=decimals)
    found = density_test_arrays(x, bandwidth=bandwidth, kernel=kernel, restricted=restricted, order=2)
    for fit in (found.robust, found.conventional):
        density, covariance = by_matrices(x, *bandwidth, fit.order, kernel, restricted)
        np.testing.assert_allclose([fit.left, fit.right], density, rtol=1e-8)
        change = np.array([-1.0, 1.0])
        errors = np.sqrt([covariance[0, 0], covariance[1, 1], change @ covariance @ change])
        np.testing.assert_allclose([fit.left_se, fit.right_se, fit.difference_se], errors, rtol=1e-8)


def test_reference_constants_are_the_exact_ones():
    # By exact integration of the polynomials: 24/5, 3840/7, 232960/9, and so on.
    np.testing.assert_allclose([reference_constant(1, 1), reference_constant(2, 1)], [4.8, 3840 / 7], rtol=1e-12)
    np.testing.assert_allclose(
        [reference_constant(3, 2), reference_constant(4, 3)], [232960 / 9, 37739520 / 11], rtol=1e-11
    )


@pytest.mark.parametrize("options", [{}, {"restricted": True}, {"vcov": "plugin"}, {"kernel": "uniform"}])
def test_units_and_order_of_rows_do_not_matter(options):
    x = scores(1500, 3)
    base = density_test_arrays(x, **options)
    moved = density_test_arrays(x * 1e6 + 1e7, 1e7, **options)
    np.testing.assert_allclose(np.array(moved.bandwidths) / 1e6, base.bandwidths, rtol=1e-7)
    np.testing.assert_allclose(moved.statistic, base.statistic, rtol=1e-6)
    shuffled = density_test_arrays(np.random.default_rng(1).permutation(x), **options)
    np.testing.assert_allclose(shuffled.statistic, base.statistic, rtol=1e-9)
    mirrored = density_test_arrays(-x, **options)
    np.testing.assert_allclose(mirrored.bandwidths, base.bandwidths[::-1], rtol=1e-7)
    np.testing.assert_allclose(mirrored.statistic, -base.statistic, rtol=1e-6)


def test_no_mass_points_and_mass_points_agree_without_ties():
    x = scores(700, 4)
    np.testing.assert_allclose(
        density_test_arrays(x, mass_points=False).statistic, density_test_arrays(x).statistic, rtol=1e-12
    )


def test_clean_scores_pass_and_bunched_ones_fail():
    clean, bunched = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(0.3, 1.0, 2000)
        clean.append(ck.rdd.density_test(x).checks["density"].status)
        moved = rng.permutation(np.flatnonzero(x < 0))[:200]  # a tenth of all, to just above the cutoff
        x[moved] = rng.uniform(0.0, 0.2, 200)
        bunched.append(ck.rdd.density_test(x).checks["density"].status)
    assert clean.count("fail") <= 6  # five per cent, and three standard errors
    assert bunched.count("fail") >= 38


def test_array_column_and_table_are_the_same():
    x = scores()
    tables = [(x, {}), (list(x), {}), (pd.Series(x, name="margin"), {}), ({"margin": x}, {"running": "margin"})]
    found = [ck.rdd.density_test(data, 0.1, **more) for data, more in tables]
    np.testing.assert_allclose([test.statistic for test in found], found[0].statistic, rtol=1e-9)
    assert [test.name for test in found] == ["the running variable"] * 2 + ["margin"] * 2


def test_missing_values_are_left_out_and_counted():
    x = scores()
    gaps = np.concatenate([[np.nan], x, [np.nan]])
    found = ck.rdd.density_test(gaps)
    assert found.n_dropped == 2
    np.testing.assert_allclose(found.statistic, ck.rdd.density_test(x).statistic, rtol=1e-9)
    with pytest.raises(DataError, match="missing"):
        ck.rdd.density_test(gaps, missing="raise")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: ck.rdd.density_test(x, 99.0), DataError, "one side of the cutoff 99"),
        (lambda x: ck.rdd.density_test({"x": x}), DesignError, "needs running="),
        (lambda x: ck.rdd.density_test(np.r_[x, np.inf]), DataError, "infinite"),
        (lambda x: ck.rdd.density_test(["a", "b"]), DataError, "not numeric"),
        (lambda x: ck.rdd.density_test(x[:, None]), DataError, "shape"),
        (lambda x: ck.rdd.density_test(x, kernel="gauss"), DesignError, "triangular"),
        (lambda x: ck.rdd.density_test(x, vcov="HC1"), DesignError, "jackknife"),
        (lambda x: ck.rdd.density_test(x, bandwidth="best"), DesignError, "comb"),
        (lambda x: ck.rdd.density_test(x, bandwidth=-1.0), DesignError, "positive"),
        (lambda x: ck.rdd.density_test(x, bandwidth="each", restricted=True), DesignError, "restricted"),
        (lambda x: ck.rdd.density_test(x, order=0), DesignError, "order=0"),
        (lambda x: ck.rdd.density_test(x, order=2, bias_order=1), DesignError, "bias_order=1"),
        (lambda x: ck.rdd.density_test(x, bandwidth=0.002), InferenceUnavailable, "too few distinct"),
        (lambda x: ck.rdd.density_test(np.r_[x, np.repeat(0.5, 9)], windows=[-1.0]), DesignError, "windows"),
    ],
)
def test_errors_teach(call, error, words):
    with pytest.raises(error, match=words):
        call(scores())


def test_repeated_values_are_said():
    found = ck.rdd.density_test(scores(2000, 5, decimals=1), cutoff=0.05)
    assert found.checks["mass_points"].status == "warn"
    assert "mass_points" not in ck.rdd.density_test(scores()).checks


def test_report_shows_everything():
    found = ck.rdd.density_test(scores(2000, 6), windows=[0.1, 0.2])
    table = found.to_frame()
    row = table[table["term"] == "difference (robust)"].iloc[0]
    assert row["pvalue"] == found.pvalue == found.checks["density"].pvalue
    assert row["estimate"] == pytest.approx(found.robust.right - found.robust.left)
    assert [test.window for test in found.binomial] == [0.1, 0.2]
    assert json.loads(found.to_json())["checks"]["density"]["status"] == found.checks["density"].status
    assert "p-value" in found.summary()
    assert len(found.passages()) == 2
    left, right = found.curves()
    assert left.density[0] == pytest.approx(found.robust.left, rel=1e-9)
    assert right.se[0] == pytest.approx(found.robust.right_se, rel=1e-9)
    data = found.plot_data("density")
    assert np.sum(data["heights"] * np.diff(data["edges"])) <= 1.0 + 1e-12
    assert 0.0 in data["edges"]
    assert found.plot("density").axes


def test_curve_follows_the_density():
    found = ck.rdd.density_test(scores(60_000, 7))
    for part in found.curves():
        truth = np.exp(-((part.at - 0.2) ** 2) / 2) / np.sqrt(2 * np.pi)
        assert np.mean(np.abs(part.density - truth) < 3.0 * part.se + 0.004) > 0.95
