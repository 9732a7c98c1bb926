"""One aggregate query that validates the columns of a lazy table: what is missing, infinite or negative, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np

from causalkit.data.cells import describe_cell
from causalkit.data.engines import fetch_small
from causalkit.data.expressions import indicator, is_nan
from causalkit.data.frame import Frame
from causalkit.data.lazy_columns import LazyColumns
from causalkit.errors import DataError
from causalkit.kernels.arrays import Ints


@dataclass(frozen=True)
class Wanted:
    """What a screen looks at.

    Parameters
    ----------
    gaps : sequence of (role, name)
        Columns whose missing values leave a row out, in the order in which the reasons count.
    weights : str, optional
        Column of weights: none may be negative, and a row of weight zero is left out.
    arms : (name, codes), optional
        The treatment and the values of its levels, as `LazyColumns` reads them.
    outcome : str, optional
        Column whose gaps are counted by arm.
    numbers : sequence of str
        Numeric columns whose mean, smallest and largest value are wanted.
    keys : sequence of str
        Columns that name a row in an error.
    drops : bool
        Whether rows with missing values are left out; else they are refused.
    """

    gaps: Sequence[tuple[str, str]]
    weights: str | None = None
    arms: tuple[str, Sequence[float] | Sequence[str]] | None = None
    outcome: str | None = None
    numbers: Sequence[str] = ()
    keys: Sequence[str] = ()
    drops: bool = True


@dataclass(frozen=True, eq=False)
class Screen:
    """What the query found.

    Attributes
    ----------
    n_rows, n_kept : int
        Rows of the table, and rows that are complete.
    missing : tuple of (role, name, missing values, rows not yet left out for an earlier reason)
    n_zero : int
        Complete rows of weight zero.
    arms : (m, 3) int array
        By level: rows, rows without an outcome, complete rows.
    means, lows, highs : mapping of str to float
        Of the numeric columns, over the complete rows.
    whole : frozenset of str
        The numeric columns whose values are all whole.
    complete : narwhals expression
        Whether a row is complete.
    """

    n_rows: int
    n_kept: int
    missing: tuple[tuple[str, str, int, int], ...]
    n_zero: int
    arms: Ints
    complete: nw.Expr
    means: dict[str, float] = field(default_factory=dict)
    lows: dict[str, float] = field(default_factory=dict)
    highs: dict[str, float] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()


def screen(columns: LazyColumns, wanted: Wanted) -> Screen:
    """Count nulls, NaN and infinite values, and what is left when rows that lack something are left out.

    Raises
    ------
    DataError
        For a table without rows, infinite values, negative weights, missing values where they are not dropped, and
        where no row is left. It names the column, the counts, and one row by the values of the key columns.
    """
    answer = _ask(columns, wanted)
    if not answer["rows"]:
        raise DataError("the table has no rows.", hint="Check the file or the filter before the fit.")
    _refuse(columns, wanted, answer)
    missing = tuple(
        (role, name, int(answer[f"missing_{at}"]), int(answer[f"fresh_{at}"]))
        for at, (role, name) in enumerate(wanted.gaps)
    )
    if not answer["complete"]:
        told = [f"{fresh} by missing {role} ({name!r})" for role, name, count, fresh in missing if count]
        if answer.get("zero"):
            told.append(f"{answer['zero']:.0f} by weight of zero ({wanted.weights!r})")
        raise DataError(
            f"no row is left after dropping missing values: {'; '.join(told)}.", hint="Check these columns."
        )
    levels = range(len(wanted.arms[1]) if wanted.arms else 0)
    arms = [[int(answer[f"{what}_{level}"]) for what in ("all", "gone", "kept")] for level in levels]
    return Screen(
        int(answer["rows"]),
        int(answer["complete"]),
        missing,
        int(answer.get("zero", 0)),
        np.array(arms, dtype=np.int64).reshape(-1, 3),
        _complete(columns, wanted),
        {name: answer[f"mean_{columns.place(name)}"] for name in wanted.numbers},
        {name: answer[f"low_{columns.place(name)}"] for name in wanted.numbers},
        {name: answer[f"high_{columns.place(name)}"] for name in wanted.numbers},
        frozenset(name for name in wanted.numbers if not answer[f"broken_{columns.place(name)}"]),
    )


def _complete(columns: LazyColumns, wanted: Wanted) -> nw.Expr:
    complete = ~_any_missing(columns, [name for _, name in wanted.gaps])
    return complete if wanted.weights is None else complete & ~_is_zero(columns, wanted.weights)


def _any_missing(columns: LazyColumns, names: Sequence[str]) -> nw.Expr:
    found = nw.lit(False)
    for name in dict.fromkeys(names):
        found = found | columns.missing(name)
    return found


def _is_zero(columns: LazyColumns, name: str) -> nw.Expr:
    return (nw.col(columns.value(name)) == 0).fill_null(False)


def _ask(columns: LazyColumns, wanted: Wanted) -> dict[str, float]:
    """Run the query; every answer is one number."""
    table = _flagged(columns, wanted)
    counts = {"rows": nw.lit(1), "complete": indicator(nw.col("complete"))}
    for place, name in enumerate(columns.names):
        counts[f"null_{place}"] = indicator(nw.col(f"k{place}").is_null())
        if columns.frame.is_numeric(name):
            counts[f"nan_{place}"] = indicator(is_nan(f"x{place}"))
            counts[f"inf_{place}"] = indicator(nw.col(f"inf{place}"))
    seen: list[str] = []
    for at, (_, name) in enumerate(wanted.gaps):
        flag = f"gap{columns.place(name)}"
        counts[f"missing_{at}"] = indicator(nw.col(flag))
        counts[f"fresh_{at}"] = indicator(_none(nw.col(flag), seen))
        seen.append(flag)
    if wanted.weights is not None:
        value = columns.value(wanted.weights)
        counts["negative"] = indicator((nw.col(value) < 0).fill_null(False))
        counts["zero"] = indicator(_none(nw.col("zero"), seen))
    counts.update(_arm_counts(columns, wanted))
    values, summaries = _summaries(columns, wanted)
    lazy = table.select(*(count.alias(name) for name, count in counts.items()), *values)
    answer = Frame.read(fetch_small(lazy.select(*(nw.col(name).sum().alias(name) for name in counts), *summaries)))
    return {name: float(np.nan_to_num(answer.numeric(name))[0]) for name in answer.columns}


def _flagged(columns: LazyColumns, wanted: Wanted) -> Any:
    """Add what is asked of a row more than once: whether values are missing or infinite, and whether it is complete."""
    flags = [columns.missing(name).alias(f"gap{place}") for place, name in enumerate(columns.names)]
    flags += [columns.infinite(name).alias(f"inf{place}") for place, name in enumerate(columns.names)]
    if wanted.weights is not None:
        flags.append(_is_zero(columns, wanted.weights).alias("zero"))
    left_out = [f"gap{columns.place(name)}" for _, name in wanted.gaps]
    if wanted.weights is not None:
        left_out.append("zero")
    return columns.table.with_columns(*flags).with_columns(_none(nw.lit(True), left_out).alias("complete"))


def _none(condition: nw.Expr, flags: Sequence[str]) -> nw.Expr:
    """Return where a condition holds and none of the flags is set."""
    for flag in dict.fromkeys(flags):
        condition = condition & ~nw.col(flag)
    return condition


def _summaries(columns: LazyColumns, wanted: Wanted) -> tuple[list[nw.Expr], list[nw.Expr]]:
    """Return the numbers of complete rows, and their means, limits, and whether any is not whole."""
    values: list[nw.Expr] = []
    summaries: list[nw.Expr] = []
    for name in wanted.numbers:
        place = columns.place(name)
        fine = nw.col("complete") & ~nw.col(f"inf{place}")
        values.append(nw.when(fine).then(nw.col(f"x{place}")).alias(f"v{place}"))
        values.append(indicator(fine & (nw.col(f"x{place}") % 1 != 0).fill_null(False)).alias(f"broken_{place}"))
        value = nw.col(f"v{place}")
        summaries += [value.mean().alias(f"mean_{place}"), value.min().alias(f"low_{place}")]
        summaries += [value.max().alias(f"high_{place}"), nw.col(f"broken_{place}").sum()]
    return values, summaries


def _arm_counts(columns: LazyColumns, wanted: Wanted) -> dict[str, nw.Expr]:
    if wanted.arms is None:
        return {}
    name, levels = wanted.arms
    gone = nw.lit(False) if wanted.outcome is None else nw.col(f"gap{columns.place(wanted.outcome)}")
    counts = {}
    codes: list[Any] = list(levels)
    for level, code in enumerate(codes):
        here = (nw.col(columns.value(name)) == nw.lit(code)).fill_null(False)
        counts[f"all_{level}"] = indicator(here)
        counts[f"gone_{level}"] = indicator(here & gone)
        counts[f"kept_{level}"] = indicator(here & nw.col("complete"))
    return counts


def _refuse(columns: LazyColumns, wanted: Wanted, answer: dict[str, float]) -> None:
    for place, name in enumerate(columns.names):
        if count := int(answer.get(f"inf_{place}", 0)):
            what = f"{count} infinite value{'s' if count > 1 else ''}"
            raise DataError(
                f"column {name!r} has {what}{_shown(columns, wanted, columns.infinite(name), name)}.",
                hint="Fix or drop it; causalkit never drops infinities.",
                column=name,
            )
    if wanted.weights is not None and (count := int(answer["negative"])):
        negative = (nw.col(columns.value(wanted.weights)) < 0).fill_null(False)
        raise DataError(
            f"weights {wanted.weights!r} has {count} negative values"
            f"{_shown(columns, wanted, negative, wanted.weights)}.",
            hint="Weights count how many units a row stands for; they can't be negative.",
            column=wanted.weights,
        )
    for at, (role, name) in enumerate(wanted.gaps):
        count = int(answer[f"missing_{at}"])
        if count and not wanted.drops:
            place = columns.place(name)
            kinds = f"{answer[f'null_{place}']:.0f} null, {answer.get(f'nan_{place}', 0):.0f} NaN"
            raise DataError(
                f"{role} column {name!r} has {count} missing values ({kinds})"
                f"{_shown(columns, wanted, columns.missing(name), name)}.",
                hint="Fill or drop them, or pass missing='drop'.",
                column=name,
            )


def _shown(columns: LazyColumns, wanted: Wanted, fault: nw.Expr, column: str) -> str:
    """Say in which row a fault is found, by the values of the key columns."""
    keys = [name for name in wanted.keys if name != column] or [name for name in columns.names if name != column]
    return f", for example{describe_cell(tuple(keys), columns.example(fault, keys))}" if keys else ""
