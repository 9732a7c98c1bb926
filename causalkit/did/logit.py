"""A small weighted logit by Newton's method on blocks of units, with the sums that comparisons need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Floats

#: Controls whose propensity is above this have no counterpart; they get no weight, as in R's DRDID.
TRIM = 0.995
_STEPS = 40
_CLOSE = 1e-6
_SETTLED = 1e-10
_FAR = 1e-2

#: Blocks of units: design (p, m), weights (m,), and whether they are treated.
Blocks = Iterable[tuple[Floats, Floats, bool]]


class NotEstimable(Exception):
    """A comparison that can't be made from these units; the message says why."""


@dataclass(frozen=True, eq=False)
class Logit:
    """A fitted logit.

    Attributes
    ----------
    coefficients : Floats, shape (p,)
    covariance : Floats, shape (p, p)
        Inverse of the information.
    """

    coefficients: Floats
    covariance: Floats

    def probability(self, x: Floats) -> Floats:
        """Return the propensity of units whose design is ``x``, shape (p, m)."""
        return sigmoid(self.coefficients @ x)

    def odds(self, p: Floats) -> Floats:
        """Return the odds of controls: zero where the propensity is so high that they are left out."""
        return np.where(p < TRIM, p, 0.0) / (1.0 - np.minimum(p, TRIM))


def fit_logit(blocks: list[tuple[Floats, Floats, bool]], start: Floats) -> Logit:
    """Maximise the weighted likelihood of being treated.

    Parameters
    ----------
    blocks : list of (design, weights, treated)
        The units, in blocks that are all treated or all controls.
    start : Floats, shape (p,)
        Where to begin, such as the coefficients of a similar fit.

    Raises
    ------
    NotEstimable
        If covariates tell the treated from the controls without error, or the steps do not settle.
    """
    b = _with_intercept(blocks, start)
    total = sum(float(w.sum()) for _, w, _ in blocks)
    gradient, information, deviance = _evaluated(blocks, b, True)
    for _ in range(_STEPS):
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            break
        size, scale = float(np.abs(step).max()), max(1.0, float(np.abs(b).max()))
        if not np.isfinite(size):
            break
        if size <= _SETTLED * scale:
            return Logit(b, np.asarray(np.linalg.inv(information)))
        far = float(gradient @ step) > _FAR * total
        fresh = _evaluated(blocks, b + step, far)
        while far and fresh[2] > deviance * (1 + 1e-14) and np.abs(step).max() > _CLOSE * scale:
            step = step / 2
            fresh = _evaluated(blocks, b + step, True)
        b, (gradient, information, deviance) = b + step, fresh
    raise NotEstimable("its covariates tell treated units from controls without error")


def sigmoid(values: Floats) -> Floats:
    """Return the logistic function."""
    with np.errstate(over="ignore"):  # then it is zero
        found = np.exp(-values)
    found += 1.0
    return np.asarray(np.reciprocal(found, out=found))


def _with_intercept(blocks: Blocks, start: Floats) -> Floats:
    """Return the start with the intercept at which as many are expected to be treated as are, on average."""
    treated = sum(float(w.sum()) for _, w, is_treated in blocks if is_treated)
    others = sum(float(w.sum()) for _, w, is_treated in blocks if not is_treated)
    if treated <= 0 or others <= 0:
        raise NotEstimable("it has no weight on one of its sides")
    found = start.copy()
    found[0] = np.log(treated / others)
    return found


def _evaluated(blocks: Blocks, b: Floats, with_deviance: bool) -> tuple[Floats, Floats, float]:
    """Return gradient, information and deviance (infinite where it is not asked for)."""
    gradient, information, deviance = np.zeros(len(b)), np.zeros((len(b), len(b))), 0.0
    for x, w, treated in blocks:
        index = b @ x
        p = sigmoid(index)
        rest = w * p
        gradient += x @ (w - rest) if treated else -(x @ rest)
        np.subtract(1.0, p, out=p)
        rest *= p
        information += (x * rest) @ x.T
        if with_deviance:
            deviance += float(w @ np.logaddexp(0.0, -index if treated else index))
    return gradient, information, deviance if with_deviance else np.inf
