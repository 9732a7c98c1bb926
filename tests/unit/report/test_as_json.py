from __future__ import annotations

import datetime
import json

import numpy as np
import pytest

from causalkit.report import compose, to_json
from causalkit.report.as_json import plain


def strict(text):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def test_strict_json_in_a_stable_order(owners):
    text = to_json(compose(owners))
    data = strict(text)
    assert list(data) == ["title", "subtitle", "lead", "verdict", "metadata", "sections", "checks", "results"]
    assert data["results"][0] == {"title": "Effect of the coupon", "estimate": 2.05, "bad": [None, None], "n": 7}
    assert [check["status"] for check in data["checks"]] == ["fail", "warn", "untestable", "pass"]
    assert text == to_json(compose(owners))


@pytest.mark.parametrize("value", [0.1, 1 / 3, np.float64(2) ** 0.5, 5e-324, 1.7976931348623157e308, -0.0])
def test_numbers_keep_every_digit(value):
    assert json.loads(json.dumps(plain(value))) == value


def test_whatever_comes_becomes_json():
    value = {
        "a": np.array([[1.0, np.nan], [np.inf, -np.inf]]), 2: np.int32(3), "b": np.bool_(True), "t": (1, {3, 1, 2}),
        "d": datetime.date(2020, 1, 2), "m": np.datetime64("2020-01-02"), "o": str, "s": "\ud800\x00", "n": None,
    }  # fmt: skip
    assert strict(json.dumps(plain(value), allow_nan=False)) == {
        "a": [[1.0, None], [None, None]], "2": 3, "b": True, "t": [1, [1, 2, 3]], "d": "2020-01-02", "m": "2020-01-02",
        "o": "<class 'str'>", "s": "\ufffd\ufffd", "n": None,
    }  # fmt: skip


def test_hostile_text_is_data(hostile):
    data = strict(to_json(compose(hostile)))
    assert "<script>alert(1)</script>" in data["title"]
    assert data["checks"][0]["table"]["rows"][1][2] is None
    to_json(compose(hostile)).encode("utf-8")
