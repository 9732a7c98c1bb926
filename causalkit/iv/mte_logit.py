"""A logit by Newton's method, with the influence of each row on its coefficients: what propensities of instruments need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import ConvergenceError, DesignError
from causalkit.kernels.arrays import Floats, read_only
from causalkit.linear.rank import select_columns

_STEPS = 60
_GOAL = 1e-12
_CERTAIN = 1e-9
_COLLINEAR = 1e-9


@dataclass(frozen=True, eq=False)
class Logit:
    """A fitted logit.

    Attributes
    ----------
    design : array, shape (n, k)
        Standardised columns, the intercept first.
    coefficients : array, shape (k,)
        Of the standardised columns.
    probability : array, shape (n,)
        Fitted probabilities.
    influence : array, shape (n, k)
        Influence values of the coefficients, 1/n folded in.
    kept : tuple of int
        For each column of the design, its position among the columns given (-1 for the intercept).
    gradient : float
        Largest component of the mean score at the solution: the certificate.
    """

    design: Floats
    coefficients: Floats
    probability: Floats
    influence: Floats
    kept: tuple[int, ...]
    gradient: float


def logit(target: Floats, columns: Floats, weights: Floats | None = None, *, name: str = "treatment") -> Logit:
    """Fit a logit of a 0/1 variable; columns that the others determine are left out.

    Parameters
    ----------
    target : array, shape (n,)
    columns : array, shape (n, p)
        Without an intercept, which is added.
    weights : array, shape (n,), optional
        Positive weights; their scale does not matter.
    name : str
        What is predicted, for errors.

    Raises
    ------
    DesignError
        If the columns predict the target perfectly for some rows.
    ConvergenceError
        If Newton's method does not reach a gradient of 1e-12.
    """
    n = target.size
    w = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    X, kept = _standardised(columns, w)
    beta = np.zeros(X.shape[1])
    mean = float(w @ target)
    beta[0] = np.log(mean / (1 - mean))
    value, p = _likelihood(X @ beta, target, w)
    for _ in range(_STEPS):
        score = X.T @ (w * (target - p))
        if np.abs(score).max() <= _GOAL:
            break
        hessian = (X * (w * p * (1 - p))[:, None]).T @ X
        try:
            step = np.linalg.solve(hessian, score)
        except np.linalg.LinAlgError:
            raise _separated(name) from None
        size = 1.0
        while size > 1e-8:
            new, q = _likelihood(X @ (beta + size * step), target, w)
            if new >= value - 1e-14 * abs(value):
                break
            size /= 2
        beta, value, p = beta + size * step, new, q
        if p.min() < _CERTAIN or p.max() > 1 - _CERTAIN:
            raise _separated(name)
    gradient = float(np.abs(X.T @ (w * (target - p))).max())
    if gradient > 1e-9:
        raise ConvergenceError(
            f"the logit of {name} stopped at a gradient of {gradient:.1e}.", hint="Leave out columns, or rescale them."
        )
    bread = np.linalg.inv((X * (w * p * (1 - p))[:, None]).T @ X)
    influence = (X * (w * (target - p))[:, None]) @ bread
    return Logit(read_only(X), read_only(beta), read_only(p), read_only(influence), kept, gradient)


def _likelihood(index: Floats, target: Floats, w: Floats) -> tuple[float, Floats]:
    probability = np.where(index >= 0, 1.0, np.exp(np.minimum(index, 0.0))) / (1.0 + np.exp(-np.abs(index)))
    return float(w @ (target * index - np.logaddexp(0.0, index))), probability


def _standardised(columns: Floats, w: Floats) -> tuple[Floats, tuple[int, ...]]:
    """Return an intercept and the independent columns, centred and scaled, with their positions."""
    found, kept = [np.ones(w.size)], [-1]
    for j, column in enumerate(columns.T):
        centred = column - column[0]
        centred = centred - w @ centred
        spread = float(np.sqrt(w @ centred**2))
        if spread > 1e-12 * float(np.abs(column).max(initial=0.0)):
            found.append(centred / spread)
            kept.append(j)
    X = np.stack(found, axis=1)
    chosen = select_columns(X * np.sqrt(w)[:, None], np.full(X.shape[1], _COLLINEAR)).kept
    return np.ascontiguousarray(X[:, chosen]), tuple(kept[j] for j in chosen)


def _separated(name: str) -> DesignError:
    return DesignError(
        f"the columns predict {name} perfectly for some rows.",
        hint="Leave out the covariate or level that decides it, or drop these rows.",
    )
