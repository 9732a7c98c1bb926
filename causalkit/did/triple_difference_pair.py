"""One group against another, weighted to the covariates of the first: estimates with influence values by unit."""

from __future__ import annotations

from typing import Literal

import numpy as np

from causalkit.did.group_time import inverse_of
from causalkit.did.logit import TRIM, NotEstimable, fit_logit
from causalkit.kernels.arrays import Bools, Floats

Method = Literal["dr", "ipw", "reg"]


def two_groups(change: Floats, x: Floats, w: Floats, treated: Bools, method: Method) -> tuple[Floats, Floats, int]:
    """Compare two groups in m outcomes at once.

    Parameters
    ----------
    change : Floats, shape (r, m)
        Changes of the outcome.
    x : Floats, shape (r, p)
        Covariates with their column of ones.
    w : Floats, shape (r,)
        Weights.
    treated : Bools, shape (r,)
        To whose covariates the others are adjusted.
    method : {"dr", "ipw", "reg"}

    Returns
    -------
    values : Floats, shape (m,)
    psi : Floats, shape (r, m)
        Influence values, with 1/n folded in.
    trimmed : int
        Controls without weight because their propensity is too high.

    Raises
    ------
    NotEstimable
        If covariates are collinear among the controls, or separate them from the treated.

    References
    ----------
    Sant'Anna and Zhao (2020), "Doubly robust difference-in-differences estimators", theorem 1 and appendix.
    """
    t, c, trimmed, by_score = w * treated, w * ~treated, 0, np.zeros_like(x)
    expected, unexplained, by_slope = np.zeros_like(change), np.zeros_like(change), np.zeros_like(x)
    adjusted = x.shape[1] > 1
    if adjusted and method != "ipw":
        own = x[~treated]
        bread = inverse_of((own * c[~treated, None]).T @ own)
        expected = x @ (bread @ ((x * c[:, None]).T @ change))
        unexplained, by_slope = c[:, None] * (change - expected), x @ bread
    if adjusted and method != "reg":
        logit = fit_logit([(x[treated].T, w[treated], True), (x[~treated].T, w[~treated], False)], np.zeros(x.shape[1]))
        p = logit.probability(x.T)
        by_score = (w * (treated - p))[:, None] * (x @ logit.covariance)
        trimmed = int((~treated & (p >= TRIM)).sum())
        c = np.where(treated, 0.0, w * logit.odds(p))
    left = change - expected
    if adjusted and method == "reg":
        value = t @ left / t.sum()
        return value, (t[:, None] * (left - value) - unexplained * (by_slope @ (t @ x))[:, None]) / t.sum(), 0
    if not c.any():
        raise NotEstimable("no control has covariates like its units")
    eta_t, eta_c = t @ left / t.sum(), c @ left / c.sum()
    psi_t = t[:, None] * (left - eta_t) - unexplained * (by_slope @ (t @ x))[:, None]
    psi_c = c[:, None] * (left - eta_c)
    psi_c = psi_c + by_score @ (x.T @ psi_c) - unexplained * (by_slope @ (c @ x))[:, None]
    return eta_t - eta_c, psi_t / t.sum() - psi_c / c.sum(), trimmed
