"""Cross-products of outcome, endogenous variables and instruments after the exogenous columns were taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.data.moments import Moments
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats
from causalkit.linear.rank import select_from_gram


@dataclass(frozen=True, eq=False)
class IVGram:
    """What every k-class estimator and every test under equal variances needs: a matrix of order ``1 + m + q``.

    Parameters
    ----------
    products : array, shape (1 + m + q, 1 + m + q)
        Cross-products of ``[y D Z]`` with the exogenous columns and absorbed effects projected out.
    m : int
        Endogenous variables.
    n : int
        Rows.
    n_exogenous : int
        Parameters of the exogenous columns, the intercept and the absorbed effects that count.
    """

    products: Floats
    m: int
    n: int
    n_exogenous: int

    @property
    def q(self) -> int:
        """Instruments."""
        return len(self.products) - 1 - self.m

    @property
    def df_first(self) -> int:
        """Rows less the parameters of a first stage."""
        return self.n - self.n_exogenous - self.q

    @property
    def df_second(self) -> int:
        """Rows less the parameters of the second stage."""
        return self.n - self.n_exogenous - self.m

    @property
    def yy(self) -> float:
        """``y'y``."""
        return float(self.products[0, 0])

    @property
    def Dy(self) -> Floats:
        """``D'y``, shape (m,)."""
        return self.products[1 : 1 + self.m, 0]

    @property
    def DD(self) -> Floats:
        """``D'D``, shape (m, m)."""
        return self.products[1 : 1 + self.m, 1 : 1 + self.m]

    @property
    def Zy(self) -> Floats:
        """``Z'y``, shape (q,)."""
        return self.products[1 + self.m :, 0]

    @property
    def ZD(self) -> Floats:
        """``Z'D``, shape (q, m)."""
        return self.products[1 + self.m :, 1 : 1 + self.m]

    @property
    def ZZ(self) -> Floats:
        """``Z'Z``, shape (q, q)."""
        return self.products[1 + self.m :, 1 + self.m :]

    @cached_property
    def whitening(self) -> Floats:
        """Matrix V, shape (q, q), such that ``V'V`` is the inverse of ``Z'Z``: the columns of ``Z V'`` are orthonormal."""
        return whitening_of(self.ZZ)

    @cached_property
    def total(self) -> Floats:
        """Cross-products of ``[y D]``, shape (1 + m, 1 + m)."""
        return self.products[: 1 + self.m, : 1 + self.m]

    @cached_property
    def explained(self) -> Floats:
        """Cross-products of ``[y D]`` projected on the instruments, shape (1 + m, 1 + m)."""
        loads = self.whitening @ self.products[1 + self.m :, : 1 + self.m]
        projected: Floats = loads.T @ loads
        return projected

    @cached_property
    def first_stage(self) -> Floats:
        """Coefficients of the endogenous variables on the instruments, shape (q, m)."""
        coefficients: Floats = self.whitening.T @ (self.whitening @ self.ZD)
        return coefficients

    @cached_property
    def reduced_form(self) -> Floats:
        """Coefficients of the outcome on the instruments, shape (q,)."""
        coefficients: Floats = self.whitening.T @ (self.whitening @ self.Zy)
        return coefficients

    def residual_square(self, beta: Floats) -> float:
        """Sum of the squared residuals ``y - D beta``."""
        contrast = np.concatenate([[1.0], -beta])
        return float(contrast @ self.total @ contrast)

    def explained_square(self, beta: Floats) -> float:
        """Sum of the squares of ``y - D beta`` projected on the instruments."""
        contrast = np.concatenate([[1.0], -beta])
        return float(contrast @ self.explained @ contrast)


def whitening_of(products: Floats) -> Floats:
    """Return V such that ``V'V`` is the inverse of cross-products, whatever the units of their columns.

    Parameters
    ----------
    products : array, shape (k, k)
        Positive definite.

    Returns
    -------
    array, shape (k, k)
    """
    scale = np.sqrt(np.diag(products))
    inverse: Floats = np.asarray(np.linalg.inv(np.linalg.cholesky(products / np.outer(scale, scale))))
    return inverse / scale


def gram_from_moments(
    moments: Moments,
    outcome: str,
    endogenous: Sequence[str],
    instruments: Sequence[str],
    exogenous: Sequence[str] = (),
) -> IVGram:
    """Return the cross-products from moments of a table, whose rows are not needed.

    Parameters
    ----------
    moments : Moments
        Of all the columns, in one cell; an intercept is always among the exogenous columns.
    outcome : str
    endogenous, instruments, exogenous : sequence of str
        Columns of ``moments``.

    Returns
    -------
    IVGram

    Raises
    ------
    DataError
        If the moments have several cells.
    DesignError
        If exogenous columns or instruments are collinear.
    """
    if moments.by:
        raise DataError("the moments have several cells.", hint="Pool them: moments.pool().")
    wanted = [*exogenous, outcome, *endogenous, *instruments]
    part = moments.select(wanted)
    k = len(exogenous)
    scatter = part.cross_products()
    norms = np.sqrt(np.diag(scatter))
    names = [*exogenous, *instruments]
    order = [*range(k), *range(k + 1 + len(endogenous), len(wanted))]
    unit = np.where(norms > 0, norms, 1.0)
    kept = select_from_gram((scatter / np.outer(unit, unit))[np.ix_(order, order)], 1e-6).kept
    gone = [names[j] for j in range(len(order)) if j not in set(kept.tolist())]
    if gone:
        raise DesignError(
            f"column {gone[0]!r} is determined by the other exogenous columns.", hint="Leave it out.", column=gone[0]
        )
    shares = np.linalg.solve(scatter[:k, :k], scatter[:k, k:])
    products = scatter[k:, k:] - scatter[k:, :k] @ shares
    total = int(part.counts[0])
    return IVGram(products, len(endogenous), total, k + 1)
