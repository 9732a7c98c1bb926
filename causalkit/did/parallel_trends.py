"""Tests of parallel trends before the start: that there is no difference, and that the difference is small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.result import Report, Result
from causalkit.core.table import Table
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.event_study import EventStudyResult
from causalkit.did.exact_fits import exact_fits
from causalkit.did.honest_vector import numbers_in, valid_covariance
from causalkit.errors import DataError, DesignError
from causalkit.inference.wald import wald_test
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True)
class TrendTest:
    """One test.

    Parameters
    ----------
    test : str
        Its name.
    null : str
        The hypothesis that a small p-value speaks against.
    statistic : float
        Wald chi-square, slope per unit of event time, or the measured size of the difference.
    pvalue : float or None
        None for an equivalence test without a stated margin.
    smallest_margin : float or None
        For an equivalence test, the smallest margin at which it would be passed.
    """

    test: str
    null: str
    statistic: float
    pvalue: float | None
    smallest_margin: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class ParallelTrends(Report):
    """Tests of the differences before the start.

    Parameters
    ----------
    tests : tuple of TrendTest
        ``joint``, ``trend``, then the equivalence tests ``largest``, ``largest_tost``, ``mean`` and ``rms``.
    margin : float or None
        The difference called small.
    alpha : float
        Level.
    checks : Checks
        The ledger, with ``pre_trends`` and ``equivalence``.
    """

    tests: tuple[TrendTest, ...]
    margin: float | None
    alpha: float
    checks: Checks

    def __getitem__(self, name: str) -> TrendTest:
        found = {test.test: test for test in self.tests}
        if name not in found:
            raise DesignError(f"there is no test {name!r}.", hint=f"Tests: {', '.join(found)}.")
        return found[name]

    @property
    def title(self) -> str:
        """What this is."""
        return "Parallel trends before the start"

    @property
    def answer(self) -> str:
        """Whether a difference was found, and how large it may be all the same."""
        joint, largest = self["joint"], self["largest"]
        bad = joint.pvalue is not None and joint.pvalue < self.alpha
        said = (
            f"Differences before the start are {'' if bad else 'not '}found (joint test, p-value "
            f"{fmt.pvalue(joint.pvalue)}). "
        )
        shown = fmt.number(largest.smallest_margin, 3)
        if self.margin is None:
            return f"{said}The data rule out that the largest of them exceeds {shown}."
        proven = largest.pvalue is not None and largest.pvalue <= self.alpha
        return (
            f"{said}That all of them are smaller than {fmt.number(self.margin, 3)} is {'' if proven else 'not '}shown "
            f"(equivalence test, p-value {fmt.pvalue(largest.pvalue)}; the smallest margin that would be is {shown})."
        )

    def to_table(self) -> Table:
        """Return the tests."""
        rows = [(t.test, t.null, t.statistic, t.pvalue, t.smallest_margin) for t in self.tests]
        return Table.of(("test", "null", "statistic", "pvalue", "smallest_margin"), rows)


def parallel_trends_test(
    result: Any, *, vcov: Any = None, margin: float | None = None, alpha: float = 0.05
) -> ParallelTrends:
    """Test the effects before the start: that they are zero, that they have no trend, and that they are small.

    A joint test that finds nothing is no proof; the equivalence tests turn the burden around: their null hypothesis is
    a difference of at least ``margin``. Hartman and Hidalgo (2018), "An equivalence approach to balance and placebo
    tests"; Dette and Schumann (2024), "Testing for equivalence of pre-trends in difference-in-differences estimation".

    Parameters
    ----------
    result : EventStudyResult, AggregateResult by event time, or array
        An array holds the coefficients before the start in the order of time, one period apart, the last one period
        before the reference period.
    vcov : (k, k) array, optional
        Covariance of an array of coefficients.
    margin : float, optional
        A difference called small, in units of the outcome. Without it only the smallest margin that could be shown is
        told.
    alpha : float
        Level.

    Returns
    -------
    ParallelTrends
        With tests ``joint`` (Wald), ``trend`` (slope by generalised least squares), and for equivalence ``largest``
        (folded normal, intersection-union), ``largest_tost`` (two one-sided tests of each), ``mean`` and ``rms`` (the
        root of the mean square; conservative: it takes the least favourable direction and variance).

    Raises
    ------
    DesignError
        If there is no effect before the start, or ``margin`` is not positive.
    """
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise DesignError(f"margin={margin!r} is not a positive number.", hint="State what difference is small.")
    if not (isinstance(alpha, int | float) and 0.0 < alpha < 0.5):
        raise DesignError(f"alpha={alpha!r} is not between 0 and 0.5.")
    values, matrix, times, checks = _before(result, vcov)
    wald = wald_test(values, matrix)
    slope, error = _slope(values, matrix, times)
    tests = (
        TrendTest("joint", "all are zero", wald.statistic, wald.pvalue),
        TrendTest("trend", "slope is zero", slope, float(2.0 * special.ndtr(-abs(slope) / error))),
        *_equivalence(values, matrix, margin, alpha),
    )
    own = {"pre_trends": lambda: _pre_trends(tests[0], alpha), "equivalence": lambda: _small(tests[2], margin, alpha)}
    kept = {name: (lambda name=name: checks[name]) for name in checks if name not in own}
    return ParallelTrends(tests, margin, alpha, Checks({**kept, **own}))


def _before(result: Any, vcov: Any) -> tuple[Floats, Floats, Floats, Checks]:
    """Return coefficients before the start, covariance, what a unit slope makes of each, and the ledger."""
    if not isinstance(result, Result):
        values = numbers_in(result, "the coefficients before the start")
        matrix = np.empty(0) if vcov is None else numbers_in(vcov, "vcov")
        if values.ndim != 1 or not values.size or matrix.shape != (values.size, values.size):
            raise DataError(
                f"coefficients of shape {values.shape} and a covariance of shape {matrix.shape} do not fit.",
                hint="Pass vcov= with the coefficients before the start, or a result.",
            )
        if not np.isfinite(values).all():
            raise DataError("the coefficients must be finite.", rows=np.flatnonzero(~np.isfinite(values)).tolist())
        return values, valid_covariance(matrix), np.arange(-values.size, 0.0), Checks({})
    if vcov is not None:
        raise DesignError("vcov= belongs to coefficients given as an array; a result has its own.")
    if isinstance(result, EventStudyResult):
        result = result.aggregate("event_time")
    if not isinstance(result, AggregateResult) or result.kind != "event_time":
        raise DesignError(f"{result.title!r} has no effects by event time.", hint='Use its aggregate("event_time").')
    limit = 0.0 if result.reference is None else result.reference
    at = np.flatnonzero((result.event_times < limit) & ~exact_fits(result.effects))
    if not at.size:
        raise DesignError("there is no effect before the start to test.", hint="Use more early periods.")
    times = result.event_times[at]
    # With a varying base period each effect is a change, which a trend makes the same everywhere.
    unit = np.ones(at.size) if result.base_period == "varying" else times - limit
    return result.effects.values[at], result.effects.vcov[np.ix_(at, at)], unit, result.checks


def _slope(values: Floats, matrix: Floats, times: Floats) -> tuple[float, float]:
    weighted = np.linalg.lstsq(matrix, times, rcond=None)[0]
    precision = float(weighted @ times)
    return float(weighted @ values) / precision, precision**-0.5


def _equivalence(values: Floats, matrix: Floats, margin: float | None, alpha: float) -> list[TrendTest]:
    spread, size = np.sqrt(np.diag(matrix)), len(values)
    mean, mean_spread = float(values.mean()), float(np.sqrt(matrix.sum()) / size)
    root = float(np.sqrt((values**2).mean()))
    sizes = np.maximum(np.linalg.eigvalsh(matrix), 0.0)
    ladder = np.sqrt(np.linspace(max(sizes[0], 1e-6 * sizes[-1]), sizes[-1], 201) / size)
    largest = float(np.abs(values).max())
    tests: list[tuple[str, str, float, Callable[[float], float]]] = [
        ("largest", "the largest is at least the margin", largest, lambda m: _folded(np.abs(values), m, spread)),
        (
            "largest_tost",
            "the largest is at least the margin",
            largest,
            lambda m: float(special.ndtr((np.abs(values) - m) / spread).max()),
        ),
        (
            "mean",
            "the mean is at least the margin in size",
            mean,
            lambda m: _folded(np.array([abs(mean)]), m, np.array([mean_spread])),
        ),
        ("rms", "the root mean square is at least the margin", root, lambda m: _folded(np.array([root]), m, ladder)),
    ]
    return [
        TrendTest(name, null, value, None if margin is None else test(margin), _smallest(test, value, spread, alpha))
        for name, null, value, test in tests
    ]


def _folded(found: Floats, margin: float, spread: Floats) -> float:
    """Return the largest probability that ``|N(margin, spread^2)|`` is at most what was found."""
    upper, lower = special.ndtr((found - margin) / spread), special.ndtr((-found - margin) / spread)
    return float((upper - lower).max())


def _smallest(test: Callable[[float], float], value: float, spread: Floats, alpha: float) -> float:
    """Return the smallest margin from which on the p-value is at most ``alpha``."""
    from scipy import optimize

    low, high = 0.0, abs(value) + 10.0 * float(spread.max()) * np.sqrt(len(spread))
    if test(low) <= alpha:
        return 0.0
    return float(optimize.brentq(lambda m: test(m) - alpha, low, high, xtol=1e-12 * high))


def _pre_trends(joint: TrendTest, alpha: float) -> Check:
    bad = joint.pvalue is not None and joint.pvalue < alpha
    return Check(
        "pre_trends",
        "fail" if bad else "pass",
        f"Effects before the start are {'not ' if bad else ''}all compatible with zero (joint test, p-value "
        f"{fmt.pvalue(joint.pvalue)}); a pass does not prove parallel trends.",
        statistic=joint.statistic,
        pvalue=joint.pvalue,
        advice="See how large a violation the effect survives: did.honest(result)." if bad else "",
    )


def _small(largest: TrendTest, margin: float | None, alpha: float) -> Check:
    shown = fmt.number(largest.smallest_margin, 3)
    if margin is None:
        return Check(
            "equivalence",
            "untestable",
            f"No margin was stated; effects before the start are shown to be smaller than {shown}.",
            advice="State the largest difference that would not matter: margin=.",
        )
    good = largest.pvalue is not None and largest.pvalue <= alpha
    return Check(
        "equivalence",
        "pass" if good else "warn",
        f"That all effects before the start are smaller than {fmt.number(margin, 3)} is {'' if good else 'not '}shown; the "
        f"smallest margin that would be is {shown}.",
        statistic=largest.statistic,
        advice=""
        if good
        else "More early periods or units would show more; a failure to show it is no sign of a trend.",
    )
