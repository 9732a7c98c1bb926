"""Curves over the share treated: gain, uplift, TOC, excess gain and profit, with pointwise and simultaneous inference.

All follow from the gain curve ``gain(q) = E[score 1{U <= q}]``: what treating the first share ``q`` of the ranking adds
to the mean outcome per head of the whole population (see :mod:`causalkit.uplift.ranking` for ``score`` and ``U``):

    uplift(q) = gain(q) / q                 mean effect among those treated
    toc(q)    = gain(q) / q - gain(1)       ... less the mean effect of all
    excess(q) = gain(q) - q gain(1)         gain over treating a random share q; the area under it is QINI
    profit(q) = gain of value * score - cost
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.uplift.ranks import (
    Ranking,
    as_finite,
    as_ranking,
    centred_scores,
    checked_grid,
    excess_gain,
    small_sample,
)

Kind = Literal["gain", "uplift", "toc", "excess"]
_KINDS = ("gain", "uplift", "toc", "excess")
_MAX_GRID = 101


@dataclass(frozen=True)
class Curve:
    """A curve on a grid of shares, with the joint covariance of its points.

    Attributes
    ----------
    kind : str
        "gain", "uplift", "toc", "excess" or "profit".
    q : Floats (k,)
        Shares treated.
    value : Floats (k,)
        Value of the curve, in units of the outcome (of money for profit).
    vcov : Floats (k, k)
        Joint covariance, small-sample factor included.
    scale : float
        Small-sample factor G / (G - 1).
    n_groups : int
        Number of independent groups of positive weight.
    """

    kind: str
    q: Floats
    value: Floats
    vcov: Floats
    scale: float
    n_groups: int

    @property
    def se(self) -> Floats:
        """Pointwise standard errors (k,)."""
        return np.sqrt(np.diag(self.vcov))

    def band(self, alpha: float = 0.05, random_state: int | None = 0) -> tuple[Floats, Floats]:
        """Band (low, high), (k,) each, that holds at all shares of the grid at once with probability 1 - alpha.

        The critical value is that of the largest |t| (sup-t; Montiel Olea and Plagborg-Møller, 2019, "Simultaneous
        confidence bands", Journal of Applied Econometrics 34). ``random_state`` shifts its integration points. Where
        the curve has no variance the band is a point.
        """
        from causalkit.inference.bands import simultaneous_band, sup_t_critical

        if not np.diag(self.vcov).any():
            return self.value, self.value
        return simultaneous_band(self.value, self.se, sup_t_critical(self.vcov, alpha, random_state=random_state))


def default_grid(n_grid: int = 100) -> Floats:
    """Equally spaced shares 1/n_grid, 2/n_grid, ..., 1."""
    if not 1 <= n_grid <= _MAX_GRID:
        raise DesignError(f"n_grid={n_grid} is not between 1 and {_MAX_GRID}.")
    return np.arange(1, n_grid + 1) / n_grid


def curve(
    scores: Floats,
    priority: Floats | Ranking,
    kind: Kind = "toc",
    q: Floats | None = None,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> Curve:
    """A gain, uplift, TOC or excess-gain curve with the joint covariance of its points.

    Parameters
    ----------
    scores : Floats (n,)
        Doubly robust scores, in units of the outcome.
    priority : Floats (n,) or Ranking
        Larger is treated first.
    kind : {"toc", "gain", "uplift", "excess"}
        Which curve; see the module's formulas.
    q : Floats (k,), optional
        At most 101 shares in (0, 1]; by default 0.01, 0.02, ..., 1.
    weights : Floats (n,), optional
        Non-negative sampling weights.
    groups : Codes (n,), optional
        Independent groups (clusters).

    Returns
    -------
    Curve

    Raises
    ------
    DataError
        See :func:`causalkit.uplift.ranks.rank_units`; or fewer than two groups.
    DesignError
        Unknown ``kind`` or too many shares.

    Notes
    -----
    With m(q) = E[score | U = q] the influence function of gain(q) is

        (score - m(q)) 1{U <= q} + q m(q) - gain(q);

    the terms with m(q) stand for the estimated quantile of the priority. m(q) is the mean score of the tied block that
    holds q, or, where blocks are small, of the units within n^(-1/3)/2 of q in rank. The error e of that mean adds
    e^2 (1-q)/q to a variance of order var(score) (1-q)/q, so a rough mean is enough. Where q lies exactly between two
    large tied blocks with different means, the gain curve has a kink and the standard error is approximate.
    """
    if kind not in _KINDS:
        raise DesignError(f"kind={kind!r} is not known.", hint=f"Use one of {', '.join(_KINDS)}.")
    ranking = as_ranking(priority, weights)
    grid = _checked_curve_grid(q)
    scale, n_groups = small_sample(ranking, groups)
    parts = _GainParts.of(scores, ranking, grid)
    value = parts.values(kind)
    cross = parts.cross_products(kind, groups)
    return Curve(kind, read_only(grid), read_only(value), read_only(scale * cross), scale, n_groups)


def curve_psi(
    scores: Floats,
    priority: Floats | Ranking,
    kind: Kind = "toc",
    q: Floats | None = None,
    weights: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Values (k,) and influence values (n, k) of a curve: subtract them to compare two priorities on the same rows.

    Takes the same arguments as :func:`curve`; the matrix has 8 n k bytes. 1/n is folded in.
    """
    if kind not in _KINDS:
        raise DesignError(f"kind={kind!r} is not known.", hint=f"Use one of {', '.join(_KINDS)}.")
    ranking = as_ranking(priority, weights)
    parts = _GainParts.of(scores, ranking, _checked_curve_grid(q))
    return parts.values(kind), ranking.unsort(parts.psi(kind))


def profit_curve(
    scores: Floats,
    priority: Floats | Ranking,
    value: float | Floats,
    cost: float | Floats,
    q: Floats | None = None,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> Curve:
    """Profit per head of the population when the first share ``q`` of the ranking is treated.

    Parameters
    ----------
    scores : Floats (n,)
        Doubly robust scores, in units of the outcome.
    priority : Floats (n,) or Ranking
        Larger is treated first.
    value : float or Floats (n,)
        Money per unit of the outcome.
    cost : float or Floats (n,)
        Money per treated unit. For a cost that arises only on redemption pass doubly robust scores of that cost.
    q, weights, groups
        As in :func:`curve`.

    Returns
    -------
    Curve
        ``kind="profit"``, in money per head of the population (not per treated head).

    Raises
    ------
    DataError
        See :func:`curve`; or ``value`` or ``cost`` does not fit the scores or is not finite.
    """
    scores = as_finite(scores, "scores")
    net = _per_unit(value, scores.size, "value") * scores - _per_unit(cost, scores.size, "cost")
    gain = curve(net, priority, "gain", q, weights, groups)
    return Curve("profit", gain.q, gain.value, gain.vcov, gain.scale, gain.n_groups)


def uplift_at(
    scores: Floats,
    priority: Floats | Ranking,
    q: float,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> tuple[float, float]:
    """Mean effect among the first share ``q`` of the ranking, and its standard error (see :func:`curve`)."""
    result = curve(scores, priority, "uplift", np.array([q]), weights, groups)
    return float(result.value[0]), float(result.se[0])


@dataclass(frozen=True)
class _GainParts:
    """What the influence values of every curve are made of; units in ranked order, scores centred at ``mean``.

    Units between the same two shares, or in one tied block across a share, enter every point of the curve alike: they
    have one ``pattern``, and ``inside[pattern]`` (P, k) is the fraction of them treated at each share. So a unit's
    influence is ``w * (score * a[pattern] + b[pattern])``, and covariances need only sums by pattern.
    """

    ranking: Ranking
    centred: Floats
    mean: float
    grid: Floats
    excess: Floats
    local: Floats
    pattern: Ints
    inside: Floats

    @classmethod
    def of(cls, scores: Floats, ranking: Ranking, grid: Floats) -> _GainParts:
        centred, mean = centred_scores(scores, ranking)
        upper = np.cumsum(ranking.sums(ranking.weights))
        upper[-1] = 1.0
        lower = np.concatenate(([0.0], upper[:-1]))
        if ranking.is_constant:
            excess, local = np.zeros(grid.size), np.zeros(grid.size)
        else:
            excess = excess_gain(centred, ranking, grid)
            excess[grid == 1.0] = 0.0
            local = _local_mean(centred, ranking, grid, lower, upper)
        pattern, inside = _patterns(grid, lower, upper)
        return cls(ranking, centred, mean, grid, excess, local, ranking.spread(pattern), inside)

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

    def psi(self, kind: Kind) -> Floats:
        """Influence values (m, k) of the ranked units, 1/n folded in."""
        a, b = self.coefficients(kind)
        psi = a[self.pattern]
        psi *= self.centred[:, None]
        psi += b[self.pattern]
        psi *= self.ranking.weights[:, None]
        return psi

    def cross_products(self, kind: Kind, groups: Codes | None) -> Floats:
        """``psi' psi``, or the same of the sums over groups, without the matrix of influence values."""
        a, b = self.coefficients(kind)
        w, score = self.ranking.weights, self.centred
        if groups is not None:
            from scipy.sparse import coo_array

            shape = (int(groups.max()) + 1, a.shape[0])
            cells = (groups[self.ranking.order], self.pattern)
            sums = coo_array((w * score, cells), shape).tocsr() @ a + coo_array((w, cells), shape).tocsr() @ b
            return np.asarray(sums.T @ sums)
        total = [np.bincount(self.pattern, w * w * score**power, a.shape[0])[:, None] for power in (0, 1, 2)]
        mixed = a.T @ (total[1] * b)
        return np.asarray(a.T @ (total[2] * a) + mixed + mixed.T + b.T @ (total[0] * b))


def _patterns(grid: Floats, lower: Floats, upper: Floats) -> tuple[Ints, Floats]:
    """Pattern of each block (from ``lower`` to ``upper`` in share), and the fraction inside each share by pattern."""
    shares = np.unique(grid)
    before = np.searchsorted(shares, lower, side="right")
    crosses = np.searchsorted(shares, upper, side="left") > before
    key = 2 * before + crosses
    changes = np.concatenate(([True], key[1:] != key[:-1]))
    first = np.flatnonzero(changes)
    inside = np.clip((grid - lower[first, None]) / (upper - lower)[first, None], 0.0, 1.0)
    return np.cumsum(changes) - 1, inside


def _local_mean(centred: Floats, ranking: Ranking, grid: Floats, lower: Floats, upper: Floats) -> Floats:
    """Mean centred score of those ranked near each share: the block that holds it, or a window of ranks."""
    n_effective = 1.0 / float(ranking.weights @ ranking.weights)
    half = 0.5 * n_effective ** (-1.0 / 3.0)
    block = np.minimum(np.searchsorted(upper, grid, side="left"), upper.size - 1)
    wide = upper[block] - lower[block] >= 2.0 * half
    left = np.where(wide, lower[block], np.maximum(grid - half, 0.0))
    right = np.where(wide, upper[block], np.minimum(grid + half, 1.0))
    rise = excess_gain(centred, ranking, right) - excess_gain(centred, ranking, left)
    return np.asarray(rise / (right - left))


def _checked_curve_grid(q: Floats | None) -> Floats:
    grid = default_grid() if q is None else checked_grid(q)
    if grid.size > _MAX_GRID:
        raise DesignError(f"A curve takes at most {_MAX_GRID} shares, not {grid.size}.", hint="Pass a coarser grid.")
    return grid


def _per_unit(amount: float | Floats, n: int, name: str) -> Floats:
    array = np.atleast_1d(np.asarray(amount, dtype=np.float64))
    array = as_finite(array, name)
    if array.size not in (1, n):
        raise DataError(f"{name} has {array.size} values but there are {n} scores.", column=name)
    return array
