"""Coefficients of the endogenous variables by any method, with their influence values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.iv.cue import continuously_updating
from causalkit.iv.gmm import GMMFit, gmm_psi, two_step
from causalkit.iv.iv_data import IVData
from causalkit.iv.k_class import k_class, kappa_of
from causalkit.kernels.arrays import Floats

K_CLASS = ("2sls", "liml", "fuller", "kclass")
GMM = ("gmm", "cue")
JACKKNIFE = ("jive", "ujive", "ijive")
METHODS = (*K_CLASS, *GMM, *JACKKNIFE)


@dataclass(frozen=True, eq=False)
class Solved:
    """An estimate before inference.

    Parameters
    ----------
    beta : array, shape (m,)
    psi : array, shape (n, m)
        Influence values with 1/n folded in.
    residuals : array, shape (n,)
        Residuals of the whole regression, times the root of the weights.
    bread : array, shape (m, m), or None
        Inverse of the estimator's matrix: times the variance of the residuals, the variance of ``beta`` where the
        residuals have one variance. None for jackknife estimators.
    kappa : float or None
        Of k-class estimators.
    gmm : GMMFit or None
    """

    beta: Floats
    psi: Floats
    residuals: Floats
    bread: Floats | None
    kappa: float | None = None
    gmm: GMMFit | None = None

    @property
    def certificate(self) -> float:
        """Norm of the gradient, in standard errors, where there is no closed form; else 0."""
        return self.gmm.certificate if self.gmm is not None else 0.0


def solve(data: IVData, method: str, *, fuller: float = 1.0, kappa: float | None = None) -> Solved:
    """Estimate the coefficients of the endogenous variables.

    Parameters
    ----------
    data : IVData
    method : {"2sls", "liml", "fuller", "kclass", "gmm", "cue"}
        Jackknife estimators take another way: :mod:`causalkit.iv.jackknife_result`.
    fuller : float
        Constant of ``"fuller"``.
    kappa : float, optional
        Of ``"kclass"``.

    Returns
    -------
    Solved
    """
    gram = data.gram
    if method in GMM:
        fit = two_step(data) if method == "gmm" else continuously_updating(data)
        return Solved(fit.beta, gmm_psi(data, fit), fit.residuals, k_class(gram, 1.0)[1], gmm=fit)
    value = kappa_of(method, gram, fuller, kappa)
    beta, bread = k_class(gram, value)
    residuals = data.residuals(beta)
    moved = value * data.fitted_treatment()
    if value != 1.0:
        moved += (1.0 - value) * data.D
    psi = np.multiply((bread @ moved.T), residuals).T
    return Solved(beta, psi, residuals, bread, kappa=value)
