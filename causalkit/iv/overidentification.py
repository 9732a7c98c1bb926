"""Tests that the instruments agree with each other: more instruments than endogenous variables are testable."""

from __future__ import annotations

import numpy as np

from causalkit.core.effects import Test
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.iv.fit import Solved
from causalkit.iv.gmm import inverse_of
from causalkit.iv.iv_data import IVData
from causalkit.iv.k_class import k_class, liml_kappa

METHODS = ("sargan", "basmann", "basmann_f", "likelihood_ratio", "hansen")


def overidentification_test(data: IVData, solved: Solved, method: str | None = None) -> Test:
    """Test that all instruments are valid, given that enough of them are.

    Parameters
    ----------
    data : IVData
    solved : Solved
        The estimate whose residuals are tested.
    method : {"sargan", "basmann", "basmann_f", "likelihood_ratio", "hansen"}, optional
        ``"sargan"`` (Sargan 1958), ``"basmann"`` (1960; its F form is ``"basmann_f"``) and ``"likelihood_ratio"``
        (Anderson and Rubin 1950, ``n log(kappa)``) hold for residuals of one variance; ``"hansen"`` (1982), the default
        for every other kind, follows the kind of the fit: the minimised objective of GMM weighted at these residuals,
        or the J of the fit itself for ``"gmm"`` and ``"cue"``.

    Returns
    -------
    Test
        A small p-value says that some instrument is not valid, or that effects differ between those whom different
        instruments move.

    Raises
    ------
    InferenceUnavailable
        With as many instruments as endogenous variables: there is nothing to test.
    """
    chosen = ("sargan" if data.variance.kind == "iid" else "hansen") if method is None else method
    if chosen not in METHODS:
        raise DesignError(f"method={chosen!r} is not an option.", hint=f"Use one of {', '.join(METHODS)}.")
    over = data.q - data.m
    if not over:
        raise InferenceUnavailable(
            f"{data.q} instrument{'s' if data.q > 1 else ''} for {data.m} "
            f"treatment{'s' if data.m > 1 else ''}: exactly identified, so their validity can't be tested.",
            hint="Only further instruments would make it testable; argue for this one.",
        )
    if chosen == "hansen":
        return _chi2(hansen(data, solved), over, "Hansen J")
    if chosen == "likelihood_ratio":
        return _chi2(data.n * float(np.log(liml_kappa(data.gram))), over, "Anderson-Rubin likelihood ratio")
    return _equal_variances(data, solved, chosen, over)


def hansen(data: IVData, solved: Solved) -> float:
    """Minimised objective of GMM with weights at the residuals of an estimate."""
    data.variance.require_clusters(data.q)
    if solved.gmm is not None:
        return solved.gmm.objective
    if not solved.residuals.any():
        raise InferenceUnavailable("there is no residual variation to test.", hint="The outcome does not vary.")
    inverse = inverse_of(data.moment_covariance(solved.residuals), data)
    gram = data.gram
    beta = np.linalg.solve(gram.ZD.T @ inverse @ gram.ZD, gram.ZD.T @ inverse @ gram.Zy)
    moments = gram.Zy - gram.ZD @ beta
    return float(moments @ inverse @ moments)


def _equal_variances(data: IVData, solved: Solved, chosen: str, over: int) -> Test:
    square = float(solved.residuals @ solved.residuals)
    if square <= 0.0:
        raise InferenceUnavailable("there is no residual variation to test.", hint="The outcome does not vary.")
    statistic = data.n * data.gram.explained_square(solved.beta) / square
    if chosen == "sargan":
        return _chi2(statistic, over, "Sargan")
    if chosen == "basmann":
        return _chi2(statistic * data.gram.df_first / (data.n - statistic), over, "Basmann")
    from scipy import special

    limited = k_class(data.gram, liml_kappa(data.gram))[0]
    explained = data.gram.explained_square(limited)
    left = data.gram.residual_square(limited) - explained
    value = explained / over / (left / data.gram.df_first)
    df = (float(over), float(data.gram.df_first))
    return Test(value, float(special.fdtrc(*df, value)), df, method="Basmann F")


def _chi2(statistic: float, df: int, method: str) -> Test:
    from scipy import special

    return Test(statistic, float(special.chdtrc(df, statistic)), float(df), method=method)
