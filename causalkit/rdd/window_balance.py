"""Balance of covariates within a window around the cutoff."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

from causalkit.errors import DesignError
from causalkit.kernels import rd_permutation
from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.rdd.local_randomization_assignments import Assignments
from causalkit.rdd.local_randomization_ranks import AFFORDABLE, rank_sum, smirnov

Statistic = Literal["difference", "ranksum", "ks", "hotelling"]
Inference = Literal["randomization", "large_sample"]
STATISTICS = ("difference", "ranksum", "ks", "hotelling")
INFERENCES = ("randomization", "large_sample")
#: Values that may show that a covariate has too many.
_SEEN = 64


def balance_pvalues(
    covariates: Floats,
    right: Bools,
    statistic: Statistic,
    inference: Inference,
    n_draws: int,
    random_state: int,
    cluster: Codes | None = None,
) -> Floats:
    """P-values of the hypothesis that covariates have one distribution on both sides.

    Parameters
    ----------
    covariates : Floats, shape (n, q)
        Without gaps.
    right : Bools, shape (n,)
        Whether a row is on the right of the cutoff.
    statistic : {"difference", "ranksum", "ks", "hotelling"}
        Difference in means, rank sum, Kolmogorov-Smirnov; or Hotelling's T2 of all covariates at once.
    inference : {"randomization", "large_sample"}
        By assignments that might have been, or by the limit.
    n_draws, random_state : int
        Random assignments, where there are too many to enumerate, and their seed.
    cluster : Codes, optional
        Rows assigned together.

    Returns
    -------
    Floats, shape (q,) or (1,)
        One p-value for each covariate, one for Hotelling's T2.
    """
    if inference == "large_sample":
        return _large_sample(covariates, right, statistic)
    assignments = Assignments.of(right, n_draws, random_state, cluster)
    if statistic in ("ranksum", "ks"):
        if assignments.by_cluster:
            raise DesignError(f"balance_statistic={statistic!r} does not go with cluster=.", hint='Use "difference".')
        test = rank_sum if statistic == "ranksum" else smirnov
        return np.array([test(assignments, column).pvalue for column in covariates.T])
    centred = covariates - covariates[0]
    if statistic == "hotelling" and assignments.by_cluster:
        raise DesignError('balance_statistic="hotelling" does not go with cluster=.', hint='Use "difference".')
    if statistic == "hotelling":
        lengths = _lengths(np.vstack(assignments.differences(centred.T)), centred)
        return np.array([assignments.test(lengths[0], lengths[1:]).pvalue])
    drawn_only = assignments.exact or assignments.by_cluster
    counted = [None if drawn_only else counted_pvalue(assignments, column) for column in covariates.T]
    found = np.array([np.nan if exact is None else exact for exact in counted])
    rest = [at for at, exact in enumerate(counted) if exact is None]
    if rest:
        actual, values = assignments.differences(centred.T[rest])
        for at, one, by_assignment in zip(rest, actual, values.T, strict=True):
            found[at] = assignments.test(float(one), by_assignment).pvalue
    return found


def counted_pvalue(assignments: Assignments, values: Floats) -> float | None:
    """Exact p-value of the difference in means of values on a short grid, such as 0 and 1; None for others."""
    m, k, most = assignments.m, assignments.k, AFFORDABLE / 10.0
    few = len(set(values[:_SEEN].tolist()))
    if 0.5 * m * k * few * (few - 1) > most:  # u values on a grid have places with a sum of u (u - 1) / 2 or more
        return None
    low, step = float(values.min()), float(np.diff(np.unique(values)).min(initial=np.inf))
    if not np.isfinite(step):
        return 1.0
    places = (values - low) / step
    scores = np.rint(places).astype(np.int64)
    if np.abs(places - scores).max() > 1e-9 or float(m) * k * float(scores.sum()) > most:
        return None
    chances = rd_permutation.sum_distribution(scores, k)
    middle, total = k * int(scores.sum()), int(scores[assignments.treated].sum())
    apart = np.abs(np.arange(chances.size) * m - middle) >= abs(total * m - middle)
    return min(1.0, float(chances[apart].sum()))


def _lengths(apart: Floats, covariates: Floats) -> Floats:
    """Lengths of differences in means, in the metric of all rows: they rise with Hotelling's T2 and cost one product."""
    spread = covariates - covariates.mean(axis=0)
    return np.asarray(np.einsum("ij,jk,ik->i", apart, np.linalg.pinv(spread.T @ spread), apart))


def _large_sample(covariates: Floats, right: Bools, statistic: Statistic) -> Floats:
    one, other = covariates[right], covariates[~right]
    if statistic == "ks":
        assignments = Assignments.of(right, 1, 0)
        return np.array([smirnov(assignments, column).pvalue for column in covariates.T])
    if statistic == "ranksum":
        assignments = Assignments.of(right, 1, 0)
        z = np.array([rank_sum(assignments, column).statistic for column in covariates.T])
    elif statistic == "hotelling":
        return _hotelling(one, other)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other)
            z = (one.mean(axis=0) - other.mean(axis=0)) / np.sqrt(variance)
        z = np.where(np.isnan(z), 0.0, z)  # the same value in all rows of both sides
    return np.asarray(2.0 * special.ndtr(-np.abs(z)))


def _hotelling(one: Floats, other: Floats) -> Floats:
    n1, n0, q = len(one), len(other), one.shape[1]
    n = n1 + n0
    if n - q - 1 <= 0:
        raise DesignError(
            f"Hotelling's T2 of {q} covariates needs more than {q + 1} rows in the window, which has {n}.",
            hint="Raise min_obs=, or use another balance_statistic.",
        )
    spread = [part - part.mean(axis=0) for part in (one, other)]
    pooled = sum(part.T @ part for part in spread) / (n - 2)
    apart = one.mean(axis=0) - other.mean(axis=0)
    t2 = n0 * n1 / n * float(apart @ np.linalg.pinv(np.atleast_2d(pooled)) @ apart)
    return np.array([special.fdtrc(q, n - q - 1, (n - q - 1) / ((n - 2) * q) * t2)])
