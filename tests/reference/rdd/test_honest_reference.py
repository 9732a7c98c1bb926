"""Honest intervals against RDHonest (R), and against its Python port where both agree, on a table of our own.

``honest_r.json`` needs lee08 and headst, which are not shipped: they are read from the folder that the environment variable
CAUSALKIT_REFERENCE_DATA names.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_discrete import bounded_misspecification
from causalkit.rdd.honest_fit import HonestConfig, HonestProblem, honest_fit
from causalkit.rdd.honest_pilot import pilot
from causalkit.rdd.honest_smoothness import smoothness_bound

HERE = Path(__file__).parent
R = json.loads((HERE / "honest_r.json").read_text())["results"]
OWN = json.loads((HERE / "jump_table.json").read_text())["honest"]["results"]
CLASSES = {"H": "holder", "T": "taylor", "Holder": "holder", "Taylor": "taylor"}


def shipped_elsewhere(name):
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"{name} may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with it")
    return pd.read_csv(Path(folder) / name)


def compare(fit, expected, rtol):
    found = {
        "estimate": fit.estimate,
        "std.error": fit.se,
        "maximum.bias": fit.bias,
        "conf.low": fit.interval[0],
        "conf.high": fit.interval[1],
        "conf.low.onesided": fit.one_sided[0],
        "conf.high.onesided": fit.one_sided[1],
        "cv": fit.critical_value,
    }
    for key, value in found.items():
        assert value == pytest.approx(expected[key], rel=rtol), key
    # a tail probability moves faster than the interval it belongs to
    assert fit.pvalue() == pytest.approx(expected["p.value"], rel=30 * rtol)


@pytest.mark.parametrize(
    ("case", "config", "options"),
    [
        ("lee08_M0.1_tri_mse", {}, {"smoothness": 0.1}),
        ("lee08_M0.1_tri_h10", {}, {"smoothness": 0.1, "bandwidth": 10.0}),
        ("lee08_M0.1_uni_h10", {"kernel": "uniform"}, {"smoothness": 0.1, "bandwidth": 10.0}),
        ("lee08_M0.1_epa_flci", {"kernel": "epanechnikov", "criterion": "flci"}, {"smoothness": 0.1}),
        ("lee08_Mrot_tri_mse", {}, {}),
        ("lee08_M0.1_oci", {"criterion": "oci"}, {"smoothness": 0.1}),
        ("lee08_M0.1_taylor", {"smoothness_class": "taylor"}, {"smoothness": 0.1}),
    ],
)
def test_lee_2008(case, config, options):
    data = shipped_elsewhere("lee08.csv")
    rows = HonestData.of(data["voteshare"].to_numpy(), data["margin"].to_numpy())
    fit, expected = honest_fit(rows, HonestConfig(**config), **options), R[case]
    rtol = 1e-11 if "bandwidth" in options else 2e-7  # the flat criterion leaves the bandwidth eight digits
    compare(fit, expected, rtol)
    assert fit.bandwidth[0] == pytest.approx(expected["bandwidth"], rel=rtol)
    assert fit.smoothness[0] == pytest.approx(expected["M"], rel=1e-11)
    assert fit.leverage == pytest.approx(expected["leverage"], rel=rtol)
    assert fit.effective_rows == pytest.approx(expected["eff.obs"], rel=rtol)


def test_the_optimal_weights():
    data = shipped_elsewhere("lee08.csv")
    rows = HonestData.of(data["voteshare"].to_numpy(), data["margin"].to_numpy())
    config = HonestConfig(kernel="optimal", smoothness_class="taylor", criterion="flci")
    fit, expected = honest_fit(rows, config, smoothness=0.1), R["lee08_M0.1_optimal"]
    # R stops its search for the shortest interval at 1e-4 of the jump
    compare(fit, expected, 2e-6)
    assert fit.bandwidth == pytest.approx((expected["bandwidth.m"], expected["bandwidth.p"]), rel=2e-6)


def test_head_start():
    data = shipped_elsewhere("headst.csv").dropna(subset=["mortHS"])
    y, x = data["mortHS"].to_numpy(), data["povrate"].to_numpy()
    fit = honest_fit(HonestData.of(y, x))
    compare(fit, R["headst_mort"], 2e-8)
    covariates = np.column_stack([data["urban"], data["black"], data["urban"] * data["black"]])
    fit = honest_fit(HonestData.of(y, x, covariates=covariates), smoothness=0.1, bandwidth=5.0)
    compare(fit, R["headst_mort_cov"], 1e-11)
    assert fit.leverage == pytest.approx(R["headst_mort_cov"]["leverage"], rel=1e-11)
    assert fit.effective_rows == pytest.approx(R["headst_mort_cov"]["eff.obs"], rel=1e-11)


def test_fuzzy_retirement():
    """RDHonest's own test, tests/testthat/test_frd.R: six digits, the bandwidth supposing the first estimate."""
    data = shipped_elsewhere("rcp.csv")
    rows = HonestData.of(
        np.log(data["cn"].to_numpy()), data["elig_year"].to_numpy(), treatment=data["retired"].to_numpy(float)
    )
    assert round(honest_fit(rows).estimate, 6) == -0.188134


def test_discrete_running_variable():
    """Kolesar and Rothe (2018), from RDHonest's tests/testthat/test_rd.R and test_cbound.R."""
    data = shipped_elsewhere("cghs.csv")
    rows = HonestData.of(np.log(data["earnings"].to_numpy()), data["yearat14"].to_numpy() - 1947.0)
    near = bounded_misspecification(rows, order=1, left=6, right=6)
    assert (near.low, near.high) == pytest.approx((-0.13218978736, 0.17499392431), rel=1e-9)
    variance = pilot(rows)
    below, above = (
        smoothness_bound(rows, variance, points=2, several=False, sides=(right,), equal_variances=True).estimate
        for right in (False, True)
    )
    assert below == pytest.approx(0.015359658, rel=1e-7)
    assert above == 0.0


@pytest.mark.parametrize("case", sorted(OWN))
def test_fixed_bandwidth_on_our_own_table(case):
    data = pd.read_csv(HERE / "jump_table.csv")
    options, config = {}, {"vcov": "HC0"}
    if case == "cluster":
        options["cluster"], config["vcov"] = data["district"].to_numpy(), "CR0"
    elif case == "covariate":
        options["covariates"] = data[["z"]].to_numpy()
    elif case == "weights":
        options["weights"] = 1.0 + data["group"].to_numpy()
    else:
        config["kernel"], name = case.split("_")
        config["smoothness_class"] = CLASSES[name]
    rows = HonestData.of(data["y"].to_numpy(), data["x"].to_numpy(), **options)
    fit = honest_fit(rows, HonestConfig(**config), smoothness=1.5, bandwidth=0.9)
    compare(fit, OWN[case], 1e-10)
    assert fit.effective_rows == pytest.approx(OWN[case]["eff.obs"], rel=1e-10)
    if case != "weights":  # the port forgets that a heavy row stands for several
        assert fit.leverage == pytest.approx(OWN[case]["leverage"], rel=1e-10)


def test_the_bandwidth_supposes_a_guess_only_in_fuzzy_designs():
    data = pd.read_csv(HERE / "jump_table.csv")
    rows = HonestData.of(data["y"].to_numpy(), data["x"].to_numpy(), treatment=data["d"].to_numpy(float))
    problem = HonestProblem.of(rows, HonestConfig())
    bound = problem.suggested()
    assert problem.bandwidth(bound, 5.0) < problem.bandwidth(bound, 0.0)
