"""The verdict on parallel trends before the start, with a reference distribution that knows how few clusters there are."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.effects import Test
from causalkit.core.estimate import Carrier, Influence
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.event_study import EventStudyResult
from causalkit.errors import InferenceUnavailable


def pre_trends_check(
    result: EventStudyResult | AggregateResult, alpha: float = 0.05, n_units: int | None = None
) -> Check:
    """Return the check of parallel trends before the start.

    A joint test of many effects, whose covariance comes from few clusters (or units), rejects too often both as a
    chi-square and as an F test with as many degrees of freedom as one effect has; the verdict therefore takes the Wald
    statistic for a Hotelling one, ``(G - q) / (q (G - 1)) W ~ F(q, G - q)`` for q effects and G clusters. G is the smallest
    number of clusters of a way. Where the result holds a covariance only, ``n_units`` says how many. With a variance that
    takes errors for independent, the F test stays as it is.
    """
    try:
        effects, terms = result._tested()
        found = effects.joint_test(terms)
        pvalue = _hotelling(found, effects.numbers.carrier, n_units)
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
    """Return the p-value of a joint test whose covariance was estimated from few clusters."""
    q, df = found.df if isinstance(found.df, tuple) else (1.0, found.df)
    wald, count = found.statistic, None if n_units is None else float(n_units)
    if np.isfinite(df):  # an F ratio
        wald = q * found.statistic
        count = df + 1 if getattr(carrier, "kind", "").startswith("CR") else None
    elif isinstance(carrier, Influence):
        count = float(min((way.count for way in carrier.ways), default=len(carrier.rows)))
    if count is None:
        return found.pvalue
    if count <= q:
        raise InferenceUnavailable(
            f"{count:g} clusters can't test {q:g} effects before the start jointly.",
            hint="Test fewer, or use more clusters.",
        )
    from scipy.stats import f

    return float(f.sf(wald * (count - q) / (q * (count - 1)), q, count - q))
