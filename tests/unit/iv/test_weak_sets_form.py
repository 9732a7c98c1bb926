"""The reduced form: against least squares, and what it must not depend on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from causalkit.errors import DesignError
from causalkit.inference.vcov import least_squares_vcov
from causalkit.iv.iv_data import iv_data
from causalkit.iv.variance import Variance
from causalkit.iv.weak_sets_form import reduced_form, reduced_form_of

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import KINDS, columns, form


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", [0, 1])
def test_covariance_of_each_regression(kind, column):
    y, d, z, groups = columns(seed=1)
    found = form(kind, seed=1)
    target = (y, d[:, 0])[column]
    bread = np.linalg.inv(z.T @ z)
    slopes = bread @ z.T @ target
    wanted = least_squares_vcov(
        kind, z, target - z @ slopes, bread, groups=groups if kind[:2] == "CR" else None, n_parameters=z.shape[1] + 1
    ).matrix
    statistic = slopes @ np.linalg.solve(wanted, slopes)
    scores = found.scores[:, column]
    assert scores @ np.linalg.solve(found.cross[column, column], scores) == pytest.approx(statistic, rel=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_covariance_between_the_regressions(kind):
    """The covariance of ``y - b d`` is the quadratic form of the blocks."""
    y, d, z, groups = columns(seed=2)
    variance = Variance(kind, (groups,) if kind.startswith("CR") else ())
    moved = reduced_form(y - 0.7 * d[:, 0], d, z, variance=variance, n_exogenous=1)
    found = form(kind, seed=2)
    a = found.direction(0.7)
    wanted = moved.cross[0, 0] * (moved.units[0] / found.units[0]) ** 2
    spread = np.einsum("a,b,abij->ij", a, a, found.cross)
    # Orthonormal instruments are determined up to a rotation, so eigenvalues are compared.
    np.testing.assert_allclose(np.linalg.eigvalsh(spread), np.linalg.eigvalsh(wanted), rtol=1e-10)


def test_two_way_clusters_and_time_go_through_the_variance():
    y, d, z, groups = columns(seed=3)
    other = np.arange(len(y), dtype=np.int32) % 25
    two = reduced_form(y, d, z, variance=Variance("CR1", (groups, other)))
    one = reduced_form(y, d, z, variance=Variance("CR1", (groups,)))
    assert not np.allclose(two.cross, one.cross)
    hac = reduced_form(y, d, z, variance=Variance("HAC", (), np.arange(len(y))))
    assert hac.kind == "HAC"


def test_of_projected_data():
    y, d, z, _ = columns(seed=4)
    data = iv_data(y, [d[:, 0]], list(z.T), kind="HC1")
    assert reduced_form_of(data, "iid").kind == "iid"
    assert reduced_form_of(data) is reduced_form_of(data)
    assert np.isinf(reduced_form_of(data, chi_square=True).df)
    assert reduced_form_of(data).df == len(y) - 1 - 3


def test_errors_name_what_is_wrong():
    y, d, z, _ = columns(seed=5)
    with pytest.raises(DesignError, match="collinear"):
        reduced_form(y, d, np.column_stack([z, z[:, 0]]), variance=Variance("HC1"))
    with pytest.raises(DesignError, match="does not vary"):
        reduced_form(y, d, np.column_stack([z, np.zeros(len(y))]), variance=Variance("HC1"))
    with pytest.raises(DesignError, match="treatment does not vary"):
        reduced_form(y, 0 * d, z, variance=Variance("HC1"))
    with pytest.raises(DesignError, match="can't identify 4"):
        reduced_form(y, np.tile(d, 4), z, variance=Variance("HC1"))
    with pytest.raises(DesignError, match="do not exceed"):
        reduced_form(y[:3], d[:3], z[:3], variance=Variance("HC1"))
    with pytest.raises(DesignError, match="determine the outcome"):
        reduced_form(2.0 * d[:, 0] + 1e-9 * y, d, z, variance=Variance("HC1"))
