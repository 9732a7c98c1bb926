"""The honest report of a fitted design: certificate, break-even bound, checks, and the same rows as the fit."""

import json

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.rdd.honest import honest_report
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_fit import HonestConfig, honest_fit


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    x = rng.normal(50.0, 10.0, 600)
    taken = rng.random(600) < 0.15 + 0.6 * (x >= 52.0)
    y = 0.02 * (x - 52.0) + 1.5 * (x >= 52.0) + 0.5 * rng.normal(size=600)
    w = rng.integers(1, 4, 600)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "taken": taken,
            "fuzzy": y + taken,
            "w": w,
            "z": y + rng.normal(size=600),
            "g": np.arange(600) // 6,
        }
    )


@pytest.fixture(scope="module")
def result(table):
    return ck.RegressionDiscontinuity(cutoff=52.0).fit(table, outcome="y", running="x")


def test_the_report_is_that_of_the_arrays(table, result):
    report = honest_report(result, smoothness=0.05, alpha=0.1)
    rows = HonestData.of(table["y"].to_numpy(), table["x"].to_numpy() - 52.0)
    assert report.fit == honest_fit(rows, HonestConfig(alpha=0.1), smoothness=0.05)
    assert report.ci() == report.fit.interval
    assert result.ci(0.1, method="honest") == honest_report(result, alpha=0.1).ci()
    assert result.test(method="honest").pvalue == pytest.approx(honest_report(result).pvalue, rel=1e-12)


def test_roles_and_configuration_of_the_fit_are_used(table):
    design = ck.RegressionDiscontinuity(cutoff=52.0, kernel="uniform", donut=0.2, vcov="HC1")
    fitted = design.fit(table, outcome="y", running="x", covariates="z", weights="w")
    keep = (np.abs(table["x"] - 52.0) >= 0.2).to_numpy()
    rows = HonestData.of(
        table["y"].to_numpy(), table["x"].to_numpy() - 52.0, weights=(table["w"] / table["w"].mean()).to_numpy(),
        covariates=table[["z"]].to_numpy(),
    )  # fmt: skip
    from causalkit.rdd.honest_regression import take

    rows = take(rows, np.flatnonzero(np.abs(rows.x) >= 0.2))
    assert rows.x.size == keep.sum()
    expected = honest_fit(rows, HonestConfig(kernel="uniform", vcov="HC0"), smoothness=0.05)
    assert honest_report(fitted, 0.05).fit == expected
    clustered = ck.RegressionDiscontinuity(cutoff=52.0).fit(table, outcome="y", running="x", cluster="g")
    assert honest_report(clustered, 0.05).problem.config.vcov == "CR0"


def test_the_break_even_bound_is_where_significance_is_lost(result):
    report = honest_report(result)
    bound = report.break_even
    assert bound > report.smoothness[0]
    assert honest_report(result, bound * 0.999).pvalue < 0.05 < honest_report(result, bound * 1.001).pvalue
    assert "excludes zero up to" in report.answer


def test_a_break_even_bound_below_the_one_in_use(result):
    above = honest_report(result).break_even
    report = honest_report(result, 2.0 * above)
    assert report.break_even < 2.0 * above
    assert "only for a second derivative below" in report.answer


def test_no_bound_makes_an_absent_effect_significant():
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, 300)
    nothing = pd.DataFrame({"x": x, "y": rng.normal(size=300) - 0.03 * (x >= 0)})
    report = honest_report(ck.RegressionDiscontinuity().fit(nothing, outcome="y", running="x"))
    assert report.break_even == 0.0
    assert "No bound" in report.answer


def test_the_ledger_compares_the_bound_with_the_data():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, 3000)
    bent = pd.DataFrame({"x": x, "y": 5.0 * x**2 + (x >= 0) + 0.2 * rng.normal(size=3000)})
    fitted = ck.RegressionDiscontinuity().fit(bent, outcome="y", running="x")
    assert honest_report(fitted, 0.5).checks["smoothness"].status == "fail"
    assert honest_report(fitted, 12.0).checks["smoothness"].status == "pass"
    assert honest_report(fitted).checks["smoothness"].status == "untestable"
    assert honest_report(fitted).checks["leverage"].status == "pass"


def test_few_rows_have_much_leverage():
    x = np.concatenate([np.linspace(-1, -0.05, 20), np.linspace(0.0, 1, 20)])
    y = np.where(np.abs(x) < 0.2, 0.0, 10.0 * x**2)
    few = pd.DataFrame({"x": x, "y": y + 0.01 * np.sin(40 * x)})
    report = honest_report(ck.RegressionDiscontinuity(bandwidth=1.0).fit(few, outcome="y", running="x"), 500.0)
    assert report.checks["leverage"].status == "warn"


def test_a_fuzzy_design_has_two_bounds(table):
    fitted = ck.RegressionDiscontinuity(cutoff=52.0).fit(table, outcome="fuzzy", running="x", treatment="taken")
    report = honest_report(fitted)
    assert len(report.smoothness) == 2
    assert report.fit.first_stage == pytest.approx(0.6, abs=0.25)
    low, high = fitted.ci(method="honest")
    assert low < report.estimate < high
    with pytest.raises(InferenceUnavailable, match="sharp"):
        report.misspecification_interval()


def test_it_can_be_shown(result):
    report = honest_report(result)
    assert "worst-case bias" in report.passages()[1].text[1]
    assert json.loads(report.to_json())["table"][2]["smoothness"] == pytest.approx(report.smoothness[0])
    figure = report.plot()
    assert figure.axes
    frame = report.to_frame()
    assert (np.diff(frame["bias"] / frame["se"]) != 0).any()
    assert report.misspecification_interval(bandwidth=10.0).low < report.estimate


def test_bad_requests_teach(table, result):
    with pytest.raises(DesignError, match="alpha"):
        honest_report(result, alpha=0.7)
    with pytest.raises(DesignError, match="one bound"):
        honest_report(result, (1.0, 2.0))
    with pytest.raises(DesignError, match="criterion"):
        honest_report(result, criterion="aic")
    kink = ck.RegressionDiscontinuity(cutoff=52.0, derivative=1).fit(table, outcome="y", running="x")
    with pytest.raises(InferenceUnavailable, match="kinks"):
        honest_report(kink)
    for ask in (kink.honest, lambda: kink.ci(method="honest"), lambda: kink.test(method="honest")):
        with pytest.raises(InferenceUnavailable, match="kinks"):
            ask()
