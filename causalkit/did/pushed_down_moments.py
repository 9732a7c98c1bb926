"""Moments of the cohorts of a lazy panel: the engine spreads each unit over its periods and sums products by cohort."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import narwhals as nw
import numpy as np

from causalkit.core.design import names_of
from causalkit.data.engines import fetch_small, is_duckdb
from causalkit.data.expressions import indicator, is_infinite, is_missing
from causalkit.data.frame import Frame
from causalkit.data.lazy_columns import LazyColumns
from causalkit.data.screen import Screen, Wanted, screen
from causalkit.did.cohorts import event_times_of, require_both
from causalkit.did.panel_moments import PanelMoments
from causalkit.did.starts import means_never, place_of
from causalkit.errors import DataError
from causalkit.kernels.arrays import Floats, Ints
from causalkit.linear.pushed_down_design import NeedsRows

#: Periods whose cross-products one query sums (p (p + 1) / 2 of them), and cohort labels that are read.
MOST_PERIODS = 40
MOST_COHORTS = 1000
#: Units that an engine holds at a time: they are summed in passes over ranges of unit (or over hashes of it).
UNITS_AT_A_TIME = 1_500_000


@dataclass(frozen=True, eq=False)
class PushedCohorts:
    """Who is first treated when, in a lazy panel; see :class:`causalkit.did.plan.Adoption`.

    Attributes
    ----------
    starts, sizes : Ints
        Of the cohorts; the never treated are the last of ``sizes``.
    labels, periods : tuple
    always, partial : (int, int)
        Units and rows left out because they are treated from the first period on, and because they are not observed in
        every period.
    late : int
        Units first treated after the last period.
    """

    starts: Ints
    sizes: Ints
    labels: tuple[Any, ...]
    periods: tuple[Any, ...]
    always: tuple[int, int]
    partial: tuple[int, int]
    late: int

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return len(self.periods)

    @cached_property
    def event_times(self) -> Floats:
        """Time since the start, shape (cohorts, periods)."""
        return event_times_of(self.periods, self.labels, self.starts)


def push_moments(frame: Frame, named: Mapping[str, Any], drops: bool) -> tuple[PanelMoments, PushedCohorts, Screen]:
    """Sum a lazy panel by cohort.

    Parameters
    ----------
    frame : Frame
        A lazy table.
    named : mapping
        The columns ``outcome``, ``unit``, ``time`` and ``cohort``.
    drops : bool
        Whether rows with missing values are left out; else they are refused.

    Raises
    ------
    NeedsRows
        When the moments can't be had from sums.
    DataError, DesignError
        As for a table in memory.
    """
    outcome, unit, time, cohort = (names_of(named[role])[0] for role in ("outcome", "unit", "time", "cohort"))
    for name in (outcome, time, cohort):
        if not frame.is_numeric(name):
            raise NeedsRows(f"column {name!r} does not hold numbers")
    whole_numbers = frame.is_numeric(unit) and not frame.is_boolean(unit)
    gaps = [("outcome", outcome), ("unit", unit), ("time", time)]
    numbers = [outcome, unit] if whole_numbers else [outcome]
    wanted = Wanted(gaps, numbers=numbers, keys=(unit, time), drops=drops)
    found = screen(LazyColumns.of(frame, [outcome, unit, time]), wanted)
    columns = LazyColumns.of(frame, [outcome, unit, time, cohort])
    panel = _Panel.of(columns, unit, cohort, found)
    groups = _merged(panel)
    _refuse_varying(groups, cohort, unit)
    if groups.rows.sum() != groups.full.sum() * len(panel.periods):
        panel.refuse_duplicates(unit, time)
    cohorts, members = _cohorts(groups, panel, cohort, time)
    return _moments(groups, members, cohorts), cohorts, found


@dataclass(frozen=True, eq=False)
class _Panel:
    """Complete rows: outcome ``y``, unit ``u``, time ``t``, cohort ``c`` (infinite: never); and its periods."""

    table: Any
    periods: tuple[Any, ...]
    pivots: Floats
    n_rows: int
    range_of_unit: tuple[int, int] | None

    @classmethod
    def of(cls, columns: LazyColumns, unit: str, cohort: str, found: Screen) -> _Panel:
        c = columns.value(cohort)
        never = is_missing(c) | is_infinite(c)
        table = columns.table.filter(found.complete).select(
            nw.col("x0").alias("y"),
            nw.col("k1").alias("u"),
            nw.col("x2").alias("t"),
            nw.when(never).then(nw.lit(np.inf)).otherwise(nw.col(c)).alias("c"),
        )
        by_time = table.group_by("t").agg(nw.col("y").mean().alias("m")).head(MOST_PERIODS + 1)
        answer = Frame.read(fetch_small(by_time))
        if answer.n_rows > MOST_PERIODS:
            raise NeedsRows(f"there are more than {MOST_PERIODS} periods, whose products are too many for one query")
        if answer.n_rows < 2:
            raise NeedsRows("there is one period only")
        times, means = answer.numeric("t"), answer.numeric("m")
        order = np.argsort(times)
        labels = tuple(int(t) if float(t).is_integer() else float(t) for t in times[order])
        within = None
        if unit in found.whole and columns.table.collect_schema()["k1"].is_integer():
            within = (int(found.lows[unit]), int(found.highs[unit]))
        return cls(table, labels, means[order], found.n_kept, within)

    def parts(self) -> Iterator[Any]:
        """Yield the rows of some units at a time, so that what the engine holds of each unit fits in memory."""
        count = int(np.ceil(self.n_rows / len(self.periods) / UNITS_AT_A_TIME))
        if count <= 1:
            yield self.table
        elif self.range_of_unit is not None:
            low, high = self.range_of_unit
            edges = [low + (high + 1 - low) * part // count for part in range(count + 1)]
            for start, stop in pairwise(edges):
                yield self.table.filter((nw.col("u") >= start) & (nw.col("u") < stop))
        elif is_duckdb(self.table):
            for part in range(count):
                yield nw.from_native(self.table.to_native().filter(f"hash(u) % {count} = {part}"))
        else:
            yield self.table

    def by_unit(self, table: Any) -> Any:
        """Return one row per unit: its cohort, its rows, and its outcomes (less the mean of the period) by period."""
        here = [nw.col("t") == float(period) for period in self.periods]
        marks = _marks(len(here))
        spread = [
            nw.when(is_here).then(nw.col("y") - float(pivot)).otherwise(nw.lit(0.0)).alias(f"y{s}")
            for s, (is_here, pivot) in enumerate(zip(here, self.pivots, strict=True))
        ]
        mark = nw.lit(0.0)
        for is_here, value in zip(here, marks, strict=True):
            mark = nw.when(is_here).then(nw.lit(value)).otherwise(mark)
        sums = [nw.col(f"y{s}").sum() for s in range(len(here))]
        return (
            table.select("u", "c", *spread, mark.alias("mark"))
            .group_by("u")
            .agg(nw.len().alias("n"), nw.col("mark").sum(), nw.col("c").min(), nw.col("c").max().alias("last"), *sums)
        )

    def query(self, table: Any) -> Any:
        """Return the sums by cohort of some units."""
        width = len(self.periods)
        full = (nw.col("n") == width) & (nw.col("mark") == float(sum(_marks(width))))
        moved = [
            nw.when(full).then(nw.col(f"y{s}") - nw.col("y0")).otherwise(nw.lit(0.0)).alias(f"z{s}")
            for s in range(1, width)
        ]
        varies = nw.col("c") != nw.col("last")
        flags = [indicator(full).alias("full"), indicator(varies).alias("varies")]
        shown = nw.when(varies).then(nw.col("u")).alias("shown")
        units = self.by_unit(table).select("u", "c", "n", *moved, *flags, shown)
        sums = [nw.len().alias("units"), nw.col("n").sum().alias("rows"), nw.col("full").sum()]
        sums += [nw.col("varies").sum(), nw.col("shown").min()]
        for i in range(1, width):
            sums.append(nw.col(f"z{i}").sum().alias(f"s{i}"))
            sums += [(nw.col(f"z{i}") * nw.col(f"z{j}")).sum().alias(f"s{i}_{j}") for j in range(i, width)]
        return units.group_by("c").agg(*sums).head(MOST_COHORTS + 1)

    def refuse_duplicates(self, unit: str, time: str) -> None:
        """Raise where a unit is there twice in one period."""
        for part in self.parts():
            twice = part.group_by("u", "t").agg(nw.len().alias("n")).filter(nw.col("n") > 1)
            found = Frame.read(fetch_small(twice.select(nw.col("n").sum().alias("rows"), nw.len().alias("pairs"),
                                                        nw.col("u").min().alias("u"))))  # fmt: skip
            pairs = int(np.nan_to_num(found.numeric("pairs"))[0])
            if pairs:
                rows = int(found.numeric("rows")[0]) - pairs
                raise DataError(
                    f"{rows} rows repeat a unit and period ({unit!r}, {time!r}), for example of {unit}="
                    f"{found.labels('u')[1][0]!r}.",
                    hint="Aggregate or drop the repeats; a panel has one row per unit and period.",
                    column=unit,
                )


def _marks(width: int) -> list[float]:
    """Return whole numbers whose sum tells, but for chance, whether each period is there once; sums of them are exact."""
    draw = random.Random(20240229)
    return [float(draw.randrange(1, 2**40)) for _ in range(width)]


@dataclass(frozen=True, eq=False)
class _Groups:
    """Sums by label of the cohort, ascending; products are of the outcome less that of the first period."""

    labels: Floats
    units: Ints
    rows: Ints
    full: Ints
    varying: Ints
    shown: tuple[object, ...]
    sums: Floats
    products: Floats


def _merged(panel: _Panel) -> _Groups:
    """Run the passes and add them up."""
    width = len(panel.periods)
    held: dict[float, list[Any]] = {}
    for part in panel.parts():
        answer = Frame.read(fetch_small(panel.query(part)))
        if answer.n_rows > MOST_COHORTS:
            raise NeedsRows(f"the cohort has more than {MOST_COHORTS} values")
        counts = np.column_stack([answer.numeric(name) for name in ("units", "rows", "full", "varies")])
        sums, products = np.zeros((answer.n_rows, width)), np.zeros((answer.n_rows, width, width))
        for i in range(1, width):
            sums[:, i] = answer.numeric(f"s{i}")
            for j in range(i, width):
                products[:, i, j] = products[:, j, i] = answer.numeric(f"s{i}_{j}")
        codes, names = answer.labels("shown")
        for row, label in enumerate(answer.numeric("c")):
            example = [names[codes[row]]] if codes[row] >= 0 else []
            fresh = [counts[row], sums[row], products[row], example]
            known = held.get(float(label))
            held[float(label)] = fresh if known is None else [a + b for a, b in zip(known, fresh, strict=True)]
    labels = sorted(held)
    tallied: Ints = np.array([held[label][0] for label in labels]).astype(np.int64)
    return _Groups(
        labels=np.array(labels),
        units=tallied[:, 0],
        rows=tallied[:, 1],
        full=tallied[:, 2],
        varying=tallied[:, 3],
        shown=tuple(name for label in labels for name in held[label][3]),
        sums=np.array([held[label][1] for label in labels]),
        products=np.array([held[label][2] for label in labels]),
    )


def _refuse_varying(groups: _Groups, cohort: str, unit: str) -> None:
    if count := int(groups.varying.sum()):
        raise DataError(
            f"cohort {cohort!r} varies within {count} units, for example within {unit}={groups.shown[0]!r}.",
            hint="Give every unit one cohort.",
            column=cohort,
        )


def _cohorts(groups: _Groups, panel: _Panel, cohort: str, time: str) -> tuple[PushedCohorts, list[Ints]]:
    """Place the labels among the periods; also return which groups make up each cohort, the never treated last."""
    last = len(panel.periods)
    start = np.full(len(groups.labels), last, dtype=np.int64)
    late = np.zeros(len(start), dtype=bool)
    label_of: dict[int, Any] = {}
    for at, value in enumerate(groups.labels):
        label = int(value) if float(value).is_integer() else float(value)
        if np.isinf(value) or means_never(label, panel.periods):
            continue
        start[at] = place_of(label, panel.periods, cohort, time)
        late[at] = start[at] == last
        label_of.setdefault(int(start[at]), label)
    kept = start > 0
    if not groups.full[kept].any():
        raise NeedsRows("no unit is observed in every period")
    missed = kept & (groups.units > groups.full)
    starts = np.unique(start[kept & (start < last) & (groups.full > 0)])
    members = [np.flatnonzero(start == s) for s in (*starts, last)]
    found = PushedCohorts(
        starts,
        np.array([groups.full[some].sum() for some in members], dtype=np.int64),
        tuple(label_of[int(s)] for s in starts),
        panel.periods,
        (int(groups.units[~kept].sum()), int(groups.rows[~kept].sum())),
        (
            int((groups.units - groups.full)[missed].sum()),
            int((groups.rows - groups.full * last)[missed].sum()),
        ),
        int(groups.units[late].sum()),
    )
    require_both(found.labels, found.sizes, cohort)
    return found, members


def _moments(groups: _Groups, members: list[Ints], cohorts: PushedCohorts) -> PanelMoments:
    """Move the products of each cohort to its means."""
    width = cohorts.n_periods
    means, products = np.zeros((len(members), width)), np.zeros((len(members), width + 2, width + 2))
    for c, some in enumerate(members):
        n = float(cohorts.sizes[c])
        if n:
            means[c] = groups.sums[some].sum(axis=0) / n
            products[c, :width, :width] = groups.products[some].sum(axis=0) - n * np.outer(means[c], means[c])
        products[c, width:, width:] = n
    return PanelMoments(cohorts.sizes, cohorts.sizes.astype(float), means, products)
