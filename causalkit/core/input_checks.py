"""Checks that every fit makes of its input: what was left out, and whether that depends on the treatment."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.sample import Sample

#: Left-out rows above this share deserve a look.
MANY_DROPPED = 0.05


def missing_check(sample: Sample) -> Check:
    """Say how many rows were left out and why, and which covariates keep their gaps."""
    dropped, features = sample.dropped, sample.features()
    holes = np.isnan(features.values).sum(axis=0)
    gaps = [f"{name} {int(count):,}" for name, count in zip(features.names, holes, strict=True) if count]
    kept = f" Gaps in covariates stay as they are: {', '.join(gaps)}." if gaps else ""
    if not dropped.total:
        return Check("missing", "pass", f"All {sample.n_input:,} rows were used.{kept}")
    lost = dropped.total / sample.n_input
    why = "; ".join(f"{count:,} for {reason} ({name})" for reason, name, count, _ in dropped.reasons if count)
    many = lost > MANY_DROPPED
    return Check(
        "missing",
        "warn" if many else "pass",
        f"{dropped.total:,} of {sample.n_input:,} rows ({fmt.share(lost)}) were left out: {why}.{kept}",
        statistic=lost,
        advice="Ask whether those left out belong to the study, and whether they differ from those who stay."
        if many
        else "",
        table=dropped.to_table(),
    )


def outcome_check(sample: Sample) -> dict[str, Check]:
    """Return a failed check where the outcome does not vary: no error can be estimated from it; else nothing."""
    if np.ptp(sample.outcome) > 0:
        return {}
    name, value = sample.name("outcome"), fmt.number(float(sample.outcome[0]))
    message = f"The outcome {name} is {value} in all {sample.n:,} rows, so errors of zero say nothing."
    return {"outcome": Check("outcome", "fail", message, advice="Check the column, or wait for outcomes that vary.")}
