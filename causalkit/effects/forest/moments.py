"""From averages over trees to effects: the local moment equations, solved for all rows at once."""

from __future__ import annotations

import numpy as np

from causalkit.kernels.arrays import Floats

_FLAT = 1e-10


def solve(means: Floats, k: int) -> tuple[Floats, Floats]:
    """Solve the local moment equations of each row.

    Parameters
    ----------
    means : Floats, shape (m, 2 + 2 k + k k + e)
        Averages over trees (see :class:`causalkit.effects.forest.trees.Forest`).
    k : int
        Treatments.

    Returns
    -------
    predicted : Floats, shape (m, k + e)
        Coefficients of the treatments in a weighted regression with a constant, then the means of the extras; NaN
        where the treatments don't vary.
    inverse : Floats, shape (m, k, k)
        Inverse of the local covariance of the treatments, times the mean weight.
    """
    m = len(means)
    weight, y, w, wy = means[:, :1], means[:, 1:2], means[:, 2 : 2 + k], means[:, 2 + k : 2 + 2 * k]
    products, extra = means[:, 2 + 2 * k : 2 + 2 * k + k * k].reshape(m, k, k), means[:, 2 + 2 * k + k * k :]
    center = w / weight
    gram = products - w[:, :, None] * center[:, None, :]
    cross = wy - w * (y / weight)
    if k == 1:
        fine = gram[:, 0, 0] > 1e-300
        inverse = 1.0 / np.where(fine, gram[:, 0, 0], np.nan)[:, None, None]
    else:
        size = np.prod(np.maximum(np.diagonal(gram, axis1=1, axis2=2), 0.0), axis=1)
        fine = (size > 1e-300) & (np.linalg.det(gram) > _FLAT * size)
        inverse = np.linalg.inv(np.where(fine[:, None, None], gram, np.eye(k)))
        inverse[~fine] = np.nan
    effects = (inverse * cross[:, None, :]).sum(axis=2)
    return np.hstack([effects, extra / weight]), inverse


def influences(means: Floats, predicted: Floats, inverse: Floats) -> Floats:
    """Return the influence of a leaf on the predictions of each row, as coefficients of the leaf's means.

    Shape (m, q, d). The influence is the moment of the leaf at the predictions, times the inverse of their derivative;
    both moments, of the treatments and of the constant, are linear in the means of the leaf.
    """
    m, k = inverse.shape[:2]
    q, d = predicted.shape[1], means.shape[1]
    weight, effects = means[:, 0], predicted[:, :k]
    center = means[:, 2 : 2 + k] / weight[:, None]
    level = means[:, 1] / weight - (center * effects).sum(axis=1)
    constant = np.zeros((m, d))  # weight times residual
    constant[:, 0], constant[:, 1], constant[:, 2 : 2 + k] = -level, 1.0, -effects
    moment = -center[:, :, None] * constant[:, None, :]
    for b in range(k):
        moment[:, b, 2 + b] -= level
        moment[:, b, 2 + k + b] += 1.0
        moment[:, b, 2 + 2 * k + b * k : 2 + 2 * k + (b + 1) * k] -= effects
    out = np.zeros((m, q, d))
    out[:, :k] = inverse @ moment
    for a in range(k, q):
        out[:, a, 2 + 2 * k + k * k + a - k] = 1.0 / weight
        out[:, a, 0] = -predicted[:, a] / weight
    return out
