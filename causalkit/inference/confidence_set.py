"""Confidence sets that may be empty, disconnected or unbounded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from causalkit.errors import DataError

Interval = tuple[float, float]


@dataclass(frozen=True)
class ConfidenceSet:
    """A finite union of closed intervals of the real line.

    Parameters
    ----------
    intervals : iterable of (low, high)
        In any order, overlapping or touching or not; ends may be infinite. They are sorted and merged.

    Raises
    ------
    DataError
        If an end is NaN, or an interval has ``low > high``, or lies at infinity.

    Notes
    -----
    All sets are closed: :meth:`complement` returns the closure of the complement.
    """

    intervals: tuple[Interval, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "intervals", _merge(self.intervals))

    @classmethod
    def real_line(cls) -> ConfidenceSet:
        """Return the set that rules out nothing."""
        return cls(((-math.inf, math.inf),))

    @classmethod
    def from_quadratic(cls, a: float, b: float, c: float) -> ConfidenceSet:
        """Return ``{x : a x^2 + b x + c <= 0}``: an interval, two rays, one ray, a point, the line, or nothing.

        The sign of the discriminant is found in exact arithmetic, so the kind of set is always right.

        Raises
        ------
        DataError
            If a coefficient is not finite.
        """
        if not all(map(math.isfinite, (a, b, c))):
            raise DataError(f"The quadratic has coefficients {a}, {b}, {c}; all must be finite.")
        a, b, c = _scaled(float(a), float(b), float(c))
        if a == 0.0:
            return _linear(b, c)
        discriminant = Fraction(b) ** 2 - 4 * Fraction(a) * Fraction(c)
        if discriminant < 0 or (discriminant == 0 and a < 0):
            return cls() if a > 0 else cls.real_line()
        low, high = _roots(a, b, c, float(discriminant))
        return cls(((low, high),)) if a > 0 else cls(((-math.inf, low), (high, math.inf)))

    @property
    def is_empty(self) -> bool:
        """Whether no value is in the set."""
        return not self.intervals

    @property
    def is_bounded(self) -> bool:
        """Whether both ends are finite (an empty set is bounded)."""
        return self.is_empty or (math.isfinite(self.intervals[0][0]) and math.isfinite(self.intervals[-1][1]))

    @property
    def is_interval(self) -> bool:
        """Whether the set is one piece, bounded or not."""
        return len(self.intervals) == 1

    @property
    def is_real_line(self) -> bool:
        """Whether the set rules out nothing."""
        return self.intervals == ((-math.inf, math.inf),)

    @property
    def length(self) -> float:
        """Total length of the pieces."""
        return math.fsum(high - low for low, high in self.intervals) if self.is_bounded else math.inf

    def contains(self, x: float) -> bool:
        """Whether ``x`` is in the set."""
        return any(low <= x <= high for low, high in self.intervals)

    def __contains__(self, x: float) -> bool:
        return self.contains(x)

    def hull(self) -> ConfidenceSet:
        """Return the smallest interval that holds the set."""
        return self if self.is_empty else ConfidenceSet(((self.intervals[0][0], self.intervals[-1][1]),))

    def union(self, other: ConfidenceSet) -> ConfidenceSet:
        """Return what is in either set."""
        return ConfidenceSet(self.intervals + other.intervals)

    def intersect(self, other: ConfidenceSet) -> ConfidenceSet:
        """Return what is in both sets."""
        pairs = ((max(a, c), min(b, d)) for a, b in self.intervals for c, d in other.intervals)
        return ConfidenceSet(tuple((low, high) for low, high in pairs if low <= high))

    def complement(self) -> ConfidenceSet:
        """Return the closure of what is not in the set."""
        starts = (-math.inf, *(high for _, high in self.intervals))
        ends = (*(low for low, _ in self.intervals), math.inf)
        return ConfidenceSet(tuple((low, high) for low, high in zip(starts, ends, strict=True) if low < high))

    def to_list(self) -> list[list[float]]:
        """Return the pieces as ``[[low, high], ...]``."""
        return [[low, high] for low, high in self.intervals]

    def __str__(self) -> str:
        return " ∪ ".join(map(_show, self.intervals)) or "∅"

    def __repr__(self) -> str:
        return f"ConfidenceSet({self})"


def _merge(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    merged: list[Interval] = []
    for low, high in sorted((float(low), float(high)) for low, high in map(_checked, intervals)):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _checked(interval: Interval) -> Interval:
    low, high = interval
    if math.isnan(low) or math.isnan(high) or low > high or low == math.inf or high == -math.inf:
        raise DataError(f"({low}, {high}) is not an interval.", hint="Give low <= high, neither NaN.")
    return interval


def _scaled(a: float, b: float, c: float) -> tuple[float, float, float]:
    """Divide by a power of two, which is exact, so that the largest coefficient is near one."""
    exponent = math.frexp(max(abs(a), abs(b), abs(c)))[1]
    return math.ldexp(a, -exponent), math.ldexp(b, -exponent), math.ldexp(c, -exponent)


def _linear(b: float, c: float) -> ConfidenceSet:
    if b == 0.0:
        return ConfidenceSet.real_line() if c <= 0.0 else ConfidenceSet()
    root = -c / b + 0.0
    return ConfidenceSet(((-math.inf, root),) if b > 0 else ((root, math.inf),))


def _roots(a: float, b: float, c: float, discriminant: float) -> Interval:
    """Both roots without cancellation."""
    q = -(b + math.copysign(math.sqrt(discriminant), b)) / 2.0
    if q == 0.0:
        return 0.0, 0.0
    first, second = q / a, c / q + 0.0
    return (first, second) if first <= second else (second, first)


def _show(interval: Interval) -> str:
    low, high = interval
    if low == high:
        return f"{{{low:.6g}}}"
    left = "(-inf" if low == -math.inf else f"[{low:.6g}"
    right = "inf)" if high == math.inf else f"{high:.6g}]"
    return f"{left}, {right}"
