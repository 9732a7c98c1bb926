"""Callaway and Sant'Anna against R's did 2.5.1 and its port csdid 0.4.3, table by table."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

HERE = Path(__file__).parent
FOUND = json.loads((HERE / "callaway_santanna_csdid_0.4.3.json").read_text())["results"]
ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}
CONFIGURATION = ("method", "control_group", "base_period", "anticipation", "unbalanced")


@pytest.fixture(scope="module")
def panel():
    return pd.read_csv(HERE / "staggered_panel.csv").assign(w=lambda data: 1 + data["unit"] % 5)


def agrees(result, reference, tolerance):
    """Compare every cell that the reference could estimate, and all aggregates."""
    there = ~np.isnan(np.array(reference["se"], dtype=float))
    for ours, theirs in ((result.effects.values, "att"), (result.effects.se, "se")):
        np.testing.assert_allclose(ours, np.array(reference[theirs], dtype=float)[there], atol=tolerance, rtol=0)
    for kind in ("simple", "cohort", "event_time", "calendar"):
        average, told = result.aggregate(kind), reference[kind]
        assert average.estimate == pytest.approx(told["estimate"], abs=tolerance)
        assert average.se == pytest.approx(told["se"], abs=tolerance)
        if told["values"]:
            errors = np.array(told["errors"], dtype=float)
            real = ~np.isnan(errors) & (errors > 0)  # the universal base period is no estimate
            np.testing.assert_allclose(average.effects.values, np.array(told["values"])[real], atol=tolerance, rtol=0)
            np.testing.assert_allclose(average.effects.se, errors[real], atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", FOUND)
def test_a_simulated_panel_as_csdid_has_it(panel, name):
    reference = FOUND[name]
    case = reference["case"]
    data = panel[np.arange(len(panel)) % 11 != 3] if case.get("thinned") else panel
    data = data[data["cohort"] > 0] if case.get("treated_only") else data
    roles = {role: column for role, column in ROLES.items() if not (role == "unit" and case.get("repeated"))}
    estimator = ck.CallawaySantAnna(**{key: case[key] for key in CONFIGURATION if key in case})
    result = estimator.fit(
        data, **roles, **{role: case[role] for role in ("covariates", "weights", "cluster") if role in case}
    )
    by_logit = case.get("covariates") and case.get("method", "dr") != "reg"
    agrees(result, reference, 1e-9 if by_logit else 1e-12)  # csdid's propensity models stop early


FOLDER = os.environ.get("CAUSALKIT_REFERENCE_DATA")
needs_mpdta = pytest.mark.skipif(
    FOLDER is None or not (Path(FOLDER) / "mpdta.csv").exists(),
    reason="CAUSALKIT_REFERENCE_DATA does not name a folder with mpdta.csv and R_did_2.5.1.json, which may not be copied",
)
COUNTIES = {"outcome": "lemp", "unit": "countyreal", "time": "year", "cohort": "first.treat"}
KINDS = {"simple": "simple", "cohort": "group", "event_time": "dynamic", "calendar": "calendar"}


@pytest.fixture(scope="module")
def mpdta():
    data = pd.read_csv(Path(FOLDER) / "mpdta.csv")
    return data.assign(w=1 + data["countyreal"] % 5, state=data["countyreal"] // 1000)


@pytest.fixture(scope="module")
def golden():
    return json.loads((Path(FOLDER) / "R_did_2.5.1.json").read_text())


def as_ours(told):
    """Rename what R calls its aggregates."""
    nested = told.get(
        "agg", {KINDS[kind]: told[f"agg_{KINDS[kind]}"] for kind in KINDS if f"agg_{KINDS[kind]}" in told}
    )
    out = {"att": told["att"], "se": [np.nan if v in (None, "NA") else v for v in told["se"]]}
    for ours, theirs in KINDS.items():
        found = nested[theirs]
        errors = [np.nan if v in (None, "NA") else v for v in found.get("se_egt") or []]
        out[ours] = {
            "estimate": found["overall_att"], "se": found["overall_se"], "values": found.get("att_egt") or [],
            "errors": errors,
        }  # fmt: skip
    return out


@needs_mpdta
@pytest.mark.parametrize("base", ["varying", "universal"])
@pytest.mark.parametrize(
    ("control", "theirs"), [("never_treated", "nevertreated"), ("not_yet_treated", "notyettreated")]
)
@pytest.mark.parametrize("method", ["dr", "ipw", "reg"])
@pytest.mark.parametrize("covariates", [[], ["lpop"]])
def test_the_minimum_wage_tables(mpdta, golden, covariates, method, control, theirs, base):
    estimator = ck.CallawaySantAnna(method=method, control_group=control, base_period=base)
    told = golden[f"cov=~{'lpop' if covariates else '1'}|est={method}|cg={theirs}|base={base}"]
    result = estimator.fit(mpdta, covariates=covariates, **COUNTIES)
    agrees(result, as_ours(told), 1e-10)
    if told["W"] and np.isfinite(np.ravel(told["W"]).astype(float)).all():
        assert result.pre_trends().statistic == pytest.approx(float(np.ravel(told["W"])[0]), abs=1e-8)


SPECIAL = {
    "anticipation1|cov=~1|dr": ({"anticipation": 1}, {}),
    "anticipation1|nyt|cov=~lpop|dr": ({"anticipation": 1, "control_group": "not_yet_treated"}, {"covariates": "lpop"}),
    "weights_1+id%%5|cov=~1|dr": ({}, {"weights": "w"}),
    "weights_1+id%%5|cov=~lpop|dr": ({}, {"weights": "w", "covariates": "lpop"}),
    "cluster_state(id//1000)|cov=~1|dr": ({}, {"cluster": "state"}),
    "cluster_state(id//1000)|cov=~lpop|dr": ({}, {"cluster": "state", "covariates": "lpop"}),
    "no_never|nyt|cov=~1|dr": ({"control_group": "not_yet_treated"}, {}),
    "unbal_drop|cov=~1|dr": ({}, {}),
    "unbal_drop|cov=~lpop|dr": ({}, {"covariates": "lpop"}),
    "unbal_allow|cov=~1|dr": ({"unbalanced": "cells"}, {}),
    **{f"RC|cov=~1|{method}": ({"method": method}, {}) for method in ("dr", "ipw", "reg")},
    **{f"RC|cov=~lpop|{method}": ({"method": method}, {"covariates": "lpop"}) for method in ("ipw", "reg")},
    # R's own table was made with DRDID 1.2.3, whose error of this estimator lacks a sign that 1.3.0 mended
    "RC|cov=~lpop|dr|SE_from_python_consensus(DRDID>=1.3.0)": ({}, {"covariates": "lpop"}),
    "unbal_allow|cov=~lpop|dr|SE_from_python_consensus(DRDID>=1.3.0)": (
        {"unbalanced": "cells"},
        {"covariates": "lpop"},
    ),
}


@needs_mpdta
@pytest.mark.parametrize("name", SPECIAL)
def test_special_designs(mpdta, golden, name):
    configuration, roles = SPECIAL[name]
    if name.startswith("unbal"):
        mpdta = mpdta[np.arange(1, len(mpdta) + 1) % 13 != 0]
    if name.startswith("no_never"):
        mpdta = mpdta[mpdta["first.treat"] > 0]
    base = {role: column for role, column in COUNTIES.items() if not (role == "unit" and name.startswith("RC"))}
    result = ck.CallawaySantAnna(**configuration).fit(mpdta, **base, **roles)
    agrees(result, as_ours(golden[name]), 1e-10)


@needs_mpdta
def test_a_balanced_event_study(mpdta, golden):
    told = golden["dynamic_balance_e=1|cov=~1|dr"]
    average = ck.CallawaySantAnna().fit(mpdta, **COUNTIES).aggregate("event_time", balance=1)
    assert average.estimate == pytest.approx(told["overall_att"], abs=1e-12)
    assert average.se == pytest.approx(told["overall_se"], abs=1e-12)
    np.testing.assert_allclose(average.effects.values, told["att_egt"], atol=1e-12)


@needs_mpdta
def test_random_signs_of_our_influence_values_give_the_bands_of_r(mpdta, golden):
    """R's critical values are of 1e5 draws of Rademacher multipliers, in units of their interquartile range."""
    result = ck.CallawaySantAnna().fit(mpdta, **COUNTIES)
    rng = np.random.default_rng(0)
    for effects, name in (
        (result.effects, "crit_attgt_1e5|cov=~1"),
        (result.aggregate("event_time").effects, "crit_dynamic_1e5|cov=~1"),
    ):
        psi = effects.numbers.carrier.psi
        draws = np.concatenate([rng.choice([-1.0, 1.0], (2000, len(psi))) @ psi for _ in range(15)])
        spread = np.subtract(*np.quantile(draws, [0.75, 0.25], axis=0)) / 1.3489795003921634
        critical = np.quantile(np.abs(draws / spread).max(axis=1), 0.95)
        assert critical == pytest.approx(golden[name], abs=0.03)


@needs_mpdta
@pytest.mark.parametrize(("method", "theirs"), [("dr", "drdid"), ("reg", "reg"), ("ipw", "std_ipw")])
def test_two_groups_and_two_periods_as_drdid(mpdta, golden, method, theirs):
    told = golden["DRDID_2x2_2007"][theirs]
    data = mpdta[mpdta["year"].isin([2006, 2007]) & mpdta["first.treat"].isin([0, 2007])]
    result = ck.CallawaySantAnna(method=method).fit(data, covariates="lpop", **COUNTIES)
    assert result.estimate == pytest.approx(told["att"], abs=1e-10)
    assert result.se == pytest.approx(told["se"], abs=1e-10)
