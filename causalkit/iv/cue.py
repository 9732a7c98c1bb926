"""The continuously updating GMM estimator: its weights move with the coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from causalkit.errors import ConvergenceError, DesignError, InferenceUnavailable
from causalkit.inference.vcov import newey_west_lags
from causalkit.iv.gmm import GMMFit, full_moment_covariance, inverse_of, two_step
from causalkit.iv.iv_data import IVData
from causalkit.kernels.arrays import Codes, Floats, Ints

_GOAL = 1e-11
_MAX_STEPS = 200
_MAX_HALVINGS = 40
_SOLVED = 1e-6
#: Directions among which other valleys of the objective are looked for.
_DIRECTIONS = 500
#: At most so many are started from, whose statistic is no larger than twice the objective reached and a margin.
_STARTS, _MARGIN = 3, 10.0
#: Cosine between two directions above which they lead into one valley.
_APART = 0.9
#: Standard errors of the two-step estimate beyond which a minimum lies at infinity.
_INFINITE = 1e4


def continuously_updating(data: IVData) -> GMMFit:
    """Minimise the objective whose weights move with the coefficients (Hansen, Heaton and Yaron 1996).

    The minimiser is BFGS with exact gradients, in coordinates in which the moments are orthonormal. It stops where the
    gradient is rounding, and says so. With weak instruments the objective may have several valleys: besides the
    two-step estimate it starts where Anderson and Rubin's statistic is lowest among directions all around, and keeps the
    deepest end. Absorbed effects are projected out first: their moments have no weight of their own.

    Parameters
    ----------
    data : IVData

    Returns
    -------
    GMMFit

    Raises
    ------
    ConvergenceError
        If no start reaches a minimum, or the deepest lies at infinity.
    InferenceUnavailable
        With several ways of clustering, or no more clusters (rows) than moments: the objective is then the same
        everywhere.
    """
    start = two_step(data)
    if data.q == data.m or not start.residuals.any():
        return start
    _require_one_way(data)
    _require_more_than_moments(data)
    problem = _Updating(data)
    origin = problem.point(start.beta, start.shift)
    metric = problem.curvature(start.residuals)
    found = [_minimise(problem, origin)]
    for beta in _other_starts(data, found[0].value):
        point = problem.point(beta, np.zeros(origin.size - data.m))
        if _distance(point - found[0].point, metric) > 1.0:
            found.append(_minimise(problem, point))
    best = min(found, key=lambda end: (not end.converged, end.value))
    if found[0].converged and found[0].value <= best.value + _GOAL:
        best = found[0]
    if not best.converged or _distance(best.point - origin, metric) > _INFINITE:
        raise ConvergenceError(
            f"the continuously updating objective was not minimised: its gradient is {best.decrement:.1e} standard "
            f"errors, {_distance(best.point - origin, metric):.1g} standard errors from the two-step estimate.",
            hint="Its minimum may lie at infinity, as with weak instruments; use method='liml' or 'gmm'.",
        )
    beta, shift = problem.unpack(best.point)
    residuals = data.residuals(beta) - data.exogenous_part(shift)
    return GMMFit(beta, shift, full_moment_covariance(data, residuals), residuals, best.value, best.decrement)


def _distance(step: Floats, metric: Floats) -> float:
    return float(np.sqrt(max(float(step @ metric @ step), 0.0)))


def _other_starts(data: IVData, reached: float) -> list[Floats]:
    """Return coefficients at which the Anderson-Rubin statistic is lowest, if they may lie in a deeper valley."""
    from causalkit.iv.anderson_rubin import ar_statistics
    from causalkit.iv.weak_sets_form import reduced_form_of

    try:
        form = reduced_form_of(data)
        root = np.linalg.inv(np.linalg.cholesky(form.sigma))
    except (DesignError, np.linalg.LinAlgError):  # the treatments determine the outcome: there is one valley
        return []
    even = np.random.default_rng(0).normal(size=(_DIRECTIONS, 1 + data.m))
    even /= np.linalg.norm(even, axis=1)[:, None]
    directed = even @ root
    statistics = ar_statistics(form, directed)
    chosen: list[int] = []
    for at in np.argsort(statistics):
        if len(chosen) == _STARTS or statistics[at] > 2.0 * reached + _MARGIN:
            break
        if all(abs(float(even[at] @ even[other])) < _APART for other in chosen):
            chosen.append(int(at))
    ends = directed[[at for at in chosen if abs(directed[at, 0]) > 1e-3 * np.abs(directed[at]).max()]]
    return list(-ends[:, 1:] / ends[:, :1] * form.units[0] / form.units[1:])


def _require_one_way(data: IVData) -> None:
    if len(data.variance.ways) > 1:
        raise InferenceUnavailable(
            "method='cue' takes one way of clustering.", hint="Use method='gmm', or cluster in one way."
        )


def _require_more_than_moments(data: IVData) -> None:
    """Refuse as many moments as independent sums of scores: the objective is then their number, whatever the estimate."""
    moments = data.q + data.eliminated.inner.k
    variance = data.variance
    count, what = (variance.n_clusters, "clusters") if variance.is_clustered else (data.n, "rows")
    if variance.kind != "iid" and count <= moments:
        raise InferenceUnavailable(
            f"method='cue' needs more clusters or rows than moments, and there are {count} {what} for {moments} moments.",
            hint="Use method='2sls' or 'liml', or fewer instruments and covariates.",
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

    def curvature(self, residuals: Floats) -> Floats:
        """Return half the second derivative of the objective with its weights held fixed."""
        inverse = inverse_of(self.covariance(residuals), self.data)
        curved: Floats = self.jacobian.T @ inverse @ self.jacobian
        return curved

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


class _End(NamedTuple):
    """Where a descent ended; ``decrement`` is the distance from the minimum in standard errors."""

    point: Floats
    value: float
    decrement: float

    @property
    def converged(self) -> bool:
        return self.decrement <= _SOLVED


def _minimise(problem: _Updating, point: Floats) -> _End:
    """BFGS with backtracking."""
    beta, shift = problem.unpack(point)
    data = problem.data
    inverse = np.linalg.inv(2.0 * problem.curvature(data.residuals(beta) - data.exogenous_part(shift)))
    value, slope = problem.evaluate(point)
    decrement = float("inf")
    for _ in range(_MAX_STEPS):
        step = -inverse @ slope
        decrement = float(np.sqrt(max(-float(slope @ step), 0.0)))
        if decrement <= _GOAL:
            break
        point, value, after, moved = _search(problem, point, value, slope, step)
        if not moved.any():
            break
        change = after - slope
        slope = after
        along = float(change @ moved)
        if along > 1e-14 * float(np.linalg.norm(change) * np.linalg.norm(moved)):
            swap = np.eye(point.size) - np.outer(moved, change) / along
            inverse = swap @ inverse @ swap.T + np.outer(moved, moved) / along
    return _End(point, value, decrement)


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
