"""Against rdrobust 2.1.1 (Calonico, Cattaneo, Farrell and Titiunik): bandwidths, estimates and standard errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from simulated_scores import CALLS, table  # noqa: E402

REFERENCE = json.loads((HERE / "rdrobust_2.1.1.json").read_text())["results"]
KERNELS = {"uni": "uniform", "epa": "epanechnikov"}
FIELDS = {
    "bwselect": "bandwidth",
    "b": "bias_bandwidth",
    "rho": "rho",
    "c": "cutoff",
    "p": "order",
    "q": "bias_order",
    "deriv": "derivative",
    "masspoints": "mass_points",
    "scaleregul": "regularization",
    "sharpbw": "sharp_bandwidth",
}


def fitted(call: dict):
    options = dict(call)
    data = table(options.pop("table", "smooth"))
    roles = {"covariates": options.pop("covs", []), "treatment": options.pop("fuzzy", None)}
    roles |= {role: options.pop(role) for role in ("cluster", "weights") if role in options}
    config = {FIELDS[key]: options.pop(key) for key in list(options) if key in FIELDS}
    if "h" in options:
        config["bandwidth"] = options.pop("h")
    if "kernel" in options:
        config["kernel"] = KERNELS[options.pop("kernel")]
    if "vce" in options:
        config["vcov"] = options.pop("vce").upper()
    assert not options
    return ck.RegressionDiscontinuity(**config).fit(data, outcome="y", running="x", **roles)


@pytest.mark.parametrize("name", CALLS)
def test_agrees(name):
    wanted, result = REFERENCE[name]["result"], fitted(CALLS[name])
    assert REFERENCE[name]["call"] == CALLS[name]
    effect = result.found.effect
    np.testing.assert_allclose(result.bandwidths, wanted["bandwidths"], rtol=1e-8)
    np.testing.assert_allclose([effect.conventional, effect.corrected], wanted["coef"], rtol=1e-8)
    np.testing.assert_allclose([effect.se, effect.robust_se], wanted["se"], rtol=1e-8)
    np.testing.assert_allclose(result.found.bias, wanted["bias"], rtol=1e-7, atol=1e-9)
    assert list(result.n_effective) == wanted["n_h"]
    assert list(result.found.n_bias) == wanted["n_b"]
    if "first_stage" in wanted:
        jump = result.found.first_stage
        found = [jump.conventional, jump.corrected, jump.se, jump.robust_se]
        np.testing.assert_allclose(found, wanted["first_stage"], rtol=1e-8)


@pytest.mark.parametrize("name", ["default", "hc1", "hc3", "cr1", "cr2", "kink", "fuzzy", "weights_covariates_hc3"])
def test_the_table_says_the_same(name):
    """The standard errors of the table come from rows and clusters, those of the reference test from power sums."""
    wanted, result = REFERENCE[name]["result"], fitted(CALLS[name])
    np.testing.assert_allclose(result.effects.se, [wanted["se"][0], *wanted["se"]], rtol=1e-8)
    np.testing.assert_allclose(result.se, wanted["se"][1], rtol=1e-8)
    assert result.estimate == result.effects.values[0]
    assert result.ci() == pytest.approx([result.effects.ci()[0][2], result.effects.ci()[1][2]], rel=1e-9)
