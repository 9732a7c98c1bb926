"""Who is first treated when, and what is refused or left out."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.core.design import Design
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.errors import DataError, DesignError


def table(periods=(2003, 2004, 2006, 2007), cohorts=(2004, 2006, 0, 0, 2003)):
    rng = np.random.default_rng(0)
    rows = [(f"u{i}", t, g) for i, g in enumerate(cohorts) for t in periods]
    data = pd.DataFrame(rows, columns=["who", "year", "first"])
    data["y"] = rng.normal(size=len(data))
    data["on"] = ((data["first"] > 0) & (data["year"] >= data["first"])).astype(int)
    return data


def read(data, cohort="first", policy="drop", **changes):
    roles = {"outcome": "y", "unit": "who", "time": "year", "cohort": cohort} | changes
    return Cohorts.of(Design(ROLES).bind(data, roles), unbalanced=policy)


def test_cohorts_are_positions_of_periods():
    found = read(table())
    assert found.labels == (2004, 2006)
    np.testing.assert_array_equal(found.starts, [1, 2])
    np.testing.assert_array_equal(found.sizes, [1, 1, 2])
    np.testing.assert_array_equal(found.event_times, [[-1, 0, 2, 3], [-3, -2, 0, 1]])
    assert found.left_out[0].units == ("u4",)
    assert "treated from the first period" in found.left_out[0].reason
    assert found.dropped.total == 4
    assert "u4" in str(found.checks()["missing"].table)


@pytest.mark.parametrize("never", [0, np.nan, np.inf, -np.inf, None, 2050, 10000])
def test_never_has_many_spellings(never):
    data = table()
    data["first"] = data["first"].astype(object).where(data["first"] != 0, never)
    if never is not None:
        data["first"] = data["first"].astype(float)
    found = read(data)
    np.testing.assert_array_equal(found.start, read(table()).start)
    assert ("after the last period" in " ".join(found.notes)) == (never in (2050, 10000))


@pytest.mark.parametrize("kind", ["dates", "strings", "thousands"])
def test_times_of_any_kind_give_the_same_cohorts(kind):
    data, change = (
        table(),
        {
            "dates": lambda year: pd.Timestamp(int(year), 1, 1),
            "strings": lambda year: f"{int(year)}Q1",
            "thousands": lambda year: int(year) * 1000,
        },
    )
    data["year"] = data["year"].map(change[kind])
    data["first"] = data["first"].map(lambda year: None if year == 0 else change[kind](year))
    found = read(data)
    np.testing.assert_array_equal(found.start, read(table()).start)


def test_a_treatment_column_gives_the_same_cohorts():
    data = table()
    found = read(data, cohort=None, treatment="on")
    np.testing.assert_array_equal(found.start, read(data).start)
    assert found.labels == (2004, 2006)


def test_a_cohort_between_two_periods_starts_at_the_next():
    data = table(cohorts=(2005, 2006, 0))
    found = read(data)
    np.testing.assert_array_equal(found.start, [2, 2, 4])
    assert found.labels == (2005,)


def test_treatment_taken_away_is_refused():
    data = table()
    data.loc[data["year"] == 2007, "on"] = 0
    with pytest.raises(DataError, match="taken away again in 3 units, first in who='u0'") as error:
        read(data, cohort=None, treatment="on")
    assert "DCDH" in error.value.hint


def test_a_cohort_that_varies_names_the_unit():
    data = table()
    data.loc[5, "first"] = 2007
    with pytest.raises(DataError, match="varies within 1 units, first within who='u1'"):
        read(data)


def test_incomplete_units_follow_the_policy():
    data = table().drop(index=[8])
    dropped = read(data)
    assert {gone.reason for gone in dropped.left_out} == {
        "treated from the first period on",
        "not observed in every period",
    }
    assert read(data, policy="cells").n_units == 4
    with pytest.raises(DataError, match="1 units are not observed in every period, first who='u2'"):
        read(data, policy="raise")


def test_cohorts_and_times_must_be_comparable():
    data = table()
    data["first"] = data["first"].map(lambda year: "never" if year == 0 else f"y{year}")
    with pytest.raises(DesignError, match="can't be compared"):
        read(data)


def test_neither_or_both_of_cohort_and_treatment():
    with pytest.raises(DesignError, match="one of them"):
        read(table(), cohort=None)
    with pytest.raises(DesignError, match="one of them"):
        read(table(), treatment="on")


def test_nobody_to_compare_with():
    with pytest.raises(DesignError, match="no one to compare"):
        read(table(cohorts=(2004, 2004)))
    with pytest.raises(DesignError, match="no unit is first treated"):
        read(table(cohorts=(0, 0)))


def test_clusters_hold_whole_units():
    data = table()
    data["state"] = np.arange(len(data)) % 3
    with pytest.raises(DataError, match="varies within"):
        _ = read(data, cluster="state").clusters


def test_a_cohort_of_zero_is_ambiguous_where_time_starts_at_zero():
    data = table(periods=(0, 1, 2, 3), cohorts=(1, 2, 0, 0))
    with pytest.raises(DesignError, match="treated from the start, or never treated"):
        read(data)
    data["first"] = data["first"].astype(float).where(data["first"] > 0)
    assert read(data).labels == (1, 2)


def test_one_cluster_is_refused():
    with pytest.raises(DesignError, match="one cluster only"):
        _ = read(table().assign(state="x"), cluster="state").clusters


@pytest.mark.parametrize("anticipation", [0, 1])
def test_the_reference_is_in_units_of_time(anticipation):
    rng = np.random.default_rng(3)
    unit, time = np.repeat(np.arange(30), 6), np.tile(np.arange(6), 30)
    data = pd.DataFrame({"who": unit, "year": 2 * time + 2, "first": np.array([0, 8, 10])[unit % 3]})
    data["y"] = rng.normal(size=180)
    roles = {"outcome": "y", "unit": "who", "time": "year", "cohort": "first"}
    expected = -2.0 * (1 + anticipation)
    for estimator in (
        ck.CallawaySantAnna(base_period="universal", anticipation=anticipation),
        ck.SunAbraham(anticipation=anticipation),
        ck.TwoStageDiD(anticipation=anticipation),
        ck.ExtendedTWFE(control_group="never_treated", anticipation=anticipation),
    ):
        result = estimator.fit(data, **roles)
        assert result.reference == result.aggregate("event_time").reference == expected
        assert expected not in result.cells.event_time


@pytest.mark.parametrize("kind", [ck.SunAbraham, ck.ExtendedTWFE])
def test_periods_without_controls_are_accounted_for(kind):
    rng = np.random.default_rng(5)
    unit, time = np.repeat(np.arange(30), 6), np.tile(np.arange(6), 30)
    data = pd.DataFrame({"who": unit, "year": time, "first": np.array([2, 3, 5])[unit % 3], "y": rng.normal(size=180)})
    data.loc[7, "y"] = np.nan
    result = kind(anticipation=1).fit(data, outcome="y", unit="who", time="year", cohort="first")
    assert result.n + result.n_dropped == 180
    assert result.dropped.reasons[-1][1:] == ("year", 60, 4)
    assert "everybody is treated" in str(result.dropped.to_table())
    assert result.sample.dropped == result.dropped
