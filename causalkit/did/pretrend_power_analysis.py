"""What a pre-test of parallel trends can find, and what is left when it finds nothing (Roth 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.did.honest_vector import EventVector, event_vector
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.wald import require_alpha
from causalkit.kernels.arrays import Floats
from causalkit.kernels.honest_normal import NormalBox

Method = Literal["individual", "joint"]


class PreTest:
    """The chance that a pre-test passes, and what the coefficients are on average when it does.

    Parameters
    ----------
    vcov : (k, k) array
        Covariance of the coefficients before the reference period.
    method : {"individual", "joint"}
        Passed where no coefficient is significant, or where the Wald test of all is not.
    alpha : float
        Level of each test.
    """

    def __init__(self, vcov: Floats, method: Method, alpha: float) -> None:
        self._vcov, self._method = vcov, method
        self._spread = np.sqrt(np.diag(vcov))
        if method == "individual":
            self._limit = float(special.ndtri(1.0 - alpha / 2.0)) * self._spread
            self._box = NormalBox(vcov, 16384)
        else:
            sizes, axes = np.linalg.eigh(vcov / np.outer(self._spread, self._spread))
            if sizes[0] <= 1e-10:
                raise InferenceUnavailable(
                    "the covariance before the start is singular, so there is no joint test.",
                    hint='Use method="individual".',
                )
            self._root = (axes / np.sqrt(sizes)) @ axes.T / self._spread
            self._limit = np.array([special.chdtri(len(vcov), alpha)])

    def passing(self, delta: Floats) -> float:
        """Return the probability of passing where the coefficients are ``delta`` in truth."""
        if self._method == "individual":
            return self._box.probability(-self._limit - delta, self._limit - delta)
        return float(special.chndtr(self._limit[0], len(delta), self._lambda(delta)))

    def mean(self, delta: Floats) -> Floats:
        """Return the mean of the coefficients among samples that pass."""
        if self._method == "individual":
            return np.asarray(delta + self._box.mean(-self._limit - delta, self._limit - delta))
        size, away = len(delta), self._lambda(delta)
        share = special.chndtr(self._limit[0], size + 2, away) / special.chndtr(self._limit[0], size, away)
        return np.asarray(delta * share)

    def _lambda(self, delta: Floats) -> float:
        return float(((self._root @ delta) ** 2).sum())


@dataclass(frozen=True)
class Violation:
    """One linear violation of parallel trends and what a pre-test makes of it.

    Parameters
    ----------
    slope : float
        Change per period.
    power : float
        Probability that the pre-test finds it.
    bias : float
        Bias of the effect.
    bias_if_passed : float
        Bias of the effect among samples in which the pre-test found nothing.
    likelihood_ratio : float
        How much likelier the coefficients before the reference period are under this violation than under none.
    bayes_factor : float
        How much likelier passing is under this violation than under none; below one, a pass speaks against it.
    """

    slope: float
    power: float
    bias: float
    bias_if_passed: float
    likelihood_ratio: float
    bayes_factor: float


@dataclass(frozen=True, eq=False, repr=False)
class PretrendPower(Report):
    """Linear violations, the power against them and the bias they leave.

    Parameters
    ----------
    violations : tuple of Violation
        Rising in slope.
    estimate : float
        The effect, were trends parallel.
    alpha : float
        Level of the pre-test.
    method : {"individual", "joint"}
        The pre-test.
    checks : Checks
        The ledger of the result.
    """

    violations: tuple[Violation, ...]
    estimate: float
    alpha: float
    method: Method
    checks: Checks

    @property
    def title(self) -> str:
        """What this is."""
        return "Power of the test for parallel trends"

    @property
    def answer(self) -> str:
        """The largest violation listed, how often it is found, and what it does when it is not."""
        last = self.violations[-1]
        size = (
            "" if self.estimate == 0 else f" ({fmt.share(abs(last.bias_if_passed / self.estimate), 0)} of the estimate)"
        )
        return (
            f"A linear violation of {fmt.number(last.slope, 3)} per period is found with probability "
            f"{fmt.number(last.power, 2)}; where it is not found, it biases the effect by "
            f"{fmt.number(last.bias_if_passed, 3)} on average{size}."
        )

    def to_table(self) -> Table:
        """Return the violations."""
        columns = ("slope", "power", "bias", "bias_if_passed", "likelihood_ratio", "bayes_factor")
        return Table.of(columns, [[getattr(part, name) for name in columns] for part in self.violations])


def pretrend_power(
    result: Any,
    *,
    vcov: Any = None,
    n_pre: int | None = None,
    power: Sequence[float] | float = (0.5, 0.8),
    slope: Sequence[float] | float | None = None,
    method: Method = "individual",
    weights: Literal["first", "average"] | Sequence[float] = "average",
    alpha: float = 0.05,
) -> PretrendPower:
    """Return which linear violations a pre-test finds, and the bias of those that it misses.

    Roth (2022), "Pretest with caution: event-study estimates after testing for parallel trends". Probabilities are those
    of a correlated normal vector in a box (not a product over coefficients), integrated by a fixed rule.

    Parameters
    ----------
    result : EventStudyResult, AggregateResult by event time, or array
        As for :func:`causalkit.did.honest`.
    vcov, n_pre : optional
        With an array of coefficients: their covariance, and how many stand before the reference period.
    power : float or sequence of float
        Find the slopes that the pre-test detects with these probabilities.
    slope : float or sequence of float, optional
        Slopes per period to judge instead.
    method : {"individual", "joint"}
        The pre-test: no coefficient is significant, or their Wald test is not.
    weights : "average", "first" or sequence of float
        The effect whose bias is told.
    alpha : float
        Level of the pre-test.

    Returns
    -------
    PretrendPower

    Raises
    ------
    DesignError
        If the base period varies, or an option does not fit.
    """
    vector = event_vector(result, vcov, n_pre)
    if method not in ("individual", "joint"):
        raise DesignError(f"method={method!r} is not known.", hint='Use "individual" or "joint".')
    require_alpha(alpha)
    test = PreTest(vector.vcov[: vector.n_pre, : vector.n_pre], method, alpha)
    if slope is None:
        slopes = [_detected(vector, test, target) for target in np.atleast_1d(np.asarray(power, float)).tolist()]
    else:
        slopes = np.atleast_1d(np.asarray(slope, float)).tolist()
        if not np.isfinite(slopes).all():
            raise DesignError("slope must be finite.")
    effect = vector.weights_of(weights)
    found = tuple(_violation(vector, test, effect, one) for one in sorted(slopes))
    estimate = float(effect @ vector.values[vector.n_pre :])
    return PretrendPower(found, estimate, alpha, method, vector.checks)


def _detected(vector: EventVector, test: PreTest, target: float) -> float:
    """Return the slope that is found with probability ``target``."""
    from scipy import optimize

    before = vector.periods[: vector.n_pre]
    size = 1.0 - test.passing(np.zeros(vector.n_pre))
    if not size < target < 1.0:
        raise DesignError(
            f"power={target!r} is not between {size:.3g}, what the pre-test rejects without any violation, and 1."
        )
    high = float(np.min(np.sqrt(np.diag(vector.vcov)[: vector.n_pre]) / np.abs(before)))
    while 1.0 - test.passing(high * before) < target:
        high *= 2.0
    return float(optimize.brentq(lambda s: 1.0 - test.passing(s * before) - target, 0.0, high, xtol=1e-10 * high))


def _violation(vector: EventVector, test: PreTest, effect: Floats, slope: float) -> Violation:
    at = vector.n_pre
    delta = slope * vector.periods
    before, after = delta[:at], delta[at:]
    inside = test.passing(before)
    shift = test.mean(before) - before if inside > 1e-12 else np.full(at, np.nan)
    block, values = vector.vcov[:at, :at], vector.values[:at]
    carried = np.linalg.lstsq(block, vector.vcov[:at, at:] @ effect, rcond=None)[0]
    away = np.linalg.lstsq(block, before, rcond=None)[0]
    return Violation(
        slope=slope,
        power=1.0 - inside,
        bias=float(effect @ after),
        bias_if_passed=float(effect @ after + carried @ shift),
        likelihood_ratio=float(np.exp(np.clip(away @ values - 0.5 * away @ before, -700.0, 700.0))),
        bayes_factor=inside / test.passing(np.zeros(at)),
    )
