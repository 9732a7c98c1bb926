"""Anderson-Rubin sets: their ends are where the test of the outcome minus b times the treatment is just rejected."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.rdd.fuzzy_sets import anderson_rubin_set, in_words, ratio_set


def table(n=800, jump=0.5, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(0.1, 1.0, n)
    d = (rng.random(n) < 0.2 + jump * (x >= 0)).astype(float)
    z = rng.normal(size=n)
    return pd.DataFrame(
        {"x": x, "d": d, "z": z, "y": 0.5 * x + 2.0 * d + 0.4 * z + rng.normal(size=n), "g": np.arange(n) // 8}
    )


@pytest.mark.parametrize(
    ("configuration", "roles"),
    [({}, {}), ({"vcov": "HC2", "kernel": "uniform"}, {}), ({}, {"cluster": "g"}), ({}, {"covariates": "z"})],
)
def test_ends_are_where_the_sharp_test_has_the_level(configuration, roles):
    data = table()
    fuzzy = ck.RegressionDiscontinuity(**configuration).fit(data, outcome="y", running="x", treatment="d", **roles)
    found = anderson_rubin_set(fuzzy, 0.1)
    assert found == fuzzy.ci(0.1, method="ar")
    [(low, high)] = found.intervals
    h = fuzzy.bandwidths
    sharp = ck.RegressionDiscontinuity(**{**configuration, "bandwidth": h[:2], "bias_bandwidth": h[2:]})
    for value in (low, high):
        moved = data.assign(u=data["y"] - value * data["d"])
        assert sharp.fit(moved, outcome="u", running="x", **roles).pvalue == pytest.approx(0.1, abs=1e-9)


def test_units_of_the_outcome_do_not_matter():
    data = table()
    one = anderson_rubin_set(
        ck.RegressionDiscontinuity(sharp_bandwidth=True).fit(data, outcome="y", running="x", treatment="d")
    )
    moved = data.assign(y=1e6 * data["y"] + 1e9)
    two = anderson_rubin_set(
        ck.RegressionDiscontinuity(sharp_bandwidth=True).fit(moved, outcome="y", running="x", treatment="d")
    )
    np.testing.assert_allclose(two.intervals, 1e6 * np.array(one.intervals), rtol=1e-6)


def test_without_a_jump_of_the_treatment_nothing_is_ruled_out_for_good():
    fitted = ck.RegressionDiscontinuity().fit(table(jump=0.0), outcome="y", running="x", treatment="d")
    found = anderson_rubin_set(fitted)
    assert not found.is_bounded
    assert "jump of the treatment may be zero" in in_words(found) or "say nothing" in in_words(found)


@pytest.mark.parametrize(("outcome", "treatment", "shared"), [(2.0, 1.0, 0.3), (2.0, 0.1, -0.2), (0.01, 0.1, 0.0)])
def test_the_set_holds_what_the_test_does_not_reject(outcome, treatment, shared):
    covariance = np.array([[0.2, shared * 0.1], [shared * 0.1, 0.05]])
    found = ratio_set(outcome, treatment, covariance)
    for b in np.linspace(-60, 60, 2411):
        z2 = (outcome - b * treatment) ** 2 / (covariance[0, 0] - 2 * b * covariance[0, 1] + b * b * covariance[1, 1])
        if abs(z2 - 3.841458820694124) > 1e-6:
            assert (b in found) == (z2 <= 3.841458820694124)


def test_kinds_of_sets_in_words():
    assert "say nothing" in in_words(ConfidenceSet.real_line())
    assert "two rays" in in_words(ConfidenceSet(((-np.inf, -1.0), (2.0, np.inf))))
    assert "one side" in in_words(ConfidenceSet(((2.0, np.inf),)))
    assert "no effect fits" in in_words(ConfidenceSet())
    assert in_words(ConfidenceSet(((1.0, 2.0),)), 0.9) == "The 90% set of effects is [1.000, 2.000]."
    assert ratio_set(1.0, 0.0, np.zeros((2, 2))).is_real_line
    assert ratio_set(0.0, 1.0, np.zeros((2, 2))).intervals == ((0.0, 0.0),)


def test_the_test_is_the_dual_of_the_set():
    data = table()
    fitted = ck.RegressionDiscontinuity(sharp_bandwidth=True).fit(data, outcome="y", running="x", treatment="d")
    for alpha in (0.05, 0.3):
        for bound in fitted.ci(alpha, method="ar").intervals[0]:
            assert fitted.test(bound, method="ar").pvalue == pytest.approx(alpha, abs=1e-9)
    found = fitted.test(0.0, method="ar")
    reduced = fitted.found.reduced_form
    assert found.statistic == pytest.approx(reduced.corrected / reduced.robust_se, rel=1e-9)
    assert found.method == "ar"
    h = fitted.bandwidths
    moved = data.assign(u=data["y"] - 0.7 * data["d"])
    sharp = ck.RegressionDiscontinuity(bandwidth=h[:2], bias_bandwidth=h[2:]).fit(moved, outcome="u", running="x")
    assert fitted.test(0.7, method="ar").pvalue == pytest.approx(sharp.pvalue, rel=1e-8)


def test_the_set_is_told_in_the_report():
    fitted = ck.RegressionDiscontinuity().fit(table(jump=0.0), outcome="y", running="x", treatment="d")
    told = " ".join(text for passage in fitted.passages() for text in passage.text)
    assert in_words(fitted.ci(method="ar")) in told


def test_bad_requests_teach():
    data = table()
    sharp = ck.RegressionDiscontinuity().fit(data, outcome="y", running="x")
    with pytest.raises(InferenceUnavailable, match="fuzzy designs"):
        anderson_rubin_set(sharp)
    with pytest.raises(DesignError, match="alpha"):
        ratio_set(1.0, 1.0, np.eye(2), alpha=1.5)
    with pytest.raises(InferenceUnavailable, match="fuzzy designs"):
        sharp.test(method="ar")
    fuzzy = ck.RegressionDiscontinuity().fit(data, outcome="y", running="x", treatment="d")
    with pytest.raises(DesignError, match="finite"):
        fuzzy.test(np.inf, method="ar")


def test_a_rule_that_everybody_follows_has_a_ledger():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 600)
    data = {"y": x + (x >= 0) + rng.normal(size=600), "x": x, "d": (x >= 0).astype(float)}
    result = ck.RegressionDiscontinuity().fit(data, outcome="y", running="x", treatment="d")
    check = result.checks["first_stage"]
    assert (check.status, check.statistic) == ("pass", np.inf)


def test_a_set_has_the_digits_of_a_report():
    assert in_words(ConfidenceSet(((0.123456, 1.23456),))).endswith("is [0.1235, 1.235].")


def test_only_rows_within_the_bandwidth_tell_a_discrete_score():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 2000)
    y = x + (x >= 0) + 0.1 * rng.normal(size=2000)
    roles = {"outcome": "y", "running": "x"}
    far = np.where(np.abs(x) > 0.7, np.sign(x), x)  # like shares of 0 and 1: many, but not near the cutoff
    tool = ck.RegressionDiscontinuity(bandwidth=0.3)
    assert tool.fit({"y": y, "x": far}, **roles).checks["effective_sample"].status == "pass"
    near = np.round(x, 2)
    check = tool.fit({"y": y, "x": near}, **roles).checks["effective_sample"]
    assert check.status == "warn"
    assert "discrete" in check.advice
