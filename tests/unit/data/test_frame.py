from __future__ import annotations

import datetime as dt
import gc

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError

pl = pytest.importorskip("polars", reason="polars is an optional engine")
pa = pytest.importorskip("pyarrow", reason="pyarrow is an optional engine")
duckdb = pytest.importorskip("duckdb")

HOSTILE = ['"; DROP TABLE x; --', 'it\'s `a` "b".c', "línea\nnueva", "^x.*$"]


def tables():
    plain = {"y": [1.5, 2.5], "g": ["a", "b"]}
    arrow = pa.table(plain)
    return [pd.DataFrame(plain), pl.DataFrame(plain), arrow, plain, nw.from_native(pl.DataFrame(plain))]


@pytest.mark.parametrize("data", tables(), ids=["pandas", "polars", "pyarrow", "dict", "narwhals"])
def test_reads_every_eager_table(data):
    frame = Frame.read(data)
    assert not frame.is_lazy
    assert frame.columns == ("y", "g")
    assert frame.n_rows == 2
    assert frame.numeric("y").tolist() == [1.5, 2.5]
    assert frame.collect() is frame
    assert Frame.read(frame) is frame


def test_reads_lazy_tables_and_collects_what_was_selected():
    ibis = pytest.importorskip("ibis", reason="ibis is an optional engine")
    plain = {"y": [1.5, 2.5], "g": ["a", "b"], "z": [1, 2]}
    for lazy in (pl.LazyFrame(plain), duckdb.from_arrow(pa.table(plain)), ibis.memtable(pa.table(plain))):
        frame = Frame.read(lazy)
        assert frame.is_lazy
        assert frame.is_numeric("y")
        assert frame.is_text("g")
        eager = frame.select(["g", "y"]).collect()
        assert eager.columns == ("g", "y")
        assert not eager.is_lazy
        assert sorted(eager.numeric("y").tolist()) == [1.5, 2.5]


def test_spark_table_is_lazy_and_hostile_names_survive(spark):
    table = spark.createDataFrame([(1.0, 2.0, 3, True), (4.0, 5.0, 6, False)], ["a", "b", "c", "d"]).toDF(*HOSTILE)
    frame = Frame.read(table)
    assert frame.is_lazy
    chosen = frame.select(HOSTILE[1:3]).collect()
    assert chosen.columns == tuple(HOSTILE[1:3])
    assert chosen.numeric(HOSTILE[1]).tolist() == [2.0, 5.0]


def test_hostile_names_survive_selection():
    plain = {name: [float(place)] for place, name in enumerate(HOSTILE)}
    for data in (pd.DataFrame(plain), pl.DataFrame(plain), pl.LazyFrame(plain), duckdb.from_arrow(pa.table(plain))):
        frame = Frame.read(data).select(HOSTILE[2:]).collect()
        assert frame.columns == tuple(HOSTILE[2:])
        assert frame.numeric(HOSTILE[3]).tolist() == [3.0]


@pytest.mark.parametrize("data", [5, None, "a.csv", np.zeros((2, 2)), [{"a": 1}], pd.Series([1.0])])
def test_refuses_what_is_not_a_table(data):
    with pytest.raises(DataError, match="pandas, polars or pyarrow"):
        Frame.read(data)


def test_refuses_a_dict_of_unequal_columns():
    with pytest.raises(DataError, match="equal length"):
        Frame.read({"a": [1, 2], "b": [1]})


def test_lazy_values_are_refused():
    frame = Frame.read(pl.LazyFrame({"a": [1]}))
    for ask in (lambda: frame.n_rows, lambda: frame.numeric("a"), lambda: frame.labels("a")):
        with pytest.raises(DataError, match="collect"):
            ask()


def test_unknown_column_suggests_and_lists():
    frame = Frame.read({"revenue": [1], "Country": [2]})
    with pytest.raises(DataError, match=r"Did you mean 'revenue'.*Available columns: revenue, Country") as caught:
        frame.require(["revenu"])
    assert caught.value.column == "revenu"
    with pytest.raises(DataError, match="Did you mean 'Country'"):
        frame.numeric("COUNTRY")
    with pytest.raises(DataError, match="must be a string"):
        frame.require([3])
    frame.require("revenue")


def test_duplicate_column_names():
    both = pd.DataFrame([[1, 2]], columns=["a", "a"])
    relation = duckdb.sql("select 1 as a, 2 as a")
    for data in (both, pa.table([[1], [2]], names=["a", "a"]), relation):
        with pytest.raises(DataError, match="'a'"):
            Frame.read(data).require(["a"])


def test_number_column_names_are_read_as_text_without_touching_the_table():
    table = pd.DataFrame({0: [1.0], 1: [2.0]})
    assert Frame.read(table).columns == ("0", "1")
    assert list(table.columns) == [0, 1]


def test_token_is_the_identity_of_the_live_object():
    table = pd.DataFrame({"a": [1], "b": [2]})
    first = Frame.read(table)
    assert Frame.read(table).token == first.token
    assert Frame.read(nw.from_native(table)).token == first.token
    assert first.select("a").token == first.token
    assert Frame.read(table.copy()).token != first.token
    lazy = pl.LazyFrame({"a": [1]})
    assert Frame.read(lazy).collect().token != Frame.read(lazy).token
    plain = {"a": [1]}
    assert Frame.read(plain).token != Frame.read(plain).token


def test_token_is_not_passed_on_to_the_next_object_at_the_address():
    tokens = set()
    for _ in range(50):
        tokens.add(Frame.read(pd.DataFrame({"a": [1]})).token)
        gc.collect(0)
    assert len(tokens) == 50


def test_the_table_is_never_changed_and_arrays_are_copies():
    table = pd.DataFrame({"y": [1.0, 2.0], "i": [1, 2]})
    before = table.copy()
    frame = Frame.read(table)
    numbers = frame.numeric("y")
    numbers[0] = 99.0
    frame.labels("i")[0][0] = 7
    pd.testing.assert_frame_equal(table, before)


def test_infinite_and_missing():
    frame = Frame.read({"y": [1.0, np.inf, -np.inf, np.nan], "g": ["a", None, "b", "c"]})
    assert frame.infinite("y").tolist() == [False, True, True, False]
    assert frame.missing("y").tolist() == [False, False, False, True]
    assert frame.numeric("y")[1] == np.inf
    assert frame.infinite("g").tolist() == [False] * 4
    assert frame.missing("g").tolist() == [False, True, False, False]


def test_first_rows():
    mask = np.array([False, True, True, False, True, True])
    assert first_rows(mask) == (1, 2, 4)
    assert first_rows(mask, k=1) == (1,)
    assert first_rows(~np.ones(3, dtype=bool)) == ()


def test_dates_are_temporal():
    frame = Frame.read({"d": [dt.date(2020, 1, 1)], "t": pd.to_datetime(["2020-01-01 10:00"])})
    assert frame.is_temporal("d")
    assert frame.is_temporal("t")
    assert not frame.is_numeric("t")
