"""The one dataframe contract: any table in, numpy arrays and codes out."""

from __future__ import annotations

import difflib
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import narwhals as nw
import numpy as np

from causalkit.data import columns as _columns
from causalkit.data.columns import Kind
from causalkit.data.engines import choose, fetch
from causalkit.data.identity import columns_and_marks, plain_array, token_of
from causalkit.data.regular import Regular
from causalkit.errors import DataError
from causalkit.kernels.arrays import Bools, Codes, Floats

_ACCEPTED = (
    "Pass a pandas, polars or pyarrow table, a dict of equally long columns, or a lazy table "
    "(polars LazyFrame, DuckDB relation, PySpark DataFrame, Ibis table)."
)


def first_rows(mask: Bools, k: int = 3) -> tuple[int, ...]:
    """Return the positions, from zero, of the first ``k`` rows where ``mask`` is True."""
    return tuple(int(row) for row in np.flatnonzero(mask)[:k])


@dataclass(frozen=True, eq=False)
class Frame:
    """A read-only view of a user's table; it is never changed and nothing is written into it.

    Build it with `Frame.read`. The columns of an eager table come out as new numpy arrays, and what comes out depends
    on the values only: not on the library, the dtype width, or how a missing value is written. Asking a lazy table for
    values is a DataError: `select` the columns and `collect` first.

    Attributes
    ----------
    table : narwhals DataFrame or LazyFrame
        The table as narwhals sees it; ``table.to_native()`` gives it back.
    token : str
        Identity of the table object that was read: the same live object has the same token. It survives `select`.
        Collecting a lazy table gives a new one, because an engine may return the rows in another order.
    """

    table: Any
    token: str

    @classmethod
    def read(cls, data: Any) -> Frame:
        """Read a table.

        Parameters
        ----------
        data : Frame, pandas, polars or pyarrow table, dict of columns, or a lazy table that narwhals reads
            Column names of pandas that are not strings are read as ``str(name)``.

        Raises
        ------
        DataError
            When it is not a table, or when two columns have the same name.
        """
        if isinstance(data, Frame):
            return data
        original = nw.to_native(data, pass_through=True)
        native = _from_dict(original) if isinstance(original, Mapping) else original
        names = _refuse_duplicates(native)
        if _is_pandas(native) and all(isinstance(name, str) for name in names):
            return _PandasFrame.of(native, original, names)
        try:
            table: Any = nw.from_native(_with_text_names(native, names))
        except nw.exceptions.DuplicateError as error:
            raise DataError(f"Two columns have the same name: {error}", hint="Rename one of them.") from error
        except TypeError as error:
            raise DataError(f"Can't read a table from {_type_name(data)}.", hint=_ACCEPTED) from error
        if not isinstance(table, (nw.DataFrame, nw.LazyFrame)):
            raise DataError(f"Can't read a table from {_type_name(data)}.", hint=_ACCEPTED)
        return cls(table, token_of(original))

    @property
    def is_lazy(self) -> bool:
        """Whether the values stay in an engine until they are collected."""
        return isinstance(self.table, nw.LazyFrame)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The column names in the order of the table."""
        return tuple(self.table.collect_schema().names()) if self.is_lazy else tuple(self.table.columns)

    @property
    def n_rows(self) -> int:
        """The number of rows of an eager table."""
        return len(self._eager("the number of rows"))

    def require(self, columns: str | Iterable[str]) -> None:
        """Check that every column is there.

        Raises
        ------
        DataError
            Naming the first unknown column, close matches, and the columns that there are.
        """
        known = self.columns
        for name in (columns,) if isinstance(columns, str) else tuple(columns):
            if not isinstance(name, str):
                raise DataError(f"A column name must be a string, got {name!r}.", hint=_listing(known))
            if name not in known:
                raise DataError(
                    f"There is no column {name!r}.{_did_you_mean(name, known)}", hint=_listing(known), column=name
                )

    def select(self, columns: str | Iterable[str]) -> Frame:
        """Return the frame with these columns only, each once, in the order given; the token stays."""
        names = list(dict.fromkeys((columns,) if isinstance(columns, str) else columns))
        self.require(names)
        return Frame(choose(self.table, names), self.token)

    def collect(self) -> Frame:
        """Return an eager frame: itself, or the columns of the lazy table brought into memory."""
        if not self.is_lazy:
            return self
        return Frame.read(fetch(self.table))

    def numeric(self, name: str) -> Floats:
        """Return a column as a new float64 array.

        Any kind of missing value is NaN, False and True are 0 and 1, infinite values stay infinite.

        Raises
        ------
        DataError
            When the column holds text (even digits), categories, dates or objects.
        """
        return _columns.to_numeric(self._series(name))

    def labels(self, name: str) -> tuple[Codes, tuple[object, ...]]:
        """Return codes and labels of a column.

        Returns
        -------
        codes : int32 array
            For each row the position of its label, or -1 where the value is missing.
        labels : tuple
            The distinct values as plain Python values (bool, int, float, str, date, ...). Whole numbers are int
            whatever the dtype, days without a time are dates. Numbers and dates are sorted by value, text by code
            point, columns of mixed types by type name and text.
        """
        return _columns.to_labels(self._series(name))

    def regular(self, name: str) -> Regular | None:
        """Return how a column of whole numbers repeats: the codes and labels of `labels`, not written out; else None."""
        return _columns.to_regular(_columns.plain_values(self._series(name)))

    def missing(self, name: str) -> Bools:
        """Return True where a value is None, NaN, NA or NaT."""
        return _columns.to_missing(self._series(name))

    def infinite(self, name: str) -> Bools:
        """Return True where a value is plus or minus infinity; a column that is not numeric has none."""
        if self.is_numeric(name):
            return np.isinf(self.numeric(name))
        return np.zeros(self.n_rows, dtype=np.bool_)

    def is_numeric(self, name: str) -> bool:
        """Return whether `numeric` can read the column: numbers, decimals, booleans, or only missing values."""
        return self._kind(name) in (Kind.NUMBER, Kind.BOOLEAN, Kind.EMPTY)

    def is_boolean(self, name: str) -> bool:
        """Return whether the column holds True and False (not 0 and 1)."""
        return self._kind(name) is Kind.BOOLEAN

    def is_text(self, name: str) -> bool:
        """Return whether the column holds strings or categories (categories of numbers too)."""
        return self._kind(name) is Kind.TEXT

    def is_temporal(self, name: str) -> bool:
        """Return whether the column holds dates, times or durations."""
        return self._kind(name) is Kind.TEMPORAL

    def _kind(self, name: str) -> Kind:
        if not self.is_lazy:
            return _columns.kind_of(self._series(name))
        self.require(name)
        return _columns.kind_of_dtype(self.table.collect_schema()[name]) or Kind.OTHER

    def _series(self, name: str) -> nw.Series[Any]:
        eager = self._eager(f"the values of column {name!r}")
        self.require(name)
        series: nw.Series[Any] = eager.get_column(name)
        return series

    def _eager(self, wanted: str) -> Any:
        if self.is_lazy:
            raise DataError(f"A lazy table can't give {wanted}.", hint="Select the columns and collect() it first.")
        return self.table


class _PandasFrame(Frame):
    """A pandas table, whose columns are read without another library where numpy holds them."""

    def __init__(self, table: Any, token: str) -> None:
        native = table.to_native()
        vars(self).update(table=table, _native=native, _held={}, token=token, columns=tuple(native.columns))

    @classmethod
    def of(cls, native: Any, original: Any, names: list[Any]) -> Frame:
        """Return the frame of a table with text for names, made of what the user gave."""
        held, marks = columns_and_marks(native)
        token = token_of(original, marks) if original is native else token_of(original)
        frame = object.__new__(cls)
        vars(frame).update(_native=native, _held=held, token=token, columns=tuple(names))
        return frame

    @cached_property
    def table(self) -> Any:
        return nw.from_native(vars(self)["_native"])

    @property
    def is_lazy(self) -> bool:
        return False

    @property
    def n_rows(self) -> int:
        return len(vars(self)["_native"])

    def numeric(self, name: str) -> Floats:
        values = self._plain(name)
        if values is None or values.dtype.kind not in _columns.PLAIN:
            return super().numeric(name)
        return np.array(values, dtype=np.float64)

    def labels(self, name: str) -> tuple[Codes, tuple[object, ...]]:
        return _columns.count_labels(self._plain(name)) or super().labels(name)

    def regular(self, name: str) -> Regular | None:
        return _columns.to_regular(self._plain(name))

    def _kind(self, name: str) -> Kind:
        values = self._plain(name)
        known = None if values is None else _columns.PLAIN.get(values.dtype.kind)
        return super()._kind(name) if known is None else known

    def _plain(self, name: str) -> Any:
        """Return what numpy holds of a column, not to be written to; else None."""
        held = vars(self)["_held"]
        if name not in held:
            self.require(name)
            held[name] = plain_array(vars(self)["_native"][name])
        return held[name]


def _is_pandas(native: Any) -> bool:
    """Whether it is a plain pandas table, no subclass."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and type(native) is pandas.DataFrame


def _from_dict(columns: Mapping[Any, Any]) -> Any:
    """Build a pandas table from a dict of columns."""
    import pandas as pd

    try:
        return pd.DataFrame(dict(columns))
    except (ValueError, TypeError) as error:
        raise DataError(f"Can't make a table of the dict: {error}.", hint="Give columns of equal length.") from error


def _refuse_duplicates(native: Any) -> list[Any]:
    """Return the column names; raise when two columns share one, which narwhals can't see in every engine."""
    names = getattr(native, "column_names", None)  # pyarrow: .columns are the arrays
    if not isinstance(names, (list, tuple)):
        names = getattr(native, "columns", ()) if type(native).__name__ != "LazyFrame" else ()
    try:
        listed = list(names)
    except TypeError:
        return []
    twice = [name for name, count in Counter(map(str, listed)).items() if count > 1]
    if twice:
        shown = ", ".join(repr(name) for name in twice[:3])
        raise DataError(f"More than one column is named {shown}.", hint="Rename or drop the copies.", column=twice[0])
    return listed


def _with_text_names(native: Any, names: list[Any]) -> Any:
    """Return a pandas table whose column names are strings; other tables as they are."""
    if not hasattr(native, "set_axis") or all(isinstance(name, str) for name in names):
        return native
    return native.set_axis([str(name) for name in names], axis=1)


def _did_you_mean(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    lowered = [other for other in known if other.lower() == name.lower() and other not in close]
    found = lowered + close
    return f" Did you mean {' or '.join(repr(other) for other in found)}?" if found else ""


def _listing(known: tuple[str, ...], limit: int = 30) -> str:
    shown = ", ".join(known[:limit])
    return f"Available columns: {shown}{f' and {len(known) - limit} more' if len(known) > limit else ''}."


def _type_name(data: object) -> str:
    kind = type(data)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
