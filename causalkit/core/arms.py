"""Polarity: which values of the treatment column are arms, which one is the control, and when a number is a dose."""

from __future__ import annotations

from typing import Literal

import numpy as np

from causalkit.core.features import refuse_infinite
from causalkit.core.sample import Arms, Number
from causalkit.data.frame import Frame
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, read_only

#: More numeric levels than this are taken for a dose that was meant for another estimator.
MOST_ARMS = 50


def bind_treatment(
    frame: Frame,
    name: object,
    allowed: Literal["arm", "dose", "either"],
    control: object,
    treatment_level: object,
) -> tuple[Arms | Number, Bools]:
    """Read the treatment.

    Booleans, 0/1, text and categories are arms. Other numbers are a dose where the estimator allows one, else they
    need ``control=``. Text and categories always need ``control=``: the alphabet does not know which arm is the
    baseline.

    Returns
    -------
    column : Arms or Number
        Arms have the control at code 0 and the arm of interest at code 1.
    missing : Bools
        Rows without a treatment.
    """
    if not isinstance(name, str):
        array = np.asarray(name)
        if array.shape != (frame.n_rows,):
            raise DesignError(
                f"treatment= has shape {array.shape}, the table has {frame.n_rows} rows.",
                hint="Pass one value per row of the table, or a column.",
            )
        frame, name = Frame.read({"treatment": array}), "treatment"
    if frame.is_temporal(name):
        raise DesignError(
            f"treatment {name!r} holds dates.", hint="Pass the column that says who was treated.", column=name
        )
    values = frame.numeric(name) if frame.is_numeric(name) else None
    if values is not None:
        refuse_infinite(values, name)
    levels_named = control is not None or treatment_level is not None
    if allowed == "dose" or (allowed == "either" and not levels_named and _is_dose(frame, name, values)):
        if values is None:
            raise DesignError(
                f"treatment {name!r} must be a number here.", hint="Pass the dose as a number.", column=name
            )
        return Number(read_only(values), name), np.isnan(values)
    return _bind_arms(frame, name, control, treatment_level)


def _is_dose(frame: Frame, name: str, values: Floats | None) -> bool:
    if values is None or frame.is_boolean(name):
        return False
    # A dose shows itself in the first rows.
    return any(bool(np.any((part != 0.0) & (part != 1.0) & ~np.isnan(part))) for part in (values[:1000], values))


def _bind_arms(frame: Frame, name: str, control: object, treatment_level: object) -> tuple[Arms, Bools]:
    codes, levels = frame.labels(name)
    _require_two(name, levels)
    if control is None:
        control = _default_control(frame, name, levels)
    base = _find(levels, control, "control", name)
    others = [code for code in range(len(levels)) if code != base]
    if treatment_level is not None:
        chosen = _find(levels, treatment_level, "treatment_level", name)
        if chosen == base:
            raise DesignError(
                f"control and treatment_level are both {treatment_level!r}.", hint="Name two levels.", column=name
            )
        others = [chosen, *(code for code in others if code != chosen)]
    order = [base, *others]
    recode = np.empty(len(levels) + 1, dtype=np.int32)
    recode[order] = np.arange(len(levels), dtype=np.int32)
    recode[-1] = -1  # a missing value has code -1, which indexes the last place
    return Arms(read_only(recode[codes]), tuple(levels[code] for code in order), name), codes < 0


def _require_two(name: str, levels: tuple[object, ...]) -> None:
    if len(levels) < 2:
        only = repr(levels[0]) if levels else "nothing but missing values"
        raise DesignError(
            f"treatment {name!r} has one arm only ({only}).", hint="An effect needs both arms in the data.", column=name
        )


def _default_control(frame: Frame, name: str, levels: tuple[object, ...]) -> object:
    shown = ", ".join(map(repr, levels[:8])) + (", …" if len(levels) > 8 else "")
    if frame.is_boolean(name) or set(levels) <= {0, 1}:
        return levels[0]
    if frame.is_numeric(name) and len(levels) > MOST_ARMS:
        raise DesignError(
            f"treatment {name!r} has {len(levels)} different numbers; this estimator compares arms.",
            hint="Use an estimator for doses (such as DoubleML or OLS), or cut the dose into arms.",
            column=name,
        )
    raise DesignError(
        f"treatment {name!r} has the levels {shown}; say which one is the baseline.",
        hint=f"Pass control={levels[0]!r} (or another level).",
        column=name,
    )


def _find(levels: tuple[object, ...], wanted: object, keyword: str, name: str) -> int:
    """Return the code of a level; a number may be given as text, as a study file would."""
    for code, level in enumerate(levels):
        if level == wanted and isinstance(level, str) == isinstance(wanted, str):
            return code
    for code, level in enumerate(levels):
        if str(level) == str(wanted):
            return code
    shown = ", ".join(map(repr, levels[:8])) + (", …" if len(levels) > 8 else "")
    raise DesignError(f"{keyword}={wanted!r} is not a level of {name!r}.", hint=f"Levels: {shown}.", column=name)
