"""Tests of conditional independence: what each returns, partial correlations, and which test suits which columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal, Protocol

import numpy as np
from scipy import special

from causalkit.errors import DesignError
from causalkit.graph.implications import Implication
from causalkit.graph.measured import FEW, Measured
from causalkit.inference.wald import t_pvalue
from causalkit.kernels.arrays import Floats

TestMethod = Literal["auto", "partial_correlation", "gcm", "kernel", "g2"]
METHODS = ("auto", "partial_correlation", "gcm", "kernel", "g2")
#: A variance of this share of the whole, once others are known, is none: the variable is a function of them.
_NOTHING_LEFT = 1e-11


@dataclass(frozen=True)
class Outcome:
    """What a test of one independence found.

    Parameters
    ----------
    method : str
        The test.
    effect : float
        Size of the dependence, 0 for none and 1 for complete; NaN where it could not be tested.
    low, high : float
        Its 95% interval; NaN where the test has none.
    statistic, df : float
        ``df`` is infinite for a normal statistic and NaN where no one number describes the distribution.
    pvalue : float
    n : int
        Complete rows.
    """

    method: str
    effect: float
    low: float
    high: float
    statistic: float
    df: float
    pvalue: float
    n: int


class IndependenceTest(Protocol):
    """Tests implications on the columns it was made with; the numbers in them are positions of columns."""

    def test(self, implication: Implication) -> Outcome:
        """Test one."""
        ...

    def pvalues(self, implications: Sequence[Implication]) -> Floats:
        """Return the p-values of many."""
        ...


def untested(method: str, n: int) -> Outcome:
    """Return the outcome of a test that the data can't carry out."""
    return Outcome(method, nan, nan, nan, nan, nan, nan, n)


@dataclass(eq=False)
class PartialCorrelation:
    """Linear dependence of two columns that is left once others are known; exact for normal columns.

    One correlation matrix serves all tests on the same rows; for each test the part of it that is concerned is reduced by
    the Cholesky factor of the conditioning set. t = r sqrt(df / (1 - r**2)) with df = n - 2 - size of the set.

    Parameters
    ----------
    data : Measured
    """

    data: Measured
    _correlations: dict[frozenset[int], tuple[Floats, int]] = field(default_factory=dict)

    def test(self, implication: Implication) -> Outcome:
        """Test one implication."""
        r, n = self._partial([implication])
        df = n[0] - 2 - len(implication.given)
        if df < 1 or np.isnan(r[0]):
            return untested("partial_correlation", int(n[0]))
        t, p = _student(r, df)
        low, high = _fisher(r[0], df)
        return Outcome("partial_correlation", float(r[0]), low, high, float(t[0]), float(df), float(p[0]), int(n[0]))

    def pvalues(self, implications: Sequence[Implication]) -> Floats:
        """Return the p-values of many implications at once; NaN where one can't be tested."""
        r, n = self._partial(implications)
        df = n - 2 - np.array([len(one.given) for one in implications])
        return np.where(df < 1, nan, _student(r, np.maximum(df, 1))[1])

    def _partial(self, implications: Sequence[Implication]) -> tuple[Floats, Floats]:
        """Partial correlations and complete rows, those of the same size and rows in one go."""
        r, n = np.empty(len(implications)), np.empty(len(implications))
        alike: dict[tuple[int, frozenset[int]], list[int]] = {}
        gaps = self.data.gaps
        for at, (one, two, given) in enumerate(implications):
            lost = gaps & {one, two, *given} if gaps else gaps
            alike.setdefault((len(given), lost), []).append(at)
        for (_, lost), members in alike.items():
            matrix, rows = self._correlation(lost)
            columns = np.array([[*sorted(implications[at].given), *implications[at][:2]] for at in members])
            r[members], n[members] = partial_correlations(matrix, columns), rows
        return r, n

    def _correlation(self, lost: frozenset[int]) -> tuple[Floats, int]:
        """Correlations on the rows where some columns are there."""
        if lost not in self._correlations:
            x = self.data.values[self.data.rows(lost)] if lost else self.data.values
            if len(x) < 3:
                self._correlations[lost] = np.full((x.shape[1], x.shape[1]), nan), len(x)
            else:
                x = x - x.mean(axis=0)
                size = np.sqrt((x**2).sum(axis=0))
                with np.errstate(invalid="ignore", divide="ignore"):
                    x = x / size
                self._correlations[lost] = x.T @ x, len(x)
        return self._correlations[lost]


def partial_correlations(correlation: Floats, columns: Any) -> Floats:
    """Return the correlation of the last two columns of each row of ``columns`` given the others.

    Parameters
    ----------
    correlation : Floats, shape (p, p)
    columns : ints, shape (m, k + 2)

    Returns
    -------
    Floats, shape (m,)
        NaN where one of the two is a linear function of the others, or the others are of one another.
    """
    parts = correlation[columns[:, :, None], columns[:, None, :]]
    k = columns.shape[1] - 2
    lower = np.zeros_like(parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        # The Cholesky factor of all parts at once, without its last entry, which plays no part.
        for j in range(k + 1):
            left = parts[:, j, j] - (lower[:, j, :j] ** 2).sum(axis=1)
            lower[:, j, j] = np.sqrt(np.where(left > _NOTHING_LEFT, left, nan))
            below = parts[:, j + 1 :, j] - np.einsum("mij,mj->mi", lower[:, j + 1 :, :j], lower[:, j, :j])
            lower[:, j + 1 :, j] = below / lower[:, j, j][:, None]
        last = parts[:, k + 1, k + 1] - (lower[:, k + 1, :k] ** 2).sum(axis=1)
        found = lower[:, k + 1, k] / np.sqrt(np.where(last > _NOTHING_LEFT, last, nan))
    return np.asarray(np.clip(found, -1.0, 1.0))


def _student(r: Floats, df: Any) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore"):
        t = r * np.sqrt(df / (1.0 - r**2))
    return t, t_pvalue(t, df)


def _fisher(r: float, df: float) -> tuple[float, float]:
    """95% interval of a partial correlation by Fisher's z; the whole range where there are too few rows."""
    if df < 2 or abs(r) >= 1.0:
        return (r, r) if abs(r) >= 1.0 else (-1.0, 1.0)
    half = float(special.ndtri(0.975)) / np.sqrt(df - 1)
    middle = np.arctanh(r)
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


@dataclass(eq=False)
class ByColumns:
    """Chooses the test by the columns of each implication.

    Counts where all have few values; partial correlations where at most one of the tested two has few and no column more
    than two categories without order; the generalised covariance measure elsewhere. Means of two columns of few values
    are bounded, so neither is linear in what is given, and partial correlations would find a dependence where none is.

    Parameters
    ----------
    data : Measured
    makers : mapping
        From method to a function that makes its test.
    """

    data: Measured
    makers: Mapping[str, Callable[[], IndependenceTest]]
    _made: dict[str, IndependenceTest] = field(default_factory=dict)

    def choose(self, implication: Implication) -> str:
        """Return the method for an implication."""
        columns = (implication.one, implication.two, *implication.given)
        few = [self.data.levels[at] <= FEW or self.data.categories[at] for at in columns]
        if all(few):
            return "g2"
        if not all(few[:2]) and all(not self.data.categories[at] or self.data.levels[at] == 2 for at in columns):
            return "partial_correlation"
        return "gcm"

    def _named(self, method: str) -> IndependenceTest:
        if method not in self._made:
            self._made[method] = self.makers[method]()
        return self._made[method]

    def test(self, implication: Implication) -> Outcome:
        """Test one implication by the method that suits it."""
        return self._named(self.choose(implication)).test(implication)

    def pvalues(self, implications: Sequence[Implication]) -> Floats:
        """Return the p-values of many implications, each by the method that suits it."""
        out = np.empty(len(implications))
        by: dict[str, list[int]] = {}
        for at, implication in enumerate(implications):
            by.setdefault(self.choose(implication), []).append(at)
        for method, members in by.items():
            out[members] = self._named(method).pvalues([implications[at] for at in members])
        return out


def make_test(
    data: Measured,
    method: TestMethod = "auto",
    *,
    regressor: Any = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> IndependenceTest:
    """Return the test that ``method`` names, on some columns.

    Parameters
    ----------
    data : Measured
    method : {"auto", "partial_correlation", "gcm", "kernel", "g2"}
    regressor, n_folds
        For the generalised covariance measure.
    random_state : int
        For folds, learners, random features and permutations.

    Raises
    ------
    DesignError
        If the method is not known, or can't deal with a column.
    """
    if method not in METHODS:
        raise DesignError(f"method={method!r} is not known.", hint=f"Use one of {', '.join(map(repr, METHODS))}.")

    def correlation() -> IndependenceTest:
        return PartialCorrelation(data)

    def counts() -> IndependenceTest:
        from causalkit.graph.independence_counts import Counts

        return Counts(data, random_state)

    def covariance() -> IndependenceTest:
        from causalkit.graph.independence_residuals import ResidualCovariance

        return ResidualCovariance(data, regressor, n_folds, random_state)

    def kernel() -> IndependenceTest:
        from causalkit.graph.independence_kernel import RandomFeatures

        return RandomFeatures(data, random_state)

    makers = {"partial_correlation": correlation, "g2": counts, "gcm": covariance, "kernel": kernel}
    if method == "auto":
        plain = not any(
            category or levels <= FEW for category, levels in zip(data.categories, data.levels, strict=True)
        )
        return correlation() if plain else ByColumns(data, makers)
    if method == "partial_correlation":
        _require_order(data)
    return makers[method]()


def _require_order(data: Measured) -> None:
    """Refuse categories without order: they have no correlation."""
    for name, category, levels in zip(data.names, data.categories, data.levels, strict=True):
        if category and levels > 2:
            raise DesignError(
                f"column {name!r} holds {levels} categories, which have no correlation.",
                hint="Use method='auto', 'gcm', 'kernel' or 'g2'.",
                column=name,
            )
