"""The assignments that a window of local randomization might have seen, and what they do to differences in means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb, inf, lgamma

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.randomization import RandomizationTest
from causalkit.kernels import rd_permutation
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints

#: All assignments are enumerated where there are at most this many.
MAX_EXACT = 100_000
_TIE = 1e-9
_SIDES = ("left", "right")


@dataclass(frozen=True, eq=False)
class Assignments:
    """Ways to put as many units on the right of the cutoff as there are.

    Parameters
    ----------
    unit : Ints, shape (n,)
        The unit of each row: itself, or its cluster.
    treated : Bools, shape (m,)
        Which units are on the right.
    n_draws : int
        Random assignments where there are too many to enumerate.
    random_state : int
        Seed; the same assignments whatever is summed.
    """

    unit: Ints
    treated: Bools
    n_draws: int
    random_state: int

    @classmethod
    def of(cls, right: Bools, n_draws: int, random_state: int, cluster: Codes | None = None) -> Assignments:
        """Return the assignments of rows, or of clusters, which must lie on one side each."""
        if right.all() or not right.any():
            raise DesignError(
                f"the window holds {right.size} rows, none of them on the {_SIDES[int(not right.any())]} of the cutoff.",
                hint="Widen window=.",
            )
        if cluster is None:
            return cls(np.arange(right.size), right, n_draws, random_state)
        _, first, unit = np.unique(cluster, return_index=True, return_inverse=True)
        place = np.argsort(np.argsort(first))  # units in the order of their rows, whatever their labels
        first, unit = np.sort(first), place[unit]
        mixed = np.flatnonzero(right != right[first][unit])
        if mixed.size:
            raise DataError(
                f"{np.unique(unit[mixed]).size} clusters lie on both sides of the cutoff within the window.",
                hint="Leave cluster= out, or name what was assigned as a whole.",
            )
        return cls(unit, right[first], n_draws, random_state)

    @property
    def m(self) -> int:
        """Number of units."""
        return int(self.treated.size)

    @property
    def k(self) -> int:
        """Number of units on the right."""
        return int(self.treated.sum())

    @cached_property
    def n_possible(self) -> float:
        """Number of assignments; infinite where it is far beyond enumeration."""
        m, k = self.m, self.k
        size = lgamma(m + 1) - lgamma(k + 1) - lgamma(m - k + 1)
        return inf if size > 40.0 else float(comb(m, k))

    @property
    def exact(self) -> bool:
        """Whether all are enumerated; the actual one is then among them."""
        return self.n_possible <= MAX_EXACT

    @property
    def by_cluster(self) -> bool:
        """Whether several rows are assigned together."""
        return self.unit.size != self.m

    def sums(self, rows: Floats) -> tuple[Floats, Floats]:
        """Sums of each column over the units on the right: actually, and by assignment.

        Parameters
        ----------
        rows : Floats, shape (q, n)
            One value per row.

        Returns
        -------
        actual : Floats, shape (q,)
        by_assignment : Floats, shape (N, q)
        """
        columns = rows
        if self.by_cluster:
            columns = np.stack([np.bincount(self.unit, row, self.m) for row in rows])
        columns = np.ascontiguousarray(columns, dtype=np.float64)
        actual = columns[:, self.treated].sum(axis=1)
        if self.exact:
            return actual, rd_permutation.enumerate_sums(columns, self.k, int(self.n_possible))
        return actual, rd_permutation.draw_sums(columns, self.k, self.n_draws, self.random_state).T

    def differences(self, rows: Floats, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """Differences in (weighted) means of each column, right minus left: actually, and by assignment.

        Parameters
        ----------
        rows : Floats, shape (q, n)
            One value per row.
        weights : Floats, shape (n,), optional
            Weights of the rows.

        Returns
        -------
        actual : Floats, shape (q,)
        by_assignment : Floats, shape (N, q)
        """
        if weights is None and not self.by_cluster:  # the sides have the same size in every assignment
            actual, sums = self.sums(rows)
            total, size, whole = rows.sum(axis=1), np.full((1, 1), float(self.k)), float(self.m)
            apart = [part / size - (total - part) / (whole - size) for part in (actual[None], sums)]
        else:
            w = np.ones(rows.shape[1]) if weights is None else weights
            actual, sums = self.sums(np.vstack([w, w * rows]))
            total, whole = (w * rows).sum(axis=1), float(w.sum())
            apart = [
                part[:, 1:] / part[:, :1] - (total - part[:, 1:]) / (whole - part[:, :1])
                for part in (actual[None], sums)
            ]
        return np.asarray(apart[0][0]), np.asarray(apart[1])

    def actual_difference(self, row: Floats, weights: Floats | None = None) -> float:
        """Difference in (weighted) means of a column, right minus left, in the assignment that took place."""
        right = self.treated[self.unit]
        if weights is None:
            return float(row[right].mean() - row[~right].mean())
        above, below = (float(weights[side] @ row[side] / weights[side].sum()) for side in (right, ~right))
        return above - below

    def test(self, observed: float, values: Floats, null: float = 0.0) -> RandomizationTest:
        """Rank the absolute value of a statistic among those of the assignments."""
        size = np.abs(values)
        count = int(np.count_nonzero(size >= abs(observed) - _TIE * np.maximum(abs(observed), size)))
        return self.told(observed, count, values.size)

    def told(self, observed: float, count: int, total: int) -> RandomizationTest:
        """Turn a count of assignments that are as extreme into a test."""
        if self.exact:
            return RandomizationTest(observed, count / total, total, True, 0.0)
        pvalue = (1.0 + count) / (1.0 + total)
        return RandomizationTest(observed, pvalue, total, False, float(np.sqrt(pvalue * (1.0 - pvalue) / total)))


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences in means between the sides under each assignment, as a function of the effect that is assumed.

    If the effect of what was received is tau, the outcome without it is ``y - tau d``; under an assignment its difference
    in means is ``outcome - tau received``.

    Parameters
    ----------
    assignments : Assignments
        Where they come from.
    y : Floats, shape (n,)
        The outcome less one of its values.
    treatment : Floats, shape (n,)
        The treatment received.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    """

    assignments: Assignments
    y: Floats
    treatment: Floats
    weights: Floats | None = None

    @classmethod
    def of(cls, assignments: Assignments, y: Floats, received: Floats, weights: Floats | None = None) -> Differences:
        """Take an outcome and a treatment received, weighted by the distance from the cutoff or not."""
        return cls(assignments, y - y[0], received, weights)  # a value of the data: exact where the data are

    @cached_property
    def outcome(self) -> Floats:
        """Differences in means of the outcome by assignment, shape (N,)."""
        return self.assignments.differences(self.y[None], self.weights)[1][:, 0]

    @cached_property
    def received(self) -> Floats:
        """The same of the treatment received; the test of no effect does without."""
        return self.assignments.differences(self.treatment[None], self.weights)[1][:, 0]

    @cached_property
    def actual_outcome(self) -> float:
        """The difference in means of the outcome in the assignment that took place."""
        return self.assignments.actual_difference(self.y, self.weights)

    @cached_property
    def actual_received(self) -> float:
        """The same of the treatment received."""
        return self.assignments.actual_difference(self.treatment, self.weights)

    @property
    def estimate(self) -> float:
        """The difference in outcomes over that in the treatment received."""
        return self.actual_outcome / self.actual_received

    def test(self, null: float = 0.0) -> RandomizationTest:
        """Test that the effect is ``null`` for every row."""
        if null == 0.0:
            return self.assignments.test(self.actual_outcome, self.outcome)
        observed = self.actual_outcome - null * self.actual_received
        return self.assignments.test(observed, self.outcome - null * self.received)

    def confidence_set(self, alpha: float) -> ConfidenceSet:
        """Return every effect whose test has a p-value above ``alpha``; exact for the assignments at hand.

        Each assignment is extreme on an interval, or outside of one, with ends that are roots of two lines.
        """
        starts, ends = self._extreme()
        edges = np.unique(np.concatenate([starts, ends, [-np.inf, np.inf]]))
        opened = np.searchsorted(np.sort(starts), edges, "right")
        starts_before_end = np.searchsorted(np.sort(ends), edges, "left")
        closed = np.searchsorted(np.sort(ends), edges, "right")
        total, one = self.outcome.size, 0.0 if self.assignments.exact else 1.0
        level = alpha * (total + one) - one
        inside = (opened - closed)[:-1] > level + 1e-9
        points = edges[np.isfinite(edges) & (opened - starts_before_end > level + 1e-9)]
        pieces = [(low, high) for low, high in zip(edges[:-1][inside], edges[1:][inside], strict=True)]
        return ConfidenceSet((*pieces, *((point, point) for point in points)))

    def _extreme(self) -> tuple[Floats, Floats]:
        """Intervals of the effect on which assignments are as extreme as the actual one; up to two for each."""
        a0, f0 = self.actual_outcome, self.actual_received
        scale, unit = max(abs(a0), float(np.abs(self.outcome).max())), max(abs(f0), float(np.abs(self.received).max()))
        first = _clean(self.outcome - a0, scale), _clean(self.received - f0, unit)
        second = _clean(self.outcome + a0, scale), _clean(self.received + f0, unit)
        lead = first[1] * second[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            roots = np.stack([first[0] / first[1], second[0] / second[1]])
        low, high = roots.min(axis=0), roots.max(axis=0)
        always = ((first[0] == 0) & (first[1] == 0)) | ((second[0] == 0) & (second[1] == 0))
        bounded, outside = (lead < 0) & ~always, (lead > 0) & ~always
        starts = [np.full(always.sum(), -np.inf), low[bounded], np.full(outside.sum(), -np.inf), high[outside]]
        ends = [np.full(always.sum(), np.inf), high[bounded], low[outside], np.full(outside.sum(), np.inf)]
        found = [_ray(*parts) for parts in np.stack([*first, *second], axis=1)[(lead == 0) & ~always]]
        rays = [ray for ray in found if ray is not None]
        starts.append(np.array([ray[0] for ray in rays]))
        ends.append(np.array([ray[1] for ray in rays]))
        return np.concatenate(starts), np.concatenate(ends)


def _ray(a: float, f: float, b: float, g: float) -> tuple[float, float] | None:
    """Where ``(a - tau f) (b - tau g)`` is not negative, f or g being zero; None for nowhere."""
    constant, free, slope = (a, b, g) if f == 0.0 else (b, a, f)
    if slope == 0.0:
        return (-inf, inf) if constant * free >= 0.0 else None
    root = free / slope
    falling = constant * slope > 0.0  # the product falls in tau
    return (-inf, root) if falling else (root, inf)


def _clean(values: Floats, scale: float) -> Floats:
    """Set rounding error to zero."""
    return np.where(np.abs(values) <= _TIE * scale, 0.0, values)
