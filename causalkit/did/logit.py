"""A small weighted logit by Newton's method, with the covariance that influence values need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.errors import ConvergenceError
from causalkit.kernels.arrays import Floats

_STEPS = 60
_SETTLED = 1e-12


@dataclass(frozen=True, eq=False)
class Logit:
    """A fitted logit.

    Parameters
    ----------
    coefficients : Floats, shape (p,)
    covariance : Floats, shape (p, p)
        Inverse of the information.
    probability : Floats, shape (n,)
    """

    coefficients: Floats
    covariance: Floats
    probability: Floats


def fit_logit(x: Floats, d: Floats, w: Floats, cohort: str, start: Floats | None = None) -> Logit:
    """Maximise the weighted likelihood of ``d`` given ``x``.

    Parameters
    ----------
    x : Floats, shape (n, p)
        With its column of ones.
    d : Floats, shape (n,)
        0 or 1.
    w : Floats, shape (n,)
        Weights.
    cohort : str
        For the error message.
    start : Floats, shape (p,), optional
        Where to begin, such as the coefficients of a similar fit.

    Raises
    ------
    ConvergenceError
        If covariates tell the cohort from its controls without error, or the steps do not settle.
    """
    scale = np.maximum(np.abs(x).max(axis=0), 1e-300)
    z, b = x / scale, np.zeros(x.shape[1]) if start is None else start * scale
    deviance = _deviance(z @ b, d, w)
    for _ in range(_STEPS):
        p = _sigmoid(z @ b)
        information = (z * (w * p * (1 - p))[:, None]).T @ z
        try:
            step = np.linalg.solve(information, z.T @ (w * (d - p)))
        except np.linalg.LinAlgError:
            break
        length = 1.0
        while (fresh := _deviance(z @ (b + length * step), d, w)) > deviance * (1 + 1e-14) and length > 1e-6:
            length /= 2
        b, deviance = b + length * step, fresh
        if np.abs(step).max() <= _SETTLED * max(1.0, float(np.abs(b).max())):
            p = _sigmoid(z @ b)
            information = (z * (w * p * (1 - p))[:, None]).T @ z
            return Logit(b / scale, np.linalg.inv(information) / np.outer(scale, scale), p)
    raise ConvergenceError(
        f"cohort {cohort}: the propensity model has no finite maximum (the covariates separate it from its controls).",
        hint='Use fewer covariates, or method="reg".',
    )


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -700, 700))))


def _deviance(values: Floats, d: Floats, w: Floats) -> float:
    return float(w @ (np.logaddexp(0.0, values) - d * values))
