"""Rosenbaum bounds: how much matched people may differ in their odds of treatment (Rosenbaum 2002, chapter 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True, eq=False)
class RosenbaumBounds:
    """Signed-rank test of matched pairs under hidden bias.

    Parameters
    ----------
    differences : Floats, shape (pairs,)
        Treated minus control; pairs without a difference are left out, as the signed-rank test does.
    n_zero : int
        Pairs left out.
    """

    differences: Floats
    n_zero: int

    @property
    def statistic(self) -> float:
        """Sum of the ranks of the positive differences."""
        return float(self._ranks[self.differences > 0].sum())

    def pvalues(self, gamma: float) -> tuple[float, float]:
        """Return the bounds of the one-sided p-value (greater) where odds differ by at most a factor.

        Parameters
        ----------
        gamma : float
            At least 1.
        """
        from scipy.stats import norm

        if not 1 <= gamma < np.inf:
            raise DesignError(f"gamma={gamma} is below 1 or not finite.", hint="1 means no hidden bias.")
        ranks, total = self._ranks, self._ranks.sum()
        spread = np.sqrt(gamma * (ranks @ ranks)) / (1 + gamma)
        low, high = (
            norm.sf((self.statistic - share * total) / spread) for share in (1 / (1 + gamma), gamma / (1 + gamma))
        )
        return float(low), float(high)

    def critical_gamma(self, alpha: float = 0.05) -> float:
        """Return the gamma at which the upper bound of the p-value reaches ``alpha``; 1 where it is above at once.

        Parameters
        ----------
        alpha : float
            Level of the one-sided test.
        """
        from scipy.optimize import brentq

        if self.pvalues(1.0)[1] >= alpha:
            return 1.0
        high = 2.0
        while self.pvalues(high)[1] < alpha:
            high *= 2
            if high > 1e12:
                return float("inf")
        return float(brentq(lambda gamma: self.pvalues(gamma)[1] - alpha, 1.0, high, xtol=1e-13, rtol=1e-14))

    @property
    def _ranks(self) -> Floats:
        from scipy.stats import rankdata

        ranks: Floats = rankdata(np.abs(self.differences))
        return ranks


def rosenbaum_bounds(differences: ArrayLike) -> RosenbaumBounds:
    """Return the signed-rank test of matched pairs, ready to be asked under hidden bias.

    Parameters
    ----------
    differences : array, shape (pairs,)
        Outcome of the treated minus that of the control of each pair. For an effect below zero, turn the sign.

    Returns
    -------
    RosenbaumBounds
        ``statistic``, ``pvalues(gamma)``, ``critical_gamma(alpha)``.

    Raises
    ------
    DataError
        If a difference is missing or infinite, or none differs from zero.
    """
    try:
        values = np.asarray(differences, dtype=float)
    except (TypeError, ValueError):
        raise DataError("the differences are not numbers.", hint="Pass treated minus control of each pair.") from None
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"{int(bad.sum())} differences are missing or infinite (first in row {int(np.flatnonzero(bad)[0])}).",
            hint="Leave out pairs without both outcomes.",
        )
    kept = values[values != 0]
    if not len(kept):
        raise DataError("no pair has a difference.", hint="The signed-rank test ranks differences.")
    return RosenbaumBounds(kept, len(values) - len(kept))
