"""A labelled vector of estimates: values, standard errors, intervals, tests and contrasts by term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.estimate import Draws, Estimate, Placebos
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("term", "estimate", "se", "statistic", "pvalue", "ci_low", "ci_high")


@dataclass(frozen=True, eq=False)
class Test:
    """A test of one hypothesis about effects.

    Parameters
    ----------
    statistic : float
        The test statistic: t for one effect, Wald F (chi-square over its degrees of freedom) for several.
    pvalue : float
        Two-sided p-value.
    df : float or tuple of float
        Degrees of freedom.
    null : float
        The value under the null hypothesis.
    method : str
        How it was computed.
    """

    statistic: float
    pvalue: float
    df: float | tuple[float, float]
    null: float = 0.0
    method: str = "wald"

    __test__ = False  # not a test case for pytest


@dataclass(frozen=True, eq=False)
class Effects:
    """A vector of named effects.

    Parameters
    ----------
    terms : tuple of str
        One name per effect.
    numbers : Estimate
        The values and the carrier of their uncertainty.
    columns : mapping of str to sequence, optional
        Further columns that stand before the numbers in the table (such as ``cohort``, ``time``).
    """

    terms: tuple[str, ...]
    numbers: Estimate
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.terms) != self.numbers.size:
            raise ValueError(f"{len(self.terms)} terms for {self.numbers.size} estimates")

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def values(self) -> Floats:
        """Estimates, shape (k,)."""
        return self.numbers.theta

    @cached_property
    def vcov(self) -> Floats:
        """Covariance matrix, shape (k, k)."""
        return self.numbers.vcov

    @cached_property
    def se(self) -> Floats:
        """Standard errors, shape (k,)."""
        return np.sqrt(np.maximum(np.diag(self.vcov), 0.0))

    @property
    def df(self) -> Floats:
        """Degrees of freedom, shape (k,)."""
        return self.numbers.df

    @property
    def statistic(self) -> Floats:
        """T statistics against zero, shape (k,); NaN where the standard error is zero and the effect is too."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.numbers.location / self.se

    @cached_property
    def pvalue(self) -> Floats:
        """Two-sided p-values against zero, shape (k,)."""
        return np.array([self.test(j).pvalue for j in range(len(self))])

    def index(self, term: str | int) -> int:
        """Return the position of a term."""
        if isinstance(term, int):
            return term
        if term not in self.terms:
            raise DesignError(f"there is no term {term!r}.", hint=f"Terms: {', '.join(self.terms[:20])}.")
        return self.terms.index(term)

    def test(self, term: str | int, null: float = 0.0) -> Test:
        """Test that one effect equals ``null``; the dual of :meth:`ci`.

        Parameters
        ----------
        term : str or int
            The effect, by name or position.
        null : float
            The value under the null hypothesis.
        """
        from causalkit.inference.wald import t_pvalue

        j = self.index(term)
        carrier = self.numbers.carrier
        value = float(self.numbers.location[j])
        if isinstance(carrier, Placebos):
            if null != 0.0:
                raise InferenceUnavailable("placebo inference tests an effect of zero only.")
            placebos = np.abs(carrier.values[:, j])
            extreme = int(np.sum(placebos >= abs(value) * (1 - 1e-12)))
            return Test(value, (1 + extreme) / (1 + len(placebos)), float("nan"), null, carrier.kind)
        if isinstance(carrier, Draws):
            draws = carrier.values[:, j]
            tail = min(np.sum(draws <= null), np.sum(draws >= null))
            return Test(value, float(min(1.0, 2 * (1 + tail) / (1 + len(draws)))), float("inf"), null, carrier.kind)
        df = float(self.df[j])
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = float(np.divide(value - null, self.se[j]))
        if np.isnan(statistic):  # no spread and no effect: nothing speaks against the null
            return Test(0.0, 1.0, df, null)
        return Test(statistic, float(t_pvalue(statistic, df)), df, null)

    def ci(self, alpha: float = 0.05, simultaneous: bool = False) -> tuple[Floats, Floats]:
        """Return lower and upper limits, each of shape (k,).

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        simultaneous : bool
            All effects are covered at once with probability ``1 - alpha`` (sup-t band, Montiel Olea and
            Plagborg-Moeller 2019; multivariate t with the smallest of their degrees of freedom), rather than each on its own.
        """
        from causalkit.inference.wald import require_alpha, t_interval

        require_alpha(alpha)
        carrier = self.numbers.carrier
        if simultaneous:
            from causalkit.inference.bands import simultaneous_band, sup_t_critical

            free = self.df[self.se > 0]
            critical = sup_t_critical(self.vcov, alpha, df=float(np.min(free, initial=np.inf, where=~np.isnan(free))))
            return simultaneous_band(self.numbers.location, self.se, critical)
        if isinstance(carrier, Placebos):
            raise InferenceUnavailable("placebo inference gives a p-value but no interval.", hint="Use .pvalue.")
        if isinstance(carrier, Draws):
            return _draws_interval(carrier.values, alpha)
        low, high = t_interval(self.numbers.location, self.se, self.df, alpha)
        return np.asarray(low, dtype=float), np.asarray(high, dtype=float)

    def joint_test(self, terms: Sequence[str] | None = None) -> Test:
        """Wald test that all ``terms`` (default: all effects) are zero."""
        from causalkit.inference.wald import wald_test

        at = np.arange(len(self)) if terms is None else np.array([self.index(term) for term in terms])
        df = float(np.min(self.df[at]))
        result = wald_test(self.numbers.location[at], self.vcov[np.ix_(at, at)], None if np.isinf(df) else df)
        return Test(float(result[0]), float(result[3]), (float(result[1]), float(result[2])))

    def contrast(self, weights: Mapping[str, float] | Sequence[float], name: str = "contrast") -> Effects:
        """Return the effect ``sum of weights times effects``, with its own standard error.

        Parameters
        ----------
        weights : mapping of str to float, or sequence of float
            A weight for each term (those that are not named have none), or one for each effect in order.
        name : str
            The term of the result.
        """
        row = np.zeros(len(self))
        if isinstance(weights, Mapping):
            for term, weight in weights.items():
                row[self.index(term)] = weight
        else:
            row[:] = np.asarray(weights, dtype=float)
        return Effects((name,), self.numbers.linear(row))

    def select(self, terms: Sequence[str | int]) -> Effects:
        """Return some of the effects, with their covariance."""
        at = [self.index(term) for term in terms]
        columns = {name: [values[j] for j in at] for name, values in self.columns.items()}
        return Effects(tuple(self.terms[j] for j in at), self.numbers.linear(np.eye(len(self))[at]), columns)

    def to_table(self, alpha: float = 0.05) -> Table:
        """Return the table of effects; cells are empty where there is no such inference."""
        k = len(self)
        if isinstance(self.numbers.carrier, Placebos):
            gap: list[float | None] = [None] * k
            columns = [list(self.terms), self.values.tolist(), gap, gap, self.pvalue.tolist(), gap, gap]
        else:
            low, high = self.ci(alpha)
            columns = [
                list(self.terms),
                *(c.tolist() for c in (self.values, self.se, self.statistic, self.pvalue, low, high)),
            ]
        before = [list(values) for values in self.columns.values()]
        return Table.of((*self.columns, *COLUMNS), zip(*before, *columns, strict=True))

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return the table of effects as a data frame."""
        import pandas as pd

        table = self.to_table(alpha)
        return pd.DataFrame(table.rows, columns=list(table.columns))

    def __repr__(self) -> str:
        return self.to_table().to_text()

    def _repr_html_(self) -> str:
        return self.to_table().to_html()


def _draws_interval(draws: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return the values that :meth:`Effects.test` does not reject; unbounded where there are too few draws to reject any."""
    ordered = np.sort(draws, axis=0)
    rank = int(np.floor(alpha / 2 * (1 + len(draws)) + 1e-9))
    if rank == 0:
        return np.full(draws.shape[1], -np.inf), np.full(draws.shape[1], np.inf)
    return ordered[rank - 1], ordered[-rank]
