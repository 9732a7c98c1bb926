"""How a number, a p-value and a share read in plain text: one rule for terminal, HTML, Markdown and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real

MISSING = "–"


def number(value: object, digits: int = 4) -> str:
    """Format a number to ``digits`` significant digits, without an exponent where it can be read without one.

    Integers are written whole with thousands separators; None and NaN read as a dash; anything that is not a number
    is returned by ``str``.
    """
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    if isinstance(value, Integral):
        return f"{int(value):,}"
    real = float(value)
    if math.isnan(real):
        return MISSING
    if math.isinf(real):
        return "∞" if real > 0 else "-∞"
    if real == 0.0:
        return "0"
    magnitude = math.floor(math.log10(abs(real)))
    if magnitude < -5 or magnitude > 9:
        return f"{real:.{digits - 1}e}"
    decimals = max(digits - 1 - magnitude, 0)
    return f"{real:,.{decimals}f}"


def label(value: object) -> str:
    """Write a name as it is: 2004 is a year, not a number of things."""
    return MISSING if value is None else str(value)


def pvalue(value: object) -> str:
    """Format a p-value: three decimals, and ``<0.001`` below that."""
    if value is None or not isinstance(value, Real) or math.isnan(float(value)):
        return MISSING
    return "<0.001" if float(value) < 0.001 else f"{float(value):.3f}"


def share(value: object, decimals: int = 1) -> str:
    """Format a share between 0 and 1 as a percentage."""
    if value is None or not isinstance(value, Real) or math.isnan(float(value)):
        return MISSING
    return f"{100 * float(value):.{decimals}f}%"


def interval(low: float, high: float, digits: int = 4) -> str:
    """Format an interval as ``[low, high]``."""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def pieces(intervals: Iterable[tuple[float, float]]) -> str:
    """Format a set of numbers as its pieces, ``[1, 2] ∪ {3}``; one without an end reaches to infinity."""
    return " ∪ ".join(_piece(low, high) for low, high in intervals) or "∅"


def _piece(low: float, high: float) -> str:
    if low == high:
        return f"{{{number(low)}}}"
    left = "(-∞" if low == -math.inf else f"[{number(low)}"
    return f"{left}, ∞)" if high == math.inf else f"{left}, {number(high)}]"


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``: a count with its noun."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
