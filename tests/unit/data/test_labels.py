from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from causalkit.data.labels import in_order, plain_label


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.int8(3), 3),
        (3.0, 3),
        (np.float32(0.5), 0.5),
        (Decimal("2.50"), 2.5),
        (Decimal(2**70), 2**70),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (Colour.RED, "red"),
        (pd.NA, None),
        (pd.NaT, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), float("inf")),
        (np.datetime64("2020-01-02T03:04"), dt.datetime(2020, 1, 2, 3, 4)),
        (np.timedelta64(90, "s"), dt.timedelta(seconds=90)),
        (pd.Timestamp("2020-01-02"), dt.datetime(2020, 1, 2)),
        (dt.date(2020, 1, 2), dt.date(2020, 1, 2)),
    ],
)
def test_plain_label(value, plain):
    answer = plain_label(value)
    assert answer == plain
    assert type(answer) is type(plain)


def test_in_order_falls_back_to_text_where_values_do_not_compare():
    zoned = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    naive = dt.datetime(2019, 1, 1)
    codes, labels = in_order(np.array([0, 1, -1], dtype=np.int32), [zoned, naive])
    assert labels == (naive, zoned)
    assert codes.tolist() == [1, 0, -1]


def test_counted_labels_are_the_hashed_ones():
    from causalkit.data.frame import Frame

    rng = np.random.default_rng(0)
    for values in (
        rng.integers(-5, 40, 1000),
        rng.integers(0, 3, 50).astype(np.uint8),
        np.array([2**63 + 2, 2**63, 2**63 + 2], dtype=np.uint64),
        np.array([10**12 + 3, 10**12, 10**12 + 3]),
        np.array([0, 10**9]),
    ):
        codes, labels = Frame.read(pd.DataFrame({"g": values})).labels("g")
        distinct, inverse = np.unique(values, return_inverse=True)
        assert list(labels) == distinct.tolist()
        assert all(type(label) is int for label in labels)
        np.testing.assert_array_equal(codes, inverse)
