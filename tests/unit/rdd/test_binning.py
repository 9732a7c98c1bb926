"""Bins of the plot: every row in one bin, and an answer that does not depend on the order of tied rows."""

import itertools

import numpy as np
import pytest

from causalkit.errors import DataError, DesignError
from causalkit.rdd.binning import RULES, bins, global_curve


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(0.2, 1.0, 300), 2)
    return 1.0 + 0.5 * x + (x >= 0) + rng.normal(size=300), x


@pytest.mark.parametrize("rule", RULES)
def test_every_row_is_in_one_bin(rows, rule):
    y, x = rows
    found = bins(y, x, rule, adjust=False)
    assert found.n.sum() == 300
    assert found.n @ found.y == pytest.approx(y.sum(), rel=1e-12)
    assert found.n @ found.x == pytest.approx(x.sum(), rel=1e-10)
    assert ((found.low <= found.x + 1e-12) & (found.x <= found.high + 1e-12)).all()
    most = int(np.argmax(found.n))
    inside = (x >= found.low[most]) & (x < found.high[most])
    assert found.y[most] == pytest.approx(y[inside].mean(), rel=1e-12)
    assert found.se[most] == pytest.approx(y[inside].std(ddof=1) / np.sqrt(inside.sum()), rel=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_order_units_and_location_do_not_matter(rows, rule):
    y, x = rows
    base = bins(y, x, rule)
    order = np.random.default_rng(0).permutation(300)
    moved = bins(1e6 * y[order] + 1e9, 1e3 * x[order], rule)
    assert moved.count == base.count
    np.testing.assert_allclose(moved.y, 1e6 * base.y + 1e9, rtol=1e-9)


def test_differences_of_tied_rows_are_averaged_over_their_orders():
    x = np.array([-3.0, -2.0, -2.0, -1.0, -1.0, -1.0, *range(1, 20)])
    y = np.random.default_rng(1).normal(size=x.size)
    values = []
    for two in itertools.permutations(range(1, 3)):
        for three in itertools.permutations(range(3, 6)):
            ordered = y[[0, *two, *three]]
            values.append((np.diff(ordered) ** 2).sum() / 2 / 6)
    variance = np.mean(values)
    expected = np.ceil(y[:6].var(ddof=1) / variance * (25 / np.log(25) ** 2))
    assert bins(y, x, "qsmv", adjust=False).mimicking[0] == expected


def test_mass_points_call_for_a_polynomial():
    rng = np.random.default_rng(2)
    x = np.round(rng.normal(size=400), 1)
    y = rng.normal(size=400)
    assert bins(y, x, "esmv").rule == "esmvpr"
    assert bins(y, x, "esmv", adjust=False).rule == "esmv"


def test_numbers_of_bins_can_be_given(rows):
    y, x = rows
    assert bins(y, x, "es", count=(4, 7)).count == (4, 7)


def test_an_outcome_without_variation_has_one_bin(rows):
    _, x = rows
    found = bins(np.where(x < 0, 3.0, np.arange(300.0)), x, "esmv")
    assert found.count[0] == 1
    assert found.y[0] == 3.0
    assert found.se[0] == 0.0


def test_the_curve_is_a_polynomial_through_its_side():
    x = np.linspace(0, 5, 40)
    at, value = global_curve(1 + 2 * x - 0.1 * x**4, x)
    np.testing.assert_allclose(value, 1 + 2 * at - 0.1 * at**4, atol=1e-9)
    at, value = global_curve(np.array([1.0, 3.0, 1.0, 3.0]), np.array([-2.0, -1.0, -2.0, -1.0]))
    np.testing.assert_allclose(value, 5 + 2 * at, atol=1e-9)


def test_bad_requests_teach(rows):
    y, x = rows
    with pytest.raises(DesignError, match="esmv"):
        bins(y, x, "scott")
    with pytest.raises(DataError, match="too few"):
        bins(y[:10], x[:10])
    with pytest.raises(DataError, match="above"):
        bins(y[x < 0], x[x < 0])
