"""Units in the order of their priority: one sort, ties gathered, and the sums that every ranking measure is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

#: Below this many rows an indirect sort takes no time.
SMALL = 50_000
#: Share of a total, or of the size of a score, that is rounding.
_ROUNDING = float(np.finfo(np.float64).eps)

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class Ranking:
    """Units sorted once, from the highest to the lowest priority, with ties gathered into blocks.

    Attributes
    ----------
    n : int
        Number of rows in the arrays the ranking was made from.
    order : Ints (m,)
        Row of each ranked unit; rows of weight zero (or of no more than the rounding of the total) are left out, as if
        dropped.
    starts : Ints (B,)
        Position at which each block of equal priority begins.
    sizes : Ints (B,)
        Number of units in each block.
    weights : Floats (m,)
        Weights in ranked order, scaled to sum to one.
    values : Floats (m,)
        Priorities in ranked order.
    is_weighted : bool
        Whether weights differ.
    """

    n: int
    order: Ints
    starts: Ints
    sizes: Ints
    weights: Floats
    values: Floats
    is_weighted: bool = False

    @property
    def n_units(self) -> int:
        """Number of ranked units (rows with a positive weight)."""
        return int(self.order.size)

    @property
    def is_constant(self) -> bool:
        """True when all units have the same priority."""
        return self.starts.size == 1

    @property
    def has_ties(self) -> bool:
        """True when some units share a priority."""
        return self.starts.size < self.order.size

    def sums(self, values: Floats) -> Floats:
        """Sum of ``values`` (in ranked order) over each block."""
        return np.add.reduceat(values, self.starts) if self.has_ties else values

    def spread(self, block_values: NDArray[_T]) -> NDArray[_T]:
        """Repeat one value per block over its units."""
        return np.repeat(block_values, self.sizes) if self.has_ties else block_values

    def average(self, values: Floats) -> Floats:
        """Replace each value by the weighted mean of its block."""
        if not self.has_ties:
            return values
        return self.spread(self.sums(self.weights * values) / self.sums(self.weights))

    def unsort(self, values: Floats) -> Floats:
        """Put ranked values back into row order; rows of weight zero get 0."""
        make = np.empty if self.order.size == self.n else np.zeros
        out = make((self.n, *values.shape[1:]))
        out[self.order] = values
        return out


class PsiVariance(NamedTuple):
    """Covariance of estimates from their influence values, and what it was scaled by."""

    vcov: Floats
    scale: float
    n_groups: int


def rank_units(priority: Floats, weights: Floats | None = None) -> Ranking:
    """Sort units by falling priority and gather ties; the result stands in for ``priority`` elsewhere.

    Parameters
    ----------
    priority : Floats (n,)
        Who is treated first: larger is earlier. Only its order matters.
    weights : Floats (n,), optional
        Non-negative sampling weights.

    Returns
    -------
    Ranking

    Raises
    ------
    DataError
        The arrays are empty, differ in length, hold NaN or infinite values, or a weight is negative or all are zero.
    """
    priority = as_finite(priority, "priority")
    n = priority.size
    if n == 0:
        raise DataError("There are no units to rank.", hint="Pass at least two rows.")
    order, ranked = falling_order(priority)
    if weights is None:
        w = np.full(n, 1.0 / n)
    else:
        weights = _checked_weights(weights, n)
        w = weights / weights.sum()
        counts = w > _ROUNDING
        if not counts.all():
            order = order[counts[order]]
            ranked = priority[order]
        w = w[order]
    differs = ranked[1:] != ranked[:-1]
    if differs.all():
        starts, sizes = np.arange(order.size), np.broadcast_to(np.int64(1), order.size)
    else:
        starts = np.concatenate(([0], np.flatnonzero(differs) + 1))
        sizes = np.diff(starts, append=order.size)
    if weights is not None and starts.size < order.size:
        within = _alternate_within_blocks(w, starts, sizes)
        order, w = order[within], w[within]
    differ = weights is not None and bool(np.ptp(w) > 0)
    return Ranking(n, read_only(order), read_only(starts), read_only(sizes), read_only(w), read_only(ranked), differ)


def falling_order(priority: Floats) -> tuple[Ints, Floats]:
    """Rows by falling priority (equals in the order of rows), and the priorities in this order.

    Many rows are sorted as integers, each a priority in single precision with its row behind it, which takes a fraction of
    the time of an indirect sort; neighbours that single precision can't tell apart are put right after.
    """
    if SMALL <= priority.size < 2**32:
        from causalkit.kernels.ranking import pack_falling, unpack_falling

        packed = pack_falling(priority)
        packed.sort()
        order, ranked = np.empty(priority.size, dtype=np.int64), np.empty(priority.size)
        if unpack_falling(packed, priority, order, ranked):
            return order, ranked
    order = np.argsort(-priority, kind="stable")
    return order, priority[order]


def centred_scores(scores: Floats, ranking: Ranking) -> tuple[Floats, float]:
    """Scores in ranked order less their weighted mean, and that mean."""
    scores = as_finite(scores, "scores")
    if scores.size != ranking.n:
        raise DataError(f"There are {scores.size} scores but {ranking.n} priorities.")
    ranked = scores.take(ranking.order)
    low, high = float(ranked.min()), float(ranked.max())
    if high - low <= 4.0 * _ROUNDING * max(abs(low), abs(high)):
        return np.zeros(ranked.size), low + (high - low) / 2.0  # one value: what is left is rounding, and no evidence
    # two passes: the second removes what a huge common level costs in the first
    mean = float(ranking.weights @ ranked)
    ranked -= mean
    rest = float(ranking.weights @ ranked)
    ranked -= rest
    return ranked, mean + rest


class Path(NamedTuple):
    """Cumulative shares and cumulative centred scores at the edges of the blocks, (B + 1,) each, from (0, 0) to (1, 0)."""

    share: Floats
    total: Floats

    @classmethod
    def of(cls, centred: Floats, ranking: Ranking) -> Path:
        """Sum along the ranking."""
        share, total = np.zeros(ranking.starts.size + 1), np.zeros(ranking.starts.size + 1)
        np.cumsum(ranking.sums(ranking.weights), out=share[1:])
        np.cumsum(ranking.sums(ranking.weights * centred), out=total[1:])
        np.minimum(share, 1.0, out=share)  # sums of many weights pass one by rounding
        share[-1], total[-1] = 1.0, 0.0
        return cls(share, total)

    def at(self, grid: Floats) -> Floats:
        """q * TOC(q): linear within each block of ties."""
        return np.interp(grid, self.share, self.total)


@dataclass(frozen=True, eq=False)
class Scored:
    """A ranking with the scores that judge it, gathered once for all measures; stands in for ``scores`` elsewhere.

    Attributes
    ----------
    ranking : Ranking
    centred : Floats (m,)
        Scores in ranked order less their weighted mean.
    mean : float
        That mean.
    """

    ranking: Ranking
    centred: Floats
    mean: float

    @classmethod
    def of(cls, scores: Floats | Scored, priority: Floats | Ranking, weights: Floats | None = None) -> Scored:
        """Gather the scores in the order of the priority, unless that was done already."""
        if isinstance(scores, Scored):
            return scores
        ranking = as_ranking(priority, weights)
        centred, mean = centred_scores(scores, ranking)
        return cls(ranking, read_only(centred), mean)

    @cached_property
    def path(self) -> Path:
        """Sums along the ranking."""
        return Path.of(self.centred, self.ranking)


def excess_gain(centred: Floats, ranking: Ranking, grid: Floats) -> Floats:
    """q * TOC(q) of centred scores at some shares."""
    return Path.of(centred, ranking).at(grid)


def psi_vcov(psi: Floats, ranking: Ranking, groups: Codes | None = None) -> PsiVariance:
    """``G/(G-1) * sum_g (sum psi)(sum psi)'`` over units or groups that have positive weight.

    Parameters
    ----------
    psi : Floats (n,) or (n, k)
        Influence values with 1/n folded in.
    ranking : Ranking
        Says which rows count.
    groups : Codes (n,), optional
        Non-negative codes of independent groups.

    Returns
    -------
    PsiVariance
        ``vcov`` (k, k), ``scale`` and ``n_groups``.

    Raises
    ------
    DataError
        Fewer than two units or groups.
    """
    columns = psi[:, None] if psi.ndim == 1 else psi
    scale, n_groups = small_sample(ranking, groups)
    sums = columns if groups is None else group_sums(columns, groups)
    return PsiVariance(scale * (sums.T @ sums), scale, n_groups)


def small_sample(ranking: Ranking, groups: Codes | None) -> tuple[float, int]:
    """Factor G / (G - 1) and the number G of independent groups with positive weight."""
    if groups is not None and np.shape(groups) != (ranking.n,):
        raise DataError(f"groups have shape {np.shape(groups)} but there are {ranking.n} rows.")
    n_groups = ranking.n_units if groups is None else int(np.count_nonzero(np.bincount(groups[ranking.order])))
    if n_groups < 2:
        raise DataError(
            f"A standard error needs at least two {'units' if groups is None else 'groups'}, not {n_groups}.",
            hint="Pass more rows, or cluster at a finer level.",
        )
    return n_groups / (n_groups - 1), n_groups


def free_groups(n_groups: int, groups: Codes | None) -> float:
    """Degrees of freedom of a t statistic: G - 1 with groups, infinite without."""
    return float("inf") if groups is None else float(n_groups - 1)


def group_sums(values: Floats, groups: Codes) -> Floats:
    """Sum the rows of ``values`` (n,) or (n, k) over groups."""
    if values.ndim == 1:
        return np.bincount(groups, weights=values).astype(np.float64, copy=False)
    return np.column_stack([np.bincount(groups, weights=column) for column in values.T])


def as_ranking(priority: Floats | Ranking, weights: Floats | None) -> Ranking:
    """Rank ``priority`` unless that was done already."""
    if not isinstance(priority, Ranking):
        return rank_units(priority, weights)
    if weights is not None:
        raise DesignError("weights were given twice.", hint="Pass them to rank_units only.")
    return priority


def as_floats(values: Any, name: str) -> Floats:
    """Return ``values`` as an array of numbers, or say that they are something else (text, dates)."""
    found = np.asarray(values)
    try:
        if found.dtype.kind in "mMSU":
            raise ValueError
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} must be numbers, not {type(values).__name__} of {found.dtype}.",
            hint="Pass an array of numbers, one for each row.",
            column=name,
        ) from None


def as_finite(values: Any, name: str) -> Floats:
    """Return ``values`` as a float vector, or say where it is not finite."""
    array = as_floats(values, name)
    if array.ndim != 1:
        raise DataError(f"{name} must be one column, not an array of shape {array.shape}.")
    finite = np.isfinite(array)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise DataError(
            f"{name} holds {bad.size} missing or infinite values, the first in row {bad[0]}.",
            hint="Drop or fill these rows.",
            column=name,
            rows=bad[:5].tolist(),
        )
    return array


def checked_grid(q: Floats) -> Floats:
    """Return shares as an array, or raise when one lies outside (0, 1]."""
    grid = np.atleast_1d(as_floats(q, "q"))
    if grid.ndim != 1 or not np.all((grid > 0) & (grid <= 1)):
        raise DataError("q must be shares above 0 and at most 1.", hint="For the first tenth pass 0.1.")
    return grid


def _alternate_within_blocks(w: Floats, starts: Ints, sizes: Ints) -> Ints:
    """Positions that make the lightest, heaviest, second lightest, ... unit of each block follow one another."""
    rising = np.lexsort((w, np.repeat(np.arange(starts.size), sizes)))
    start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    rank = np.arange(w.size) - start
    out = np.empty_like(rising)
    out[start + np.minimum(2 * rank, 2 * (size - rank) - 1)] = rising
    return out


def _checked_weights(weights: Floats, n: int) -> Floats:
    weights = as_finite(weights, "weights")
    if weights.size != n:
        raise DataError(f"There are {weights.size} weights but {n} priorities.")
    negative = np.flatnonzero(weights < 0)
    if negative.size:
        raise DataError(
            f"{negative.size} weights are negative, the first in row {negative[0]}.",
            hint="Weights must be zero or more.",
            column="weights",
            rows=negative[:5].tolist(),
        )
    if not weights.any():
        raise DataError("All weights are zero.", hint="At least two rows need a positive weight.", column="weights")
    return weights
