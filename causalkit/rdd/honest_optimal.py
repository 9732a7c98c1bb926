"""The linear estimator with the smallest worst-case error of all, under the Taylor class (Armstrong and Kolesar 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from causalkit.errors import ConvergenceError
from causalkit.kernels.arrays import Bools, Floats
from causalkit.kernels.honest_normal import folded_quantile
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_pilot import Pilot
from causalkit.rdd.honest_regression import LocalFit, take


@dataclass(frozen=True, eq=False)
class OptimalFit:
    """The optimal weights.

    Parameters
    ----------
    fit : LocalFit
        Rows with a weight that is not zero.
    bias : float
        Worst-case bias.
    left, right : float
        How far the weights reach at least on each side: where the least favourable functions leave zero.
    """

    fit: LocalFit
    bias: float
    left: float
    right: float


@dataclass(frozen=True, eq=False)
class _Modulus:
    """The least favourable functions with a given jump: those of the class nearest to zero."""

    x: Floats
    treated: Bools
    precision: Floats
    curvature: float

    def functions(self, jump: float, at: Floats) -> Floats:
        """Return the functions' values: lines shrunk towards zero by ``curvature x^2``."""
        line = self._line(jump, at)
        return np.asarray(np.sign(line) * np.maximum(np.abs(line) - self.curvature * self.x**2, 0.0))

    def _line(self, jump: float, at: Floats) -> Floats:
        left = at[0] + at[1] * self.x
        return np.asarray(np.where(self.treated, jump - at[0] + at[2] * self.x, left))

    def nearest(self, jump: float, start: Floats) -> Floats:
        """Return level on the left and both slopes that bring the functions nearest to zero (Newton's method)."""
        gradients = np.column_stack(
            [
                np.where(self.treated, -1.0, 1.0),
                np.where(self.treated, 0.0, self.x),
                np.where(self.treated, self.x, 0.0),
            ]
        )
        at, value = start, np.inf
        for _ in range(200):
            g = self.functions(jump, at)
            value = float(self.precision @ g**2)
            score = gradients.T @ (self.precision * g)
            active = (g != 0.0) * self.precision
            hessian = gradients.T @ (gradients * active[:, None])
            step = -np.linalg.lstsq(hessian, score, rcond=None)[0]
            slope = float(score @ step)
            if -slope <= 1e-15 * max(value, 1e-300):
                return at
            size = 1.0
            while size > 1e-12:
                moved = self.functions(jump, at + size * step)
                if float(self.precision @ moved**2) <= value + 0.2 * size * slope:
                    break
                size /= 2.0
            else:
                return at
            at = at + size * step
        raise ConvergenceError("the least favourable functions were not found in 200 steps.")


def optimal_weights(
    data: HonestData, variance: Pilot, smoothness: float, criterion: str, alpha: float, beta: float
) -> OptimalFit:
    """Return the optimal linear estimate of a sharp jump for a second derivative at the cutoff bounded by ``smoothness``.

    Among all weighted sums of outcomes (not only local linear ones), under the Taylor class
    ``|f(x) - f(0) - f'(0) x| <= smoothness x^2 / 2`` on each side.
    """
    scale = data.largest
    precision = 1.0 / np.where(data.treated, variance.right[0, 0], variance.left[0, 0])
    problem = _Modulus(data.x / scale, data.treated, precision, smoothness * scale**2 / 2.0)
    jump, at = _solved(problem, criterion, alpha, beta)
    g = problem.functions(jump, at)
    total = float((precision * g)[data.treated].sum())
    weights = np.where(data.treated, 1.0, -1.0) * precision * g / total
    kept = np.flatnonzero(weights != 0.0)
    window = take(data.without_covariates(), kept)
    own = weights[kept]
    nothing = np.empty((0, data.y.shape[1]))
    fit = LocalFit(window, own, own @ window.y, window.y, window.y, nothing)
    reach = [scale * float(np.sqrt(max(level, 0.0) / problem.curvature)) for level in (at[0], jump - at[0])]
    return OptimalFit(fit, jump - float(precision @ g**2) / total, *reach)


def _solved(problem: _Modulus, criterion: str, alpha: float, beta: float) -> tuple[float, Floats]:
    """Return the jump that the criterion asks for, and the functions that belong to it."""
    found = np.zeros(3)

    def at(jump: float) -> Floats:
        nonlocal found
        found = problem.nearest(jump, np.array([jump / 2.0, 0.0, 0.0]))
        return found

    def size(jump: float) -> float:
        return float(problem.precision @ problem.functions(jump, at(jump)) ** 2)

    def mse(jump: float) -> float:
        g = np.abs(problem.functions(jump, at(jump)))
        return problem.curvature * float((problem.precision * problem.x**2) @ g) - 1.0

    if criterion == "oci":
        wanted = float(special.ndtri(1.0 - alpha) + special.ndtri(beta))
        jump = _root(lambda b: 4.0 * size(b) - wanted**2)
    else:
        jump = _root(mse)
    if criterion == "flci":
        jump = _shortest(problem, at, jump, alpha)
    return jump, at(jump)


def _shortest(problem: _Modulus, at: Callable[[float], Floats], near: float, alpha: float) -> float:
    from scipy.optimize import minimize_scalar

    def half(jump: float) -> float:
        g = problem.functions(jump, at(jump))
        squares, total = float(problem.precision @ g**2), float((problem.precision * g)[problem.treated].sum())
        se = np.sqrt(squares) / total
        return float(folded_quantile(1.0 - alpha, np.array((jump - squares / total) / se))) * float(se)

    return float(minimize_scalar(half, bounds=(near / 2.0, 1.5 * near), method="bounded", options={"xatol": 1e-9}).x)


def _root(f: Callable[[float], float]) -> float:
    """Return the root of a rising function of a positive number."""
    from scipy.optimize import brentq

    low = high = 1.0
    for _ in range(200):
        if f(high) > 0:
            break
        high *= 4.0
    for _ in range(200):
        if f(low) < 0:
            break
        low /= 4.0
    return float(brentq(f, low, high, xtol=1e-14 * high, rtol=1e-13))
