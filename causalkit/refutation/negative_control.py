"""Negative controls: an outcome that the treatment can't change, a treatment that can't change the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.result import Result
from causalkit.core.sample import Number, Sample
from causalkit.core.table import Table
from causalkit.errors import InferenceUnavailable
from causalkit.inference.multiplicity import adjust_pvalues
from causalkit.refutation.calibrated import power_of_shift
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.trial import Trial

_TREATMENT_KEYS = ("control", "treatment_level", "propensity")


def outcomes(trial: Trial) -> Finding:
    """Run the analysis on outcomes that the treatment can't change but its confounders may (Lipsitch et al. 2010)."""
    if not trial.negative_outcomes:
        raise InferenceUnavailable("name the columns in negative_outcomes=, and pass data=.")
    again = [_again(trial, {"outcome": name}) for name in trial.negative_outcomes]
    return _finding(
        "negative_outcome",
        trial,
        trial.negative_outcomes,
        again,
        [_spread(other.sample, "outcome") / _spread(trial.sample, "outcome") for other in again],
        "an outcome that the treatment can't change",
    )


def treatments(trial: Trial) -> Finding:
    """Run the analysis with treatments that can't change the outcome but share its confounders (Lipsitch et al. 2010)."""
    if not trial.negative_treatments:
        raise InferenceUnavailable("name the columns in negative_treatments=, and pass data=.")
    if not trial.sample.has("treatment"):
        raise InferenceUnavailable("the analysis has no treatment column that another could take the place of.")
    dropped = dict.fromkeys(_TREATMENT_KEYS)
    again = [_again(trial, {"treatment": name}, dropped) for name in trial.negative_treatments]
    return _finding(
        "negative_treatment",
        trial,
        trial.negative_treatments,
        again,
        [_spread(trial.sample, "treatment") / _spread(other.sample, "treatment") for other in again],
        "a treatment that can't change the outcome",
    )


def _again(trial: Trial, changed: dict[str, Any], dropped: dict[str, None] | None = None) -> Result:
    if trial.data is None:
        raise InferenceUnavailable("a negative control is a column of the table: pass data=.")
    roles = {role: value for role, value in trial.result.roles.items() if role not in (dropped or {})}
    again: Result = replace(trial.result, roles={**roles, **changed}).refit(trial.data)
    return again


def _finding(
    name: str, trial: Trial, columns: Sequence[str], again: Sequence[Result], scales: Sequence[float], what: str
) -> Finding:
    for column, other in zip(columns, again, strict=True):
        if not (np.isfinite([other.estimate, other.se, other.pvalue]).all() and other.se > 0):
            raise InferenceUnavailable(f"the analysis of {column!r} has no standard error; does the column vary?")
    adjusted = adjust_pvalues([result.pvalue for result in again], method="holm")
    worst = int(np.argmin(adjusted))
    pvalue, found = float(adjusted[worst]), again[worst]
    bad = pvalue < 0.05
    table = Table.of(
        ("column", "estimate", "se", "pvalue"),
        [(column, r.estimate, r.se, r.pvalue) for column, r in zip(columns, again, strict=True)],
    )
    check = Check(
        name,
        "fail" if bad else "pass",
        f"The analysis finds {fmt.number(found.estimate)} (p-value {fmt.pvalue(pvalue)}"
        f"{', adjusted' if len(again) > 1 else ''}) for {columns[worst]!r}, {what}.",
        found.estimate / found.se,
        pvalue,
        "Something else moves both: a common cause is not adjusted for." if bad else "",
        table,
    )
    moved = max(abs(trial.result.estimate) * scale / other.se for scale, other in zip(scales, again, strict=True))
    power = power_of_shift(moved)
    return Finding(
        check,
        power,
        "confounding that explains all of the estimate and moves the control by as many standard deviations",
    )


def _spread(sample: Sample | None, role: str) -> float:
    """Standard deviation of a column; 1 where the rows are not kept."""
    if sample is None:
        return 1.0
    column = sample.columns[role]
    values = column.values if isinstance(column, Number) else column.codes  # type: ignore[union-attr]
    return float(np.std(values)) or 1.0


OUTCOMES = Challenge(
    "negative_outcome",
    "A common cause of treatment and outcome that also moves the negative control.",
    "A common cause that the negative control does not share.",
    outcomes,
    draws=False,
)
TREATMENTS = Challenge(
    "negative_treatment",
    "A common cause of treatment and outcome that also moves the negative control.",
    "A common cause that the negative control does not share.",
    treatments,
    draws=False,
)
