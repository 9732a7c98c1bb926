"""Placebo in time: a start of the treatment that had not happened."""

from __future__ import annotations

from causalkit.errors import InferenceUnavailable
from causalkit.refutation.calibrated import power_of_shift
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.trial import Trial

NAME = "placebo_in_time"


def run(trial: Trial) -> Finding:
    """Pretend that the start came earlier; nothing had started then, so the effect is zero if trends are parallel."""
    from causalkit.did.placebo import placebo_in_time

    if "parallel_trends" not in trial.result.estimator.strategies:
        raise InferenceUnavailable("the analysis does not rest on trends over time.")
    report = placebo_in_time(trial.result)
    moved = max((abs(trial.result.estimate) / row.se for row in report.found if row.se > 0), default=0.0)
    power = power_of_shift(moved)
    return Finding(report.verdict, power, "trends that differ before the start by as much as the estimate")


CHALLENGE = Challenge(
    NAME,
    "Trends that were not parallel before the start, and responses to the announcement.",
    "Trends that part ways after the start only.",
    run,
    draws=False,
)
