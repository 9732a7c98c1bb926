"""Sums over a window of sorted values that a local polynomial fit of the distribution function needs.

Rows come in rising order; the value of the distribution function at a row is a count, taken relative to a row of the
caller's choice, so that no large number is carried along.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats

TRIANGULAR, UNIFORM, EPANECHNIKOV = 0, 1, 2

_BLOCK = 256
_SUMS = {"reassoc", "contract", "nsz", "arcp"}


@njit(inline="always", fastmath=_SUMS, cache=True)  # type: ignore[untyped-decorator]
def _kernel(kind: int, u: float) -> float:
    if kind == 0:
        return 1.0 - abs(u)
    if kind == 1:
        return 0.5
    return 0.75 * (1.0 - u * u)


@njit(fastmath=_SUMS, cache=True)  # type: ignore[untyped-decorator]
def window_moments(
    x: Floats, start: int, stop: int, origin: int, ties: bool, centre: float, h: float, middle: float, half: float,
    kind: int, moments: Floats, products: Floats,
) -> None:  # fmt: skip
    """Add up ``sum K T_k(v)`` and ``sum K F T_k(v)`` over rows ``start`` to ``stop`` of sorted values.

    Parameters
    ----------
    x : Floats, shape (n,)
        Rising.
    start, stop : int
        The rows of the window.
    origin : int
        The row whose count is zero: F at row i is ``i - origin``.
    ties : bool
        Whether F of equal values is that of the last of them.
    centre, h : float
        The kernel is ``K((x - centre) / h) / h``.
    middle, half : float
        The Chebyshev polynomials T_k are those of ``v = (x - middle) / half``.
    kind : int
        ``TRIANGULAR``, ``UNIFORM`` or ``EPANECHNIKOV``.
    moments, products : Floats
        Receive the sums, for k from 0 to their lengths.
    """
    degree, most = moments.size, products.size
    moments[:] = 0.0
    products[:] = 0.0
    v, older, old = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    count = np.empty(_BLOCK)
    group_end = start  # F of the row at hand, where values are tied
    for first in range(start, stop, _BLOCK):
        size = min(_BLOCK, stop - first)
        total, product = 0.0, 0.0
        if ties:
            for i in range(size):
                row = first + i
                if row >= group_end:
                    group_end = row + 1
                    while group_end < x.size and x[group_end] == x[row]:
                        group_end += 1
                count[i] = group_end - 1 - origin
        else:
            for i in range(size):
                count[i] = first + i - origin
        for i in range(size):
            weight = _kernel(kind, (x[first + i] - centre) / h) / h
            v[i] = (x[first + i] - middle) / half
            older[i] = weight  # K T_0
            old[i] = weight * v[i]  # K T_1
            total += weight
            product += weight * count[i]
        moments[0] += total
        products[0] += product
        for k in range(1, degree):
            total, product = 0.0, 0.0
            if k < most:
                for i in range(size):
                    total += old[i]
                    product += old[i] * count[i]
                products[k] += product
            else:
                for i in range(size):
                    total += old[i]
            moments[k] += total
            if k + 1 < degree:
                for i in range(size):
                    new = 2.0 * v[i] * old[i] - older[i]
                    older[i] = old[i]
                    old[i] = new


@njit(inline="always", fastmath=_SUMS, cache=True)  # type: ignore[untyped-decorator]
def _clenshaw(weights: Floats, which: int, v: float) -> float:
    """Value at v of a Chebyshev series."""
    ahead, value = 0.0, 0.0
    for k in range(weights.shape[1] - 1, 0, -1):
        ahead, value = value, 2.0 * v * value - ahead + weights[which, k]
    return v * value - ahead + weights[which, 0]  # type: ignore[no-any-return]


@njit(fastmath=_SUMS, cache=True)  # type: ignore[untyped-decorator]
def suffix_squares(
    x: Floats, start: int, stop: int, ties: bool, centre: float, h: float, middle: float, half: float, kind: int,
    weights: Floats, later: Floats, squares: Floats,
) -> None:  # fmt: skip
    """Add cross-products of ``A_i = sum over j > i of K q(v_j)``, for one or two polynomials q, to ``squares``.

    Parameters
    ----------
    x, start, stop, ties, centre, h, middle, half, kind
        As for :func:`window_moments`. With ``ties`` equal values share the sum of the first of them.
    weights : Floats, shape (m, degree + 1)
        Chebyshev series of the polynomials, m being 1 or 2.
    later : Floats, shape (m,)
        The sums over the rows after the window; on return, over those from ``start`` on.
    squares : Floats, shape (3,)
        Receives ``sum A_1^2``, ``sum A_2^2`` and ``sum A_1 A_2``.
    """
    two = weights.shape[0] == 2
    after, after_2 = later[0], later[1] if two else 0.0
    first_2, a_2 = 0.0, 0.0
    sum_11, sum_22, sum_12 = 0.0, 0.0, 0.0
    value, value_2 = np.empty(_BLOCK), np.empty(_BLOCK)
    last = stop
    while last > start:
        begin = max(last - _BLOCK, start)
        for i in range(last - begin):
            at = x[begin + i]
            weight, v = _kernel(kind, (at - centre) / h) / h, (at - middle) / half
            value[i] = weight * _clenshaw(weights, 0, v)
            value_2[i] = weight * _clenshaw(weights, 1, v) if two else 0.0
        row = last - 1
        while row >= begin:
            a = value[row - begin]
            a_2 = value_2[row - begin]
            same = 1
            if ties:  # a group may reach into the next block
                while row - same >= start and x[row - same] == x[row]:
                    same += 1
            first, first_2 = after + (same - 1) * a, after_2 + (same - 1) * a_2
            sum_11 += same * first * first
            sum_22 += same * first_2 * first_2
            sum_12 += same * first * first_2
            after += same * a
            after_2 += same * a_2
            row -= same
        last = row + 1
    later[0] = after
    if two:
        later[1] = after_2
    squares[0] += sum_11
    squares[1] += sum_22
    squares[2] += sum_12
