"""What each row or cluster adds to an estimate's error: values whose squares sum to the variances of the fit."""

from __future__ import annotations

import math

import numpy as np

from causalkit.kernels.arrays import Floats
from causalkit.rdd.bandwidth_rules import Bandwidths, Plan
from causalkit.rdd.line import KERNELS
from causalkit.rdd.moments import Side
from causalkit.rdd.polynomial_fit import Fit
from causalkit.rdd.variance import Weights, cluster_sums, coefficient_weights, corrected_weights, spare_rows
from causalkit.rdd.windows import Split


def row_scores(split: Split, plan: Plan, bandwidths: Bandwidths, s: Floats, n: int) -> Floats:
    """Return one value per row for the conventional and for the corrected estimate, shape (n, 2).

    For NN and HC variances the columns' products sum to the covariance of the two; for CR1 those of their sums by
    cluster and side do.

    Parameters
    ----------
    split : Split
    plan : Plan
    bandwidths : Bandwidths
    s : array, shape (columns,)
        The combination of columns whose jump is the effect.
    n : int
        Rows that were split.
    """
    out = np.zeros((n, 2))
    for side, fits in zip(split.sides, _fits(split, plan, bandwidths), strict=True):
        window = max(fit.rows for fit in fits)
        unit = math.factorial(plan.derivative) * (side.sign / bandwidths[0 if side.sign < 0 else 1]) ** plan.derivative
        weights = _weights(side, plan, fits)
        for column, (weight, fit) in enumerate(zip(weights, fits, strict=True)):
            values = _values(side, weight, fit, s, plan.vcov, window)
            out[side.rows[:window], column] = side.sign * unit * values
    return out


def cluster_covariance(split: Split, plan: Plan, bandwidths: Bandwidths, s: Floats) -> Floats:
    """Return the covariance of the conventional and the corrected estimate for CR1 to CR3, shape (2, 2)."""
    total = np.zeros((2, 2))
    for side, fits in zip(split.sides, _fits(split, plan, bandwidths), strict=True):
        window = max(fit.rows for fit in fits)
        unit = math.factorial(plan.derivative) / bandwidths[0 if side.sign < 0 else 1] ** plan.derivative
        outcome = s @ side.columns[:, :window]
        sums = []
        for weight, fit in zip(_weights(side, plan, fits), fits, strict=True):
            scores, factor = cluster_sums(side, weight, fit, outcome, fit.beta @ s, plan.vcov)
            sums.append(unit * math.sqrt(factor) * scores)
        total += np.array(sums) @ np.array(sums).T
    return total


def _fits(split: Split, plan: Plan, bandwidths: Bandwidths) -> list[tuple[Fit, Fit]]:
    """Return the fit of the estimate and of its bias, by side."""
    pairs = zip(split.sides, bandwidths[:2], bandwidths[2:], strict=True)
    return [(side.fit(h, plan.order), side.fit(b, plan.bias_order)) for side, h, b in pairs]


def _weights(side: Side, plan: Plan, fits: tuple[Fit, Fit]) -> tuple[Weights, Weights]:
    nu = plan.derivative
    return coefficient_weights(fits[0], side.kernel, nu), corrected_weights(*fits, side.kernel, nu)


def _values(side: Side, weights: Weights, fit: Fit, s: Floats, vcov: str, window: int) -> Floats:
    """Return weight times residual of the first ``window`` rows, the residual scaled as the variance scales it."""
    distance = side.distance[:window]
    weight = np.zeros(window)
    near, near_rows, near_h, far, far_rows, far_h = weights.parts
    weight[:near_rows] += np.polynomial.polynomial.polyval(distance[:near_rows] / near_h, near)
    if far.size:
        weight[:far_rows] -= np.polynomial.polynomial.polyval(distance[:far_rows] / far_h, far)
    if side.weights.size:
        weight *= side.weights[:window]
    if vcov == "NN":
        edge, outer = side.residual_edge(window)
        residuals = np.concatenate([s @ side.neighbour_residuals[:, :edge], s @ outer])
        scores: Floats = weight * residuals
        return scores
    u = distance / fit.bandwidth
    residuals = s @ side.columns[:, :window] - np.polynomial.polynomial.polyval(u, fit.beta @ s)
    return weight * residuals * _scale(side, fit, u, vcov, window)


def _scale(side: Side, fit: Fit, u: Floats, vcov: str, window: int) -> Floats | float:
    """Return the small-sample factor of residuals: one number, or one a row that takes out its leverage."""
    k = fit.order + 1
    if vcov == "HC1":
        return math.sqrt(window / spare_rows(window, k))
    if vcov == "CR1":
        assert side.codes is not None
        g = np.count_nonzero(np.bincount(side.codes[:window]))
        return math.sqrt((window - 1) / spare_rows(window, k) * g / (g - 1))
    if vcov == "HC0":
        return 1.0
    powers = np.vander(u[: fit.rows], k, increasing=True)
    kernel = np.polynomial.polynomial.polyval(u[: fit.rows], KERNELS[side.kernel])
    if side.weights.size:
        kernel = kernel * side.weights[: fit.rows]
    room = np.ones(window)
    room[: fit.rows] -= kernel * np.einsum("ij,jk,ik->i", powers, fit.inverse, powers)
    return np.maximum(room, 1e-8) ** (-0.5 if vcov == "HC2" else -1.0)
