"""The first stage: how much the instruments move each endogenous variable, and whether they move them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import Covariance, Estimate
from causalkit.core.table import Table
from causalkit.errors import InferenceUnavailable
from causalkit.inference.wald import wald_test
from causalkit.iv.covariance import fitted_share, instrument_regression
from causalkit.iv.gram import whitening_of
from causalkit.iv.iv_data import IVData
from causalkit.kernels.arrays import Floats, read_only

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "treatment",
    "f",
    "f_pvalue",
    "df1",
    "df2",
    "partial_r2",
    "shea_r2",
    "conditional_f",
)


@dataclass(frozen=True, eq=False)
class FirstStage:
    """The strength of the instruments.

    Parameters
    ----------
    data : IVData
        The projected columns, whose kind of variance every robust statistic follows.

    Notes
    -----
    ``f`` is an F ratio: the Wald statistic of the excluded instruments divided by their number, never the Wald
    statistic itself; absorbed effects and covariates do not enter it. With HC1 it is Stata's ``estat firststage`` and
    `ivreg2`'s Kleibergen-Paap F of one endogenous variable.
    """

    data: IVData

    @property
    def endogenous(self) -> tuple[str, ...]:
        """Names of the m endogenous variables."""
        return self.data.endogenous

    @property
    def kind(self) -> str:
        """Kind of variance that the F statistics use."""
        return self.data.variance.kind

    @property
    def df(self) -> tuple[float, float]:
        """Degrees of freedom of each F: instruments, and rows less parameters (clusters less one)."""
        data = self.data
        return float(data.q), data.variance.df(data.n, data.n_exogenous + data.q)

    @cached_property
    def _regression(self) -> tuple[Floats, Floats]:
        return instrument_regression(self.data, self.data.rows[1 : 1 + self.data.m])

    @cached_property
    def coefficients(self) -> Mapping[str, Effects]:
        """Coefficients of the instruments in each first stage, covariates held fixed."""
        values, vcov = self._regression
        df = np.full(self.data.q, self.df[1])
        return {
            name: Effects(
                self.data.instruments,
                Estimate(values[j], Covariance(read_only(np.ascontiguousarray(vcov[j, :, j])), df, self.kind)),
            )
            for j, name in enumerate(self.endogenous)
        }

    @cached_property
    def f(self) -> Floats:
        """F statistic of the excluded instruments in each first stage, shape (m,), with the kind's variance.

        Raises
        ------
        InferenceUnavailable
            With no more clusters than instruments.
        """
        self.data.variance.require_clusters(self.data.q)
        values, vcov = self._regression
        return np.array([_f(values[j], vcov[j, :, j], self.data.q) for j in range(self.data.m)])

    @cached_property
    def f_pvalue(self) -> Floats:
        """P-values of :attr:`f`, shape (m,)."""
        from scipy import special

        return np.asarray(special.fdtrc(*self.df, self.f))

    @cached_property
    def f_iid(self) -> Floats:
        """The same F statistics under one variance of the first-stage residuals, shape (m,)."""
        gram = self.data.gram
        moved, total = np.diag(gram.explained)[1:], np.diag(gram.total)[1:]
        left = np.maximum(total - moved, np.finfo(np.float64).tiny)
        return np.asarray(moved / gram.q / (left / gram.df_first))

    @cached_property
    def partial_r2(self) -> Floats:
        """Share of each endogenous variable's variation that the instruments explain, covariates held fixed."""
        return fitted_share(self.data.gram)

    @cached_property
    def shea_r2(self) -> Floats:
        """The same, of what the other endogenous variables leave (Shea 1997; Godfrey 1999)."""
        gram = self.data.gram
        return np.asarray(np.diag(np.linalg.inv(gram.DD)) / np.diag(np.linalg.inv(gram.explained[1:, 1:])))

    @cached_property
    def conditional_f(self) -> Floats:
        """F statistics of Sanderson and Windmeijer (2016): of what each endogenous variable has for itself, shape (m,).

        The variable less its two-stage least squares prediction by the others is regressed on the instruments; the
        Wald statistic is divided by ``q - m + 1``. With one endogenous variable it is :attr:`f`.
        """
        data, gram = self.data, self.data.gram
        if data.m == 1:
            return self.f
        data.variance.require_clusters(data.q)
        found = []
        explained = gram.explained[1:, 1:]
        for j in range(data.m):
            others = [i for i in range(data.m) if i != j]
            shares = np.linalg.solve(explained[np.ix_(others, others)], explained[others, j])
            alone = data.rows[1 + j] - shares @ data.rows[[1 + i for i in others]]
            values, vcov = instrument_regression(data, alone[None])
            found.append(_f(values[0], vcov[0, :, 0], data.q - data.m + 1))
        return np.array(found)

    @cached_property
    def cragg_donald(self) -> float:
        """F form of the test that the instruments move fewer combinations than there are (Cragg and Donald 1993)."""
        gram = self.data.gram
        root = whitening_of(gram.DD)
        share = float(np.linalg.eigvalsh(root @ gram.explained[1:, 1:] @ root.T)[0])
        return float("inf") if share >= 1.0 else share / (1.0 - share) * gram.df_first / gram.q

    @cached_property
    def kleibergen_paap(self) -> float:
        """F form of the rk Wald statistic of the same hypothesis, with the kind's variance (Kleibergen and Paap 2006)."""
        if self.data.m == 1:
            return float(self.f[0])
        self.data.variance.require_clusters(self.data.q)
        return _rank_statistic(self.data, *self._regression) / self.data.q

    @cached_property
    def kleibergen_paap_pvalue(self) -> float:
        """P-value of the rk Wald statistic, chi-square with ``q - m + 1`` degrees of freedom."""
        from scipy import special

        return float(special.chdtrc(self.data.q - self.data.m + 1, self.kleibergen_paap * self.data.q))

    @cached_property
    def effective_f(self) -> float:
        """Effective F of Montiel Olea and Pflueger (2013), for one endogenous variable.

        Raises
        ------
        InferenceUnavailable
            With several endogenous variables.
        """
        from causalkit.iv.effective_f import effective_f

        if self.data.m > 1:
            raise InferenceUnavailable(
                "the effective F is defined for one endogenous variable.",
                hint="Read .conditional_f and .kleibergen_paap.",
            )
        return effective_f(self.data, self.kind).statistic

    def to_table(self) -> Table:
        """Return one line per endogenous variable."""
        df1, df2 = (int(value) for value in self.df)
        rows = [
            (name, float(f), float(p), df1, df2, float(partial), float(shea), float(conditional))
            for name, f, p, partial, shea, conditional in zip(
                self.endogenous,
                self.f,
                self.f_pvalue,
                self.partial_r2,
                self.shea_r2,
                self.conditional_f,
                strict=True,
            )
        ]
        return Table.of(COLUMNS, rows)

    def to_frame(self) -> pd.DataFrame:
        """Return :meth:`to_table` as a data frame."""
        import pandas as pd

        table = self.to_table()
        return pd.DataFrame(table.rows, columns=list(table.columns))

    def __repr__(self) -> str:
        return self.to_table().to_text()

    def _repr_html_(self) -> str:
        return self.to_table().to_html()


def _f(values: Floats, vcov: Floats, df: int) -> float:
    """Wald statistic over its degrees of freedom."""
    if not np.any(np.diag(vcov) > 0):
        return float("inf") if values.any() else 0.0
    return wald_test(values, vcov).statistic / df


def _rank_statistic(data: IVData, values: Floats, vcov: Floats) -> float:
    """Rk Wald statistic that the matrix of first-stage coefficients, of rank m, has rank m - 1."""
    gram, m, q = data.gram, data.m, data.q
    turn = whitening_of(gram.DD)
    spread = np.linalg.inv(gram.whitening).T  # (q, q): the root of Z'Z, transposed
    theta = spread @ values.T @ turn.T
    variance = np.einsum("xi,ya,aibj,zj,wb->xyzw", spread, turn, vcov, spread, turn, optimize=True)
    u, _, vt = np.linalg.svd(theta)
    r = m - 1
    u_last, v_last = u[:, r:], vt.T[:, r:]
    small_u, small_v = u_last[r:], v_last[r:]
    outer = u_last @ np.linalg.solve(small_u, _root(small_u @ small_u.T))
    inner = _root(small_v @ small_v.T) @ np.linalg.solve(small_v.T, v_last.T)
    loading = outer.T @ theta @ inner.T
    joint = np.einsum("xi,xyzw,zj,ay,bw->iajb", outer, variance, outer, inner, inner, optimize=True)
    size = (q - r) * (m - r)
    flat = loading.reshape(size)
    return float(flat @ np.linalg.solve(joint.reshape(size, size), flat))


def _root(matrix: Floats) -> Floats:
    """Symmetric square root."""
    values, vectors = np.linalg.eigh(matrix)
    root: Floats = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
