"""Generalised method of moments: the efficient two-step estimator, and the continuously updating one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.errors import ConvergenceError, InferenceUnavailable
from causalkit.inference.vcov import newey_west_lags
from causalkit.iv.iv_data import IVData
from causalkit.iv.k_class import k_class
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.kernels.iv_gram import score_products

_GOAL = 1e-11
_MAX_STEPS = 200
_MAX_HALVINGS = 40


@dataclass(frozen=True, eq=False)
class GMMFit:
    """A GMM estimate.

    Parameters
    ----------
    beta : array, shape (m,)
        Coefficients of the endogenous variables.
    shift : array, shape (k,)
        What is added to the coefficients of the exogenous columns beyond the regression of ``y - D beta`` on them: the
        moments of the exogenous columns are not zero at the estimate, because they are correlated with the others.
    weights : array, shape (q + k, q + k)
        Covariance of the moments ``[Z W]'u`` whose inverse weights them.
    residuals : array, shape (n,)
    objective : float
        Hansen's J.
    certificate : float
        Norm of the gradient of the objective at the estimate, in standard errors; 0 where there is a closed form.
    """

    beta: Floats
    shift: Floats
    weights: Floats
    residuals: Floats
    objective: float
    certificate: float


def two_step(data: IVData) -> GMMFit:
    """Weight the moments by the inverse of their covariance at the two-stage least squares estimate (Hansen 1982).

    The weights allow for what the variance of the data allows for: unequal variances, clusters, or serial correlation.

    Parameters
    ----------
    data : IVData

    Returns
    -------
    GMMFit

    Notes
    -----
    The moments of the exogenous columns need no numbers of their own: minimising over the coefficients of those columns
    leaves the objective of the projected moments, with the block of the weights that belongs to them.
    """
    start = data.residuals(k_class(data.gram, 1.0)[0])
    gram, q = data.gram, data.q
    weights = full_moment_covariance(data, start) if start.any() else _unit_covariance(data)
    inverse = inverse_of(weights[:q, :q], data)
    beta: Floats = np.asarray(
        np.linalg.solve(gram.ZD.T @ inverse @ gram.ZD, gram.ZD.T @ inverse @ gram.Zy), dtype=np.float64
    )
    moments = gram.Zy - gram.ZD @ beta
    shift = -data.eliminated.bread @ weights[q:, :q] @ inverse @ moments
    residuals = data.residuals(beta) - data.exogenous_part(shift)
    return GMMFit(beta, shift, weights, residuals, float(moments @ inverse @ moments), 0.0)


def full_moment_covariance(data: IVData, residuals: Floats) -> Floats:
    """Covariance of the moments ``[Z W]'u`` (not divided by n), shape (q + k, q + k).

    Parameters
    ----------
    data : IVData
    residuals : array, shape (n,)
    """
    q, inner, variance = data.q, data.eliminated.inner, data.variance
    scores = data.rows[1 + data.m :] * residuals
    if variance.kind == "iid":
        return _unit_covariance(data) * (float(residuals @ residuals) / data.n)
    if variance.kind != "HAC" and not variance.is_clustered:
        return score_products(inner, residuals, scores)
    rows = np.empty((q + inner.k, data.n))
    rows[:q] = scores
    for low, high, block in inner.blocks():
        np.multiply(block, residuals[low:high], out=rows[q:, low:high])
    return variance.meat(rows.T)


def _unit_covariance(data: IVData) -> Floats:
    """Covariance of the moments where every residual has variance one."""
    q, k = data.q, data.eliminated.inner.k
    total = np.zeros((q + k, q + k))
    total[:q, :q] = data.gram.ZZ
    total[q:, q:] = np.linalg.inv(data.eliminated.bread)
    return total


def gmm_psi(data: IVData, fit: GMMFit) -> Floats:
    """Influence values of the coefficients of the endogenous variables, shape (n, m), 1/n folded in."""
    loads = gmm_loads(data, fit)
    psi: Floats = ((loads @ data.rows[1 + data.m :]) * fit.residuals).T
    return psi


def gmm_loads(data: IVData, fit: GMMFit) -> Floats:
    """Matrix that maps the moments ``Z'u`` to the coefficients, shape (m, q)."""
    q, ZD = data.q, data.gram.ZD
    weighted = np.linalg.solve(fit.weights[:q, :q], ZD).T
    loads: Floats = np.linalg.solve(weighted @ ZD, weighted)
    return loads


def continuously_updating(data: IVData) -> GMMFit:
    """Minimise the objective whose weights move with the coefficients (Hansen, Heaton and Yaron 1996).

    The minimiser is BFGS with exact gradients, started at the two-step estimate in coordinates in which the moments
    are orthonormal. It stops where the gradient is rounding, and says so.

    Parameters
    ----------
    data : IVData

    Returns
    -------
    GMMFit

    Raises
    ------
    ConvergenceError
        If the gradient does not vanish.
    """
    start = two_step(data)
    if data.q == data.m or not start.residuals.any():
        return start
    _require_one_way(data)
    problem = _Updating(data)
    point = problem.point(start.beta, start.shift)
    point, value, decrement = _minimise(problem, point, start)
    beta, shift = problem.unpack(point)
    residuals = data.residuals(beta) - data.exogenous_part(shift)
    return GMMFit(beta, shift, full_moment_covariance(data, residuals), residuals, value, decrement)


def _require_one_way(data: IVData) -> None:
    if len(data.variance.ways) > 1:
        raise InferenceUnavailable(
            "method='cue' takes one way of clustering.", hint="Use method='gmm', or cluster in one way."
        )


@dataclass(frozen=True, eq=False)
class _Updating:
    """The continuously updating objective in coordinates of about one standard error each."""

    data: IVData

    @cached_property
    def turn(self) -> Floats:
        """Matrix L whose transpose makes the exogenous columns orthonormal."""
        return np.asarray(np.linalg.cholesky(self.data.eliminated.bread), dtype=np.float64)

    @cached_property
    def units(self) -> Floats:
        """Scale of the coefficients of the endogenous variables."""
        units: Floats = 1.0 / np.sqrt(np.diag(self.data.gram.explained)[1:])
        return units

    @cached_property
    def jacobian(self) -> Floats:
        """Derivative of the orthonormal moments in the coordinates, without sign."""
        data = self.data
        k = self.turn.shape[0]
        matrix = np.zeros((data.q + k, data.m + k))
        matrix[: data.q, : data.m] = data.gram.whitening @ data.gram.ZD * self.units
        matrix[data.q :, data.m :] = np.eye(k)
        return matrix

    def point(self, beta: Floats, shift: Floats) -> Floats:
        return np.concatenate([beta / self.units, np.linalg.solve(self.turn, shift)])

    def unpack(self, point: Floats) -> tuple[Floats, Floats]:
        m = self.data.m
        return point[:m] * self.units, self.turn @ point[m:]

    def covariance(self, residuals: Floats) -> Floats:
        """Covariance of the orthonormal moments."""
        data, q = self.data, self.data.q
        total = full_moment_covariance(data, residuals)
        map_ = np.zeros_like(total)
        map_[:q, :q], map_[q:, q:] = data.gram.whitening, self.turn.T
        turned: Floats = map_ @ total @ map_.T
        return turned

    def evaluate(self, point: Floats) -> tuple[float, Floats]:
        """Objective and gradient: ``-2 X'(a (1 - K(a u)))`` with ``a = z' S^-1 g`` and K what joins dependent rows."""
        data, q, m = self.data, self.data.q, self.data.m
        beta, shift = self.unpack(point)
        residuals = data.residuals(beta) - data.exogenous_part(shift)
        moments = np.concatenate([data.gram.whitening @ (data.gram.Zy - data.gram.ZD @ beta), -point[m:]])
        multipliers = np.linalg.solve(self.covariance(residuals), moments)
        tilt = (multipliers[:q] @ data.gram.whitening) @ data.rows[1 + m :]
        tilt = tilt + data.exogenous_part(self.turn @ multipliers[q:])
        value = float(moments @ multipliers)
        if data.variance.kind == "iid":
            pull = tilt - residuals * (value / float(residuals @ residuals))
        else:
            pull = tilt * (1.0 - _joined(tilt * residuals, data))
        inner = np.zeros(self.turn.shape[0])
        for low, high, block in data.eliminated.inner.blocks():
            inner += block @ pull[low:high]
        slope = np.concatenate([(data.rows[1 : 1 + m] @ pull) * self.units, self.turn.T @ inner])
        return value, -2.0 * slope


def _joined(values: Floats, data: IVData) -> Floats:
    """Add up values over the rows that depend on each: its own, its cluster, or its neighbours in time."""
    variance = data.variance
    if variance.kind == "HAC" and variance.order is not None:
        return _smoothed(values, variance.order)
    if not variance.is_clustered:
        return values
    codes: Codes = variance.ways[0]
    return np.asarray(np.bincount(codes, weights=values)[codes], dtype=np.float64)


def _smoothed(values: Floats, order: Ints) -> Floats:
    """Bartlett-weighted sums over neighbours in time."""
    series = values[order]
    lags = min(newey_west_lags(series.size), series.size - 1)
    total = series.copy()
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        total[lag:] += weight * series[:-lag]
        total[:-lag] += weight * series[lag:]
    smoothed = np.empty_like(values)
    smoothed[order] = total
    return smoothed


def _minimise(problem: _Updating, point: Floats, start: GMMFit) -> tuple[Floats, float, float]:
    """BFGS with backtracking; returns the point, the objective and the decrement (distance in standard errors)."""
    covariance = problem.covariance(start.residuals)
    curvature = problem.jacobian.T @ np.linalg.solve(covariance, problem.jacobian)
    inverse = np.linalg.inv(2.0 * curvature)
    value, slope = problem.evaluate(point)
    decrement = float("inf")
    for _ in range(_MAX_STEPS):
        step = -inverse @ slope
        decrement = float(np.sqrt(max(-float(slope @ step), 0.0)))
        if decrement <= _GOAL:
            return point, value, decrement
        point, value, after, moved = _search(problem, point, value, slope, step)
        if not moved.any():
            break
        change = after - slope
        slope = after
        along = float(change @ moved)
        if along > 1e-14 * float(np.linalg.norm(change) * np.linalg.norm(moved)):
            swap = np.eye(point.size) - np.outer(moved, change) / along
            inverse = swap @ inverse @ swap.T + np.outer(moved, moved) / along
    if decrement > 1e-6:
        raise ConvergenceError(
            f"the continuously updating objective was not minimised: its gradient is {decrement:.1e} standard errors.",
            hint="Its minimum may lie at infinity, as with weak instruments; use method='liml' or 'gmm'.",
        )
    return point, value, decrement


def _search(
    problem: _Updating, point: Floats, value: float, slope: Floats, step: Floats
) -> tuple[Floats, float, Floats, Floats]:
    """Halve the step until the objective falls enough."""
    size, fall = 1.0, float(slope @ step)
    for _ in range(_MAX_HALVINGS):
        trial = point + size * step
        found, after = problem.evaluate(trial)
        if found <= value + 1e-4 * size * fall or (abs(fall) < 1e-14 and np.linalg.norm(after) < np.linalg.norm(slope)):
            return trial, found, after, size * step
        size *= 0.5
    return point, value, slope, np.zeros_like(step)


def inverse_of(weights: Floats, data: IVData) -> Floats:
    """Invert the covariance of the moments; clusters fewer than moments leave it singular."""
    scale = np.sqrt(np.diag(weights))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(weights / np.outer(scale, scale))
    if values[0] <= 1e-12 * values[-1]:
        told = f" ({data.variance.n_clusters} clusters)" if data.variance.is_clustered else ""
        raise InferenceUnavailable(
            f"the covariance of the {data.q} moments is singular{told}, so they can't be weighted by its inverse.",
            hint="Use method='2sls', or fewer instruments.",
        )
    root = (vectors / np.sqrt(values)).T / scale
    inverse: Floats = root.T @ root
    return inverse
