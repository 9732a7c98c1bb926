"""What differs between the engines behind a lazy table: choosing columns by hostile names, and fetching rows."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from causalkit.data.quoting import quote_identifier


def is_spark(table: Any) -> bool:
    """Return whether a narwhals table is a Spark DataFrame."""
    return bool(table.implementation.is_pyspark() or table.implementation.is_pyspark_connect())


def is_duckdb(table: Any) -> bool:
    """Return whether a narwhals table is a DuckDB relation."""
    return bool(table.implementation.is_duckdb())


def choose(table: Any, names: list[str]) -> Any:
    """Return the narwhals table with these columns only, taken by position or quoted, so that any name will do."""
    if is_spark(table):
        return nw.from_native(table.to_native().select(*("`" + name.replace("`", "``") + "`" for name in names)))
    if is_duckdb(table):
        return nw.from_native(table.to_native().project(", ".join(map(quote_identifier, names))))
    place = {name: at for at, name in enumerate(table.collect_schema().names())}
    if isinstance(table, nw.DataFrame):  # a tenth of what expressions cost, which tables of few rows feel
        return table[:, [place[name] for name in names]]
    return table.select(*(nw.nth(place[name]) for name in names))


def renamed(table: Any, names: list[str]) -> Any:
    """Return the narwhals table with new column names, given in the order of its columns."""
    if is_spark(table):
        return nw.from_native(table.to_native().toDF(*names))
    if is_duckdb(table):
        old = table.collect_schema().names()
        pairs = (f"{quote_identifier(a)} AS {quote_identifier(b)}" for a, b in zip(old, names, strict=True))
        return nw.from_native(table.to_native().project(", ".join(pairs)))
    return table.select(*(nw.nth(place).alias(name) for place, name in enumerate(names)))


def fetch(lazy: nw.LazyFrame[Any]) -> Any:
    """Bring a lazy table into memory: polars stays polars, other engines answer with Arrow, or pandas without it."""
    if lazy.implementation.is_polars():
        return lazy.collect().to_native()
    native = lazy.to_native()
    if is_spark(lazy) and not hasattr(native, "toArrow"):
        return native.toPandas()
    try:
        return lazy.collect("pyarrow").to_native()
    except ImportError:
        return lazy.collect("pandas").to_native()


def fetch_small(lazy: nw.LazyFrame[Any]) -> Any:
    """Bring a few rows into memory as any native table; Spark needs neither Arrow nor pandas for it."""
    if not is_spark(lazy):
        return fetch(lazy)
    import pandas as pd

    native = lazy.to_native()
    rows = native.collect()
    columns = {name: [row[place] for row in rows] for place, name in enumerate(native.columns)}
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
