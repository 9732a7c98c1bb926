"""The reduced form that weak-instrument inference rests on: q scores a column, and their covariance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.variance import Variance
from causalkit.kernels.arrays import Floats, read_only

if TYPE_CHECKING:
    from causalkit.iv.iv_data import IVData

_BLOCK = 8192
_COLLINEAR = 1e-12
_EXACT = 1e-14


@dataclass(frozen=True, eq=False)
class ReducedForm:
    """The outcome and the treatments regressed on orthonormal instruments, and the covariance of the coefficients.

    Everything that weak-instrument inference needs; it does not change when the instruments are recombined.

    Parameters
    ----------
    scores : (q, 1 + m) array
        Coefficients of the outcome and of each treatment on the instruments, after these were made orthonormal. Columns
        are divided by ``units``.
    cross : (1 + m, 1 + m, q, q) array
        ``cross[a, b]`` is the covariance of columns a and b of the scores.
    sigma : (1 + m, 1 + m) array
        Covariance of the reduced-form errors under homoskedasticity, in the same units.
    units : (1 + m,) array
        Root mean square of each column.
    kind : {"iid", "HC0", "HC1", "CR0", "CR1", "HAC"}
    n : int
        Rows.
    n_parameters : int
        Parameters of each reduced-form regression: exogenous covariates, absorbed effects that count, instruments.
    df : float
        Denominator degrees of freedom of the reference distributions; infinite for chi-square.
    """

    scores: Floats
    cross: Floats
    sigma: Floats
    units: Floats
    kind: str
    n: int
    n_parameters: int
    df: float

    @property
    def n_instruments(self) -> int:
        """Number of instruments, q."""
        return int(self.scores.shape[0])

    @property
    def n_treatments(self) -> int:
        """Number of endogenous treatments, m."""
        return int(self.scores.shape[1]) - 1

    @property
    def is_just_identified(self) -> bool:
        """Whether there are as many instruments as treatments."""
        return self.n_instruments == self.n_treatments

    @property
    def unit(self) -> float:
        """What one unit of the scaled coefficient of the first treatment is in the user's units."""
        return float(self.units[0] / self.units[1])

    def direction(self, beta: float | Floats) -> Floats:
        """Return ``(1, -beta)`` in the units of the scores."""
        return np.concatenate([[1.0], -np.atleast_1d(np.asarray(beta, dtype=float)) * self.units[1:] / self.units[0]])

    def covariance(self, left: Floats, right: Floats) -> Floats:
        """Covariances of the scores in pairs of directions: (T, 1 + m) and (T, 1 + m) to (T, q, q)."""
        p, q = self.cross.shape[0], self.n_instruments
        pairs = (left[:, :, None] * right[:, None, :]).reshape(len(left), p * p)
        found: Floats = (pairs @ self.cross.reshape(p * p, q * q)).reshape(len(left), q, q)
        return found


def reduced_form_of(data: IVData, kind: str | None = None, chi_square: bool = False) -> ReducedForm:
    """Return the reduced form of projected data.

    Parameters
    ----------
    data : IVData
    kind : str, optional
        Covariance; that of the data by default.
    chi_square : bool
        Whether tests refer to chi-square distributions; otherwise to F with the degrees of freedom of the first stage
        (clusters less one, where there are any).
    """
    variance = data.variance if kind is None else data.variance.of(kind)
    known: dict[str, ReducedForm] = vars(data).setdefault("_reduced_forms", {})  # like a cached property, by kind
    if variance.kind not in known:
        df = variance.df(data.n, data.n_exogenous + data.q)
        known[variance.kind] = reduced_form(
            data.y, data.D, data.Z, variance=variance, n_exogenous=data.n_exogenous, df=df
        )
    return replace(known[variance.kind], df=np.inf) if chi_square else known[variance.kind]


def reduced_form(
    y: Floats,
    treatments: Floats,
    instruments: Floats,
    *,
    variance: Variance,
    n_exogenous: int = 0,
    df: float = np.inf,
) -> ReducedForm:
    """Reduce columns to the scores that weak-instrument inference needs, in passes over blocks of rows.

    Parameters
    ----------
    y : (n,) array
    treatments : (n, m) array
    instruments : (n, q) array
        All with the exogenous covariates, the intercept and the absorbed effects partialled out, times the root of the
        weights.
    variance : Variance
        Kind of covariance, and clusters.
    n_exogenous : int
        Parameters that were partialled out.
    df : float
        Denominator degrees of freedom of the reference distributions.

    Returns
    -------
    ReducedForm

    Raises
    ------
    DesignError
        If instruments are collinear or fewer than the treatments, rows are too few, or the treatments determine the
        outcome.
    """
    columns = np.column_stack([y, treatments])
    n, q, p = len(y), instruments.shape[1], columns.shape[1]
    if q < p - 1:
        raise DesignError(f"{q} instruments can't identify {p - 1} treatments.", hint="Name more instruments.")
    n_parameters = n_exogenous + q
    if n <= n_parameters:
        raise DesignError(f"{n} rows do not exceed the {n_parameters} parameters of the reduced form.")
    units = np.sqrt(np.mean(columns**2, axis=0))
    if (units == 0.0).any():
        what = "outcome" if units[0] == 0.0 else "treatment"
        raise DesignError(f"The {what} does not vary once the covariates are held fixed.")
    columns /= units
    if np.linalg.eigvalsh(columns.T @ columns / n)[0] < _EXACT:
        raise DesignError("The treatments determine the outcome, or each other, to rounding: nothing is left to test.")
    rows = _Rows(columns, instruments)
    to_unit, scores = _orthonormal(rows)
    errors, meat = _sums(rows, to_unit, scores, variance)
    sigma = errors / (n - n_parameters)
    if variance.kind == "iid":
        cross = sigma[:, :, None, None] * np.eye(q)
    else:
        cross = (variance.scale(n, n_parameters) * meat).reshape(p, q, p, q).transpose(0, 2, 1, 3)
    scores, cross, sigma, units = (read_only(np.ascontiguousarray(part)) for part in (scores, cross, sigma, units))
    return ReducedForm(scores, cross, sigma, units, variance.kind, n, n_parameters, df)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Outcome and treatments beside the instruments, read in blocks."""

    columns: Floats
    instruments: Floats

    def blocks(self, to_unit: Floats) -> Iterator[tuple[Floats, Floats]]:
        """Yield outcome and treatments, and the transformed instruments, block by block."""
        for low in range(0, len(self.columns), _BLOCK):
            part = slice(low, low + _BLOCK)
            yield self.columns[part], self.instruments[part] @ to_unit


def _sums(rows: _Rows, to_unit: Floats, scores: Floats, variance: Variance) -> tuple[Floats, Floats]:
    """Return the cross-products of the reduced-form errors, and the sum of outer products of the rows' scores."""
    p, q = scores.shape[1], scores.shape[0]
    errors, meat = np.zeros((p, p)), np.zeros((p * q, p * q))
    by_row = variance.kind in ("HC0", "HC1")
    kept: list[Floats] = []
    for left, instrument in rows.blocks(to_unit):
        error = left - instrument @ scores
        errors += error.T @ error
        if variance.kind == "iid":
            continue
        block = (error[:, :, None] * instrument[:, None, :]).reshape(len(error), p * q)
        if by_row:
            meat += block.T @ block
        else:
            kept.append(block)
    return errors, variance.meat(np.concatenate(kept)) if kept else meat


def _orthonormal(rows: _Rows) -> tuple[Floats, Floats]:
    """Return the matrix that makes the instruments orthonormal, and the scores; the second round removes rounding."""
    q = rows.instruments.shape[1]
    to_unit = np.eye(q)
    for _ in range(2):
        gram, scores = np.zeros((q, q)), np.zeros((q, rows.columns.shape[1]))
        for left, z in rows.blocks(to_unit):
            gram += z.T @ z
            scores += z.T @ left
        step = _inverse_root(gram)
        to_unit = to_unit @ step
    return to_unit, step.T @ scores


def _inverse_root(gram: Floats) -> Floats:
    """Return the matrix A with ``A' gram A = I``."""
    size = np.sqrt(np.diag(gram))
    if not (size > 0).all():
        raise DesignError("An instrument does not vary once the covariates are held fixed.", hint="Leave it out.")
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    if values[0] <= _COLLINEAR * values[-1]:
        raise DesignError("The instruments are collinear once the covariates are held fixed.", hint="Leave one out.")
    return np.asarray(vectors / np.sqrt(values) / size[:, None])
