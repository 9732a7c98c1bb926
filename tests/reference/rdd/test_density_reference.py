"""The density test against rddensity 3.0: on a table of our own, and on the data sets of the field where they are there.

``make_density_locrand.py`` made the table and its numbers. The Senate and Lee data are read from the folder that the
environment variable CAUSALKIT_REFERENCE_DATA names; the others come with the package causaldata.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import causalkit as ck

HERE = Path(__file__).parent
OWN = json.loads((HERE / "density_locrand.json").read_text())
SCORE = pd.read_csv(HERE / "density_locrand.csv")["score"].to_numpy()
FIELD = json.loads((HERE / "density_rddensity_3.0.json").read_text())["results"]
WORDS = {
    "p": "order",
    "q": "bias_order",
    "kernel": "kernel",
    "vce": "vcov",
    "bwselect": "bandwidth",
    "massPoints": "mass_points",
    "regularize": "regularize",
}


def options(kw):
    """The keywords of rddensity in our words."""
    out = {WORDS[name]: value for name, value in kw.items() if name in WORDS}
    if kw.get("fitselect") == "restricted":
        out["restricted"] = True
    if "h" in kw:
        out["bandwidth"] = tuple(kw["h"])
    return out


@pytest.mark.parametrize("name", list(OWN["density"]))
def test_own_table(name):
    saved = OWN["density"][name]
    found = ck.rdd.density_test(SCORE, OWN["cutoff"], **options(saved["kw"]))
    np.testing.assert_allclose(found.bandwidths, saved["bandwidths"], rtol=1e-9)
    fit = found.robust
    numbers = [fit.left, fit.right, fit.left_se, fit.right_se, fit.difference_se, fit.statistic]
    np.testing.assert_allclose(numbers, saved["robust"], rtol=1e-8)
    np.testing.assert_allclose(found.pvalue, saved["robust_pvalue"], rtol=1e-8)
    fit = found.conventional
    numbers = [fit.left, fit.right, fit.left_se, fit.right_se, fit.difference_se]
    np.testing.assert_allclose(numbers, saved["conventional"], rtol=1e-8)
    assert [found.n_left, found.n_right, *found.n_effective] == saved["n"]


def column(name):
    """The running variable of a saved call."""
    packaged = {"gov": ("gov_transfers_density", "Income_Centered"), "lmb": ("close_elections_lmb", "lagdemvoteshare")}
    if name[:3] in packaged:
        pytest.importorskip("causaldata", reason="the data come with causaldata")
        module, variable = packaged[name[:3]]
        values = import_module(f"causaldata.{module}").load_pandas().data[variable].dropna()
        if values.dtype == "float32":  # rddensity read them from a text file
            values = values.astype(str)
        return values.to_numpy(float)
    file = "rdrobust_senate.csv" if name.startswith("senate") else "lee08.csv"
    path = Path(os.environ.get("CAUSALKIT_REFERENCE_DATA", "")) / file
    if not os.environ.get("CAUSALKIT_REFERENCE_DATA") or not path.exists():
        pytest.skip(f"{file} may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with it")
    return pd.read_csv(path)["margin"].dropna().to_numpy(float)


@pytest.mark.parametrize("name", list(FIELD))
def test_data_sets_of_the_field(name):
    saved = FIELD[name]
    kind = "asy" if saved["vce"] == "plugin" else "jk"
    found = ck.rdd.density_test(column(name), saved["c"], **options(saved["kw"]))
    assert (found.n_left, found.n_right) == (saved["n"]["left"], saved["n"]["right"])
    assert found.n_effective == (saved["n"]["eff_left"], saved["n"]["eff_right"])
    np.testing.assert_allclose(found.bandwidths, [saved["h"]["left"], saved["h"]["right"]], rtol=1e-9)
    hat, sd = saved["hat"], saved[f"sd_{kind}"]
    fit = found.robust
    np.testing.assert_allclose([fit.left, fit.right, fit.difference], list(hat.values()), rtol=1e-8)
    np.testing.assert_allclose([fit.left_se, fit.right_se, fit.difference_se], list(sd.values()), rtol=1e-8)
    np.testing.assert_allclose(found.statistic, saved["test"][f"t_{kind}"], rtol=1e-8)
    np.testing.assert_allclose(found.pvalue, saved["test"][f"p_{kind}"], rtol=1e-7)
    if saved["useall"]:
        np.testing.assert_allclose(found.conventional.statistic, saved["test_p"][f"t_{kind}"], rtol=1e-8)


def test_binomial_tests_against_scipy():
    found = ck.rdd.density_test(SCORE, OWN["cutoff"]).binomial
    assert len(found) == 10
    assert min(found[0].n_left, found[0].n_right) == 20  # the nearest values, of which the rarer side has twenty
    for test in found:
        x = SCORE - OWN["cutoff"]
        left, right = int(np.sum((x < 0) & (x >= -test.window))), int(np.sum((x >= 0) & (x <= test.window)))
        assert (test.n_left, test.n_right) == (left, right)
        np.testing.assert_allclose(test.pvalue, binomtest(left, left + right).pvalue, rtol=1e-10)
