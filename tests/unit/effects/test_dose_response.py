from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.effects.dose_curve import kernel_density, local_weights, rule_of_thumb
from causalkit.errors import DesignError, InferenceUnavailable

CURVE = ck.DoubleML(method="dose_response", regressor="linear", random_state=0, n_folds=2)
ROLES = {"outcome": "y", "treatment": "dose", "covariates": ["a", "b"]}


def simulate(seed=0, n=1000):
    """The covariate ``a`` moves both dose and outcome; the curve is sin(dose)."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=n)
    dose = 0.7 * a + rng.normal(size=n)
    y = a + np.sin(dose) + rng.normal(size=n)
    return pd.DataFrame({"y": y, "dose": dose, "a": a, "b": b, "w": rng.integers(1, 4, n)})


@pytest.fixture(scope="module")
def found():
    return CURVE.fit(simulate(), **ROLES)


def test_confounding_is_removed(found):
    true = np.sin(found.doses)
    data = simulate()
    raw = np.polyval(np.polyfit(data["dose"], data["y"], 5), found.doses)
    assert np.abs(raw - true).max() > 0.5
    low, high = found.effects.ci(simultaneous=True)
    assert np.all((low < true) & (true < high))
    assert np.abs(found.effects.numbers.center - true).max() < 0.35


def test_pointwise_coverage():
    inside = []
    for seed in range(40):
        result = CURVE.replace(doses=[-1.0, 0.0, 1.0]).fit(simulate(seed, 600), **ROLES)
        low, high = result.effects.ci()
        inside.append((low < np.sin(result.doses)) & (np.sin(result.doses) < high))
    assert 0.88 < np.mean(inside) < 0.99


def test_it_is_a_curve_and_says_so(found):
    assert found.headline is None
    with pytest.raises(InferenceUnavailable, match="no single headline"):
        _ = found.estimate
    assert list(found.to_frame().columns[:2]) == ["dose", "term"]
    assert "highest" in found.answer
    assert found.passages()[1].figure == "dose_response"
    assert {"missing", "overlap", "outcome_model"} <= set(found.checks)
    assert found.plot("dose_response").axes


def test_follows_units(found):
    data = simulate()
    moved = CURVE.fit(data.assign(y=data["y"] * 1e6 + 1e9, dose=data["dose"] * 10), **ROLES)
    np.testing.assert_allclose((moved.effects.values - 1e9) / 1e6, found.effects.values, atol=1e-6)
    np.testing.assert_allclose(moved.effects.se / 1e6, found.effects.se, rtol=1e-6)
    assert moved.bandwidth == pytest.approx(10 * found.bandwidth, rel=1e-6)
    shuffled = CURVE.fit(data.sample(frac=1, random_state=1), **ROLES)
    np.testing.assert_allclose(shuffled.effects.values, found.effects.values, atol=1e-9)


def test_weights_clusters_and_repeats():
    data = simulate().assign(group=np.arange(1000) % 50)
    result = CURVE.replace(n_repeats=2, bandwidth=0.8, doses=[-0.5, 0.5]).fit(
        data, **ROLES, weights="w", cluster="group"
    )
    assert result.bandwidth == 0.8
    assert result.effects.df[0] == 49
    assert result.effects.numbers.carrier.kind == "CR1"
    assert np.all(np.abs(result.effects.values - np.sin(result.doses)) < 0.4)


def test_refusals():
    with pytest.raises(DesignError, match="lies outside the data"):
        CURVE.replace(doses=[50.0]).fit(simulate(), **ROLES)
    with pytest.raises(InferenceUnavailable, match="have a dose within"):
        CURVE.replace(bandwidth=1e-4).fit(simulate(), **ROLES)
    bunched = simulate().assign(dose=lambda t: np.where(np.arange(len(t)) < 20, t["dose"], 3.0))
    with pytest.raises(DesignError, match="nine of ten rows"):
        CURVE.fit(bunched, **ROLES)


def test_an_outcome_that_does_not_vary_has_a_flat_curve():
    result = CURVE.fit(simulate().assign(y=2.0), **ROLES)
    np.testing.assert_allclose(result.effects.values, 2.0)
    assert isinstance(result.summary(), str)


def test_density_is_that_of_scipy():
    from scipy.stats import gaussian_kde

    points = np.random.default_rng(0).normal(size=2000)
    spread = min(points.std(), np.subtract(*np.quantile(points, [0.75, 0.25])) / 1.34)
    width = 0.9 * spread * len(points) ** -0.2
    reference = gaussian_kde(points, bw_method=width / points.std(ddof=1))
    at = np.linspace(-3, 3, 50)
    np.testing.assert_allclose(kernel_density(points, np.ones(2000), at), reference(at), atol=2e-3)


def test_local_weights_reproduce_polynomials():
    rng = np.random.default_rng(1)
    dose, share = rng.uniform(0, 1, 500), np.full(500, 1 / 500)
    for order in (1, 2):
        weight = local_weights(dose, share, 0.1, 0.3, order)
        assert weight.sum() == pytest.approx(1.0, abs=1e-12)
        for power in range(1, order + 1):
            assert weight @ (dose - 0.1) ** power == pytest.approx(0.0, abs=1e-12)
        kernel = np.maximum(0, 1 - ((dose - 0.1) / 0.3) ** 2)
        fit = np.polyfit(dose - 0.1, np.exp(dose), order, w=np.sqrt(kernel))
        assert weight @ np.exp(dose) == pytest.approx(fit[-1], rel=1e-8)


def test_a_window_with_too_few_different_doses_is_refused():
    dose, share = np.repeat([0.0, 1.0, 2.0], 50), np.full(150, 1 / 150)
    for at, width, order in ((0.5, 0.8, 2), (0.4, 0.5, 1)):  # two doses and a parabola, one and a line
        with pytest.raises(InferenceUnavailable, match="too few different doses"):
            local_weights(dose, share, at, width, order)
    assert local_weights(dose, share, 0.5, 0.8, 1) @ dose == pytest.approx(0.5)
    whole = simulate().assign(dose=lambda t: np.round(t["dose"]))
    with pytest.raises(InferenceUnavailable, match="too few different doses") as refusal:
        CURVE.replace(doses=[2.5], bandwidth=0.6).fit(whole, **ROLES)
    assert "control=" in str(refusal.value)


def test_rule_of_thumb_widens_for_a_straight_curve():
    rng = np.random.default_rng(2)
    dose, noise, share = rng.uniform(0, 1, 2000), rng.normal(size=2000), np.full(2000, 1 / 2000)
    straight, wavy = (rule_of_thumb(dose, y + 0.3 * noise, share) for y in (dose, np.sin(6 * dose)))
    assert wavy < straight
    assert rule_of_thumb(dose, 5 * (np.sin(6 * dose) + 0.3 * noise), share) == pytest.approx(wavy, rel=1e-8)
