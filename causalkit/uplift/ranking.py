"""Does a priority rank units by their effect? TOC, AUTOC and QINI from doubly robust scores and one sort.

All functions work on arrays. ``scores`` holds one doubly robust (or inverse-propensity) score per unit, whose mean over
any set of units chosen without looking at the scores is the average effect in that set; ``priority`` says who would be
treated first (largest first).

The targets (Yadlowsky, Fleming, Shah, Brunskill and Wager, 2025, "Evaluating treatment prioritization rules via
rank-weighted average treatment effects", JASA), with ``U = P(S' > S)`` the share ranked above a unit:

    TOC(q) = E[score | U <= q] - E[score]
    AUTOC  = integral over (0, 1] of TOC(q) dq       = E[score * (-log U - 1)]
    QINI   = integral over (0, 1] of q * TOC(q) dq   = E[score * (1/2 - U)]

Units with equal priority share one block: each gets the block's mean score, and within the block light and heavy units
alternate, so that no value depends on the order of the rows. A constant priority carries no information: its AUTOC and
QINI are exactly 0 with standard error 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.ranks import (
    Ranking,
    Scored,
    as_ranking,
    centred_scores,
    checked_grid,
    excess_gain,
    group_sums,
    rank_units,
    small_sample,
)

__all__ = [
    "Method",
    "RankWeighted",
    "Ranking",
    "paired_difference",
    "rank_units",
    "rank_weighted_effect",
    "toc",
]

Method = Literal["autoc", "qini"]
METHODS: tuple[Method, ...] = ("autoc", "qini")


@dataclass(frozen=True)
class RankWeighted:
    """A rank-weighted average treatment effect.

    Attributes
    ----------
    method : {"autoc", "qini"}
        Which functional of the TOC curve.
    estimate : float
        In units of the outcome.
    psi : Floats (n,)
        Influence values with 1/n folded in: they sum to zero (nearly, where weights differ), and the variance is the sum of
        their squared group sums.
    se : float
        ``sqrt(scale * sum_g (sum_{i in g} psi_i)^2)``.
    scale : float
        Small-sample factor G / (G - 1), with G the number of groups (units without groups).
    n_groups : int
        Number of independent groups of positive weight.
    """

    method: Method
    estimate: float
    psi: Floats
    se: float
    scale: float
    n_groups: int


def toc(scores: Floats, priority: Floats | Ranking, q: Floats, weights: Floats | None = None) -> Floats:
    """Targeting operator characteristic: how much larger the effect is among the first ``q`` than in everyone.

    Between two units the share is filled with a fraction of the next unit (or block of ties).

    Parameters
    ----------
    scores : Floats (n,)
        Doubly robust scores, in units of the outcome.
    priority : Floats (n,) or Ranking
        Larger is treated first.
    q : Floats (k,)
        Shares of the (weighted) population, in (0, 1].
    weights : Floats (n,), optional
        Non-negative sampling weights; not together with a Ranking, which has its own.

    Returns
    -------
    Floats (k,)
        TOC(q), in units of the outcome; TOC(1) is 0.

    Raises
    ------
    DataError
        See :func:`rank_units`; or ``q`` lies outside (0, 1].
    """
    ranking = as_ranking(priority, weights)
    grid = checked_grid(q)
    centred, _ = centred_scores(scores, ranking)
    return excess_gain(centred, ranking, grid) / grid


def rank_weighted_effect(
    scores: Floats,
    priority: Floats | Ranking,
    method: Method = "autoc",
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> RankWeighted:
    """Area under the TOC curve, with its influence values.

    The estimate is the right-endpoint sum over ranked units i with weight w_i (summing to 1), cumulative weight A_i and
    cumulative centred score C_i = sum_{j<=i} w_j (score_j - mean):

        AUTOC = sum_i w_i C_i / A_i,        QINI = sum_i w_i C_i.

    Parameters
    ----------
    scores : Floats (n,)
        Doubly robust scores, in units of the outcome.
    priority : Floats (n,) or Ranking
        Larger is treated first. Must not have been learned from these rows (see :mod:`causalkit.uplift.folds`).
    method : {"autoc", "qini"}
        AUTOC favours who comes first and finds effects in small groups; QINI weights by the share treated and finds
        effects spread over many.
    weights : Floats (n,), optional
        Non-negative sampling weights; a row of weight zero counts as dropped.
    groups : Codes (n,), optional
        Independent groups (clusters); without them each row is one.

    Returns
    -------
    RankWeighted

    Raises
    ------
    DataError
        See :func:`rank_units`; or fewer than two groups.
    DesignError
        ``method`` is unknown.

    Notes
    -----
    *Influence function.* Both targets are functionals of the joint law of (score, priority). With
    G(q) = E[score 1{U <= q}] and m(q) = E[score | U = q], estimating the q-quantile of the priority moves G(q) by
    -m(q) (1{U <= q} - q), so that G(q) has influence

        (score - m(q)) 1{U <= q} + q m(q) - G(q).

    TOC(q) = G(q) / q - G(1). Integrating over q, and using d(G/q)/dq = (m - G/q)/q to remove m, gives with
    M(q) = G(q)/q, all after centring the scores at their mean:

        AUTOC:  score * (-log U - 1)  +  M(U) - integral_U^1 M(q)/q dq  -  AUTOC
        QINI:   score * (1/2 - U)     +  G(U) - 2 QINI

    The first term is the noise of the scores, the second that of the ranking's quantiles. The code uses the sample
    versions obtained by differentiating the estimate with respect to the weight of each unit (infinitesimal jackknife;
    the block formula is differentiated for ties). AUTOC and QINI average over q, so no density or smoothing is needed.

    *Weights.* A unit with much of the weight moves the estimate by more than its derivative says. Where weights differ, psi
    is therefore (n - 1) / n times the change of the estimate when the unit is left out (jackknife; the psi then sum to zero
    only nearly). With log-normal weights of sigma 1, 1.5, 2 and 2.5 (n = 500, 800 draws) the root mean square of AUTOC's
    standard error is .99, 1.00, 1.03 and 1.08 of the true one; the derivative alone gives .95, .87, .78 and .72. With equal
    weights psi is the derivative, as in grf.
    """
    if method not in METHODS:
        raise DesignError(f"method={method!r} is not known.", hint="Use 'autoc' or 'qini'.")
    return rank_weighted_effects(scores, priority, weights, groups)[method]


def rank_weighted_effects(
    scores: Floats | Scored,
    priority: Floats | Ranking,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> dict[Method, RankWeighted]:
    """AUTOC and QINI at once: takes the same arguments as :func:`rank_weighted_effect` and sorts no more often."""
    from causalkit.kernels.ranking import areas_and_influence, jackknife

    scored = Scored.of(scores, priority, weights)
    ranking, centred = scored.ranking, scored.centred
    make = np.empty if ranking.n_units == ranking.n and not ranking.is_constant else np.zeros
    psi, areas = make((2, ranking.n)), (0.0, 0.0)
    if not ranking.is_constant:
        where = (ranking.weights, centred, ranking.starts, ranking.order)
        areas = areas_and_influence(*where, psi[0], psi[1])
        if ranking.is_weighted:
            jackknife(*where, *areas, psi[0], psi[1])
    out: dict[Method, RankWeighted] = {}
    for method, area, values in zip(METHODS, areas, psi, strict=True):
        scale, n_groups = small_sample(ranking, groups)
        sums = values if groups is None else group_sums(values, groups)
        se = float(np.sqrt(scale * float(sums @ sums)))
        out[method] = RankWeighted(method, area, read_only(values), se, scale, n_groups)
    return out


def paired_difference(a: RankWeighted, b: RankWeighted, groups: Codes | None = None) -> RankWeighted:
    """Effect of ranking by one priority rather than by another, on the same rows.

    Parameters
    ----------
    a, b : RankWeighted
        Same method, same rows and weights.
    groups : Codes (n,), optional
        The groups used for both.

    Returns
    -------
    RankWeighted
        ``a - b`` with the standard error of the paired difference: influence values are subtracted unit by unit.

    Raises
    ------
    DesignError
        The two differ in method or in their rows.
    """
    if a.method != b.method or a.psi.shape != b.psi.shape:
        raise DesignError(
            f"A difference of {a.method} on {a.psi.size} rows and {b.method} on {b.psi.size} rows is not paired.",
            hint="Evaluate both priorities with one method on the same rows.",
        )
    psi = a.psi - b.psi
    total = psi if groups is None else group_sums(psi, groups)
    se = float(np.sqrt(a.scale * (total @ total)))
    return RankWeighted(a.method, a.estimate - b.estimate, read_only(psi), se, a.scale, a.n_groups)
