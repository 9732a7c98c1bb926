"""One column of an eager table to numpy: its kind, its numbers, its labels, its missing values.

Every function takes a narwhals Series and returns new arrays; the answer depends on the values, never on the library,
the dtype width or the way in which a missing value was written.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causalkit.data.identity import plain_array
from causalkit.data.labels import in_order, plain_labels
from causalkit.data.regular import Regular, regular
from causalkit.errors import DataError
from causalkit.kernels.arrays import Bools, Codes, Floats

_INT64 = 2.0**63
_Objects = NDArray[np.object_]

#: Rows that are looked at before all of them are.
_SOME = 1024

#: Whole numbers within this range are counted however few rows there are.
_NARROW = 10_000


class Kind(Enum):
    """What the values of a column are, whatever the dtype that holds them."""

    BOOLEAN = "boolean"
    NUMBER = "numeric"
    TEXT = "text or categories"
    TEMPORAL = "dates or times"
    EMPTY = "only missing values"
    OTHER = "objects"


#: What numpy's kinds of dtype say without a doubt.
PLAIN = {"b": Kind.BOOLEAN, "i": Kind.NUMBER, "u": Kind.NUMBER, "f": Kind.NUMBER}


def kind_of_dtype(dtype: Any) -> Kind | None:
    """Return the kind that a narwhals dtype implies, or None when only the values can tell."""
    if dtype == nw.Boolean:
        return Kind.BOOLEAN
    if dtype.is_numeric():
        return Kind.NUMBER
    if dtype in (nw.String, nw.Categorical, nw.Enum):
        return Kind.TEXT
    return Kind.TEMPORAL if dtype.is_temporal() else None


def kind_of(series: nw.Series[Any]) -> Kind:
    """Return the kind of a column; object columns are judged by the types of their values that are not missing."""
    kind = _declared_kind(series)
    if kind is not None:
        return kind
    values = _objects(series)
    return _kind_of_types(set(map(type, values[~_absent(values)])))


def to_numeric(series: nw.Series[Any]) -> Floats:
    """Return the column as a new float64 array with NaN wherever a value is missing; infinite values are kept.

    Raises
    ------
    DataError
        When the column holds text, categories, dates or other objects: nothing is converted behind the user's back.
    """
    kind = _declared_kind(series)
    if kind in (Kind.NUMBER, Kind.BOOLEAN):
        return _dense_numeric(series)
    if kind is None:
        values = _objects(series)
        absent = _absent(values)
        if _kind_of_types(set(map(type, values[~absent]))) in (Kind.NUMBER, Kind.BOOLEAN, Kind.EMPTY):
            values[absent] = np.nan
            return values.astype(np.float64)
    raise _not_numeric(series, kind_of(series))


def to_labels(series: nw.Series[Any]) -> tuple[Codes, tuple[object, ...]]:
    """Return int32 codes (-1 is missing) and the sorted distinct labels as plain Python values.

    Raises
    ------
    DataError
        When the values can't be told apart by hashing (lists, arrays).
    """
    kind = _declared_kind(series)
    counted = count_labels(plain_values(series))
    if counted is not None:
        return counted
    if kind is None:
        values = _objects(series)
        types = set(map(type, values[~_absent(values)]))
        kind = _kind_of_types(types)
        found = _distinct_objects(series, _without_booleans(values) if _mixes_booleans(kind, types) else values)
    else:
        found = _distinct(series)
    return _number_labels(found) if kind is Kind.NUMBER else in_order(*_plain(found))


def to_regular(values: Any) -> Regular | None:
    """Return how whole numbers repeat; None for other columns, and where they follow no simple rule.

    Parameters
    ----------
    values : array, or None
        What numpy holds of a column.
    """
    if values is None or values.dtype.kind not in "iu":
        return None
    return regular(values, count_labels)


def to_missing(series: nw.Series[Any]) -> Bools:
    """Return True where the value is None, NaN, NA or NaT."""
    kind = _declared_kind(series)
    if kind is Kind.NUMBER:
        return np.isnan(_dense_numeric(series))
    if kind is None:
        return _absent(_objects(series))
    return np.array(series.is_null().to_numpy(), dtype=np.bool_)


def _declared_kind(series: nw.Series[Any]) -> Kind | None:
    """Return the kind by dtype, but never trust it for a pandas object column: it is guessed from the first rows."""
    values = plain_values(series)
    if values is None or values.dtype.kind not in PLAIN:
        return None if values is not None and values.dtype.kind == "O" else kind_of_dtype(series.dtype)
    return PLAIN[values.dtype.kind]


def plain_values(series: nw.Series[Any]) -> Any:
    """Return the array behind a pandas column that numpy holds, not to be written to; else None."""
    if not series.implementation.is_pandas():
        return None
    return plain_array(series.to_native())


def _kind_of_types(types: set[type]) -> Kind:
    """Judge an object column by the types that occur in it."""
    import datetime
    from decimal import Decimal
    from numbers import Real

    def all_are(*bases: type) -> bool:
        return all(issubclass(one, bases) for one in types)

    if not types:
        return Kind.EMPTY
    if all_are(bool, np.bool_):
        return Kind.BOOLEAN
    if all_are(Real, Decimal, np.bool_) and not any(issubclass(one, np.timedelta64) for one in types):
        return Kind.NUMBER
    if all_are(str):
        return Kind.TEXT
    if all_are(datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64):
        return Kind.TEMPORAL
    return Kind.OTHER


def _mixes_booleans(kind: Kind, types: set[type]) -> bool:
    return kind is Kind.NUMBER and not types.isdisjoint((bool, np.bool_))


def _without_booleans(values: _Objects) -> _Objects:
    """Turn True into 1 among other numbers: they hash alike, so the first to come would name the label."""
    return np.array([int(value) if isinstance(value, (bool, np.bool_)) else value for value in values], dtype=object)


def _objects(series: nw.Series[Any]) -> _Objects:
    """Return a new object array of the Python values."""
    values = np.empty(len(series), dtype=object)
    values[:] = series.to_list()
    return values


def _absent(values: _Objects) -> Bools:
    """Return where an object array holds a missing value of any kind."""
    import pandas as pd

    return np.asarray(pd.isna(values), dtype=np.bool_)


def _as_pandas(series: nw.Series[Any]) -> Any:
    """Return a pandas Series that shares the column's memory where it can."""
    import pandas as pd

    if series.implementation.is_pandas():
        return series.to_native()
    if series.implementation.is_pyarrow():
        return pd.Series(pd.arrays.ArrowExtensionArray(series.to_native()))
    return series.to_pandas()


def _decoded(native: Any) -> Any:
    """Return a pandas Series without Arrow's dictionary encoding, which pandas can't factorize beside nulls."""
    import pandas as pd

    encoded = isinstance(native.dtype, pd.ArrowDtype) and hasattr(native.dtype.pyarrow_dtype, "value_type")
    if not encoded or not hasattr(native.dtype.pyarrow_dtype, "index_type"):
        return native
    return native.astype(pd.ArrowDtype(native.dtype.pyarrow_dtype.value_type))


def _dense_numeric(series: nw.Series[Any]) -> Floats:
    """Return a numeric or boolean column as new float64 memory."""
    if series.implementation.is_polars():
        return np.array(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    native = _as_pandas(series)
    if isinstance(native.dtype, np.dtype):
        return np.array(native.to_numpy(), dtype=np.float64)
    return np.array(native.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def count_labels(values: Any) -> tuple[Codes, tuple[object, ...]] | None:
    """Return codes and labels of whole numbers that lie close together, by counting instead of hashing; else None."""
    if values is None or values.dtype.kind not in "iu" or not len(values):
        return None
    low = int(values.min())
    span = int(values.max()) - low
    if span > max(2 * len(values), _NARROW) or low + span >= _INT64:
        return None
    offset = (values.astype(np.int64) - low) if low else values
    there = _occurring(offset, span + 1)
    if there is None:
        return offset.astype(np.int32), tuple(range(low, low + span + 1))
    codes = (np.cumsum(there, dtype=np.int32) - np.int32(1))[offset]
    return codes, tuple((np.flatnonzero(there) + low).tolist())


def _occurring(offset: Any, count: int) -> Bools | None:
    """Return which of the numbers below ``count`` occur, or None where all do; often a look at a few rows can tell."""
    there = np.zeros(count, dtype=np.bool_)
    there[offset[:_SOME]] = True
    if there.all() or (offset[0] == 0 and offset[-1] == count - 1 and _climbs(offset)):
        return None
    there[offset] = True
    return None if there.all() else there


def _climbs(numbers: Any) -> bool:
    """Whether no number is below the one before it, nor above it by more than one."""
    for first in range(0, len(numbers) - 1, _SOME * _SOME):
        some = numbers[first : first + _SOME * _SOME + 1]
        steps = some[1:] - some[:-1]
        if steps.min() < 0 or steps.max() > 1:
            return False
    return True


def _distinct(series: nw.Series[Any]) -> tuple[Codes, Any]:
    """Return codes and the distinct values in any order, by the hash table of the library that holds the column."""
    import pandas as pd

    if not series.implementation.is_polars():
        codes, distinct = pd.factorize(_decoded(_as_pandas(series)))
        return codes.astype(np.int32), distinct
    if series.dtype == nw.Decimal:  # not every polars can hash them
        return _distinct_objects(series, _objects(series))
    if series.dtype in (nw.Categorical, nw.Enum):
        series = series.cast(nw.String)
    values = series.unique().drop_nulls()
    if len(values) == 0:
        return np.full(len(series), -1, dtype=np.int32), []
    numbers = list(range(len(values)))
    codes = series.to_native().replace_strict(values.to_native(), numbers, default=-1).to_numpy()
    return codes.astype(np.int32), values.to_numpy() if _is_plain_number(series.dtype) else values.to_list()


def _is_plain_number(dtype: Any) -> bool:
    """Return whether numpy holds the dtype without loss."""
    return bool(dtype.is_integer() or dtype.is_float()) and dtype not in (nw.Int128, nw.UInt128)


def _distinct_objects(series: nw.Series[Any], values: _Objects) -> tuple[Codes, Any]:
    """Return codes and distinct values of an object array."""
    import pandas as pd

    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError(
            f"Column {series.name!r} holds values that can't be told apart ({error}).",
            hint="Store one string, number or date in each row.",
            column=series.name,
        ) from error
    return codes.astype(np.int32), distinct


def _plain(found: tuple[Codes, Any]) -> tuple[Codes, list[object]]:
    codes, distinct = found
    return plain_labels(codes, distinct.tolist() if hasattr(distinct, "tolist") else list(distinct))


def _number_labels(found: tuple[Codes, Any]) -> tuple[Codes, tuple[object, ...]]:
    """Sort numeric labels; numpy does it where every value is an int64 or a whole float."""
    codes, distinct = found
    array = _numbers_array(distinct)
    if array is None or np.isnan(array.astype(np.float64)).any():
        return in_order(*_plain(found))
    order = np.argsort(array, kind="stable")
    return _recode(codes, order), tuple(_python_numbers(array[order]))


def _python_numbers(ordered: Any) -> list[Any]:
    """Return numbers as int where they are whole, else as float."""
    if ordered.dtype.kind in "iu":
        return list(ordered.tolist())
    whole = np.isfinite(ordered) & (np.trunc(ordered) == ordered)
    if np.all(whole & (np.abs(ordered) < _INT64)):
        return list(ordered.astype(np.int64).tolist())
    return [int(number) if is_whole else number for number, is_whole in zip(ordered.tolist(), whole, strict=True)]


def _numbers_array(distinct: Any) -> Any:
    """Return distinct numbers as an int or float numpy array, or None where that could lose a digit."""
    array = distinct if isinstance(distinct, np.ndarray) else getattr(distinct, "to_numpy", lambda: None)()
    if array is None or array.dtype.kind not in "iuf":
        return None
    return array.astype(np.float64) if array.dtype == np.float16 else array


def _recode(codes: Codes, order: Any) -> Codes:
    """Move codes to the sorted positions; the extra last slot keeps -1 for missing values."""
    rank = np.full(len(order) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[codes]


def _not_numeric(series: nw.Series[Any], kind: Kind) -> DataError:
    """Build the error for a column that is not made of numbers."""
    present = np.flatnonzero(~to_missing(series))
    row = int(present[0]) if len(present) else 0
    shown = f" (row {row} holds {series.to_list()[row]!r})" if len(present) else ""
    if kind is Kind.TEXT:
        hint = "Convert it to a number first, or use it as a category."
    elif kind is Kind.TEMPORAL:
        hint = "Convert it to a number first, such as days since the first date."
    else:
        hint = "Keep only numbers and missing values in it."
    return DataError(
        f"Column {series.name!r} must be numeric, but it holds {kind.value}{shown}.",
        hint=hint,
        column=series.name,
        rows=[row] if len(present) else (),
    )
