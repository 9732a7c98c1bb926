"""When each unit is first treated, read from cohort labels or from a treatment column."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.panel import Panel
from causalkit.core.sample import Arms, Number
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Ints, read_only


def starts_from_cohort(panel: Panel) -> tuple[Ints, dict[int, object], tuple[str, ...]]:
    """Return the start of each unit, the label of each start, and notes, from cohorts that are constant within units."""
    code_of_unit = panel.constant("cohort")
    cohort = panel.sample.groups("cohort")
    assert cohort is not None
    periods, n = panel.time.labels, panel.n_periods
    position, late = np.full(len(cohort.labels), n, dtype=np.int64), []
    label_of: dict[int, object] = {}
    for code, label in enumerate(cohort.labels):
        if label is None or means_never(label, periods):
            continue
        at = place_of(label, periods, cohort.name, panel.time.name)
        position[code] = at
        if at == n:
            late.append(code)
        elif at not in label_of or np.any(code_of_unit == code):
            label_of[at] = label if at not in label_of else _earlier(label_of[at], label)
    start = position[code_of_unit]
    count = int(np.isin(code_of_unit, late).sum()) if late else 0
    return read_only(start), label_of, late_note(count)


def late_note(count: int) -> tuple[str, ...]:
    """Say how many units are first treated after the last period."""
    told = f"{fmt.plural(count, 'unit')} first treated after the last period count as never treated."
    return (told,) if count else ()


def _earlier(a: Any, b: Any) -> object:
    """Two cohorts between the same two periods are one; it is named after the first."""
    return min(a, b)


def means_never(label: object, periods: Sequence[object]) -> bool:
    """Whether a cohort label is the usual code for never: 0 before numeric times that are all positive.

    Raises
    ------
    DesignError
        If time starts at 0: the label could mean never or always.
    """
    if label == 0 and not isinstance(label, bool) and periods[0] == 0 and isinstance(periods[0], int | float):
        raise DesignError(
            "cohort 0 is the first period too: treated from the start, or never treated?",
            hint="Write a missing value for never, or let time start at 1.",
        )
    return label == 0 and not isinstance(label, bool) and isinstance(periods[0], int | float) and periods[0] > 0


def place_of(label: Any, periods: Sequence[Any], cohort: str, time: str) -> int:
    """Return the position of the first period that is not before a cohort's start; the number of periods if none is."""
    try:
        return bisect_left(periods, label)
    except TypeError:
        raise DesignError(
            f"cohort {cohort!r} holds {label!r} and time {time!r} holds {periods[0]!r}: they can't be compared.",
            hint="Write both in the same units, such as years; never treated is 0 or missing.",
            column=cohort,
        ) from None


def starts_from_treatment(panel: Panel, reversals: str) -> tuple[Ints, dict[int, object], tuple[str, ...]]:
    """Return the same from a column that says whether a row is treated; ``reversals`` says whether it may end."""
    column = panel.sample.columns["treatment"]
    if isinstance(column, Number) or (isinstance(column, Arms) and column.count != 2):
        raise DesignError(
            f"treatment {column.name!r} must say for each row whether it is treated (two levels).",
            hint="Use DCDH or ContinuousDiD for several levels or a dose.",
            column=column.name,
        )
    assert isinstance(column, Arms)
    treated, n = column.codes == 1, panel.n_periods
    start = np.full(panel.n_units, n, dtype=np.int64)
    np.minimum.at(start, panel.unit.codes[treated], panel.time.codes[treated].astype(np.int64))
    undone = ~treated & (panel.time.codes >= start[panel.unit.codes])
    if undone.any() and reversals == "raise":
        units = np.unique(panel.unit.codes[undone])
        row = int(panel.sample.rows.positions[np.flatnonzero(undone)].min())
        raise DataError(
            f"the treatment {column.name!r} is taken away again in {len(units)} units, first in "
            f"{panel.unit.name}={panel.unit.labels[units[0]]!r} (row {row}).",
            hint="Use DCDH, or LocalProjectionsDiD, which allow it.",
            column=column.name,
            rows=(row,),
        )
    label_of = {int(at): panel.time.labels[at] for at in np.unique(start[start < n])}
    return read_only(start), label_of, ()
