from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalkit.data.moments import Moments
from causalkit.errors import DataError

pl = pytest.importorskip("polars", reason="polars is an optional engine")
pa = pytest.importorskip("pyarrow", reason="pyarrow is an optional engine")
duckdb = pytest.importorskip("duckdb")

HOSTILE = '"; DROP TABLE x; --'
AWKWARD = 'it\'s `a` "b".c\nnueva'
COLUMNS = ["y", HOSTILE, AWKWARD, "z"]


def make_table():
    rng = np.random.default_rng(11)
    n = 600
    x = rng.normal(size=n)
    return pd.DataFrame(
        {
            "y": np.round((x + rng.normal(size=n)) * 1024) / 1024 + 1e9,
            HOSTILE: x,
            AWKWARD: rng.integers(0, 50, n),
            "z": rng.random(n) < 0.4,
            "w": rng.gamma(2.0, size=n),
            "arm": rng.choice(["B", "A", "C'"], n),
            "day": rng.integers(0, 2, n),
        }
    )


def agree(found, expected):
    assert found.cells == expected.cells
    assert found.counts.tolist() == expected.counts.tolist()
    np.testing.assert_allclose(found.pivot, expected.pivot, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.totals, expected.totals, rtol=1e-12)
    np.testing.assert_allclose(found.squares, expected.squares, rtol=1e-12)
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-12)
    spread = np.sqrt(np.einsum("ckk->ck", expected.sums.scatter))
    scale = spread[:, :, None] * spread[:, None, :]
    assert np.max(np.abs(found.sums.scatter - expected.sums.scatter) / scale) < 1e-12
    first, last = expected.cells[0], expected.cells[-1]
    gap = found.mean_difference(first, last) - expected.mean_difference(first, last)
    assert np.max(np.abs(gap) / spread[0] * np.sqrt(expected.totals[0])) < 1e-12


def test_all_engines_agree(engine):
    table = make_table()
    native = engine(table)
    for by, weights in ((["arm", "day"], None), (["arm"], "w"), ([], None)):
        expected = Moments.of(table, COLUMNS, by=by, weights=weights)
        agree(Moments.of(native, COLUMNS, by=by, weights=weights), expected)


def test_parts_from_different_engines_merge(engine):
    table = make_table()
    there = Moments.of(engine(table.iloc[:250]), COLUMNS, by="arm")
    agree_with = Moments.of(table, COLUMNS, by="arm")
    merged = there.merge(Moments.of(table.iloc[250:], COLUMNS, by="arm"))
    assert merged.cells == agree_with.cells
    np.testing.assert_allclose(merged.means, agree_with.means, rtol=1e-12)
    for cell in merged.cells:
        np.testing.assert_allclose(merged.covariance(cell), agree_with.covariance(cell), rtol=1e-10, atol=1e-10)


def with_holes():
    table = make_table()[["y", HOSTILE, "arm"]]
    table.loc[[3, 4], "y"] = np.nan
    table.loc[[7], HOSTILE] = np.nan
    table["n"] = np.arange(len(table), dtype=float)
    return table


def test_missing_values_raise_or_drop(engine):
    table = with_holes()
    native = engine(table)
    with pytest.raises(DataError, match=r"Column 'y' has .*2") as caught:
        Moments.of(native, ["y", HOSTILE], by="arm")
    assert caught.value.column == "y"
    found = Moments.of(native, ["y", HOSTILE], by="arm", missing="drop")
    expected = Moments.of(table.dropna(), ["y", HOSTILE], by="arm")
    assert found.n_dropped == 3
    assert found.counts.tolist() == expected.counts.tolist()
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-12)


def test_infinite_values_always_raise(engine):
    table = with_holes()
    table.loc[[8, 9], "n"] = [np.inf, -np.inf]
    native = engine(table)
    for missing in ("raise", "drop"):
        with pytest.raises(DataError, match=r"Column 'n' has .*2 infinite") as caught:
            Moments.of(native, "n", by="arm", missing=missing)
        assert caught.value.column == "n"


def test_nan_is_found_in_parquet_whose_statistics_leave_it_out(tmp_path):
    path = str(tmp_path / "t.parquet")
    pl.DataFrame({"y": [1.0, float("nan"), float("nan"), 3.0], "g": [1.0, 1.0, 2.0, float("nan")]}).write_parquet(path)
    table = duckdb.read_parquet(path)
    with pytest.raises(DataError, match="0 null, 2 NaN and 0 infinite"):
        Moments.of(table, "y")
    found = Moments.of(table, "y", by="g", missing="drop")
    assert found.n_dropped == 3
    assert found.means.tolist() == [[1.0]]


def lazy_table(columns):
    return duckdb.from_arrow(pa.table(columns))


def test_the_error_of_a_lazy_table_counts_each_kind_and_shows_a_cell():
    table = lazy_table({"y": pa.array([1.0, None, float("nan"), None]), "arm": ["a", "b", "b", "b"]})
    with pytest.raises(DataError, match="2 null, 1 NaN and 0 infinite values, for example where arm = 'b'"):
        Moments.of(table, "y", by="arm")
    with pytest.raises(DataError, match=r"2 null, 1 NaN and 0 infinite values\."):
        Moments.of(table, "y")


def test_missing_keys_of_a_lazy_table():
    table = lazy_table({"y": [1.0, 2.0, 3.0, 4.0], "arm": pa.array([1.0, None, float("nan"), 2.0])})
    with pytest.raises(DataError, match="'arm' has 2 null or NaN values"):
        Moments.of(table, "y", by="arm")
    found = Moments.of(table, "y", by="arm", missing="drop")
    assert found.n_dropped == 2
    assert found.cells == ((1,), (2,))


def test_faults_of_weights_and_types():
    table = lazy_table({"y": [1.0, 2.0], "w": [1.0, -1.0], "arm": ["a", "b"]})
    with pytest.raises(DataError, match="negative in 1 rows, for example where arm = 'b'"):
        Moments.of(table, "y", by="arm", weights="w")
    with pytest.raises(DataError, match="'arm' must be numeric"):
        Moments.of(table, "arm")
    with pytest.raises(DataError, match="Did you mean 'arm'"):
        Moments.of(table, "y", by="arms")
    with pytest.raises(DataError, match="No rows"):
        Moments.of(table.filter("y > 5"), "y")
    with pytest.raises(DataError, match="No rows"):
        Moments.of(table.filter("y > 5"), "y", by="arm")


def test_integer_decimal_and_boolean_columns_are_pushed_down():
    query = "select i::tinyint as i, (i * 1.25)::decimal(9, 2) as d, i % 2 = 0 as b, i::hugeint as h from range(9) t(i)"
    table = duckdb.sql(query)
    m = Moments.of(table, ["i", "d", "b", "h"])
    assert m.means.tolist() == [[4.0, 5.0, 5 / 9, 4.0]]
    assert m.covariance()[0, 0] == 7.5
    assert Moments.of(table, "i", by="d").cells[1] == (1.25,)


def test_the_rows_stay_in_the_engine(monkeypatch):
    from causalkit.data import pushdown

    sizes = []
    fetch = pushdown.fetch_small

    def counted(lazy):
        answer = fetch(lazy)
        sizes.append(len(answer))
        return answer

    monkeypatch.setattr(pushdown, "fetch_small", counted)
    Moments.of(pl.from_pandas(make_table()).lazy(), COLUMNS, by="arm")
    assert sizes == [1, 3]
