"""Sums of powers of the distance over a window, from sums of blocks of rows: about the cutoff, or about any other place.

Anchored at the cutoff, sums over the rows before each block answer for every window there. For windows that start
elsewhere, blocks (and blocks of blocks) hold sums of powers about their own middle, in units of half their width; the
binomial theorem moves them to where a window starts. It does so without loss of digits for blocks that are narrow next to
their distance from that place; nearer ones are taken in smaller blocks, and the nearest row by row.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Floats, Ints

#: Rows of a block.
BLOCK = 256
#: Blocks that make one of the next level.
FAN = 16
#: A block is moved where half its width is at most this share of its distance.
_NARROW = 0.25
#: A window that many times smaller than the reach of the rows is summed row by row.
_MINUTE = 1e9

_SUMS = {"reassoc", "contract"}


def _pascal(size: int) -> Floats:
    table = np.zeros((size, size))
    table[:, 0] = 1.0
    for row in range(1, size):
        table[row, 1:] = table[row - 1, 1:] + table[row - 1, :-1]
    return table


_CHOOSE = _pascal(40)


# Sums may be formed in any order (reassoc), which lets the processor add several rows at once.
@njit(cache=True, fastmath=_SUMS)  # type: ignore[untyped-decorator]
def _block(
    d: Floats,
    values: Floats,
    squared: bool,
    first: int,
    origin: float,
    unit: float,
    u: Floats,
    power: Floats,
    out: Floats,
) -> None:
    """Write sums over a block of rows; ``u`` and ``power`` are scratch."""
    for i in range(BLOCK):
        u[i] = (d[first + i] - origin) * unit
    if squared:
        for i in range(BLOCK):
            power[i] = values[first + i] * values[first + i]
    elif values.size:
        for i in range(BLOCK):
            power[i] = values[first + i]
    else:
        power[:] = 1.0
    for k in range(out.size):
        total = 0.0
        for i in range(BLOCK):
            total += power[i]
            power[i] *= u[i]
        out[k] = total


@njit(cache=True)  # type: ignore[untyped-decorator]
def prefix_powers(d: Floats, values: Floats, squared: bool, unit: float, first: int, stop: int, out: Floats) -> None:
    """Write sums of ``values * (d * unit) ** k`` over the rows before blocks ``first + 1 .. stop``.

    Sums are formed within blocks first, which keeps rounding near that of pairwise summation. ``values`` is empty where
    all are one; with ``squared`` their squares are summed.
    """
    u, power, sums = np.empty(BLOCK), np.empty(BLOCK), np.empty(out.shape[1])
    for block in range(first, stop):
        _block(d, values, squared, block * BLOCK, 0.0, unit, u, power, sums)
        for k in range(sums.size):
            out[block + 1, k] = out[block, k] + sums[k]


@njit(cache=True, fastmath=_SUMS)  # type: ignore[untyped-decorator]
def _add_rows(
    d: Floats, values: Floats, squared: bool, low: int, high: int, origin: float, unit: float, out: Floats
) -> None:
    """Add sums over a few rows."""
    for i in range(low, high):
        u = (d[i] - origin) * unit
        power = values[i] if values.size else 1.0
        if squared:
            power *= power
        for k in range(out.size):
            out[k] += power
            power *= u


@njit(cache=True)  # type: ignore[untyped-decorator]
def powers_until(
    prefix: Floats, d: Floats, values: Floats, squared: bool, unit: float, rows: int, wanted: float
) -> Floats:
    """Return sums over the first ``rows`` from those that :func:`prefix_powers` stored, in another unit."""
    block, ratio = rows // BLOCK, wanted / unit
    if ratio > _MINUTE:  # the stored powers are too small to hold any digits
        block = 0
    out = np.empty(prefix.shape[1])
    factor = 1.0
    for k in range(out.size):
        out[k] = prefix[block, k] * factor if block else 0.0
        factor *= ratio
    _add_rows(d, values, squared, block * BLOCK, rows, 0.0, wanted, out)
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def rows_powers(d: Floats, values: Floats, squared: bool, unit: float, n_powers: int) -> Floats:
    """Return sums of ``values * (d * unit) ** k`` over all rows."""
    out = np.zeros(n_powers)
    _add_rows(d, values, squared, 0, d.size, 0.0, unit, out)
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def _frame(d: Floats, low: int, high: int) -> tuple[float, float]:
    """Middle and half width of sorted rows."""
    return 0.5 * (d[low] + d[high - 1]), 0.5 * (d[high - 1] - d[low])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _add_moved(held: Floats, shift: float, width: float, scaled: Floats, powers: Floats, out: Floats) -> None:
    """Add sums of ``(shift + width t) ** k``, given those of ``t ** k``; ``scaled`` and ``powers`` are scratch."""
    factor, power = 1.0, 1.0
    for k in range(out.size):
        scaled[k] = held[k] * factor
        powers[k] = power
        factor *= width
        power *= shift
    for k in range(out.size):
        total = 0.0
        for j in range(k + 1):
            total += _CHOOSE[k, j] * powers[k - j] * scaled[j]
        out[k] += total


@njit(cache=True)  # type: ignore[untyped-decorator]
def block_powers(d: Floats, values: Floats, squared: bool, n_powers: int) -> tuple[Floats, Ints]:
    """Return sums of powers of every block about its middle in half widths, level by level.

    Returns
    -------
    nodes : Floats, shape (blocks of all levels, n_powers)
    starts : Ints, shape (levels + 1,)
        Where each level starts.
    """
    counts = [d.size // BLOCK]
    while counts[-1] >= FAN:
        counts.append(counts[-1] // FAN)
    starts = np.zeros(len(counts) + 1, np.int64)
    for level in range(len(counts)):
        starts[level + 1] = starts[level] + counts[level]
    nodes = np.zeros((starts[-1], n_powers))
    u, power = np.empty(BLOCK), np.empty(BLOCK)
    for block in range(counts[0]):
        low = block * BLOCK
        middle, half = _frame(d, low, low + BLOCK)
        _block(d, values, squared, low, middle, 1.0 / half if half > 0.0 else 0.0, u, power, nodes[block])
    scaled, powers = np.empty(n_powers), np.empty(n_powers)
    size = BLOCK
    for level in range(1, len(counts)):
        for at in range(counts[level]):
            low = at * FAN * size
            middle, half = _frame(d, low, low + FAN * size)
            unit = 1.0 / half if half > 0.0 else 0.0
            for child in range(FAN):
                here, width = _frame(d, low + child * size, low + (child + 1) * size)
                held = nodes[starts[level - 1] + at * FAN + child]
                _add_moved(held, (here - middle) * unit, width * unit, scaled, powers, nodes[starts[level] + at])
        size *= FAN
    return nodes, starts


@njit(cache=True)  # type: ignore[untyped-decorator]
def powers_between(
    nodes: Floats,
    starts: Ints,
    d: Floats,
    values: Floats,
    squared: bool,
    low: int,
    high: int,
    origin: float,
    unit: float,
) -> Floats:
    """Return sums of ``values * ((d - origin) * unit) ** k`` over rows ``low .. high - 1``, all on one side of the origin.

    ``nodes`` and ``starts`` are those of :func:`block_powers`; ``unit`` is negative below the origin.
    """
    n_powers = nodes.shape[1]
    out, scaled, powers = np.zeros(n_powers), np.empty(n_powers), np.empty(n_powers)
    row = low
    while row < high:
        level, size, taken = -1, BLOCK, False
        middle = half = 0.0
        while level + 2 < starts.size and row % size == 0 and row + size <= high:
            here, width = _frame(d, row, row + size)
            if width > _NARROW * (abs(here - origin) - width):
                break
            level, middle, half, taken = level + 1, here, width, True
            size *= FAN
        if taken:
            held = nodes[starts[level] + row // (size // FAN)]
            _add_moved(held, (middle - origin) * unit, half * unit, scaled, powers, out)
            row += size // FAN
        else:
            stop = min((row // BLOCK + 1) * BLOCK, high)
            _add_rows(d, values, squared, row, stop, origin, unit, out)
            row = stop
    return out


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def normal_equations(
    ones: Floats, columns: Floats, kernel: Floats, order: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return what weighted least squares of a polynomial needs, from sums of powers.

    Parameters
    ----------
    ones : Floats, shape (2 order + 2 + degree of the kernel or more,)
        Sums of powers.
    columns : Floats, shape (k, order + 1 + degree of the kernel or more)
        Sums of each column times powers.
    kernel : Floats
        Coefficients of the weights as a polynomial.
    order : int

    Returns
    -------
    gram : Floats, shape (order + 1, order + 1)
    crossed : Floats, shape (order + 1, k)
        Sums of weights times powers times columns.
    moments : Floats, shape (2 order + 2,)
        Sums of weights times powers.
    units : Floats, shape (order + 1, order + 1)
        Factors that put ones on the diagonal of ``gram``.
    """
    n, k = order + 1, columns.shape[0]
    moments, crossed = np.zeros(2 * n), np.zeros((n, k))
    for power in range(2 * n):
        for j in range(kernel.size):
            moments[power] += kernel[j] * ones[power + j]
    for power in range(n):
        for column in range(k):
            for j in range(kernel.size):
                crossed[power, column] += kernel[j] * columns[column, power + j]
    gram, units = np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        for j in range(n):
            gram[i, j] = moments[i + j]
            units[i, j] = 1.0 / np.sqrt(moments[2 * i] * moments[2 * j])
    return gram, crossed, moments, units


@njit(cache=True)  # type: ignore[untyped-decorator]
def weigh_squares(a: Floats, b: Floats, sums: Floats) -> float:
    """Return the sum of the product of two polynomials, from sums of powers."""
    total = 0.0
    for i in range(a.size):
        for j in range(b.size):
            total += a[i] * b[j] * sums[i + j]
    return total
