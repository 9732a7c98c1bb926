"""Power sums and neighbours against sums and searches written out."""

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.kernels.rd_local import neighbour_residuals, tie_starts
from causalkit.rdd.moments import KERNELS
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
