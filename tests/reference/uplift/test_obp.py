"""Off-policy estimators against the Open Bandit Pipeline; obp.json holds its version, calls and numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from causalkit.uplift import off_policy_value

HERE = Path(__file__).parent
OBP = json.loads((HERE / "obp.json").read_text())["values"]
CASES = {
    "ipw": ("ips", None),
    "ipw_lambda2": ("ips", 2.0),
    "snipw": ("snips", None),
    "dm": ("dm", None),
    "dr": ("dr", None),
    "sndr": ("sndr", None),
    "switch_dr_2": ("switch_dr", 2.0),
    "dros_10": ("dr_os", 10.0),
}


@pytest.fixture(scope="module")
def log():
    table = np.genfromtxt(HERE / "ope_logged.csv", delimiter=",", names=True)
    wide = {key: np.column_stack([table[f"{key}{arm}"] for arm in range(3)]) for key in ("pb", "pe", "q")}
    return {"reward": table["reward"], "action": table["action"].astype(int), **wide}


@pytest.mark.parametrize("name", CASES)
def test_values_and_standard_errors(log, name):
    method, cutoff = CASES[name]
    found = off_policy_value(
        log["reward"], log["action"], log["pe"], log["pb"], expected=log["q"], method=method, cutoff=cutoff
    )
    assert found.estimate == pytest.approx(OBP[name]["value"], abs=1e-10)
    if method in ("snips", "sndr"):
        # obp leaves out that the sum of weights is estimated; without it our numbers are theirs.
        w = found.weights
        rows = w * log["reward"] / w.mean()
        if method == "sndr":
            own = log["q"][np.arange(len(w)), log["action"]]
            rows = np.sum(log["pe"] * log["q"], axis=1) + w * (log["reward"] - own) / w.mean()
        assert rows.std(ddof=1) / np.sqrt(len(w)) == pytest.approx(OBP[name]["se_mean"], rel=1e-8)
    else:
        assert found.se == pytest.approx(OBP[name]["se_mean"], rel=1e-8)
