"""Checks that every fit makes of its input: what was left out, and whether that depends on the treatment."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.design import ZERO_WEIGHT
from causalkit.core.features import is_complete
from causalkit.core.sample import Sample

#: Left-out rows above this share deserve a look.
MANY_DROPPED = 0.05


def missing_check(sample: Sample) -> Check:
    """Say how many rows were left out and why, and which covariates keep their gaps."""
    dropped, features = sample.dropped, sample.features()
    holes = [0 if is_complete(column) else int(np.isnan(column).sum()) for column in features.values.T]
    gaps = [f"{name} {count:,}" for name, count in zip(features.names, holes, strict=True) if count]
    kept = f" Gaps in covariates stay as they are: {', '.join(gaps)}." if gaps else ""
    idle = sum(count for reason, _, count, _ in dropped.reasons if reason == ZERO_WEIGHT)
    if idle:
        kept = (
            f" {fmt.plural(idle, 'row')} with a weight of zero {'stands' if idle == 1 else 'stand'} for nobody.{kept}"
        )
    if not dropped.total:
        return Check("missing", "pass", f"All {sample.n_input:,} rows were used.{kept}")
    gone = dropped.total - idle
    if not gone:
        message = f"All {sample.n:,} rows that weigh anything were used.{kept}"
        return Check("missing", "pass", message, table=dropped.to_table())
    lost = gone / (sample.n_input - idle)
    why = "; ".join(
        f"{count:,} for {reason} ({name})"
        for reason, name, count, _ in dropped.reasons
        if count and reason != ZERO_WEIGHT
    )
    many = lost > MANY_DROPPED
    return Check(
        "missing",
        "warn" if many else "pass",
        f"{gone:,} of {sample.n_input - idle:,} rows ({fmt.share(lost)}) were left out: {why}.{kept}",
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
    return {"outcome": constant_outcome(sample.name("outcome"), float(sample.outcome[0]), sample.n)}


def constant_outcome(name: str, value: float, n: int) -> Check:
    """Return the failed check of an outcome that has one value only."""
    message = f"The outcome {name} is {fmt.number(value)} in all {n:,} rows, so errors of zero say nothing."
    return Check("outcome", "fail", message, advice="Check the column, or wait for outcomes that vary.")
