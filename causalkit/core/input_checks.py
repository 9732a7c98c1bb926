"""Checks that every fit makes of its input: what was left out, and whether that depends on the treatment."""

from __future__ import annotations

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.sample import Sample


def missing_check(sample: Sample) -> Check:
    """Report the rows that were left out, and the covariate gaps that were kept."""
    dropped, kept = sample.dropped, sample.features().missing
    gaps = int(kept.sum())
    kept_text = f" {fmt.plural(gaps, 'row')} with a missing covariate {'was' if gaps == 1 else 'were'} kept." if gaps else ""
    if dropped.total == 0:
        return Check("missing", "pass", f"All {sample.n:,} rows were used.{kept_text}")
    lost = dropped.total / sample.n_input
    reasons = "; ".join(f"{count:,} for {reason} ({name})" for reason, name, count, _ in dropped.reasons if count)
    return Check(
        "missing",
        "warn" if lost > 0.05 else "pass",
        f"{dropped.total:,} of {sample.n_input:,} rows ({fmt.share(lost)}) were left out: {reasons}.{kept_text}",
        statistic=lost,
        advice="Make sure that these rows are not a part of the study, or that they are missing at random." if lost > 0.05 else "",
        table=dropped.to_table(),
    )
