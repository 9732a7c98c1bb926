from __future__ import annotations

import gc
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from causalkit.data import sources
from causalkit.data.frame import Frame
from causalkit.data.sources import load_source, open_source, packaged_path
from causalkit.errors import DataError

HOSTILE = '"; DROP TABLE x; --'


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, text):
    Path(path).write_text(text, encoding="utf-8")


def make_database(path, statements):
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_csv_types_missing_values_and_hostile_names(here):
    write("a.csv", 'x,"""; DROP TABLE x; --",s,d,b\n1,2.5,"",2020-01-01,true\n2,,b,2020-01-02,false\n')
    table = load_source("a.csv")
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["x", HOSTILE, "s", "d", "b"]
    frame = Frame.read(table)
    np.testing.assert_array_equal(frame.numeric(HOSTILE), [2.5, np.nan])
    assert frame.labels("s")[1] == ("b",)
    assert frame.missing("s").tolist() == [True, False]
    assert frame.is_temporal("d")
    assert frame.is_boolean("b")
    assert Frame.read(open_source("a.csv")).select(HOSTILE).collect().n_rows == 2


def test_types_are_judged_from_the_whole_file(here):
    write("late.csv", "a,b\n" + "1,2\n" * 30_000 + "1,x\n")
    assert Frame.read(load_source("late.csv")).is_text("b")


@pytest.mark.parametrize(
    ("name", "text"), [("a.tsv", "a\tb\n1\t2\n"), ("semi.csv", "a;b\n1;2\n"), ("bom.csv", "\ufeffa,b\n1,2\n")]
)
def test_other_delimiters_and_a_byte_order_mark(here, name, text):
    write(name, text)
    assert load_source(name).to_dict("list") == {"a": [1], "b": [2]}


def test_all_text_still_has_a_header(here):
    write("t.csv", "a,b\nx,y\nu,v\n")
    assert load_source("t.csv").to_dict("list") == {"a": ["x", "u"], "b": ["y", "v"]}


def test_no_line_is_dropped_in_silence(here):
    write("ragged.csv", "a,b\n1,2\n3\n4,5,6\n")
    with pytest.raises(DataError, match="same number of fields"):
        load_source("ragged.csv")
    write("note.csv", "# note\na,b\n1,2\n3,4\n")
    assert load_source("note.csv")["# note"].tolist() == ["a,b", "1,2", "3,4"]


def test_a_quoted_header_may_hold_a_delimiter(here):
    write("one.csv", '"a,b"\n1\n2\n')
    assert load_source("one.csv").to_dict("list") == {"a,b": [1, 2]}


def test_parquet_and_names_that_look_like_globs(here):
    for name in ("a[1]*?.parquet", "a'b\";--.parquet"):
        duckdb.sql(f'select 1 as x, 2 as "{HOSTILE.replace(chr(34), chr(34) * 2)}"').write_parquet(name)
        assert load_source(name).to_dict("list") == {"x": [1], HOSTILE: [2]}
    write("b[1]*.csv", "a\n1\n")
    write("b1x.csv", "a\n2\n")
    assert load_source("b[1]*.csv").to_dict("list") == {"a": [1]}


def test_duckdb_tables_views_schemas_and_hostile_names(here):
    quoted = HOSTILE.replace('"', '""')
    make_database(
        "f.db",
        [
            f'create table "{quoted}" as select 1 as "{quoted}"',
            "create table x as select 5 as y",
            "create view v as select y + 1 as z from x",
            "create schema s",
            "create table s.t as select 7 as y",
            'create table "a#b" as select 8 as y',
        ],
    )
    assert load_source(f"duckdb://f.db#{HOSTILE}").to_dict("list") == {HOSTILE: [1]}
    assert load_source("duckdb://f.db#v").to_dict("list") == {"z": [6]}
    assert load_source("duckdb://f.db#s.t").to_dict("list") == {"y": [7]}
    assert load_source("duckdb://f.db#a#b").to_dict("list") == {"y": [8]}
    assert load_source(f"duckdb://{here}/f.db#x").to_dict("list") == {"y": [5]}
    with pytest.raises(DataError, match=r"no table 'nope'.*Tables:.*s\.t"):
        load_source("duckdb://f.db#nope")
    with pytest.raises(DataError, match="does not name a table"):
        load_source("duckdb://f.db")


def test_a_view_may_not_reach_other_files(here):
    write("secret.csv", "a\n1\n")
    make_database("f.db", ["create view v as select * from read_csv('secret.csv')"])
    with pytest.raises(DataError, match="Can't read"):
        load_source("duckdb://f.db#v")


def test_a_table_name_is_never_taken_for_a_file(here):
    write("secret.csv", "a\n1\n")
    make_database("f.db", ["create table x as select 5 as y"])
    with pytest.raises(DataError, match="no table"):
        load_source("duckdb://f.db#secret.csv")


def test_the_file_is_free_again(here):
    make_database("f.db", ["create table x as select 5 as y"])
    load_source("duckdb://f.db#x")
    make_database("f.db", ["create table z as select 1 as y"])
    with pytest.raises(DataError):
        load_source("duckdb://f.db#nope")
    make_database("f.db", ["drop table z"])


def test_a_relation_outlives_the_call_and_its_parent(here):
    make_database("f.db", ["create table x as select 5 as y"])
    write("a.csv", "y\n5\n")
    for source in ("duckdb://f.db#x", "a.csv"):
        relation = open_source(source)
        derived = relation.filter("y > 0")
        del relation
        gc.collect()
        assert derived.fetchall() == [(5,)]
        del derived
        gc.collect()
    if int(duckdb.__version__.partition(".")[0]) >= 2:  # before, the relation did not hold its connection
        make_database("f.db", ["create table z as select 1 as y"])


def test_order_of_the_search(tmp_path, monkeypatch):
    study, cwd = tmp_path / "study", tmp_path / "cwd"
    study.mkdir()
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    write(cwd / "a.csv", "a\n2\n")
    assert load_source("a.csv", study / "study.toml")["a"].tolist() == [2]
    write(study / "a.csv", "a\n1\n")
    (study / "study.toml").touch()
    assert load_source("a.csv", study / "study.toml")["a"].tolist() == [1]
    assert load_source("a.csv", study)["a"].tolist() == [1]
    assert load_source("../study/a.csv")["a"].tolist() == [1]
    with pytest.raises(DataError) as caught:
        load_source("b.csv", study)
    for place in (str(study / "b.csv"), str(cwd / "b.csv"), "packaged datasets"):
        assert place in str(caught.value)


def test_packaged_datasets_come_last_and_nothing_outside_is_reached(tmp_path, monkeypatch):
    packaged = tmp_path / "packaged"
    packaged.mkdir()
    write(packaged / "toy.csv", "a\n3\n")
    write(tmp_path / "outside.csv", "a\n4\n")
    monkeypatch.setattr(sources, "_packaged_folders", lambda: [tmp_path / "none", packaged])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert packaged_path("toy.csv") == packaged / "toy.csv"
    assert packaged_path("../datasets/toy.csv") == packaged / "toy.csv"
    assert packaged_path("other/toy.csv") is None
    assert packaged_path("../outside.csv") is None
    assert packaged_path("..") is None
    assert packaged_path(str(packaged / "toy.csv")) is None
    assert load_source("toy.csv")["a"].tolist() == [3]
    write(elsewhere / "toy.csv", "a\n5\n")
    assert load_source("toy.csv")["a"].tolist() == [5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"a,b\n", "no rows"),
        ("bad.parquet", b"nope", "Can't read"),
        ("latin.csv", "a,b\né,1\n".encode("latin-1"), "UTF-8"),
        ("a.xlsx", b"x", "Can't tell what kind"),
        ("folder.csv", None, "no file"),
    ],
)
def test_unreadable_files(here, name, content, message):
    if content is None:
        Path(name).mkdir()
    else:
        Path(name).write_bytes(content)
    for read in (open_source, load_source):
        with pytest.raises(DataError, match=message) as caught:
            read(name)
        assert caught.value.hint


def test_remote_sources_and_false_databases_are_refused(here):
    with pytest.raises(DataError, match="only local files"):
        open_source("https://example.org/a.csv")
    write("a.db", "not a database, but long enough to be looked at" * 50)
    with pytest.raises(DataError, match="Can't read"):
        load_source("duckdb://a.db#x")


def test_a_header_that_repeats_a_name_is_refused(tmp_path):
    (tmp_path / "twice.csv").write_text("y,t,x,x\n1,0,2,3\n2,1,4,5\n")
    with pytest.raises(DataError, match="several columns 'x'"):
        load_source(tmp_path / "twice.csv")
    (tmp_path / "numbered.csv").write_text("y,x,x_1\n1,2,3\n")
    assert list(load_source(tmp_path / "numbered.csv")) == ["y", "x", "x_1"]
