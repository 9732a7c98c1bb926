from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from causalkit.data.moments import Moments
from causalkit.errors import DataError

ARRAYS = ("counts", "totals", "squares", "shift", "scatter")


@pytest.fixture
def moments():
    rng = np.random.default_rng(1)
    n = 400
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=n) / 3,
            '"; DROP TABLE x; --': rng.lognormal(size=n) * 1e-300,
            "w": rng.random(n),
            "text": rng.choice(["it's", 'a"b', "línea\nnueva"], n),
            "day": pd.to_datetime(rng.choice(["2020-01-01", "2021-02-03"], n)),
            "f": rng.choice([0.1, 2.0, np.inf], n),
            "b": rng.choice([True, False], n),
        }
    )
    return Moments.of(frame, ["y", '"; DROP TABLE x; --'], by=["text", "day", "f", "b"], weights="w")


def assert_identical(a, b):
    assert (a.columns, a.by, a.weighted, a.n_dropped) == (b.columns, b.by, b.weighted, b.n_dropped)
    assert a.cells == b.cells
    assert [[type(label) for label in key] for key in a.cells] == [[type(label) for label in key] for key in b.cells]
    assert a.pivot.tobytes() == b.pivot.tobytes()
    for name in ARRAYS:
        assert getattr(a.sums, name).dtype == getattr(b.sums, name).dtype
        assert getattr(a.sums, name).tobytes() == getattr(b.sums, name).tobytes()


@pytest.mark.parametrize("name", ["m.json", "m.parquet", "it's [1]*.parquet"])
def test_files_are_exact_to_the_bit(moments, tmp_path, name):
    moments.save(tmp_path / name)
    assert_identical(Moments.load(tmp_path / name), moments)


def test_dict_goes_through_json(moments):
    assert_identical(Moments.from_dict(json.loads(json.dumps(moments.to_dict(), allow_nan=False))), moments)


def test_one_cell_and_times_as_keys(tmp_path):
    single = Moments.of({"y": [1.0, 2.0]}, "y")
    keyed = Moments.of(
        {
            "y": [1.0, 2.0],
            "at": [dt.datetime(2020, 1, 1, 5), dt.datetime(2020, 1, 1, 6)],
            "span": [dt.timedelta(hours=1), dt.timedelta(days=1, microseconds=3)],
            "clock": [dt.time(5), dt.time(6)],
        },
        "y",
        by=["at", "span", "clock"],
    )
    for place, moments in enumerate((single, keyed)):
        for kind in ("json", "parquet"):
            path = tmp_path / f"{place}.{kind}"
            moments.save(path)
            assert_identical(Moments.load(path), moments)


def test_faults_of_files(moments, tmp_path):
    with pytest.raises(DataError, match="Can't tell the format"):
        moments.save(tmp_path / "m.csv")
    with pytest.raises(DataError, match="no file"):
        Moments.load(tmp_path / "m.json")
    for text in ("nope", "[1]", "{}"):
        (tmp_path / "m.json").write_text(text)
        with pytest.raises(DataError):
            Moments.load(tmp_path / "m.json")
    (tmp_path / "m.parquet").write_text("nope")
    with pytest.raises(DataError, match="Can't read"):
        Moments.load(tmp_path / "m.parquet")
    damaged = {**moments.to_dict(), "shift": [[1.0]]}
    with pytest.raises(DataError, match="damaged"):
        Moments.from_dict(damaged)
    with pytest.raises(DataError, match="not moments that this version reads"):
        Moments.from_dict({**moments.to_dict(), "version": 99})


def test_a_label_that_can_not_be_stored(tmp_path):
    odd = Moments.of({"y": [1.0], "p": pd.period_range("2020", periods=1, freq="Q")}, "y", by="p")
    with pytest.raises(DataError, match="Can't store the cell label"):
        odd.save(tmp_path / "m.json")
