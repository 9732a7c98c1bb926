"""Entropy balancing: the weights nearest to uniform that make means equal (Hainmueller 2012)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import ConvergenceError
from causalkit.kernels.arrays import Floats, Ints

_TOLERANCE = 1e-10
_STEPS = 200


@dataclass(frozen=True, eq=False)
class Tilted:
    """Weights of one arm.

    Parameters
    ----------
    weights : Floats, shape (n,)
        They sum to one.
    gradient : float
        Largest distance from the target, in standard deviations: the certificate of the dual optimum.
    """

    weights: Floats
    gradient: float


def tilt(x: Floats, target: Floats, base: Floats, names: tuple[str, ...], arm: str) -> Tilted:
    """Return ``w_i`` proportional to ``base_i exp(lambda' x_i)`` with mean ``target``, by Newton's method on the convex dual.

    Parameters
    ----------
    x : Floats, shape (n, p)
        Covariates of the arm.
    target : Floats, shape (p,)
        Means to reach.
    base : Floats, shape (n,)
        Weights to stay near to.
    names : tuple of str
        Names of the columns, for messages.
    arm : str
        Name of the arm, for messages.

    Raises
    ------
    ConvergenceError
        If the target lies outside of what weights of this arm can reach.
    """
    unit = np.sqrt(np.maximum(np.cov(x, rowvar=False, aweights=base, ddof=0).reshape(x.shape[1], -1).diagonal(), 0.0))
    unit = np.where(unit > 1e-12 * np.abs(x).max(axis=0), unit, 0.0)  # of a constant only rounding is left
    flat = (unit == 0) & (np.abs(x[0] - target) > 1e-9 * np.maximum(np.abs(target), 1.0))
    if flat.any():
        _refuse(names[int(np.argmax(flat))], arm)
    away = (x - target) / np.where(unit > 0, unit, 1.0)
    kept = _independent(away)
    z = away[:, kept]
    dual, prior = np.zeros(z.shape[1]), base / base.sum()
    value, weights = _value(z, dual, prior)
    for _ in range(_STEPS):
        gradient = weights @ z
        if np.abs(gradient).max(initial=0.0) < _TOLERANCE:
            break
        hessian = (z * weights[:, None]).T @ z - np.outer(gradient, gradient)
        step = -np.linalg.lstsq(hessian, gradient, rcond=1e-14)[0]
        size = 1.0
        while size > 1e-10:
            new, tried = _value(z, dual + size * step, prior)
            if new <= value + 1e-4 * size * float(gradient @ step):
                break
            size /= 2
        else:
            break
        dual, value, weights = dual + size * step, new, tried
    left = np.abs(weights @ away)
    if left.max(initial=0.0) > 1e-6:
        _refuse(names[int(np.argmax(left))], arm)
    return Tilted(weights, float(left.max(initial=0.0)))


def _value(z: Floats, dual: Floats, prior: Floats) -> tuple[float, Floats]:
    exponent = z @ dual
    top = float(exponent.max())
    raw = prior * np.exp(exponent - top)
    total = float(raw.sum())
    return top + float(np.log(total)), raw / total


def _independent(x: Floats) -> Ints:
    """Positions of columns that the others (and a constant) do not determine."""
    from scipy.linalg import qr

    _, r, order = qr(x - x.mean(axis=0), mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    kept: Ints = np.sort(order[: int(np.sum(size > 1e-10 * max(size.max(initial=0.0), 1e-300)))])
    return kept


def _refuse(name: str, arm: str) -> None:
    raise ConvergenceError(
        f"no weights of {arm} reach the mean of {name!r}: the target lies outside of its values, or nearly so.",
        hint="Leave the covariate out, coarsen it, drop people who have no counterpart, or use target='overlap' with method='ipw'.",
    )
