"""What the curves over the share treated are made of: cumulative sums along a ranking, and influence by pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.uplift.ranks import Path, Ranking, Scored

#: Degrees of freedom that a point has at least.
_LEAST = 4.0

Kind = Literal["gain", "uplift", "toc", "excess"]


class PatternSums(NamedTuple):
    """Sums over independent units of what their influence is made of; ``by_group`` is None where rows are the units.

    ``powers`` (3, P): sums of squared weight times score to the power 0, 1, 2 by pattern; ``fourth`` (P,): of weights to
    the power 4. ``by_group``: sparse sums of weight times score, and of weights, by group and pattern, (G, P) each.
    """

    powers: Floats | None
    fourth: Floats | None
    by_group: tuple[Any, Any] | None


@dataclass(frozen=True)
class GainParts:
    """What the influence values of every curve are made of; units in ranked order, scores centred at ``mean``.

    Units between the same two shares, or in one tied block across a share, enter every point of the curve alike: they
    have one pattern, and ``inside[pattern]`` (P, k) is the fraction of them treated at each share. So a unit's influence
    is ``w * (score * a[pattern] + b[pattern])``, and covariances need only sums by pattern. ``first`` (P,) is the
    position of the first ranked unit of each pattern.
    """

    ranking: Ranking
    centred: Floats
    mean: float
    grid: Floats
    excess: Floats
    local: Floats
    first: Ints
    inside: Floats

    @classmethod
    def of(cls, scored: Scored, grid: Floats) -> GainParts:
        """Walk along the ranking once."""
        ranking, centred, mean, path = scored.ranking, scored.centred, scored.mean, scored.path
        if ranking.is_constant:
            excess, local = np.zeros(grid.size), np.zeros(grid.size)
        else:
            excess = path.at(grid)
            excess[grid == 1.0] = 0.0
            local = _local_mean(path, ranking, grid)
        blocks, inside = _patterns(grid, path.share)
        return cls(ranking, centred, mean, grid, excess, local, ranking.starts[blocks], inside)

    def values(self, kind: Kind) -> Floats:
        """The curve itself."""
        if kind == "excess":
            return self.excess
        if kind == "toc":
            return self.excess / self.grid
        if kind == "gain":
            return self.excess + self.grid * self.mean
        return self.excess / self.grid + self.mean

    def coefficients(self, kind: Kind) -> tuple[Floats, Floats]:
        """Tables ``a`` and ``b`` (P, k): influence = weight * (score * a + b)."""
        a = self.inside.copy()
        b = self.grid * self.local - self.excess - self.inside * self.local
        if kind in ("toc", "excess"):
            a -= self.grid
            # exact zeros where the curve is zero by definition
            a[:, self.grid == 1.0] = 0.0
            b[:, self.grid == 1.0] = 0.0
            if self.ranking.is_constant:
                a[:], b[:] = 0.0, 0.0
        if kind in ("toc", "uplift"):
            a /= self.grid
            b /= self.grid
        return a, b

    @property
    def pattern(self) -> Ints:
        """Pattern of each ranked unit (m,)."""
        return np.repeat(np.arange(self.first.size), np.diff(self.first, append=self.ranking.n_units))

    def psi(self, kind: Kind) -> Floats:
        """Influence values (m, k) of the ranked units, 1/n folded in."""
        a, b = self.coefficients(kind)
        pattern = self.pattern
        psi = a[pattern]
        psi *= self.centred[:, None]
        psi += b[pattern]
        psi *= self.ranking.weights[:, None]
        return psi

    def sums(self, groups: Codes | None) -> PatternSums:
        """Sums by pattern (and group), from which :meth:`cross_products` of every kind follow."""
        w, score = self.ranking.weights, self.centred
        if groups is None:
            square = w * w
            powers, fourth = [np.add.reduceat(square, self.first)], np.add.reduceat(square * square, self.first)
            for _ in range(2):
                square *= score
                powers.append(np.add.reduceat(square, self.first))
            return PatternSums(np.array(powers), fourth, None)
        from scipy.sparse import coo_array

        shape = (int(groups.max()) + 1, self.first.size)
        cells = (groups[self.ranking.order], self.pattern)
        return PatternSums(
            None, None, (coo_array((w * score, cells), shape).tocsr(), coo_array((w, cells), shape).tocsr())
        )

    def free(self, a: Floats, sums: PatternSums, n_groups: int) -> Floats:
        """Degrees of freedom (k,) of estimates whose influence is ``weight * score * a[pattern]`` and terms of less noise.

        Few people at the top carry a point of a small share, whatever the size of the table: with pulls c by unit (group) a
        variance estimate is as sure as one of ``sum(c^2)^2 / sum(c^4)`` units (Satterthwaite 1946, as in Bell and McCaffrey
        2002, for equal noise), here at most G - 1, and no fewer than four, below which limits have no meaning at all.
        """
        if sums.by_group is not None:
            pull = np.asarray(sums.by_group[1] @ a) ** 2
            second, fourth = pull.sum(axis=0), (pull * pull).sum(axis=0)
        else:
            assert sums.powers is not None
            assert sums.fourth is not None
            second, fourth = sums.powers[0] @ a**2, sums.fourth @ a**4
        size = np.full(second.shape, np.inf)
        np.divide(second * second, fourth, out=size, where=fourth > 0)
        return np.minimum(np.maximum(size, _LEAST), max(n_groups - 1.0, 1.0))

    def cross_products(self, kind: Kind, sums: PatternSums) -> Floats:
        """``psi' psi``, or the same of the sums over groups, without the matrix of influence values."""
        a, b = self.coefficients(kind)
        if sums.by_group is not None:
            by_group = sums.by_group[0] @ a + sums.by_group[1] @ b
            return np.asarray(by_group.T @ by_group)
        assert sums.powers is not None
        total = sums.powers[:, :, None]
        mixed = a.T @ (total[1] * b)
        return np.asarray(a.T @ (total[2] * a) + mixed + mixed.T + b.T @ (total[0] * b))


def _patterns(grid: Floats, edges: Floats) -> tuple[Ints, Floats]:
    """First block of each pattern, and the fraction inside each share by pattern; block j is edges[j] to edges[j + 1]."""
    n_blocks = edges.size - 1
    shares = np.unique(grid)
    beyond = np.searchsorted(edges[:-1], shares, side="left")  # first block that begins at or after the share
    within = beyond[edges[beyond] > shares] - 1  # blocks that a share cuts
    first = np.unique(np.concatenate(([0], beyond, within, within + 1)))
    first = first[(first >= 0) & (first < n_blocks)]
    lower, upper = edges[first][:, None], edges[first + 1][:, None]
    inside = np.asarray(grid >= upper, dtype=np.float64)  # of blocks without width, which rounding leaves at the end
    np.divide(grid - lower, upper - lower, out=inside, where=upper > lower)
    return first, np.clip(inside, 0.0, 1.0)


def _local_mean(path: Path, ranking: Ranking, grid: Floats) -> Floats:
    """Mean centred score of those ranked near each share: the block that holds it, or a window of ranks."""
    n_effective = 1.0 / float(ranking.weights @ ranking.weights)
    half = 0.5 * n_effective ** (-1.0 / 3.0)
    edges = path.share
    block = np.minimum(np.searchsorted(edges[1:], grid, side="left"), edges.size - 2)
    wide = edges[block + 1] - edges[block] >= 2.0 * half
    left = np.where(wide, edges[block], np.maximum(grid - half, 0.0))
    right = np.where(wide, edges[block + 1], np.minimum(grid + half, 1.0))
    return np.asarray((path.at(right) - path.at(left)) / (right - left))
