"""Independence of categories within strata: the likelihood-ratio statistic G2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy import special

from causalkit.errors import DesignError
from causalkit.graph.implications import Implication
from causalkit.graph.independence_tests import Outcome, untested
from causalkit.graph.measured import Measured
from causalkit.kernels.arrays import Codes, Floats

#: Where more than this share of the cells is expected to hold fewer than five rows, the p-value comes from permutations.
_SPARSE = 0.2
_DRAWS = 499
#: More values than this are no categories.
_MOST_LEVELS = 50


@dataclass(eq=False)
class Counts:
    """Counts of two columns within each combination of the others.

    Degrees of freedom are counted from what was seen: each stratum adds (rows seen - 1) * (columns seen - 1). Where the
    table is sparse, the chi-square distribution is not trusted: one column is permuted within strata, which is exact
    given the margins, and p = (1 + k) / (1 + B).

    Parameters
    ----------
    data : Measured
    random_state : int
    """

    data: Measured
    random_state: int = 0

    def pvalues(self, implications: Sequence[Implication]) -> Floats:
        """Return the p-values of many implications."""
        return np.array([self.test(one).pvalue for one in implications])

    def test(self, implication: Implication) -> Outcome:
        """Test one implication; the effect is Cramér's V, pooled over strata."""
        columns = (implication.one, implication.two, *sorted(implication.given))
        rows = self.data.rows(frozenset(columns))
        n = int(rows.sum())
        if n < 2:
            return untested("g2", n)
        one, two, *others = (self._codes(column, rows) for column in columns)
        stratum = _combined(others, n)
        shape = (int(stratum.max()) + 1, int(one.max()) + 1, int(two.max()) + 1)
        counts = _table(stratum, one, two, shape)
        expected, df = _expected(counts)
        if df == 0:
            return untested("g2", n)
        g2 = _deviance(counts, expected)
        seen = expected > 0
        pearson = float((((counts - expected) ** 2)[seen] / expected[seen]).sum())
        effect = float(np.sqrt(pearson / (n * (min(shape[1:]) - 1))))
        if np.mean(expected[seen] < 5.0) > _SPARSE:
            p = self._permuted(stratum, one, two, shape, expected, g2)
            return Outcome("g2 (permuted)", effect, nan, nan, g2, nan, p, n)
        return Outcome("g2", effect, nan, nan, g2, float(df), float(special.chdtrc(df, g2)), n)

    def _codes(self, column: int, rows: np.ndarray) -> Codes:
        if self.data.levels[column] > _MOST_LEVELS:
            name = self.data.names[column]
            raise DesignError(
                f"column {name!r} holds {self.data.levels[column]} values, too many to count.",
                hint="Use method='partial_correlation', 'gcm' or 'kernel', or group its values.",
                column=name,
            )
        return self.data.codes(column, rows)

    def _permuted(
        self, stratum: Codes, one: Codes, two: Codes, shape: tuple[int, ...], expected: Floats, g2: float
    ) -> float:
        """p-value by permuting one column within strata."""
        rng = np.random.default_rng(self.random_state)
        order = np.argsort(stratum, kind="stable")
        stratum, one, two = stratum[order], one[order], two[order]
        beyond = 0
        for _ in range(_DRAWS):
            shuffled = two[np.lexsort((rng.random(len(two)), stratum))]
            beyond += _deviance(_table(stratum, one, shuffled, shape), expected) >= g2 - 1e-9 * (1.0 + g2)
        return (1 + beyond) / (1 + _DRAWS)


def _combined(columns: Sequence[Codes], n: int) -> Codes:
    """One code for each combination that was seen."""
    code = np.zeros(n, dtype=np.int64)
    for column in columns:
        code = np.unique(code * (int(column.max()) + 1) + column, return_inverse=True)[1]
    return code.astype(np.int32)


def _table(stratum: Codes, one: Codes, two: Codes, shape: tuple[int, ...]) -> Floats:
    at = (stratum.astype(np.int64) * shape[1] + one) * shape[2] + two
    return np.bincount(at, minlength=shape[0] * shape[1] * shape[2]).reshape(shape).astype(float)


def _expected(counts: Floats) -> tuple[Floats, int]:
    """Expected counts under independence within strata, and the degrees of freedom of what was seen."""
    across, down = counts.sum(axis=2, keepdims=True), counts.sum(axis=1, keepdims=True)
    total = counts.sum(axis=(1, 2), keepdims=True)
    free = ((across > 0).sum(axis=(1, 2)) - 1) * ((down > 0).sum(axis=(1, 2)) - 1)
    return across * down / total, int(free.sum())


def _deviance(counts: Floats, expected: Floats) -> float:
    seen = counts > 0
    return float(max(2.0 * (counts[seen] * np.log(counts[seen] / expected[seen])).sum(), 0.0))
