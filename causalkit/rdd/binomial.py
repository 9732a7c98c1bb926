"""Exact binomial tests: near the cutoff, a value is as likely to fall on one side as on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from causalkit.core.table import Table
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True)
class BinomialTest:
    """One window around the cutoff.

    Parameters
    ----------
    window : float
        Its half-width.
    n_left, n_right : int
        Values in ``[-window, 0)`` and ``[0, window]``, measured from the cutoff.
    pvalue : float
        Exact, two-sided, of the hypothesis that either side is equally likely.
    """

    window: float
    n_left: int
    n_right: int
    pvalue: float


def binomial_pvalue(n_left: int, n_right: int) -> float:
    """Return the exact two-sided p-value of counts that are equally likely to be on either side."""
    return min(1.0, 2.0 * float(special.bdtr(min(n_left, n_right), n_left + n_right, 0.5)))


def binomial_tests(x: Floats, windows: Sequence[float]) -> tuple[BinomialTest, ...]:
    """Test each window.

    Parameters
    ----------
    x : Floats, shape (n,)
        Rising, measured from the cutoff.
    windows : sequence of float
        Half-widths.
    """
    cut = int(np.searchsorted(x, 0.0, side="left"))
    found = []
    for window in windows:
        left = cut - int(np.searchsorted(x, -window, side="left"))
        right = int(np.searchsorted(x, window, side="right")) - cut
        found.append(BinomialTest(float(window), left, right, binomial_pvalue(left, right)))
    return tuple(found)


def default_windows(first: float, widest: float, count: int = 10) -> tuple[float, ...]:
    """Half-widths from ``first``: its multiples, or even steps up to ``widest`` where those would go beyond it."""
    if first >= widest:
        return (first,)
    step = first if first * count <= widest else (widest - first) / (count - 1)
    return tuple(first + step * i for i in range(count))


def binomial_table(tests: Sequence[BinomialTest]) -> Table:
    """Return the tests as rows."""
    rows = [(test.window, test.n_left, test.n_right, test.pvalue) for test in tests]
    return Table.of(("window", "n_left", "n_right", "pvalue"), rows)
