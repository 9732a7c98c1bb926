from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causalkit import did
from causalkit.errors import DesignError

ROOT = np.random.default_rng(0).normal(size=(6, 9)) * 0.1 + 0.05
VCOV = ROOT @ ROOT.T
VALUES = np.array([0.1, -0.05, 0.02, 0.01, 0.5, 0.6])


def power(vcov=VCOV, **options):
    return did.pretrend_power(VALUES, vcov=vcov, n_pre=4, **options)


def test_independent_coefficients_have_the_product_of_their_chances():
    vcov = np.diag([0.04, 0.02, 0.03, 0.01, 0.05, 0.05])
    found = power(vcov, slope=0.05).violations[0]
    shift = 0.05 * np.array([4, 3, 2, 1]) / np.sqrt(np.diag(vcov)[:4])
    z = stats.norm.ppf(0.975)
    assert found.power == pytest.approx(1 - np.prod(stats.norm.cdf(z - shift) - stats.norm.cdf(-z - shift)), abs=1e-5)
    assert found.bias_if_passed == pytest.approx(found.bias)  # nothing before tells of what comes after
    assert found.bias == pytest.approx(0.05 * 1.5)


@pytest.mark.parametrize("method", ["individual", "joint"])
def test_power_and_bias_are_those_of_a_simulation(method):
    found = power(power=0.6, method=method, weights="first").violations[0]
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(found.slope * np.array([-4, -3, -2, -1, 1, 2.0]), VCOV, 400_000)
    before = draws[:, :4]
    if method == "individual":
        passed = (np.abs(before) <= stats.norm.ppf(0.975) * np.sqrt(np.diag(VCOV)[:4])).all(axis=1)
    else:
        wald = np.einsum("ij,jk,ik->i", before, np.linalg.inv(VCOV[:4, :4]), before)
        passed = wald <= stats.chi2.ppf(0.95, 4)
    assert found.power == pytest.approx(0.6, abs=1e-8)
    assert 1 - passed.mean() == pytest.approx(0.6, abs=4 * np.sqrt(0.24 / 400_000))
    kept = draws[passed, 4]
    assert found.bias_if_passed == pytest.approx(kept.mean(), abs=4 * kept.std() / np.sqrt(len(kept)))
    null = 1 - did.pretrend_power(VALUES, vcov=VCOV, n_pre=4, slope=0.0, method=method).violations[0].power
    assert found.bayes_factor == pytest.approx(0.4 / null, rel=1e-6)


def test_likelihood_ratio():
    found = power(slope=0.03).violations[0]
    before = 0.03 * np.array([-4, -3, -2, -1])
    dense = [stats.multivariate_normal(mean, VCOV[:4, :4]).pdf(VALUES[:4]) for mean in (before, np.zeros(4))]
    assert found.likelihood_ratio == pytest.approx(dense[0] / dense[1])


def test_more_slope_more_power_and_the_units_do_not_matter():
    found = power(power=(0.8, 0.3))
    first, last = found.violations
    assert (first.power, last.power) == pytest.approx((0.3, 0.8))
    assert first.slope < last.slope
    larger = did.pretrend_power(VALUES * 1e6, vcov=VCOV * 1e12, n_pre=4, power=(0.3, 0.8))
    assert larger.violations[1].slope / 1e6 == pytest.approx(last.slope, rel=1e-8)
    assert f"{last.power:.2f}" in found.answer
    assert len(found.to_frame()) == 2


@pytest.mark.parametrize(
    "options", [{"power": 0.01}, {"power": 1.0}, {"method": "all"}, {"alpha": 0.0}, {"slope": np.inf}]
)
def test_options_that_do_not_fit(options):
    with pytest.raises(DesignError):
        power(**options)
