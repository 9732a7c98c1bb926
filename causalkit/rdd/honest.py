"""Honest intervals of a regression discontinuity: valid for every function whose curvature stays within a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.sample import Sample
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_discrete import DiscreteInterval, bounded_misspecification
from causalkit.rdd.honest_fit import HonestConfig, HonestFit, HonestProblem
from causalkit.rdd.honest_regression import take
from causalkit.rdd.honest_smoothness import SmoothnessBound, smoothness_bound
from causalkit.rdd.rd_sample import taken

#: Bounds that the table shows, as multiples of the one in use.
MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
#: A row with a larger share of the variance makes the normal approximation doubtful.
LEVERAGE = 0.1
#: A break-even bound is not searched beyond this many times the bound in use, or below its inverse.
_FARTHEST = 2.0**20


@dataclass(frozen=True, eq=False, repr=False)
class HonestReport(Report):
    """An honest interval with its certificate: standard error, worst-case bias, bandwidth, and the bound behind them.

    Parameters
    ----------
    problem : HonestProblem
        The rows and the configuration.
    fit : HonestFit
        The interval at the bound in use.
    given : bool
        Whether the bound was given, or comes from a rule of thumb.
    names : tuple of str
        Outcome and running variable.
    """

    problem: HonestProblem
    fit: HonestFit
    given: bool
    names: tuple[str, str]

    plots = ("smoothness",)

    @property
    def estimate(self) -> float:
        """The local linear estimate at the bandwidth that is best in the worst case."""
        return self.fit.estimate

    @property
    def se(self) -> float:
        """Standard error of the estimate, its bias left aside."""
        return self.fit.se

    @property
    def bias(self) -> float:
        """The largest bias that the bound on the curvature allows."""
        return self.fit.bias

    @property
    def bandwidth(self) -> tuple[float, float]:
        """Bandwidth on the left and on the right."""
        return self.fit.bandwidth

    @property
    def smoothness(self) -> tuple[float, ...]:
        """Bound on the second derivative of the outcome (and of the treatment taken, in a fuzzy design)."""
        return self.fit.smoothness

    @property
    def pvalue(self) -> float:
        """The largest p-value that the bound allows for no effect."""
        return self.fit.pvalue()

    def ci(self) -> tuple[float, float]:
        """Return the two-sided interval."""
        return self.fit.interval

    @cached_property
    def curves(self) -> tuple[HonestFit, ...]:
        """Intervals at a quarter, half, twice and four times the bound in use, and at the bound itself."""
        return tuple(self.fit if k == 1.0 else self._at(k) for k in MULTIPLES)

    def _at(self, multiple: float) -> HonestFit:
        guess = self.fit.estimate if self.problem.data.fuzzy else 0.0
        return self.problem.fit(multiple * np.array(self.smoothness), guess=guess)

    @cached_property
    def break_even(self) -> float:
        """The bound on the second derivative at which the interval starts to hold zero.

        The first one above the bound in use where the effect is significant there, else the first one below; 0 where no
        bound makes it significant, infinite where none takes the significance away. In a fuzzy design both bounds move
        in step, and this is that of the outcome.
        """
        unit = self.smoothness[0]
        if unit == 0.0:
            return 0.0 if self.pvalue >= self.fit.alpha else float("nan")
        return unit * _crossing(lambda k: self._at(k).pvalue() < self.fit.alpha)

    @cached_property
    def lower_bound(self) -> SmoothnessBound:
        """What the outcomes say: a bound on the second derivative is at least this (Kolesar and Rothe 2018)."""
        problem = self.problem
        return smoothness_bound(
            problem.target,
            problem.variance,
            smoothness_class=problem.config.smoothness_class,
            alpha=self.fit.alpha,
        )

    def misspecification_interval(self, order: int = 1, bandwidth: float | None = None) -> DiscreteInterval:
        """Return the interval for a running variable with few distinct values (Kolesar and Rothe 2018, section 4.2).

        Parameters
        ----------
        order : int
            Order of the polynomial on each side.
        bandwidth : float, optional
            All rows where it is not given.
        """
        data = self.problem.target
        if data.fuzzy:
            raise InferenceUnavailable("the interval under bounded misspecification is for sharp designs.")
        width = np.inf if bandwidth is None else bandwidth
        return bounded_misspecification(data, order=order, left=width, right=width, alpha=self.fit.alpha)

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """The ledger: the curvature that the data show, and the leverage of single rows."""
        return Checks({"smoothness": lambda: _smoothness_check(self), "leverage": lambda: _leverage_check(self)})

    @property
    def title(self) -> str:
        """What this is."""
        return f"Honest interval of the effect on {self.names[0]} at the cutoff of {self.names[1]}"

    @property
    def answer(self) -> str:
        """The interval, the bound that it rests on, and the bound that would overturn it."""
        level = f"{100 * (1 - self.fit.alpha):g}%"
        said = (
            f"The effect is {fmt.number(self.estimate)} {fmt.interval(*self.ci())} ({level} interval) for every regression "
            f"function whose second derivative stays within {fmt.number(self.smoothness[0], 3)}."
        )
        found = self.break_even
        if np.isnan(found):
            return said
        if found == 0.0:
            return f"{said} No bound on the curvature makes it significant."
        if np.isinf(found):
            return f"{said} It excludes zero however large the curvature is."
        if found > self.smoothness[0]:
            return f"{said} It excludes zero up to a second derivative of {fmt.number(found, 3)}."
        return f"{said} It would exclude zero only for a second derivative below {fmt.number(found, 3)}."

    def to_table(self) -> Table:
        """Return the interval at several bounds on the curvature."""
        columns = ("smoothness", "estimate", "se", "bias", "bandwidth", "pvalue", "ci_low", "ci_high")
        rows = [
            (fit.smoothness[0], fit.estimate, fit.se, fit.bias, fit.bandwidth[0], fit.pvalue(), *fit.interval)
            for fit in self.curves
        ]
        return Table.of(columns, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the interval as a finding, and how it moves with the bound as its certainty."""
        source = "given" if self.given else "from a rule of thumb: a quartic fitted on each side"
        left, right = self.bandwidth
        width = fmt.number(left) if left == right else f"{fmt.number(left)} and {fmt.number(right)}"
        numbers = (
            f"Bandwidth {width}, standard error {fmt.number(self.se)}, worst-case bias {fmt.number(self.bias)}, critical value "
            f"{fmt.number(self.fit.critical_value)}, {self.fit.n_left:,} rows below and {self.fit.n_right:,} above."
        )
        text = (f"The bound on the second derivative is {source}.", numbers)
        facts = (("Effect", fmt.number(self.estimate, 3), f"honest interval {fmt.interval(*self.ci())}"),)
        return (
            Passage("found", self.title, (self.answer,), facts=facts),
            Passage("certainty", self.title, text, self.to_table(), "smoothness"),
        )

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return bounds, estimates and intervals."""
        limits = np.array([fit.interval for fit in self.curves])
        found = self.break_even
        return {
            "title": self.title,
            "smoothness": np.array([fit.smoothness[0] for fit in self.curves]),
            "estimate": np.array([fit.estimate for fit in self.curves]),
            "low": limits[:, 0],
            "high": limits[:, 1],
            "chosen": self.smoothness[0],
            "break_even": found if np.isfinite(found) and found > 0 else None,
            "lower_bound": self.lower_bound.low,
        }


def honest_report(
    result: Any, smoothness: float | Sequence[float] | None = None, alpha: float = 0.05, criterion: str = "mse"
) -> HonestReport:
    """Return the honest (bias-aware) interval of a regression discontinuity, with its certificate.

    The estimate is local linear. Its interval has at least the stated coverage for every regression function whose second
    derivative is bounded by ``smoothness`` on each side: the critical value allows for the largest bias that any of them
    causes, and the bandwidth is the one that is best in the worst case (Armstrong and Kolesar 2018, 2020; Kolesar and
    Rothe 2018). A discrete running variable is no exception.

    Parameters
    ----------
    result : RegressionDiscontinuityResult
        Its rows, kernel, cutoff, clusters, weights and covariates are used; its bandwidth is not.
    smoothness : float or (float, float), optional
        Bound on the second derivative of the outcome in its unit per squared unit of the running variable; in a fuzzy
        design also that of the treatment taken. By default a rule of thumb, which supposes that a quartic says enough.
    alpha : float
        One minus the coverage.
    criterion : {"mse", "flci", "oci"}
        What the bandwidth minimises in the worst case.

    Raises
    ------
    DesignError
        If the bound or the level can't be used.
    InferenceUnavailable
        If the result estimates a derivative or holds no data, or the outcome does not vary about the polynomials.
    """
    estimator = result.estimator
    if estimator.derivative:
        raise InferenceUnavailable("honest intervals are for jumps, not for kinks.", hint="Use the robust interval.")
    sample: Sample = result._kept()
    data = _rows(sample, float(estimator.cutoff), float(estimator.donut))
    config = HonestConfig(
        kernel=estimator.kernel, vcov=_vcov(str(estimator.vcov), data), alpha=alpha, criterion=criterion
    )
    problem = HonestProblem.of(data, config)
    bound = problem.suggested() if smoothness is None else np.atleast_1d(np.asarray(smoothness, dtype=float))
    fit = problem.fit(bound)
    if data.fuzzy:
        fit = problem.fit(bound, guess=fit.estimate)
    if not fit.se > 0.0:
        raise InferenceUnavailable(
            f"the polynomials leave no residual of {sample.name('outcome')!r}, so there is no error to be honest about.",
            hint="Does the outcome vary?",
        )
    return HonestReport(problem, fit, smoothness is not None, (sample.name("outcome"), sample.name("running")))


def _rows(sample: Sample, cutoff: float, donut: float) -> HonestData:
    """Sort the rows of a sample by their distance from the cutoff."""
    x = sample.number("running") - cutoff
    cluster, weights = sample.groups("cluster"), sample.optional("weights")
    data = HonestData.of(
        sample.outcome,
        x,
        treatment=taken(sample),
        weights=None if weights is None else weights / weights.mean(),
        cluster=None if cluster is None else cluster.codes,
        covariates=sample.features().dummies()[0],
    )
    if weights is not None and not weights.all():
        data = take(data, np.flatnonzero(data.weights > 0))
    if donut > 0:
        data = take(data, np.flatnonzero(np.abs(data.x) >= donut))
    return data


def _vcov(vcov: str, data: HonestData) -> str:
    if data.cluster is not None:
        return "CR0"
    return "NN" if vcov in ("auto", "NN") else "HC0"


def _crossing(significant: Any) -> float:
    """Return the multiple, nearest to one, at which significance changes."""
    start = significant(1.0)
    step = 2.0 if start else 0.5
    near, far = 1.0, step
    while significant(far) == start:
        near, far = far, far * step
        if not 1.0 / _FARTHEST < far < _FARTHEST:
            return float("inf") if start else 0.0
    while abs(far / near - 1.0) > 1e-7:
        middle = float(np.sqrt(near * far))
        near, far = (middle, far) if significant(middle) == start else (near, middle)
    return float(near if start else far)


def _smoothness_check(report: HonestReport) -> Check:
    """Compare the bound in use with the curvature that the outcomes show."""
    try:
        found = report.lower_bound
    except DesignError as error:
        return Check("smoothness", "untestable", str(error))
    used, low = report.smoothness[0], found.low
    text = (
        f"The bound on the second derivative in use is {fmt.number(used, 3)}; the outcomes bend by at least "
        f"{fmt.number(low, 3)} ({100 * (1 - report.fit.alpha):g}% lower limit, estimate {fmt.number(found.estimate, 3)})."
    )
    if used < low:
        return Check("smoothness", "fail", text, low, advice=f"Use smoothness={low:.3g} or more.")
    if report.given:
        return Check("smoothness", "pass", text, low)
    return Check(
        "smoothness",
        "untestable",
        text,
        low,
        advice="No data can bound the curvature from above: judge whether the rule of thumb is plausible.",
    )


def _leverage_check(report: HonestReport) -> Check:
    value = report.fit.leverage
    text = f"The row with the most weight has {fmt.share(value)} of the estimate's variance."
    if value <= LEVERAGE:
        return Check("leverage", "pass", text, value)
    return Check(
        "leverage",
        "warn",
        text,
        value,
        advice="The normal approximation is doubtful: use a larger bandwidth, or exact tests.",
    )
