from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from causalkit.data.moments import Moments
from causalkit.errors import DataError


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(7)
    n = 2000
    frame = pd.DataFrame({"arm": rng.choice(["B", "A"], n), "day": rng.integers(0, 3, n), "x": rng.normal(size=n)})
    frame["y"] = frame["x"] * 2 + rng.normal(size=n) + (frame["arm"] == "B")
    frame["z"] = rng.integers(0, 2, n).astype(bool)
    frame["w"] = rng.gamma(2.0, size=n)
    return frame


def same(a, b, tolerance=1e-12):
    """Equal up to rounding, relative to the spread of each column."""
    assert a.columns == b.columns
    assert a.by == b.by
    assert a.cells == b.cells
    assert a.counts.tolist() == b.counts.tolist()
    np.testing.assert_allclose(a.totals, b.totals, rtol=tolerance)
    np.testing.assert_allclose(a.squares, b.squares, rtol=tolerance)
    spread = np.sqrt(np.einsum("ckk->ck", b.sums.scatter).sum(axis=0) / b.totals.sum()) + 1e-300
    assert np.max(np.abs(a.means - b.means) / (spread + np.abs(b.means))) < tolerance
    scale = spread[:, None] * spread * np.maximum(b.totals, 1)[:, None, None]
    assert np.max(np.abs(a.sums.scatter - b.sums.scatter) / scale) < tolerance


def test_against_numpy_by_cell(table):
    m = Moments.of(table, ["y", "x", "z"], by=["arm", "day"])
    assert m.cells == tuple((arm, day) for arm in "AB" for day in range(3))
    for cell in m.cells:
        part = table[(table["arm"] == cell[0]) & (table["day"] == cell[1])][["y", "x", "z"]].to_numpy(dtype=float)
        assert m.counts[m.cell(cell)] == len(part)
        np.testing.assert_allclose(m.means[m.cell(cell)], part.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(m.covariance(cell), np.cov(part.T), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(m.covariance(cell, ddof=0), np.cov(part.T, ddof=0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(m.cross_products(cell), np.cov(part.T, ddof=0) * len(part), rtol=1e-12, atol=1e-11)


def test_weights_against_numpy(table):
    m = Moments.of(table, ["y", "x"], by="arm", weights="w")
    for arm in "AB":
        part = table[table["arm"] == arm]
        w = part["w"].to_numpy()
        place = m.cell(arm)
        np.testing.assert_allclose(m.totals[place], w.sum(), rtol=1e-13)
        np.testing.assert_allclose(m.squares[place], (w**2).sum(), rtol=1e-13)
        np.testing.assert_allclose(m.means[place], np.average(part[["y", "x"]], axis=0, weights=w), rtol=1e-12)
        np.testing.assert_allclose(m.covariance(arm), np.cov(part[["y", "x"]].T, aweights=w), rtol=1e-12)


def test_many_small_cells_agree_with_pandas():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": rng.integers(0, 5000, 20_000), "y": rng.normal(size=20_000), "x": rng.random(20_000)})
    frame["w"] = rng.random(20_000)
    m = Moments.of(frame, ["y", "x"], by="g")
    grouped = frame.groupby("g")[["y", "x"]]
    np.testing.assert_allclose(m.means, grouped.mean().to_numpy(), rtol=1e-9, atol=1e-13)
    assert m.counts.tolist() == grouped.size().tolist()
    expected = frame.groupby("g")["y"].var().to_numpy()
    several = m.counts > 1
    np.testing.assert_allclose((m.sums.scatter[several, 0, 0] / (m.counts[several] - 1)), expected[several], rtol=1e-10)
    weighted = Moments.of(frame, ["y", "x"], by="g", weights="w")
    for g in (0, 17, 4999):
        part = frame[frame["g"] == g]
        np.testing.assert_allclose(weighted.covariance(g), np.cov(part[["y", "x"]].T, aweights=part["w"]), rtol=1e-10)


def test_no_keys_and_one_row(table):
    m = Moments.of(table, "y")
    assert m.cells == ((),)
    np.testing.assert_allclose(m.covariance(), [[table["y"].var()]], rtol=1e-12)
    one = Moments.of({"y": [3.0]}, "y")
    assert one.means.tolist() == [[3.0]]
    with pytest.raises(DataError, match="too few"):
        one.covariance()


@pytest.mark.parametrize("offset", [1e9, -1e12])
def test_an_offset_does_not_cost_digits(offset):
    rng = np.random.default_rng(0)
    exact = np.round(rng.normal(size=5000) * 1024) / 1024  # adding the offset is exact on this grid
    frame = pd.DataFrame({"y": exact + offset, "arm": np.arange(5000) % 2})
    assert np.array_equal(frame["y"] - offset, exact)
    m = Moments.of(frame, "y", by="arm")
    a, b = exact[::2], exact[1::2]
    np.testing.assert_allclose(m.covariance(0)[0, 0], a.var(ddof=1), rtol=1e-12)
    np.testing.assert_allclose(m.mean_difference(1, 0)[0], b.mean() - a.mean(), rtol=1e-10)


def test_arms_far_apart_keep_their_variance():
    rng = np.random.default_rng(0)
    base = np.round(rng.normal(size=2000) * 1024) / 1024
    frame = pd.DataFrame({"y": base + 1e9 * (np.arange(2000) % 2), "arm": np.arange(2000) % 2})
    m = Moments.of(frame, "y", by="arm")
    np.testing.assert_allclose(m.covariance(1)[0, 0], base[1::2].var(ddof=1), rtol=1e-9)


def test_labels_do_not_depend_on_the_dtype(table):
    as_float = table.assign(day=table["day"].astype("float32"))
    as_category = table.assign(day=table["day"].astype("category"))
    whole = Moments.of(table, "y", by="day")
    for other in (as_float, as_category):
        same(Moments.of(other, "y", by="day"), whole)


def test_two_halves_merge_to_the_whole(table):
    for weights in (None, "w"):
        whole = Moments.of(table, ["y", "x"], by=["arm", "day"], weights=weights)
        halves = [
            Moments.of(table.iloc[rows], ["y", "x"], by=["arm", "day"], weights=weights)
            for rows in (slice(0, 700), slice(700, None))
        ]
        same(halves[0].merge(halves[1]), whole)
        same(halves[1].merge(halves[0]), whole)
        assert not np.array_equal(halves[0].pivot, halves[1].pivot)


def test_merging_cells_that_only_one_part_has(table):
    parts = [Moments.of(part, ["y", "x"], by=["arm", "day"]) for _, part in table.groupby("day")]
    same(Moments.merge_all(reversed(parts)), Moments.of(table, ["y", "x"], by=["arm", "day"]))


def test_merging_reorders_columns_and_adds_what_was_dropped(table):
    holes = table.assign(y=table["y"].where(np.arange(len(table)) % 10 > 0))
    first = Moments.of(holes[:1000], ["y", "x"], missing="drop")
    second = Moments.of(holes[1000:], ["x", "y"], missing="drop")
    merged = first.merge(second)
    assert merged.n_dropped == 200
    assert merged.columns == ("y", "x")
    same(merged, Moments.of(holes.dropna(), ["y", "x"]))


def test_what_can_not_be_merged(table):
    y = Moments.of(table, "y")
    for other in (Moments.of(table, "x"), Moments.of(table, "y", by="arm"), Moments.of(table, "y", weights="w")):
        with pytest.raises(DataError, match="Can't merge"):
            y.merge(other)
    with pytest.raises(DataError, match="nothing to merge"):
        Moments.merge_all([])


def test_merging_keeps_the_digits_of_a_large_offset():
    rng = np.random.default_rng(0)
    exact = np.round(rng.normal(size=4000) * 1024) / 1024
    parts = [Moments.of({"y": part + 1e9}, "y") for part in np.split(exact, 8)]
    np.testing.assert_allclose(Moments.merge_all(parts).covariance()[0, 0], exact.var(ddof=1), rtol=1e-12)


numbers = arrays(np.float64, st.integers(1, 12), elements=st.floats(-1e3, 1e3, width=32))


@settings(max_examples=60)
@given(numbers, numbers, numbers, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_merging_is_associative_and_commutative(a, b, c, pivot_a, pivot_b):
    parts = [
        Moments.of({"y": values, "x": values**2 / 100}, ["y", "x"], pivot=[pivot, 0.0])
        for values, pivot in ((a, pivot_a), (b, pivot_b), (c, 0.0))
    ]
    values = np.concatenate((a, b, c))
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[2].merge(parts[0].merge(parts[1]))
    together = np.vstack((values, values**2 / 100))
    for merged in (left, right):
        assert merged.counts.tolist() == [len(values)]
        np.testing.assert_allclose(merged.means[0], together.mean(axis=1), rtol=1e-9, atol=1e-8)
        centred = together - together.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(merged.cross_products(), centred @ centred.T, rtol=1e-7, atol=1e-4)


@settings(max_examples=60)
@given(numbers, st.integers(1, 11), st.floats(-1e3, 1e3))
def test_merging_two_parts_is_exact_to_rounding(values, cut, shift):
    cut = min(cut, len(values))
    whole = Moments.of({"y": values + shift}, "y")
    parts = [Moments.of({"y": part + shift}, "y") for part in (values[:cut], values[cut:]) if len(part)]
    merged = Moments.merge_all(parts)
    size = np.abs(values + shift).max() + 1e-300
    assert abs(merged.means[0, 0] - whole.means[0, 0]) <= 1e-14 * size
    assert abs(merged.cross_products()[0, 0] - whole.cross_products()[0, 0]) <= 1e-13 * size**2 * len(values)


def test_pool_merges_cells(table):
    m = Moments.of(table, ["y", "x"], by=["arm", "day"], weights="w")
    same(m.pool(), Moments.of(table, ["y", "x"], weights="w"))
    same(m.pool("arm"), Moments.of(table, ["y", "x"], by="arm", weights="w"))
    same(m.pool(["day", "arm"]), Moments.of(table, ["y", "x"], by=["day", "arm"], weights="w"))
    with pytest.raises(DataError, match="not a key column"):
        m.pool("x")


def test_select_and_column(table):
    m = Moments.of(table, ["y", "x", "z"], by="arm")
    part = m.select(["z", "y"])
    same(part, Moments.of(table, ["z", "y"], by="arm"))
    assert m.column("z") == 2
    with pytest.raises(DataError, match="no moments of 'q'"):
        m.column("q")
    with pytest.raises(DataError, match=r"no cell 'C'.*'A', 'B'"):
        m.cell("C")
    with pytest.raises(DataError, match="no cell"):
        m.cell([])


def test_pivot_given_or_not_the_answer_is_the_same(table):
    m = Moments.of(table, ["y", "x"], by="arm")
    same(Moments.of(table, ["y", "x"], by="arm", pivot=[3.0, -2.0]), m)
    with pytest.raises(DataError, match="pivot must be 2 finite numbers"):
        Moments.of(table, ["y", "x"], pivot=[1.0])


def test_arrays_are_read_only_and_the_table_is_untouched(table):
    before = table.copy()
    m = Moments.of(table, ["y", "x"], by="arm")
    for array in (m.means, m.counts, m.totals, m.pivot, m.sums.scatter, m.select("y").means):
        assert not array.flags.writeable
    pd.testing.assert_frame_equal(table, before)


def test_missing_and_infinite_values():
    frame = {"y": [1.0, None, 3.0, 5.0], "g": ["a", "a", None, "a"], "w": [1.0, 1.0, 1.0, np.nan]}
    with pytest.raises(DataError, match=r"'y' has 1 missing .* 0 infinite values, first in row 1") as caught:
        Moments.of(frame, "y")
    assert caught.value.column == "y"
    assert caught.value.rows == (1,)
    assert "drop" in caught.value.hint
    with pytest.raises(DataError, match="'g' has 1 missing"):
        Moments.of({**frame, "y": [1.0, 2.0, 3.0, 5.0]}, "y", by="g")
    dropped = Moments.of(frame, "y", by="g", missing="drop")
    assert dropped.n_dropped == 2
    assert dropped.cells == (("a",),)
    assert dropped.means.tolist() == [[3.0]]
    assert Moments.of(frame, "y", by="g", weights="w", missing="drop").n_dropped == 3
    for missing in ("raise", "drop"):
        with pytest.raises(DataError, match=r"'y' has 0 missing .* 2 infinite values, first in row 1") as caught:
            Moments.of({"y": [1.0, np.inf, -np.inf]}, "y", missing=missing)
        assert caught.value.rows == (1, 2)


def test_other_faults(table):
    with pytest.raises(DataError, match="Did you mean"):
        Moments.of(table, "Y")
    with pytest.raises(DataError, match="must be numeric"):
        Moments.of(table, "arm")
    with pytest.raises(DataError, match="at least one column"):
        Moments.of(table, [])
    with pytest.raises(DataError, match="missing is"):
        Moments.of(table, "y", missing="native")
    with pytest.raises(DataError, match="negative in 1 rows, first in row 1"):
        Moments.of({"y": [1.0, 2.0], "w": [1.0, -1.0]}, "y", weights="w")
    with pytest.raises(DataError, match="where g = 'b' sum to zero"):
        Moments.of({"y": [1.0, 2.0], "w": [1.0, 0.0], "g": ["a", "b"]}, "y", by="g", weights="w")
    with pytest.raises(DataError, match="No rows"):
        Moments.of({"y": [None, None]}, "y", missing="drop")
    with pytest.raises(DataError, match="beyond floating point"):
        Moments.of({"y": [1e200, -1e200]}, "y")


def test_values_whose_sum_overflows_are_not_called_infinite():
    m = Moments.of({"y": [1e-3, 2e-3], "x": [1.7e308, 1.7e308]}, "y")
    assert m.counts.tolist() == [2]
    with pytest.raises(DataError, match="beyond floating point"):
        Moments.of({"x": [1.7e308, 1.7e308]}, "x")


def test_dates_are_keys():
    day = [dt.date(2020, 1, 2), dt.date(2020, 1, 1), dt.date(2020, 1, 2)]
    m = Moments.of({"y": [1.0, 2.0, 3.0], "day": day}, "y", by="day")
    assert m.cells == ((dt.date(2020, 1, 1),), (dt.date(2020, 1, 2),))
    assert m.mean_difference(day[0], day[1]).tolist() == [0.0]
