"""Calibration of out-of-fold probabilities that falls back to the constant where there is nothing to be calibrated.

Isotonic calibration on the rows that a model was trained on makes propensities of a randomised trial look certain, and
ruins whatever divides by them. Here the map has one slope and is learned from out-of-fold predictions of other folds.
"""

from __future__ import annotations

import numpy as np

from causalkit.errors import ConvergenceError
from causalkit.kernels.arrays import Codes, Floats
from causalkit.nuisance.features import take_rows

_MOST_STEPS = 100
#: Twice the log-likelihood that the slope must gain (as in AIC) before it counts.
_PRICE = 2.0
_FLOOR = 1e-9


def calibrate(probabilities: Floats, codes: Codes, folds: Codes, weights: Floats | None = None) -> Floats:
    """Recalibrate out-of-fold probabilities with a map learned on the other folds.

    For the rows of a fold, ``softmax(a + b log p)`` is fitted by maximum likelihood on the out-of-fold probabilities of
    all other folds (Platt scaling, with one slope for all classes; Platt 1999). The slope is then shrunk by
    ``max(0, 1 - 2 / LR)``, LR being its likelihood-ratio statistic, set to zero where it is negative, and the
    intercepts are fitted again. Under no signal LR is about chi-squared(1), so the answer is the share of each class;
    under a strong signal the shrinkage vanishes.

    Parameters
    ----------
    probabilities : Floats, shape (n, k)
        Out-of-fold class probabilities.
    codes : Codes, shape (n,)
        Class of each row.
    folds : Codes, shape (n,)
        Fold of each row.
    weights : Floats, shape (n,), optional
        Weights of the rows.

    Returns
    -------
    Floats, shape (n, k)
        Probabilities; each row sums to one.
    """
    logs = np.log(np.clip(probabilities, _FLOOR, 1.0))
    logs = np.asfortranarray(logs - logs.mean(axis=1, keepdims=True))  # class by class: there are few
    weight = np.ones(len(codes)) if weights is None else weights / weights[weights > 0].mean()
    out = np.empty_like(logs)
    for fold in np.unique(folds):
        rows, held_out = np.flatnonzero(folds != fold), folds == fold
        intercepts, slope = _fit_map(take_rows(logs, rows), codes[rows], weight[rows])
        out[held_out] = softmax(intercepts + slope * logs[held_out])
    return out


def softmax(logits: Floats) -> Floats:
    """Return the exponentials of each row, shape (n, k), divided by their sum."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    total: Floats = raised / raised.sum(axis=1, keepdims=True)
    return total


def _fit_map(logs: Floats, codes: Codes, weight: Floats) -> tuple[Floats, float]:
    """Return intercepts (the first is zero) and the shrunken slope."""
    k = logs.shape[1]
    shares = np.bincount(codes, weights=weight, minlength=k) / weight.sum()
    constant = np.log(np.maximum(shares, _FLOOR))
    constant -= constant[0]
    full, slope = _newton(logs, codes, weight, constant, 0.0, free=True)
    gain = 2.0 * (_likelihood(logs, codes, weight, full, slope) - _likelihood(logs, codes, weight, constant, 0.0))
    if slope <= 0.0 or gain <= _PRICE:
        return constant, 0.0
    slope *= 1.0 - _PRICE / gain
    intercepts, _ = _newton(logs, codes, weight, full, slope, free=False)
    return intercepts, slope


def _likelihood(logs: Floats, codes: Codes, weight: Floats, intercepts: Floats, slope: float) -> float:
    logits = intercepts + slope * logs
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float(weight @ (logits[np.arange(len(codes)), codes] - total))


def _newton(
    logs: Floats, codes: Codes, weight: Floats, intercepts: Floats, slope: float, *, free: bool
) -> tuple[Floats, float]:
    """Maximise the likelihood; a ridge too small to matter (1e-6 a row) keeps perfectly separated classes finite."""
    k = logs.shape[1]
    ridge = 1e-6 * weight.sum()
    theta = np.append(intercepts[1:], slope)
    moving = slice(0, k if free else k - 1)

    def value(point: Floats) -> float:
        gain = _likelihood(logs, codes, weight, np.append(0.0, point[:-1]), point[-1])
        return float(gain - 0.5 * ridge * (point[moving] @ point[moving]))

    current = value(theta)
    for _ in range(_MOST_STEPS):
        gradient, information = _derivatives(logs, codes, weight, theta)
        gradient = gradient[moving] - ridge * theta[moving]
        step = np.linalg.solve(information[moving, moving] + ridge * np.eye(len(gradient)), gradient)
        decrement = float(gradient @ step)
        if decrement < 1e-10:
            return np.append(0.0, theta[:-1]), float(theta[-1])
        length = 1.0
        while length > 1e-10:
            trial = theta.copy()
            trial[moving] += length * step
            reached = value(trial)
            if reached >= current:
                break
            length *= 0.5
        else:
            return np.append(0.0, theta[:-1]), float(theta[-1])  # no step gains: rounding is all that is left
        theta, current = trial, reached
    raise ConvergenceError(
        f"calibration of the propensity did not converge in {_MOST_STEPS} steps (Newton decrement {decrement:.2g}).",
        hint="Use a simpler classifier, or drop covariates that determine the treatment.",
    )


def _derivatives(logs: Floats, codes: Codes, weight: Floats, theta: Floats) -> tuple[Floats, Floats]:
    """Return gradient and information in (intercepts from the second class on, slope)."""
    k = logs.shape[1]
    fitted = softmax(np.append(0.0, theta[:-1]) + theta[-1] * logs)
    weighted = fitted * weight[:, None]
    mean = (fitted * logs).sum(axis=1)
    counts = np.bincount(codes, weights=weight, minlength=k)
    slope_gradient = weight @ (logs[np.arange(len(codes)), codes] - mean)
    gradient = np.append((counts - weighted.sum(axis=0))[1:], slope_gradient)
    information = np.empty((k, k))
    information[:-1, :-1] = (np.diag(weighted.sum(axis=0)) - weighted.T @ fitted)[1:, 1:]
    information[:-1, -1] = information[-1, :-1] = (weighted * (logs - mean[:, None])).sum(axis=0)[1:]
    information[-1, -1] = (weighted * (logs - mean[:, None]) ** 2).sum()
    return gradient, information
