"""Weak-instrument inference as methods of an IV result."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.tf_table import tf_critical_value

sys.path.insert(0, str(Path(__file__).parent))
from weak_designs import ROLES, table


@pytest.mark.parametrize("method", ["ar", "clr", "lm"])
@pytest.mark.parametrize("vcov", ["iid", "HC1", "CR1", "HC0"])
def test_sets_are_duals_of_tests(method, vcov):
    cluster = {"cluster": "group"} if vcov == "CR1" else {}
    fit = ck.IV(vcov=vcov).fit(table(), instruments=["z1", "z2"], **ROLES, **cluster)
    found = fit.ci(method=method)
    assert isinstance(found, ConfidenceSet)
    assert found.contains(fit.estimate)
    ends = [end for piece in found.intervals for end in piece if np.isfinite(end)]
    np.testing.assert_allclose([fit.test(end, method=method).pvalue for end in ends], 0.05, atol=1e-9)
    assert fit.ci(alpha=0.2, method=method).length < found.length
    df = fit.test(0.0, method=method).df
    assert df[1] == (
        29.0 if vcov == "CR1" else 400 - 4
    )  # clusters less one; rows less intercept, covariate, instruments


def test_reporting_units_do_not_matter():
    data = table()
    base = ck.IV().fit(data, instruments=["z1", "z2"], **ROLES)
    moved = ck.IV().fit(data.assign(y=data["y"] * 1e6 + 1e9), instruments=["z1", "z2"], **ROLES)
    for method in ("ar", "clr", "lm"):
        wanted = 1e6 * np.array(base.ci(method=method).intervals)
        np.testing.assert_allclose(moved.ci(method=method).intervals, wanted, rtol=1e-8)


def test_absorbed_effects_and_weights():
    data = table().assign(w=np.random.default_rng(1).uniform(0.5, 2.0, 400))
    absorbed = ck.IV().fit(data, instruments=["z1"], absorb=["group"], weights="w", **ROLES)
    dummies = pd.get_dummies(data["group"], prefix="g", drop_first=True, dtype=float)
    written = ck.IV().fit(
        data.join(dummies),
        outcome="y",
        treatment="d",
        instruments=["z1"],
        covariates=["x", *dummies.columns],
        weights="w",
    )
    for method in ("ar", "tf"):
        np.testing.assert_allclose(absorbed.ci(method=method).intervals, written.ci(method=method).intervals, rtol=1e-8)


def test_tf_is_the_t_ratio_with_another_critical_value():
    fit = ck.IV().fit(table(strength=0.25), instruments=["z1"], **ROLES)
    [(low, high)] = fit.ci(method="tf").intervals
    critical = tf_critical_value(float(fit.first_stage.f[0]))
    assert critical > 1.96
    np.testing.assert_allclose([low, high], [fit.estimate - critical * fit.se, fit.estimate + critical * fit.se])
    assert fit.test(low, method="tf").pvalue == pytest.approx(0.05, abs=1e-9)
    weak = ck.IV().fit(table(strength=0.02), instruments=["z1"], **ROLES)
    assert weak.ci(method="tf").is_real_line
    assert weak.test(5.0, method="tf").pvalue == 1.0


def test_what_is_refused():
    data = table()
    fit = ck.IV().fit(data, instruments=["z1", "z2"], **ROLES)
    with pytest.raises(InferenceUnavailable, match="one instrument, not 2"):
        fit.ci(method="tf")
    with pytest.raises(InferenceUnavailable, match=r"alpha=0\.05"):
        ck.IV().fit(data, instruments=["z1"], **ROLES).ci(alpha=0.01, method="tf")
    with pytest.raises(DesignError, match="between 0 and 1"):
        fit.ci(alpha=5, method="ar")
    with pytest.raises(InferenceUnavailable, match="another estimate"):
        ck.IV(method="fuller").fit(data, instruments=["z1"], **ROLES).ci(method="tf")


def test_two_treatments():
    data = table()
    roles = {"outcome": "y", "treatment": ["d", "d2"], "instruments": ["z1", "z2", "z3"], "covariates": ["x"]}
    fit = ck.IV(vcov="iid").fit(data, **roles)
    if fit.headline is None:
        with pytest.raises(InferenceUnavailable, match="headline"):
            fit.ci(method="ar")
        return
    found = fit.ci(method="ar")
    ends = [end for piece in found.intervals for end in piece]
    np.testing.assert_allclose([fit.test(end, method="ar").pvalue for end in ends], 0.05, atol=1e-9)
    with pytest.raises(InferenceUnavailable, match="one treatment"):
        fit.ci(method="clr")
    with pytest.raises(InferenceUnavailable, match="iid"):
        ck.IV().fit(data, **roles).ci(method="ar")
