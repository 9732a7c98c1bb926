"""What each way of measuring robustness says of a result: one number and one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.result import Result
from causalkit.core.sample import Arms, Sample
from causalkit.errors import CausalKitError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.refutation import marginal_model, worst_case
from causalkit.refutation.calibrated import CRITICAL
from causalkit.refutation.e_values import e_value
from causalkit.refutation.held_out import judges_a_rule
from causalkit.refutation.omitted_variable import Regression
from causalkit.refutation.oster import Short


@dataclass(frozen=True)
class Measure:
    """One measure of robustness.

    Parameters
    ----------
    name : str
        The method.
    value : str
        Its number or interval.
    said : str
        What it means here.
    """

    name: str
    value: str
    said: str


@dataclass(frozen=True)
class Question:
    """What is asked of a result.

    Parameters
    ----------
    result : Result
        With a headline.
    sample : Sample
        Its rows.
    q : float
        Share of the estimate that is to be explained away.
    alpha : float
        Level of the intervals.
    outcome_range : (float, float) or None
        Values that the outcome can take.
    """

    result: Result
    sample: Sample
    q: float
    alpha: float
    outcome_range: tuple[float, float] | None


def measured(asked: Question) -> Iterator[Measure]:
    """Yield every measure that has a meaning for the design of the result; the others are passed over."""
    strategies = asked.result.estimator.strategies
    makers: list[Callable[[Question], Measure]] = []
    if "adjustment" in strategies and not asked.sample.has("instruments"):
        makers += [_e_value, _oster, _marginal]
    if "parallel_trends" in strategies:
        makers.append(_honest_trends)
    if asked.sample.has("instruments"):
        makers += [_weak_instruments, _balke_pearl]
    if asked.sample.has("running"):
        makers.append(_honest_cutoff)
    if asked.outcome_range is not None:
        makers.append(_manski)
    for make in makers:
        try:
            yield make(asked)
        except (InferenceUnavailable, DesignError):  # no such interval; but what was asked for is not passed over
            if make is _manski:
                raise


def _e_value(asked: Question) -> Measure:
    if judges_a_rule(asked.result):
        raise InferenceUnavailable("a ranking or a rule is judged here, not the effect of a treatment.")
    column = _two_arms(asked.sample)
    y = asked.sample.outcome
    weights = asked.sample.optional("weights")
    estimate, (low, high) = asked.result.estimate, _limits(asked)
    if np.all((y == 0) | (y == 1)):
        controls = column.codes == 0
        base = float(np.average(y[controls], weights=None if weights is None else weights[controls]))
        if base <= 0 or base + estimate <= 0:
            raise InferenceUnavailable("a risk of zero has no ratio.")
        ratio = tuple(max(base + value, 1e-9 * base) / base for value in (estimate, low, high))
        point, limit = e_value(*ratio)
        scale = f"risk ratio {fmt.number(ratio[0], 3)}"
    else:
        from scipy.stats import norm

        spread = float(np.sqrt(np.cov(y, aweights=weights)))
        if not spread > 0:
            raise InferenceUnavailable("the outcome does not vary.")
        # 1.78 for a 95 % interval (VanderWeele and Ding 2017), for others in proportion.
        d, half = estimate / spread, 1.78 * asked.result.se / spread * float(norm.isf(asked.alpha / 2)) / CRITICAL
        ratios = [float(np.exp(np.clip(0.91 * d + shift * half, -700, 700))) for shift in (0, -1, 1)]
        point, limit = e_value(*ratios)
        scale = f"{fmt.number(d, 2)} standard deviations, about a risk ratio of {fmt.number(ratios[0], 3)}"
    return Measure(
        "E-value",
        fmt.number(point, 3),
        f"Treatment and outcome would each have to be tied to a common cause by a risk ratio of {fmt.number(point, 3)}, beyond "
        f"the covariates, to explain the estimate ({scale}); {fmt.number(limit, 3)} to move its interval to no effect.",
    )


def _oster(asked: Question) -> Measure:
    from causalkit.linear.ols import OLS

    if not isinstance(asked.result.estimator, OLS) or not asked.sample.features().names:
        raise InferenceUnavailable("it compares a regression with and without covariates.")
    short = short_of(Regression(asked.sample))
    most = short.r2_max()
    delta = short.delta(most, (1 - asked.q) * short.full)
    return Measure(
        "Oster's delta",
        fmt.number(delta, 3),
        f"Selection on what was not measured would have to be {fmt.number(abs(delta), 3)} times as strong as selection on the "
        f"covariates{' and of the other sign' if delta < 0 else ''} (taking an R2 of {fmt.number(most, 3)} for a regression "
        "on everything).",
    )


def short_of(regression: Regression) -> Short:
    """Return the regressions without and with covariates, in the terms of Oster (2019).

    Parameters
    ----------
    regression : Regression
        One treatment.
    """
    if regression.sample.several("absorb") or regression.sample.has("weights") or regression.other_arms:
        raise InferenceUnavailable("it is for least squares with one treatment, without weights and absorbed effects.")
    y, d = regression.sample.outcome, regression.treatment
    x = regression.covariates[0]
    y, d, x = y - y.mean(), d - d.mean(), x - x.mean(axis=0)
    left_d = d - x @ np.linalg.lstsq(x, d, rcond=None)[0]
    left_y = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    bare = float(d @ y / (d @ d))
    full = float(left_d @ left_y / (left_d @ left_d))
    total, n = float(y @ y), len(y)
    of_full = float(np.sum((left_y - full * left_d) ** 2))
    return Short(
        bare,
        1 - float(np.sum((y - bare * d) ** 2)) / total,
        full,
        1 - of_full / total,
        total / n,
        float(d @ d) / n,
        float(left_d @ left_d) / n,
    )


def _marginal(asked: Question) -> Measure:
    y, treated, mu, e = arms_of(asked.result)
    factor = marginal_model.critical_factor(y, treated, mu, e)
    said = fmt.number(factor, 3)
    return Measure(
        "marginal sensitivity model",
        said,
        f"The odds of treatment would have to be wrong by a factor of {said} for somebody, in the least favourable way, for "
        "the effect to be zero.",
    )


def arms_of(result: Result) -> tuple[Floats, Floats, Floats, Floats]:
    """Return outcomes, 0/1 treatment, expected outcomes and probabilities by arm, of doubly robust scores.

    Raises
    ------
    InferenceUnavailable
        If the result has none, or has several arms or weights.
    """
    study: Any = getattr(result, "study", None)
    if study is None or study.arms.count > 2 or study.weights is not None:
        raise InferenceUnavailable("it needs doubly robust scores of two arms, without weights.")
    nuisances = result.nuisances  # type: ignore[attr-defined]
    return study.scale.level(study.z), study.arms.codes.astype(float), nuisances.mu, nuisances.e


def _manski(asked: Question) -> Measure:
    arms = _two_arms(asked.sample)
    assert asked.outcome_range is not None
    low, high = worst_case.manski_bounds(
        asked.sample.outcome, arms.codes, asked.outcome_range, weights=asked.sample.optional("weights")
    )
    return Measure(
        "Manski bounds",
        fmt.interval(low, high, 3),
        f"Without any assumption on who was treated the average effect lies in {fmt.interval(low, high, 3)}.",
    )


def _balke_pearl(asked: Question) -> Measure:
    instruments = asked.sample.features("instruments").dummies()[0]
    arms = _two_arms(asked.sample)
    y = asked.sample.outcome
    binary = instruments.shape[1] == 1 and all(np.isin(v, (0.0, 1.0)).all() for v in (instruments, y))
    if not binary:
        raise InferenceUnavailable("it needs a binary instrument, treatment and outcome.")
    cells = worst_case.shares(instruments[:, 0], arms.codes.astype(float), y, asked.sample.optional("weights"))
    try:
        low, high = worst_case.balke_pearl_bounds(cells)
    except CausalKitError as error:
        return Measure("Balke-Pearl bounds", "none", str(error))
    return Measure(
        "Balke-Pearl bounds",
        fmt.interval(low, high, 3),
        f"The average effect on everybody, not only on compliers, lies in {fmt.interval(low, high, 3)} if the instrument is "
        "valid (covariates not used).",
    )


def _weak_instruments(asked: Question) -> Measure:
    found = asked.result.ci(asked.alpha, method="ar")
    told = fmt.pieces([found] if isinstance(found, tuple) else found.intervals)
    return Measure(
        "Anderson-Rubin set",
        told,
        f"Whatever the strength of the instruments, the data do not reject effects in {told}.",
    )


def _honest_trends(asked: Question) -> Measure:
    from causalkit.did.honest_did import honest

    try:
        report = honest(asked.result, alpha=asked.alpha)
    except DesignError as error:
        if "base_period" not in asked.result.estimator.params():
            raise InferenceUnavailable(str(error)) from None
        again = asked.result.estimator.replace(base_period="universal").estimate(asked.sample)
        report = honest(again, alpha=asked.alpha)
    worst = report.breakdown
    return Measure(
        "HonestDiD",
        fmt.number(worst, 3),
        f"Trends after the start may part {fmt.number(worst, 3)} times as fast as the worst before it, and the interval of "
        "the average over event times still excludes zero."
        if worst > 0
        else "The interval of the average over event times holds zero even with parallel trends.",
    )


def _honest_cutoff(asked: Question) -> Measure:
    found = asked.result.ci(asked.alpha, method="honest")
    told = fmt.interval(*found, 3) if isinstance(found, tuple) else str(found)
    return Measure(
        "honest interval",
        told,
        f"With the largest curvature that the data suggest counted as bias, the effect at the cutoff lies in {told}.",
    )


def _two_arms(sample: Sample) -> Arms:
    column = sample.columns.get("treatment")
    if not isinstance(column, Arms) or column.count > 2:
        raise InferenceUnavailable("it needs two arms.")
    return column


def _limits(asked: Question) -> tuple[float, float]:
    found = asked.result.ci(asked.alpha)
    if not isinstance(found, tuple):
        raise InferenceUnavailable("it needs an interval.")
    return found
