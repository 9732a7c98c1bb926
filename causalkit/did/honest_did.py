"""How large a violation of parallel trends the effects survive (Rambachan and Roth 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.did.honest_problem import Method, Problem
from causalkit.did.honest_restrictions import KINDS, Kind, Restriction
from causalkit.did.honest_vector import event_vector, numbers_in
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.inference.confidence_set import ConfidenceSet

METHODS = {
    "c-lf": "conditional test after a least-favourable one",
    "conditional": "conditional test",
    "flci": "optimal interval of fixed length",
}
AXES = {
    "relative_magnitudes": "M, times the largest violation before the start",
    "smoothness": "M, change of the violation's slope per period",
    "relative_smoothness": "M, times the largest change of slope before the start",
}
#: A break-even value is not searched beyond this many times the first magnitude.
LARGEST = 2.0**20


@dataclass(frozen=True, eq=False, repr=False)
class HonestDiD(Report):
    """Robust intervals of one effect by the magnitude of the violation that is allowed.

    Parameters
    ----------
    problem : Problem
        The effect and the class of violations.
    magnitudes : Floats
        The magnitudes M, rising.
    limits : tuple of (low, high) or None
        The interval at each: the smallest that holds every value that is not rejected at this or a smaller magnitude;
        None where all are rejected.
    null : float
        The value whose survival is asked.
    checks : Checks
        The ledger: that of the result, and how the effect survives.
    """

    problem: Problem
    magnitudes: Floats
    limits: tuple[tuple[float, float] | None, ...]
    null: float
    checks: Checks

    plots = ("sensitivity",)

    @property
    def estimate(self) -> float:
        """The effect, were trends parallel."""
        vector = self.problem.vector
        return float(self.problem.weights @ vector.values[vector.n_pre :])

    @property
    def se(self) -> float:
        """Standard error of the estimate."""
        vector, weights = self.problem.vector, self.problem.weights
        return float(np.sqrt(weights @ vector.vcov[vector.n_pre :, vector.n_pre :] @ weights))

    @property
    def original(self) -> tuple[float, float]:
        """The interval under parallel trends."""
        half = float(special.ndtri(1.0 - self.problem.alpha / 2.0)) * self.se
        return self.estimate - half, self.estimate + half

    @cached_property
    def sets(self) -> tuple[ConfidenceSet, ...]:
        """The confidence set at each magnitude; empty where all values are rejected."""
        from causalkit.inference.confidence_set import ConfidenceSet

        return tuple(ConfidenceSet(() if pair is None else (pair,)) for pair in self.limits)

    @cached_property
    def breakdown(self) -> float:
        """The smallest magnitude at which the interval reaches the null: 0 where it does so at once.

        Infinite where no magnitude does (up to a million times the first).
        """
        low, high = self.original
        if low <= self.null <= high:
            return 0.0
        side = 1.0 if low > self.null else -1.0

        def room(magnitude: float) -> float:
            limits = self.problem.limits(magnitude)
            if limits is None:
                return math.inf
            return max(-1e300, limits[0] - self.null if side > 0 else self.null - limits[1])

        return _root(room, self._unit)

    @property
    def _unit(self) -> float:
        """A magnitude to start the search from."""
        if self.problem.restriction.kind != "smoothness":
            return 1.0
        return float(max(abs(self.estimate - self.null), self.se))

    @property
    def title(self) -> str:
        """What this is."""
        return "Sensitivity of the effect to violations of parallel trends"

    @property
    def answer(self) -> str:
        """How large a violation the effect survives."""
        low, high = self.original
        shown = fmt.number(self.null, 3)
        if low <= self.null <= high:
            return f"Even under parallel trends the interval {fmt.interval(low, high)} holds {shown}; there is nothing to lose."
        found = self.breakdown
        if found == 0.0:
            return f"The effect does not survive: its robust interval holds {shown} without any change of the trend."
        if math.isinf(found):
            return f"The interval excludes {shown} however large the violations of this kind are."
        size = fmt.number(found, 3)
        sized = {
            "relative_magnitudes": f"violations up to {size} times the largest pre-period one",
            "relative_smoothness": f"changes of the trend's slope up to {size} times the largest pre-period one",
            "smoothness": f"a slope of the violation that changes by up to {size} per period",
        }[self.problem.restriction.kind]
        return f"The effect survives {sized}: up to there its robust interval excludes {shown}."

    def to_table(self) -> Table:
        """Return the magnitudes and the intervals."""
        rows = [
            (float(m), *(pair or (None, None))) for m, pair in zip(self.magnitudes.tolist(), self.limits, strict=True)
        ]
        return Table.of(("M", "low", "high"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding, and the intervals as its certainty."""
        low, high = self.original
        level = f"{100 * (1 - self.problem.alpha):g}%"
        text = (
            f"Assumed: {self.problem.restriction.words.format(m='M')}.",
            f"Under parallel trends the effect is {fmt.number(self.estimate)} {fmt.interval(low, high)} ({level} interval).",
            f"Intervals: {METHODS[self.problem.method]}.",
        )
        return (
            Passage("found", self.title, (self.answer,), facts=(("Break-even", fmt.number(self.breakdown, 3), "M"),)),
            Passage("certainty", self.title, text, self.to_table(), "sensitivity"),
        )

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return magnitudes, intervals, the interval under parallel trends and the break-even value."""
        ends = [pair or (math.nan, math.nan) for pair in self.limits]
        found = self.breakdown
        return {
            "title": self.title,
            "magnitude": self.magnitudes,
            "low": np.array([pair[0] for pair in ends]),
            "high": np.array([pair[1] for pair in ends]),
            "estimate": self.estimate,
            "original_low": self.original[0],
            "original_high": self.original[1],
            "null": self.null,
            "breakdown": found if 0.0 < found < math.inf else None,
            "xlabel": AXES[self.problem.restriction.kind],
            "ylabel": "Effect",
        }


def honest(
    result: Any,
    *,
    vcov: Any = None,
    n_pre: int | None = None,
    restriction: Kind = "relative_magnitudes",
    bias: Literal["positive", "negative"] | None = None,
    trend: Literal["increasing", "decreasing"] | None = None,
    magnitudes: Sequence[float] | float | None = None,
    weights: Literal["first", "average"] | Sequence[float] = "average",
    method: Literal["auto", "c-lf", "conditional", "flci"] = "auto",
    null: float = 0.0,
    alpha: float = 0.05,
) -> HonestDiD:
    """Return intervals of an effect that stay valid when trends are not parallel, but not too far from it.

    The differences of trends before the start say how large those after it may be. Rambachan and Roth (2023), "A more
    credible approach to parallel trends"; the tests are those of Andrews, Roth and Pakes (2023), "Inference for linear
    conditional moment inequalities". They are inverted exactly: the statistic is a maximum over the vertices of a dual
    polytope that depends on neither the effect nor the data, so no grid is laid over the effect, nothing is drawn at
    random, and the units of the outcome do not matter.

    Parameters
    ----------
    result : EventStudyResult, AggregateResult by event time, or array
        From any estimator with a universal base period (``TWFE(dynamic=True)`` too). An array holds the coefficients in
        the order of time without that of the reference period, and needs ``vcov`` and ``n_pre``.
    vcov : (k, k) array, optional
        Covariance of an array of coefficients.
    n_pre : int, optional
        How many of an array of coefficients stand before the reference period.
    restriction : {"relative_magnitudes", "smoothness", "relative_smoothness"}
        What M bounds: the change of the violation from period to period, relative to the largest before the reference
        period; the change of its slope, in units of the outcome; or the change of its slope relative to the largest
        before the reference period.
    bias : {"positive", "negative"}, optional
        The sign of the violation after the reference period, where it is known.
    trend : {"increasing", "decreasing"}, optional
        The direction of the violation over all periods, where it is known.
    magnitudes : float or sequence of float, optional
        Values of M. By default 0, 0.5, ..., 2; for ``"smoothness"`` six from zero to one standard error of the effect.
    weights : "average", "first" or sequence of float
        The effect: the mean of those after the start, the first one, or any weights over the coefficients after the
        reference period.
    method : {"auto", "c-lf", "conditional", "flci"}
        ``"c-lf"``: the conditional test after a least-favourable one of a tenth of the level. ``"conditional"``: without
        it. ``"flci"``: the shortest interval of fixed length, for ``"smoothness"`` without ``bias`` or ``trend``, where
        it is the default.
    null : float
        The value that the break-even magnitude lets in.
    alpha : float
        One minus the coverage.

    Returns
    -------
    HonestDiD
        A Report with ``limits`` and ``sets`` by ``magnitudes``, ``breakdown``, ``original`` and ``checks``.

    Raises
    ------
    DesignError
        If the base period varies, event times leave gaps, or an option does not fit.
    InferenceUnavailable
        If the restriction has too many vertices, or an interval of fixed length is asked of a singular covariance.

    Notes
    -----
    Classes of violations are nested in M, so an interval never narrows as M grows: each one holds those of the smaller
    magnitudes of the same call.
    """
    vector = event_vector(result, vcov, n_pre)
    if restriction not in KINDS:
        raise DesignError(f"restriction={restriction!r} is not known.", hint=f"Use one of {', '.join(KINDS)}.")
    if bias not in (None, "positive", "negative"):
        raise DesignError(f"bias={bias!r} is not known.", hint='Use "positive" or "negative", or leave it out.')
    if trend not in (None, "increasing", "decreasing"):
        raise DesignError(f"trend={trend!r} is not known.", hint='Use "increasing" or "decreasing", or leave it out.')
    if not (isinstance(alpha, int | float) and 0.0 < alpha < 0.5):
        raise DesignError(f"alpha={alpha!r} is not between 0 and 0.5.")
    if not math.isfinite(null):
        raise DesignError(f"null={null!r} is not a finite number.")
    wanted = Restriction(restriction, bias, trend)
    wanted.require(vector.n_pre)
    chosen = _method(method, wanted)
    if chosen == "flci" and vector.is_singular:
        raise InferenceUnavailable(
            f"the covariance of the {len(vector.values)} coefficients is singular (fewer units or clusters than coefficients?): "
            "some weights would cancel all error, and the shortest interval would choose them.",
            hint='Use fewer event times, aggregate("event_time", first=..., last=...), more clusters, or method="c-lf".',
        )
    problem = Problem(vector, vector.weights_of(weights), wanted, chosen, alpha)
    values = _magnitudes(magnitudes, problem)
    report = HonestDiD(problem, values, _nested([problem.limits(float(m)) for m in values]), float(null), vector.checks)
    own = {"parallel_trends": lambda: _check(report), "certificate": lambda: _certificate(report)}
    return HonestDiD(problem, values, report.limits, float(null), Checks({**_lazily(vector.checks), **own}))


def _method(method: str, restriction: Restriction) -> Method:
    if method not in ("auto", *METHODS):
        raise DesignError(f"method={method!r} is not known.", hint=f"Use one of {', '.join(METHODS)}.")
    if method == "flci" and not restriction.plain:
        raise DesignError(
            'method="flci" has bounded bias only under restriction="smoothness" without bias= or trend=.',
            hint='Use method="c-lf".',
        )
    if method == "auto":
        return "flci" if restriction.plain else "c-lf"
    return method  # type: ignore[return-value]


def _magnitudes(given: Sequence[float] | float | None, problem: Problem) -> Floats:
    if given is None:
        if problem.restriction.kind != "smoothness":
            return np.linspace(0.0, 2.0, 5)
        vector, weights = problem.vector, problem.weights
        error = np.sqrt(weights @ vector.vcov[vector.n_pre :, vector.n_pre :] @ weights)
        return np.linspace(0.0, float(error), 6)
    values = np.unique(np.atleast_1d(numbers_in(given, "magnitudes")))
    if not values.size or not np.isfinite(values).all() or (values < 0).any():
        raise DesignError("magnitudes must be finite and not negative.", hint="Such as magnitudes=[0.5, 1, 2].")
    return values


def _nested(found: list[tuple[float, float] | None]) -> tuple[tuple[float, float] | None, ...]:
    """Let each interval hold those before it."""
    kept: list[tuple[float, float] | None] = []
    for pair in found:
        before = kept[-1] if kept else None
        if pair is not None and before is not None:
            pair = min(pair[0], before[0]), max(pair[1], before[1])
        kept.append(before if pair is None else pair)
    return tuple(kept)


def _root(room: Any, unit: float) -> float:
    """Return where a falling function crosses zero; 0 where it starts below, infinity where it stays above."""
    from scipy import optimize

    if room(0.0) <= 0.0:
        return 0.0
    low, high = 0.0, unit
    while room(high) > 0.0:
        low, high = high, 2.0 * high
        if high > LARGEST * unit:
            return math.inf
    if math.isinf(room(low)):  # empty sets: halve the bracket until the interval is there
        while high - low > 1e-9 * high:
            middle = (low + high) / 2.0
            low, high = (middle, high) if math.isinf(room(middle)) else (low, middle)
        return high
    return float(optimize.brentq(room, low, high, xtol=1e-9 * unit, rtol=1e-10))


def _lazily(checks: Checks) -> dict[str, Any]:
    return {name: (lambda name=name: checks[name]) for name in checks}


def _check(report: HonestDiD) -> Check:
    """Judge the break-even value: one times the pre-period violation is the mark."""
    if report.problem.restriction.kind == "smoothness":
        return Check(
            "parallel_trends", "untestable", report.answer, advice="Judge whether such a change of slope is plausible."
        )
    weak = report.breakdown < 1.0
    return Check(
        "parallel_trends",
        "warn" if weak else "pass",
        report.answer,
        statistic=report.breakdown if math.isfinite(report.breakdown) else None,
        advice="A violation as large as those before the start would overturn the sign." if weak else "",
    )


def _certificate(report: HonestDiD) -> Check:
    """Say how exactly the intervals solve what they claim to."""
    from causalkit.did.honest_certificate import largest_gap

    try:
        gap = largest_gap(report.problem, report.magnitudes)
    except InferenceUnavailable as error:
        return Check("certificate", "untestable", str(error))
    good = gap < 1e-6
    way = (
        "optimality conditions of the shortest interval hold"
        if report.problem.method == "flci"
        else f"linear programs solved afresh agree with the {report.problem.vertices.most} vertices of the dual"
    )
    return Check(
        "certificate",
        "pass" if good else "fail",
        f"The {way} to {gap:.1e} standard errors.",
        statistic=gap,
        advice="" if good else "Report this: the intervals may be wrong.",
    )
