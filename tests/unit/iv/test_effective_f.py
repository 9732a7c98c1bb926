"""The effective F: its definition, its invariances, and its critical values."""

import sys
from pathlib import Path

import numpy as np
import pytest

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.iv.effective_f import EffectiveF, effective_f
from causalkit.iv.effective_f_bias import liml_bias, tsls_bias, worst_liml_bias, worst_tsls_bias
from causalkit.iv.iv_data import iv_data
from causalkit.iv.variance import Variance
from causalkit.iv.weak_sets_form import reduced_form

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import KINDS, columns, form


def by_definition(d, z, kind, groups, n_parameters):
    """Return ``D'P D / tr(S (Z'Z)^-1)``, with S the meat of the first stage."""
    n = len(d)
    inverse = np.linalg.inv(z.T @ z)
    slopes = inverse @ z.T @ d
    errors = d - z @ slopes
    scores = z * errors[:, None]
    if kind == "iid":
        meat = z.T @ z * (errors @ errors) / (n - n_parameters)
    elif kind in ("HC0", "HC1"):
        meat = scores.T @ scores * (n / (n - n_parameters) if kind == "HC1" else 1.0)
    else:
        sums = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
        count = len(sums)
        meat = sums.T @ sums * (count / (count - 1) * (n - 1) / (n - n_parameters) if kind == "CR1" else 1.0)
    return (d @ z @ slopes) / np.trace(meat @ inverse)


@pytest.mark.parametrize("kind", KINDS)
def test_its_definition(kind):
    _, d, z, groups = columns(seed=1, strength=0.3)
    found = EffectiveF(form(kind, seed=1, strength=0.3))
    assert found.statistic == pytest.approx(by_definition(d[:, 0], z, kind, groups, 4), rel=1e-11)
    assert float(found) == found.statistic


@pytest.mark.parametrize("kind", ["iid", "HC1", "CR1"])
def test_recoding_the_instruments_changes_nothing(kind):
    rng = np.random.default_rng(0)
    n = 500
    z = np.column_stack([rng.normal(size=n), rng.integers(0, 2, n)])
    w = rng.normal(size=n) + z[:, 1]
    d = 0.2 * z.sum(axis=1) + w + rng.normal(size=n) * (1 + z[:, 1])
    y = d + rng.normal(size=n)
    ways = (rng.integers(0, 50, n).astype(np.int32),) if kind == "CR1" else ()

    def strength(instruments):
        found = effective_f(iv_data(y, [d], list(instruments.T), [w], kind=kind, groups=ways))
        return [found.statistic, *(found.critical_value(0.1, method) for method in ("tsls", "liml", "simplified"))]

    base = strength(z)
    for other in (z + np.array([0.0, 100.0]), z @ np.array([[1.0, 3.0], [-2.0, 5.0]]), -z, 1e6 * z):
        np.testing.assert_allclose(strength(other), base, rtol=1e-9)


def test_critical_values_of_one_instrument_are_the_published_ones():
    """Montiel Olea and Pflueger (2013): 37.42, 23.11, 15.06 and 12.05."""
    for kind in KINDS:
        found = EffectiveF(form(kind, seed=2, q=1))
        for values in found.critical_values.values():
            np.testing.assert_allclose(list(values.values()), [37.42, 23.11, 15.06, 12.05], atol=5e-3)
    assert found.to_table().columns == ("tau", "tsls", "liml", "simplified")


@pytest.mark.parametrize("q", [3, 6])
def test_worst_bias_under_equal_variances_is_known(q):
    """2SLS: |q - 2| / q; LIML: 1 / q, at an infinite effect."""
    found = form("iid", seed=3, q=q)
    assert worst_tsls_bias(found) == pytest.approx((q - 2) / q, abs=1e-9)
    assert worst_liml_bias(found) == pytest.approx(1 / q, abs=1e-9)


@pytest.mark.parametrize("kind", ["HC1", "CR1"])
def test_worst_bias_bounds_a_search(kind):
    """No effect and no direction of the first stage has a larger bias, and some come close."""
    found = form(kind, seed=4, q=3)
    rng = np.random.default_rng(0)
    c = rng.normal(size=(20_000, 3))
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    best = {"tsls": 0.0, "liml": 0.0}
    w1, w12, w2 = found.cross[0, 0], found.cross[0, 1], found.cross[1, 1]
    for beta in np.tan(np.linspace(-1.57, 1.57, 241)):
        s1 = w1 - beta * (w12 + w12.T) + beta**2 * w2
        s12 = w12 - beta * w2
        omega = found.sigma
        slope = (omega[0, 1] - beta * omega[1, 1]) / (omega[0, 0] - 2 * beta * omega[0, 1] + beta**2 * omega[1, 1])
        unit = np.sqrt(np.trace(s1) * np.trace(w2))
        tsls = np.trace(s12) - 2 * np.einsum("ti,ij,tj->t", c, s12, c)
        liml = np.trace(s12) - slope * np.trace(s1) - np.einsum("ti,ij,tj->t", c, 2 * s12 - slope * s1, c)
        best["tsls"] = max(best["tsls"], float(np.abs(tsls).max()) / unit)
        best["liml"] = max(best["liml"], float(np.abs(liml).max()) / unit)
    for name, worst in (("tsls", worst_tsls_bias(found)), ("liml", worst_liml_bias(found))):
        assert best[name] <= worst + 1e-12
        assert best[name] > 0.98 * worst
    assert worst_tsls_bias(found) <= 1.0
    assert tsls_bias(found, np.array([0.3])).shape == liml_bias(found, np.array([0.3])).shape == (1,)


def test_what_it_refuses():
    y, d, z, _ = columns(seed=5)
    two = iv_data(y, [d[:, 0], y**2 + d[:, 0] ** 2], list(z.T))
    with pytest.raises(InferenceUnavailable, match="one treatment"):
        effective_f(two)
    found = EffectiveF(form("HC1", seed=5))
    with pytest.raises(DesignError, match="method"):
        found.critical_value(method="gmm")
    with pytest.raises(DesignError, match="between 0 and 1"):
        found.critical_value(tau=10)


def test_a_treatment_without_first_stage_error():
    y, _, z, _ = columns(seed=6, q=2)
    found = EffectiveF(reduced_form(y, (z @ [1.0, 2.0])[:, None], z, variance=Variance("HC1")))
    assert found.statistic > 1e20


def test_perfectly_correlated_errors():
    """Some effect then leaves no variance at all; the worst bias is still that of equal variances."""
    rng = np.random.default_rng(0)
    z, u = rng.normal(size=(500, 3)), rng.normal(size=500)
    d = 10 * z.sum(axis=1) + 0.01 * u
    found = effective_f(iv_data(d + u, [d], list(z.T), kind="iid"))
    assert found.critical_value(0.1, "tsls") == pytest.approx(8.5251469, abs=1e-6)
