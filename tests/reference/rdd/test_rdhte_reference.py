"""Heterogeneous effects at a cutoff against rdhte.

``hte_rdhte_0.1.0.json`` needs the Senate elections, which are not shipped: they are read from the folder that the
environment variable CAUSALKIT_REFERENCE_DATA names. ``jump_table.json`` is for a table of our own.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.core.effects import Effects

HERE = Path(__file__).parent
SENATE = json.loads((HERE / "hte_rdhte_0.1.0.json").read_text())["results"]
OWN = json.loads((HERE / "jump_table.json").read_text())["hte"]["results"]


def compare(found, expected):
    effects = found.effects
    if not found.by_group:  # rdhte's intercept is the effect where the moderator is zero, ours where it is at its mean
        effects = Effects(("at zero", "slope"), effects.numbers.linear(np.array([[1.0, -found.means[0]], [0.0, 1.0]])))
    tidy = expected["tidy"]
    low, high = effects.ci()
    named = {
        "estimate": effects.values, "std.error": effects.se, "estimate.bc": effects.numbers.location,
        "statistic": effects.statistic, "conf.low": low, "conf.high": high,
    }  # fmt: skip
    for key, value in named.items():
        np.testing.assert_allclose(value, tidy[key], rtol=2e-10, atol=1e-10, err_msg=key)
    np.testing.assert_allclose(found.bandwidths, expected["h"], rtol=1e-10)
    np.testing.assert_allclose(effects.vcov, expected["vcov"], rtol=2e-9, atol=1e-10)
    # rdhte repeats the counts of all rows for every coefficient of a number
    groups = len(found.n_effective)
    assert found.n_effective[:, 0].tolist() == tidy["n.eff.left"][:groups]
    assert found.n_effective[:, 1].tolist() == tidy["n.eff.right"][:groups]


@pytest.mark.parametrize(
    ("case", "column", "configuration", "cluster"),
    [
        ("cat_dopen", "dopen", {}, None),
        ("cont_termshouse", "termshouse", {}, None),
        ("cat_class_h20_cr1", "class", {"bandwidth": 20.0}, "state"),
    ],
)
def test_senate_elections(case, column, configuration, cluster):
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / "rdrobust_senate.csv").is_file():
        pytest.skip("rdrobust_senate.csv may not be redistributed; CAUSALKIT_REFERENCE_DATA names no folder with it")
    data = pd.read_csv(Path(folder) / "rdrobust_senate.csv").dropna(subset=["vote", "margin", column])
    if column == "class":
        data = data.assign(**{"class": data["class"].map("class {:.0f}".format)})
    design = ck.RegressionDiscontinuity(**configuration)
    result = design.fit(data, outcome="vote", running="margin", cluster=cluster)
    compare(ck.rdd.heterogeneity(result, column, data), SENATE[case])


@pytest.mark.parametrize(
    ("case", "column", "configuration", "roles"),
    [
        ("group", "group", {}, {}),
        ("group_cluster", "group", {"bandwidth": 1.0}, {"cluster": "district"}),
        ("number", "z", {}, {}),
        ("covariate", "group", {"bandwidth": 1.1}, {"covariates": "z"}),
    ],
)
def test_our_own_table(case, column, configuration, roles):
    data = pd.read_csv(HERE / "jump_table.csv")
    data["group"] = "g" + data["group"].astype(str)
    result = ck.RegressionDiscontinuity(**configuration).fit(data, outcome="y", running="x", **roles)
    compare(ck.rdd.heterogeneity(result, column, data), OWN[case])
