"""The wild cluster bootstrap through the public class."""

import os
from pathlib import Path

import numpy as np
import pytest

import causalkit as ck
from causalkit.errors import DesignError
from causalkit.inference.bootstrap import wild_cluster_bootstrap


@pytest.fixture(scope="module")
def panel():
    table = ck.datasets.linear_panel(27, 6, random_state=2)
    return table.assign(region=table["unit"] // 3, w=np.random.default_rng(0).uniform(0.5, 2.0, len(table)))


def test_crossing_and_nested_effects_are_those_of_explicit_dummies(panel):
    fit = ck.OLS().fit(
        panel, outcome="y", treatment="treated", covariates="x1", absorb=["unit", "time"], cluster="region", weights="w"
    )
    units = (panel["unit"].to_numpy()[:, None] == np.unique(panel["unit"])).astype(float)
    times = (panel["time"].to_numpy()[:, None] == np.unique(panel["time"])[1:]).astype(float)
    X = np.column_stack([panel["treated"], panel["x1"], units, times])
    root = np.sqrt(panel["w"].to_numpy())
    codes = panel["region"].to_numpy().astype(np.int32)
    dense = wild_cluster_bootstrap(
        panel["y"].to_numpy() * root, X * root[:, None], codes, 0, n_parameters=fit.n_parameters
    )
    ours = fit.wild_bootstrap()
    assert ours.exact
    assert ours.pvalue == dense.pvalue
    assert ours.statistic == pytest.approx(dense.statistic, rel=1e-9)
    assert ours.statistic == pytest.approx(fit.test().statistic, rel=1e-9)
    [(low, high)] = fit.ci(method="wild").intervals
    np.testing.assert_allclose([low, high], dense.confidence_set().intervals[0], rtol=1e-8)
    assert fit.test(null=low - 1e-6, method="wild").pvalue < 0.05


def test_the_exact_pvalue_of_nine_states():
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / "mpdta.csv").is_file():
        pytest.skip("mpdta may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with mpdta.csv")
    import pandas as pd

    data = pd.read_csv(Path(folder) / "mpdta.csv")
    data["state"] = data["countyreal"] // 1000
    data["treated"] = ((data["first.treat"] > 0) & (data["year"] >= data["first.treat"])).astype(int)
    few = data[data["state"].isin([8, 12, 13, 16, 17, 18, 19, 20, 22])]
    fit = ck.OLS().fit(few, outcome="lemp", treatment="treated", absorb=["countyreal", "year"], cluster="state")
    assert fit.test(method="wild").pvalue == 0.703125  # pyfixest 0.60.0, all 512 sign vectors


def test_it_needs_one_cluster_column(panel):
    fit = ck.OLS().fit(panel, outcome="y", treatment="treated")
    with pytest.raises(DesignError, match="one cluster column"):
        fit.wild_bootstrap()
