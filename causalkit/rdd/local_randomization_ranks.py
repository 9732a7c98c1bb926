"""Rank sum and Kolmogorov-Smirnov tests of a window, exact wherever their distribution can be had."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.randomization import RandomizationTest
from causalkit.kernels import rd_permutation
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.rdd.local_randomization_assignments import Assignments

#: Steps of a recursion that are worth an exact distribution.
AFFORDABLE = 3e8
_PAIRS = 4_000_000


def doubled_ranks(y: Floats) -> Ints:
    """Twice the mid-ranks, which are whole numbers."""
    ordered = np.sort(y)
    return np.asarray(np.searchsorted(ordered, y, "left") + np.searchsorted(ordered, y, "right") + 1, dtype=np.int64)


def rank_sum(assignments: Assignments, y: Floats) -> RandomizationTest:
    """Wilcoxon's rank sum test that the sides have one distribution; the statistic is standardised, the right minus.

    Exact by the distribution of the sum of ranks where that is affordable, by random assignments otherwise.
    """
    m, k, right = assignments.m, assignments.k, assignments.treated
    ranks = doubled_ranks(y)
    middle, spread = k * (m + 1), np.sqrt(k * (m - k) * (m + 1) / 3.0)  # of doubled ranks
    total = int(ranks[right].sum())
    small = min(k, m - k)
    cost = float(m) * small * 2.0 * small * m
    if cost <= AFFORDABLE:
        chances = rd_permutation.sum_distribution(ranks, k)
        apart = np.abs(np.arange(chances.size) - middle) >= abs(total - middle)
        pvalue = min(1.0, float(chances[apart].sum()))
        return RandomizationTest((total - middle) / spread, pvalue, int(min(assignments.n_possible, 2**53)), True, 0.0)
    actual, sums = assignments.sums(ranks[None].astype(float))
    return assignments.test(float(actual[0] - middle) / spread, (sums[:, 0] - middle) / spread)


def smirnov(assignments: Assignments, y: Floats) -> RandomizationTest:
    """Kolmogorov and Smirnov's test: the largest distance between the distribution functions of the sides.

    Exact, ties included, where the recursion is affordable; by the limit otherwise.
    """
    k, right = assignments.k, assignments.treated
    left = assignments.m - k
    order = np.argsort(y, kind="stable")
    ends = _ends(y[order])
    distance = int(np.abs(np.cumsum(np.where(right[order], -left, k)))[ends].max())
    statistic = distance / (left * k)
    pvalue = _smirnov_pvalue(left, k, distance, ends)
    return RandomizationTest(statistic, pvalue, int(min(assignments.n_possible, 2**53)), True, 0.0)


def _smirnov_pvalue(left: int, right: int, distance: int, ends: Bools) -> float:
    if float(left + right) * min(left, right) <= AFFORDABLE:
        small, large = min(left, right), max(left, right)
        return float(rd_permutation.smirnov_tail(small, large, distance, ends))
    return float(special.kolmogorov(np.sqrt(left * right / (left + right)) * distance / (left * right)))


def _ends(ordered: Floats) -> Bools:
    ends = np.ones(ordered.size, dtype=np.bool_)
    ends[:-1] = ordered[1:] != ordered[:-1]
    return ends


def smirnov_set(y: Floats, right: Bools, alpha: float) -> ConfidenceSet:
    """Every constant effect that the Kolmogorov-Smirnov test does not reject: one interval, or none.

    The distance stays below the critical one as long as each order statistic of one side lies beyond a certain order
    statistic of the other (Doksum 1974).
    """
    below, above = np.sort(y[~right]), np.sort(y[right])
    n, m = below.size, above.size
    critical = _critical_distance(n, m, alpha)
    # No distance is reached: i m - j n < critical at every value, where i values of the left and j of the right lie below.
    i, j = np.arange(1, n + 1), np.arange(1, m + 1)
    least_right = np.floor_divide(i * m - critical, n) + 1
    least_left = np.floor_divide(j * n - critical, m) + 1
    low = max((float(above[r - 1] - below[at]) for at, r in enumerate(least_right) if r >= 1), default=-np.inf)
    high = min((float(above[at] - below[r - 1]) for at, r in enumerate(least_left) if r >= 1), default=np.inf)
    return ConfidenceSet(((low, high),) if low <= high else ())


def _critical_distance(n: int, m: int, alpha: float) -> int:
    """Smallest distance with a p-value of at most ``alpha``; one beyond all where there is none."""
    ends = np.ones(n + m, dtype=np.bool_)
    accepted, rejected = 0, n * m + 1
    while rejected - accepted > 1:
        middle = (accepted + rejected) // 2
        if _smirnov_pvalue(n, m, middle, ends) <= alpha:
            rejected = middle
        else:
            accepted = middle
    return rejected


def rank_sum_set(assignments: Assignments, y: Floats, alpha: float) -> ConfidenceSet:
    """Every constant effect that the rank sum test does not reject: the interval of Hodges and Lehmann."""
    right = assignments.treated
    below, above = np.sort(y[~right]), np.sort(y[right])

    def accepted(effect: float) -> bool:
        return rank_sum(assignments, np.where(right, y - effect, y)).pvalue > alpha

    if below.size * above.size <= _PAIRS:
        return _by_differences(np.unique(above[:, None] - below[None]), accepted)
    span = float(above[-1] - below[0]), float(above[0] - below[-1])
    middle = float(np.median(above) - np.median(below))
    return ConfidenceSet(((_edge(accepted, span[1], middle), _edge(accepted, span[0], middle)),))


def _by_differences(steps: Floats, accepted: Callable[[float], bool]) -> ConfidenceSet:
    """Find the ends among the differences of pairs, between which the p-value is constant."""
    inner = (steps[1:] + steps[:-1]) / 2.0
    reach = max(1.0, float(np.abs(steps).max()))
    between = np.concatenate([[steps[0] - reach], inner, [steps[-1] + reach]])
    edges = np.concatenate([[-np.inf], steps, [np.inf]])
    best = int(np.searchsorted(between, np.median(steps)))
    best = min(max(best, 0), between.size - 1)
    low, high = _last(accepted, between, best, -1), _last(accepted, between, best, 1)
    return ConfidenceSet(((float(edges[low]), float(edges[high + 1])),))


def _last(accepted: Callable[[float], bool], at: Floats, start: int, step: int) -> int:
    """Last place from ``start`` on that is accepted, by halving."""
    good, bad = start, -1 if step < 0 else at.size
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        if accepted(float(at[middle])):
            good = middle
        else:
            bad = middle
    return good


def _edge(accepted: Callable[[float], bool], outside: float, inside: float) -> float:
    for _ in range(60):
        middle = (outside + inside) / 2.0
        if accepted(middle):
            inside = middle
        else:
            outside = middle
    return inside
