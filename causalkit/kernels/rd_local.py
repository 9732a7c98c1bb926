"""Loops behind local polynomials at a cutoff: power sums, nearest-neighbour residuals, and sandwich sums.

One side of the cutoff is an array of distances ``d`` in ascending order. A weight function is a polynomial of the
distance on a window (its first rows), so that everything here is a sum over the first ``m`` rows.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Codes, Floats, Ints

#: Rows between two stored prefix sums.
BLOCK = 256

_TIE = math.sqrt(2.220446049250313e-16)
_OF_FOUR = math.sqrt(4.0 / 3.0)


# Sums may be formed in any order (reassoc), which lets the processor add several rows at once.
@njit(cache=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def prefix_powers(d: Floats, values: Floats, squared: bool, inverse_scale: float, n_powers: int) -> Floats:
    """Return sums of ``values * (d * inverse_scale) ** k`` over the rows before each block, shape (blocks + 1, powers).

    Sums are formed within blocks first, which keeps rounding near that of pairwise summation. ``values`` is empty where
    all are one; with ``squared`` their squares are summed.
    """
    n_blocks = d.size // BLOCK
    out = np.zeros((n_blocks + 1, n_powers))
    u, power = np.empty(BLOCK), np.ones(BLOCK)
    for block in range(n_blocks):
        first = block * BLOCK
        for i in range(BLOCK):
            u[i] = d[first + i] * inverse_scale
        if squared:
            for i in range(BLOCK):
                power[i] = values[first + i] * values[first + i]
        elif values.size:
            for i in range(BLOCK):
                power[i] = values[first + i]
        else:
            power[:] = 1.0
        for k in range(n_powers):
            total = 0.0
            for i in range(BLOCK):
                total += power[i]
                power[i] *= u[i]
            out[block + 1, k] = out[block, k] + total
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def powers_until(prefix: Floats, d: Floats, values: Floats, squared: bool, inverse_scale: float, m: int) -> Floats:
    """Return what :func:`prefix_powers` sums over the first ``m`` rows, from the stored prefix sums."""
    n_powers = prefix.shape[1]
    block = m // BLOCK
    held = np.zeros(n_powers)
    for i in range(block * BLOCK, m):
        u = d[i] * inverse_scale
        power = values[i] if values.size else 1.0
        if squared:
            power *= power
        for k in range(n_powers):
            held[k] += power
            power *= u
    for k in range(n_powers):
        held[k] += prefix[block, k]
    return held


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
        at = starts[group]
        if n_neighbours == 3 and group >= 3 and group + 4 <= end and starts[group + 4] - starts[group - 3] == 7:
            # No value repeats here. Of the three nearest, L lie below, as in merging two sorted lists.
            one, two, three = d[at] - d[at - 1], d[at] - d[at - 2], d[at] - d[at - 3]
            up_one, up_two, up_three = d[at + 1] - d[at], d[at + 2] - d[at], d[at + 3] - d[at]
            tied = (
                abs(one - up_three) <= _TIE * max(one, up_three)
                or abs(two - up_two) <= _TIE * max(two, up_two)
                or abs(three - up_one) <= _TIE * max(three, up_one)
            )
            if not tied:
                below = (one < up_three) + (two < up_two) + (three < up_one)
                for column in range(k):
                    total = 0.0
                    for i in range(at - below, at - below + 4):
                        total += columns[column, i]
                    out[column, at - base] = _OF_FOUR * (columns[column, at] - 0.25 * total)
                continue
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
    leverage: bool,
) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Return what a clustered variance needs, by cluster.

    Returns
    -------
    sizes : array, shape (clusters,)
        Rows of each cluster in the window.
    scores : array, shape (clusters,)
        Sum of score weights times residuals.
    crossed : array, shape (clusters, k)
        Sum of score weights times the powers of the regression (where ``leverage``).
    grams : array, shape (clusters, 2k - 1)
        Power sums of the cluster's part of the Gram matrix.
    moments : array, shape (clusters, k)
        Sum of regression weights times powers times residuals.
    """
    k = beta.size if leverage else 0
    sizes = np.zeros(n_clusters, np.int64)
    scores = np.zeros(n_clusters)
    crossed, moments = np.zeros((n_clusters, k)), np.zeros((n_clusters, k))
    grams = np.zeros((n_clusters, max(2 * k - 1, 0)))
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
        if leverage:
            power = score
            for j in range(k):
                crossed[at, j] += power
                power *= u
            if i < fit_rows:
                power = weight * _polynomial(kernel, u)
                for j in range(2 * k - 1):
                    grams[at, j] += power
                    if j < k:
                        moments[at, j] += power * residual
                    power *= u
    return sizes, scores, crossed, grams, moments
