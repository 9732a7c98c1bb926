"""Generalised method of moments: the efficient two-step estimator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.iv.iv_data import IVData
from causalkit.iv.k_class import k_class
from causalkit.kernels.arrays import Floats
from causalkit.kernels.iv_gram import score_products


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


def inverse_of(weights: Floats, data: IVData) -> Floats:
    """Invert the covariance of the moments; clusters fewer than moments leave it singular."""
    scale = np.sqrt(np.diag(weights))
    scale = np.where(scale > 0.0, scale, 1.0)
    values, vectors = np.linalg.eigh(weights / np.outer(scale, scale))
    if values[0] <= 1e-12 * values[-1]:
        told = f" ({data.variance.n_clusters} clusters)" if data.variance.is_clustered else ""
        raise InferenceUnavailable(
            f"the covariance of the {len(weights)} moments is singular{told}, so they can't be weighted by its inverse.",
            hint="Use method='2sls', or fewer instruments.",
        )
    root = (vectors / np.sqrt(values)).T / scale
    inverse: Floats = root.T @ root
    return inverse
