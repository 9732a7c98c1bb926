"""Sets of a coefficient on the projective line: candidates for their ends, signs between them, polished ends.

A coefficient b in units of the scores is the direction ``(cos t, -sin t)`` with ``b = tan t``. Infinity is a point like any
other (``t = pi/2``), so a set that is unbounded there needs no special care.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from causalkit.errors import ConvergenceError
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.kernels.arrays import Floats

#: A function of angles, at most zero where the coefficient is in the set.
Excess = Callable[[Floats], Floats]

_DEGREE = 16
_DEEPEST = 40
#: A function that is not smooth anywhere, as with fewer clusters than moments, would be halved for ever.
_MOST_PIECES = 4000
_RESOLVED = 1e-9
_HALF = math.pi / 2
#: Worst excess at an end, relative to what the excess varies by nearby, that counts as solved.
_SOLVED = 1e-7


class CertifiedSet(NamedTuple):
    """A set and how well its ends solve the equation that defines them.

    ``residual`` is the largest absolute excess at a finite end, zero where there is none.
    """

    region: ConfidenceSet
    residual: float


def directions(angles: Floats) -> Floats:
    """Return ``(cos t, -sin t)``, of shape ``(T, 2)``."""
    return np.column_stack([np.cos(angles), -np.sin(angles)])


def set_from_candidates(excess: Excess, candidates: Floats, unit: float) -> CertifiedSet:
    """Build the set from angles among which every change of sign lies (others do no harm).

    Parameters
    ----------
    excess : callable
        At most zero inside the set; of period pi.
    candidates : array of angles
    unit : float
        Value of one unit of ``tan t``.

    Returns
    -------
    CertifiedSet
    """
    nodes = np.unique(np.mod(np.asarray(candidates, float) + _HALF, math.pi) - _HALF)
    if nodes.size == 0:
        nodes = np.array([0.0])
    following = np.append(nodes[1:], nodes[0] + math.pi)
    # Thirds, not halves: both sides of a candidate are probed close to it and far from it.
    gap = following - nodes
    probes = np.sort(np.concatenate([nodes + share * gap for share in (1e-3, 1.0 / 3.0, 2.0 / 3.0, 1.0 - 1e-3)]))
    probes = np.unique(np.concatenate([probes, nodes]))
    inside = excess(probes) <= 0.0
    if inside.all() or not inside.any():
        region = ConfidenceSet.real_line() if inside[0] else ConfidenceSet()
        return CertifiedSet(region, 0.0)
    changes = np.flatnonzero(inside != np.roll(inside, -1))
    ends, entering = [], []
    for at in changes:
        low = probes[at]
        high = probes[at + 1] if at + 1 < probes.size else probes[0] + math.pi
        ends.append(_polished(excess, low, high, bool(inside[at])))
        entering.append(not inside[at])
    residual = float(np.max(np.abs(excess(np.array(ends)))))
    return CertifiedSet(_pieces(ends, entering, unit), residual)


def find_candidates(excess: Excess, breaks: Floats) -> Floats:
    """Return angles near which a smooth excess may change sign, by Chebyshev interpolation on pieces halved until resolved.

    Parameters
    ----------
    excess : callable
        Smooth and of order one.
    breaks : array of angles
        Ends of the first pieces, ascending over one period.

    Returns
    -------
    array of angles

    Raises
    ------
    ConvergenceError
        If a piece that changes sign is not resolved.
    """
    nodes = np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)
    low, high = breaks[:-1], breaks[1:]
    found: list[Floats] = [np.asarray(breaks)]
    for _ in range(_DEEPEST):
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        values = excess((middle[:, None] + half[:, None] * nodes).ravel()).reshape(len(low), -1)
        coefficients = _coefficients(values)
        size = np.abs(coefficients)
        tail = size[:, -4:].sum(axis=1)
        # The constant outweighs all else: values at the nodes alone would miss two crossings between neighbours.
        clear = size[:, 0] - size[:, 1:].sum(axis=1) > 20.0 * tail
        resolved = tail <= _RESOLVED * np.maximum(np.abs(values).max(axis=1), 1e-3)
        crossed = np.flatnonzero(resolved & ~clear)
        found.extend(middle[row] + half[row] * _inner_roots(coefficients[row]) for row in crossed)
        left = ~(clear | resolved)
        if not left.any():
            return np.concatenate(found)
        if np.count_nonzero(left) > _MOST_PIECES:
            break
        low, middle, high = low[left], middle[left], high[left]
        found.append(middle)
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    raise ConvergenceError(
        f"The boundary of the confidence set was not resolved near {len(low)} angles.",
        hint='Use method="ar", whose boundary is a polynomial.',
    )


def require_solved(found: CertifiedSet, scale: float = 1.0) -> ConfidenceSet:
    """Return the set, or raise ConvergenceError where an end does not solve its equation."""
    if not found.residual <= _SOLVED * scale:
        raise ConvergenceError(
            f"An end of the confidence set misses its equation by {found.residual:.2g}.",
            hint="Rescale the outcome or the treatment, or leave out instruments that are almost collinear.",
        )
    return found.region


def _coefficients(values: Floats) -> Floats:
    """Chebyshev coefficients of each row of values at the extreme points."""
    mirrored = np.concatenate([values, values[:, -2:0:-1]], axis=1)
    out = np.fft.rfft(mirrored, axis=1).real / (values.shape[1] - 1)
    out[:, [0, -1]] *= 0.5
    return np.asarray(out)


def _inner_roots(coefficients: Floats) -> Floats:
    kept = np.trim_zeros(np.where(np.abs(coefficients) > 1e-14 * np.abs(coefficients).max(), coefficients, 0.0), "b")
    if kept.size < 2:
        return np.empty(0)
    roots = chebyshev.chebroots(kept)
    real = roots.real[np.abs(roots.imag) < 1e-4]
    return np.asarray(np.clip(real[np.abs(real) <= 1.0 + 1e-6], -1.0, 1.0))


def _polished(excess: Excess, low: float, high: float, inside_low: bool) -> float:
    """Solve for the end between two angles of which one is inside."""
    from scipy.optimize import brentq

    def value(angle: float) -> float:
        found = float(excess(np.array([angle]))[0])
        return found if found != 0.0 else -1e-300  # the end belongs to the set

    a, b = value(low), value(high)
    if (a <= 0) == (b <= 0):  # one of them is the end, to rounding
        return low if abs(a) <= abs(b) else high
    if not (math.isfinite(a) and math.isfinite(b)):
        a_end, b_end = low, high
        for _ in range(200):
            middle = 0.5 * (a_end + b_end)
            if (value(middle) <= 0) == inside_low:
                a_end = middle
            else:
                b_end = middle
        return 0.5 * (a_end + b_end)
    return float(brentq(value, low, high, xtol=1e-300, rtol=8.9e-16, maxiter=200))


def _pieces(ends: list[float], entering: list[bool], unit: float) -> ConfidenceSet:
    """Turn ends in ascending order around the circle into intervals of the line."""
    intervals = []
    for at, start in enumerate(ends):
        if not entering[at]:
            continue
        low, high = start, ends[(at + 1) % len(ends)]
        low, high = (float(np.mod(end + _HALF, math.pi) - _HALF) for end in (low, high))
        if low <= high:
            intervals.append((math.tan(low) * unit, math.tan(high) * unit))
        else:
            intervals += [(math.tan(low) * unit, math.inf), (-math.inf, math.tan(high) * unit)]
    return ConfidenceSet(tuple(intervals))
