"""Names for live table objects, so that two results can tell whether they saw the same rows in the same order."""

from __future__ import annotations

import sys
import threading
import uuid
import weakref
import zlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

#: Columns and rows (spread evenly) that are looked at to see whether a table was reordered in place.
_COLUMNS, _ROWS = 32, 512

Marks = Mapping[object, int]

_lock = threading.RLock()
_known: dict[int, tuple[weakref.ref[Any], str, Marks]] = {}


def token_of(native: object, marks: Marks | None = None) -> str:
    """Return the identity of a live object: the same object with the same rows has the same token, any other a new one.

    Parameters
    ----------
    native : object
        Usually a table as its library made it. Of what can be changed in place (pandas tables and numpy arrays) a few
        hundred rows of the first columns are read: where a column differs from what it was, as after an in-place sort,
        the token is a new one. Columns that were added or removed do not matter.
    marks : mapping, optional
        What :func:`columns_and_marks` found of a pandas table.

    Returns
    -------
    str
        32 hexadecimal digits, unique across processes. An object that can't be referenced weakly (a dict) gets a fresh
        token on every call: an unknown identity must not look like a shared one.
    """
    key, marks = id(native), _marks(native) if marks is None else marks
    with _lock:
        known = _known.get(key)
        if known is not None and known[0]() is native:
            _, token, before = known
            if all(marks[name] == before[name] for name in marks.keys() & before.keys()):
                _known[key] = (known[0], token, {**before, **marks})
                return token
        token = uuid.uuid4().hex
        try:
            reference = weakref.ref(native, lambda gone: _forget(key, gone))
        except TypeError:
            return token
        _known[key] = (reference, token, marks)
        return token


def _marks(native: Any) -> Marks:
    """Return a checksum of some rows of each column; nothing for tables that never change in place."""
    pandas = sys.modules.get("pandas")
    if isinstance(native, np.ndarray):
        return {None: _checksum(native[:: _step(len(native))])} if native.ndim else {}
    if pandas is None or not isinstance(native, pandas.DataFrame | pandas.Series):
        return {}
    if isinstance(native, pandas.Series):
        return {None: _checksum(native.iloc[:: _step(len(native))].to_numpy())}
    return columns_and_marks(native)[1]


def columns_and_marks(table: Any) -> tuple[dict[Any, Any], Marks]:
    """Return the first columns of a pandas table, and a checksum of some of their rows.

    Returns
    -------
    columns : dict of name to array
        What numpy holds, not to be written to; None where it is another library that does.
    marks : mapping of name to int
    """
    step, columns, marks = _step(len(table)), {}, {}
    for name, column in islice(table.items(), _COLUMNS):
        held = plain_array(column)
        columns[name] = held
        marks[name] = _checksum(column.iloc[::step].to_numpy() if held is None else held[::step])
    return columns, marks


def plain_array(column: Any) -> Any:
    """Return the array behind a pandas column that numpy holds, not to be written to; else None."""
    return column.to_numpy() if isinstance(column.dtype, np.dtype) else None


def _step(n: int) -> int:
    return max(1, n // _ROWS)


def _checksum(values: Any) -> int:
    """Return a checksum of values and their order; of objects, of how they are written."""
    plain = values.dtype.kind in "biufcmM"
    return zlib.crc32(values.tobytes() if plain else repr(values.tolist()).encode("utf-8", "replace"))


def _forget(key: int, gone: weakref.ref[Any]) -> None:
    """Drop the entry of a dead object, unless its address was already taken over by another."""
    with _lock:
        known = _known.get(key)
        if known is not None and known[0] is gone:
            del _known[key]
