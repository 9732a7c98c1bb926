"""Bins of the regression discontinuity plot against rdrobust's rdplot, by all eight rules.

``plot_rdrobust_2.1.1.json`` needs the Senate elections, which are not shipped: they are read from the folder that the
environment variable CAUSALKIT_REFERENCE_DATA names. ``jump_table.json`` is for a table of our own, without its repeated
values: with them rdplot's answer depends on the order of the rows.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalkit.rdd.binning import RULES, bins, global_curve

HERE = Path(__file__).parent
SENATE = json.loads((HERE / "plot_rdrobust_2.1.1.json").read_text())["results"]
OWN = json.loads((HERE / "jump_table.json").read_text())["plot"]["results"]


@pytest.mark.parametrize("rule", RULES)
def test_senate_elections(rule):
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / "rdrobust_senate.csv").is_file():
        pytest.skip("rdrobust_senate.csv may not be redistributed; CAUSALKIT_REFERENCE_DATA names no folder with it")
    data = pd.read_csv(Path(folder) / "rdrobust_senate.csv").dropna(subset=["vote", "margin"])
    y, x = data["vote"].to_numpy(), data["margin"].to_numpy()
    found, expected = bins(y, x, rule), SENATE[rule]
    assert list(found.count) == expected["J"]
    assert list(found.integrated_error) == expected["J_IMSE"]
    assert list(found.mimicking) == expected["J_MV"]
    length = found.high - found.low  # of the bins with rows
    medians = [np.median(length[found.low < 0]), np.median(length[found.low >= 0])]
    np.testing.assert_allclose(medians, expected["bin_med"], rtol=1e-12)
    low, high = found.ci()
    first = {
        "rdplot_mean_bin": found.middle[0], "rdplot_mean_x": found.x[0], "rdplot_mean_y": found.y[0],
        "rdplot_min_bin": found.low[0], "rdplot_max_bin": found.high[0], "rdplot_se_y": found.se[0],
        "rdplot_N": found.n[0], "rdplot_ci_l": low[0], "rdplot_ci_r": high[0],
    }  # fmt: skip
    for key, value in first.items():
        assert value == pytest.approx(expected["first_bin"][key], rel=1e-8), key
    coefficients = np.array(expected["coef"])
    for side, inside in enumerate((x < 0, x >= 0)):
        at, value = global_curve(y[inside], x[inside])
        np.testing.assert_allclose(value, at[:, None] ** np.arange(5) @ coefficients[:, side], rtol=1e-8)


@pytest.mark.parametrize("rule", RULES)
def test_our_own_table(rule):
    data = pd.read_csv(HERE / "jump_table.csv").drop_duplicates("x")
    found, expected = bins(data["y"].to_numpy(), data["x"].to_numpy(), rule, adjust=False), OWN[rule]
    assert list(found.count) == expected["J"]
    assert list(found.integrated_error) == expected["J_IMSE"]
    assert list(found.mimicking) == expected["J_MV"]
    low, high = found.ci()
    named = {
        "rdplot_mean_bin": found.middle, "rdplot_mean_x": found.x, "rdplot_mean_y": found.y, "rdplot_se_y": found.se,
        "rdplot_N": found.n, "rdplot_ci_l": low, "rdplot_ci_r": high,
    }  # fmt: skip
    for key, value in named.items():
        np.testing.assert_allclose(value, expected["bins"][key], rtol=1e-8, atol=1e-10, err_msg=key)
