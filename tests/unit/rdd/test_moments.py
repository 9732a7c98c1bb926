"""Power sums and neighbours against sums and searches written out."""

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.kernels.rd_local import distinct_residuals, neighbour_residuals, tie_starts
from causalkit.rdd.bandwidth_rules import Plan, select
from causalkit.rdd.line import KERNELS, PowerSums
from causalkit.rdd.local_polynomial import estimate
from causalkit.rdd.windows import split


def scores(n=700, seed=0, digits=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    x = x if digits is None else np.round(x, digits)
    return x, x + (x >= 0) + rng.normal(size=n)


def brute_force(x, y, n_neighbours=3):
    """Nearest neighbours by whole groups of ties, both sides at once where equally far."""
    out = np.empty(len(x))
    for i in range(len(x)):
        distance = np.abs(x - x[i])
        chosen = distance <= 1e-12
        for gap in np.unique(np.round(distance, 12)):
            if chosen.sum() - 1 >= min(n_neighbours, len(x) - 1):
                break
            chosen |= np.round(distance, 12) <= gap
        others = chosen.copy()
        others[i] = False
        count = others.sum()
        out[i] = np.sqrt(count / (count + 1)) * (y[i] - y[others].mean())
    return out


@pytest.mark.parametrize("digits", [None, 2, 1])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_a_window_is_the_regression_on_its_rows(kernel, digits):
    x, y = scores(digits=digits)
    side = split(x, y, kernel=kernel).right
    for h in (0.3, 1.0, 2.0):
        fit = side.fit(h, 2)
        inside = (x >= 0) & (x / h < 1 if kernel != "uniform" else x / h <= 1)
        u = x[inside] / h
        weight = np.polynomial.polynomial.polyval(u, KERNELS[kernel])
        design = np.vander(u, 3, increasing=True)
        wanted = np.linalg.lstsq(design * np.sqrt(weight)[:, None], y[inside] * np.sqrt(weight), rcond=None)[0]
        found = fit.beta[:, 0].copy()
        found[0] += side.levels[0] + side.pivots[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
        assert fit.rows == inside.sum()


@pytest.mark.parametrize("digits", [None, 2, 1])
def test_neighbours_are_the_nearest(digits):
    x, y = scores(n=300, digits=digits)
    order = np.argsort(x)
    x, y = x[order], y[order]
    starts = tie_starts(x)
    out = np.empty((1, x.size))
    neighbour_residuals(x, y[None, :], starts, 0, starts.size - 1, starts.size - 1, 3, out)
    np.testing.assert_allclose(out[0], brute_force(x, y), atol=1e-12)


def test_neighbours_lie_in_the_window():
    x, y = scores(n=200)
    side = split(x, y).right
    for rows in (5, 20, side.n - 1, side.n):
        edge, outer = side.residual_edge(rows)
        found = np.concatenate([side.neighbour_residuals[0, :edge], outer[0]])
        wanted = brute_force(side.distance[:rows], side.columns[0, :rows])
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_evenly_spaced_values_tie_on_both_sides():
    x = np.arange(20.0)
    y = np.random.default_rng(0).normal(size=20)
    starts = tie_starts(x)
    out = np.empty((1, 20))
    neighbour_residuals(x, y[None, :], starts, 0, 20, 20, 3, out)
    np.testing.assert_allclose(out[0], brute_force(x, y), atol=1e-12)
    np.testing.assert_allclose(out[0, 10], np.sqrt(4 / 5) * (y[10] - y[[8, 9, 11, 12]].mean()))


def test_a_part_of_a_side_keeps_what_it_knows():
    x, y = scores(n=400)
    whole = split(x, y)
    _ = whole.right.neighbour_residuals, whole.left.neighbour_residuals
    for place in (0.4, -0.7):
        part = whole.at_placebo(place)
        inside = x >= 0 if place > 0 else x < 0
        fresh = split(x[inside], y[inside], place)
        for one, other in zip(part.sides, fresh.sides, strict=True):
            np.testing.assert_allclose(one.distance, other.distance, atol=1e-15)
            np.testing.assert_allclose(one.neighbour_residuals, other.neighbour_residuals, atol=1e-12)
        assert part.iqr == pytest.approx(fresh.iqr)
        assert part.sd == pytest.approx(fresh.sd)
        assert part.distinct == fresh.distinct


def test_a_window_without_enough_values_is_refused():
    x, y = scores()
    with pytest.raises(DesignError, match="needs 3 distinct values of the running variable above the cutoff"):
        split(x, y).right.fit(1e-4, 2)


def exact_sums(d, values, n_powers):
    """Sums in extended precision, and the same of absolute values."""
    powers = d.astype(np.longdouble)[:, None] ** np.arange(n_powers)
    return (values[:, None] * powers).sum(axis=0), (np.abs(values)[:, None] * powers).sum(axis=0)


@pytest.mark.parametrize("shape", ["even", "heavy", "clumped"])
@pytest.mark.parametrize("summed", ["ones", "signed", "squared"])
def test_sums_of_any_window_about_any_place(shape, summed):
    rng = np.random.default_rng(3)
    n = 20_000
    d = np.sort({"even": rng.random(n), "heavy": np.exp(2 * rng.normal(size=n)), "clumped": rng.random(n) ** 9}[shape])
    column = rng.normal(size=n)
    values = {"ones": np.zeros(0), "signed": column, "squared": column}[summed]
    sums = PowerSums(d, values, summed == "squared", 11)
    each = {"ones": np.ones(n), "signed": column, "squared": column**2}[summed]
    for rows in (0, 3, 255, 256, 9_999, n):
        for h in (d[max(rows - 1, 1)], d[-1]):
            wanted, size = exact_sums(d[:rows] / h, each[:rows], 11)
            np.testing.assert_array_less(np.abs(sums.until(rows, h) - wanted), 1e-14 * size + 1e-300)
    for low, high in ((0, n), (1, n), (700, 19_000), (5_000, 5_003), (0, 300), (19_900, n)):
        h = d[high - 1] - d[low]
        for origin, unit in ((d[low], 1 / h), (d[high - 1], -1 / h)):
            wanted, size = exact_sums((d[low:high] - origin) * unit, each[low:high], 11)
            np.testing.assert_array_less(np.abs(sums.between(low, high, origin, unit) - wanted), 1e-13 * size + 1e-300)


def test_sums_grow_with_the_windows():
    d, y = np.sort(np.random.default_rng(0).random((2, 5_000)), axis=1)
    grown = PowerSums(d, y, False, 7)
    for rows in (100, 300, 2_000, 1_999, 5_000):
        np.testing.assert_array_equal(grown.until(rows, 0.3), PowerSums(d, y, False, 7).until(rows, 0.3))


@pytest.mark.parametrize("spacing", ["random", "even"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 7, 8, 2_000])
def test_neighbours_of_distinct_values_are_those_of_groups_of_one(n, spacing):
    rng = np.random.default_rng(n)
    d = np.sort(rng.random(n)) if spacing == "random" else np.arange(n) / 8.0
    y, found, wanted = rng.normal(size=(2, n)), np.zeros((2, n)), np.zeros((2, n))
    for first, stop in ((0, n // 3), (n // 3, n)):
        distinct_residuals(d, y, first, stop, found)
    neighbour_residuals(d, y, tie_starts(d), 0, n, n, 3, wanted)
    np.testing.assert_allclose(found, wanted, atol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("digits", [None, 2])
def test_an_estimate_at_a_placebo_cutoff_is_that_of_its_rows(digits, weighted):
    x, y = scores(n=6_000, digits=digits)
    weights = np.random.default_rng(1).random(6_000) + 0.5
    whole = split(x, y, weights=weights if weighted else None)
    for place in (0.5, -0.3, 1.7):
        part, inside = whole.at_placebo(place), x >= 0 if place > 0 else x < 0
        fresh = split(x[inside], y[inside], place, weights=weights[inside] if weighted else None)
        chosen = select(fresh, Plan())
        np.testing.assert_allclose(select(part, Plan()), chosen, rtol=1e-8)
        one, other = (estimate(rows, Plan(), chosen) for rows in (part, fresh))
        assert one.effect.conventional == pytest.approx(other.effect.conventional, abs=1e-9 * other.effect.se)
        assert one.effect.corrected == pytest.approx(other.effect.corrected, abs=1e-9 * other.effect.se)
        assert one.effect.robust_se == pytest.approx(other.effect.robust_se, rel=1e-9)
        assert one.n_bias == other.n_bias


def test_without_near_rows_and_seen_from_elsewhere():
    x, y = scores(n=3_000)
    part = split(x, y).without(0.2).at_placebo(0.8)
    inside = x >= 0.2
    fresh = split(x[inside], y[inside], 0.8)
    for one, other in zip(part.sides, fresh.sides, strict=True):
        np.testing.assert_allclose(one.neighbour_residuals, other.neighbour_residuals, atol=1e-12)
        for rows in (4, 7, 40, other.n):
            (edge, outer), (where, wanted) = one.residual_edge(rows), other.residual_edge(rows)
            found = one.squared_residual_sums(rows, edge, outer[0], 0.7)
            np.testing.assert_allclose(found, other.squared_residual_sums(rows, where, wanted[0], 0.7), rtol=1e-11)


@pytest.mark.parametrize("far", [0.0, 1e9])
def test_values_that_share_their_first_bits_are_sorted(far):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=3_000), far + 1.0 + rng.integers(0, 50, 3_000) * 2.0**-22])
    y = rng.normal(size=x.size)
    found = split(x, y)
    for side, inside in zip(found.sides, (x < 0, x >= 0), strict=True):
        np.testing.assert_array_equal(side.distance, np.sort(np.abs(x[inside])))
        np.testing.assert_array_equal(np.abs(x[side.rows]), side.distance)
        assert side.n_distinct == np.unique(x[inside]).size
    assert found.sd == pytest.approx(x.std(ddof=1), rel=1e-12)
    assert found.iqr == np.quantile(x, 0.75, method="averaged_inverted_cdf") - np.quantile(
        x, 0.25, method="averaged_inverted_cdf"
    )


def test_treatment_that_does_not_vary_at_the_cutoff_leaves_no_bandwidth():
    x, y = scores(n=3_000)
    treatment = ((x > 0.1) | (x < -2.0)) & (x < 2.5)
    rows = split(x, y, treatment=treatment.astype(float))
    with pytest.raises(DesignError, match="does not vary next to the cutoff"):
        select(rows, Plan())
