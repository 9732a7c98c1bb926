"""What the polynomials explain without residual: rounding is no jump, no error, and no covariate."""

import json

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable

ROWS = 1_500


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, ROWS)
    above, far = x >= 0, np.abs(x) >= 0.4
    noise = rng.random(ROWS)
    return pd.DataFrame(
        {
            "x": x,
            "y": x + 0.5 * above + rng.normal(size=ROWS) * 0.3,
            "above": above * 1.0,
            "linear": 3 * x + 1,
            "kinked": x * above,
            "z": rng.normal(size=ROWS),
            "never": (far & (noise < 0.5)).astype(int),
            "dose": np.where(far, noise, 0.1),
            "sloped": np.where(far, noise, 0.1 + 0.3 * x),
            "flat": np.where(far, noise, 7.3),
            "rare": (np.abs(x) >= 0.9) & (noise < 0.2),
            "same": np.full(ROWS, 3.0),
        }
    )


@pytest.mark.parametrize("treatment", ["never", "dose", "sloped"])
def test_a_treatment_that_does_not_jump_has_no_effect_per_unit(table, treatment):
    """What rounding leaves of a jump of zero was divided by: the effect was 1e14, and significant."""
    with pytest.raises(DesignError, match="does not jump"):
        ck.RegressionDiscontinuity(bandwidth=0.3).fit(table, outcome="y", running="x", treatment=treatment)


@pytest.mark.parametrize("vcov", ["NN", "HC1"])
@pytest.mark.parametrize(("outcome", "scale"), [("flat", 1.0), ("flat", 1e9), ("same", 1.0)])
def test_rounding_is_no_jump(table, outcome, scale, vcov):
    shifted = table.assign(flat=table["flat"] * scale)
    found = ck.RegressionDiscontinuity(bandwidth=0.3, vcov=vcov).fit(shifted, outcome=outcome, running="x")
    assert (found.estimate, found.se, found.pvalue, found.ci()) == (0.0, 0.0, 1.0, (0.0, 0.0))
    np.testing.assert_array_equal(found.effects.pvalue, 1.0)
    assert found.checks["placebo_cutoffs"].status in ("pass", "warn")


def test_a_line_is_no_jump_and_a_step_is_one(table):
    line = ck.RegressionDiscontinuity(bandwidth=0.3, vcov="HC1").fit(table, outcome="linear", running="x")
    assert (line.estimate, line.se, line.pvalue) == (0.0, 0.0, 1.0)
    step = ck.RegressionDiscontinuity().fit(table, outcome="above", running="x")
    assert step.estimate == pytest.approx(1.0, abs=1e-14)
    assert (step.se, step.pvalue) == (0.0, 0.0)


def test_small_effects_on_large_levels_are_kept(table):
    small = table.assign(y=1e6 + 1e-6 * table["y"])
    near = table.assign(y=(small["y"] - 1e6) * 1e6)
    found = ck.RegressionDiscontinuity(bandwidth=0.5).fit(small, outcome="y", running="x")
    expected = ck.RegressionDiscontinuity(bandwidth=0.5).fit(near, outcome="y", running="x")
    assert found.estimate * 1e6 == pytest.approx(expected.estimate, rel=1e-9)
    assert found.se * 1e6 == pytest.approx(expected.se, rel=1e-9)


@pytest.mark.parametrize("name", ["linear", "above", "kinked"])
def test_functions_of_the_running_variable_are_named_collinear(table, name):
    plain = ck.RegressionDiscontinuity().fit(table, outcome="y", running="x", covariates=["z"])
    found = ck.RegressionDiscontinuity().fit(table, outcome="y", running="x", covariates=["z", name])
    assert found.estimate == pytest.approx(plain.estimate, rel=1e-9)
    assert list(found.collinear) == [name]
    check = found.checks["collinearity"]
    assert check.status == "warn"
    assert name in check.message
    assert found.checks["balance"].status == ("fail" if name == "above" else "pass")


def test_a_covariate_that_does_not_vary_near_the_cutoff_leaves_the_others_their_test(table):
    found = ck.RegressionDiscontinuity().fit(table, outcome="y", running="x", covariates=["z", "rare"])
    rows = found.balance().set_index("covariate")
    assert rows.loc["rare", "estimate"] == 0.0
    assert rows.loc["rare", "pvalue"] == 1.0
    alone = ck.RegressionDiscontinuity().fit(table, outcome="y", running="x", covariates=["z"]).balance()
    assert rows.loc["z", "pvalue"] == pytest.approx(float(alone["pvalue"].iloc[0]), rel=1e-9)


def test_perfect_compliance_is_written_as_strict_json(table):
    taken = table.assign(taken=table["above"].astype(int))
    found = ck.RegressionDiscontinuity().fit(taken, outcome="y", running="x", treatment="taken")
    assert json.loads(found.to_json())["first_stage"][0]["estimate"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("outcome", ["same", "above"])
def test_what_needs_an_error_says_so(table, outcome):
    found = ck.RegressionDiscontinuity().fit(table, outcome=outcome, running="x")
    with pytest.raises(InferenceUnavailable, match="no residual"):
        found.ci(method="honest")
    with pytest.raises(InferenceUnavailable, match="no error"):
        ck.rdd.power(found, effect=1.0)
