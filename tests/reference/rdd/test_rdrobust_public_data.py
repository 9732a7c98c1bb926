"""Against rdrobust 2.1.1 on data from the literature: US Senate, Lee (2008), close House elections, PANES."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.rdd.bandwidth_rules import RULES

HERE = Path(__file__).parent
DOCUMENT = json.loads((HERE / "rdrobust_public_data.json").read_text())
SENATE = {"outcome": "vote", "running": "margin"}
COVARIATES = ["class", "termshouse", "termssenate"]
FUZZY = {**SENATE, "treatment": "T"}
HOUSE = {"outcome": "score", "running": "lagdemvoteshare"}
PANES = {"outcome": "Support", "running": "Income_Centered"}

#: Name -> table, roles, configuration.
CALLS = {
    "senate_default": ("senate", SENATE, {}),
    "senate_uni": ("senate", SENATE, {"kernel": "uniform"}),
    "senate_epa": ("senate", SENATE, {"kernel": "epanechnikov"}),
    **{f"senate_{rule}": ("senate", SENATE, {"bandwidth": rule}) for rule in RULES if rule != "mserd"},
    **{f"senate_{v.lower()}": ("senate", SENATE, {"vcov": v}) for v in ("HC0", "HC1", "HC2", "HC3")},
    **{
        f"senate_{v.lower()}_state": ("senate", {**SENATE, "cluster": "state"}, {"vcov": v})
        for v in ("CR1", "CR2", "CR3")
    },
    "senate_p2": ("senate", SENATE, {"order": 2}),
    "senate_p0": ("senate", SENATE, {"order": 0}),
    "senate_p3q4": ("senate", SENATE, {"order": 3}),
    "senate_kink": ("senate", SENATE, {"derivative": 1}),
    "senate_h15_b25": ("senate", SENATE, {"bandwidth": 15.0, "bias_bandwidth": 25.0}),
    "senate_h10_rho1": ("senate", SENATE, {"bandwidth": 10.0}),
    "senate_h10_20": ("senate", SENATE, {"bandwidth": (10.0, 20.0)}),
    "senate_rho.5": ("senate", SENATE, {"rho": 0.5}),
    "senate_covs": ("senate", {**SENATE, "covariates": COVARIATES}, {}),
    "senate_covs_cl": ("senate", {**SENATE, "covariates": COVARIATES, "cluster": "state"}, {}),
    "senate_nostd": ("senate", SENATE, {}),
    "senate_scaleregul0": ("senate", SENATE, {"regularization": 0.0}),
    "senate_weights_pop": ("senate", {**SENATE, "weights": "population"}, {}),
    "senate_placebo_c+10": ("senate above", SENATE, {"cutoff": 10.0}),
    "senate_donut0.5": ("senate", SENATE, {"donut": 0.5}),
    "senate_balance_demvoteshlag1": ("senate", {**SENATE, "outcome": "demvoteshlag1"}, {}),
    "senate_balance_population": ("senate", {**SENATE, "outcome": "population"}, {}),
    "senate_balance_presdem": ("senate", {**SENATE, "outcome": "presdemvoteshlag1"}, {}),
    "senate_fuzzy": ("fuzzy", FUZZY, {}),
    "senate_fuzzy_cov": ("fuzzy", {**FUZZY, "covariates": ["class"]}, {}),
    "senate_fuzzy_sharpbw": ("fuzzy", FUZZY, {"sharp_bandwidth": True}),
    "lee08_default": ("lee08", {"outcome": "voteshare", "running": "margin"}, {}),
    "lee08_uni_h10": (
        "lee08",
        {"outcome": "voteshare", "running": "margin"},
        {"kernel": "uniform", "bandwidth": 10.0},
    ),
    "lmb_default": ("house", HOUSE, {"cutoff": 0.5}),
    "lmb_uni": ("house", HOUSE, {"cutoff": 0.5, "kernel": "uniform"}),
    "lmb_masspoints_off": ("house", HOUSE, {"cutoff": 0.5, "mass_points": "off"}),
    "lmb_cluster_id": ("house", {**HOUSE, "cluster": "id"}, {"cutoff": 0.5}),
    "gov_transfers_default": ("panes", PANES, {}),
    "gov_transfers_hc1": ("panes", PANES, {"order": 2, "bandwidth": 0.005, "vcov": "HC1"}),
}
FILES = {"senate": "rdrobust_senate.csv", "fuzzy": "senate_fuzzy.csv", "lee08": "lee08.csv"}
PACKAGED = {"house": "close_elections_lmb", "panes": "gov_transfers"}


@cache
def table(name: str) -> pd.DataFrame:
    if name == "senate above":
        senate = table("senate")
        return senate[senate["margin"] >= 0]
    if name in PACKAGED:
        causaldata = pytest.importorskip("causaldata")
        data = getattr(causaldata, PACKAGED[name]).load_pandas().data
        return data.astype({column: float for column in data.columns if data[column].dtype == np.float32})
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    path = Path(folder or "") / FILES[name]
    if folder is None or not path.exists():
        pytest.skip(f"{FILES[name]} may not be redistributed; name its folder in CAUSALKIT_REFERENCE_DATA")
    return pd.read_csv(path)


def test_every_call_is_made():
    assert set(CALLS) == set(DOCUMENT["results"])


@pytest.mark.parametrize("name", CALLS)
def test_agrees(name):
    source, roles, config = CALLS[name]
    wanted = DOCUMENT["results"][name]
    result = ck.RegressionDiscontinuity(**config).fit(table(source), **roles)
    effect = result.found.effect
    np.testing.assert_allclose(result.bandwidths, wanted["bandwidths"], rtol=1e-8)
    np.testing.assert_allclose([effect.conventional, effect.corrected], wanted["coef"], rtol=1e-8)
    np.testing.assert_allclose([effect.se, effect.robust_se], wanted["se"], rtol=1e-8)
    # Slopes of higher order move by more than bandwidths do.
    for side in ("below", "above"):
        np.testing.assert_allclose(result.coefficients[side], wanted[side], rtol=3e-8)
    assert list(result.n_effective) == wanted["n_h"]
    assert list(result.found.n_bias) == wanted["n_b"]


@pytest.mark.parametrize("name", DOCUMENT["rdbwselect"])
def test_all_selectors_agree(name):
    vcov, kernel, order = name.split("_")
    kernel = {"tri": "triangular", "uni": "uniform", "epa": "epanechnikov"}[kernel]
    estimator = ck.RegressionDiscontinuity(vcov=vcov.upper(), kernel=kernel, order=int(order[1:]))
    found = ck.rdd.bandwidths(table("senate"), estimator=estimator, **SENATE).set_index("rule")
    for rule, wanted in DOCUMENT["rdbwselect"][name].items():
        np.testing.assert_allclose(found.loc[rule].to_numpy(float), wanted, rtol=1e-8, err_msg=rule)


def test_what_two_passes_say_is_what_one_pass_says():
    """Placebo cutoffs and balance reuse the sorted rows; rdrobust was run on the rows themselves."""
    senate = table("senate").dropna(subset=["vote", "margin", "demvoteshlag1"])
    result = ck.RegressionDiscontinuity().fit(senate, covariates=["demvoteshlag1"], **SENATE)
    balance = result.balance().iloc[0]
    alone = ck.RegressionDiscontinuity().fit(senate, outcome="demvoteshlag1", running="margin")
    np.testing.assert_allclose(balance[["estimate", "se"]].to_numpy(float), [alone.estimate, alone.se], rtol=1e-10)
