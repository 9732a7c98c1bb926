"""Independent verification of robust intervals: linear programs, and the optimality conditions of the shortest one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.did.honest_problem import Problem


def largest_gap(problem: Problem, magnitudes: Floats) -> float:
    """Return the largest difference between the two ways, in units of the largest standard error.

    For intervals of fixed length: how far the corners of the path miss the optimality conditions. Otherwise: how far
    the statistic as a maximum over the dual's vertices is from the value of the primal linear program, at the ends of
    the interval.
    """
    if problem.method == "flci":
        return _optimality(problem)
    gaps = [_duality(problem, float(m)) for m in (magnitudes[0], magnitudes[-1])]
    return max(gaps)


def _optimality(problem: Problem) -> float:
    fixed = problem.fixed_length
    worst = 0.0
    scale = np.sqrt(np.diag(fixed.vcov).max())
    for kappa in fixed.path():
        gradient = fixed.basis.T @ fixed.vcov @ (fixed.start + fixed.basis @ kappa)
        penalty = np.abs(gradient).max(initial=0.0)
        on = kappa != 0.0
        miss = np.abs(gradient[on] + penalty * np.sign(kappa[on])).max(initial=0.0)
        worst = max(worst, float(miss / scale**2))
    return worst


def _duality(problem: Problem, magnitude: float) -> float:
    from scipy.optimize import linprog

    limits = problem.limits(magnitude)
    if limits is None or not np.isfinite(limits).all():
        raise InferenceUnavailable(
            f"the interval at M = {magnitude:g} is empty or unbounded; there is no end to verify."
        )
    vector, scale, weights = problem.vector, problem.scale, problem.weights
    values, vcov = vector.values / scale, vector.vcov / scale**2
    inner = magnitude / scale if problem.restriction.kind == "smoothness" else magnitude
    worst = 0.0
    for piece in problem.restriction.pieces(vector.n_pre):
        rows, limit = problem.restriction.inequalities(vector.n_pre, vector.n_post, inner, piece)
        test = problem.vertices.test(values, vcov, vector.n_pre, weights, rows, limit, problem.alpha, True)
        after = rows[:, vector.n_pre :]
        if len(weights) > 1:
            speaks = np.abs(after).max(axis=1) > 1e-12
            rows, limit, after = rows[speaks], limit[speaks], after[speaks]
        spread = np.sqrt(np.einsum("ij,jk,ik->i", rows, vcov, rows))
        for theta in np.array(limits) / scale:
            # The smallest eta with rows (values - tau) - limit <= eta spread for some tau with weights'tau = theta.
            found = linprog(
                np.append(np.zeros(len(weights)), 1.0),
                A_ub=np.hstack([-after, -spread[:, None]]),
                b_ub=limit - rows @ values,
                A_eq=np.append(weights, 0.0)[None, :],
                b_eq=[theta],
                bounds=(None, None),
            )
            if found.status != 0:
                raise InferenceUnavailable("the linear program could not be solved.")
            worst = max(worst, abs(found.fun - float((test.base + test.slope * theta).max())))
    return worst
