"""Do units with a higher priority respond more? Effects by quantile group, and the calibration line."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.curves import Curve, curve
from causalkit.uplift.gain_parts import GainParts
from causalkit.uplift.ranks import (
    Ranking,
    Scored,
    as_finite,
    as_ranking,
    centred_scores,
    free_groups,
    psi_vcov,
    rank_units,
    small_sample,
)


@dataclass(frozen=True)
class GroupEffects:
    """Average effects in groups of equal size along the ranking.

    Attributes
    ----------
    upper : Floats (k,)
        Group j holds the shares from ``upper[j - 1]`` (0 for the first) to ``upper[j]`` of the ranking; the first group
        has the highest priority.
    value : Floats (k,)
        Mean effect in each group, in units of the outcome.
    mean_priority : Floats (k,)
        Mean priority in each group: on the diagonal with ``value`` if the priority is a calibrated effect.
    vcov : Floats (k, k)
        Joint covariance, small-sample factor included.
    df : float
        Degrees of freedom of a t statistic of the whole: G - 1 with clusters, infinite without.
    free : Floats (k,)
        Degrees of freedom of each group, by which limits go.
    """

    upper: Floats
    value: Floats
    mean_priority: Floats
    vcov: Floats
    df: float
    free: Floats

    @property
    def se(self) -> Floats:
        """Standard errors (k,)."""
        return np.sqrt(np.diag(self.vcov))


@dataclass(frozen=True)
class Calibration:
    """Line of the scores on the priority.

    Attributes
    ----------
    mean : float
        Average effect: the line's height at the mean priority.
    slope : float
        1 when the priority is a calibrated effect, 0 when it is unrelated to the effect.
    psi : Floats (n, 2)
        Influence values of (mean, slope), 1/n folded in.
    vcov : Floats (2, 2)
        HC1, or CR1 with groups.
    df : float
        Degrees of freedom of a t statistic: G - 1 with groups, infinite without.
    """

    mean: float
    slope: float
    psi: Floats
    vcov: Floats
    df: float = np.inf

    @property
    def se(self) -> Floats:
        """Standard errors of mean and slope (2,)."""
        return np.sqrt(np.diag(self.vcov))


def group_effects(
    scores: Floats | Scored,
    priority: Floats | Ranking,
    n_quantiles: int = 5,
    weights: Floats | None = None,
    groups: Codes | None = None,
    predicted: Floats | None = None,
    gain: Curve | None = None,
) -> GroupEffects:
    """Sorted group average effects (GATES) by quantile of the priority.

    The groups are those of the population, cut at its quantiles: the standard errors include that these are estimated.
    A block of tied units that lies across a cut is shared between the two groups. The size-weighted mean of the groups
    is the mean score.

    Parameters
    ----------
    scores : Floats (n,)
        Doubly robust scores, in units of the outcome.
    priority : Floats (n,)
        Larger comes first; must not have been learned from these rows. For out-of-fold priorities pass
        :func:`causalkit.uplift.folds.fold_ranks`.
    n_quantiles : int
        Number of groups, from 2 to 100.
    weights : Floats (n,), optional
        Non-negative sampling weights.
    groups : Codes (n,), optional
        Independent groups (clusters).
    predicted : Floats (n,), optional
        Predicted effects whose mean is told by group; by default the priority.
    gain : Curve, optional
        The gain curve of the same scores and ranking, where it is there already; used if the cuts are among its shares.

    Returns
    -------
    GroupEffects

    Raises
    ------
    DataError
        See :func:`causalkit.uplift.ranks.rank_units`; or fewer than two independent groups.
    DesignError
        ``n_quantiles`` is out of range or exceeds the number of units.

    References
    ----------
    Chernozhukov, Demirer, Duflo and Fernandez-Val (2025), "Fisher-Schultz lecture: Generic machine learning inference
    on heterogeneous treatment effects in randomized experiments", Econometrica.
    """
    ranking = scores.ranking if isinstance(scores, Scored) else as_ranking(priority, weights)
    if not 2 <= n_quantiles <= min(100, ranking.n_units):
        raise DesignError(
            f"n_quantiles={n_quantiles} does not suit {ranking.n_units} units.", hint="Use between 2 and 100 groups."
        )
    scored = Scored.of(scores, ranking)
    upper = np.arange(1, n_quantiles + 1) / n_quantiles
    known = None if gain is None else np.searchsorted(gain.q, upper)
    if gain is None or known is None or not np.array_equal(gain.q[np.minimum(known, gain.q.size - 1)], upper):
        gain, known = curve(scored, ranking, "gain", upper, groups=groups), np.arange(n_quantiles)
    # mean of group j = (gain(upper_j) - gain(upper_{j-1})) * number of groups
    steps = n_quantiles * (np.eye(n_quantiles) - np.eye(n_quantiles, k=-1))
    parts, (_, n_groups) = GainParts.of(scored, upper), small_sample(ranking, groups)
    free = parts.free(parts.inside @ steps.T, parts.sums(groups), n_groups)
    shown = ranking.values if predicted is None else as_finite(predicted, "predicted").take(ranking.order)
    return GroupEffects(
        read_only(upper),
        read_only(steps @ gain.value[known]),
        read_only(_group_means(shown, scored, upper)),
        read_only(steps @ gain.vcov[np.ix_(known, known)] @ steps.T),
        gain.df,
        read_only(free),
    )


def _group_means(shown: Floats, scored: Scored, upper: Floats) -> Floats:
    """Weighted means of ranked values in groups of equal size; a block that lies across a cut is shared."""
    ranking, edges = scored.ranking, scored.path.share
    block = np.clip(np.searchsorted(edges, upper, side="left") - 1, 0, ranking.starts.size - 1)
    begin, level = ranking.starts[block], float(shown[0])

    def total(start: int, stop: int) -> float:
        return float(ranking.weights[start:stop] @ (shown[start:stop] - level))

    before = np.cumsum([total(a, b) for a, b in pairwise([0, *begin.tolist()])])
    across = np.array(
        [total(a, a + size) for a, size in zip(begin.tolist(), ranking.sizes[block].tolist(), strict=True)]
    )
    inside = np.clip((upper - edges[block]) / (edges[block + 1] - edges[block]), 0.0, 1.0)
    return np.asarray(level + upper.size * np.diff(before + inside * across, prepend=0.0))


def calibration(
    scores: Floats, priority: Floats, weights: Floats | None = None, groups: Codes | None = None
) -> Calibration:
    """Best linear predictor of the effect from the priority: least squares of the scores on 1 and the centred priority.

    This is the BLP on doubly robust scores. It is not grf's ``test_calibration``, which regresses residuals of the
    outcome on residuals of the treatment times the prediction.

    Parameters
    ----------
    scores : Floats (n,)
        Doubly robust scores, in units of the outcome.
    priority : Floats (n,)
        A predicted effect; must not have been learned from these rows.
    weights : Floats (n,), optional
        Non-negative sampling weights.
    groups : Codes (n,), optional
        Independent groups (clusters).

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        See :func:`causalkit.uplift.ranks.rank_units`; or fewer than two independent groups.
    InferenceUnavailable
        The priority is constant, or there are fewer than three units.

    Notes
    -----
    The influence function of the mean is score - mean, that of the slope
    (priority - mean priority) * residual / var(priority).
    """
    ranking = rank_units(priority, weights)
    if ranking.is_constant or ranking.n_units < 3:
        raise InferenceUnavailable(
            "A calibration slope needs at least three units whose priorities differ.",
            hint="All units have the same predicted effect: report the average effect.",
        )
    w = ranking.weights
    y, mean = centred_scores(scores, ranking)
    x, _ = centred_scores(as_finite(priority, "priority"), ranking)
    spread = float(w @ (x * x))
    slope = float(w @ (x * y)) / spread
    psi = ranking.unsort(w[:, None] * np.column_stack((y, x * (y - slope * x) / spread)))
    n = ranking.n_units
    found = psi_vcov(psi, ranking, groups)
    vcov = found.vcov * ((n - 1) / (n - 2))
    return Calibration(mean, slope, read_only(psi), read_only(vcov), free_groups(found.n_groups, groups))
