"""Every estimator of the family on a panel as they come: gaps, weights, uneven periods; each unit that is dropped is named."""

import time

import numpy as np
import pandas as pd
import pytest

import causalkit as ck

PERIODS = np.array([2003, 2004, 2006, 2007, 2010, 2011, 2012])
COHORT = {"cohort": "start"}
TREATED = {"treatment": "on"}
CASES = {
    "CallawaySantAnna": (ck.CallawaySantAnna(control_group="not_yet_treated"), COHORT),
    "CallawaySantAnna, covariates": (ck.CallawaySantAnna(), {**COHORT, "covariates": ["x"]}),
    "CallawaySantAnna, cells": (ck.CallawaySantAnna(unbalanced="cells"), COHORT),
    "CallawaySantAnna, anticipation": (ck.CallawaySantAnna(anticipation=1), COHORT),
    "TWFE": (ck.TWFE(), COHORT),
    "TWFE, dynamic": (ck.TWFE(dynamic=True), {"cohort": "wave"}),
    "SunAbraham": (ck.SunAbraham(), COHORT),
    "ExtendedTWFE": (ck.ExtendedTWFE(), COHORT),
    "ExtendedTWFE, never treated": (ck.ExtendedTWFE(control_group="never_treated"), COHORT),
    "ImputationDiD": (ck.ImputationDiD(), COHORT),
    "TwoStageDiD": (ck.TwoStageDiD(), TREATED),
    "StackedDiD": (ck.StackedDiD(pre_window=2, post_window=1), COHORT),
    "StackedDiD, never treated": (ck.StackedDiD(pre_window=2, post_window=1, control_group="never_treated"), COHORT),
    "LocalProjectionsDiD": (ck.LocalProjectionsDiD(), COHORT),
    "LocalProjectionsDiD, settling": (ck.LocalProjectionsDiD(stabilization=2), TREATED),
    "DCDH": (ck.DCDH(), TREATED),
    "DCDH, complete units": (ck.DCDH(unbalanced="drop"), TREATED),
    "TripleDifference": (ck.TripleDifference(), {**COHORT, "eligible": "eligible"}),
    "ContinuousDiD": (ck.ContinuousDiD(), {**COHORT, "treatment": "dose"}),
}


def hostile(n, seed=0):
    """Return a panel with seven in a hundred outcomes missing (half of them as rows), some units treated from the start."""
    rng = np.random.default_rng(seed)
    place = rng.choice([0, 2, 3, 4, 5, 7, 7, 7], n)  # of the first treated period; 7: never
    place[:3], place[3:6] = 0, 1
    start = np.append(PERIODS, 0)[place]
    width = len(PERIODS)
    unit, at = np.repeat(np.arange(n), width), np.tile(np.arange(width), n)
    on = (at >= place[unit]) & (place[unit] < width)
    x, eligible = rng.normal(size=n), rng.integers(0, 2, n)
    y = (
        rng.normal(size=n)[unit]
        + 0.2 * at
        + 0.1 * at * x[unit]
        + 0.5 * on * (1 + eligible[unit])
        + rng.normal(size=unit.size)
    )
    table = pd.DataFrame({"unit": unit, "year": PERIODS[at], "start": start[unit], "on": on.astype(int), "y": y})
    table["wave"] = np.where(place < width, place + 1, 0)[unit]
    table["time"] = at + 1
    table["w"], table["x"] = rng.uniform(0.5, 2.0, n)[unit], x[unit]
    table["eligible"], table["dose"] = eligible[unit], np.where(place < width, rng.uniform(0.5, 2.0, n), 0.0)[unit]
    lost = rng.random(len(table)) < 0.035
    table.loc[rng.random(len(table)) < 0.035, "y"] = np.nan
    table["unit"] = "u" + table["unit"].astype(str).str.zfill(5)
    return table[~lost].sample(frac=1.0, random_state=seed)


def fit(name, data):
    estimator, more = CASES[name]
    when = "time" if name == "TWFE, dynamic" else "year"
    return estimator.fit(data, outcome="y", unit="unit", time=when, weights="w", **more)


def examine(name, data):
    result = fit(name, data)
    assert np.isfinite([result.estimate, result.se]).all()
    assert result.se > 0
    used = {result.sample.groups("unit").labels[code] for code in np.unique(result.sample.groups("unit").codes)}
    ledger = result.checks["missing"]
    named = dict(ledger.table.rows) if "unit" in ledger.table.columns else {}
    idle = {unit for unit, reason in named.items() if reason == "in no comparison"}  # their rows stay, for a refit
    assert idle <= used
    assert set(data["unit"]) - (used - idle) == set(named), name
    assert all(isinstance(reason, str) and reason for reason in named.values())
    assert result.n + result.n_dropped == len(data)
    assert f"{result.n_dropped:,} of {len(data):,} rows" in ledger.message
    return result


@pytest.fixture(scope="module")
def panel():
    return hostile(240)


@pytest.mark.parametrize("name", list(CASES))
def test_every_estimator_names_the_units_that_it_drops(panel, name):
    examine(name, panel)


@pytest.mark.long
@pytest.mark.parametrize("name", list(CASES))
def test_three_thousand_units_take_less_than_a_minute(name):
    data = hostile(3_000, seed=1)
    begun = time.process_time()
    result = examine(name, data)
    assert time.process_time() - begun < 60.0
    assert 0.2 < result.estimate < 1.1  # .5, or twice that for the eligible


@pytest.mark.parametrize("name", ["StackedDiD, never treated", "LocalProjectionsDiD", "DCDH"])
def test_units_in_no_comparison_do_not_count_as_used(panel, name):
    result = examine(name, panel)
    idle = [unit for unit, reason in result.checks["missing"].table.rows if reason == "in no comparison"]
    assert idle
    assert "in no comparison" in result.checks["missing"].message
    again = fit(name, panel[~panel["unit"].isin(idle)])
    assert again.estimate == pytest.approx(result.estimate, abs=1e-13)
    assert again.se == pytest.approx(result.se, abs=1e-13)
    np.testing.assert_allclose(again.effects.vcov, result.effects.vcov, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["SunAbraham", "ExtendedTWFE", "ImputationDiD"])
def test_without_never_treated_units_the_dropped_are_named_too(panel, name):
    examine(name, panel[panel["start"] > 0])
