"""Wald tests, t p-values and t intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats

_RANK_TOLERANCE = 1e-10


def require_alpha(alpha: float) -> None:
    """Refuse a level that is not between 0 and 1.

    Parameters
    ----------
    alpha : float
        One minus the confidence level.

    Raises
    ------
    DesignError
        If it is 0, 1, outside, or NaN.
    """
    if not 0.0 < alpha < 1.0:
        raise DesignError(f"alpha={alpha!r} is not between 0 and 1.", hint="Use alpha=0.05 for a 95 % interval.")


class WaldTest(NamedTuple):
    """A joint test that all entries are zero.

    ``statistic`` is chi-square with ``df1`` degrees of freedom where ``df2`` is infinite, else an F ratio. ``df1`` is
    the rank of the covariance, which may be less than the number of entries.
    """

    statistic: float
    df1: int
    df2: float
    pvalue: float


def wald_test(theta: Floats, vcov: Floats, df: float | None = None) -> WaldTest:
    """Test that ``theta`` is zero.

    Parameters
    ----------
    theta : (k,) array
        Estimates minus their values under the null.
    vcov : (k, k) array
        Their covariance. Where it is singular, its pseudo-inverse is used (in units of the standard errors) and the
        rank is reported as ``df1``.
    df : float, optional
        Denominator degrees of freedom. None or infinity gives the chi-square test, otherwise F.

    Returns
    -------
    WaldTest

    Raises
    ------
    InferenceUnavailable
        If an entry is not finite, no entry varies, or an entry without variance is not zero.
    """
    theta, vcov = np.atleast_1d(np.asarray(theta, float)), np.atleast_2d(np.asarray(vcov, float))
    if not (np.isfinite(theta).all() and np.isfinite(vcov).all()):
        raise InferenceUnavailable("A joint test needs finite estimates and covariances.", hint="Leave such terms out.")
    variances = np.diag(vcov)
    varies = variances > 0
    fixed = np.flatnonzero(~varies & (theta != 0))
    if fixed.size:
        raise InferenceUnavailable(f"Entry {fixed[0]} is {theta[fixed[0]]:g} but has no variance.", rows=fixed.tolist())
    if not varies.any():
        raise InferenceUnavailable("No entry of the joint test has any variance.")
    se = np.sqrt(variances[varies])
    values, vectors = np.linalg.eigh(vcov[np.ix_(varies, varies)] / np.outer(se, se))
    kept = values > _RANK_TOLERANCE * values[-1]
    rank = int(np.count_nonzero(kept))
    chi2 = float(np.sum((vectors[:, kept].T @ (theta[varies] / se)) ** 2 / values[kept]))
    if df is None or np.isinf(df):
        return WaldTest(chi2, rank, np.inf, float(special.chdtrc(rank, chi2)))
    return WaldTest(chi2 / rank, rank, float(df), float(special.fdtrc(rank, df, chi2 / rank)))


def t_pvalue(statistic: ArrayLike, df: ArrayLike = np.inf) -> Floats:
    """Two-sided p-value of a t statistic; infinite ``df`` is the normal, exactly.

    Parameters
    ----------
    statistic, df : array_like
        Broadcast against each other.

    Returns
    -------
    array of the broadcast shape.
    """
    statistic, df = np.broadcast_arrays(np.asarray(statistic, float), np.asarray(df, float))
    tail = -np.abs(statistic)
    infinite = np.isinf(df)
    return np.asarray(2.0 * np.where(infinite, special.ndtr(tail), special.stdtr(np.where(infinite, 1.0, df), tail)))


def upper_pvalue(statistic: ArrayLike, df: ArrayLike = np.inf) -> Floats:
    """One-sided p-values of "zero or less": small where the t statistic is large. Infinite ``df`` means the normal."""
    t, free = np.asarray(statistic, dtype=float), np.asarray(df, dtype=float)
    student = special.stdtr(np.where(np.isinf(free), 1.0, free), -t)
    return np.asarray(np.where(np.isinf(free), special.ndtr(-t), student), dtype=float)


def t_quantile(probability: ArrayLike, df: ArrayLike = np.inf) -> Floats:
    """Quantile of the t distribution; infinite ``df`` is the normal, exactly."""
    probability, df = np.broadcast_arrays(np.asarray(probability, float), np.asarray(df, float))
    infinite = np.isinf(df)
    if infinite.all():
        return np.asarray(special.ndtri(probability))
    finite = special.stdtrit(np.where(infinite, 1.0, df), probability)
    return np.asarray(np.where(infinite, special.ndtri(probability), finite))


def t_interval(theta: ArrayLike, se: ArrayLike, df: ArrayLike = np.inf, alpha: float = 0.05) -> tuple[Floats, Floats]:
    """Interval ``theta ± t(1 - alpha/2, df) se``.

    Parameters
    ----------
    theta, se, df : array_like
        Broadcast against each other.
    alpha : float
        One minus the confidence level.

    Returns
    -------
    low, high : arrays of the broadcast shape.
    """
    half = t_quantile(1.0 - alpha / 2.0, df) * np.asarray(se, float)
    theta = np.asarray(theta, float)
    return np.asarray(theta - half), np.asarray(theta + half)
