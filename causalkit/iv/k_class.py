"""K-class estimators from cross-products: two-stage least squares, LIML, Fuller's LIML and any kappa."""

from __future__ import annotations

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.gram import IVGram
from causalkit.kernels.arrays import Floats

_FLAT = 1e-14


def k_class(gram: IVGram, kappa: float) -> tuple[Floats, Floats]:
    """Return the coefficients of the k-class estimator and the inverse of its matrix.

    ``beta = A^-1 D'(I - kappa M) y`` with ``A = D'(I - kappa M) D`` and M the residual maker of the instruments
    (Theil 1961; Davidson and MacKinnon 1993, section 18.5). Two-stage least squares has kappa 1, least squares 0.

    Parameters
    ----------
    gram : IVGram
    kappa : float

    Returns
    -------
    beta : array, shape (m,)
    bread : array, shape (m, m)

    Raises
    ------
    DesignError
        If the matrix is not positive definite: kappa is too large for these instruments.
    """
    both = (1.0 - kappa) * gram.total + kappa * gram.explained
    matrix, target = both[1:, 1:], both[1:, 0]
    scale = np.sqrt(np.diag(gram.DD))
    try:
        root = np.linalg.inv(np.linalg.cholesky(matrix / np.outer(scale, scale))) / scale
    except np.linalg.LinAlgError:
        raise DesignError(
            f"kappa={kappa:.6g} is too large: the estimator's matrix is not positive definite.",
            hint="The instruments may be too weak for it; use method='2sls' and read .first_stage.",
        ) from None
    bread = root.T @ root
    return bread @ target, bread


def liml_kappa(gram: IVGram) -> float:
    """Return kappa of limited-information maximum likelihood: the smallest ratio of total to unexplained variation.

    The ratio is of combinations of outcome and endogenous variables. It is found as ``1 / (1 - mu)`` from the smallest
    share mu that the instruments explain, so no residual matrix is inverted. With as many instruments as endogenous
    variables it is exactly 1.

    Parameters
    ----------
    gram : IVGram

    Returns
    -------
    float
    """
    if gram.q == gram.m or gram.yy <= 0.0:
        return 1.0
    scale = np.sqrt(np.diag(gram.total))
    values, vectors = np.linalg.eigh(gram.total / np.outer(scale, scale))
    if values[0] <= _FLAT * values[-1]:  # the endogenous variables determine the outcome: every kappa fits exactly
        return 1.0
    basis = vectors / np.sqrt(values) / scale[:, None]
    share = float(np.linalg.eigvalsh(basis.T @ gram.explained @ basis)[0])
    return 1.0 / (1.0 - min(max(share, 0.0), 1.0 - _FLAT))


def kappa_of(method: str, gram: IVGram, fuller: float, kappa: float | None) -> float:
    """Return kappa of a method; Fuller's (1977) subtracts ``fuller / (n - L)``, with L all exogenous columns.

    Parameters
    ----------
    method : {"2sls", "liml", "fuller", "kclass"}
    gram : IVGram
    fuller : float
        Fuller's constant: 1 makes the estimator nearly unbiased, 4 gives a small mean squared error.
    kappa : float or None
        The value of ``method="kclass"``.
    """
    if method == "2sls":
        return 1.0
    if method == "kclass":
        if kappa is None:
            raise DesignError("method='kclass' needs kappa=.", hint="0 is least squares, 1 two-stage least squares.")
        return kappa
    limited = liml_kappa(gram)
    return limited if method == "liml" else limited - fuller / gram.df_first
