"""Covariate adjustment: one coefficient per covariate for both sides, and what it makes of the columns (CCFT 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats
from causalkit.rdd.line import KERNELS
from causalkit.rdd.moments import Side
from causalkit.rdd.polynomial_fit import Fit

#: Share of a covariate's variation, or of a combination's, below which it counts as explained by the others.
_COLLINEAR = 1e-11


def adjustment(sides: Sequence[Side], fits: Sequence[Fit], n_treatments: int) -> Floats:
    """Return the coefficients of the covariates for outcome and treatment, shape (covariates, 1 + treatments).

    Outcome, treatment and covariates are residualised on the local polynomial of each side; the coefficients are those
    of the residuals' regression, pooled over the given sides.
    """
    first = 1 + n_treatments
    parts = [_residual_products(side, fit, first) for side, fit in zip(sides, fits, strict=True)]
    total = np.sum([part for part, _ in parts], axis=0)
    spread = np.sum([squares for _, squares in parts], axis=0)
    answers, gram = total[:, :first], total[:, first:]
    # In units of its own variation, a covariate that the polynomial explains has next to none left.
    scale = np.divide(1.0, np.sqrt(spread), out=np.zeros_like(spread), where=spread > 0)
    values, vectors = np.linalg.eigh(gram * np.outer(scale, scale))
    apart = np.divide(1.0, values, out=np.zeros_like(values), where=values > _COLLINEAR)
    gamma: Floats = scale[:, None] * (vectors @ (apart[:, None] * (vectors.T @ (scale[:, None] * answers))))
    return gamma


def _residual_products(side: Side, fit: Fit, first: int) -> tuple[Floats, Floats]:
    """Return kernel-weighted products of residualised covariates with every column, and their sums of squares before."""
    columns = side.columns[:, : fit.rows]
    weight = np.polynomial.polynomial.polyval(side.distance[: fit.rows] / fit.bandwidth, KERNELS[side.kernel])
    if side.weights.size:
        weight = weight * side.weights[: fit.rows]
    products = (columns[first:] * weight) @ columns.T
    residual = products - fit.beta[:, first:].T @ (fit.gram @ fit.beta)
    # Kernels integrate to one: a side with a smaller bandwidth counts for more.
    return residual / fit.bandwidth, np.diag(products[:, first:]) / fit.bandwidth


def determined(sides: Sequence[Side], fits: Sequence[Fit], n_treatments: int) -> Bools:
    """Return which covariates the local polynomials explain, so that they can't adjust anything, shape (covariates,)."""
    first = 1 + n_treatments
    parts = [_residual_products(side, fit, first) for side, fit in zip(sides, fits, strict=True)]
    left = np.sum([np.diag(part[:, first:]) for part, _ in parts], axis=0)
    return np.asarray(left <= _COLLINEAR * np.sum([squares for _, squares in parts], axis=0))


def selector(
    jump: Floats, gamma: Floats | None, n_treatments: int, noise: Floats | None = None
) -> tuple[Floats, float, float]:
    """Return the combination of columns whose coefficient is the effect, and the effects on outcome and treatment.

    Parameters
    ----------
    jump : array, shape (columns,)
        Coefficient (or difference of coefficients) of each column.
    gamma : array, shape (covariates, 1 + treatments), or None
    n_treatments : int
        With a treatment, the combination is the linearised ratio.
    noise : array, shape (columns,), optional
        What rounding may add to each coefficient.

    Returns
    -------
    s : array, shape (columns,)
    on_outcome, on_treatment : float
        ``on_treatment`` is 1 without a treatment.

    Raises
    ------
    DesignError
        If the effect on the treatment is zero, or rounding.
    """
    first = 1 + n_treatments
    plain = np.zeros((first, jump.size))
    plain[:, :first] = np.eye(first)
    if gamma is not None:
        plain[:, first:] = -gamma.T
    effects = plain @ jump
    if not n_treatments:
        return plain[0], float(effects[0]), 1.0
    on_outcome, on_treatment = float(effects[0]), float(effects[1])
    if abs(on_treatment) <= (0.0 if noise is None else float(np.abs(plain[1]) @ noise)):
        raise DesignError("the treatment does not jump at the cutoff.", hint="Check treatment= and the cutoff.")
    return (plain[0] - on_outcome / on_treatment * plain[1]) / on_treatment, on_outcome, on_treatment
