"""Anderson-Rubin sets: duality with the test, their shapes, and what they must not depend on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from causalkit.iv.anderson_rubin import ar_set, ar_statistics, ar_test, critical_value, robust_level_set, statistics
from causalkit.iv.variance import Variance
from causalkit.iv.weak_sets_form import reduced_form

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import KINDS, agrees, columns, form


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_the_set_is_the_dual_of_the_test(kind, seed):
    found = form(kind, seed=seed, q=1 + seed % 4, strength=(0.0, 0.1, 0.3)[seed % 3], invalid=0.3 * (seed == 5))
    agrees(ar_set(found), lambda beta: ar_test(found, beta).pvalue)


def test_empty_unbounded_and_disconnected_sets():
    assert ar_set(form("HC1", seed=0, n=2000, strength=0.5, invalid=1.0)).is_empty
    assert ar_set(form("HC1", seed=0, strength=0.0, q=1)).is_real_line
    rays = ar_set(form("HC1", seed=3, strength=0.0, q=1, effect=0.0, n=300, invalid=0.3))
    assert not rays.is_bounded
    assert len(rays.intervals) == 2
    assert len(ar_set(form("HC0", seed=8, n=60, q=6, strength=0.1)).intervals) >= 1


@pytest.mark.parametrize("kind", ["iid", "HC1", "CR1"])
def test_unbounded_just_where_the_first_stage_is_not_significant(kind):
    for seed in range(12):
        found = form(kind, seed=seed, q=2, strength=0.12)
        first = float(ar_statistics(found, np.array([[0.0, 1.0]]))[0])
        assert ar_set(found).is_bounded == (first > critical_value(0.05, 2, np.inf))


def test_certificate_of_the_ends():
    found = form("HC0", seed=1, q=5, strength=0.2)
    region, residual = robust_level_set(found, critical_value(0.05, 5, np.inf))
    assert region.intervals
    assert residual < 1e-12


def test_few_degrees_of_freedom_widen_the_set():
    wide, narrow = ar_set(form("CR1", df=9.0, seed=2, strength=0.6)), ar_set(form("CR1", seed=2, strength=0.6))
    assert wide.intersect(narrow).to_list() == narrow.to_list()
    assert wide.length > narrow.length


@pytest.mark.parametrize("kind", KINDS)
def test_recoding_changes_nothing(kind):
    y, d, z, groups = columns(seed=7, q=3, strength=0.4)
    variance = Variance(kind, (groups,) if kind.startswith("CR") else ())
    base = np.array(ar_set(reduced_form(y, d, z, variance=variance)).intervals)
    turned = z @ np.array([[1.0, 2.0, 0.0], [0.0, 1e-3, 5.0], [3.0, 0.0, 100.0]])
    np.testing.assert_allclose(ar_set(reduced_form(y, d, turned, variance=variance)).intervals, base, rtol=1e-10)
    np.testing.assert_allclose(ar_set(reduced_form(1e6 * y, d, z, variance=variance)).intervals, 1e6 * base, rtol=1e-10)
    np.testing.assert_allclose(ar_set(reduced_form(y, 1e6 * d, z, variance=variance)).intervals, base / 1e6, rtol=1e-10)
    flipped = ar_set(reduced_form(-y, d, z, variance=variance)).intervals
    np.testing.assert_allclose(np.sort(-np.array(flipped).ravel()), base.ravel(), rtol=1e-10)


def test_robust_algebra_with_an_equal_variance():
    """Blocks of a homoskedastic covariance give the closed forms."""
    from dataclasses import replace

    from causalkit.iv.conditional_lr import clr_set
    from causalkit.iv.lagrange import lm_set

    for seed in range(3):
        closed = form("iid", seed=seed, q=3, strength=0.25)
        general = replace(closed, kind="HC0")
        for solve in (ar_set, clr_set, lm_set):
            np.testing.assert_allclose(solve(general).intervals, solve(closed).intervals, rtol=1e-9)


def test_statistics_do_not_depend_on_the_length_of_a_direction():
    found = form("HC1", seed=4)
    one, two = (statistics(found, scale * found.direction(0.3)[None, :]) for scale in (1.0, -7.0))
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_instruments_that_determine_the_treatment():
    """Perfect compliance: the AR set is the t interval of the reduced form."""
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, 200).astype(float)
    z -= z.mean()
    y = z + rng.normal(size=200)
    y -= y.mean()
    for kind in ("iid", "HC1"):
        found = reduced_form(y, z[:, None], z[:, None], variance=Variance(kind), n_exogenous=1)
        [(low, high)] = ar_set(found).intervals
        slope = z @ y / (z @ z)
        errors = y - slope * z
        meat = z**2 @ errors**2 / (z @ z) if kind == "HC1" else errors @ errors / 200
        half = np.sqrt(critical_value(0.05, 1, np.inf) * meat * 200 / 198 / (z @ z))
        np.testing.assert_allclose([low, high], [slope - half, slope + half], rtol=1e-10)
