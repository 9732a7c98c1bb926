"""What a policy earns, from held-out scores: totals with clustered errors, and the size of a hold-out that proves it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from causalkit.core.rows import Groups
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.vcov import sandwich
from causalkit.inference.wald import t_pvalue, t_quantile
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True)
class Profit:
    """A profit over all people of the plan, net of treating nobody.

    Parameters
    ----------
    estimate : float
        Held-out estimate.
    se : float
        Its standard error, robust (clustered where clusters were given).
    df : float
        Degrees of freedom.
    alpha : float
        Level of the one-sided :attr:`lower` limit.
    """

    estimate: float
    se: float
    df: float = np.inf
    alpha: float = 0.05

    def ci(self, alpha: float | None = None) -> tuple[float, float]:
        """Return the two-sided ``1 - alpha`` interval."""
        level = self.alpha if alpha is None else alpha
        if not 0.0 < level < 1.0:
            raise DesignError(f"alpha={alpha!r} is not between 0 and 1.", hint="Use alpha=0.05 for a 95 % interval.")
        half = float(t_quantile(1.0 - level / 2.0, self.df)) * self.se
        return self.estimate - half, self.estimate + half

    @property
    def lower(self) -> float:
        """One-sided lower limit at level ``alpha``."""
        return self.estimate - float(t_quantile(1.0 - self.alpha, self.df)) * self.se

    @property
    def pvalue(self) -> float:
        """One-sided p-value of "the profit is zero or less"."""
        if self.se == 0:
            return 0.0 if self.estimate > 0 else 1.0
        two_sided = float(t_pvalue(self.estimate / self.se, self.df))
        return two_sided / 2.0 if self.estimate > 0 else 1.0 - two_sided / 2.0


def policy_profit(
    probability: Floats,
    net_scores: Floats,
    weights: Floats | None = None,
    groups: Groups | None = None,
    alpha: float = 0.05,
) -> Profit:
    """Estimate the total profit of a policy.

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
        Level of the lower limit.

    Returns
    -------
    Profit
        ``n * mean(probability * net score)``. Its error is that of rolling the policy out to as many new people.
    """
    n = len(net_scores)
    share = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
    earned = probability * net_scores
    mean = float(share @ earned)
    count = n if groups is None else groups.count
    variance = sandwich((share * (earned - mean))[:, None], None if groups is None else groups.codes)[0, 0]
    se = n * sqrt(max(float(variance), 0.0) * count / (count - 1))
    return Profit(n * mean, se, np.inf if groups is None else float(count - 1), alpha)


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
    if middle <= 0 or inside < 0:
        raise InferenceUnavailable(
            f"no hold-out among {n_people:,} people proves a profit of {profit_per_head:.4g} a head with power {power:g}.",
            hint="Roll out to more people, or ask for less power.",
        )
    # the stable form of the smaller root
    size = max(2, ceil(2.0 * variance_held * n_people / (middle + sqrt(inside)) - 1e-9))
    if size > n_people - 2:
        raise InferenceUnavailable(f"{n_people:,} people are too few for a hold-out.", hint="Roll out to more people.")
    return size
