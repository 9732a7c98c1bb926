"""P-values adjusted for the number of hypotheses."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats

Adjustment = Literal["holm", "bonferroni", "bh", "by"]


def adjust_pvalues(pvalues: ArrayLike, method: Adjustment = "holm") -> Floats:
    """Adjust p-values for multiple testing.

    Parameters
    ----------
    pvalues : (k,) array
        NaN entries stay NaN and are not counted as hypotheses.
    method : {"holm", "bonferroni", "bh", "by"}
        Family-wise error: Holm (1979), Bonferroni. False discovery rate: Benjamini and Hochberg (1995), and
        Benjamini and Yekutieli (2001), which holds under any dependence.

    Returns
    -------
    (k,) array, at most one. Reject where it is at most the level.

    Raises
    ------
    DataError
        If a p-value lies outside [0, 1].
    DesignError
        If the method is unknown.

    Examples
    --------
    >>> import causalkit as ck
    >>> ck.inference.adjust_pvalues([0.01, 0.04, 0.03], method="holm").round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    pvalues = np.asarray(pvalues, dtype=np.float64)
    present = ~np.isnan(pvalues)
    p = pvalues[present]
    bad = np.flatnonzero((pvalues < 0) | (pvalues > 1))
    if bad.size:
        raise DataError(f"{bad.size} p-values lie outside [0, 1], the first at position {bad[0]}.", rows=bad.tolist())
    adjusted = np.full(pvalues.shape, np.nan)
    adjusted[present] = np.minimum(_adjust(p, method), 1.0)
    return adjusted


def _adjust(p: Floats, method: str) -> Floats:
    m = p.size
    if method == "bonferroni":
        return p * m
    order = np.argsort(p, kind="stable")
    rank = np.arange(1, m + 1)
    if method == "holm":
        climbing = np.maximum.accumulate(p[order] * (m - rank + 1))
    elif method in ("bh", "by"):
        penalty = float(np.sum(1.0 / rank)) if method == "by" else 1.0
        climbing = np.minimum.accumulate((p[order] * (m * penalty / rank))[::-1])[::-1]
    else:
        raise DesignError(f"Unknown adjustment {method!r}.", hint="Use 'holm', 'bonferroni', 'bh' or 'by'.")
    adjusted = np.empty(m)
    adjusted[order] = climbing
    return adjusted


def romano_wolf(statistics: Floats, draws: Floats) -> Floats:
    """Stepdown adjusted p-values from joint draws under the null (Romano and Wolf 2005, 2016).

    Parameters
    ----------
    statistics : (k,) array
        Studentised statistics; their absolute values are used. NaN entries stay NaN and do not enter.
    draws : (B, k) array
        Resampled statistics, centred on zero, on the same scale, drawn jointly.

    Returns
    -------
    (k,) array
        ``(1 + #{max of the remaining draws >= statistic}) / (1 + B)``, made monotone from the largest statistic down.

    Raises
    ------
    DataError
        If the shapes do not match, there are no draws, or one is NaN.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> psi = np.random.default_rng(0).normal(size=(400, 2)) / 400  # influence values of two estimates
    >>> se = np.sqrt((psi**2).sum(axis=0))
    >>> draws = ck.inference.multiplier_bootstrap(psi, n_boot=999, random_state=0) / se
    >>> ck.inference.romano_wolf(np.array([4.0, 0.5]), draws).round(3).tolist()
    [0.001, 0.609]
    """
    statistics, draws = np.abs(np.asarray(statistics, float)), np.abs(np.asarray(draws, float))
    if draws.ndim != 2 or draws.shape[1:] != statistics.shape:
        raise DataError(f"Draws of shape {draws.shape} do not go with {statistics.size} statistics.")
    if len(draws) == 0:
        raise DataError(
            "There are no draws to adjust by.", hint="Draw some, as by multiplier_bootstrap(psi, n_boot=999)."
        )
    present = np.flatnonzero(~np.isnan(statistics))
    if np.isnan(draws[:, present]).any():
        raise DataError("Some draws are NaN.", hint="Drop failed draws before adjusting.")
    order = present[np.argsort(-statistics[present], kind="stable")]
    remaining = np.maximum.accumulate(draws[:, order][:, ::-1], axis=1)[:, ::-1]
    exceed = np.count_nonzero(remaining >= statistics[order] * (1.0 - 1e-12), axis=0)
    adjusted = np.full(statistics.shape, np.nan)
    adjusted[order] = np.maximum.accumulate((1.0 + exceed) / (1.0 + draws.shape[0]))
    return adjusted
