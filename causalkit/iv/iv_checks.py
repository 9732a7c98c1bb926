"""What an instrumental-variables result has to say about its assumptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Test
from causalkit.core.estimate import Influence
from causalkit.core.few_clusters import FEW_ON_A_SIDE, few_clusters_check
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.errors import CausalKitError, InferenceUnavailable
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.iv.iv_result import IVResult

LEVEL = 0.05
_NAMED = 8


def with_checks(result: IVResult) -> IVResult:
    """Return the result with its ledger; what needs computing waits until it is read."""
    from dataclasses import replace

    sample = result.sample
    assert sample is not None
    makers: dict[str, Check | Callable[[], Check]] = {
        "missing": missing_check(sample),
        **outcome_check(sample),
        "collinearity": _collinearity(result),
        "relevance": lambda: relevance(result),
        "weak_instruments": lambda: weak_instruments(result),
        "overidentification": lambda: overidentification(result),
        "endogeneity": lambda: endogeneity(result),
    }
    carrier = result.effects.numbers.carrier
    ways = carrier.ways if isinstance(carrier, Influence) else sample.several("cluster")
    if ways:
        makers["few_clusters"] = lambda: few_clusters(sample, ways)
    if result.n_singletons:
        makers["singletons"] = _singletons(result)
    changed = replace(result, checks=Checks(makers))
    vars(changed).update({name: value for name, value in vars(result).items() if name not in vars(changed)})
    return changed


def relevance(result: IVResult) -> Check:
    """Whether the instruments move the treatment at all."""
    first = result.first_stage
    try:
        weakest = int(np.argmin(first.f))
    except CausalKitError as reason:
        return Check("relevance", "untestable", str(reason))
    f, p = float(first.f[weakest]), float(first.f_pvalue[weakest])
    df1, df2 = first.df
    said = (
        f"First-stage F of {first.endogenous[weakest]}: {fmt.number(f)} ({first.kind}; {df1:g} and {df2:,.0f} degrees "
        f"of freedom), p-value {fmt.pvalue(p)}; partial R² {fmt.number(float(first.partial_r2[weakest]))}."
    )
    if p < LEVEL:
        return Check("relevance", "pass", said, f)
    return Check(
        "relevance",
        "fail",
        f"{said} The instruments may not move the treatment.",
        f,
        advice="Without a first stage there is no estimate: look at .reduced_form, and find a stronger instrument.",
    )


def weak_instruments(result: IVResult) -> Check:
    """Whether the first stage is strong enough for Wald intervals."""
    from causalkit.iv.weak_report import weak_instruments_check

    try:
        return weak_instruments_check(result)
    except CausalKitError as reason:
        return Check("weak_instruments", "untestable", str(reason))


def few_clusters(sample: Sample, ways: Sequence[Groups]) -> Check:
    """Whether there are enough clusters, and enough of them with either value of an instrument that tells them apart."""
    way = min(ways, key=lambda groups: groups.count)
    told, few = "", False
    instruments = sample.features("instruments")
    for name, values in zip(instruments.names, instruments.values.T, strict=True):
        least = _least_apart(values, way)
        if least is not None and least < FEW_ON_A_SIDE:
            told, few = f"{told}, of which only {least} have one of the two values of {name!r}", True
    advice = (
        "Intervals are often too short, those of ci(method='ar') as well: look for more clusters, or permute the instrument "
        "between clusters."
    )
    return few_clusters_check(way.count, way.name, told, few, advice)


def _least_apart(values: Floats, way: Groups) -> int | None:
    """Count the clusters with the rarer value of a column of two values that is constant in clusters; else None."""
    low, high = float(values.min()), float(values.max())
    is_high = values == high
    if not np.all(is_high | (values == low)):
        return None
    size, above = np.bincount(way.codes), np.bincount(way.codes, weights=is_high)
    if np.any((above > 0) & (above < size)):
        return None
    return int(min(np.count_nonzero(above), np.count_nonzero(above == 0)))


def overidentification(result: IVResult) -> Check:
    """Whether the instruments agree with each other."""
    try:
        test = result.overidentification_test()
    except InferenceUnavailable as reason:
        return Check("overidentification", "untestable", f"{str(reason.args[0])[:1].upper()}{str(reason.args[0])[1:]}")
    said = f"{test.method} {fmt.number(test.statistic)} with {_df(test)}, p-value {fmt.pvalue(test.pvalue)}"
    if test.pvalue < LEVEL:
        return Check(
            "overidentification",
            "warn",
            f"The instruments disagree ({said}).",
            test.statistic,
            test.pvalue,
            advice="Some instrument affects the outcome on another way, or they move people whose effects differ: "
            "compare the estimates of each alone.",
        )
    return Check("overidentification", "pass", f"The instruments agree ({said}).", test.statistic, test.pvalue)


def endogeneity(result: IVResult) -> Check:
    """Whether least squares would have given the same; either answer is fine."""
    try:
        test = result.endogeneity_test()
    except InferenceUnavailable as reason:
        return Check("endogeneity", "untestable", str(reason))
    said = f"{test.method} {fmt.number(test.statistic)}, p-value {fmt.pvalue(test.pvalue)}"
    if test.pvalue < LEVEL:
        message = (
            f"Least squares gives another answer ({said}): the treatment is endogenous, if the instruments are valid."
        )
    else:
        message = (
            f"Least squares gives no detectably different answer ({said}); it is the more precise one, if exogenous."
        )
    return Check("endogeneity", "pass", message, test.statistic)


def _df(test: Test) -> str:
    if isinstance(test.df, tuple):
        return f"{test.df[0]:g} and {test.df[1]:g} degrees of freedom"
    return fmt.plural(int(test.df), "degree") + " of freedom"


def _collinearity(result: IVResult) -> Check:
    lost = result.collinear
    if not lost:
        return Check("collinearity", "pass", "No covariate or instrument is determined by the others.")
    told = [f"{name} ({why})" for name, why in lost.items()]
    said = "; ".join(told[:_NAMED]) + (f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else "")
    return Check(
        "collinearity",
        "warn",
        f"{fmt.plural(len(lost), 'column')} left out: {said}.",
        advice="Make sure that none was meant to stay.",
    )


def _singletons(result: IVResult) -> Check:
    count = result.n_singletons
    return Check(
        "singletons",
        "pass",
        f"{fmt.plural(count, 'row')} alone in a level of an absorbed effect: no coefficient depends on "
        f"{'it' if count == 1 else 'them'}.",
    )
