"""Moments of a lazy table: one pivot query and one aggregate query, run where the data are."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from causalkit.data.cells import CellSums, check_sums, coarse, describe_cell
from causalkit.data.engines import fetch_small, renamed
from causalkit.data.expressions import indicator, is_infinite, is_missing, is_nan
from causalkit.data.frame import Frame
from causalkit.data.in_memory import Request
from causalkit.errors import DataError
from causalkit.kernels.arrays import Floats


def moments_pushed_down(frame: Frame, request: Request) -> tuple[CellSums, Floats, int]:
    """Return the sums by cell, the pivot, and the number of rows dropped.

    The sums of squares are taken around the pivot, the mean of the whole table, so a cell keeps
    ``log10(1 + ((cell mean - pivot) / sd)**2)`` digits less than the sixteen of a double.
    """
    table = _prepared(frame, request)
    pivot = _pivot(table, len(request.columns)) if request.pivot is None else request.pivot
    table = _flagged(table, request, pivot)
    names = [f"k{place}" for place in range(len(request.by))]
    sums = _aggregates(request)
    lazy = table.group_by(*names).agg(*sums) if names else table.select(*sums)
    return _read(Frame.read(fetch_small(lazy)), request, pivot)


def _prepared(frame: Frame, request: Request) -> Any:
    """Return the columns asked for under our own names: x0.. and w as floating point, k0.. as they are."""
    numbers = _numbers(request)
    for name in numbers:
        if not frame.is_numeric(name):
            raise DataError(
                f"Column {name!r} must be numeric, but its type is {frame.table.collect_schema()[name]}.",
                hint="Convert it to a number first, or use it as a category.",
                column=name,
            )
    needed = list(dict.fromkeys((*numbers, *request.by)))
    table = renamed(frame.select(needed).table, [f"c{place}" for place in range(len(needed))])
    source = {name: nw.col(f"c{place}") for place, name in enumerate(needed)}
    floats = [source[name].cast(nw.Float64).alias(f"x{place}") for place, name in enumerate(numbers)]
    return table.select(*floats, *(source[name].alias(f"k{place}") for place, name in enumerate(request.by)))


def _numbers(request: Request) -> tuple[str, ...]:
    """Return the numeric columns: those asked for, then the weights."""
    return request.columns if request.weights is None else (*request.columns, request.weights)


def _pivot(table: Any, k: int) -> Floats:
    """Query the mean of the finite values of each column, rounded so that it does not hang on the order of the sum."""
    finite = [
        nw.when(~is_missing(f"x{place}") & ~is_infinite(f"x{place}")).then(nw.col(f"x{place}")).alias(f"x{place}")
        for place in range(k)
    ]
    means = Frame.read(fetch_small(table.select(*finite).select(*(nw.col(f"x{place}").mean() for place in range(k)))))
    return coarse(np.nan_to_num(np.array([means.numeric(f"x{place}")[0] for place in range(k)])))


def _flagged(table: Any, request: Request, pivot: Floats) -> Any:
    """Add the flags that are counted and, where a row is complete, the values minus the pivot."""
    numbers = [f"x{place}" for place in range(len(_numbers(request)))]
    complete = nw.lit(True)
    for name in numbers:
        complete = complete & ~is_missing(name) & ~is_infinite(name)
    schema = table.collect_schema()
    for place in range(len(request.by)):
        key = f"k{place}"
        complete = complete & ~is_missing(key, floating=schema[key].is_float())
    flags = [
        flag
        for name in numbers
        for flag in (
            indicator(nw.col(name).is_null()).alias(f"null_{name}"),
            indicator(is_nan(name)).alias(f"nan_{name}"),
            indicator(is_infinite(name)).alias(f"inf_{name}"),
        )
    ]
    table = table.with_columns(complete.alias("complete"), *flags)
    shifted: list[nw.Expr] = [
        nw.when(nw.col("complete")).then(nw.col(f"x{place}") - float(centre)).alias(f"z{place}")
        for place, centre in enumerate(pivot)
    ]
    if request.weights is not None:
        weight = f"x{len(request.columns)}"
        shifted.append(nw.when(nw.col("complete")).then(nw.col(weight)).alias("w"))
        shifted.append(indicator((nw.col(weight) < 0).fill_null(False)).alias("negative"))
    return table.with_columns(indicator(nw.col("complete")).alias("n"), *shifted)


def _aggregates(request: Request) -> list[nw.Expr]:
    """Return the sums of the one aggregate query."""
    k = len(request.columns)
    weight = None if request.weights is None else nw.col("w")
    flags = [f"{flag}_x{place}" for place in range(len(_numbers(request))) for flag in ("null", "nan", "inf")]
    sums = [nw.len().alias("rows"), nw.col("n").sum(), *(nw.col(flag).sum() for flag in flags)]
    if weight is not None:
        sums += [nw.col("negative").sum(), weight.sum().alias("total"), (weight * weight).sum().alias("square")]
    for i in range(k):
        left = nw.col(f"z{i}") if weight is None else nw.col(f"z{i}") * weight
        sums.append(left.sum().alias(f"s{i}"))
        sums += [(left * nw.col(f"z{j}")).sum().alias(f"s{i}_{j}") for j in range(i, k)]
    return sums


def _read(answer: Frame, request: Request, pivot: Floats) -> tuple[CellSums, Floats, int]:
    """Turn the answer of the aggregate query into sums by cell, sorted by their labels."""
    keyed = [answer.labels(f"k{place}") for place in range(len(request.by))]
    keys = [
        tuple(None if codes[row] < 0 else labels[codes[row]] for codes, labels in keyed) for row in range(answer.n_rows)
    ]
    _refuse(answer, request, keys)
    counts = np.nan_to_num(answer.numeric("n")).astype(np.int64)
    dropped = int(np.nan_to_num(answer.numeric("rows")).sum()) - int(counts.sum())
    order = np.lexsort([codes for codes, _ in reversed(keyed)]) if keyed else np.arange(answer.n_rows)
    keep = np.array([row for row in order if counts[row] > 0], dtype=np.int64)
    totals = counts.astype(np.float64) if request.weights is None else answer.numeric("total")
    squares = totals if request.weights is None else answer.numeric("square")
    shift, scatter = _centred(answer, len(request.columns), totals)
    sums = CellSums(
        tuple(keys[row] for row in keep), counts[keep], totals[keep], squares[keep], shift[keep], scatter[keep]
    )
    check_sums(sums, request.by)
    return sums, pivot, dropped


def _centred(answer: Frame, k: int, totals: Floats) -> tuple[Floats, Floats]:
    """Return mean minus pivot, and cross-products moved from the pivot to the mean."""
    m = answer.n_rows
    raw = np.column_stack([answer.numeric(f"s{i}") for i in range(k)]) if k else np.empty((m, 0))
    shift = np.divide(raw, totals[:, None], out=np.zeros_like(raw), where=totals[:, None] > 0)
    scatter = np.empty((m, k, k))
    for i in range(k):
        for j in range(i, k):
            scatter[:, i, j] = answer.numeric(f"s{i}_{j}") - raw[:, i] * shift[:, j]
            scatter[:, j, i] = scatter[:, i, j]
        scatter[:, i, i] = np.maximum(scatter[:, i, i], 0.0)
    return shift, scatter


def _refuse(answer: Frame, request: Request, keys: list[tuple[object, ...]]) -> None:
    """Raise for values that can't enter a moment, with their counts and an example cell."""
    rows = np.nan_to_num(answer.numeric("rows"))
    for place, name in enumerate(_numbers(request)):
        null, nan, infinite = (np.nan_to_num(answer.numeric(f"{flag}_x{place}")) for flag in ("null", "nan", "inf"))
        fault = infinite if infinite.any() else null + nan
        if infinite.any() or (request.missing == "raise" and fault.any()):
            where = describe_cell(request.by, keys[int(np.flatnonzero(fault)[0])])
            raise DataError(
                f"Column {name!r} has {null.sum():.0f} null, {nan.sum():.0f} NaN and {infinite.sum():.0f} infinite "
                f"values{f', for example{where}' if where else ''}.",
                hint="Remove the infinite values." if infinite.any() else 'Fill them, or pass missing="drop".',
                column=name,
            )
    for place, name in enumerate(request.by):
        absent = np.array([key[place] is None for key in keys])
        if request.missing == "raise" and absent.any():
            raise DataError(
                f"Column {name!r} has {rows[absent].sum():.0f} null or NaN values.",
                hint='Fill them, or pass missing="drop".',
                column=name,
            )
    if request.weights is not None and (negative := np.nan_to_num(answer.numeric("negative"))).any():
        where = describe_cell(request.by, keys[int(np.flatnonzero(negative)[0])])
        raise DataError(
            f"Weights {request.weights!r} are negative in {negative.sum():.0f} rows"
            f"{f', for example{where}' if where else ''}.",
            hint="Weights must be zero or positive.",
            column=request.weights,
        )
