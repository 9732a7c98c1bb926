"""DCDH against the authors' did_multiplegt_dyn (Python) and moderndid's port: a simulated panel, banking deregulation."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from simulated_levels import level_panel  # noqa: E402

CASES = json.loads((HERE / "dcdh_moderndid_0.4.1.json").read_text())["cases"]
FIELDS = ("normalized", "switchers", "same_switchers")


@pytest.mark.parametrize("name", CASES)
def test_against_moderndid(name):
    case, data = CASES[name], level_panel()
    if name == "gaps":
        data = data[data.index % 11 != 5]
    options = case["options"]
    result = ck.DCDH(n_effects=3, n_placebos=2, **{key: options[key] for key in FIELDS if key in options}).fit(
        data,
        outcome="y",
        unit="unit",
        time="time",
        treatment="level",
        cluster=options.get("cluster"),
        weights=options.get("weightsname"),
    )
    np.testing.assert_allclose(result.effects.values, [*case["placebos"][::-1], *case["effects"]], atol=1e-12)
    np.testing.assert_allclose(result.effects.se, [*case["placebos_se"][::-1], *case["se"]], rtol=1e-10)
    assert result.effects.columns["n_treated"][2:] == case["n"]
    np.testing.assert_allclose([result.estimate, result.se], case["ate"], atol=1e-12)
    np.testing.assert_allclose(result.pre_trends().pvalue, case["placebo_p"], atol=1e-10)
    np.testing.assert_allclose(result.equal_effects().pvalue, case["equal_p"], atol=1e-10)


AUTHORS = json.loads((HERE / "dcdh_did_multiplegt_dyn_0.1.9.json").read_text())["cases"]


@pytest.mark.parametrize("name", AUTHORS)
def test_against_the_authors(name):
    case = AUTHORS[name]
    options = case["options"]
    estimator = ck.DCDH(n_effects=3, n_placebos=2, **{key: options[key] for key in FIELDS if key in options})
    result = estimator.fit(
        level_panel(),
        outcome="y",
        unit="unit",
        time="time",
        treatment="level",
        cluster=options["cluster"],
        weights=options.get("weight"),
    )
    rows = ["Placebo_2", "Placebo_1", "Effect_1", "Effect_2", "Effect_3"]
    np.testing.assert_allclose(result.effects.values, [case["estimate"][row] for row in rows], atol=1e-12)
    np.testing.assert_allclose(result.effects.se, [case["se"][row] for row in rows], rtol=1e-10)
    total = "Average_Total_Effect"
    np.testing.assert_allclose([result.estimate, result.se], [case["estimate"][total], case["se"][total]], rtol=1e-10)


#: moderndid 0.4.1: did_multiplegt(favara_imbs, yname="Dl_vloans_b", idname="county", tname="year", dname="inter_bra",
#: effects=8, placebo=3, cluster="state_n", normalized=True, same_switchers=True, effects_equal=True)
FAVARA = {
    "effects": [
        *(0.024039303783558324, 0.011670222795770516, 0.014344271047463844, 0.011521103873535088),
        *(0.0161627030770279, 0.013386096080962855, 0.009810018459470174, 0.010083837648433782),
    ],
    "se": [
        *(0.01842405060167329, 0.010671359472429578, 0.008288211521235484, 0.008195149409975327),
        *(0.0068420490512644955, 0.006251289910170605, 0.004957217472758544, 0.004309332858332801),
    ],
    "placebos": [0.030378515646637384, -0.021776290503030545, -0.013711273385239092],
    "placebos_se": [0.026405152151615832, 0.025352244172562266, 0.0263436988704798],
    "ate": [0.05506302551788285, 0.026808190547594972],
    "placebo_p": 0.5336510222781796,
    "equal_p": 0.07392958982551312,
}


def test_banking_deregulation():
    """The data come with moderndid (favara_imbs.csv) and may not be copied here."""
    import pandas as pd

    path = Path(os.environ.get("CAUSALKIT_REFERENCE_DATA", ".")) / "favara_imbs.csv"
    if not path.exists():
        pytest.skip("CAUSALKIT_REFERENCE_DATA names no folder with favara_imbs.csv")
    result = ck.DCDH(n_effects=8, n_placebos=3, normalized=True, same_switchers=True).fit(
        pd.read_csv(path), outcome="Dl_vloans_b", unit="county", time="year", treatment="inter_bra", cluster="state_n"
    )
    np.testing.assert_allclose(result.effects.values, [*FAVARA["placebos"][::-1], *FAVARA["effects"]], atol=1e-13)
    np.testing.assert_allclose(result.effects.se, [*FAVARA["placebos_se"][::-1], *FAVARA["se"]], rtol=1e-12)
    np.testing.assert_allclose([result.estimate, result.se], FAVARA["ate"], rtol=1e-12)
    np.testing.assert_allclose(result.pre_trends().pvalue, FAVARA["placebo_p"], atol=1e-12)
    np.testing.assert_allclose(result.equal_effects().pvalue, FAVARA["equal_p"], atol=1e-12)
