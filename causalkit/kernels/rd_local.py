"""Loops behind local polynomials at a cutoff: nearest-neighbour residuals, and sandwich sums.

One side of the cutoff is an array of distances ``d`` in ascending order. A weight function is a polynomial of the
distance on a window (its first rows), so that everything here is a sum over the first ``m`` rows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Codes, Floats, Ints

_TIE = math.sqrt(2.220446049250313e-16)
_OF_FOUR = math.sqrt(4.0 / 3.0)
#: Rows whose neighbours are sought together.
_ROWS = 512


@njit(cache=True)  # type: ignore[untyped-decorator]
def tie_starts(d: Floats) -> Ints:
    """Return where each group of equal distances starts, and the number of rows at the end."""
    n = d.size
    count = 1 if n else 0
    for i in range(1, n):
        count += d[i] != d[i - 1]
    starts = np.empty(count + 1, np.int64)
    at = 0
    for i in range(n):
        if i == 0 or d[i] != d[i - 1]:
            starts[at] = i
            at += 1
    starts[count] = n
    return starts


@njit(cache=True)  # type: ignore[untyped-decorator]
def neighbour_residuals(
    d: Floats, columns: Floats, starts: Ints, first: int, stop: int, end: int, n_neighbours: int, out: Floats
) -> None:
    """Write nearest-neighbour residuals of the rows of tie groups ``first .. stop - 1`` into ``out``.

    Neighbours are sought among the groups before ``end``, whole groups at a time, both sides at once where they are
    equally far (Abadie and Imbens 2006; Calonico, Cattaneo and Titiunik 2014). With J neighbours the residual is
    ``sqrt((J + 1) / J)`` times the distance from the mean of the row and its neighbours.

    ``out`` has the shape of ``columns``, (k, rows), and starts at the first row of group ``first``.
    """
    k = columns.shape[0]
    cap = min(n_neighbours, starts[end] - 1)
    base = starts[first]
    for group in range(first, stop):
        low, high = group, group
        count = starts[group + 1] - starts[group]
        here = d[starts[group]]
        while count - 1 < cap:
            if low == 0:
                high += 1
                count += starts[high + 1] - starts[high]
            elif high + 1 == end:
                low -= 1
                count += starts[low + 1] - starts[low]
            else:
                down, up = here - d[starts[low - 1]], d[starts[high + 1]] - here
                tolerance = max(down, up) * _TIE
                closer_up, closer_down = down - up > tolerance, up - down > tolerance
                if not closer_down:
                    high += 1
                    count += starts[high + 1] - starts[high]
                if not closer_up:
                    low -= 1
                    count += starts[low + 1] - starts[low]
        factor = math.sqrt(count / (count - 1.0)) if count > 1 else 0.0
        for column in range(k):
            total = 0.0
            for i in range(starts[low], starts[high + 1]):
                total += columns[column, i]
            middle = total / count
            for i in range(starts[group], starts[group + 1]):
                out[column, i - base] = factor * (columns[column, i] - middle)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _nearest_three(d: Floats, i: int) -> tuple[int, int]:
    """Return the first and the last row of the neighbourhood of a row, where no distance repeats."""
    low = high = i
    cap = min(3, d.size - 1)
    while high - low < cap:
        if low == 0:
            high += 1
        elif high + 1 == d.size:
            low -= 1
        else:
            down, up = d[i] - d[low - 1], d[high + 1] - d[i]
            tolerance = max(down, up) * _TIE
            closer_up, closer_down = down - up > tolerance, up - down > tolerance
            if not closer_down:
                high += 1
            if not closer_up:
                low -= 1
    return low, high


@njit(cache=True)  # type: ignore[untyped-decorator]
def _choose_three(d: Floats, columns: Floats, low: int, high: int, out: Floats) -> bool:
    """Write residuals by choosing three of the six rows around each; return whether any two were about equally far."""
    n = high - low  # slices, so that no index can be negative: the processor then takes several rows at once
    here, d1, d2, d3 = d[low:], d[low - 1 :], d[low - 2 :], d[low - 3 :]
    e1, e2, e3 = d[low + 1 :], d[low + 2 :], d[low + 3 :]
    ties = 0
    for i in range(n):
        x = here[i]
        gap = abs((x - d1[i]) - (e3[i] - x)) <= _TIE * (e3[i] - d1[i])
        gap |= abs((x - d2[i]) - (e2[i] - x)) <= _TIE * (e2[i] - d2[i])
        gap |= abs((x - d3[i]) - (e1[i] - x)) <= _TIE * (e1[i] - d3[i])
        ties += 1 if gap else 0
    for column in range(columns.shape[0]):
        y = columns[column]
        own, y1, y2, y3 = y[low:], y[low - 1 :], y[low - 2 :], y[low - 3 :]
        z1, z2, z3, residual = y[low + 1 :], y[low + 2 :], y[low + 3 :], out[column, low:]
        for i in range(n):  # as in merging two sorted lists: if the third below is near enough, so is the second
            x = here[i]
            below, above = y1[i], z3[i]
            total = below if x - d1[i] < e3[i] - x else above
            below, above = y2[i], z2[i]
            total += below if x - d2[i] < e2[i] - x else above
            below, above = y3[i], z1[i]
            total += below if x - d3[i] < e1[i] - x else above
            residual[i] = _OF_FOUR * (0.75 * own[i] - 0.25 * total)
    return ties > 0


@njit(cache=True)  # type: ignore[untyped-decorator]
def distinct_residuals(d: Floats, columns: Floats, first: int, stop: int, out: Floats) -> None:
    """Write what :func:`neighbour_residuals` does with three neighbours for rows ``first .. stop - 1`` of distinct distances.

    All rows are possible neighbours. ``out`` has the shape of ``columns``, (k, n).
    """
    for start in range(first, stop, _ROWS):
        end = min(start + _ROWS, stop)
        low, high = max(start, 3), min(end, d.size - 3)
        tied = high > low and _choose_three(d, columns, low, high, out)
        for i in range(start, end):
            if tied or i < low or i >= high:
                here, there = _nearest_three(d, i)
                count = there - here + 1.0
                factor = math.sqrt(count / (count - 1.0)) if count > 1.0 else 0.0
                for column in range(columns.shape[0]):
                    total = 0.0
                    for j in range(here, there + 1):
                        total += columns[column, j]
                    out[column, i] = factor * (columns[column, i] - total / count)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _polynomial(coefficients: Floats, u: float) -> float:
    value = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        value = value * u + coefficients[k]
    return value


@njit(cache=True)  # type: ignore[untyped-decorator]
def _score_weight(
    d: float, i: int, near: Floats, near_rows: int, near_unit: float, far: Floats, far_rows: int, far_unit: float
) -> float:
    value = 0.0
    if i < near_rows:
        value = _polynomial(near, d * near_unit)
    if i < far_rows:
        value -= _polynomial(far, d * far_unit)
    return value


@njit(cache=True)  # type: ignore[untyped-decorator]
def squared_scores(
    d: Floats,
    weights: Floats,
    residuals: Floats,
    low: int,
    stop: int,
    near: Floats,
    near_rows: int,
    near_h: float,
    far: Floats,
    far_rows: int,
    far_h: float,
) -> float:
    """Return the sum of squared scores of rows ``low .. stop - 1``; ``residuals`` starts at row ``low``.

    The score of a row is its weight times ``near(d / near_h)`` (on the first ``near_rows``) minus ``far(d / far_h)``
    (on the first ``far_rows``) times its residual. ``weights`` is empty where all are one.
    """
    total = 0.0
    near_unit, far_unit = 1.0 / near_h, 1.0 / far_h
    weighted = weights.size > 0
    for i in range(low, stop):
        score = _score_weight(d[i], i, near, near_rows, near_unit, far, far_rows, far_unit) * residuals[i - low]
        if weighted:
            score *= weights[i]
        total += score * score
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def _leverage(inverse: Floats, weight: float, u: float) -> float:
    order = inverse.shape[0]
    value = 0.0
    for j in range(order - 1, -1, -1):
        row = 0.0
        for k in range(order - 1, -1, -1):
            row = row * u + inverse[j, k]
        value = value * u + row
    return weight * value


@njit(cache=True)  # type: ignore[untyped-decorator]
def leverage_scores(
    d: Floats,
    weights: Floats,
    outcome: Floats,
    near: Floats,
    near_rows: int,
    near_h: float,
    far: Floats,
    far_rows: int,
    far_h: float,
    beta: Floats,
    fit_h: float,
    fit_rows: int,
    kernel: Floats,
    inverse: Floats,
    power: int,
) -> float:
    """Return the sum over rows of (score weight times residual) squared over ``(1 - leverage) ** power``.

    Residuals are ``outcome - beta(d / fit_h)``; the leverage is that of the regression with these weights on its
    ``fit_rows``, zero beyond. ``power`` is 0 (HC0, HC1), 1 (HC2) or 2 (HC3).
    """
    total = 0.0
    near_unit, far_unit = 1.0 / near_h, 1.0 / far_h
    fit_unit = 1.0 / fit_h
    weighted = weights.size > 0
    for i in range(outcome.size):
        u = d[i] * fit_unit
        weight = weights[i] if weighted else 1.0
        score = weight * _score_weight(d[i], i, near, near_rows, near_unit, far, far_rows, far_unit)
        score *= outcome[i] - _polynomial(beta, u)
        square = score * score
        if power > 0 and i < fit_rows:
            room = max(1.0 - _leverage(inverse, weight * _polynomial(kernel, u), u), 1e-8)
            square /= room if power == 1 else room * room
        total += square
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def cluster_scores(
    d: Floats,
    weights: Floats,
    outcome: Floats,
    codes: Codes,
    n_clusters: int,
    near: Floats,
    near_rows: int,
    near_h: float,
    far: Floats,
    far_rows: int,
    far_h: float,
    beta: Floats,
    fit_h: float,
    fit_rows: int,
    kernel: Floats,
    root: Floats,
) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Return what a clustered variance needs, by cluster.

    ``root`` turns powers of the regression into a basis that is about orthonormal in it: its inverse Gram matrix is
    ``root @ root.T``. It is empty where leverages are not wanted, and the last three arrays then are too.

    Returns
    -------
    sizes : array, shape (clusters,)
        Rows of each cluster in the window.
    scores : array, shape (clusters,)
        Sum of score weights times residuals.
    crossed : array, shape (clusters, k)
        Sum of score weights times the basis.
    grams : array, shape (clusters, k, k)
        The cluster's part of the Gram matrix of the basis.
    moments : array, shape (clusters, k)
        Sum of regression weights times the basis times residuals.
    """
    k = root.shape[0]
    sizes = np.zeros(n_clusters, np.int64)
    scores = np.zeros(n_clusters)
    crossed, moments = np.zeros((n_clusters, k)), np.zeros((n_clusters, k))
    grams = np.zeros((n_clusters, k, k))
    basis = np.empty(k)
    near_unit, far_unit = 1.0 / near_h, 1.0 / far_h
    fit_unit = 1.0 / fit_h
    weighted = weights.size > 0
    for i in range(outcome.size):
        u = d[i] * fit_unit
        weight = weights[i] if weighted else 1.0
        at = codes[i]
        score = weight * _score_weight(d[i], i, near, near_rows, near_unit, far, far_rows, far_unit)
        residual = outcome[i] - _polynomial(beta, u)
        sizes[at] += 1
        scores[at] += score * residual
        for j in range(k):
            basis[j] = _polynomial(root[:, j], u)
            crossed[at, j] += score * basis[j]
        if k and i < fit_rows:
            weight *= _polynomial(kernel, u)
            for j in range(k):
                moments[at, j] += weight * basis[j] * residual
                for m in range(k):
                    grams[at, j, m] += weight * basis[j] * basis[m]
    return sizes, scores, crossed, grams, moments
