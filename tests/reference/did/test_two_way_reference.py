"""Two-way fixed effects, Sun and Abraham's regression and Goodman-Bacon's decomposition against R and diff-diff.

castle travels with causalkit; mpdta and base_stagg may not be redistributed, and are read from the folder that
CAUSALKIT_REFERENCE_DATA names. ``two_way.json`` says which package and call each number is from.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

NUMBERS = json.loads((Path(__file__).parent / "two_way.json").read_text())
KINDS = {
    "treated_vs_never": "treated vs never treated",
    "earlier_vs_later": "earlier vs later treated",
    "later_vs_earlier": "later vs earlier treated",
}
MPDTA = {"outcome": "lemp", "unit": "countyreal", "time": "year", "cohort": "first.treat"}
CASTLE = {"outcome": "l_homicide", "unit": "sid", "time": "year", "cohort": "start"}


def table(name):
    folder = os.environ.get("CAUSALKIT_REFERENCE_DATA")
    if not folder or not (Path(folder) / name).is_file():
        pytest.skip(f"{name} may not be redistributed; CAUSALKIT_REFERENCE_DATA does not name a folder with it")
    return pd.read_csv(Path(folder) / name)


def _compare_bacon(ours, theirs):
    found = {(part.kind, str(part.treated), str(part.control)): part for part in ours.comparisons}
    rows = theirs["rows"]
    assert len(found) == len(rows["estimate"])
    for kind, treated, control, estimate, weight in zip(
        *(rows[key] for key in ("comparison_type", "treated_group", "control_group", "estimate", "weight")), strict=True
    ):
        part = found[KINDS[kind], str(treated), "never" if control == "never_treated" else str(control)]
        assert part.estimate == pytest.approx(estimate, abs=1e-12)
        assert part.weight == pytest.approx(weight, abs=1e-12)
    assert ours.estimate == pytest.approx(theirs["twfe"], abs=1e-12)


def test_bacon_on_castle():
    # causaldata holds logarithms in single precision, which the reference widened.
    castle = ck.datasets.load("castle").astype({"l_homicide": "float32"})
    ours = ck.did.bacon_decomposition(castle, **CASTLE)
    _compare_bacon(ours, NUMBERS["bacon_castle"])
    assert ck.TWFE().fit(castle, **CASTLE).estimate == pytest.approx(ours.estimate, abs=1e-12)
    by_post = {key: value for key, value in CASTLE.items() if key != "cohort"} | {"treatment": "post"}
    assert ck.did.bacon_decomposition(castle, **by_post).estimate == pytest.approx(ours.estimate, abs=1e-12)


def test_weights_on_castle_are_those_of_a_regression_of_the_treatment():
    castle = ck.datasets.load("castle")
    ours = ck.did.twfe_weights(castle, unit="sid", time="year", cohort="start").to_frame()
    post = castle.pivot(index="sid", columns="year", values="post").to_numpy(float)
    left = post - post.mean(axis=0) - post.mean(axis=1, keepdims=True) + post.mean()  # exact: the panel is balanced
    start = castle.groupby("sid")["start"].first().to_numpy()
    years = np.sort(castle["year"].unique())
    for cohort, time, weight in ours.itertuples(index=False):
        at = np.ix_(start == cohort, years == time)
        assert weight == pytest.approx(left[at].sum() / left[post == 1].sum(), abs=1e-12)
    assert ours["weight"].sum() == pytest.approx(1.0, abs=1e-12)


def test_bacon_on_mpdta():
    _compare_bacon(ck.did.bacon_decomposition(table("mpdta.csv"), **MPDTA), NUMBERS["bacon_mpdta"])


@pytest.mark.parametrize(("vcov", "key"), [("iid", "iid"), ("HC1", "hetero"), ("auto", "cl_county")])
def test_two_way_fixed_effects_on_mpdta(vcov, key):
    ours, theirs = ck.TWFE(vcov=vcov).fit(table("mpdta.csv"), **MPDTA), NUMBERS["twfe"][key]
    assert ours.estimate == pytest.approx(theirs["est"], abs=1e-11)
    assert ours.se == pytest.approx(theirs["se"], abs=1e-11)


def test_the_dynamic_specification_on_mpdta():
    ours, theirs = ck.TWFE(dynamic=True).fit(table("mpdta.csv"), **MPDTA), NUMBERS["twfe_es"]
    np.testing.assert_allclose(ours.effects.values, theirs["est"], atol=1e-11)
    np.testing.assert_allclose(ours.effects.se, theirs["se"], atol=1e-11)


def test_sun_and_abraham_on_mpdta():
    result = ck.SunAbraham().fit(table("mpdta.csv"), **MPDTA)
    for ours, key in (
        (result.aggregate("event_time").effects, "sunab_es"),
        (result.aggregate("cohort").effects, "sunab_cohort"),
        (result.headline_effect, "sunab_att"),
    ):
        np.testing.assert_allclose(ours.values, np.atleast_1d(NUMBERS[key]["est"]), atol=1e-11)
        np.testing.assert_allclose(ours.se, np.atleast_1d(NUMBERS[key]["se"]), atol=1e-11)


def test_sun_and_abraham_on_base_stagg_with_a_covariate():
    result = ck.SunAbraham().fit(
        table("base_stagg.csv"), outcome="y", unit="id", time="year", cohort="year_treated", covariates=["x1"]
    )
    theirs = NUMBERS["base_stagg_sunab"]
    ours = result.aggregate("event_time").effects
    np.testing.assert_allclose(ours.values, theirs["est"][1:], atol=1e-10)
    np.testing.assert_allclose(ours.se, theirs["se"][1:], atol=1e-10)
    att = NUMBERS["base_stagg_att"]
    assert result.estimate == pytest.approx(att["est"][att["names"].index("ATT")], abs=1e-10)
    assert result.se == pytest.approx(att["se"][att["names"].index("ATT")], abs=1e-10)


def test_the_exact_wild_bootstrap_of_nine_states():
    data = table("mpdta.csv")
    data["state"] = data["countyreal"] // 1000
    theirs = NUMBERS["few_clusters"]
    result = ck.TWFE().fit(data[data["state"].isin(theirs["states"])], cluster="state", **MPDTA)
    found = ck.did.wild_cluster_bootstrap(result)
    assert found.bootstrap.exact
    assert found.bootstrap.n_draws == 512
    assert found.pvalue == theirs["wild_pvalue"]
    assert found.bootstrap.estimate == pytest.approx(theirs["estimate"], abs=1e-12)
    assert found.bootstrap.se == pytest.approx(theirs["cr1"], abs=1e-12)
    jackknife = result.estimator.replace(vcov="CR3").estimate(result.sample)
    # pyfixest multiplies the jackknife sum of squares by G/(G-1) and (n-1)/(n-k); ours by (G-1)/G, as clusterjack does.
    n, k, g = len(result.sample.outcome), 6, 9
    factor = (g / (g - 1)) ** 2 * (n - 1) / (n - k)
    assert jackknife.se * np.sqrt(factor) == pytest.approx(theirs["cr3"], abs=1e-12)


def test_a_placebo_start_on_mpdta_is_the_pre_period_effect_of_fixest():
    result = ck.SunAbraham().fit(table("mpdta.csv"), **MPDTA)
    found = ck.did.placebo_in_time(result, periods=1)
    # Measured from two periods before the start: minus the coefficient at -2, averaged over the same cohorts.
    at = NUMBERS["sunab_es"]["names"].index("year::-2")
    assert found.found[0].estimate == pytest.approx(-NUMBERS["sunab_es"]["est"][at], abs=1e-10)
    # The cohort of 2004 has no earlier base and is left out, which changes the small-sample factor only.
    assert found.found[0].se == pytest.approx(NUMBERS["sunab_es"]["se"][at], rel=1e-3)
