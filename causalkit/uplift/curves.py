"""Curves over the share treated: gain, uplift, TOC, excess gain and profit, with pointwise and simultaneous inference.

All follow from the gain curve ``gain(q) = E[score 1{U <= q}]``: what treating the first share ``q`` of the ranking adds
to the mean outcome per head of the whole population (see :mod:`causalkit.uplift.ranking` for ``score`` and ``U``):

    uplift(q) = gain(q) / q                 mean effect among those treated
    toc(q)    = gain(q) / q - gain(1)       ... less the mean effect of all
    excess(q) = gain(q) - q gain(1)         gain over treating a random share q; the area under it is QINI
    profit(q) = gain of value * score - cost
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from causalkit.errors import DataError, DesignError
from causalkit.inference.wald import t_quantile
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.gain_parts import GainParts, Kind
from causalkit.uplift.ranks import (
    Ranking,
    Scored,
    as_finite,
    as_floats,
    checked_grid,
    free_groups,
    small_sample,
)

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
    df : float
        Degrees of freedom of a t statistic of the whole: G - 1 with groups, infinite without.
    free : Floats (k,) or None
        Degrees of freedom of each point, by which limits and bands go: few units carry a small share. None: ``df`` for all.
    """

    kind: str
    q: Floats
    value: Floats
    vcov: Floats
    scale: float
    n_groups: int
    df: float = np.inf
    free: Floats | None = None

    @property
    def se(self) -> Floats:
        """Pointwise standard errors (k,)."""
        return np.sqrt(np.diag(self.vcov))

    def limits(self, alpha: float = 0.05) -> tuple[Floats, Floats]:
        """Pointwise limits (low, high), (k,) each."""
        half = t_quantile(1.0 - alpha / 2.0, self.df if self.free is None else self.free) * self.se
        return self.value - half, self.value + half

    def band(self, alpha: float = 0.05, random_state: int | None = 0) -> tuple[Floats, Floats]:
        """Band (low, high), (k,) each, that holds at all shares of the grid at once with probability 1 - alpha.

        The critical value is that of the largest |t| (sup-t; Montiel Olea and Plagborg-Møller, 2019, "Simultaneous
        confidence bands", Journal of Applied Econometrics 34), carried from the normal to the t distribution of each point.
        ``random_state`` shifts its integration points. Where the curve has no variance the band is a point.
        """
        half = joint_half_widths(self.vcov, self.df if self.free is None else self.free, alpha, random_state)
        return self.value - half, self.value + half

    def to_frame(self, alpha: float = 0.05) -> Any:
        """Table with columns ``q estimate se ci_low ci_high band_low band_high``."""
        import pandas as pd

        (low, high), (band_low, band_high) = self.limits(alpha), self.band(alpha)
        columns = {"q": self.q, "estimate": self.value, "se": self.se, "ci_low": low, "ci_high": high}
        return pd.DataFrame({**columns, "band_low": band_low, "band_high": band_high})


def joint_half_widths(vcov: Floats, free: float | Floats, alpha: float, random_state: int | None = 0) -> Floats:
    """Half-widths (k,) of limits that hold for all estimates at once, each by its own degrees of freedom."""
    from causalkit.inference.bands import sup_t_critical

    se = np.sqrt(np.diag(vcov))
    if not se.any():
        return np.zeros(se.size)
    beyond = special.ndtr(-sup_t_critical(vcov, alpha, random_state=random_state))
    return np.asarray(-t_quantile(beyond, free) * se)


def default_grid(n_grid: int = 100) -> Floats:
    """Equally spaced shares 1/n_grid, 2/n_grid, ..., 1."""
    if not 1 <= n_grid <= _MAX_GRID:
        raise DesignError(f"n_grid={n_grid} is not between 1 and {_MAX_GRID}.")
    return np.arange(1, n_grid + 1) / n_grid


def curve(
    scores: Floats | Scored,
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
    return curves(scores, priority, (kind,), q, weights, groups)[kind]


def curves(
    scores: Floats | Scored,
    priority: Floats | Ranking,
    kinds: Sequence[Kind],
    q: Floats | None = None,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> dict[Kind, Curve]:
    """Several curves at once: takes the same arguments as :func:`curve` and walks along the ranking once."""
    _require_kinds(kinds)
    grid = _checked_curve_grid(q)
    scored = Scored.of(scores, priority, weights)
    scale, n_groups = small_sample(scored.ranking, groups)
    parts = GainParts.of(scored, grid)
    free = free_groups(n_groups, groups)
    sums = parts.sums(groups)
    return {
        kind: Curve(
            kind,
            read_only(grid),
            read_only(parts.values(kind)),
            read_only(scale * parts.cross_products(kind, sums)),
            scale,
            n_groups,
            free,
            read_only(parts.free(parts.coefficients(kind)[0], sums, n_groups)),
        )
        for kind in kinds
    }


def curve_psi(
    scores: Floats | Scored,
    priority: Floats | Ranking,
    kind: Kind = "toc",
    q: Floats | None = None,
    weights: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Values (k,) and influence values (n, k) of a curve: subtract them to compare two priorities on the same rows.

    Takes the same arguments as :func:`curve`; the matrix has 8 n k bytes. 1/n is folded in.
    """
    _require_kinds((kind,))
    grid = _checked_curve_grid(q)
    scored = Scored.of(scores, priority, weights)
    parts = GainParts.of(scored, grid)
    return parts.values(kind), scored.ranking.unsort(parts.psi(kind))


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
    return replace(gain, kind="profit")


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


def _require_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in _KINDS:
            raise DesignError(f"kind={kind!r} is not known.", hint=f"Use one of {', '.join(_KINDS)}.")


def _checked_curve_grid(q: Floats | None) -> Floats:
    grid = default_grid() if q is None else checked_grid(q)
    if grid.size > _MAX_GRID:
        raise DesignError(f"A curve takes at most {_MAX_GRID} shares, not {grid.size}.", hint="Pass a coarser grid.")
    return grid


def _per_unit(amount: float | Floats, n: int, name: str) -> Floats:
    array = as_finite(np.atleast_1d(as_floats(amount, name)), name)
    if array.size not in (1, n):
        raise DataError(f"{name} has {array.size} values but there are {n} scores.", column=name)
    return array
