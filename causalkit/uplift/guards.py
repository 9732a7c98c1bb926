"""Checks that every evaluation of a ranking makes: a placebo, a null model, and whether the ranking knows the arm."""

from __future__ import annotations

from math import inf

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.sample import Sample
from causalkit.effects.averages import shares
from causalkit.effects.crossfit_study import clusters_of
from causalkit.inference.vcov import sandwich
from causalkit.inference.wald import t_quantile, upper_pvalue
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.heterogeneity import heterogeneity
from causalkit.uplift.ranking import rank_weighted_effect
from causalkit.uplift.ranks import free_groups, rank_units

#: Shuffles of the placebo, and how many rows they may touch in all.
MOST_SHUFFLES, FEWEST_SHUFFLES, ROWS_IN_ALL = 200, 20, 4_000_000
#: p-values below which a guard speaks up: it is read with every evaluation, so it must seldom be wrong.
RARE = 0.01
#: How far the rate of one table may be above the level, as a multiple of it.
TOLERATED = 1.5
RARER = 0.001


def placebo_check(sample: Sample, alpha: float, random_state: int, observed: float) -> Check:
    """Shuffle the treatment, evaluate again, and count how often the ranking is called better than a random one.

    Scores are made anew from the shuffled arms, with the arms' shares as propensities: each has mean zero whatever the
    ranking, so a share ``alpha`` should be called better, over all tables: on one table a test of the right size has a rate
    of its own, so up to one and a half times ``alpha`` passes. Where more are, the standard error is too small for these
    data. Whole clusters are shuffled where the treatment does not vary within them.

    Parameters
    ----------
    sample : Sample
        As :class:`~causalkit.uplift.evaluation.UpliftEvaluation` keeps it.
    alpha : float
        Level of the verdict.
    random_state : int
        Seed of the shuffles.
    observed : float
        The t statistic with the true arms.
    """
    priority, groups = sample.number("priority"), clusters_of(sample)
    folds = sample.groups("fold")
    codes = None if groups is None else groups.codes
    weights = sample.optional("weights")
    if rank_units(priority, weights).is_constant:
        return Check("placebo_treatment", "untestable", "Everybody has the same rank, so there is nothing to shuffle.")
    n_shuffles = int(np.clip(ROWS_IN_ALL // sample.n, FEWEST_SHUFFLES, MOST_SHUFFLES))
    rng = np.random.default_rng(random_state)
    ranking = rank_units(priority, weights)
    found = np.empty(n_shuffles)
    for b in range(n_shuffles):
        scores = _placebo_scores(sample, _shuffled(sample.arms.codes, codes, rng))
        if folds is None:
            effect = rank_weighted_effect(scores, ranking, "autoc", groups=codes)
        else:
            effect = heterogeneity(scores, priority, "autoc", weights, codes, folds.codes).effect
        found[b] = effect.estimate / effect.se if effect.se > 0 else 0.0
    free = free_groups(effect.n_groups, codes)
    called = int(np.sum(found > t_quantile(1.0 - alpha, free)))
    pvalue = float(special.bdtrc(called - 1, n_shuffles, min(TOLERATED * alpha, 0.5))) if called else 1.0
    beyond = int(np.sum(found >= observed))
    message = (
        f"With the treatment shuffled {n_shuffles} times, the ranking was called better than a random one {called} times "
        f"({100 * alpha:g}% is what chance allows); the true arms beat all but {beyond} of the shuffles "
        f"(p-value {fmt.pvalue((1 + beyond) / (1 + n_shuffles))})."
    )
    bad = pvalue < RARE
    advice = "The standard error is too small for these data (heavy tails, few clusters or rows); trust the shuffles."
    return Check(
        "placebo_treatment", "warn" if bad else "pass", message, called / n_shuffles, pvalue, advice if bad else ""
    )


def null_model_check(sample: Sample, alpha: float) -> Check:
    """Say whether the predicted effects are closer to the scores than the average effect, given to everybody, is.

    The loss is the mean squared distance to the doubly robust scores, whose expectation is that to the true effects plus
    a constant. Influence value of the difference: its term, row by row.
    """
    scores, effect = sample.number("held_out_score"), sample.number("predicted_effect")
    if np.ptp(effect) <= 1e-12 * np.abs(effect).max():
        return Check("null_model", "warn", "The predicted effects are the same for everybody.", 0.0, None, _NO_BETTER)
    share, codes, factor, free = _frame(sample)
    average = float(scores[0] + share @ (scores - scores[0]))
    gap, rest = effect - average, scores - average
    terms = gap**2 - 2.0 * gap * rest
    loss = float(share @ terms)
    se = float(np.sqrt(sandwich((share * (terms - loss))[:, None], codes, factor)[0, 0]))
    if se == 0.0:
        return Check("null_model", "untestable", "The scores do not vary, so losses have no error.")
    statistic = loss / se
    pvalue = float(upper_pvalue(statistic, free))
    if loss < 0:
        message = "The predicted effects are closer to the scores than the same effect for all"
        told = f"{message} (that they are not has p-value {fmt.pvalue(1.0 - pvalue)})."
        return Check("null_model", "pass", told, statistic, pvalue)
    message = (
        f"The predicted effects are no closer to the scores than the same effect for all: their mean squared error is "
        f"larger by {fmt.number(loss, 3)} (that they are as close has p-value {fmt.pvalue(pvalue)})."
    )
    return Check("null_model", "fail" if pvalue < alpha else "warn", message, statistic, pvalue, _NO_BETTER)


_NO_BETTER = "Use the order of the ranking if there is evidence for it, and the average effect as the size."


def score_balance_check(sample: Sample) -> Check:
    """Test that ranks do not differ between the arms: a ranking made before the treatment can't know it.

    Ranks are compared by inverse-propensity weighting around their mean, so that arms which differ in covariates may
    differ in rank as far as the propensities explain.
    """
    priority, arms = sample.number("priority"), sample.arms.codes
    share, codes, factor, free = _frame(sample)
    ranking = rank_units(priority, sample.optional("weights"))
    if ranking.is_constant:
        return Check("score_balance", "untestable", "Everybody has the same rank.")
    width = ranking.sums(ranking.weights)
    rank = ranking.unsort(ranking.spread(np.cumsum(width) - 0.5 * width)) - 0.5
    sides = []
    for arm in (1, 0):
        inverse = share * (arms == arm) / sample.number(CHANCES[arm])
        mean = float(inverse @ rank / inverse.sum())
        sides.append((mean, inverse * (rank - mean) / inverse.sum()))
    gap = sides[0][0] - sides[1][0]
    se = float(np.sqrt(sandwich((sides[0][1] - sides[1][1])[:, None], codes, factor)[0, 0]))
    statistic = gap / se if se > 0 else 0.0
    pvalue = 2.0 * float(upper_pvalue(abs(statistic), free))
    message = (
        f"Ranks of the two arms differ by {fmt.number(100 * abs(gap), 2)} percentage points on average "
        f"(p-value {fmt.pvalue(pvalue)})."
    )
    if pvalue >= RARER:
        return Check("score_balance", "pass", message, statistic, pvalue)
    return Check(
        "score_balance", "warn", message, statistic, pvalue,
        "The ranking knows who was treated: it may have been made from what came after the treatment, or the "
        "propensities are wrong.",
    )  # fmt: skip


#: Columns that an evaluated sample keeps of the nuisances, by arm.
EXPECTED = ("expected_outcome_control", "expected_outcome_treated")
CHANCES = ("chance_of_control", "chance_of_treated")


def _frame(sample: Sample) -> tuple[Floats, Codes | None, float, float]:
    """Weights that sum to one, cluster codes, small-sample factor and degrees of freedom."""
    weights, groups = sample.optional("weights"), clusters_of(sample)
    share = shares(sample.n, weights)
    if groups is None:
        return share, None, sample.n / max(sample.n - 1, 1), inf
    count = groups.count
    return share, groups.codes, count / (count - 1), free_groups(count, groups.codes)


def _shuffled(arms: Codes, groups: Codes | None, rng: np.random.Generator) -> Codes:
    """Arms dealt anew, to whole clusters where the arm does not vary within them."""
    if groups is None:
        return rng.permutation(arms)
    first = np.zeros(int(groups.max()) + 1, dtype=arms.dtype)
    first[groups] = arms
    if not np.array_equal(first[groups], arms):
        return rng.permutation(arms)
    used = np.unique(groups)
    first[used] = rng.permutation(first[used])
    return np.asarray(first[groups])


def _placebo_scores(sample: Sample, arms: Codes) -> Floats:
    y, expected = sample.outcome, [sample.number(name) for name in EXPECTED]
    scores = expected[1] - expected[0]
    for arm, sign in ((1, 1.0), (0, -1.0)):
        here = arms == arm
        scores = scores + sign * here * (y - expected[arm]) / here.mean()
    return np.asarray(scores)
