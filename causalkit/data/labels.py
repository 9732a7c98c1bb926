"""Labels as plain Python values in one order, whatever library or dtype they came from."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Codes

_MIDNIGHT = datetime.time()


def plain_label(value: Any) -> object:
    """Return one label as a plain Python value, or None where it is missing.

    Whole numbers of any type become int, other numbers float; numpy and pandas scalars become the Python types that
    they stand for; strings lose their subclass. Anything else is returned as it is.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, np.timedelta64):
        return int(value)
    if isinstance(value, (float, np.floating, Decimal)):
        return _plain_number(float(value), value)
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return _plain_time(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    return _plain_time(value) if isinstance(value, (datetime.datetime, datetime.timedelta)) else value


def plain_labels(codes: Codes, distinct: list[Any]) -> tuple[Codes, list[object]]:
    """Make distinct values plain; values that become equal share a code, missing ones get -1.

    Datetimes without a zone that all fall on midnight become dates, so a column of days has the same labels as
    ``date`` and as ``datetime``.
    """
    if set(map(type, distinct)) == {str}:
        return codes, distinct
    plain = _days([plain_label(value) for value in distinct])
    position: dict[object, int] = {}
    table = np.full(len(plain) + 1, -1, dtype=np.int32)
    for old, label in enumerate(plain):
        if label is not None:
            table[old] = position.setdefault(label, len(position))
    return table[codes], list(position)


def in_order(codes: Codes, labels: list[Any]) -> tuple[Codes, tuple[object, ...]]:
    """Sort labels and renumber the codes: numbers and times by value, text by code point, mixtures by type and text."""
    types = {"str"} if set(map(type, labels)) == {str} else {_family(label) for label in labels}
    by_value = len(types) == 1 and types <= {"number", "bool", "str", "date", "datetime", "time", "timedelta"}
    try:
        order = _argsort(labels) if by_value else _argsort([(type(label).__name__, str(label)) for label in labels])
    except TypeError:  # datetimes with and without a zone can't be compared
        order = _argsort([(type(label).__name__, str(label)) for label in labels])
    rank = np.full(len(labels) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[codes], tuple(map(labels.__getitem__, order))


def _argsort(keys: list[Any]) -> list[int]:
    return sorted(range(len(keys)), key=keys.__getitem__)


def _family(label: object) -> str:
    """Return the name of the group of labels that can be compared with this one."""
    if isinstance(label, bool):
        return "bool"
    if isinstance(label, (int, float, Decimal)):
        return "number"
    for kind in (str, datetime.datetime, datetime.date, datetime.time, datetime.timedelta):
        if isinstance(label, kind):
            return kind.__name__
    return type(label).__name__


def _plain_number(number: float, original: Any) -> object:
    if np.isnan(number):
        return None
    if np.isinf(number):
        return number
    return int(original) if original == int(original) else number


def _plain_time(value: Any) -> object:
    """Return a datetime or timedelta of the standard library; one with nanoseconds stays a pandas scalar."""
    import pandas as pd

    stamp = pd.Timedelta(value) if isinstance(value, (np.timedelta64, datetime.timedelta)) else pd.Timestamp(value)
    if stamp is pd.NaT:
        return None
    if isinstance(stamp, pd.Timedelta):
        return stamp if stamp.nanoseconds else stamp.to_pytimedelta()
    return stamp if stamp.nanosecond else stamp.to_pydatetime()


def _days(labels: list[object]) -> list[object]:
    """Turn datetimes into dates when all of them are whole days without a zone."""
    present = [label for label in labels if label is not None]
    if present and all(_is_day(label) for label in present):
        return [label.date() if isinstance(label, datetime.datetime) else label for label in labels]
    return labels


def _is_day(label: object) -> bool:
    if isinstance(label, datetime.datetime):
        return label.tzinfo is None and label.time() == _MIDNIGHT and not getattr(label, "nanosecond", 0)
    return isinstance(label, datetime.date)
