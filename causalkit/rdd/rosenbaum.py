"""Hidden bias: how much unlike the chances of two rows must be to explain a rank sum away (Rosenbaum bounds)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.kernels import rd_permutation
from causalkit.kernels.arrays import Bools, Floats, Ints, read_only
from causalkit.rdd.local_randomization_ranks import doubled_ranks

#: Cells of the table of counts that are worth exact bounds.
_CELLS = 1.5e7
_LARGEST = 100.0


@dataclass(frozen=True, eq=False, repr=False)
class HiddenBias(Report):
    """Bounds of the p-value of the rank sum test under hidden bias.

    Parameters
    ----------
    gammas : Floats, shape (g,)
        Two rows of the window may differ in their odds of lying on the right by up to this factor.
    lower, upper : Floats, shape (g,)
        Bounds of the two-sided p-value.
    breakdown : float
        Smallest factor at which the upper bound reaches ``alpha``; infinite above 100.
    alpha : float
        Level.
    exact : bool
        Whether the bounds are exact; else they are normal approximations.
    checks : Checks
        Empty.
    """

    gammas: Floats
    lower: Floats
    upper: Floats
    breakdown: float
    alpha: float
    exact: bool
    checks: Checks

    @property
    def title(self) -> str:
        """What this is."""
        return "Hidden bias within the window"

    @property
    def answer(self) -> str:
        """What came out."""
        if self.breakdown <= 1.0:
            return f"The rank sum test has no p-value below {fmt.number(self.alpha)} even without hidden bias."
        at = f"above {_LARGEST:g}" if np.isinf(self.breakdown) else fmt.number(self.breakdown, 3)
        return (
            f"Chances to lie on the right must differ between rows by a factor of {at} in odds before the rank sum test "
            f"no longer speaks against no effect (p-value {fmt.number(self.alpha)})."
        )

    def to_table(self) -> Table:
        """Return one row per factor."""
        rows = list(zip(self.gammas.tolist(), self.lower.tolist(), self.upper.tolist(), strict=True))
        return Table.of(("gamma", "pvalue_low", "pvalue_high"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the bounds as part of the assumptions."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table()),)


def hidden_bias(y: Floats, right: Bools, gammas: Sequence[float], alpha: float = 0.05) -> HiddenBias:
    """Bound the p-value of the rank sum test if odds of lying on the right differ by up to a factor.

    Parameters
    ----------
    y : Floats, shape (n,)
        Outcomes of the rows of the window.
    right : Bools, shape (n,)
        Which lie on the right.
    gammas : sequence of float
        Factors, at least 1.
    alpha : float
        Level for the breakdown.

    Notes
    -----
    With the margins fixed, the bounds are reached where the odds are larger by the factor for all rows with the largest
    outcomes, or all with the smallest, beyond some rank (Rosenbaum and Krieger 1990). The probability of a rank sum is then
    exact, by counting, or approximated by its mean and variance where there are many rows. Two-sided p-values are twice the
    one in the direction of the data, at most 1.
    """
    factors = np.asarray(gammas, dtype=np.float64)
    if factors.ndim != 1 or not factors.size or not np.all(np.isfinite(factors)) or factors.min() < 1.0:
        raise DesignError(f"gammas={gammas!r} are not numbers of at least 1.", hint="Pass gammas=[1.5, 2.0].")
    problem = _Problem.of(y, right)
    bounds = np.array([problem.bounds(float(factor)) for factor in factors])
    return HiddenBias(
        read_only(factors),
        read_only(bounds[:, 0].copy()),
        read_only(bounds[:, 1].copy()),
        problem.breakdown(alpha),
        alpha,
        problem.exact,
        Checks({}),
    )


@dataclass(frozen=True, eq=False)
class _Problem:
    """Ranks in falling order, oriented so that the ``k`` units looked at have the larger sum."""

    ranks: Ints
    k: int
    total: int

    @classmethod
    def of(cls, y: Floats, right: Bools) -> _Problem:
        if right.all() or not right.any():
            raise DesignError("all rows are on one side of the cutoff.")
        ranks = doubled_ranks(y)
        if np.all(ranks % 2 == 0):
            ranks = ranks // 2
        chosen = right if 2 * int(right.sum()) <= right.size else ~right  # the smaller side tells as much
        k, total = int(chosen.sum()), int(ranks[chosen].sum())
        if total * right.size < k * int(ranks.sum()):  # below its mean: turn the order around
            ranks = ranks.max() + ranks.min() - ranks
            total = int(ranks[chosen].sum())
        return cls(np.sort(ranks)[::-1].copy(), k, total)

    @property
    def m(self) -> int:
        """Number of rows."""
        return int(self.ranks.size)

    @property
    def exact(self) -> bool:
        """Whether counting is affordable."""
        return float(self.m + 1) * (self.k + 1) * float(self.ranks[: self.k].sum() + 2) <= _CELLS

    @cached_property
    def _tails(self) -> Floats:
        return np.asarray(rd_permutation.split_tails(self.ranks, self.k, self.total))

    def bounds(self, factor: float) -> tuple[float, float]:
        """Lower and upper bound of the two-sided p-value."""
        high = max(self._tail(count, factor) for count in range(1, self.m))
        low = min(self._tail(count, 1.0 / factor) for count in range(1, self.m))
        return min(1.0, 2.0 * low), min(1.0, 2.0 * high)

    def _tail(self, count: int, factor: float) -> float:
        """Probability of at least the observed sum where the ``count`` largest have odds larger by the factor."""
        j, chance = self._from_the_top(count, factor)
        if self.exact:
            return float(chance @ self._tails[count, j])
        mean, variance = self._moments(count, j, chance)
        return float(special.ndtr((mean - self.total) / np.sqrt(variance)))

    def _from_the_top(self, count: int, factor: float) -> tuple[Ints, Floats]:
        """How many of the ``k`` units are among the ``count`` largest: hypergeometric, with odds."""
        m, k = self.m, self.k
        j = np.arange(max(0, k - (m - count)), min(k, count) + 1)
        logs = j * np.log(factor)
        for a, b in ((count, j), (m - count, k - j)):
            logs = logs - special.gammaln(b + 1) - special.gammaln(a - b + 1)
        chance = np.exp(logs - logs.max())
        return j, np.asarray(chance / chance.sum())

    def _moments(self, count: int, j: Ints, chance: Floats) -> tuple[float, float]:
        """Mean and variance of the sum, which is that of two samples without replacement given ``j``."""
        means, variances = np.zeros(j.size), np.zeros(j.size)
        for part, size in ((self.ranks[:count], j), (self.ranks[count:], self.k - j)):
            means += size * part.mean()
            if part.size > 1:
                variances += size * (part.size - size) / part.size * part.var(ddof=1)
        mean = float(chance @ means)
        return mean, float(chance @ (variances + (means - mean) ** 2))

    def breakdown(self, alpha: float) -> float:
        """Smallest factor whose upper bound exceeds the level."""
        if self.bounds(1.0)[1] > alpha:
            return 1.0
        if self.bounds(_LARGEST)[1] <= alpha:
            return float("inf")
        low, high = 1.0, _LARGEST
        while high / low > 1.0 + 1e-6:
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if self.bounds(middle)[1] <= alpha else (low, middle)
        return low
