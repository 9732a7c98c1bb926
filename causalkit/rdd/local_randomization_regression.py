"""Large-sample inference in a window: the jump at the cutoff of polynomials on either side, with sandwich errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats

Sandwich = Literal["HC0", "HC1", "HC2", "HC3"]


@dataclass(frozen=True)
class Jump:
    """The jump of an outcome at the cutoff (over that of the treatment received).

    Parameters
    ----------
    estimate, se : float
        The jump and its standard error.
    vcov : str
        The sandwich.
    """

    estimate: float
    se: float
    vcov: str


def jump(
    y: Floats,
    right: Bools,
    x: Floats,
    order: int,
    *,
    weights: Floats | None = None,
    vcov: Sandwich = "HC3",
    received: Floats | None = None,
) -> Jump:
    """Regress the outcome on the side, the powers of x and their products, and return the coefficient of the side.

    Parameters
    ----------
    y : Floats, shape (n,)
        The outcome.
    right : Bools, shape (n,)
        Whether a row is on the right of the cutoff.
    x : Floats, shape (n,)
        The running variable from the cutoff.
    order : int
        The highest power.
    weights : Floats, shape (n,), optional
        Weights; rows without any are left out.
    vcov : {"HC0", "HC1", "HC2", "HC3"}
        The sandwich; leverage is that of the projected regressors where there is a treatment received.
    received : Floats, shape (n,), optional
        The treatment received, for which the side is the instrument (two-stage least squares).

    Raises
    ------
    InferenceUnavailable
        If there are too few rows or distinct values, or the treatment received does not jump.
    """
    w = np.ones(y.size) if weights is None else weights
    use = w > 0.0
    y, right, x, w = y[use], right[use], x[use], w[use]
    side = right.astype(np.float64)
    centre = float(np.mean(y))
    scale = float(np.abs(x).max()) or 1.0
    powers = (x / scale)[:, None] ** np.arange(1, order + 1)
    instruments = np.column_stack([np.ones(y.size), side, powers, side[:, None] * powers])
    root = np.sqrt(w)[:, None]
    means = order == 0 and 0.0 < side.sum() < side.size  # those of two sides always have full rank
    if y.size <= instruments.shape[1] or (
        not means and np.linalg.matrix_rank(instruments * root) < instruments.shape[1]
    ):
        raise InferenceUnavailable(
            f"the window has too few rows ({y.size}) or distinct values for polynomials of order {order}.",
            hint="Widen window=, or lower order=.",
        )
    regressors = projected = instruments
    if received is not None:
        regressors = instruments.copy()
        regressors[:, 1] = received[use]
        projected = instruments @ np.linalg.lstsq(instruments * root, regressors * root, rcond=None)[0]
        if np.linalg.matrix_rank(projected * root) < projected.shape[1]:
            raise InferenceUnavailable(
                "the treatment received does not jump at the cutoff within the window.", hint="Leave treatment= out."
            )
    weighted = projected * root
    bread = np.linalg.inv(weighted.T @ weighted)
    coefficients = bread @ (weighted.T @ (root[:, 0] * (y - centre)))
    residuals = y - centre - regressors @ coefficients
    leverage = ((weighted @ bread) * weighted).sum(axis=1)
    scores = (projected @ bread[:, 1]) * w * residuals * _factor(vcov, leverage, weighted.shape[1])
    return Jump(float(coefficients[1]), float(np.sqrt(scores @ scores)), vcov)


def _factor(vcov: Sandwich, leverage: Floats, k: int) -> Floats:
    n = leverage.size
    if vcov in ("HC0", "HC1"):
        return np.full(n, 1.0 if vcov == "HC0" else np.sqrt(n / (n - k)))
    left = 1.0 - leverage
    if np.any(left <= 1e-10):
        raise InferenceUnavailable(
            f"{vcov} is undefined: a row alone decides a coefficient.", hint='Widen window=, or use vcov="HC1".'
        )
    return np.asarray(left ** (-0.5 if vcov == "HC2" else -1.0))
