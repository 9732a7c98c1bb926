"""The verdict on parallel trends before the start, with a reference distribution that knows how few clusters there are."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.effects import Test
from causalkit.core.estimate import Carrier, Influence
from causalkit.did.event_study import AggregateResult, EventStudyResult
from causalkit.errors import InferenceUnavailable


def pre_trends_check(
    result: EventStudyResult | AggregateResult, alpha: float = 0.05, n_units: int | None = None
) -> Check:
    """Return the check of parallel trends before the start.

    With a normal approximation for each effect a joint test of many rejects too often; the verdict therefore takes the
    Wald statistic for a Hotelling one, whose distribution is F with as many clusters (or units) as there are. Where the result
    holds a covariance only, ``n_units`` says how many.
    """
    try:
        found = result.pre_trends()
        pvalue = _hotelling(found, result.effects.numbers.carrier, n_units)
    except InferenceUnavailable as error:
        return Check(
            "pre_trends", "untestable", str(error).split(" Hint")[0], advice="Parallel trends rest on argument."
        )
    bad = pvalue < alpha
    return Check(
        "pre_trends",
        "fail" if bad else "pass",
        f"Effects before the start are {'not ' if bad else ''}all compatible with zero (joint test, p-value "
        f"{fmt.pvalue(pvalue)}); a pass does not prove parallel trends.",
        statistic=found.statistic,
        pvalue=pvalue,
        advice="See the event study, and how large a violation the effect survives: did.honest(result)." if bad else "",
    )


def _hotelling(found: Test, carrier: Carrier, n_units: int | None) -> float:
    """Return the p-value of a joint test, from F where it took the number of clusters to be infinite."""
    df = found.df if isinstance(found.df, tuple) else (1.0, found.df)
    q, count = df[0], n_units
    if isinstance(carrier, Influence):
        count = len(carrier.rows) if carrier.groups is None else carrier.groups.count
    if count is None or np.isfinite(df[1]):
        return found.pvalue
    if count <= q:
        raise InferenceUnavailable(
            f"{count} clusters can't test {q:g} effects before the start jointly.",
            hint="Test fewer, or use more clusters.",
        )
    from scipy.stats import f

    return float(f.sf(found.statistic * (count - q) / (q * (count - 1)), q, count - q))
