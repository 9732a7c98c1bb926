"""Are the arms alike before the treatment? Standardised differences of covariates, and one joint test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from causalkit.core.features import Features
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.inference.vcov import sandwich
from causalkit.inference.wald import wald_test
from causalkit.kernels.arrays import Codes, Floats


@dataclass(frozen=True, eq=False)
class Balance:
    """Differences of covariates between arms.

    Parameters
    ----------
    names : tuple of str
        Covariates, indicators of categories and of missing values; followed by the arm where there are several.
    difference, adjusted : Floats, shape (m,)
        Mean in the arm minus mean in the control, over the pooled standard deviation: as observed, and with inverse
        propensity weights.
    statistic, pvalue : float or None
        Joint test that all means are equal (Hotelling's T^2 as an F ratio); None where there are too few rows or clusters
        for the number of covariates.
    df : tuple of float or None
        Its degrees of freedom.
    """

    names: tuple[str, ...]
    difference: Floats
    adjusted: Floats
    statistic: float | None
    pvalue: float | None
    df: tuple[float, float] | None

    def to_table(self) -> Table:
        """Return the differences, the largest first."""
        order = np.argsort(-np.abs(self.difference), kind="stable")
        rows = [(self.names[j], float(self.difference[j]), float(self.adjusted[j])) for j in order]
        return Table.of(("covariate", "difference", "after weighting"), rows)


def assess_balance(
    features: Features,
    arms: Codes,
    labels: tuple[str, ...],
    e: Floats,
    weights: Floats | None = None,
    groups: Groups | None = None,
) -> Balance:
    """Compare each arm with arm 0.

    Parameters
    ----------
    features : Features
        Covariates, (n, p).
    arms : Codes, shape (n,)
        Arm of each row.
    labels : tuple of str
        Names of the arms.
    e : Floats, shape (n, n_arms)
        Probability of each arm.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    groups : Groups, optional
        Clusters.

    Returns
    -------
    Balance

    Notes
    -----
    If the arms were drawn at random the covariates have one covariance in all of them, so it is pooled: an arm of few rows
    can't estimate one of its own. With ``m`` independent differences and ``f = n - n_arms`` degrees of freedom, the Wald
    statistic ``T2`` is referred to ``T2 (f - m + 1) / (f m) ~ F(m, f - m + 1)``, which is exact for two arms, independent
    rows and normal covariates (Hotelling 1931).

    Rows of a cluster count as one as far as they share their arm. With ``r`` the correlation of the arms of two rows of a
    cluster (1 where clusters were randomised, 0 where rows were), the covariance within clusters enters with weight r, and
    n becomes ``n / (1 + r (n / G - 1))``: the number G of clusters where r is 1.
    """
    x, names = _columns(features)
    own = np.ones(len(arms)) if weights is None else weights
    parts = [_differences(x, arms, arm, own, e) for arm in range(1, len(labels))]
    gap = np.concatenate([part[0] for part in parts])
    spread = np.concatenate([part[2] for part in parts])
    named = names if len(labels) == 2 else tuple(f"{name} ({label})" for label in labels[1:] for name in names)
    vcov, units = _pooled(x, arms, len(labels), own, groups)
    free = units - len(labels)
    found = _joint(gap, vcov * units / free, free) if free > 0 else (None, None, None)
    adjusted = np.concatenate([part[1] for part in parts])
    safe = np.where(spread > 0, spread, 1.0)
    return Balance(named, gap / safe, adjusted / safe, *found)


def _columns(features: Features) -> tuple[Floats, tuple[str, ...]]:
    """Numbers and indicators with gaps at the mean, an indicator per column with gaps; constant columns left out."""
    x, names = features.dummies()  # a missing category is none of the categories
    gaps = np.isnan(features.values)
    holed = np.flatnonzero(gaps.any(axis=0))
    known = ~np.isnan(x)
    first = x[np.argmax(known, axis=0), np.arange(x.shape[1])]
    near = np.where(known, x - first, 0.0)
    centred = np.where(known, near, near.sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    columns = np.column_stack([centred, gaps[:, holed].astype(float)])
    titles = (*names, *(f"{features.names[j]} missing" for j in holed))
    varies = np.flatnonzero(np.ptp(columns, axis=0) > 0)
    return columns[:, varies], tuple(titles[j] for j in varies)


def _differences(x: Floats, arms: Codes, arm: int, weights: Floats, e: Floats) -> tuple[Floats, Floats, Floats]:
    """Raw and weighted difference in means, and the pooled standard deviation."""
    means, adjusted, variances = [], [], []
    for code in (arm, 0):
        here = weights * (arms == code)
        here = here / here.sum()
        mean = here @ x
        means.append(mean)
        variances.append(here @ (x - mean) ** 2)
        tilted = here / e[:, code]
        adjusted.append(tilted @ x / tilted.sum())
    return means[0] - means[1], adjusted[0] - adjusted[1], np.sqrt((variances[0] + variances[1]) / 2)


def _pooled(x: Floats, arms: Codes, n_arms: int, weights: Floats, groups: Groups | None) -> tuple[Floats, float]:
    """Covariance of all differences if the arms were drawn at random (no small-sample factor), and the units it rests on."""
    n = len(x)
    inside = (arms[:, None] == np.arange(n_arms)).astype(float)
    mass = weights @ inside
    contrast = inside[:, 1:] / mass[1:] - inside[:, :1] / mass[0]
    means = (weights[:, None] * inside / mass).T @ x
    residual = weights[:, None] * (x - means[arms])
    of_arms, of_rows = contrast.T @ contrast / n, residual.T @ residual
    if groups is None:
        return np.kron(of_arms, of_rows), float(n)
    size = np.bincount(groups.codes)
    pairs = float(size @ (size - 1))
    together = sum(float((np.bincount(groups.codes, column) ** 2).sum()) for column in contrast.T)
    alone = float(np.trace(of_arms))
    alike = float(np.clip((together - n * alone) / pairs / alone, 0.0, 1.0)) if pairs else 0.0
    covariance = np.kron(of_arms, (1.0 - alike) * of_rows + alike * sandwich(residual, groups.codes))
    return covariance, n / (1.0 + alike * (n / groups.count - 1.0))


def _joint(gap: Floats, vcov: Floats, free: float) -> tuple[float | None, float | None, tuple[float, float] | None]:
    moves = np.flatnonzero(np.diag(vcov) > 0)
    if not moves.size:
        return None, None, None
    wald = wald_test(gap[moves], vcov[np.ix_(moves, moves)])
    rank, rest = wald.df1, free - wald.df1 + 1
    if rest < 1.5:  # a covariance of as many clusters as it has directions may have lost some
        return None, None, None
    statistic = wald.statistic * rest / (free * rank)
    return float(statistic), float(special.fdtrc(rank, rest, statistic)), (float(rank), float(rest))
