"""The estimate at given bandwidths: conventional and bias-corrected, with conventional and robust standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, read_only
from causalkit.rdd.bandwidth_rules import Bandwidths, Plan, select
from causalkit.rdd.covariates import adjustment, selector
from causalkit.rdd.polynomial_fit import Fit
from causalkit.rdd.variance import coefficient_weights, corrected_weights, variance
from causalkit.rdd.windows import Split, split

#: Numbers that are smaller than this share of those they are made of may be rounding.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Jump:
    """An effect at the cutoff, twice: as estimated, and corrected for its bias.

    Attributes
    ----------
    conventional, corrected : float
        Point estimates.
    se, robust_se : float
        Standard error of the conventional estimate, and that of the corrected one, which counts the error of the
        correction.
    """

    conventional: float
    corrected: float
    se: float
    robust_se: float


@dataclass(frozen=True, eq=False)
class LocalEstimate:
    """What local polynomials say at the cutoff.

    Attributes
    ----------
    effect : Jump
        The jump (or change of the derivative) of the outcome; in a fuzzy design, over that of the treatment.
    first_stage : Jump or None
        The jump of the treatment, in a fuzzy design.
    reduced_form : Jump or None
        The jump of the outcome, in a fuzzy design.
    bandwidths : Bandwidths
    left, right : array, shape (order + 1, columns)
        Coefficients of ``(x - cutoff) ** j`` below and above: outcome, treatment, covariates.
    n_effective, n_bias : (int, int)
        Rows with positive weight in the window of the estimate, and of the bias, by side.
    bias : (float, float)
        Estimated bias of each side's part of the effect.
    gamma : array, shape (covariates, 1 or 2), or None
        Coefficients of the covariates.
    combination, combination_treatment : array, shape (columns,)
        The combination of columns whose jump is the effect, linearised in a fuzzy design; and that of the first stage.
    """

    effect: Jump
    first_stage: Jump | None
    reduced_form: Jump | None
    bandwidths: Bandwidths
    left: Floats
    right: Floats
    n_effective: tuple[int, int]
    n_bias: tuple[int, int]
    bias: tuple[float, float]
    gamma: Floats | None
    combination: Floats
    combination_treatment: Floats | None = None


def fit(
    x: Any,
    y: Any,
    cutoff: float = 0.0,
    *,
    treatment: Any = None,
    covariates: Any = None,
    cluster: Any = None,
    weights: Any = None,
    order: int = 1,
    bias_order: int | None = None,
    derivative: int = 0,
    kernel: str = "triangular",
    bandwidth: str | float | tuple[float, float] = "mserd",
    bias_bandwidth: float | tuple[float, float] | None = None,
    vcov: str | None = None,
    mass_points: str = "adjust",
    sharp_bandwidth: bool = False,
    regularization: float = 1.0,
) -> LocalEstimate:
    """Estimate a discontinuity from arrays: choose the bandwidths, then fit.

    Parameters
    ----------
    x, y : array, shape (n,)
        Running variable and outcome.
    cutoff : float
    treatment, covariates, cluster, weights : array, optional
        As in :func:`causalkit.rdd.windows.split`.
    order, bias_order, derivative : int
        Orders of the polynomial and of its bias correction (one more by default); the derivative that jumps.
    kernel : {"triangular", "uniform", "epanechnikov"}
    bandwidth : str, number or pair
        A rule, or bandwidths in units of the running variable.
    bias_bandwidth : number or pair, optional
        That of the rule, or ``bandwidth`` where that is a number.
    vcov : str, optional
        NN, or CR1 with clusters, unless given.
    mass_points, sharp_bandwidth, regularization
        As in :class:`causalkit.rdd.bandwidth_rules.Plan`.

    Returns
    -------
    LocalEstimate
    """
    q = order + 1 if bias_order is None else bias_order
    parts = split(
        x, y, cutoff, treatment=treatment, covariates=covariates, cluster=cluster, weights=weights, kernel=kernel,
        bias_order=q,
    )  # fmt: skip
    kind = vcov or ("NN" if cluster is None else "CR1")
    plan = Plan(order, q, derivative, kind, mass_points, regularization, sharp_bandwidth)
    return estimate(parts, plan, bandwidths(parts, plan, bandwidth, bias_bandwidth))


def bandwidths(
    split: Split,
    plan: Plan,
    bandwidth: str | float | tuple[float, float],
    bias_bandwidth: float | tuple[float, float] | None = None,
    rho: float | None = None,
) -> Bandwidths:
    """Return the four bandwidths that a rule or numbers stand for; ``rho`` is ``bandwidth / bias_bandwidth``."""
    if isinstance(bandwidth, str):
        left, right, bias_left, bias_right = select(split, plan, bandwidth)
    else:
        left, right = bias_left, bias_right = _pair(bandwidth)
    if bias_bandwidth is not None:
        bias_left, bias_right = _pair(bias_bandwidth)
    elif rho is not None:
        bias_left, bias_right = left / rho, right / rho
    return Bandwidths(left, right, bias_left, bias_right)


def estimate(split: Split, plan: Plan, bandwidths: Bandwidths) -> LocalEstimate:
    """Estimate at given bandwidths.

    Raises
    ------
    DesignError
        If a window has too few distinct values, or the treatment does not jump in a fuzzy design.
    """
    p, nu = plan.order, plan.derivative
    near = bandwidths[:2]
    far = bandwidths[2:]
    fits = [side.fit(h, p) for side, h in zip(split.sides, near, strict=True)]
    bias_fits = [side.fit(b, plan.bias_order) for side, b in zip(split.sides, far, strict=True)]
    gamma = None
    if split.n_columns > 1 + split.n_treatments:
        gamma = adjustment(split.sides, fits, split.n_treatments)
    levels = [_level(split, at, fits[at], nu) for at in (0, 1)]
    biases = [_bias(split, at, fits[at], bias_fits[at], nu) for at in (0, 1)]
    jump, bias = levels[1] - levels[0], biases[1] - biases[0]
    s, on_outcome, on_treatment = selector(jump, gamma, split.n_treatments, _reach(split, fits, nu))

    def of(combination: Floats, value: float) -> Jump:
        plain, robust = _variances(split, plan, fits, bias_fits, combination)
        found = np.array([value, value - float(combination @ bias), math.sqrt(plain), math.sqrt(robust)])
        return Jump(*_without_noise(found, _noise(split, fits, bias_fits, combination, nu)).tolist())

    stages: list[Jump | None] = [None, None]
    rows = None
    if split.n_treatments:
        rows = np.eye(2, split.n_columns)
        if gamma is not None:
            rows[:, 2:] = -gamma.T
        stages = [of(rows[0], on_outcome), of(rows[1], on_treatment)]
    coefficients = [_coefficients(split, at, fits[at]) for at in (0, 1)]
    return LocalEstimate(
        effect=of(s, on_outcome / on_treatment),
        first_stage=stages[1],
        reduced_form=stages[0],
        bandwidths=bandwidths,
        left=coefficients[0],
        right=coefficients[1],
        n_effective=(fits[0].rows, fits[1].rows),
        n_bias=(bias_fits[0].rows, bias_fits[1].rows),
        bias=(float(s @ biases[0]), float(s @ biases[1])),
        gamma=gamma,
        combination=read_only(s),
        combination_treatment=None if rows is None else read_only(rows[1]),
    )


def _variances(split: Split, plan: Plan, fits: list[Fit], bias_fits: list[Fit], s: Floats) -> tuple[float, float]:
    """Return the conventional and the robust variance of ``s @`` jumps."""
    plain = robust = 0.0
    nu = plan.derivative
    for side, fit_, bias_fit in zip(split.sides, fits, bias_fits, strict=True):
        window = max(fit_.rows, bias_fit.rows)
        unit = math.factorial(nu) ** 2 / fit_.bandwidth ** (2 * nu)
        usual = coefficient_weights(fit_, side.kernel, nu)
        corrected = corrected_weights(fit_, bias_fit, side.kernel, nu)
        plain += unit * variance(side, usual, fit_, s, plan.vcov, window)
        robust += unit * variance(side, corrected, bias_fit, s, plan.vcov, window)
    return plain, robust


def _without_noise(found: Floats, noise: Floats) -> Floats:
    """Return estimates and errors, conventional and corrected; without an error, what rounding leaves of zero is zero."""
    errors = np.where(found[2:] <= noise, 0.0, found[2:])
    values = np.where((errors == 0.0) & (np.abs(found[:2]) <= noise), 0.0, found[:2])
    return np.concatenate([values, errors])


def _noise(split: Split, fits: list[Fit], bias_fits: list[Fit], s: Floats, nu: int) -> Floats:
    """Return what rounding may add to an outcome's jump and to the corrected one, if the polynomials leave no residual."""
    total = np.zeros(2)
    for side, fit_, bias_fit in zip(split.sides, fits, bias_fits, strict=True):
        p, unit = fit_.order, math.factorial(nu) / fit_.bandwidth**nu
        size = float(np.abs(s) @ (np.abs(side.levels) + np.abs(fit_.beta).sum(axis=0)))
        near, far = _gain(fit_, nu), abs(fit_.next_power[nu]) * _gain(bias_fit, p + 1)
        total += unit * size * np.array([near, near + far * (fit_.bandwidth / bias_fit.bandwidth) ** (p + 1)])
    return _ROUNDING * total


def _reach(split: Split, fits: list[Fit], nu: int) -> Floats:
    """Return what rounding may add to the jump of each column of a fuzzy design, from its largest value in the window."""
    total = np.zeros(split.n_columns)
    if split.n_treatments:
        for side, fit_ in zip(split.sides, fits, strict=True):
            values = side.columns[:, : fit_.rows]
            largest = np.maximum(values.max(axis=1), -values.min(axis=1)) + np.abs(side.levels)
            total += math.factorial(nu) / fit_.bandwidth**nu * _gain(fit_, nu) * largest
    return _ROUNDING * total


def _gain(fit_: Fit, nu: int) -> float:
    """Return a bound on how much larger coefficient ``nu`` can be than the values it is fitted to."""
    return math.sqrt(abs(fit_.inverse[nu, nu] * fit_.gram[0, 0]))


def _level(split: Split, at: int, fit_: Fit, nu: int) -> Floats:
    """Return the derivative of every column at the cutoff, from one side; a level is that above the column's pivot."""
    side = split.sides[at]
    value: Floats = math.factorial(nu) * fit_.beta[nu] * (side.sign / fit_.bandwidth) ** nu
    return value + side.levels if nu == 0 else value


def _bias(split: Split, at: int, fit_: Fit, bias_fit: Fit, nu: int) -> Floats:
    """Return the estimated bias of :func:`_level`."""
    p, side = fit_.order, split.sides[at]
    term = bias_fit.beta[p + 1] * (fit_.bandwidth / bias_fit.bandwidth) ** (p + 1)
    bias: Floats = math.factorial(nu) * fit_.next_power[nu] * term * (side.sign / fit_.bandwidth) ** nu
    return bias


def _coefficients(split: Split, at: int, fit_: Fit) -> Floats:
    side = split.sides[at]
    values = fit_.beta * (side.sign / fit_.bandwidth) ** np.arange(fit_.order + 1)[:, None]
    values[0] += side.levels + side.pivots
    return read_only(values)


def _pair(value: float | tuple[float, float]) -> tuple[float, float]:
    """Return a bandwidth for each side."""
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    if numbers.size not in (1, 2) or not np.isfinite(numbers).all() or (numbers <= 0).any():
        raise DesignError(f"{value!r} is no bandwidth.", hint="Pass a positive number, or a pair: below, above.")
    return float(numbers[0]), float(numbers[-1])
