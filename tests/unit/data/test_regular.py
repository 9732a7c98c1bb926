from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest

from causalkit.core.design import Design
from causalkit.core.panel import Panel
from causalkit.core.roles import Role
from causalkit.core.rows import Groups, RowLabels, Rows
from causalkit.data.frame import Frame

ROLES = {"outcome": Role("number"), "unit": Role("label"), "time": Role("label"), "cohort": Role("cohort")}


def plain(values):
    """Read labels by numpy alone."""
    labels, codes = np.unique(values, return_inverse=True)
    return codes.tolist(), tuple(labels.tolist())


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([7, 9, 1000], 4),
        np.repeat([9, 7, 9, 1000], 4),  # runs that come back, and do not ascend
        np.repeat([5, 5, 5, 8, 8, 8], 4),
        np.tile([2001, 2003, 2004], 5),
        np.tile([3, 1, 2], 5),
        np.repeat(np.arange(3000, dtype=np.int32), 2),
        np.repeat(np.array([1, 2, 2**62]), 3),
    ],
)
def test_a_rule_gives_the_codes_and_labels_of_the_column(values):
    layout = Frame.read(pd.DataFrame({"x": values})).regular("x")
    assert layout is not None
    codes, labels = plain(values)
    assert layout.written().tolist() == codes
    assert layout.labels == labels
    assert all(type(label) is int for label in layout.labels)
    assert layout.n == len(values)
    assert layout.size == len(labels)


@pytest.mark.parametrize(
    "values",
    [
        [1, 1, 2, 2, 3],  # a last run that is shorter
        [1, 2, 3, 1, 2],
        [1, 1, 1, 1],
        [1, 2, 3, 4],
        [*np.repeat(np.arange(1024), 2), 5, 6],  # the rule breaks after the rows that are looked at first
        [*np.tile([1, 2], 1024), 2, 1],
        [1.0, 1.0, 2.0, 2.0],
        ["a", "a", "b", "b"],
        [True, True, False, False],
    ],
)
def test_what_follows_no_rule_is_read_as_ever(values):
    frame = Frame.read(pd.DataFrame({"x": values}))
    assert frame.regular("x") is None
    codes, labels = frame.labels("x")
    assert [labels[code] for code in codes] == list(values)


def test_labels_do_not_follow_a_table_that_changes_afterwards():
    table = pd.DataFrame({"x": np.repeat([3, 5, 8], 2)})
    layout = Frame.read(table).regular("x")
    table.loc[:, "x"] = 1
    assert layout.labels == (3, 5, 8)


def sample_of(table):
    return Design(ROLES).bind(table, {"outcome": "y", "unit": "i", "time": "t", "cohort": "g"})


def test_a_sorted_panel_and_a_shuffled_one_say_the_same():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"i": np.repeat(np.arange(40) * 3, 5), "t": np.tile(np.arange(1, 6), 40)})
    table["g"], table["y"] = np.repeat(rng.choice([0, 3, 4], 40), 5), rng.standard_normal(200)
    order = rng.permutation(200)
    ordered, shuffled = sample_of(table), sample_of(table.iloc[order])
    assert ordered.groups("unit").layout is not None
    assert shuffled.groups("unit").layout is None
    for role in ("unit", "time", "cohort"):
        one, other = ordered.groups(role), shuffled.groups(role)
        assert one.labels == other.labels
        assert one.codes[order].tolist() == other.codes.tolist()
        assert (one.size, one.count) == (other.size, other.count)
    first, second = Panel.of(ordered), Panel.of(shuffled)
    assert first.is_sorted
    assert not second.is_sorted
    assert first.constant("cohort").tolist() == second.constant("cohort").tolist()
    assert ordered.rows.positions.tolist() == list(range(200))
    assert ordered.rows.labels.tolist() == table["i"].tolist()


def test_a_late_repeat_of_a_period_is_no_sorted_panel():
    table = pd.DataFrame({"i": np.repeat([1, 2], 3), "t": np.tile([1, 3, 2], 2), "g": 2, "y": np.arange(6.0)})
    panel = Panel.of(sample_of(table))
    assert not panel.is_sorted
    assert panel.wide(panel.sample.outcome).tolist() == [[0, 2, 1], [3, 5, 4]]


def test_regular_groups_and_rows_are_like_others_when_changed_or_pickled():
    layout = Frame.read(pd.DataFrame({"x": np.repeat([3, 5, 8], 2)})).regular("x")
    groups = Groups.regular(layout, "x")
    assert groups.each_once().codes.tolist() == [0, 1, 2]
    assert groups.each_once().labels == (3, 5, 8)
    changed = dataclasses.replace(groups, codes=np.array([2, 0], dtype=np.int32))
    assert changed.layout is None
    assert changed.codes.tolist() == [2, 0]
    assert changed.labels == (3, 5, 8)
    kept = pickle.loads(pickle.dumps(groups))
    assert kept.codes.tolist() == [0, 0, 1, 1, 2, 2]
    rows = Rows.every(6, "token", RowLabels.of(groups))
    assert len(rows) == 6
    assert rows.labels[4] == 8
    assert dataclasses.replace(rows, token="other").positions.tolist() == list(range(6))
    assert pickle.loads(pickle.dumps(rows)).positions.tolist() == list(range(6))


def test_a_pandas_table_with_another_token_reads_the_same():
    frame = dataclasses.replace(Frame.read(pd.DataFrame({"x": [1.5, 2.5], "s": ["a", "b"]})), token="other")
    assert frame.token == "other"
    assert frame.columns == ("x", "s")
    assert frame.numeric("x").tolist() == [1.5, 2.5]
    assert frame.labels("s")[1] == ("a", "b")
    assert frame.select(["s"]).columns == ("s",)
