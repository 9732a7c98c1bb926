"""Polarity as a table of cases: what is an arm, what is a dose, and which arm is the baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalkit.core.arms import bind_treatment
from causalkit.core.sample import Arms, Number
from causalkit.data.frame import Frame
from causalkit.errors import DataError, DesignError


def bind(values, allowed="either", control=None, level=None):
    return bind_treatment(Frame.read(pd.DataFrame({"t": values})), "t", allowed, control, level)


# (values, allowed, control, treatment_level) -> levels in the order of their codes
ARMS = [
    ([0, 1, 0], "arm", None, None, (0, 1)),
    ([1.0, 0.0, 1.0], "either", None, None, (0, 1)),
    ([True, False, True], "either", None, None, (False, True)),
    (np.array([1, 0, 1], dtype="int8"), "either", None, None, (0, 1)),
    (pd.array([True, None, False], dtype="boolean"), "either", None, None, (False, True)),
    (["b", "a", "b"], "either", "b", None, ("b", "a")),
    (["b", "a", "b"], "arm", "a", None, ("a", "b")),
    (pd.Categorical(["x", "y", "y"], categories=["never", "y", "x"]), "arm", "y", None, ("y", "x")),
    ([1, 2, 3], "arm", 2, None, (2, 1, 3)),
    ([1, 2, 3], "either", 2, 3, (2, 3, 1)),
    (["c", "a", "b"], "arm", "b", "c", ("b", "c", "a")),
    ([0, 1, 1], "arm", 1, None, (1, 0)),
    ([0, 1, 1], "arm", "1", None, (1, 0)),  # as a study file would say it
    ([0, 1, 1], "arm", True, None, (1, 0)),
    (["0", "1", "1"], "arm", "1", None, ("1", "0")),
    ([0.5, 1.5, 0.5], "either", 0.5, None, (0.5, 1.5)),
]

DOSES = [([0, 1, 2], "either"), ([0.5, 0.7, 1.0], "either"), ([0, 1, 0], "dose"), ([True, False, True], "dose")]

REFUSED = [
    (["a", "b"], "arm", None, None, r"levels 'a', 'b'.*control='a'"),
    (["a", "b"], "either", None, None, r"say which one is the baseline"),
    ([1, 2, 3], "arm", None, None, r"levels 1, 2, 3"),
    ([1, 2, 3], "either", None, 2, r"levels 1, 2, 3"),
    (["a", "b"], "dose", None, None, r"must be a number"),
    (["a", "a"], "arm", "a", None, r"one arm only \('a'\)"),
    ([1, 1], "arm", None, None, r"one arm only \(1\)"),
    ([None, None], "arm", None, None, r"nothing but missing values"),
    (["a", "b"], "arm", "c", None, r"control='c' is not a level.*'a', 'b'"),
    (["a", "b"], "arm", "a", "c", r"treatment_level='c' is not a level"),
    (["a", "b"], "arm", "a", "a", r"both 'a'"),
    (list(range(60)), "arm", None, None, r"60 different numbers"),
    (pd.to_datetime(["2020-01-01", "2020-01-02"]), "arm", None, None, r"holds dates"),
]


@pytest.mark.parametrize(("values", "allowed", "control", "level", "levels"), ARMS)
def test_arms(values, allowed, control, level, levels):
    column, gaps = bind(values, allowed, control, level)
    assert isinstance(column, Arms)
    assert column.levels == levels
    assert [type(one) for one in column.levels] == [type(one) for one in levels]
    plain = [
        None if value is pd.NA else value for value in (values.tolist() if hasattr(values, "tolist") else list(values))
    ]
    for code, value, gap in zip(column.codes, plain, gaps, strict=True):
        assert gap if value is None else levels[code] == value


@pytest.mark.parametrize(("values", "allowed"), DOSES)
def test_doses(values, allowed):
    column, _ = bind(values, allowed)
    assert isinstance(column, Number)
    np.testing.assert_array_equal(column.values, np.asarray(values, dtype=float))


@pytest.mark.parametrize(("values", "allowed", "control", "level", "message"), REFUSED)
def test_refused(values, allowed, control, level, message):
    with pytest.raises(DesignError, match=message) as caught:
        bind(values, allowed, control, level)
    assert caught.value.hint
    assert caught.value.column == "t"


def test_infinite_treatment():
    with pytest.raises(DataError, match=r"'t' has 1 infinite value \(first in row 2\)"):
        bind([0, 1, np.inf])


def test_an_array_may_be_the_treatment():
    frame = Frame.read(pd.DataFrame({"x": [1.0, 2.0, 3.0]}))
    column, _ = bind_treatment(frame, np.array(["b", "a", "b"]), "arm", "a", None)
    assert (column.levels, column.codes.tolist(), column.name) == (("a", "b"), [1, 0, 1], "treatment")
    with pytest.raises(DesignError, match=r"shape \(2,\), the table has 3 rows"):
        bind_treatment(frame, np.array([0, 1]), "arm", None, None)


def test_words():
    assert bind(["b", "a"], "arm", "a")[0].contrast() == "b minus a"
    assert bind([0, 1], "arm")[0].contrast() == "t=1 minus t=0"
    column, _ = bind(["c", "a", "b"], "arm", "b", "c")
    assert (column.control, column.treatment_level, column.count, column.contrast(2)) == ("b", "c", 3, "a minus b")
