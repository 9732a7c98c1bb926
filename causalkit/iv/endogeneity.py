"""Tests that the endogenous variables were exogenous after all: least squares would then do."""

from __future__ import annotations

import numpy as np

from causalkit.core.effects import Test
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.wald import wald_test
from causalkit.iv.covariance import require_df
from causalkit.iv.gram import whitening_of
from causalkit.iv.iv_data import IVData
from causalkit.iv.k_class import k_class
from causalkit.kernels.arrays import Floats

_DETERMINED = 1e-12
METHODS = ("durbin", "wu_hausman", "wooldridge_score", "wooldridge_regression")


def endogeneity_test(data: IVData, method: str | None = None) -> Test:
    """Test that least squares estimates the same as two-stage least squares.

    Parameters
    ----------
    data : IVData
    method : {"durbin", "wu_hausman", "wooldridge_score", "wooldridge_regression"}, optional
        ``"durbin"`` (chi-square) and ``"wu_hausman"`` (F, the default with ``vcov="iid"``) hold for residuals of one
        variance. ``"wooldridge_regression"``, the default else, is the Wald test of the first-stage residuals added to
        the regression, with the variance of the fit; ``"wooldridge_score"`` (Wooldridge 1995) is robust to unequal
        variances only.

    Returns
    -------
    Test
        A small p-value says that the endogenous variables are not exogenous.
    """
    chosen = ("wu_hausman" if data.variance.kind == "iid" else "wooldridge_regression") if method is None else method
    if chosen not in METHODS:
        raise DesignError(f"method={chosen!r} is not an option.", hint=f"Use one of {', '.join(METHODS)}.")
    D = data.rows[1 : 1 + data.m]
    V = D - data.fitted_treatment().T
    root = whitening_of(data.gram.DD)
    if np.linalg.eigvalsh(root @ (V @ V.T) @ root.T)[0] <= _DETERMINED:
        raise InferenceUnavailable(
            "the instruments determine the treatment (or a combination of treatments), so nothing about it is endogenous.",
            hint="Two-stage least squares is least squares here.",
        )
    if chosen == "wooldridge_score":
        return _score(data, D, V)
    if chosen == "wooldridge_regression":
        return _regression(data, D, V)
    return _equal_variances(data, V, chosen)


def _equal_variances(data: IVData, V: Floats, chosen: str) -> Test:
    from scipy import special

    m, gram = data.m, data.gram
    ols = k_class(gram, 0.0)[0]
    restricted = gram.residual_square(ols)
    gap, free = V @ data.residuals(ols), gram.DD - gram.explained[1:, 1:]
    # Cross-products of the first-stage residuals, endogenous variables held fixed.
    spread = free - free @ np.linalg.solve(gram.DD, free)
    fall = float(gap @ np.linalg.solve(spread, gap))
    if restricted <= 0.0:
        raise InferenceUnavailable("there is no residual variation to test.", hint="The outcome does not vary.")
    if chosen == "durbin":
        value = data.n * fall / restricted
        return Test(value, float(special.chdtrc(m, value)), float(m), method="Durbin")
    df = (float(m), float(data.n - data.n_exogenous - 2 * m))
    require_df(data.n, data.n_exogenous + 2 * m)
    value = fall / m / ((restricted - fall) / df[1])
    return Test(value, float(special.fdtrc(*df, value)), df, method="Wu-Hausman")


def _score(data: IVData, D: Floats, V: Floats) -> Test:
    from scipy import special

    gram = data.gram
    residuals = data.residuals(k_class(gram, 0.0)[0])
    scores = V - np.linalg.solve(gram.DD, D @ V.T).T @ D
    scores *= residuals
    total = scores.sum(axis=1)
    value = float(total @ np.linalg.solve(scores @ scores.T, total))
    return Test(value, float(special.chdtrc(data.m, value)), float(data.m), method="Wooldridge score")


def _regression(data: IVData, D: Floats, V: Floats) -> Test:
    """Wald test of the first-stage residuals, with the variance of the fit."""
    m, variance = data.m, data.variance
    k = data.n_exogenous + 2 * m
    require_df(data.n, k)
    gram, free = data.gram, V @ V.T
    products = np.block([[gram.DD, free], [free, free]])  # what the first stage leaves of D is V itself
    bread = np.linalg.inv(products)
    values = bread @ np.concatenate([gram.Dy, V @ data.y])
    left = data.residuals(values[:m])
    for value, row in zip(values[m:], V, strict=True):
        left -= value * row
    if variance.kind == "iid":
        vcov = bread * (float(left @ left) / (data.n - k))
    else:
        psi = bread[m:, :m] @ D
        psi += bread[m:, m:] @ V
        psi *= left
        vcov = variance.meat(psi.T) * variance.scale(data.n, k)
    vcov = vcov[-m:, -m:]
    found = wald_test(values[m:], vcov, variance.df(data.n, k))
    return Test(found.statistic, found.pvalue, (float(found.df1), found.df2), method="Wooldridge regression")
