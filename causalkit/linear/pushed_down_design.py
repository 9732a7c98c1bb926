"""The design of a regression on a lazy table: its columns as expressions of an engine, and their moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np

from causalkit.core.arms import bind_treatment
from causalkit.core.design import ZERO_WEIGHT, _listed, names_of
from causalkit.core.features import Features, Schema
from causalkit.core.rows import Rows
from causalkit.core.sample import Arms, Column, Dropped, Number, Sample
from causalkit.core.text_numbers import numbers_in_text
from causalkit.data.cells import coarse
from causalkit.data.frame import Frame
from causalkit.data.lazy_columns import LazyColumns
from causalkit.data.moments import Moments
from causalkit.data.screen import Screen, Wanted, screen
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats

#: Columns of a regression whose cross-products one query sums (p (p + 1) / 2 of them).
MOST_COLUMNS = 64
#: Levels of a treatment or a category that are read.
MOST_LEVELS = 1000


class NeedsRows(Exception):
    """The regression can't be had from sums; the message says why."""


@dataclass(frozen=True, eq=False)
class PushedDesign:
    """A regression ready to be summed by an engine.

    Attributes
    ----------
    header : Sample
        The roles, the levels and what was left out, without a single row.
    screen : Screen
        Counts of the table.
    table : narwhals LazyFrame
        Complete rows: outcome ``d0``, regressors ``d1``, ``d2``, ..., weights ``w``, cluster ``g``.
    terms : tuple of str
        Names of the treatment's regressors, which come first.
    names : tuple of str
        Names of all regressors.
    moments : Moments
        Of the outcome and the regressors.
    """

    header: Sample
    screen: Screen
    table: Any
    terms: tuple[str, ...]
    names: tuple[str, ...]
    moments: Moments

    @property
    def arms(self) -> Arms | None:
        """The treatment, where it has levels."""
        column = self.header.columns["treatment"]
        return column if isinstance(column, Arms) else None


def push_design(frame: Frame, named: Mapping[str, Any], given: Mapping[str, Any]) -> PushedDesign:
    """Validate a lazy table by one query, and sum the moments of the regression by another.

    Parameters
    ----------
    frame : Frame
        A lazy table.
    named : mapping
        Roles that were given, each naming columns.
    given : mapping
        All keywords of the fit.

    Raises
    ------
    NeedsRows
        When the regression can't be had from sums.
    DataError, DesignError
        As for a table in memory.
    """
    columns = LazyColumns.of(frame, [name for value in named.values() for name in names_of(value)])
    _require_numeric(frame, [named[role] for role in ("outcome", "weights") if role in named])
    treatment, codes = _treatment(columns, given)
    covariates = _listed(named["covariates"]) if "covariates" in named else ()
    schema, counts = _schema(columns, covariates)
    wanted = _wanted(columns, named, given, (treatment.name, codes) if isinstance(treatment, Arms) else None)
    found = screen(columns, wanted)
    header = _header(frame, named, given, treatment, schema, found)
    regressors = [*_treated(columns, header, codes, found), *_adjustment(columns, schema, counts, found)]
    if len(regressors) > MOST_COLUMNS:
        raise NeedsRows(f"{len(regressors)} columns are more than the {MOST_COLUMNS} whose products a query sums")
    outcome = _number(columns, named["outcome"], found)
    return _summed(columns, named, header, found, [outcome, *regressors])


_Regressor = tuple[str, nw.Expr, float]


def _summed(
    columns: LazyColumns, named: Mapping[str, Any], header: Sample, found: Screen, listed: Sequence[_Regressor]
) -> PushedDesign:
    extra = [nw.col(columns.value(named["weights"])).alias("w")] if "weights" in named else []
    if "cluster" in named:
        extra.append(nw.col(f"k{columns.place(names_of(named['cluster'])[0])}").alias("g"))
    chosen = [expression.alias(f"d{at}") for at, (_, expression, _) in enumerate(listed)]
    table = columns.table.filter(found.complete).select(*chosen, *extra)
    ours = [f"d{at}" for at in range(len(listed))]
    pivot = np.array([centre for _, _, centre in listed])
    moments = Moments.of(table, ours, weights="w" if "weights" in named else None, pivot=pivot)
    names = tuple(name for name, _, _ in listed)
    arms = header.columns["treatment"]
    count = arms.count - 1 if isinstance(arms, Arms) else 1
    return PushedDesign(header, found, table, names[1 : 1 + count], names[1:], replace(moments, columns=names))


def _require_numeric(frame: Frame, names: Sequence[str]) -> None:
    for name in names:
        if frame.is_numeric(name):
            continue
        if not (frame.is_text(name) or frame.is_temporal(name)):
            raise NeedsRows(f"column {name!r} has a type that only its values explain")
        held = "text or categories" if frame.is_text(name) else "dates or times"
        raise DataError(
            f"Column {name!r} must be numeric, but it holds {held}.", hint="Convert it to numbers.", column=name
        )


def _treatment(columns: LazyColumns, given: Mapping[str, Any]) -> tuple[Arms | Number, list[float] | list[str]]:
    """Read the levels of the treatment from the table, or see that it is a dose."""
    frame, name = columns.frame, given["treatment"]
    control, level = given.get("control"), given.get("treatment_level")
    dose = Number(np.empty(0), name)
    numeric = frame.is_numeric(name)
    if not (numeric or frame.is_text(name) or frame.is_temporal(name)):
        raise NeedsRows(f"column {name!r} has a type that only its values explain")
    unnamed = control is None and level is None
    if numeric and unnamed and not frame.is_boolean(name) and columns.has_other_than(name, (0.0, 1.0)):
        return dose, []
    held = columns.levels(name, MOST_LEVELS)
    if held is None:
        raise NeedsRows(f"treatment {name!r} has more than {MOST_LEVELS} levels")
    if held[0].n_rows == 0 or (numeric and held[0].infinite(name).any()):
        return dose, []  # the screen refuses these tables, with counts
    column, _ = bind_treatment(held[0], name, "either", control, level)
    assert isinstance(column, Arms)
    read: Any = float if numeric else str
    return replace(column, codes=np.empty(0, dtype=np.int32)), [read(value) for value in column.levels]


def _schema(columns: LazyColumns, names: Sequence[str]) -> tuple[Schema, dict[str, Floats]]:
    """Read the categories of the covariates, and how many rows hold each."""
    levels: list[tuple[object, ...] | None] = []
    counts: dict[str, Floats] = {}
    frame = columns.frame
    for name in names:
        if frame.is_numeric(name) or frame.is_temporal(name):
            levels += Schema.of(frame, (name,)).levels  # refuses dates
            continue
        if not frame.is_text(name):
            raise NeedsRows(f"column {name!r} has a type that only its values explain")
        held = columns.levels(name, MOST_LEVELS)
        if held is None:
            raise NeedsRows(f"covariate {name!r} has more than {MOST_LEVELS} categories")
        codes, found = held[0].labels(name)
        counts[name] = np.bincount(codes[codes >= 0], held[1][codes >= 0], minlength=len(found)).astype(np.float64)
        _refuse_numbers(frame, name, found, counts[name])
        levels.append(found)
    return Schema(tuple(names), tuple(levels)), counts


def _refuse_numbers(frame: Frame, name: str, levels: tuple[object, ...], counts: Floats) -> None:
    """Refuse numbers stored as text; a column whose type says that it holds categories is believed."""
    numbers = numbers_in_text(levels)
    if not numbers or frame.table.collect_schema()[name] in (nw.Categorical, nw.Enum):
        return
    rows = sum(float(counts[levels.index(number)]) for number in numbers)
    raise DataError(
        f"column {name!r} holds numbers as text: {rows:,.0f} rows with {len(numbers):,} different ones, such as "
        f"{numbers[0]!r}.",
        hint="Cast it to a number in the table; if the numbers are codes of categories, put a letter before them.",
        column=name,
    )


def _wanted(columns: LazyColumns, named: Mapping[str, Any], given: Mapping[str, Any], arms: Any) -> Wanted:
    numbers = [name for role in ("outcome", "covariates") for name in names_of(named.get(role, ()))]
    numbers = [name for name in numbers if columns.frame.is_numeric(name)]
    gaps = [(role, name) for role, value in named.items() for name in names_of(value)]
    # Without a treatment a row is not in the study at all: that reason is told first.
    gaps.sort(key=lambda gap: gap[0] != "treatment")
    return Wanted(
        gaps=gaps,
        weights=named.get("weights"),
        arms=arms,
        outcome=named["outcome"],
        numbers=numbers if arms else [*numbers, named["treatment"]],
        keys=[name for role in ("cluster", "time") for name in names_of(named.get(role, ()))],
        drops=given.get("missing", "drop") != "raise",
    )


def _header(
    frame: Frame,
    named: Mapping[str, Any],
    given: Mapping[str, Any],
    treatment: Arms | Number,
    schema: Schema,
    found: Screen,
) -> Sample:
    """Put what is known of the table into a Sample that holds no row."""
    reasons = [(f"missing {role}", name, fresh, None) for role, name, count, fresh in found.missing if count]
    if found.n_zero:
        reasons.append((ZERO_WEIGHT, named["weights"], found.n_zero, None))
    levels = treatment.levels if isinstance(treatment, Arms) else ()
    by_arm = tuple((level, int(row[0]), int(row[1])) for level, row in zip(levels, found.arms, strict=True))
    dropped = Dropped(tuple(reasons), found.n_rows - found.n_kept, by_arm)
    if isinstance(treatment, Arms):
        _require_arms(treatment, found, dropped)
    elif found.lows[treatment.name] == found.highs[treatment.name]:
        raise DesignError(
            f"treatment {treatment.name!r} has one value only.", hint="A dose must vary.", column=treatment.name
        )
    columns: dict[str, Column] = {"outcome": Number(np.empty(0), named["outcome"]), "treatment": treatment}
    if schema.names:
        columns["covariates"] = Features(np.empty((0, len(schema.names))), schema)
    rows = Rows(np.empty(0, dtype=np.int64), frame.token)
    return Sample(columns, rows, found.n_rows, dropped, dict(given))


def _require_arms(arms: Arms, found: Screen, dropped: Dropped) -> None:
    for level, (_, _, kept) in zip(arms.levels, found.arms, strict=True):
        if kept == 0:
            told = f" after {dropped.total} rows were dropped for missing values" if dropped.total else ""
            raise DesignError(
                f"treatment {arms.name!r} has no row with {level!r} among {found.n_kept}{told}.",
                hint="An effect needs both arms in the data.",
                column=arms.name,
            )


def _treated(columns: LazyColumns, header: Sample, codes: Sequence[Any], found: Screen) -> list[_Regressor]:
    """Return the treatment's regressors: one indicator for each arm but the control, or the dose."""
    column = header.columns["treatment"]
    if isinstance(column, Number):
        return [_number(columns, column.name, found)]
    assert isinstance(column, Arms)
    return [
        (column.contrast(arm), _equals(columns, column.name, codes[arm]), round(found.arms[arm, 2] / found.n_kept))
        for arm in range(1, column.count)
    ]


def _adjustment(columns: LazyColumns, schema: Schema, counts: Mapping[str, Floats], found: Screen) -> list[_Regressor]:
    """Return numbers as they are, and one indicator for each category but the first."""
    listed: list[_Regressor] = []
    for name, levels in zip(schema.names, schema.levels, strict=True):
        if levels is None:
            listed.append(_number(columns, name, found))
            continue
        for code, level in enumerate(levels[1:], start=1):
            share = float(counts[name][code] / counts[name].sum())
            listed.append((f"{name}[{level}]", _equals(columns, name, str(level)), round(share)))
    return listed


def _number(columns: LazyColumns, name: str, found: Screen) -> _Regressor:
    """Return a numeric column and its pivot: near the mean, and whole where the column is.

    An engine adds row by row, and adding the same fraction a million times rounds the same way each time; whole numbers
    are added exactly.
    """
    mean = found.means[name]
    pivot = float(round(mean)) if name in found.whole else float(coarse(np.array([mean]))[0])
    return name, nw.col(columns.value(name)), pivot


def _equals(columns: LazyColumns, name: str, code: float | str) -> nw.Expr:
    return nw.when(nw.col(columns.value(name)) == nw.lit(code)).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
