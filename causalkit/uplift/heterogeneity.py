"""Does a ranking of people beat a random one? The verdict that evaluation, segmentation and targeting share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.inference.wald import upper_pvalue
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.folds import by_fold
from causalkit.uplift.ranking import METHODS, Method, RankWeighted, rank_weighted_effect, rank_weighted_effects
from causalkit.uplift.ranks import Ranking, Scored, free_groups

FOUND = "The ranking is better than a random one"
NOT_FOUND = "No evidence of heterogeneity"


@dataclass(frozen=True)
class Heterogeneity:
    """A rank-weighted effect with its one-sided test.

    Parameters
    ----------
    effect : RankWeighted
        Estimate, influence values and standard error (fold-valid where the effects are out of fold).
    pvalue : float
        One-sided: of a ranking no better than chance against one that is better.
    is_constant : bool
        Whether everybody has the same rank or the same score, so that there is nothing to test.
    is_flat : bool
        Whether it is the scores that are all the same.
    """

    effect: RankWeighted
    pvalue: float
    is_constant: bool
    is_flat: bool = False

    def found(self, alpha: float) -> bool:
        """Whether the ranking is better than a random one, at one-sided level ``alpha``."""
        return self.pvalue < alpha

    def verdict(self, alpha: float) -> str:
        """Say in one sentence what was found."""
        if self.is_flat:
            return f"{NOT_FOUND}: all held-out scores are the same, so nothing can be learned about the ranking."
        if self.is_constant:
            return f"{NOT_FOUND}: everybody has the same predicted effect, so there is no ranking."
        told = f"{self.effect.method.upper()} {fmt.number(self.effect.estimate, 3)}"
        tail = f"standard error {fmt.number(self.effect.se, 3)}, one-sided p-value {fmt.pvalue(self.pvalue)}"
        if self.found(alpha):
            return f"{FOUND}: {told} ({tail})."
        return f"{NOT_FOUND}: the ranking can't be told from a random one, {told} ({tail})."

    def check(self, alpha: float) -> Check:
        """Return the check ``heterogeneity``: a pass means that the ranking is better than a random one."""
        real = self.found(alpha)
        return Check(
            "heterogeneity",
            "pass" if real else "warn",
            self.verdict(alpha),
            statistic=self.effect.estimate / self.effect.se if self.effect.se > 0 else 0.0,
            pvalue=self.pvalue,
            advice="" if real else "Don't choose people by this ranking; treat all or none, or collect more data.",
        )


def heterogeneities(
    scores: Floats | Scored,
    priority: Floats | Ranking,
    weights: Floats | None = None,
    groups: Codes | None = None,
    folds: Codes | None = None,
) -> dict[Method, Heterogeneity]:
    """Estimate AUTOC and QINI and test each one-sided; a Ranking (without folds) is not sorted again."""
    if folds is not None:
        assert not isinstance(priority, Ranking)
        assert not isinstance(scores, Scored)
        return {method: heterogeneity(scores, priority, method, weights, groups, folds) for method in METHODS}
    scored = Scored.of(scores, priority, weights)
    found = rank_weighted_effects(scored, scored.ranking, None, groups)
    flat = not scored.centred.any()
    return {method: _tested(effect, groups, flat) for method, effect in found.items()}


def heterogeneity(
    scores: Floats,
    priority: Floats,
    method: Method = "autoc",
    weights: Floats | None = None,
    groups: Codes | None = None,
    folds: Codes | None = None,
) -> Heterogeneity:
    """Estimate a rank-weighted effect and test it one-sided.

    With ``folds`` the priority is out of fold: ranks are taken within folds, and the variance is that of
    :func:`causalkit.uplift.folds.by_fold`, which is valid although each fold's outcomes taught the other folds' ranking.
    """
    if folds is not None:
        found = by_fold(scores, priority, folds, method, weights, groups)
        return Heterogeneity(found.effect, found.pvalue, not found.fold_se.any(), not np.ptp(scores))
    return _tested(rank_weighted_effect(scores, priority, method, weights, groups), groups, not np.ptp(scores))


def _tested(effect: RankWeighted, groups: Codes | None, flat: bool) -> Heterogeneity:
    free = free_groups(effect.n_groups, groups)
    pvalue = float(upper_pvalue(effect.estimate / effect.se, free)) if effect.se > 0 else 1.0
    return Heterogeneity(effect, pvalue, not effect.psi.any(), flat)
