"""Power, smallest effect and sample size against rdpower.

``power_rdpower_2.0.0.json`` needs the Senate elections, which are not shipped: they are read from the folder that the
environment variable CAUSALKIT_REFERENCE_DATA names. ``jump_table.json`` is for a table of our own.
"""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

import causalkit as ck

HERE = Path(__file__).parent
SENATE = json.loads((HERE / "power_rdpower_2.0.0.json").read_text())["results"]
OWN = json.loads((HERE / "jump_table.json").read_text())["power"]["results"]


def test_senate_elections():
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / "rdrobust_senate.csv").is_file():
        pytest.skip("rdrobust_senate.csv may not be redistributed; CAUSALKIT_REFERENCE_DATA names no folder with it")
    data = pd.read_csv(Path(folder) / "rdrobust_senate.csv").dropna(subset=["vote", "margin"])
    found = ck.rdd.power(ck.RegressionDiscontinuity().fit(data, outcome="vote", running="margin"), 5.0)
    expected, size = SENATE["rdpower_tau5"], SENATE["rdsampsi_tau5"]
    assert found.power == pytest.approx(expected["power_rbc"], rel=1e-10)
    assert found.se == pytest.approx(expected["se_rbc"], rel=1e-10)
    assert found.scale.variance == pytest.approx((expected["Vl_rb"], expected["Vr_rb"]), rel=1e-10)
    assert found.scale.n_window == (expected["Nh_l"], expected["Nh_r"])
    assert found.minimum_effect == pytest.approx(SENATE["rdmde"]["mde"], rel=1e-10)
    assert found.n == size["sampsi.tot"]
    assert found.n_window == (size["sampsi.h.l"], size["sampsi.h.r"])


@pytest.mark.parametrize("case", sorted(OWN))
def test_our_own_table(case):
    data = pd.read_csv(HERE / "jump_table.csv")
    kind, planned = case.split("_")
    cluster = "district" if kind == "cluster" else None
    result = ck.RegressionDiscontinuity().fit(data, outcome="y", running="x", cluster=cluster)
    options = {} if planned == "same" else {"bandwidth": (0.6, 0.8), "n_window": (150, 120)}
    found, expected = ck.rdd.power(result, 0.4, **options), OWN[case]
    assert found.power == pytest.approx(expected["power"], rel=1e-10)
    assert found.se == pytest.approx(expected["se"], rel=1e-10)
    assert found.minimum_effect == pytest.approx(expected["mde"], rel=1e-10)
    assert found.n == expected["n"]
    assert found.n_window == (expected["n_left"], expected["n_right"])
