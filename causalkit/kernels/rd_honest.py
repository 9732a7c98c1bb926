"""Nearest-neighbour residuals along a sorted running variable, ties taken as whole groups."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats, Ints


def neighbour_residuals(x: Floats, y: Floats, weights: Floats, n_neighbors: int) -> Floats:
    """Return each row's deviation from its nearest neighbours, scaled so that its square estimates a variance.

    Parameters
    ----------
    x : array, shape (n,)
        Sorted.
    y : array, shape (n, m)
    weights : array, shape (n,)
        Positive; the number of observations that a row stands for.
    n_neighbors : int
        All rows as close as the ``n_neighbors``-th nearest count, so ties enter together; fewer where there are fewer.

    Returns
    -------
    array, shape (n, m)
        ``sqrt(J / (J + w)) (y - mean of neighbours)``, where J is the weight of the neighbours (Abadie and Imbens 2006).
        Zero where a row has no neighbour.
    """
    n = x.size
    residuals = np.zeros_like(y)
    if n < 2:
        return residuals
    change = np.flatnonzero(np.diff(x) != 0.0) + 1
    starts = np.concatenate(([0], change)).astype(np.int64)
    ends = np.concatenate((change, [n])).astype(np.int64)
    group = np.repeat(np.arange(starts.size), ends - starts)
    count = np.concatenate(([0.0], np.cumsum(weights)))
    centred = y - y.mean(axis=0)
    sums = np.vstack((np.zeros((1, y.shape[1])), np.cumsum(weights[:, None] * centred, axis=0)))
    reach = min(n_neighbors, n - 1)
    _neighbour_residuals(x, centred, weights, reach, starts, ends, group, count, sums, residuals)
    return residuals


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _neighbour_residuals(
    x: Floats,
    y: Floats,
    weights: Floats,
    reach: int,
    starts: Ints,
    ends: Ints,
    group: Ints,
    count: Floats,
    sums: Floats,
    residuals: Floats,
) -> None:
    n, m = y.shape
    slack = 1.0 + 1.4901161193847656e-08  # equal distances differ by rounding
    for k in range(n):
        left, right, distance = k, k, 0.0
        for _ in range(reach):
            below = x[k] - x[left - 1] if left > 0 else np.inf
            above = x[right + 1] - x[k] if right < n - 1 else np.inf
            if below <= above:
                left, distance = left - 1, below
            else:
                right, distance = right + 1, above
        distance *= slack
        low, high = starts[group[left]], ends[group[right]]
        while low > 0 and x[k] - x[low - 1] <= distance:
            low = starts[group[low - 1]]
        while high < n and x[high] - x[k] <= distance:
            high = ends[group[high]]
        total = count[high] - count[low] - weights[k]
        scale = np.sqrt(total / (total + weights[k]))
        for j in range(m):
            near = (sums[high, j] - sums[low, j] - weights[k] * y[k, j]) / total
            residuals[k, j] = scale * (y[k, j] - near)
