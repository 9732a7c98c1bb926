"""Critical values and bands that hold for all entries of a vector at once."""

from __future__ import annotations

import numpy as np
from scipy import special

from causalkit.errors import DataError, InferenceUnavailable
from causalkit.inference.multivariate import StudentBox
from causalkit.inference.wald import require_alpha, t_quantile
from causalkit.kernels.arrays import Floats


def bonferroni_critical(k: int, alpha: float = 0.05, df: float = np.inf) -> float:
    """Critical value that holds for ``k`` two-sided statistics under any dependence."""
    return float(t_quantile(1.0 - alpha / (2.0 * k), df))


def sup_t_critical(
    vcov: Floats,
    alpha: float = 0.05,
    draws: Floats | None = None,
    random_state: int | np.random.Generator | None = 0,
    df: float = np.inf,
) -> float:
    """Critical value c with ``P(max |t_j| <= c) = 1 - alpha``.

    Parameters
    ----------
    vcov : (k, k) array
        Covariance or correlation of the estimates; only its correlations matter. Entries without variance (or NaN)
        are left out.
    alpha : float
        One minus the simultaneous level.
    draws : (B, k) array, optional
        Draws of ``estimate - truth``, as from :func:`~causalkit.inference.bootstrap.multiplier_bootstrap`. They are
        studentised with ``vcov``, and the ``ceil((1 - alpha)(B + 1))``-th smallest maximum is returned. Without them
        the probability is integrated numerically for the multivariate normal (Montiel Olea and Plagborg-Møller 2019).
    random_state : int, Generator or None
        Shifts of the integration points. The answer moves by about 0.002 between seeds (0.005 for a hundred
        entries), and not at all for k = 1.
    df : float
        Degrees of freedom common to all statistics (multivariate t); infinity is the normal.

    Returns
    -------
    float
        Between the pointwise critical value, which it equals for one entry, and Bonferroni's, unless ``draws`` are
        given.

    Raises
    ------
    InferenceUnavailable
        If no entry has any variance, or there are too few draws for this ``alpha``.
    DesignError
        If ``alpha`` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> round(ck.inference.sup_t_critical(np.eye(3)), 2)  # three independent estimates
    2.39
    """
    require_alpha(alpha)
    vcov = np.atleast_2d(np.asarray(vcov, dtype=np.float64))
    varies = np.flatnonzero(np.diag(vcov) > 0)
    if varies.size == 0:
        raise InferenceUnavailable("No entry has any variance, so there is no simultaneous critical value.")
    se = np.sqrt(np.diag(vcov)[varies])
    if draws is not None:
        return _from_draws(np.asarray(draws, float), varies, se, alpha)
    correlation = vcov[np.ix_(varies, varies)] / np.outer(se, se)
    np.fill_diagonal(correlation, 1.0)
    if varies.size == 1:
        return bonferroni_critical(1, alpha, df)
    return StudentBox(correlation, df, np.random.default_rng(random_state)).critical(alpha)


def simultaneous_band(theta: Floats, se: Floats, critical: float) -> tuple[Floats, Floats]:
    """Return ``theta ± critical * se``; an entry with no standard error (NaN) has no band, one with zero a point.

    Parameters
    ----------
    theta, se : (k,) arrays
    critical : float

    Returns
    -------
    low, high : (k,) arrays

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> theta, vcov = np.array([1.0, 2.0]), np.diag([0.04, 0.09])
    >>> critical = ck.inference.sup_t_critical(vcov)
    >>> low, high = ck.inference.simultaneous_band(theta, np.sqrt(np.diag(vcov)), critical)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.55, 1.33], [1.45, 2.67])
    """
    half = critical * np.asarray(se, dtype=np.float64)
    theta = np.asarray(theta, dtype=np.float64)
    return theta - half, theta + half


def sidak_critical(k: int, alpha: float = 0.05) -> float:
    """Critical value for ``k`` independent normal statistics, two-sided; an upper bound for dependent ones."""
    return float(-special.ndtri(-np.expm1(np.log1p(-alpha) / k) / 2.0))


def _from_draws(draws: Floats, varies: np.ndarray[tuple[int], np.dtype[np.intp]], se: Floats, alpha: float) -> float:
    largest = np.abs(draws[:, varies] / se).max(axis=1)
    if np.isnan(largest).any():
        raise DataError(f"{np.count_nonzero(np.isnan(largest))} draws are NaN.", hint="Drop failed draws.")
    n_draws = largest.size
    rank = int(np.ceil((1.0 - alpha) * (n_draws + 1) - 1e-9))
    if rank > n_draws:
        raise InferenceUnavailable(
            f"{n_draws} draws can't give a critical value at alpha={alpha:g}.",
            hint=f"Use at least {int(np.ceil(1.0 / alpha)) - 1} draws.",
        )
    return float(np.partition(largest, rank - 1)[rank - 1])
