"""Several treatments: joint tests, and the set for one coefficient with the others profiled out."""

import numpy as np
import pytest

from causalkit.errors import InferenceUnavailable
from causalkit.iv.anderson_rubin import ar_set, ar_test
from causalkit.iv.iv_data import iv_data
from causalkit.iv.lagrange import lm_test
from causalkit.iv.subvector import joint_lm_test, subvector_ar_set, subvector_ar_test
from causalkit.iv.weak_sets_form import reduced_form_of


def form(kind="iid", seed=0, n=300, q=4, strength=0.5, m=2, effect=(1.0, -0.5)):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, q))
    u = rng.normal(size=n)
    pi = np.vstack([np.linspace(1, 0.2, q), np.linspace(-1, 1, q)])[:m]
    d = strength * z @ pi.T + 0.7 * u[:, None] + rng.normal(size=(n, m))
    y = d @ np.array(effect[:m]) + u
    groups = (rng.integers(0, 40, n).astype(np.int32),) if kind == "CR1" else ()
    return reduced_form_of(iv_data(y, list(d.T), list(z.T), kind=kind, groups=groups))


def test_one_treatment_is_the_plain_test():
    found = form(m=1)
    assert subvector_ar_test(found, 0, 0.3).pvalue == pytest.approx(ar_test(found, 0.3).pvalue, rel=1e-10)
    np.testing.assert_allclose(subvector_ar_set(found, 0).intervals, ar_set(found).intervals, rtol=1e-10)
    for kind in ("iid", "HC1"):
        one = form(kind, m=1)
        assert joint_lm_test(one, np.array([0.3])).pvalue == pytest.approx(lm_test(one, 0.3).pvalue, rel=1e-10)


def test_the_statistic_is_the_minimum_over_the_other_coefficient():
    found = form(strength=0.2)
    for beta in (-2.0, 0.0, 1.0, 4.0):
        others = np.tan(np.linspace(-1.57, 1.57, 4001))
        profile = [ar_test(found, np.array([beta, other])).statistic for other in others[::8]]
        statistic = subvector_ar_test(found, 0, beta).statistic
        assert statistic <= min(profile) + 1e-9
        assert min(profile) == pytest.approx(statistic, rel=0.05)


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("index", [0, 1])
def test_the_set_is_the_dual_of_the_test(strength, index):
    found = form(strength=strength, seed=2)
    region = subvector_ar_set(found, index)
    for beta in np.tan(np.linspace(-1.57, 1.57, 400)):
        assert region.contains(beta) == (subvector_ar_test(found, index, beta).pvalue >= 0.05)


def test_weak_for_the_other_treatment_alone_rules_nothing_out():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(200, 3))
    u = rng.normal(size=200)
    d1, d2 = z @ [1.0, 1.0, 1.0] + u, u + rng.normal(size=200)
    found = reduced_form_of(iv_data(d1 + u, [d1, d2], list(z.T), kind="iid"))
    assert subvector_ar_set(found, 0).is_real_line


def test_joint_tests_with_robust_covariances():
    for kind in ("HC1", "CR1"):
        found = form(kind)
        right, wrong = np.array([1.0, -0.5]), np.array([3.0, 3.0])
        assert ar_test(found, right).pvalue > 0.01
        assert joint_lm_test(found, right).pvalue > 0.01
        assert ar_test(found, wrong).pvalue < 1e-6
        assert joint_lm_test(found, right).df1 == 2
        with pytest.raises(InferenceUnavailable, match="iid"):
            subvector_ar_set(found, 0)
