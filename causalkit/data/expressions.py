"""What a value of a lazy table is (null, NaN, infinite), as expressions that an engine computes."""

from __future__ import annotations

import narwhals as nw

_INFINITY = float("inf")


def is_infinite(name: str) -> nw.Expr:
    """Return whether a floating column is plus or minus infinity; a null is not."""
    return (nw.col(name).abs() == _INFINITY).fill_null(False)


def is_nan(name: str) -> nw.Expr:
    """Return whether a floating column is NaN; a null is not."""
    # not is_nan(): DuckDB folds isnan() to false on Parquet files whose statistics leave NaN out, which is what Arrow,
    # polars and Spark write (duckdb/duckdb#25521); isfinite() is computed from the values
    return ~nw.col(name).is_finite().fill_null(True) & ~is_infinite(name)


def is_missing(name: str, floating: bool = True) -> nw.Expr:
    """Return whether a column is null or, where it is floating, NaN."""
    return nw.col(name).is_null() | is_nan(name) if floating else nw.col(name).is_null()


def indicator(condition: nw.Expr) -> nw.Expr:
    """Return 1 where a condition holds, else 0 (also where it is null), for counting."""
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0))
