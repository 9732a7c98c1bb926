"""Regressions on doubly robust scores: the best linear projection of effects, and the test of a model's calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.core.rows import Groups, Rows
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
    groups: Groups | None = None,
    rows: Rows | None = None,
) -> Projection:
    """Regress doubly robust scores of an effect on covariates and a constant (Semenova and Chernozhukov 2021).

    Parameters
    ----------
    scores : Floats, shape (n,)
        Doubly robust scores.
    columns : Floats, shape (n, k)
        Covariates without gaps.
    names : tuple of str
        Their names.
    weights, groups, rows : optional
        Weights, clusters and identity of the rows.

    Returns
    -------
    Projection
        The constant first. HC3 without clusters (as R grf), CR1 with them.
    """
    design = np.column_stack([np.ones(len(scores)), columns])
    return _regress(scores, design, ("constant", *names), weights, groups, rows)


def calibration(
    outcome: Floats,
    arms: Codes,
    mean_outcome: Floats,
    chance: Floats,
    predicted: Floats,
    *,
    weights: Floats | None = None,
    groups: Groups | None = None,
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
    groups: Groups | None,
    rows: Rows | None,
) -> Projection:
    fit = least_squares(
        y,
        design,
        names=names,
        weights=weights,
        groups=None if groups is None else groups.codes,
        vcov="HC3" if groups is None else "CR1",
    )
    return Projection(fit.names, Estimate(fit.coefficients, _carrier(fit, groups, rows)), tuple(fit.dropped))


def _carrier(fit: LeastSquares, groups: Groups | None, rows: Rows | None) -> Covariance | Influence:
    if groups is None:
        return Covariance(read_only(fit.vcov.matrix), fit.df, "HC3")
    rows = Rows(np.arange(fit.n), "") if rows is None else rows
    return Influence(read_only(fit.psi), rows, groups, fit.vcov.scale, fit.df, "CR1")
