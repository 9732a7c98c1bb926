"""How good a nuisance is, measured out of fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Bools, Codes, Floats


@dataclass(frozen=True)
class Quality:
    """Out-of-fold quality of the nuisances; zero is no better than a constant.

    Parameters
    ----------
    metric : {"r2", "log_loss"}
        How the outcome models were judged: the share of variance explained, or the share of the log-loss of the
        constant that is saved.
    outcome_skill : tuple of float
        One value per arm, on the rows of that arm.
    propensity_auc : float or None
        How well the propensity tells the arms apart; None for known propensities.
    propensity_skill : float or None
        Share of the log-loss of the constant that the propensity saves; None for known propensities.
    """

    metric: str
    outcome_skill: tuple[float, ...]
    propensity_auc: float | None
    propensity_skill: float | None


def r_squared(outcome: Floats, predicted: Floats, weights: Floats | None = None) -> float:
    """Return 1 - (weighted squared error) / (weighted variance); 0 for a constant outcome."""
    near = outcome - outcome[0]
    spread = near - np.average(near, weights=weights)
    total = float(np.average(spread**2, weights=weights))
    return 1.0 - float(np.average((outcome - predicted) ** 2, weights=weights)) / total if total > 0 else 0.0


def log_loss_skill(codes: Codes, probabilities: Floats, weights: Floats | None = None) -> float:
    """Return 1 - (log-loss) / (log-loss of the shares), for probabilities of shape (n, k); 0 for a single class."""
    k = probabilities.shape[1]
    weight = np.ones(len(codes)) if weights is None else weights
    shares = np.bincount(codes, weights=weight, minlength=k) / weight.sum()
    there = shares > 0
    constant = -float(shares[there] @ np.log(shares[there]))
    own = np.clip(probabilities[np.arange(len(codes)), codes], 1e-15, 1.0)
    return 1.0 - -float(np.average(np.log(own), weights=weight)) / constant if constant > 0 else 0.0


def area_under_curve(score: Floats, positive: Bools) -> float:
    """Return the probability that a positive row has the higher score, ties counting half; NaN without both classes."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - 0.5 * (counts - 1))[inverse]
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def discrimination(probabilities: Floats, codes: Codes, folds: Codes) -> float:
    """Return the area under the curve, averaged over folds (by rows), and over classes where there are more than two.

    Within a fold all predictions come from one model; pooled over folds, the fold's own share would enter with the
    wrong sign.
    """
    classes = (1,) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    values, sizes = [], []
    for fold in np.unique(folds):
        rows = folds == fold
        for k in classes:
            area = area_under_curve(probabilities[rows, k], codes[rows] == k)
            if not np.isnan(area):
                values.append(area)
                sizes.append(int(rows.sum()))
    return float(np.average(values, weights=sizes)) if values else 0.5
