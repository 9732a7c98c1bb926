"""Panels: codes in order of time, a matrix view, and the two defects that break every panel estimator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalkit.core.design import Design
from causalkit.core.panel import Panel
from causalkit.core.roles import Role
from causalkit.errors import DataError, DesignError

ROLES = {role: Role("label", required=False) for role in ("unit", "time", "cohort")} | {"outcome": Role("number")}


def panel(rows, **given):
    table = pd.DataFrame(rows, columns=["id", "year", "y", "g"])
    return Panel.of(Design(ROLES).bind(table, {"unit": "id", "time": "year", "outcome": "y", **given}))


ROWS = [("b", 2003, 1.0, 5), ("a", 2001, 2.0, 7), ("b", 2001, 3.0, 5), ("a", 2003, 4.0, 7), ("c", 2001, 5.0, 7)]


def test_structure():
    found = panel(ROWS, cohort="g")
    assert (found.n_units, found.n_periods, found.is_balanced) == (3, 2, False)
    assert found.time.labels == (2001, 2003)
    np.testing.assert_array_equal(found.wide(found.sample.outcome), [[2.0, 4.0], [3.0, 1.0], [5.0, np.nan]])
    cohort = found.sample.groups("cohort")
    assert [cohort.labels[code] for code in found.constant("cohort")] == [7, 5, 7]
    assert panel(ROWS[:4]).is_balanced


def test_labels_of_dropped_rows_leave_no_gap():
    found = panel([*ROWS, ("z", 1999, np.nan, 1)])
    assert (found.n_units, found.n_periods, found.time.labels) == (3, 2, (2001, 2003))
    part = Panel.of(found.sample.take(np.array([0, 2])))
    assert (part.n_units, part.unit.labels) == (1, ("b",))


def test_repeated_unit_and_period():
    with pytest.raises(
        DataError, match=r"1 rows repeat a unit and period, first id='a', year=2003 \(row 5\)"
    ) as caught:
        panel([*ROWS, ("a", 2003, 9.0, 7)])
    assert caught.value.rows == (5,)


def test_a_cohort_that_varies_within_a_unit():
    rows = [*ROWS[:3], ("a", 2003, 4.0, 8), ROWS[4]]
    with pytest.raises(DataError, match=r"cohort 'g' varies within 1 units, first within id='a' \(row [13]\)"):
        panel(rows, cohort="g").constant("cohort")


@pytest.mark.parametrize(
    ("given", "message"), [({"unit": None}, "needs unit= and time="), ({"time": None}, "needs unit= and time=")]
)
def test_roles_are_needed(given, message):
    with pytest.raises(DesignError, match=message):
        panel(ROWS, **given)


def test_one_period_is_no_panel():
    with pytest.raises(DesignError, match=r"one period only \(2001\)"):
        panel([row for row in ROWS if row[1] == 2001])


def test_a_role_that_was_not_given():
    with pytest.raises(DesignError, match="cohort= is missing"):
        panel(ROWS).constant("cohort")


def test_duplicates_are_found_where_the_grid_is_much_larger_than_the_table():
    rows = [(f"u{j:03d}", 1000 + j, 0.0, 5) for j in range(200)]
    assert panel(rows).n_periods == 200
    with pytest.raises(DataError, match=r"1 rows repeat a unit and period, first id='u007', year=1007 \(row 200\)"):
        panel([*rows, rows[7]])


def test_the_matrix_view_does_not_depend_on_the_order_of_many_rows():
    unit, time = np.divmod(np.arange(90_000), 3)
    order = np.random.default_rng(0).permutation(len(unit))
    y = np.arange(90_000.0)
    rows = pd.DataFrame({"id": unit, "year": time, "y": y, "g": 5})
    np.testing.assert_array_equal(panel(rows.iloc[order]).wide(y[order]), y.reshape(-1, 3))
