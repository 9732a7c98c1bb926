"""Rank-weighted effects when the ranking was learned on the same data, fold by fold.

A model that ranks fold k was trained on other folds, so the priorities of two folds come from different models: they
are never ranked together here. That leaves the question of inference. Write t_k for fold k's statistic.

*Out-of-fold* ranking (fold k ranked by a model of all other folds). Under no heterogeneity t_k is close to a product
<noise in k, noise in the others>. For a learner that is a symmetric smoother of the noise (ridge, kernels) each pair of
folds occurs twice in the sum, once in t_k and once in t_j, so that its variance is twice the sum of the variances. To
take the t_k as independent rejects far too often. :func:`by_fold` doubles the variance (exact for such learners; safe
in simulations, but not proven, for others).

*Sequential* ranking (fold k ranked by a model of the folds before it). The t_k are martingale differences, so that
their sum over sqrt(number) is standard normal with no condition on the learner (Luedtke and van der Laan, 2016,
"Statistical inference for the mean outcome under a possibly non-unique optimal treatment strategy", Annals of
Statistics 44(2); Wager, 2024, "Sequential validation of treatment heterogeneity", arXiv:2405.05534).
:func:`by_fold_sequential` does that: it is what a verdict on heterogeneity should rest on when there is no separate
evaluation sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.inference.wald import upper_pvalue
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.uplift.ranking import Method, RankWeighted, rank_weighted_effect
from causalkit.uplift.ranks import as_finite, free_groups, group_sums, rank_units


@dataclass(frozen=True)
class FoldEffect:
    """A rank-weighted effect put together from folds.

    Attributes
    ----------
    effect : RankWeighted
        The combined estimate, with influence values over all rows (zero in folds that do not enter).
    fold_estimates : Floats (K,)
        Estimate within each fold that enters, by rising fold.
    fold_se : Floats (K,)
        Standard error within each fold that enters; 0 where the model ranked all units alike.
    folds : Ints (K,)
        Codes of these folds.
    statistic : float
        ``estimate / se``; 0 when no fold has a ranking.
    pvalue : float
        One-sided: of a ranking that is no better than chance against one that is. Normal, or t(G - 1) with G groups.
    """

    effect: RankWeighted
    fold_estimates: Floats
    fold_se: Floats
    folds: Ints
    statistic: float
    pvalue: float


def by_fold(
    scores: Floats,
    priority: Floats,
    folds: Codes,
    method: Method = "autoc",
    weights: Floats | None = None,
    groups: Codes | None = None,
    variance_factor: float = 2.0,
) -> FoldEffect:
    """Average of the folds' rank-weighted effects when each fold is ranked by a model trained on all the others.

    Parameters
    ----------
    scores : Floats (n,)
        Cross-fitted doubly robust scores.
    priority : Floats (n,)
        Out-of-fold predictions.
    folds : Codes (n,)
        Fold of each row, not negative.
    method : {"autoc", "qini"}
        Which functional of the TOC curve.
    weights : Floats (n,), optional
        Non-negative sampling weights. Folds are averaged by their total weight.
    groups : Codes (n,), optional
        Independent groups (clusters); a group must lie within one fold.
    variance_factor : float
        By how much the folds' dependence inflates the variance under no heterogeneity. 1 treats folds as independent:
        its one-sided test at 5 % rejects about 10 % of the time under the null.

    Returns
    -------
    FoldEffect
        ``effect.scale`` holds the variance factor, so standard error, interval and p-value agree.

    Raises
    ------
    DataError
        See :func:`causalkit.uplift.ranking.rank_weighted_effect`; or a group spans folds.
    DesignError
        ``variance_factor`` is less than 1.
    """
    if not variance_factor >= 1.0:
        raise DesignError(
            f"variance_factor={variance_factor!r} is less than 1.", hint="Use 2, or 1 for independent folds."
        )
    parts = _Folds.of(scores, priority, folds, weights, groups, skip_first=False)
    effects = parts.effects(method)
    share = parts.weight_shares()
    psi = np.zeros(parts.n)
    for part, effect, rows in zip(share, effects, parts.rows, strict=True):
        psi[rows] = part * effect.psi
    estimates = np.array([effect.estimate for effect in effects])
    n_groups = sum(effect.n_groups for effect in effects)
    scale = variance_factor * n_groups / (n_groups - 1)
    return parts.combine(effects, method, float(share @ estimates), psi, scale)


def by_fold_sequential(
    scores: Floats,
    priority: Floats,
    folds: Codes,
    method: Method = "autoc",
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> FoldEffect:
    """Rank-weighted effect when each fold is ranked by a model trained on the folds before it.

    Fold estimates are averaged by the inverse of their standard errors, so that ``estimate / se`` is the sum of the
    folds' t-statistics over the square root of their number.

    Parameters
    ----------
    scores : Floats (n,)
        Cross-fitted doubly robust scores.
    priority : Floats (n,)
        Row i of fold k holds the prediction of a model trained on folds 0, ..., k - 1 only. The lowest fold has no such
        model: its values are not read and may be NaN.
    folds : Codes (n,)
        Fold of each row, drawn at random and not negative; the codes are the order.
    method : {"autoc", "qini"}
        Which functional of the TOC curve.
    weights : Floats (n,), optional
        Non-negative sampling weights.
    groups : Codes (n,), optional
        Independent groups (clusters); a group must lie within one fold.

    Returns
    -------
    FoldEffect
        Folds whose model ranks all units alike carry no information and get no weight (this is known before their
        outcomes are seen, so the test stays valid); if all are such, the estimate is 0 and the p-value 1.

    Raises
    ------
    DataError
        See :func:`causalkit.uplift.ranking.rank_weighted_effect`; fewer than two folds; or a group spans folds.
    """
    parts = _Folds.of(scores, priority, folds, weights, groups, skip_first=True)
    effects = parts.effects(method)
    inverse = np.array([1.0 / effect.se if effect.se > 0 else 0.0 for effect in effects])
    psi = np.zeros(parts.n)
    if not inverse.any():
        return parts.combine(effects, method, 0.0, psi, 1.0)
    share = inverse / inverse.sum()
    for part, effect, rows in zip(share, effects, parts.rows, strict=True):
        psi[rows] = part * np.sqrt(effect.scale) * effect.psi
    estimates = np.array([effect.estimate for effect in effects])
    return parts.combine(effects, method, float(share @ estimates), psi, 1.0)


def fold_ranks(priority: Floats, folds: Codes, weights: Floats | None = None) -> Floats:
    """Share of its fold that a unit outranks, in [0, 1], ties counted half: priorities made comparable across folds.

    Curves of out-of-fold priorities should be drawn from these. Their standard errors describe the noise of the scores
    given the rankings; they are not a test of heterogeneity (see the module's notes).

    Parameters
    ----------
    priority : Floats (n,)
        Out-of-fold predictions, each fold from its own model.
    folds : Codes (n,)
        Fold of each row, not negative.
    weights : Floats (n,), optional
        Non-negative sampling weights.

    Returns
    -------
    Floats (n,)
        0 for rows of weight zero.

    Raises
    ------
    DataError
        See :func:`causalkit.uplift.ranks.rank_units`.
    """
    priority = as_finite(priority, "priority")
    out = np.zeros(priority.size)
    for code in np.unique(folds):
        rows = np.flatnonzero(folds == code)
        ranking = rank_units(priority[rows], None if weights is None else weights[rows])
        width = ranking.sums(ranking.weights)
        out[rows] = ranking.unsort(ranking.spread(1.0 - (np.cumsum(width) - 0.5 * width)))
    return out


@dataclass(frozen=True)
class _Folds:
    """The rows of each fold that enters, and what is evaluated on them."""

    n: int
    scores: Floats
    priority: Floats
    weights: Floats | None
    groups: Codes | None
    codes: Ints
    rows: list[Ints]

    @classmethod
    def of(
        cls,
        scores: Floats,
        priority: Floats,
        folds: Codes,
        weights: Floats | None,
        groups: Codes | None,
        *,
        skip_first: bool,
    ) -> _Folds:
        scores = np.asarray(scores, dtype=np.float64)
        for name, array in (("priorities", priority), ("folds", folds), ("weights", weights), ("groups", groups)):
            if array is not None and np.shape(array) != scores.shape:
                raise DataError(f"There are {scores.size} scores but {name} of shape {np.shape(array)}.")
        if groups is not None:
            _require_nested(groups, folds)
        codes = np.unique(folds).astype(np.int64)
        if codes.size < 2:
            raise DataError("Fold-wise evaluation needs at least two folds.", hint="Pass the folds used in training.")
        codes = codes[1:] if skip_first else codes
        rows = [np.flatnonzero(folds == code) for code in codes]
        return cls(scores.size, scores, np.asarray(priority, dtype=np.float64), weights, groups, codes, rows)

    def effects(self, method: Method) -> list[RankWeighted]:
        """The rank-weighted effect within each fold."""
        return [
            rank_weighted_effect(
                self.scores[rows],
                self.priority[rows],
                method,
                None if self.weights is None else self.weights[rows],
                None if self.groups is None else self.groups[rows],
            )
            for rows in self.rows
        ]

    def weight_shares(self) -> Floats:
        """Each fold's share of the total weight."""
        size = [float(rows.size) if self.weights is None else float(self.weights[rows].sum()) for rows in self.rows]
        return np.array(size) / sum(size)

    def combine(
        self, effects: list[RankWeighted], method: Method, estimate: float, psi: Floats, scale: float
    ) -> FoldEffect:
        """Join estimate and influence values with the one-sided test."""
        sums = psi if self.groups is None else group_sums(psi, self.groups)
        se = sqrt(scale * float(sums @ sums))
        statistic = estimate / se if se > 0 else 0.0
        n_groups = sum(effect.n_groups for effect in effects)
        return FoldEffect(
            RankWeighted(method, estimate, read_only(psi), se, scale, n_groups),
            read_only(np.array([effect.estimate for effect in effects])),
            read_only(np.array([effect.se for effect in effects])),
            read_only(self.codes),
            statistic,
            float(upper_pvalue(statistic, free_groups(n_groups, self.groups))) if se > 0 else 1.0,
        )


def _require_nested(groups: Codes, folds: Codes) -> None:
    """Raise when a group has rows in two folds: its noise would be in training and evaluation at once."""
    first = np.full(int(groups.max()) + 1, -1, dtype=np.int64)
    first[groups[::-1]] = folds[::-1]
    split = np.flatnonzero(first[groups] != folds)
    if split.size:
        raise DataError(
            f"{np.unique(groups[split]).size} groups have rows in more than one fold, the first in row {split[0]}.",
            hint="Assign whole clusters to folds.",
            column="groups",
            rows=split[:5].tolist(),
        )
