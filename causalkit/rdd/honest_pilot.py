"""What an honest interval needs before its bandwidth: a variance on each side, and a rule of thumb for the curvature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_regression import local_linear

#: (nu0 / mu2^2)^(1/5) of the triangular kernel at a boundary: nu0 = 24/5, mu2 = -1/10.
_IK = 480.0 ** (1.0 / 5.0)


@dataclass(frozen=True, eq=False)
class Pilot:
    """Constant variances on each side, and the correlation within clusters.

    Parameters
    ----------
    left, right : array, shape (m, m)
        Variance of one row's outcomes below and above the cutoff.
    within : array, shape (m, m)
        Covariance of two rows of one cluster (Moulton 1986); zero without clusters.
    """

    left: Floats
    right: Floats
    within: Floats


def rule_of_thumb(data: HonestData) -> Floats:
    """Return the bound on the second derivative that global quartics suggest, one for each outcome.

    The largest second derivative, over the support, of a fourth-order polynomial fitted on each side (Armstrong and
    Kolesar 2020, section 4.1).
    """
    data.require_support(5)
    sides = [_largest_curvature(data, right) for right in (False, True)]
    return np.max(sides, axis=0)  # type: ignore[no-any-return]


def _largest_curvature(data: HonestData, right: bool) -> Floats:
    rows = data.side(right)
    x, root = data.x[rows], np.sqrt(data.weights[rows])[:, None]
    low, high = float(x.min()), float(x.max())
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    t = (x - middle) / half
    powers = t[:, None] ** np.arange(5)
    coefficients, _, rank, _ = np.linalg.lstsq(root * powers, root * data.y[rows], rcond=1e-12)
    if rank < 5:
        raise InferenceUnavailable("a global quartic can't be fitted on each side.", hint="Give smoothness= yourself.")
    bounds = []
    for a in coefficients.T:
        ends = [-1.0, 1.0]
        if abs(a[4]) > 1e-14 * np.abs(a).max() and abs(turn := -a[3] / (4.0 * a[4])) < 1.0:
            ends.append(float(turn))
        bounds.append(max(abs(2 * a[2] + 6 * a[3] * v + 12 * a[4] * v * v) for v in ends) / half**2)
    return np.array(bounds)


def pilot(data: HonestData) -> Pilot:
    """Return variances from a local linear regression at the bandwidth of Imbens and Kalyanaraman (2012)."""
    data = data.without_covariates()
    data.require_support(3)
    widest = 1e3 * data.largest  # as good as infinite
    fit = local_linear(data, max(min(_ik_bandwidth(data), widest), _smallest(data)), "triangular")
    used, sides = fit.data, []
    for right in (False, True):
        part = fit.residuals[used.side(right)]
        sides.append(part.T @ part / len(part))
    m = data.y.shape[1]
    within = np.zeros((m, m)) if used.cluster is None else _moulton(fit.residuals, used.cluster)
    return Pilot(sides[0], sides[1], within)


def _moulton(residuals: Floats, cluster: Codes) -> Floats:
    codes: Ints = np.unique(cluster, return_inverse=True)[1]
    pairs = float((np.bincount(codes).astype(float) ** 2).sum() - codes.size)
    if pairs <= 0:
        return np.zeros((residuals.shape[1],) * 2)
    sums = np.stack([np.bincount(codes, column) for column in residuals.T], axis=1)
    return (sums.T @ sums - residuals.T @ residuals) / pairs


def _smallest(data: HonestData) -> float:
    """Return a bandwidth that holds three distinct values and four rows on each side."""
    found = []
    for right, support in zip((False, True), data.supports, strict=True):
        distance = np.sort(np.abs(data.x[data.side(right)]))
        found += [support[2], distance[min(3, distance.size - 1)]]
    return float(max(found))


def _ik_bandwidth(data: HonestData) -> float:
    """Return the bandwidth of Imbens and Kalyanaraman (2012, section 6.2) for the triangular kernel."""
    x, y, n = data.x, data.y[:, 0], data.x.size
    first = 1.84 * float(np.std(x, ddof=1)) / n**0.2
    density = float((np.abs(x) <= first).sum()) / (2.0 * n * first)
    near = np.abs(x) <= max(first, _smallest(data))
    variances = [float(np.var(y[near & (data.treated == right)], ddof=1)) for right in (False, True)]
    third = 6.0 * _coefficient(
        np.column_stack([(x / data.largest)[:, None] ** np.arange(4), data.treated.astype(float)]), y, 3
    )
    third /= data.largest**3
    if not (density * third**2 > 0.0 and min(variances) > 0.0):  # nothing bends, or nothing varies
        return np.inf
    curvature, penalty = [], 0.0
    for right, variance in zip((False, True), variances, strict=True):
        side = data.side(right)
        reach = 7200 ** (1 / 7) * (variance / (density * third**2)) ** (1 / 7) * len(x[side]) ** (-1 / 7)
        inside = np.abs(x[side]) <= reach
        t = x[side][inside] / reach
        if np.unique(t).size < 3:
            return np.inf
        curvature.append(2.0 * _coefficient(t[:, None] ** np.arange(3), y[side][inside], 2) / reach**2)
        penalty += 2160.0 * variance / (inside.sum() * reach**4)
    gap = (curvature[1] - curvature[0]) ** 2 + penalty
    return float(_IK * (sum(variances) / (density * n * gap)) ** 0.2)


def _coefficient(design: Floats, y: Floats, at: int) -> float:
    return float(np.linalg.lstsq(design, y, rcond=None)[0][at])
