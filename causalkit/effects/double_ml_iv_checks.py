"""What a result of double machine learning with instruments has to say about its assumptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks, Status
from causalkit.core.sample import Arms, Sample
from causalkit.effects.checks import dose_checks, missing_outcomes_check
from causalkit.effects.crossfit_study import arm_names
from causalkit.effects.double_ml_iv import InstrumentedEffect
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.nuisance.propensity import Propensity

#: Stock and Yogo's rule of thumb for the first-stage F.
RULE_OF_THUMB = 10.0
_LEVEL = 0.05
_LITTLE, _TOO_LITTLE = 0.05, 0.01
_R = TypeVar("_R", bound=InstrumentedEffect)


def with_checks(
    result: _R, overlap: Check, skill: float, more: Mapping[str, Check | Callable[[], Check]] | None = None
) -> _R:
    """Return the result with its ledger; ``skill`` is the out-of-fold R² of the outcome model."""
    sample = result.sample
    assert sample is not None
    makers: dict[str, Check | Callable[[], Check]] = dict(dose_checks(sample, overlap, skill))
    if isinstance(sample.columns["treatment"], Arms):
        makers["missing_outcomes"] = lambda: missing_outcomes_check(sample)
    makers |= {"relevance": lambda: relevance(result), "weak_instruments": lambda: weak_instruments(result)}
    if result.scores[0].outcome.shape[1] > 1:
        makers["overidentification"] = lambda: overidentification(result)
    makers["exclusion"] = _exclusion(sample)
    return replace(result, checks=Checks({**makers, **(more or {})}))


def relevance(result: InstrumentedEffect) -> Check:
    """Whether the instruments move the treatment at all."""
    found = result.strength
    said = (
        f"First-stage F of the instruments, covariates held fixed: {fmt.number(found.statistic)} "
        f"({found.df1} and {found.df2:,.0f} degrees of freedom), p-value {fmt.pvalue(found.pvalue)}."
    )
    if found.pvalue < _LEVEL:
        return Check("relevance", "pass", said, found.statistic)
    return Check(
        "relevance",
        "fail",
        f"{said} The instruments may not move the treatment.",
        found.statistic,
        advice="Without a first stage there is no estimate: find a stronger instrument.",
    )


def weak_instruments(result: InstrumentedEffect) -> Check:
    """Hold the first-stage F against ten, and tell the set that does not depend on it."""
    f = result.strength.statistic
    region = result.ci(_LEVEL, method="ar")
    assert isinstance(region, ConfidenceSet)
    weak = f < RULE_OF_THUMB
    said = f"First-stage F {fmt.number(f)}, against the rule of thumb of {RULE_OF_THUMB:g}. The 95% Anderson-Rubin set is {region}"
    if region.is_empty:
        said += ": no effect agrees with these instruments, so the model itself is rejected"
    elif not region.is_bounded:
        said += ": the data do not bound the effect"
    status: Status = "warn" if weak or region.is_empty or not region.is_bounded else "pass"
    advice = 'Read ci(method="ar") instead of the Wald interval: it holds its level with weak instruments.'
    return Check("weak_instruments", status, f"{said}.", f, advice="" if status == "pass" else advice)


def overidentification(result: InstrumentedEffect) -> Check:
    """Whether several instruments agree."""
    test = result.overidentification_test()
    assert isinstance(test.df, float)
    told = f"Hansen's J {fmt.number(test.statistic)} with {fmt.plural(int(test.df), 'degree')} of freedom"
    message = f"{told}, p-value {fmt.pvalue(test.pvalue)}."
    if test.pvalue >= _LEVEL:
        return Check("overidentification", "pass", f"The instruments agree: {message}", test.statistic, test.pvalue)
    return Check(
        "overidentification",
        "warn",
        f"The instruments disagree: {message}",
        test.statistic,
        test.pvalue,
        "Some instrument affects the outcome on another way, or they move people whose effects differ: compare the "
        "estimates of each alone.",
    )


def remainder(left: Mapping[str, float]) -> Check:
    """Judge the share of the variance of each instrument that covariates leave; the smallest counts."""
    name, least = min(left.items(), key=lambda item: item[1])
    status: Status = "fail" if least < _TOO_LITTLE else "warn" if least < _LITTLE else "pass"
    told = f"Covariates leave {fmt.share(least)} of the variance of instrument {name} unexplained, out of fold."
    advice = (
        ""
        if status == "pass"
        else "The estimate rests on this remainder; leave out covariates that fix the instrument."
    )
    return Check("overlap", status, told, least, None, advice)


def instrument_overlap(chances: Propensity, levels: Arms) -> Check:
    """Pass on the verdict of the probabilities of the instrument."""
    seen = chances.overlap
    low, high = float(seen.minimum[1]), float(seen.maximum[1])
    told = f"The probability of {arm_names(levels)[1]} runs from {fmt.number(low, 3)} to {fmt.number(high, 3)}"
    clipped = f" and was clipped in {fmt.plural(chances.clipped, 'row')}" if chances.clipped else ""
    return Check("overlap", seen.status, f"{told}{clipped}. {seen.message}", min(low, 1.0 - high), None, seen.advice)


def monotonicity(instrument: str, one_sided: str, falling: float) -> Check:
    """State that nobody defies the instrument; by design where only one side can do other than it says.

    Parameters
    ----------
    instrument : str
        Its column.
    one_sided : str
        What the design rules out, such as ``"always takers"``; empty where nothing.
    falling : float
        Share of rows for which covariates predict that the instrument lowers the treatment.
    """
    if one_sided:
        said = f"The design has no {one_sided}, so nobody can do the opposite of what {instrument} says."
        return Check("monotonicity", "pass", said)
    said = (
        f"That {instrument} moves nobody against its direction can't be tested. By the models of the treatment it would do so, on "
        f"average, at the covariates of {fmt.share(falling)} of the rows."
    )
    return Check(
        "monotonicity",
        "untestable",
        said,
        falling,
        advice="With defiers the estimate is no average effect of any group of people.",
    )


def _exclusion(sample: Sample) -> Check:
    names = ", ".join(sample.features("instruments").names)
    return Check(
        "exclusion",
        "untestable",
        f"Given the covariates, {names} must be as good as random and affect the outcome through the treatment only.",
        advice="Say why there is no other way; try outcomes that the treatment can't affect.",
    )
