"""The answer does not depend on the width of a dtype, the type of a label, or the library of the table."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from causalkit.testing.probe import probe
from causalkit.testing.subject import Subject

NUMERIC = ("number", "weights", "propensity")


def _numeric_columns(subject: Subject) -> list[str]:
    from pandas.api.types import is_numeric_dtype

    named = [name for _, name in subject.columns(*NUMERIC, "features", "treatment")]
    return [name for name in dict.fromkeys(named) if is_numeric_dtype(subject.data[name])]


def _label_columns(subject: Subject) -> list[str]:
    # The labels of times have an order that other labels would not keep.
    named = [name for role, name in subject.columns("label", "treatment", "features") if role != "time"]
    return [name for name in dict.fromkeys(named) if name not in _numeric_columns(subject)]


def _is_whole(values: Any) -> bool:
    numbers = values.to_numpy(float)
    return bool(np.all(numbers == np.round(numbers)) and np.all(np.abs(numbers) < 127))


def _retyped(subject: Subject, whole: Any, real: Any) -> Any:
    """Return the study with its whole numbers as one dtype and the others as another."""
    data = subject.data.copy()
    for name in _numeric_columns(subject):
        wanted = whole if _is_whole(data[name]) else real
        data[name] = wanted(data[name]) if callable(wanted) else data[name].astype(wanted)
    return data


@probe()
def narrow_numbers(subject: Subject) -> None:
    """int8 and float32 give the numbers of int64 and float64."""
    subject.require_same(subject.fit(_retyped(subject, "int8", "float32")), "int8 and float32")


@probe()
def nullable_numbers(subject: Subject) -> None:
    """Int64 and Float64 give the numbers of int64 and float64."""
    subject.require_same(subject.fit(_retyped(subject, "Int64", "Float64")), "Int64 and Float64")


@probe(slow=True)
def object_numbers(subject: Subject) -> None:
    """Python numbers in an object column give the numbers of int64 and float64."""
    whole, real = (lambda v: v.map(int).astype(object)), (lambda v: v.map(float).astype(object))
    subject.require_same(subject.fit(_retyped(subject, whole, real)), "Python objects")


@probe(when=lambda _: find_spec("pyarrow") is not None, slow=True)
def arrow_numbers(subject: Subject) -> None:
    """Columns backed by Arrow give the numbers of int64 and float64."""
    data = _retyped(subject, "int16[pyarrow]", "double[pyarrow]")
    subject.require_same(subject.fit(data), "Arrow columns")


@probe(when=lambda s: s.has_arms)
def booleans(subject: Subject) -> None:
    """Arms as bool, ``boolean``, 0/1 and float 0/1 give the numbers of named arms."""
    name = str(subject.column("treatment"))
    if subject.data[name].nunique() != 2:
        return
    treated = subject.data[name] != subject.keywords["control"]
    kinds = ["bool", "int8"] if subject.fast else ["bool", "boolean", "int8", "Float64", "object"]
    for kind in kinds:
        data = subject.data.assign(**{name: treated.astype(kind)})
        subject.require_same(subject.fit(data, control=None), f"arms as {kind}")


def _recoded(values: Any) -> Any:
    """Number the labels, in another order than the alphabet's."""
    labels = sorted(values.unique(), key=lambda label: str(label)[::-1])
    return values.map({label: 3 * position + 2 for position, label in enumerate(labels)})


@probe()
def integer_labels(subject: Subject) -> None:
    """Clusters, units and arms may be numbers."""
    changes: dict[str, Any] = {}
    data = subject.data.copy()
    for role, name in subject.columns("label", "treatment"):
        if name not in _label_columns(subject):
            continue
        numbers = _recoded(data[name])
        if role == "treatment" and "control" in subject.keywords:
            changes["control"] = int(numbers[data[name] == subject.keywords["control"]].iloc[0])
        data[name] = numbers
    subject.require_same(subject.fit(data, **changes), "integer labels")


@probe()
def categorical_labels(subject: Subject) -> None:
    """Categories, with unused ones and in another order, give the numbers of text."""
    import pandas as pd

    data = subject.data.copy()
    for name in _label_columns(subject):
        levels = ["unused", *sorted(data[name].unique(), reverse=True), "also unused"]
        data[name] = pd.Categorical(data[name], categories=levels)
    subject.require_same(subject.fit(data), "categorical labels")


@probe(when=lambda _: find_spec("pyarrow") is not None, slow=True)
def arrow_labels(subject: Subject) -> None:
    """Arrow strings give the numbers of text; so do plain objects."""
    import pandas as pd

    pa = import_module("pyarrow")

    for told, kind in (("Arrow strings", pd.ArrowDtype(pa.string())), ("objects", object)):
        data = subject.data.copy()
        for name in _label_columns(subject):
            data[name] = data[name].astype(kind)
        subject.require_same(subject.fit(data), told)


@probe(when=lambda _: find_spec("polars") is not None)
def polars_table(subject: Subject) -> None:
    """polars, eager and lazy, gives the numbers of pandas."""
    import polars as pl

    table = pl.DataFrame({name: subject.data[name].tolist() for name in subject.data.columns})
    subject.require_same(subject.fit(table), "polars")
    if not subject.fast:
        subject.require_same(subject.fit(table.lazy()), "polars LazyFrame")


@probe(when=lambda _: find_spec("pyarrow") is not None, slow=True)
def arrow_table(subject: Subject) -> None:
    """A pyarrow table gives the numbers of pandas."""
    pa = import_module("pyarrow")

    table = pa.table({name: subject.data[name].tolist() for name in subject.data.columns})
    subject.require_same(subject.fit(table), "pyarrow")


@probe(when=lambda _: find_spec("duckdb") is not None)
def duckdb_relation(subject: Subject) -> None:
    """A DuckDB relation gives the numbers of pandas."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("study", subject.data)
        subject.require_same(subject.fit(connection.table("study")), "DuckDB")
