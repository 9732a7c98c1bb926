"""Extreme rays of a cone of non-negative vectors that solve linear equations (double description)."""

from __future__ import annotations

import numpy as np

from causalkit.kernels.arrays import Bools, Floats

_ZERO = 1e-10
_BLOCK = 2_000_000


def extreme_rays(equations: Floats, most: int) -> Floats | None:
    """Return the extreme rays of ``{g >= 0 : equations @ g = 0}``, or None where there are more than ``most``.

    Parameters
    ----------
    equations : (k, m) array
    most : int
        Rays that may be kept at any stage.

    Returns
    -------
    (r, m) array or None
        One ray a row, its largest entry one.

    Notes
    -----
    Motzkin's double description: from the rays of the orthant, each equation keeps the rays that solve it and joins
    adjacent rays on its two sides. Two rays are adjacent where no third one lives on the union of their supports
    (Fukuda and Prodon 1996).
    """
    rays = np.eye(equations.shape[1])
    for done, equation in enumerate(equations):
        side = rays @ equation
        side[np.abs(side) <= _ZERO * max(float(np.abs(equation).max()), 1e-300)] = 0.0
        above, below = np.flatnonzero(side > 0), np.flatnonzero(side < 0)
        pairs = _adjacent(rays > 0, above, below, done + 2)
        if len(pairs) + np.count_nonzero(side == 0) > most:
            return None
        joined = side[pairs[:, 0], None] * rays[pairs[:, 1]] - side[pairs[:, 1], None] * rays[pairs[:, 0]]
        joined[joined <= _ZERO * joined.max(axis=1, keepdims=True, initial=0.0)] = 0.0
        rays = np.vstack([rays[side == 0], joined / joined.max(axis=1, keepdims=True, initial=1e-300)])
    return rays


def _adjacent(support: Bools, above: np.ndarray, below: np.ndarray, widest: int) -> np.ndarray:
    """Return the pairs (one of each side) that no third ray stands between."""
    found = [np.empty((0, 2), dtype=np.intp)]
    counted = support.astype(np.float32)
    step = max(1, _BLOCK // max(1, len(below) * len(support)))
    for first in range(0, len(above), step):
        one, two = (part.ravel() for part in np.meshgrid(above[first : first + step], below, indexing="ij"))
        union = support[one] | support[two]
        narrow = np.count_nonzero(union, axis=1) <= widest
        one, two, union = one[narrow], two[narrow], union[narrow]
        outside = counted @ (~union).T.astype(np.float32)
        alone = np.count_nonzero(outside == 0.0, axis=0) == 2
        found.append(np.column_stack([one[alone], two[alone]]))
    return np.vstack(found)
