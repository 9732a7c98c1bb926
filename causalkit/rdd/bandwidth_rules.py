"""Bandwidths: the ten plug-in selectors of Calonico, Cattaneo, Farrell and Titiunik (2017), MSE- and CER-optimal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.rdd.covariates import adjustment, selector
from causalkit.rdd.moments import PILOT, Side
from causalkit.rdd.polynomial_fit import Fit
from causalkit.rdd.variance import coefficient_weights, variance
from causalkit.rdd.windows import Split

RULES = (
    "mserd", "msetwo", "msesum", "msecomb1", "msecomb2", "cerrd", "certwo", "cersum", "cercomb1", "cercomb2",
)  # fmt: skip

#: From this share of repeated values on, windows are widened to hold a number of distinct values.
MASS_POINTS = 0.2
#: That number.
DISTINCT = 10
#: Fewer rows than this leave the selectors nothing to work with.
FEWEST = 20

_PADDING = 1.0 + math.sqrt(np.finfo(float).eps)


class Bandwidths(NamedTuple):
    """Bandwidths of the estimate (``left``, ``right``) and of its bias (``bias_left``, ``bias_right``)."""

    left: float
    right: float
    bias_left: float
    bias_right: float


@dataclass(frozen=True)
class Plan:
    """What is estimated, and how: the part of the configuration that selectors and fits share.

    Parameters
    ----------
    order, bias_order : int
        Orders of the local polynomial and of its bias correction.
    derivative : int
        0 for a jump, 1 for a kink.
    vcov : str
        ``"NN"``, ``"HC0"`` to ``"HC3"``, ``"CR1"`` to ``"CR3"``.
    mass_points : {"adjust", "check", "off"}
        ``"adjust"`` counts distinct values in the pilot and widens windows that have too few.
    regularization : float
        Factor of the term that keeps bandwidths from exploding; 0 removes it.
    sharp_bandwidth : bool
        Choose a fuzzy design's bandwidth for the jump of the outcome alone.
    """

    order: int = 1
    bias_order: int = 2
    derivative: int = 0
    vcov: str = "NN"
    mass_points: str = "adjust"
    regularization: float = 1.0
    sharp_bandwidth: bool = False


class _Terms(NamedTuple):
    """Variance, bias and regularisation of one side, and the rate."""

    variance: float
    bias: float
    penalty: float


@dataclass(frozen=True, eq=False)
class _Pilot:
    """Fits of one side at the pilot bandwidth, remembered by order."""

    side: Side
    plan: Plan
    bandwidth: float
    n_treatments: int
    with_treatment: bool
    known: dict[tuple[int, int], tuple[float, float, Floats]] = field(default_factory=dict)

    def at_pilot(self, order: int, nu: int) -> tuple[float, float, Floats]:
        """Return the variance of coefficient ``nu``, its bias constant, and the combination of columns."""
        if (order, nu) not in self.known:
            fit = self.side.fit(self.bandwidth, order)
            s = self._combination(fit, nu)
            spread = self._variance(fit, nu, s)
            constant = fit.next_power[nu] * self.side.sign ** (order + 1 - nu)
            self.known[order, nu] = spread, constant, s
        return self.known[order, nu]

    def terms(self, order: int, nu: int, bias_order: int, bias_bandwidth: float, scale: float) -> _Terms:
        """Return what the bandwidth of coefficient ``nu`` at this order depends on (CCT 2014, supplement)."""
        spread, constant, s = self.at_pilot(order, nu)
        fit = self.side.fit(bias_bandwidth, bias_order)
        unit = (self.side.sign / bias_bandwidth) ** (order + 1)
        slope = float(s @ fit.beta[order + 1]) * unit
        gap = 2.0 * (order + 1 - nu)
        penalty = 0.0
        if scale > 0:
            penalty = scale * gap * 3.0 * constant**2 * self._variance(fit, order + 1, s)
        height = (2 * nu + 1) * self.bandwidth ** (2 * nu + 1) * spread
        return _Terms(height, math.sqrt(gap) * constant * slope, penalty)

    def _variance(self, fit: Fit, nu: int, s: Floats) -> float:
        weights = coefficient_weights(fit, self.side.kernel, nu)
        return variance(self.side, weights, fit, s, self.plan.vcov, fit.rows) / fit.bandwidth ** (2 * nu)

    def _combination(self, fit: Fit, nu: int) -> Floats:
        first, k = 1 + self.n_treatments, len(self.side.columns)
        gamma = adjustment([self.side], [fit], self.n_treatments) if k > first else None
        level = math.factorial(nu) * fit.beta[nu] * (self.side.sign / fit.bandwidth) ** nu
        if nu == 0:
            level = level + self.side.levels + self.side.pivots
        if self.with_treatment:
            if float(np.ptp(self.side.columns[1, : fit.rows])) == 0.0:
                raise DesignError(
                    "the treatment does not vary next to the cutoff on one side, so a bandwidth for the ratio of jumps "
                    "can't be chosen.",
                    hint="Use sharp_bandwidth=True, or pass bandwidth= as a number.",
                )
            return selector(level, gamma, 1)[0]
        s = np.zeros(k)
        s[0] = 1.0
        if gamma is not None:
            s[first:] = -gamma[:, 0]
        return s


@dataclass(frozen=True, eq=False)
class _Limits:
    """Bounds of the bandwidths: the data's reach, and windows with enough distinct values."""

    reach: tuple[float, float]
    least: tuple[float, float]

    def capped(self, value: float, side: int | None) -> float:
        return min(value, max(self.reach) if side is None else self.reach[side])

    def raised(self, value: float, side: int | None) -> float:
        return max(value, max(self.least) if side is None else self.least[side])


def select(split: Split, plan: Plan, rule: str = "mserd") -> Bandwidths:
    """Choose bandwidths by one rule.

    Parameters
    ----------
    split : Split
        The rows, from :func:`causalkit.rdd.windows.split`.
    plan : Plan
    rule : str
        ``mserd`` (one bandwidth for the difference), ``msetwo`` (one a side), ``msesum`` (one, for the sum),
        ``msecomb1`` (the smaller of mserd and msesum), ``msecomb2`` (the median of the three on each side), and the same
        with ``cer``, whose main bandwidth shrinks to the rate that minimises the coverage error of the interval.

    Raises
    ------
    DesignError
        If there are too few rows or distinct values to choose from.
    """
    return Selection(split, plan)[rule]


class Selection:
    """All ten selectors of one sample; what they share is computed once."""

    def __init__(self, split: Split, plan: Plan) -> None:
        if split.n < FEWEST:
            raise DesignError(
                f"{split.n} rows are too few to choose a bandwidth from (at least {FEWEST}).",
                hint="Pass bandwidth= as a number.",
            )
        self.split, self.plan = split, plan
        adjust = plan.mass_points == "adjust"
        least = (0.0, 0.0)
        if adjust and max(split.mass) >= MASS_POINTS:
            least = (_holding(split.left), _holding(split.right))
        self._limits = _Limits(split.reach, least)
        count = sum(split.distinct) if adjust else split.n
        pilot = PILOT[split.left.kernel] * min(split.sd, split.iqr / 1.349) * count ** (-0.2)
        if pilot <= 0:
            raise DesignError(
                "at least half of the rows share one value of the running variable, so no pilot bandwidth exists.",
                hint="Pass bandwidth= as a number, or use a local randomization design.",
            )
        pilot = self._limits.raised(self._limits.capped(pilot, None), None)
        fuzzy = bool(split.n_treatments) and not split.sharp and not plan.sharp_bandwidth
        self._pilots = [_Pilot(side, plan, pilot, split.n_treatments, fuzzy) for side in split.sides]
        self._known: dict[str, Bandwidths] = {}

    def __getitem__(self, rule: str) -> Bandwidths:
        if rule not in RULES:
            raise DesignError(f"bandwidth={rule!r} is not a rule.", hint=f"Use one of {', '.join(RULES)}, or a number.")
        if rule not in self._known:
            self._known[rule] = self._shrunk(rule) if rule.startswith("cer") else self._mse(rule)
        return self._known[rule]

    def _mse(self, rule: str) -> Bandwidths:
        if rule == "msetwo":
            return self._two()
        if rule == "mserd":
            return self._common(lambda left, right: right - left)
        if rule == "msesum":
            return self._common(lambda left, right: right + left)
        if rule == "msecomb1":
            return Bandwidths(*(min(pair) for pair in zip(self["mserd"], self["msesum"], strict=True)))
        three = zip(self["mserd"], self["msesum"], self["msetwo"], strict=True)
        return Bandwidths(*(sorted(values)[1] for values in three))

    def _shrunk(self, rule: str) -> Bandwidths:
        p, split = self.plan.order, self.split
        units = sum(split.clusters) if split.clusters is not None else split.n
        shrink = units ** (-p / ((3 + p) * (3 + 2 * p)))
        left, right, bias_left, bias_right = self["mse" + rule[3:]]
        return Bandwidths(left * shrink, right * shrink, bias_left, bias_right)

    def _steps(self) -> tuple[tuple[int, int, int], ...]:
        """Return order, coefficient and order of the bias fit of the second and third stage."""
        p, q = self.plan.order, self.plan.bias_order
        return (q, p + 1, q + 1), (p, self.plan.derivative, q)

    def _first(self) -> list[_Terms]:
        q = self.plan.bias_order
        return [pilot.terms(q + 1, q + 1, q + 2, pilot.side.reach * _PADDING, 0.0) for pilot in self._pilots]

    def _common(self, join: Callable[[float, float], float]) -> Bandwidths:
        """Choose one bandwidth for both sides; ``join`` makes one bias of two."""

        def balance(left: _Terms, right: _Terms, order: int) -> float:
            slope = join(left.bias, right.bias) ** 2 + self.plan.regularization * (left.penalty + right.penalty)
            return _optimum(left.variance + right.variance, slope, order)

        limits, scale = self._limits, self.plan.regularization
        q = self.plan.bias_order
        left, right = self._first()
        bandwidth = limits.raised(limits.capped(balance(left, right, q + 1), None), None)
        chosen = []
        for order, nu, bias_order in self._steps():
            left, right = (pilot.terms(order, nu, bias_order, bandwidth, scale) for pilot in self._pilots)
            bandwidth = limits.capped(balance(left, right, order), None)
            chosen.append(bandwidth)
        return Bandwidths(chosen[1], chosen[1], chosen[0], chosen[0])

    def _two(self) -> Bandwidths:
        """Choose a bandwidth for each side by itself."""
        limits, scale, q = self._limits, self.plan.regularization, self.plan.bias_order
        chosen: list[list[float]] = []
        for at, (pilot, first) in enumerate(zip(self._pilots, self._first(), strict=True)):
            bandwidth = limits.raised(limits.capped(_optimum(first.variance, first.bias**2, q + 1), at), at)
            chosen.append([])
            for order, nu, bias_order in self._steps():
                terms = pilot.terms(order, nu, bias_order, bandwidth, scale)
                bandwidth = limits.capped(_optimum(terms.variance, terms.bias**2 + scale * terms.penalty, order), at)
                chosen[-1].append(bandwidth)
        return Bandwidths(chosen[0][1], chosen[1][1], chosen[0][0], chosen[1][0])


def _optimum(height: float, slope: float, order: int) -> float:
    """Minimise variance plus squared bias over the bandwidth."""
    if slope <= 0.0:
        return math.inf
    return float((height / slope) ** (1.0 / (2 * order + 3)))


def _holding(side: Side) -> float:
    """Return the bandwidth whose window holds the wanted number of distinct values."""
    return float(side.distance[side.starts[min(DISTINCT, side.n_distinct) - 1]]) * _PADDING
