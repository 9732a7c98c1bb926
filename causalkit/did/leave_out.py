"""Does one cohort make the result?"""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.result import Result
from causalkit.did.cohorts import Cohorts
from causalkit.did.placebo_report import DiagnosticReport, Row
from causalkit.errors import CausalKitError, InferenceUnavailable


def leave_one_cohort_out(result: Result) -> DiagnosticReport:
    """Estimate again without each cohort in turn (and, last, without the never treated).

    Parameters
    ----------
    result : Result
        Of a difference-in-differences estimator, with its rows.

    Returns
    -------
    DiagnosticReport
        One row for the whole panel and one per cohort. The verdict warns where leaving out one cohort turns the sign, or
        takes away or brings about that the 95 % interval excludes zero.

    Raises
    ------
    InferenceUnavailable
        If there is one cohort only, or the rows were not kept.
    """
    if result.sample is None:
        raise InferenceUnavailable("the rows were not kept.", hint="Fit again, or pickle with keep_data=True.")
    cohorts = Cohorts.of(result.sample, unbalanced="cells", always_treated="keep", reversals="keep")
    if len(cohorts.starts) < 2:
        raise InferenceUnavailable("there is one cohort only; without it nothing is left to estimate.")
    rows = [Row("all cohorts", {"units": cohorts.n_units}, result.headline_effect)]
    failed = []
    for g, label in enumerate((*cohorts.labels, "never treated")):
        out = cohorts.of_unit == g
        if not out.any():
            continue
        name = f"without {label}"
        kept = result.sample.take(np.flatnonzero(~out[cohorts.panel.unit.codes]))
        try:
            rows.append(Row(name, {"units": int((~out).sum())}, result.refit(kept).headline_effect))
        except CausalKitError:
            failed.append(str(label))
    return DiagnosticReport("Leaving out one cohort at a time", _verdict(rows, failed), tuple(rows))


def _verdict(rows: list[Row], failed: list[str]) -> Check:
    whole, others = rows[0], rows[1:]
    turned = [row.name for row in others if row.estimate * whole.estimate < 0]
    moved = [row.name for row in others if _excludes(row) != _excludes(whole) and row.name not in turned]
    far = max(others, key=lambda row: abs(row.estimate - whole.estimate)) if others else whole
    said = (
        f"All cohorts give {fmt.number(whole.estimate, 3)}; the estimate moves most {far.name}, to "
        f"{fmt.number(far.estimate, 3)}."
    )
    if turned:
        said += f" The sign turns {', '.join(turned)}."
    if moved:
        said += f" Whether the interval excludes zero changes {', '.join(moved)}."
    if failed:
        said += f" It can't be estimated without {', '.join(failed)}."
    bad = bool(turned or moved)
    who = " and ".join(name.removeprefix("without ") for name in (*turned, *moved))
    advice = f"The result hangs on {who}: look at effects by cohort, aggregate('cohort')." if bad else ""
    return Check("leave_one_cohort_out", "warn" if bad else "pass", said, advice=advice)


def _excludes(row: Row) -> bool:
    low, high = row.ci()
    return low > 0 or high < 0
