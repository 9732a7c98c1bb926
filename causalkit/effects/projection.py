"""Regressions on doubly robust scores: the best linear projection of effects, and the test of a model's calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.rows import Groups, Rows
from causalkit.effects.averages import Clusters
from causalkit.inference.wald import upper_pvalue
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.linear.least_squares import LeastSquares, least_squares

#: Terms of :func:`calibration`.
CALIBRATION_TERMS = ("mean_prediction", "differential_prediction")


@dataclass(frozen=True, eq=False)
class Projection:
    """Coefficients of a regression.

    Parameters
    ----------
    terms : tuple of str
        Kept columns.
    estimate : Estimate
        Coefficients with their HC3 covariance or CR1 influence values.
    dropped : tuple of str
        Collinear columns that were left out.
    """

    terms: tuple[str, ...]
    estimate: Estimate
    dropped: tuple[str, ...]


def best_linear_projection(
    scores: Floats,
    columns: Floats,
    names: tuple[str, ...],
    *,
    weights: Floats | None = None,
    groups: Clusters = None,
    rows: Rows | None = None,
    slope: Floats | None = None,
    vcov: str = "auto",
) -> Projection:
    """Regress scores of an effect on covariates and a constant (Semenova and Chernozhukov 2021).

    Parameters
    ----------
    scores : Floats, shape (n,)
        Doubly robust scores; or, with ``slope``, residual outcomes.
    columns : Floats, shape (n, k)
        Covariates without gaps.
    names : tuple of str
        Their names.
    weights, groups, rows : optional
        Weights, clusters and identity of the rows.
    slope : Floats, shape (n,), optional
        Residual treatment, by which every regressor is multiplied: the residual-on-residual projection of Robinson (1988)
        and Nie and Wager (2021).
    vcov : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"}
        Variance; ``"auto"`` is HC3 without clusters (as R grf) and CR1 with them.

    Returns
    -------
    Projection
        The constant first.
    """
    design = np.column_stack([np.ones(len(scores)), columns])
    if slope is not None:
        design = design * slope[:, None]
    return _regress(scores, design, ("constant", *names), weights, groups, rows, vcov)


def calibration(
    outcome: Floats,
    arms: Codes,
    mean_outcome: Floats,
    chance: Floats,
    predicted: Floats,
    *,
    weights: Floats | None = None,
    groups: Clusters = None,
    rows: Rows | None = None,
) -> Projection:
    """Regress the residual outcome on the mean predicted effect and on each person's deviation from it.

    Both regressors are multiplied by the residual treatment (Chernozhukov, Demirer, Duflo and Fernández-Val 2018; R
    grf's ``test_calibration``). A coefficient of one on the mean says that the average prediction is right; one on the
    deviation says that the differences between people are; a positive one that they are real.

    Parameters
    ----------
    outcome : Floats, shape (n,)
    arms : Codes, shape (n,)
        0 and 1.
    mean_outcome, chance, predicted : Floats, shape (n,)
        E[Y | X], the probability of arm 1, and the predicted effect, none of which has seen the row.
    weights, groups, rows : optional
        Weights, clusters and identity of the rows.

    Returns
    -------
    Projection
        Terms ``mean_prediction`` and ``differential_prediction``; one that is zero throughout is left out.
    """
    share = None if weights is None else weights / weights.sum()
    mean = float(np.mean(predicted)) if share is None else float(share @ predicted)
    treated = arms - chance
    design = np.column_stack([treated * mean, treated * (predicted - mean)])
    return _regress(outcome - mean_outcome, design, CALIBRATION_TERMS, weights, groups, rows)


def one_sided(estimate: Estimate) -> Floats:
    """P-values of coefficients against "zero or less", shape (k,)."""
    return upper_pvalue(estimate.theta / estimate.se, estimate.df)


def _regress(
    y: Floats,
    design: Floats,
    names: tuple[str, ...],
    weights: Floats | None,
    groups: Clusters,
    rows: Rows | None,
    vcov: str = "auto",
) -> Projection:
    ways = () if groups is None else (groups,) if isinstance(groups, Groups) else tuple(groups)
    kind = ("CR1" if ways else "HC3") if vcov == "auto" else vcov
    fit = least_squares(y, design, names=names, weights=weights, groups=[w.codes for w in ways] or None, vcov=kind)
    estimate = Estimate(fit.coefficients, _carrier(fit, kind, ways, rows))
    return Projection(fit.names, estimate, tuple(fit.dropped))


def _carrier(fit: LeastSquares, kind: str, ways: tuple[Groups, ...], rows: Rows | None) -> Covariance | Influence:
    if kind not in ("HC0", "HC1", "CR0", "CR1") or len(ways) > 1:
        return Covariance(read_only(fit.vcov.matrix), fit.df, kind)
    rows = Rows(np.arange(fit.n), "") if rows is None else rows
    return Influence(read_only(fit.psi), rows, ways[0] if ways else None, fit.vcov.scale, fit.df, kind)
