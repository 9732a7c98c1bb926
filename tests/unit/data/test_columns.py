from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalkit.data.frame import Frame
from causalkit.errors import DataError

pl = pytest.importorskip("polars", reason="polars is an optional engine")
pa = pytest.importorskip("pyarrow", reason="pyarrow is an optional engine")

NAN = float("nan")


def arrow_backed(values, kind):
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))


WHOLE = {
    "int64": pd.Series([3, 1, 3]),
    "int8": pd.Series([3, 1, 3], dtype="int8"),
    "uint64": pd.Series([3, 1, 3], dtype="uint64"),
    "float16": pd.Series([3, 1, 3], dtype="float16"),
    "float32": pd.Series([3, 1, 3], dtype="float32"),
    "float64": pd.Series([3.0, 1.0, 3.0]),
    "nullable": pd.Series([3, 1, 3], dtype="Int16"),
    "nullable float": pd.Series([3, 1, 3], dtype="Float32"),
    "arrow": arrow_backed([3, 1, 3], pa.int32()),
    "arrow decimal": arrow_backed([Decimal("3.00"), Decimal(1), Decimal(3)], pa.decimal128(5, 2)),
    "object": pd.Series([3, 1.0, Decimal(3)], dtype=object),
    "sparse": pd.Series(pd.arrays.SparseArray([3.0, 1.0, 3.0])),
    "polars": pl.Series([3, 1, 3], dtype=pl.Int8),
    "polars float": pl.Series([3, 1, 3], dtype=pl.Float32),
    "polars decimal": pl.Series([Decimal(3), Decimal("1.0"), Decimal(3)]),
    "pyarrow": pa.array([3, 1, 3], pa.int8()),
    "pyarrow decimal": pa.array([Decimal(3), Decimal(1), Decimal(3)], pa.decimal128(9, 3)),
}

GAPS = {
    "float64": pd.Series([2.5, np.nan, 1.0]),
    "nullable": pd.Series([2.5, pd.NA, 1.0], dtype="Float64"),
    "arrow": arrow_backed([2.5, None, 1.0], pa.float32()),
    "object None": pd.Series([2.5, None, 1], dtype=object),
    "object NA": pd.Series([2.5, pd.NA, 1], dtype=object),
    "object NaT": pd.Series([2.5, pd.NaT, 1], dtype=object),
    "object decimal": pd.Series([Decimal("2.5"), None, Decimal(1)], dtype=object),
    "polars null": pl.Series([2.5, None, 1.0]),
    "polars nan": pl.Series([2.5, NAN, 1.0]),
    "pyarrow null": pa.array([2.5, None, 1.0]),
    "pyarrow nan": pa.array([2.5, NAN, 1.0]),
}

TEXT = {
    "str": pd.Series(["b", None, "a"]),
    "object": pd.Series(["b", np.nan, "a"], dtype=object),
    "category": pd.Series(pd.Categorical(["b", None, "a"], categories=["b", "a", "unused"])),
    "arrow": arrow_backed(["b", None, "a"], pa.string()),
    "arrow dictionary": arrow_backed(["b", None, "a"], pa.dictionary(pa.int8(), pa.string())),
    "polars": pl.Series(["b", None, "a"]),
    "polars category": pl.Series(["b", None, "a"], dtype=pl.Categorical),
    "polars enum": pl.Series(["b", None, "a"], dtype=pl.Enum(["b", "a"])),
    "pyarrow": pa.array(["b", None, "a"]),
    "pyarrow large": pa.array(["b", None, "a"], pa.large_string()),
    "pyarrow dictionary": pa.array(["b", None, "a"]).dictionary_encode().cast(pa.dictionary(pa.uint32(), pa.string())),
}

TRUTH = {
    "bool with None": pd.Series([True, None, False], dtype=object),
    "nullable": pd.Series([True, None, False], dtype="boolean"),
    "arrow": arrow_backed([True, None, False], pa.bool_()),
    "polars": pl.Series([True, None, False]),
    "pyarrow": pa.array([True, None, False]),
}

DAY = dt.date(2020, 1, 2)
LATER = dt.date(2021, 3, 4)
DAYS = {
    "datetime64[ns]": pd.Series(pd.to_datetime([LATER, None, DAY])).astype("datetime64[ns]"),
    "datetime64[s]": pd.Series(pd.to_datetime([LATER, None, DAY])).astype("datetime64[s]"),
    "object": pd.Series([LATER, None, DAY], dtype=object),
    "arrow": arrow_backed([LATER, None, DAY], pa.date32()),
    "polars date": pl.Series([LATER, None, DAY]),
    "polars datetime": pl.Series([LATER, None, DAY]).cast(pl.Datetime),
    "pyarrow": pa.array([LATER, None, DAY]),
}


def frame_of(column):
    if isinstance(column, pl.Series):
        return Frame.read(pl.DataFrame({"c": column}))
    return Frame.read(pa.table({"c": column}) if isinstance(column, pa.Array) else pd.DataFrame({"c": column}))


def typed(labels):
    return [(type(label), label) for label in labels]


def columns(table):
    return pytest.mark.parametrize("column", table.values(), ids=table.keys())


@columns(WHOLE)
def test_whole_numbers_of_any_type(column):
    frame = frame_of(column)
    numbers = frame.numeric("c")
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [3.0, 1.0, 3.0]
    codes, labels = frame.labels("c")
    assert codes.dtype == np.int32
    assert codes.tolist() == [1, 0, 1]
    assert typed(labels) == [(int, 1), (int, 3)]
    assert frame.is_numeric("c")
    assert not any(ask("c") for ask in (frame.is_text, frame.is_boolean, frame.is_temporal))


@columns(GAPS)
def test_missing_numbers_of_any_kind(column):
    frame = frame_of(column)
    np.testing.assert_array_equal(frame.numeric("c"), [2.5, NAN, 1.0])
    codes, labels = frame.labels("c")
    assert codes.tolist() == [1, -1, 0]
    assert typed(labels) == [(int, 1), (float, 2.5)]
    assert frame.missing("c").tolist() == [False, True, False]


@columns(TEXT)
def test_text_of_any_kind(column):
    frame = frame_of(column)
    codes, labels = frame.labels("c")
    assert codes.tolist() == [1, -1, 0]
    assert typed(labels) == [(str, "a"), (str, "b")]
    assert frame.is_text("c")
    assert not frame.is_numeric("c")
    assert frame.missing("c").tolist() == [False, True, False]
    with pytest.raises(DataError, match=r"must be numeric.*row 0 holds 'b'.*category") as caught:
        frame.numeric("c")
    assert caught.value.column == "c"
    assert caught.value.rows == (0,)


@columns(TRUTH)
def test_booleans_of_any_kind(column):
    frame = frame_of(column)
    np.testing.assert_array_equal(frame.numeric("c"), [1.0, NAN, 0.0])
    codes, labels = frame.labels("c")
    assert codes.tolist() == [1, -1, 0]
    assert typed(labels) == [(bool, False), (bool, True)]
    assert frame.is_boolean("c")
    assert frame.is_numeric("c")
    assert frame.missing("c").tolist() == [False, True, False]


@columns(DAYS)
def test_days_of_any_kind(column):
    frame = frame_of(column)
    codes, labels = frame.labels("c")
    assert codes.tolist() == [1, -1, 0]
    assert typed(labels) == [(dt.date, DAY), (dt.date, LATER)]
    assert frame.is_temporal("c")
    with pytest.raises(DataError, match="days since"):
        frame.numeric("c")


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([None, None], dtype=object),
        pl.Series([None, None]),
        pa.nulls(2),
        arrow_backed([None, None], pa.null()),
    ],
)
def test_only_missing_values(column):
    frame = frame_of(column)
    assert np.isnan(frame.numeric("c")).all()
    codes, labels = frame.labels("c")
    assert codes.tolist() == [-1, -1]
    assert labels == ()
    assert frame.missing("c").all()


def test_object_columns_are_judged_by_all_their_values():
    column = pd.Series(["a"] * 500 + [1], dtype=object)
    frame = Frame.read({"c": column})
    assert not frame.is_text("c")
    assert frame.labels("c")[1] == (1, "a")
    assert Frame.read({"c": pd.Series([None] * 500 + [1], dtype=object)}).is_numeric("c")


def test_digits_in_text_are_not_numbers():
    with pytest.raises(DataError, match="Convert it to a number first"):
        Frame.read({"c": ["1", "2"]}).numeric("c")


def test_first_row_in_the_error_skips_missing_values():
    with pytest.raises(DataError, match="row 2 holds 'x'") as caught:
        Frame.read({"c": [None, None, "x"]}).numeric("c")
    assert caught.value.rows == (2,)


@pytest.mark.parametrize("make", [lambda v: pd.Series(v, dtype="Int64"), pl.Series, pa.array])
def test_large_integers_keep_their_digits_as_labels(make):
    big = 2**60 + 1
    frame = frame_of(make([big, None, big - 1]))
    codes, labels = frame.labels("c")
    assert labels == (big - 1, big)
    assert codes.tolist() == [1, -1, 0]
    assert frame.numeric("c")[0] == float(big)


def test_infinity_and_huge_floats_as_labels():
    codes, labels = Frame.read({"c": [np.inf, 1e300, -0.0, 0.0, 0.5]}).labels("c")
    assert codes.tolist() == [3, 2, 0, 0, 1]
    assert typed(labels) == [(int, 0), (float, 0.5), (int, int(1e300)), (float, np.inf)]


def test_categories_of_numbers_are_numbers_as_labels():
    frame = Frame.read({"c": pd.Categorical([10, 9, 10], categories=[10, 9])})
    assert frame.labels("c")[1] == (9, 10)
    assert frame.is_text("c")


def test_mixed_types_sort_by_type_name_then_text():
    codes, labels = Frame.read({"c": pd.Series(["b", 2, "a", 10], dtype=object)}).labels("c")
    assert labels == (10, 2, "a", "b")
    assert codes.tolist() == [3, 1, 2, 0]


@pytest.mark.parametrize("values", [[True, 2, 1], [1, 2, True]])
def test_booleans_among_numbers_are_numbers(values):
    codes, labels = Frame.read({"c": pd.Series(values, dtype=object)}).labels("c")
    assert typed(labels) == [(int, 1), (int, 2)]
    assert codes.tolist() == [0, 1, 0]


def test_lists_can_not_be_labels():
    with pytest.raises(DataError, match="can't be told apart") as caught:
        Frame.read({"c": [[1], [2]]}).labels("c")
    assert caught.value.column == "c"


def test_complex_numbers_are_refused():
    with pytest.raises(DataError, match="must be numeric"):
        Frame.read({"c": [1 + 1j, 2]}).numeric("c")


def test_times_of_day_keep_the_datetime():
    stamps = pd.to_datetime(["2020-01-01 10:00", "2020-01-01 00:00"])
    assert typed(Frame.read({"c": stamps}).labels("c")[1]) == [
        (dt.datetime, dt.datetime(2020, 1, 1)),
        (dt.datetime, dt.datetime(2020, 1, 1, 10)),
    ]


def test_nanoseconds_are_not_merged():
    stamps = pd.to_datetime(["2020-01-01 00:00:00.000000001", "2020-01-01 00:00:00.000000002"])
    assert Frame.read({"c": stamps}).labels("c")[0].tolist() == [0, 1]


def test_datetimes_with_a_zone_and_durations():
    zoned = pd.to_datetime(["2020-01-02", "2020-01-01"]).tz_localize("UTC")
    frame = Frame.read({"z": zoned, "d": pd.to_timedelta([2, 1], "h")})
    assert frame.labels("z")[0].tolist() == [1, 0]
    assert frame.labels("d")[1] == (dt.timedelta(hours=1), dt.timedelta(hours=2))


def test_a_decimal_written_in_two_ways_is_one_label():
    column = pd.Series([Decimal("1.5"), Decimal("1.50"), 1.5], dtype=object)
    assert Frame.read({"c": column}).labels("c")[1] == (1.5,)


numbers = st.lists(st.one_of(st.none(), st.integers(-5, 5), st.floats(allow_nan=True, width=32)), max_size=30)


@given(numbers)
def test_labels_decode_to_the_values_and_are_sorted(values):
    frame = Frame.read(pd.DataFrame({"c": pd.Series(values, dtype=object)}))
    codes, labels = frame.labels("c")
    decoded = [None if code < 0 else labels[code] for code in codes]
    expected = [None if value is None or value != value else value for value in values]
    assert decoded == expected
    assert list(labels) == sorted(set(labels))


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30))
def test_labels_agree_between_libraries(values):
    answers = [
        Frame.read(pd.DataFrame({"c": pd.Series(values, dtype=object)})).labels("c"),
        Frame.read(pl.DataFrame({"c": pl.Series(values, dtype=pl.String)})).labels("c"),
        Frame.read(pa.table({"c": pa.array(values, pa.string())})).labels("c"),
    ]
    for codes, labels in answers[1:]:
        assert labels == answers[0][1]
        assert codes.tolist() == answers[0][0].tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64", "int64"])
@pytest.mark.parametrize(
    "values",
    [
        np.repeat(np.arange(100), 30),  # ascending without a gap
        np.tile(np.arange(1, 11), 300),  # all in the first rows
        np.r_[np.zeros(2000, int), np.arange(100)],  # the first rows hold one value
        np.r_[np.zeros(2000, int), np.arange(60), np.arange(40, 100)],  # one step down
        np.r_[np.zeros(2000, int), 0, 2, 3],  # a gap at the end
        np.r_[np.arange(100), np.zeros(2000, int)],
    ],
)
def test_whole_numbers_are_counted_whatever_their_order(values, dtype):
    codes, labels = Frame.read(pd.DataFrame({"a": values.astype(dtype)})).labels("a")
    expected, at = np.unique(values, return_inverse=True)
    np.testing.assert_array_equal(codes, at)
    assert labels == tuple(expected.tolist())
