"""Standard error, interval, test and p-value come from one procedure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from causalkit.core.estimate import Draws, Placebos
from causalkit.core.result import Result
from causalkit.errors import InferenceUnavailable
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject


def _has_headline(subject: Subject) -> bool:
    return isinstance(subject.base, Result) and subject.base.headline is not None


def _has_interval(subject: Subject) -> bool:
    if not _has_headline(subject) or isinstance(subject.base.effects.numbers.carrier, Placebos):
        return False
    try:
        return isinstance(subject.base.ci(), tuple)
    except InferenceUnavailable:
        return False


@probe(when=_has_headline)
def headline(subject: Subject) -> None:
    """The headline is one number, finite, and named in words."""
    base: Any = subject.base
    require(isinstance(base.estimate, float) and math.isfinite(base.estimate), f"estimate is {base.estimate!r}.")
    if base.headline in base.effects.terms:  # else it is made of them
        at = base.effects.index(base.headline)
        require(base.estimate == base.effects.values[at], "estimate is not the effect that headline names.")
    require(isinstance(base.estimand, str) and base.estimand, "the estimand is not said.")
    require(base.pvalue == base.test().pvalue, "pvalue is not test().pvalue.")
    require(0.0 <= base.pvalue <= 1.0, f"pvalue is {base.pvalue!r}.")


@probe(when=_has_interval)
def standard_error(subject: Subject) -> None:
    """The standard error is finite and agrees with the covariance matrix."""
    base: Any = subject.base
    require(math.isfinite(base.se) and base.se > 0, f"se is {base.se!r}.")
    variance = base.headline_effect.vcov[0, 0]
    require(math.isclose(base.se**2, variance, rel_tol=1e-12), "se is not the root of the variance.")
    require(np.allclose(base.effects.vcov, base.effects.vcov.T, rtol=1e-12), "vcov is not symmetric.")


@probe(when=_has_interval)
def nested_intervals(subject: Subject) -> None:
    """Intervals hold the location and grow with the coverage."""
    base: Any = subject.base
    low, high = base.ci(alpha=0.05)
    wide = base.ci(alpha=0.01)
    require(low < high, f"the interval is [{low}, {high}].")
    require(wide[0] <= low and high <= wide[1], "the 99% interval does not hold the 95% interval.")


@probe(when=lambda s: _has_interval(s) and not isinstance(s.base.effects.numbers.carrier, Draws))
def interval_is_dual_of_test(subject: Subject) -> None:
    """A test of the end of an interval has p = alpha, and ``ci(alpha=p)`` touches zero."""
    base: Any = subject.base
    for alpha in (0.05, 0.32):
        for end in base.ci(alpha=alpha):
            found = base.test(null=end).pvalue
            require(abs(found - alpha) < 1e-7, f"test(null=end of ci(alpha={alpha})) has p = {found:.9f}.")
    p = base.pvalue
    if 1e-12 < p < 1 - 1e-9:
        nearest = min(map(abs, base.ci(alpha=p)))
        require(nearest <= 1e-6 * base.se, f"ci(alpha=pvalue) misses zero by {nearest:.3g}.")


@probe(when=lambda s: _has_interval(s) and isinstance(s.base.effects.numbers.carrier, Draws))
def interval_of_draws(subject: Subject) -> None:
    """Values inside the interval are not rejected, values outside are."""
    base: Any = subject.base
    low, high = base.ci()
    for inside, outside in (
        (low + 1e-9 * base.se, low - 1e-9 * base.se),
        (high - 1e-9 * base.se, high + 1e-9 * base.se),
    ):
        require(base.test(null=inside).pvalue > 0.05, "a value inside the interval is rejected.")
        require(base.test(null=outside).pvalue <= 0.05, "a value outside the interval is not rejected.")


@probe(when=_has_headline)
def unknown_method(subject: Subject) -> None:
    """An unknown ``method`` or ``alpha`` is refused."""
    for call in ("ci", "test"):
        try:
            getattr(subject.base, call)(method="no such method")
        except ValueError as error:
            require("no such method" in str(error), f"the error does not name the method: {error}")
        else:
            raise AssertionError(f"{call}(method='no such method') was accepted.")
    for alpha in (0.0, 1.0, -0.1, float("nan")):
        try:
            subject.base.ci(alpha=alpha)
        except ValueError:
            continue
        raise AssertionError(f"ci(alpha={alpha}) was accepted.")


@probe(when=lambda s: isinstance(s.base, Result))
def ledger(subject: Subject) -> None:
    """The ledger speaks of missing values, is read-only, and every entry is complete."""
    checks: Any = subject.base.checks
    require("missing" in checks, "the ledger has no entry 'missing'.")
    for name, found in checks.items():
        require(found.name == name, f"the entry {name!r} calls itself {found.name!r}.")
        require(found.status in ("pass", "warn", "fail", "untestable"), f"{name} has the status {found.status!r}.")
        require(bool(found.message), f"{name} says nothing.")
        require(found.status == "pass" or found.advice, f"{name} ({found.status}) gives no advice.")
    require(not hasattr(checks, "__setitem__"), "the ledger can be written to.")
