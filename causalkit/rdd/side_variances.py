"""Robust variances side by side: what the two sides of a cutoff add to the variance of an effect."""

from __future__ import annotations

import math

import numpy as np

from causalkit.kernels.arrays import Floats
from causalkit.rdd.bandwidth_rules import Bandwidths, Plan
from causalkit.rdd.local_polynomial import LocalEstimate
from causalkit.rdd.variance import corrected_weights, variance
from causalkit.rdd.windows import Split


def side_variances(split: Split, plan: Plan, bandwidths: Bandwidths, combination: Floats) -> tuple[float, float]:
    """Return the robust variance of a combination of columns, below and above; their sum is that of the jump.

    Parameters
    ----------
    split : Split
    plan : Plan
    bandwidths : Bandwidths
    combination : array, shape (columns,)
        Weights of outcome, treatment and covariates, such as ``LocalEstimate.combination``.
    """
    out = []
    for side, h, b in zip(split.sides, bandwidths[:2], bandwidths[2:], strict=True):
        fit, bias_fit = side.fit(h, plan.order), side.fit(b, plan.bias_order)
        unit = math.factorial(plan.derivative) ** 2 / fit.bandwidth ** (2 * plan.derivative)
        weights = corrected_weights(fit, bias_fit, side.kernel, plan.derivative)
        rows = max(fit.rows, bias_fit.rows)
        out.append(unit * variance(side, weights, bias_fit, combination, plan.vcov, rows))
    return out[0], out[1]


def jump_covariance(split: Split, plan: Plan, estimate: LocalEstimate) -> Floats:
    """Return the robust covariance of the bias-corrected jumps of outcome and treatment, shape (2, 2).

    The variance is a quadratic form in the outcome, so three of its values give the covariance. Both jumps are scaled to
    unit variance first, which keeps the digits of the third.
    """
    outcome, treatment = _rows(split, estimate)
    v_outcome = sum(side_variances(split, plan, estimate.bandwidths, outcome))
    v_treatment = sum(side_variances(split, plan, estimate.bandwidths, treatment))
    if v_outcome == 0.0 or v_treatment == 0.0:
        return np.diag([v_outcome, v_treatment])
    a, b = math.sqrt(v_outcome), math.sqrt(v_treatment)
    both = [
        sum(side_variances(split, plan, estimate.bandwidths, outcome / a + sign * treatment / b)) for sign in (1, -1)
    ]
    shared = a * b * (both[0] - both[1]) / 4.0
    return np.array([[v_outcome, shared], [shared, v_treatment]])


def _rows(split: Split, estimate: LocalEstimate) -> tuple[Floats, Floats]:
    """Return the combinations of columns whose jumps are those of outcome and treatment, covariates taken out."""
    rows = np.eye(2, split.n_columns)
    if estimate.gamma is not None:
        rows[:, 2:] = -estimate.gamma.T
    return rows[0], rows[1]
