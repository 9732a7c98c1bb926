"""Callaway and Sant'Anna on lazy tables: the numbers of the table in memory, without its rows."""

import pickle

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

import causalkit as ck
from causalkit.did import pushed_down_moments
from causalkit.did.pushed_down_event_study import PushedDownEventStudyResult
from causalkit.errors import DataError, DesignError

ROLES = {"outcome": "y", "unit": "unit", "time": "time", "cohort": "cohort"}
ENGINES = {"duckdb": lambda table: duckdb.from_df(table), "polars": lambda table: pl.from_pandas(table).lazy()}


@pytest.fixture(scope="module")
def table():
    """Levels and trends that dwarf the noise, always treated units, gaps, and several spellings of never."""
    rng = np.random.default_rng(0)
    n, periods = 300, 5
    start = rng.choice([0.0, 3.0, 4.0, 4.5, 2050.0, np.nan, np.inf, 1.0], n)
    unit, time = np.repeat(np.arange(n), periods), np.tile([1, 2, 3, 4, 6], n)
    y = 1e4 * unit + 1e4 * time + rng.normal(size=n * periods) + (time >= np.nan_to_num(start[unit], nan=99.0))
    data = pd.DataFrame({"unit": unit, "time": time, "cohort": start[unit], "y": y, "x": np.sin(unit)})
    data = data.sample(frac=1, random_state=1).iloc[2:].reset_index(drop=True)
    data.loc[5, "y"] = np.nan
    return data


def agree(a, b):
    assert a.effects.terms == b.effects.terms
    np.testing.assert_allclose(a.effects.values, b.effects.values, atol=1e-9)
    np.testing.assert_allclose(a.joint.vcov, b.joint.vcov, atol=1e-10)
    assert a.aggregate("calendar").se == pytest.approx(b.aggregate("calendar").se, abs=1e-10)
    assert (a.n, a.n_dropped) == (b.n, b.n_dropped)
    for name in ("missing", "cohorts", "pre_trends"):
        assert a.checks[name].message == b.checks[name].message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("at_a_time", [1_000_000, 70])
def test_sums_say_what_rows_say(table, engine, at_a_time, monkeypatch):
    monkeypatch.setattr(pushed_down_moments, "UNITS_AT_A_TIME", at_a_time)
    estimator = ck.CallawaySantAnna(control_group="not_yet_treated", base_period="universal")
    result = estimator.fit(ENGINES[engine](table), **ROLES)
    assert isinstance(result, PushedDownEventStudyResult)
    assert result.sample is None
    agree(result, estimator.fit(table, **ROLES))


def test_units_named_by_text_are_summed_in_passes(table, monkeypatch):
    monkeypatch.setattr(pushed_down_moments, "UNITS_AT_A_TIME", 70)
    named = table.assign(unit="u" + table["unit"].astype(str))
    result = ck.CallawaySantAnna().fit(duckdb.from_df(named), **ROLES)
    assert isinstance(result, PushedDownEventStudyResult)
    agree(result, ck.CallawaySantAnna().fit(named, **ROLES))


def test_what_needs_rows_is_collected_in_words(table):
    for roles, why in (({"covariates": ["x"]}, "covariates="), ({"weights": "cohort"}, "weights=")):
        data = table[np.isfinite(table["cohort"]) & (table["cohort"] > 1)]
        result = ck.CallawaySantAnna(control_group="not_yet_treated").fit(duckdb.from_df(data), **(ROLES | roles))
        assert why in result.checks["collected"].message
        assert result.sample is not None
    rows = {role: column for role, column in ROLES.items() if role != "unit"}
    assert "unit= was not named" in ck.CallawaySantAnna().fit(duckdb.from_df(table), **rows).checks["collected"].message
    cells = ck.CallawaySantAnna(unbalanced="cells").fit(duckdb.from_df(table), **ROLES)
    assert "not observed in every period" in cells.checks["collected"].message


def test_faults_are_refused_with_an_example(table):
    complete = table.dropna(subset=["y"])
    twice = pd.concat([complete, complete.iloc[[10]]])
    with pytest.raises(DataError, match="1 rows repeat a unit and period"):
        ck.CallawaySantAnna().fit(duckdb.from_df(twice), **ROLES)
    instead = complete.copy()
    gap = instead[instead["unit"] == 7].index
    instead.loc[gap[0], "time"] = instead.loc[gap[1], "time"]  # as many rows as periods, one of them twice
    with pytest.raises(DataError, match="1 rows repeat a unit and period"):
        ck.CallawaySantAnna().fit(duckdb.from_df(instead), **ROLES)
    varies = complete.assign(cohort=np.where(complete.index == 4, 6.0, complete["cohort"]))
    with pytest.raises(DataError, match="varies within 1 units"):
        ck.CallawaySantAnna().fit(duckdb.from_df(varies), **ROLES)
    with pytest.raises(DataError, match="infinite"):
        ck.CallawaySantAnna().fit(duckdb.from_df(complete.assign(y=np.inf)), **ROLES)
    with pytest.raises(DesignError, match="no unit is first treated"):
        ck.CallawaySantAnna().fit(duckdb.from_df(complete.assign(cohort=0)), **ROLES)
    with pytest.raises(DataError, match="not observed in every period"):
        ck.CallawaySantAnna(unbalanced="raise").fit(duckdb.from_df(table), **ROLES)
    with pytest.raises(DataError, match="1 missing values"):
        ck.CallawaySantAnna().fit(duckdb.from_df(table), missing="raise", **ROLES)


def test_the_table_is_asked_again_and_rows_are_collected_where_they_are_needed(table):
    lazy = ENGINES["polars"](table)
    result = ck.CallawaySantAnna().fit(lazy, **ROLES)
    assert result.refit().estimate == pytest.approx(result.estimate, abs=1e-9)  # threads add in any order
    clusters = np.arange(result.moments.sizes.sum())
    in_memory = ck.CallawaySantAnna().fit(table, **ROLES).with_vcov("CR1", clusters)
    assert result.with_vcov("CR1", clusters).se == pytest.approx(in_memory.se, rel=1e-9)
    read = pickle.loads(pickle.dumps(result))
    assert read.source is None
    assert read.se == result.se
