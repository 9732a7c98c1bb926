"""Profit along the ranking: what each further share of people, or of the budget, would earn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.inference.wald import t_interval
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.uplift.curves import Curve, curve
from causalkit.uplift.ranks import free_groups, rank_units

#: Shares of people on the path.
GRID = np.arange(1, 51) / 50


@dataclass(frozen=True, eq=False)
class Path:
    """Totals when the first share ``q`` of the ranking is treated.

    Parameters
    ----------
    curve : Curve
        Held-out profit per head of everyone, with the joint covariance of its points.
    n : int
        People.
    spend, planned : Floats, shape (k,)
        Expected spend, and profit by the model's predictions.
    average : float
        Held-out profit per head of treating everyone.
    df : float
        Degrees of freedom: clusters minus one, or infinite.
    """

    curve: Curve
    n: int
    spend: Floats
    planned: Floats
    average: float
    df: float

    @property
    def se(self) -> Floats:
        """Standard errors of the totals, shape (k,)."""
        return self.n * np.sqrt(np.maximum(np.diag(self.curve.vcov), 0.0))  # no variance may come out as less than none

    def limits(self, alpha: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Return pointwise limits and the band that holds at all shares at once, as totals: low, high, band low, high."""
        from causalkit.inference.bands import simultaneous_band, sup_t_critical

        value, se = self.n * self.curve.value, self.se
        low, high = t_interval(value, se, self.df, alpha)
        if not se.any():
            return low, high, value, value
        return low, high, *simultaneous_band(value, se, sup_t_critical(self.curve.vcov, alpha, df=self.df))


def profit_path(
    rank: Ints,
    net_scores: Floats,
    gain: Floats,
    cost: Floats,
    share: float,
    weights: Floats | None,
    groups: Codes | None,
) -> Path:
    """Follow the ranking ``rank`` (larger is earlier) from nobody to everyone, through the share of the ranked rule."""
    n = len(rank)
    grid = np.union1d(GRID, [share]) if 0.0 < share < 1.0 else GRID
    ranking = rank_units(rank.astype(float), weights)
    earned = curve(net_scores, ranking, "gain", grid, groups=groups)
    upto = np.concatenate(([0.0], np.cumsum(ranking.sums(ranking.weights))))
    upto[-1] = 1.0

    def total(values: Floats) -> Floats:
        sums = np.cumsum(ranking.sums(ranking.weights * values[ranking.order]))
        return read_only(n * np.interp(grid, upto, np.concatenate(([0.0], sums))))

    average = float(np.average(net_scores, weights=weights))
    return Path(earned, n, total(cost), total(gain), average, free_groups(earned.n_groups, groups))
