"""Moments as JSON or Parquet, exact to the bit."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from causalkit.data.cells import ARRAYS, CellSums
from causalkit.data.moments import Moments
from causalkit.data.quoting import literal_path
from causalkit.errors import DataError

_FORMAT = "causalkit.moments"
_VERSION = 1
_TIMES = {
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
}


def to_plain(moments: Moments) -> dict[str, Any]:
    """Return moments as plain lists, numbers and strings; floats survive because JSON writes their shortest exact form."""
    return {
        **_head(moments),
        "cells": [[_encode(label) for label in key] for key in moments.cells],
        **{name: getattr(moments.sums, name).tolist() for name in ARRAYS},
    }


def from_plain(stored: dict[str, Any]) -> Moments:
    """Rebuild moments from `to_plain`."""
    if stored.get("format") != _FORMAT or stored.get("version") != _VERSION:
        raise DataError(
            f"These are not moments that this version reads (format {stored.get('format')!r}, "
            f"version {stored.get('version')!r}).",
            hint="Save them again with Moments.save.",
        )
    try:
        k = len(stored["columns"])
        m = len(stored["cells"])
        sums = CellSums(
            tuple(tuple(_decode(label) for label in key) for key in stored["cells"]),
            np.array(stored["counts"], dtype=np.int64).reshape(m),
            np.array(stored["totals"], dtype=np.float64).reshape(m),
            np.array(stored["squares"], dtype=np.float64).reshape(m),
            np.array(stored["shift"], dtype=np.float64).reshape(m, k),
            np.array(stored["scatter"], dtype=np.float64).reshape(m, k, k),
        )
        pivot = np.array(stored["pivot"], dtype=np.float64).reshape(k)
        head = (tuple(stored["columns"]), tuple(stored["by"]), bool(stored["weighted"]))
        return Moments(*head, pivot, sums, int(stored["n_dropped"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"The stored moments are damaged: {error!r}.", hint="Save them again.") from error


def write(moments: Moments, path: str | os.PathLike[str]) -> None:
    """Write moments to a .json or .parquet file."""
    target = Path(path)
    if _is_json(target):
        target.write_text(json.dumps(to_plain(moments), allow_nan=False), encoding="utf-8")
    else:
        _write_parquet(to_plain(moments), target)


def read(path: str | os.PathLike[str]) -> Moments:
    """Read moments from a .json or .parquet file."""
    source = Path(path)
    as_json = _is_json(source)
    if not source.is_file():
        raise DataError(f"There is no file {str(source)!r}.", hint="Check the path.")
    if not as_json:
        return from_plain(_read_parquet(source))
    try:
        stored = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{str(source)!r} is not JSON: {error}.", hint="Save the moments again.") from error
    if not isinstance(stored, dict):
        raise DataError(f"{str(source)!r} holds no moments.", hint="Name a file that Moments.save wrote.")
    return from_plain(stored)


def _head(moments: Moments) -> dict[str, Any]:
    """Return what is not told cell by cell."""
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "columns": list(moments.columns),
        "by": list(moments.by),
        "weighted": moments.weighted,
        "n_dropped": moments.n_dropped,
        "pivot": moments.pivot.tolist(),
    }


def _is_json(path: Path) -> bool:
    if path.suffix.lower() in (".json", ".parquet"):
        return path.suffix.lower() == ".json"
    raise DataError(f"Can't tell the format of {str(path)!r}.", hint="Name a .json or a .parquet file.")


def _encode(label: object) -> Any:
    """Return a label as JSON: itself, or its type and text."""
    if isinstance(label, float) and not np.isfinite(label):
        return {"float": repr(label)}
    if isinstance(label, (str, bool, int, float)):
        return label
    if isinstance(label, datetime.timedelta) and type(label) is datetime.timedelta:
        return {"timedelta": [label.days, label.seconds, label.microseconds]}
    name = type(label).__name__
    if name in _TIMES and isinstance(label, (datetime.date, datetime.time)):
        return {name: label.isoformat()}
    raise DataError(f"Can't store the cell label {label!r}.", hint="Use text, numbers or dates as keys.")


def _decode(stored: Any) -> object:
    if not isinstance(stored, dict):
        return stored
    ((name, text),) = stored.items()
    if name == "float":
        return float(text)
    return datetime.timedelta(*text) if name == "timedelta" else _TIMES[name](text)


def _write_parquet(plain: dict[str, Any], target: Path) -> None:
    """Write one Parquet row for each cell; what they share is repeated as JSON, which Parquet compresses away."""
    import duckdb

    shared = json.dumps(
        {name: value for name, value in plain.items() if name not in ("cells", *ARRAYS)}, allow_nan=False
    )
    cells = [json.dumps(key, allow_nan=False) for key in plain["cells"]]
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            "CREATE TABLE moments AS SELECT ?::VARCHAR AS shared, unnest(?::VARCHAR[]) AS cell, "
            "unnest(?::BIGINT[]) AS counts, unnest(?::DOUBLE[]) AS totals, unnest(?::DOUBLE[]) AS squares, "
            "unnest(?::DOUBLE[][]) AS shift, unnest(?::DOUBLE[][][]) AS scatter",
            [shared, cells, *(plain[name] for name in ARRAYS)],
        )
        connection.table("moments").write_parquet(str(target))


def _read_parquet(source: Path) -> dict[str, Any]:
    import duckdb

    names = ["shared", "cell", *ARRAYS]
    with duckdb.connect(":memory:") as connection:
        try:
            relation = connection.read_parquet(literal_path(str(source)))
            rows = relation.fetchall() if relation.columns == names else []
        except duckdb.Error as error:
            raise DataError(f"Can't read {str(source)!r}: {error}.", hint="Save the moments again.") from error
    if not rows:
        raise DataError(f"{str(source)!r} holds no moments.", hint="Name a file that Moments.save wrote.")
    by_name = dict(zip(names, zip(*rows, strict=True), strict=True))
    stored: dict[str, Any] = json.loads(by_name["shared"][0])
    cells = [json.loads(cell) for cell in by_name["cell"]]
    return {**stored, "cells": cells, **{name: list(by_name[name]) for name in ARRAYS}}
