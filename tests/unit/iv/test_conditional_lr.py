"""The conditional likelihood ratio: its distribution against simulation-free integrals, and its sets against the test."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special

from causalkit.iv.anderson_rubin import ar_set, statistics
from causalkit.iv.conditional_lr import clr_pvalue, clr_set, clr_test, likelihood_ratio
from causalkit.iv.variance import Variance
from causalkit.iv.weak_sets_form import reduced_form

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import KINDS, agrees, columns, form


@pytest.mark.parametrize("q", [2, 3, 5, 12])
@pytest.mark.parametrize(("m", "r"), [(0.5, 1.0), (3.8, 10.0), (8.0, 1e-2), (8.0, 1e5), (0.01, 10.0)])
def test_pvalue_against_another_integral(q, m, r):
    """P(Q1 + s Q2 > m), integrating over the normal variable whose square is Q1, by adaptive quadrature."""
    share = m / (m + r)
    inner = integrate.quad(
        lambda x: np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) * special.chdtrc(q - 1, (m - x * x) / share),
        0.0,
        np.sqrt(m),
        points=[max(np.sqrt(m) * (1 - c * share), 0.0) for c in (1, 10, 100)],
        epsabs=1e-13,
        epsrel=1e-12,
        limit=500,
    )[0]
    wanted = special.chdtrc(1, m) + 2.0 * inner
    assert float(clr_pvalue(m, r, q)) == pytest.approx(wanted, rel=1e-9)


def test_pvalue_in_the_limits():
    m = np.array([0.3, 2.0, 9.0])
    np.testing.assert_allclose(clr_pvalue(m, np.inf, 4), special.chdtrc(1, m), rtol=1e-12)
    np.testing.assert_allclose(clr_pvalue(m, 0.0, 4), special.chdtrc(4, m), rtol=1e-12)
    np.testing.assert_allclose(clr_pvalue(m, 5.0, 1), special.chdtrc(1, m), rtol=1e-12)
    np.testing.assert_allclose(clr_pvalue(m, 0.0, 4, df=20.0), special.fdtrc(4, 20, m / 4), rtol=1e-12)
    np.testing.assert_allclose(clr_pvalue(m, np.inf, 4, df=20.0), special.fdtrc(1, 20, m), rtol=1e-10)
    assert float(clr_pvalue(0.0, 3.0, 3)) == 1.0
    np.testing.assert_allclose(clr_pvalue(m, 40.0, 180), clr_pvalue(m, 40.0, 180, df=1e9), rtol=1e-6)


def test_likelihood_ratio_without_cancellation():
    found = statistics(form("iid", seed=1, strength=2.0, n=2000), np.array([[1.0, -0.999], [1.0, 50.0]]))
    direct = 0.5 * (
        found.ar
        - found.strength
        + np.sqrt((found.ar + found.strength) ** 2 - 4 * found.strength * (found.ar - found.lm))
    )
    np.testing.assert_allclose(likelihood_ratio(found), direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_set_is_the_dual_of_the_test(kind, seed):
    found = form(kind, seed=seed, q=2 + seed, strength=(0.05, 0.15, 0.4)[seed])
    agrees(clr_set(found), lambda beta: clr_test(found, beta).pvalue)


def test_with_one_instrument_it_is_anderson_rubin():
    for kind in KINDS:
        found = form(kind, seed=3, q=1, strength=0.3)
        assert clr_set(found) == ar_set(found)
        assert clr_test(found, 0.2).pvalue == pytest.approx(float(special.chdtrc(1, clr_test(found, 0.2).statistic)))


def test_instruments_that_determine_the_treatment():
    """Without first-stage error the conditional test is the score test of least squares on the instruments."""
    y, _, z, _ = columns(seed=6, q=3)
    d = z @ np.array([1.0, 0.5, -0.3])
    found = reduced_form(y, d[:, None], z, variance=Variance("iid"))
    [(low, high)] = clr_set(found).intervals
    slopes = np.linalg.lstsq(z, y, rcond=None)[0]
    left = y - z @ slopes
    slope = d @ y / (d @ d)
    half = np.sqrt(special.chdtri(1, 0.05) * (left @ left) / (len(y) - 3) / (d @ d))
    np.testing.assert_allclose([low, high], [slope - half, slope + half], rtol=1e-9)
