"""Local polynomials that interact with effect moderators (Calonico, Cattaneo, Farrell, Palomba and Titiunik 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import CausalKitError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.kernels.groups import compact_codes
from causalkit.linear.least_squares import least_squares
from causalkit.rdd.bandwidth_rules import Plan
from causalkit.rdd.honest_data import kernel_weights
from causalkit.rdd.local_polynomial import bandwidths
from causalkit.rdd.windows import split


@dataclass(frozen=True, eq=False)
class Problem:
    """The rows of a sharp design and its configuration.

    Parameters
    ----------
    x, y : array, shape (n,)
        Running variable minus cutoff, and outcome.
    basis : array, shape (n, m)
        What the effect is linear in: an indicator for each group, or a constant and moderators. Level and slopes on both
        sides are linear in the same.
    groups : array of codes or None
        Rows of one group share bandwidths; None: all rows do.
    covariates : array, shape (n, k)
        Also linear in the basis, but the same on both sides.
    cluster : array of codes or None
    weights : array or None
    order, bias_order : int
    kernel, vcov : str
    mass_points : str
    regularization : float
    names : tuple of str
        Of the groups.
    """

    x: Floats
    y: Floats
    basis: Floats
    groups: Codes | None
    covariates: Floats
    cluster: Codes | None
    weights: Floats | None
    order: int
    bias_order: int
    kernel: str
    vcov: str
    mass_points: str = "adjust"
    regularization: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Interacted:
    """Coefficients of the effect in the basis.

    Parameters
    ----------
    conventional, corrected : array, shape (m,)
        From the polynomial of the lower and of the higher order.
    vcov : array, shape (m, m)
        Of the corrected ones.
    bandwidths : array, shape (groups, 2)
    n_effective : array of int, shape (groups, 2)
    """

    conventional: Floats
    corrected: Floats
    vcov: Floats
    bandwidths: Floats
    n_effective: Codes


def interacted(problem: Problem, bandwidth: str | float | tuple[float, float]) -> Interacted:
    """Fit the effect as a function of the basis.

    Parameters
    ----------
    problem : Problem
    bandwidth : str, float or (float, float)
        A rule (for each group by itself), or bandwidths.
    """
    codes = np.zeros(problem.x.size, dtype=np.int32) if problem.groups is None else problem.groups
    widths = np.array([_of_group(problem, codes, code, bandwidth) for code in range(int(codes.max()) + 1)])
    treated = problem.x >= 0
    own = np.where(treated, widths[codes, 1], widths[codes, 0])
    u = problem.x / own
    weight = kernel_weights(u, problem.kernel) * (1.0 if problem.weights is None else problem.weights)
    kept = weight > 0
    low, _ = _regression(problem, u, weight, kept, problem.order)
    high, matrix = _regression(problem, u, weight, kept, problem.bias_order)
    inside = np.abs(u) <= 1.0
    counts = [
        [int((inside & (codes == code) & (treated == side)).sum()) for side in (False, True)]
        for code in range(len(widths))
    ]
    return Interacted(low, high, matrix, widths, np.array(counts))


def _of_group(
    problem: Problem, codes: Codes, code: int, bandwidth: str | float | tuple[float, float]
) -> tuple[float, float]:
    """Return the bandwidths of a group; an error says which group it was."""
    try:
        return _bandwidths(problem, codes == code, bandwidth)
    except CausalKitError as error:
        if problem.groups is None:
            raise
        hint = "Merge small groups, or leave this one out."
        raise DesignError(f"group {problem.names[code]}: {error.message}", hint=hint) from error


def _bandwidths(problem: Problem, rows: Bools, bandwidth: str | float | tuple[float, float]) -> tuple[float, float]:
    plan = Plan(
        problem.order, problem.bias_order, 0, problem.vcov, problem.mass_points, problem.regularization, False
    )  # fmt: skip
    parts = split(
        problem.x[rows],
        problem.y[rows],
        covariates=problem.covariates[rows] if problem.covariates.shape[1] else None,
        cluster=None if problem.cluster is None else problem.cluster[rows],
        weights=None if problem.weights is None else problem.weights[rows],
        kernel=problem.kernel,
        bias_order=problem.bias_order,
    )
    chosen = bandwidths(parts, plan, bandwidth)
    return chosen.left, chosen.right


def _regression(problem: Problem, u: Floats, weight: Floats, kept: Bools, order: int) -> tuple[Floats, Floats]:
    """Return the coefficients of the treated side's indicator in the basis, and their covariance."""
    x, basis = u[kept], problem.basis[kept]
    treated = (x >= 0).astype(float)
    parts = [treated[:, None] * basis]
    for power in range(order + 1):
        column = (x**power)[:, None] * basis
        parts += [column] if power == 0 else [column, treated[:, None] * column]
    parts += [column[:, None] * basis for column in problem.covariates[kept].T]
    design = np.hstack(parts)
    names = [f"column {j}" for j in range(design.shape[1])]
    cluster = None if problem.cluster is None else compact_codes(problem.cluster[kept])[0]
    fit = least_squares(
        problem.y[kept],
        design,
        names=names,
        weights=weight[kept],
        groups=cluster,
        vcov=problem.vcov,
    )
    m = basis.shape[1]
    if fit.names[:m] != tuple(names[:m]) or any(name in fit.dropped for name in names[: m * (2 * order + 2)]):
        raise DesignError(
            "too few rows near the cutoff to tell the effects apart: a group, or a side of one, has too few distinct values.",
            hint="Use fewer groups, or a larger bandwidth.",
        )
    return fit.coefficients[:m], fit.vcov.matrix[:m, :m]
