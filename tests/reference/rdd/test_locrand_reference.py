"""Local randomization against rdlocrand 3.0: on a table of our own, and on the Senate data where they are there.

What rdlocrand draws (1,000 or 2,000 assignments, without counting the actual one) is compared within its Monte Carlo
error; statistics, large-sample p-values and windows to 1e-8.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

HERE = Path(__file__).parent
SAVED = json.loads((HERE / "density_locrand.json").read_text())
DATA = pd.read_csv(HERE / "density_locrand.csv")
SENATE = json.loads((HERE / "locrand_rdlocrand_3.0.json").read_text())["results"]
NAMES = {"diffmeans": "difference", "ksmirnov": "ks", "ranksum": "ranksum", "hotelling": "hotelling"}


def fit(kw, **more):
    kernel = {"epan": "epanechnikov"}.get(kw.get("kernel", ""), kw.get("kernel", "uniform"))
    vcov = kw.get("vce", "HC0" if kw.get("fuzzy") == "tsls" and not kw.get("p") else "auto")
    model = ck.LocalRandomizationRD(
        cutoff=SAVED["cutoff"], window=SAVED["window"], order=kw.get("p", 0), kernel=kernel, vcov=vcov, random_state=1
    )
    treatment = "received" if "fuzzy" in kw else None
    return model.fit(DATA, outcome="outcome", running="score", treatment=treatment, **more)


@pytest.mark.parametrize("name", list(SAVED["locrand"]["randinf"]))
def test_effects_of_own_table(name):
    saved = SAVED["locrand"]["randinf"][name]
    kw = saved["kw"]
    found = fit(kw)
    assert [found.n_left, found.n_right] == saved["n"]
    method = {"ksmirnov": "ks", "ranksum": "ranksum"}.get(kw.get("statistic", ""))
    statistic = found.test(method=method).statistic
    if kw.get("p") or kw.get("fuzzy") == "tsls":
        statistic = found.large_sample.estimate
    sign = -1.0 if method == "ranksum" else 1.0  # rdlocrand sums the ranks on the left
    np.testing.assert_allclose(sign * statistic, saved["statistic"], rtol=1e-9)
    if saved["drawn_pvalue"] is not None:
        pvalue = found.test(method=method).pvalue
        assert abs(pvalue - saved["drawn_pvalue"]) < 4 * np.sqrt(max(pvalue, 5e-4) / 2000)
    if name == "ar":  # its variance divides by n, ours by n - 1
        return
    if method is None:
        np.testing.assert_allclose(found.test(method="large_sample").pvalue, saved["asymptotic_pvalue"], rtol=1e-8)
    elif method == "ks":  # what it takes from scipy is exact without ties, which these data have
        assert found.test(method=method).pvalue == pytest.approx(saved["asymptotic_pvalue"], rel=0.05)


@pytest.mark.parametrize("name", list(SAVED["locrand"]["winselect"]))
def test_windows_of_own_table(name):
    found = ck.rdd.select_window(
        DATA,
        running="score",
        covariates=["age", "urban", "wealth"],
        cutoff=SAVED["cutoff"],
        min_window=0.1,
        window_step=0.05,
        n_windows=8,
        balance_statistic=NAMES[name],
        balance_inference="large_sample",
    )
    saved = np.array(SAVED["locrand"]["winselect"][name], dtype=float)
    np.testing.assert_allclose([w.width for w in found.windows], saved[:, 6], rtol=1e-12)
    np.testing.assert_array_equal([(w.n_left, w.n_right) for w in found.windows], saved[:, 3:5])
    np.testing.assert_allclose([w.binomial for w in found.windows], saved[:, 2], rtol=1e-9)
    ours = np.array([w.pvalue for w in found.windows])
    if name == "ksmirnov":  # without regard to ties (one covariate is 0/1) its p-values are too large
        assert np.all(ours < saved[:, 0] + 1e-9)
    else:
        np.testing.assert_allclose(ours, saved[:, 0], rtol=1e-8)


def senate():
    path = Path(os.environ.get("CAUSALKIT_REFERENCE_DATA", "")) / "rdrobust_senate.csv"
    if not os.environ.get("CAUSALKIT_REFERENCE_DATA") or not path.exists():
        pytest.skip(
            "the Senate data may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with them"
        )
    return pd.read_csv(path)


COVARIATES = [
    "presdemvoteshlag1", "population", "demvoteshlag1", "demvoteshlag2", "demwinprv1", "demwinprv2", "dopen",
    "dmidterm", "dpresdem",
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("approx", {"min_window": 0.5, "window_step": 0.125, "n_windows": 20, "balance_inference": "large_sample"}),
        ("default", {}),
    ],
)
def test_windows_of_the_senate(name, options):
    found = ck.rdd.select_window(senate(), running="margin", covariates=COVARIATES, **options)
    saved = np.array(SENATE[f"rdwinselect_{name}"]["results"]["values"], dtype=float)
    np.testing.assert_allclose([w.width for w in found.windows], saved[:, 6], rtol=1e-12)
    np.testing.assert_array_equal([(w.n_left, w.n_right) for w in found.windows], saved[:, 3:5])
    np.testing.assert_allclose([w.binomial for w in found.windows], saved[:, 2], rtol=1e-9)
    assert found.chosen.width == pytest.approx(SENATE[f"rdwinselect_{name}"]["w_right"], rel=1e-12)
    ours = np.array([w.pvalue for w in found.windows])
    if name == "approx":
        np.testing.assert_allclose(ours, saved[:, 0], rtol=1e-9)
        assert [w.covariate for w in found.windows] == [COVARIATES[int(at)] for at in saved[:, 1]]
    else:  # 1000 draws, the smallest of nine p-values
        assert np.all(np.abs(ours - saved[:, 0]) < 4 * np.sqrt(ours * (1 - ours) / 1000))


@pytest.mark.parametrize("name", ["diffmeans", "ksmirnov", "ranksum", "p1"])
def test_effects_of_the_senate(name):
    saved = SENATE[f"rdrandinf_{name}"]
    model = ck.LocalRandomizationRD(window=0.75, order=int(name == "p1"), random_state=0)
    found = model.fit(senate(), outcome="vote", running="margin")
    assert [found.n_left, found.n_right] == saved["sumstats"][1]
    method = {"ksmirnov": "ks", "ranksum": "ranksum"}.get(name)
    test = found.test(method=method)
    statistic = found.estimate if name == "p1" else test.statistic
    np.testing.assert_allclose(abs(statistic), abs(np.atleast_1d(saved["obs.stat"])[0]), rtol=1e-9)
    large = test.pvalue
    if name == "diffmeans":
        large = found.test(method="large_sample").pvalue
    if name == "ranksum":
        assert test.pvalue < 4 * np.sqrt(1e-3 / 1000)  # it drew no assignment as extreme, and says zero
        return
    np.testing.assert_allclose(large, np.atleast_1d(saved["asy.pvalue"])[0], rtol=1e-8)
