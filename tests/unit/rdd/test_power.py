"""Power of a discontinuity design: formulas by hand, and that what it promises is what simulated designs find."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalkit as ck
from causalkit.errors import DesignError
from causalkit.rdd.power_report import needed_ratio, two_sided_power


def table(n=1000, seed=0, effect=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, n)
    return pd.DataFrame({"x": x, "y": 0.4 * x + effect * (x >= 0) + rng.normal(size=n), "g": np.arange(n) // 5})


@pytest.fixture(scope="module")
def result():
    return ck.RegressionDiscontinuity(bandwidth=0.5).fit(table(), outcome="y", running="x")


def test_power_is_that_of_a_z_test(result):
    found = ck.rdd.power(result, 0.5, alpha=0.1)
    z = stats.norm.ppf(0.95)
    expected = stats.norm.sf(z - 0.5 / result.se) + stats.norm.cdf(-z - 0.5 / result.se)
    assert found.se == pytest.approx(result.se, rel=1e-10)
    assert found.power == pytest.approx(expected, rel=1e-10)
    assert found.at(found.minimum_effect) == pytest.approx(0.8, rel=1e-10)
    assert found.at(0.0) == pytest.approx(0.1, rel=1e-12)
    assert found.at(-0.5) == found.at(0.5)


def test_the_needed_sample_has_the_power(result):
    found = ck.rdd.power(result, 0.3)
    window = tuple(found.n * side / 1000 for side in found.scale.n_window)
    assert ck.rdd.power(result, 0.3, n_window=window).power == pytest.approx(0.8, abs=1e-3)
    assert ck.rdd.power(result, 0.3, n_window=tuple(0.98 * w for w in window)).power < 0.8
    assert found.n_window[0] + found.n_window[1] == pytest.approx(found.n * sum(found.scale.n_window) / 1000, rel=0.05)


def test_a_wider_bandwidth_has_more_power(result):
    narrow = ck.rdd.power(result, 0.3, bandwidth=0.25, n_window=found_rows(result))
    assert narrow.power < ck.rdd.power(result, 0.3).power


def found_rows(result):
    return tuple(int(side) // 2 for side in ck.rdd.power(result, 0.3).scale.n_window)


def test_the_default_effect_is_half_a_standard_deviation(result):
    y, x = result._kept().outcome, result._kept().number("running")
    assert ck.rdd.power(result).effect == pytest.approx(0.5 * y[(x < 0) & (x >= -0.5)].std(), rel=1e-12)


def test_clusters_are_counted():
    fitted = ck.RegressionDiscontinuity(bandwidth=0.5).fit(table(), outcome="y", running="x", cluster="g")
    found = ck.rdd.power(fitted, 0.5)
    assert found.scale.n_side[0] <= 200
    assert "clusters" in found.answer


def test_promised_power_is_found():
    """200 designs with the effect that should be found in 80 of 100 of them."""
    pilot = ck.RegressionDiscontinuity(bandwidth=0.6).fit(table(4000, 99), outcome="y", running="x")
    window = tuple(side // 10 for side in ck.rdd.power(pilot, 1.0).scale.n_window)
    effect = ck.rdd.power(pilot, 1.0, n_window=window).minimum_effect
    design = ck.RegressionDiscontinuity(bandwidth=0.6)
    hits = sum(design.fit(table(400, s, effect), outcome="y", running="x").pvalue < 0.05 for s in range(200))
    assert abs(hits / 200 - 0.8) < 3.5 * np.sqrt(0.8 * 0.2 / 200)


def test_ratio_and_power_are_inverse():
    assert two_sided_power(needed_ratio(0.9, 0.01), 0.01) == pytest.approx(0.9, rel=1e-12)
    assert needed_ratio(0.8, 0.05) == pytest.approx(2.8015817, abs=1e-6)


def test_it_can_be_shown(result):
    found = ck.rdd.power(result, 0.05)
    assert found.checks["power"].status == "warn"
    assert ck.rdd.power(result, 5.0).checks["power"].status == "pass"
    assert "are needed" in found.summary()
    assert found.plot().axes
    assert len(found.to_frame()) == 7


def test_bad_requests_teach(result):
    for options, told in (
        ({"power": 1.0}, "power="), ({"alpha": 0.0}, "alpha="), ({"power": 0.04}, "any test"), ({"effect": 0.0}, "effect="),
        ({"bandwidth": -1.0}, "bandwidth="), ({"bandwidth": 1e-9}, "no rows"), ({"n_window": (1, 2, 3)}, "n_window="),
    ):  # fmt: skip
        with pytest.raises(DesignError, match=told):
            ck.rdd.power(result, **options)
