"""What a policy earns, from held-out scores: totals with clustered errors, and the size of a hold-out that proves it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from causalkit.core.rows import Groups
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.vcov import sandwich
from causalkit.inference.wald import require_alpha, t_pvalue, t_quantile
from causalkit.kernels.arrays import Floats, read_only
from causalkit.uplift.winner import Choice, hybrid_interval, median_unbiased, two_sided_pvalue


@dataclass(frozen=True)
class Profit:
    """A profit over all people of the plan, net of treating nobody.

    Interval, lower limit, p-value and decision are one procedure: a policy is shown to earn if the ``1 - alpha`` interval
    of its profit lies above zero.

    Parameters
    ----------
    held_out : float
        Mean of held-out scores, as a total.
    se : float
        Its standard error, robust (clustered where clusters were given).
    df : float
        Degrees of freedom: number of clusters minus one; infinite without clusters.
    alpha : float
        One minus the coverage of :meth:`ci` and :attr:`lower`.
    choice : Choice, optional
        How far the same scores chose this policy among others (:mod:`causalkit.uplift.winner`). None: it was not chosen.
    """

    held_out: float
    se: float
    df: float = np.inf
    alpha: float = 0.05
    choice: Choice | None = None

    @property
    def estimate(self) -> float:
        """Held-out profit; of a policy that the same scores chose, without the optimism of the choice (median-unbiased)."""
        if self.choice is None or (np.isinf(self.choice.low) and np.isinf(self.choice.high)):
            return self.held_out
        return median_unbiased(self.held_out, self.se, self.choice, self.alpha)

    def ci(self, alpha: float | None = None) -> tuple[float, float]:
        """Return the two-sided ``1 - alpha`` interval."""
        level = self.alpha if alpha is None else alpha
        require_alpha(level)
        if self.choice is not None:
            return hybrid_interval(self.held_out, self.se, self.choice, level, self.df)
        half = float(t_quantile(1.0 - level / 2.0, self.df)) * self.se
        return self.held_out - half, self.held_out + half

    @property
    def lower(self) -> float:
        """Lower end of the ``1 - alpha`` interval: the plan treats people only where it is above zero."""
        return self.ci()[0]

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of "the profit is zero", dual to :meth:`ci`."""
        if self.choice is not None:
            return two_sided_pvalue(self.held_out, self.se, self.choice, self.df)
        if self.se == 0:
            return 1.0 if self.held_out == 0 else 0.0
        return float(t_pvalue(self.held_out / self.se, self.df))


def profit_influence(earned: Floats, weights: Floats | None = None) -> Floats:
    """Return the influence values (n,) of a total ``n * mean(earned)``, small-sample factor left out."""
    share = np.full(len(earned), 1.0) if weights is None else weights * (len(weights) / weights.sum())
    return read_only(share * (earned - float(share @ earned) / len(earned)))


def joint_vcov(influence: Floats, groups: Groups | None) -> Floats:
    """Covariance of totals from their influence values (n, p): clustered, with the factor G / (G - 1)."""
    count = len(influence) if groups is None else groups.count
    return np.asarray(sandwich(influence, None if groups is None else groups.codes) * (count / (count - 1)))


def degrees_of_freedom(groups: Groups | None) -> float:
    """Number of clusters minus one; infinite without clusters."""
    return np.inf if groups is None else float(groups.count - 1)


def policy_profit(
    probability: Floats,
    net_scores: Floats,
    weights: Floats | None = None,
    groups: Groups | None = None,
    alpha: float = 0.05,
) -> Profit:
    """Estimate the total profit of a policy that these scores did not choose.

    Parameters
    ----------
    probability : Floats, shape (n,)
        Probability of treatment of each person; must not depend on her own outcome.
    net_scores : Floats, shape (n,)
        Doubly robust scores of the profit of treating each person.
    weights : Floats, shape (n,), optional
        Weights with mean one.
    groups : Groups, optional
        Clusters.
    alpha : float
        One minus the coverage of the interval.

    Returns
    -------
    Profit
        ``n * mean(probability * net score)``. Its error is that of rolling the policy out to as many new people.
    """
    earned = probability * net_scores
    total = len(earned) * float(np.average(earned, weights=weights))
    variance = joint_vcov(profit_influence(earned, weights)[:, None], groups)[0, 0]
    return Profit(total, sqrt(max(float(variance), 0.0)), degrees_of_freedom(groups), alpha)


def holdout_for(
    profit_per_head: float, n_people: int, variance_treated: float, variance_held: float, alpha: float, power: float
) -> int:
    """Return how many of the people to be treated must be held back at random to prove a profit.

    After the launch, the treated and those held back are compared by a one-sided z test at level ``alpha`` of "the
    profit per head is zero or less", which has the given power if the profit is what was estimated: the smallest h with
    ``variance_treated / (N - h) + variance_held / h <= (profit / (z_alpha + z_power))^2``.

    Raises
    ------
    DesignError
        If the power is not between ``alpha`` and 1.
    InferenceUnavailable
        If there is no profit to prove, or no hold-out is large enough.
    """
    if not alpha < power < 1.0:
        raise DesignError(f"power={power!r} is not between {alpha:g} and 1.", hint="Use power=0.8.")
    if profit_per_head <= 0:
        raise InferenceUnavailable("there is no profit to prove.", hint="The plan treats nobody, or earns nothing.")
    z = float(t_quantile(1.0 - alpha, np.inf)) + float(t_quantile(power, np.inf))
    allowed = (profit_per_head / z) ** 2
    # allowed * h * (N - h) = variance_treated * h + variance_held * (N - h): the smaller root
    middle = allowed * n_people - variance_treated + variance_held
    inside = middle**2 - 4.0 * allowed * variance_held * n_people
    possible = middle > 0 and inside >= 0
    # the stable form of the smaller root
    size = max(2, ceil(2.0 * variance_held * n_people / (middle + sqrt(inside)) - 1e-9)) if possible else 2
    if size > n_people - 2:
        raise InferenceUnavailable(f"{n_people:,} people are too few for a hold-out.", hint="Roll out to more people.")
    if not possible or variance_treated / (n_people - size) + variance_held / size > allowed * (1.0 + 1e-9):
        raise InferenceUnavailable(
            f"no hold-out among {n_people:,} people proves a profit of {profit_per_head:.4g} a head with power {power:g}.",
            hint="Roll out to more people, or ask for less power.",
        )
    return size
