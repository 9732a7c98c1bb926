"""How strong a confounder must be to explain an estimate away (Cinelli and Hazlett 2020)."""

from __future__ import annotations

import math

from causalkit.errors import DesignError


def robustness_value(statistic: float, df: float, q: float = 1.0, alpha: float = 1.0, inflation: float = 1.0) -> float:
    """Return the partial R2 with treatment and outcome that takes a share ``q`` off an estimate.

    Parameters
    ----------
    statistic : float
        Estimate over its classical standard error.
    df : float
        Residual degrees of freedom.
    q : float
        Share of the estimate that is explained away.
    alpha : float
        1: the point estimate. Less: so that the ``1 - alpha`` interval no longer excludes ``(1 - q)`` of the estimate.
    inflation : float
        Standard error that the interval uses over the classical one.

    Returns
    -------
    float
        Between 0 and 1: equation 18 of Cinelli and Hazlett (2020), with the adjustment of the degrees of freedom of
        their equation 19 where ``alpha < 1``.

    Raises
    ------
    DesignError
        If a number is out of its range.
    """
    from scipy.stats import t

    fine = math.isfinite(statistic) and df > 0 and q > 0 and 0 < alpha <= 1 and inflation > 0
    if not fine or (alpha < 1.0 and df <= 1):
        raise DesignError(
            f"statistic={statistic}, df={df}, q={q}, alpha={alpha}, inflation={inflation} can't be.",
            hint="The statistic is finite, q and inflation are positive, alpha is in (0, 1], df at least 2.",
        )
    f = q * abs(statistic) / math.sqrt(df)
    critical = 0.0 if alpha >= 1.0 else inflation * float(t.isf(alpha / 2, df - 1)) / math.sqrt(df - 1)
    excess = f - critical
    if excess <= 0.0:
        return 0.0
    if critical > 0.0 and f > 1 / critical:  # even one that explains all of the outcome is bounded by the treatment
        return (f**2 - critical**2) / (1 + f**2)
    return root_of(excess)


def root_of(f: float) -> float:
    """Return the R2 at which ``R2 / sqrt(1 - R2)`` is ``f``.

    Parameters
    ----------
    f : float
        Cohen's f, at least zero.
    """
    return 0.5 * (math.sqrt(f**4 + 4 * f**2) - f**2)
