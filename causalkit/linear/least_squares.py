"""Least squares on arrays: weights, absorbed effects, dropped columns, and a covariance with its influence values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.errors import DataError, DesignError
from causalkit.inference.vcov import LeastSquaresVcov
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.linear.absorb import MAX_DENSE, Absorber, absorber, singletons
from causalkit.linear.covariance import Fit, covariance
from causalkit.linear.parameters import count_parameters
from causalkit.linear.rank import TOLERANCE, collinear_reason
from causalkit.linear.solve import Solution, solve_columns

Singletons = Literal["keep", "drop"]


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """A least-squares fit.

    Attributes
    ----------
    names : tuple of str
        The r kept columns, in the order given.
    coefficients : array, shape (r,)
    dropped : mapping of str to str
        Dropped columns and the reason: collinear with which columns, or absorbed by which effect.
    outcome, residuals : array, shape (n,)
        In the units of the outcome, for the rows used.
    design : array, shape (n, r)
        Kept columns after partialling out (about their weighted mean beside an intercept), not multiplied by the
        square root of the weights. The column of ones is kept as it is.
    bread : array, shape (r, r)
        Inverse of the weighted cross-products of the kept columns, in the units of the coefficients.
    vcov : LeastSquaresVcov
        Covariance, degrees of freedom by coefficient, scale and influence values of the coefficients.
    n : int
        Rows used.
    n_parameters : int
        K of the small-sample factors; see `causalkit.linear.parameters.count_parameters`.
    rank : int
        Linearly independent columns, absorbed effects included.
    r2, r2_within : float
        Share of the outcome's (weighted) variation explained; within the effects for ``r2_within``. NaN where the
        outcome does not vary.
    singletons : int
        Rows alone in a level of an absorbed effect, found repeatedly. They do not change the coefficients.
    singleton_rows : array of int
        Their positions in the rows given.
    rows : array of int
        Positions, in the rows given, of the rows used: all, unless singletons were dropped.
    effects : Absorber or None
        The absorbed effects, for further columns.
    solver : str
        How effects were absorbed and how the coefficients were solved.
    certificate : float
        Largest relative residual of the normal equations of the absorbed effects; 0 without effects.
    """

    names: tuple[str, ...]
    coefficients: Floats
    dropped: Mapping[str, str]
    outcome: Floats
    residuals: Floats
    design: Floats
    bread: Floats
    vcov: LeastSquaresVcov
    n: int
    n_parameters: int
    rank: int
    r2: float
    r2_within: float
    singletons: int
    singleton_rows: Ints
    rows: Ints
    effects: Absorber | None
    solver: str
    certificate: float

    def __post_init__(self) -> None:
        for name in ("coefficients", "residuals", "design", "bread", "singleton_rows", "rows"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def fitted(self) -> Floats:
        """Fitted values, the absorbed effects included."""
        return self.outcome - self.residuals

    @property
    def df(self) -> Floats:
        """Degrees of freedom of each coefficient's t statistic."""
        return self.vcov.df

    @property
    def psi(self) -> Floats:
        """Influence values of the coefficients, shape (n, r), with 1/n folded in."""
        return self.vcov.psi

    @property
    def se(self) -> Floats:
        """Standard errors."""
        return np.sqrt(np.diag(self.vcov.matrix))


def least_squares(
    y: Floats,
    X: Floats | Sequence[Floats],
    *,
    names: Sequence[str],
    weights: Floats | None = None,
    absorb: Sequence[Codes] = (),
    absorb_names: Sequence[str] | None = None,
    groups: Codes | Sequence[Codes] | None = None,
    vcov: str = "HC1",
    singletons: Singletons = "keep",
    max_dense: int = MAX_DENSE,
) -> LeastSquares:
    """Regress ``y`` on the columns of ``X``, with any number of sets of effects absorbed.

    Parameters
    ----------
    y : array, shape (n,)
    X : array, shape (n, k), or a sequence of k arrays of shape (n,)
        Regressors. A column of one constant value is the intercept; beside it the other columns and the outcome are
        centred before the solve, so a large mean costs no digits. With absorbed effects the constant is dropped.
    names : sequence of str
        Names of the columns.
    weights : array, shape (n,), optional
        Positive weights, as in ``statsmodels.WLS`` and fixest; their scale does not matter.
    absorb : sequence of arrays of int, each of shape (n,)
        Codes of the effects to absorb.
    absorb_names : sequence of str, optional
        Their names, used in reasons and errors.
    groups : array of int, shape (n,), or a sequence of them, optional
        Clusters; several arrays mean multiway clustering. Required by the CR kinds.
    vcov : {"iid", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"}
        Kind of covariance; see `causalkit.inference.vcov.least_squares_vcov`. With absorbed effects HC2 and HC3 add
        the leverage of the effects, and CR2 and CR3 treat effects that are not nested in the clusters as columns.
    singletons : {"keep", "drop"}
        Rows alone in a level of an absorbed effect are always counted; ``"keep"`` leaves them in n, as fixest 0.12
        does by default, ``"drop"`` removes them first, as reghdfe and pyfixest do.
    max_dense : int
        Largest number of levels outside the largest effect for which effects are solved exactly.

    Returns
    -------
    LeastSquares

    Raises
    ------
    DataError
        If lengths differ, a value is not finite or a weight is not positive.
    DesignError
        If no column is left, or the covariance does not go with ``groups``.
    InferenceUnavailable
        If no degrees of freedom are left.
    ConvergenceError
        If effects too large for an exact solve do not converge.

    Notes
    -----
    The rank does not depend on the units of the columns, and of collinear columns the later ones are dropped. The
    small-sample factors are those of fixest 0.12's default `ssc`, which `count_parameters` spells out.
    """
    y, X, names = _checked(y, X, names, weights)
    ways = _as_ways(groups)
    effect_names = _effect_names(absorb, absorb_names)
    effects = absorber(absorb, weights, max_dense=max_dense) if len(absorb) else None
    alone, rows = _singleton_policy(absorb, effects, singletons, y.size)
    if rows.size < y.size:
        y, X, weights = y[rows], [column[rows] for column in X], None if weights is None else weights[rows]
        absorb, ways = [codes[rows] for codes in absorb], [codes[rows] for codes in ways]
        effects = absorber(absorb, weights, max_dense=max_dense)
    ready = _within(y, X, weights, effects) if effects else _about_means(y, X, weights)
    root = None if weights is None else np.sqrt(weights)
    if root is not None:
        np.multiply(ready.columns, root, out=ready.columns)
    solution = solve_columns(ready.columns, ready.reference[1:], ready.raw[1:])
    dropped = _reasons(solution, names, X, effects, effect_names)
    if not solution.kept.size:
        raise DesignError(f"No regressor is left: {'; '.join(f'{name} is {why}' for name, why in dropped.items())}.")
    n_parameters = count_parameters(solution.kept.size, effects, ways)
    fit = Fit(solution, ready.columns[1:], X, ready.intercept, ready.shift, weights, effects, n_parameters)
    inference = covariance(fit, vcov, ways)
    residuals = solution.residuals if root is None else solution.residuals / root
    r2, r2_within = _r2(solution.residuals, ready, y, weights)
    design = fit.design if root is None else fit.design / root[:, None]
    return LeastSquares(
        names=tuple(names[j] for j in solution.kept),
        coefficients=fit.transform @ solution.coefficients + fit.offset,
        dropped=dropped,
        outcome=read_only(y.view()),
        residuals=residuals,
        design=design,
        bread=fit.transform @ solution.bread @ fit.transform.T,
        vcov=inference,
        n=y.size,
        n_parameters=n_parameters,
        rank=solution.kept.size + (effects.rank if effects else 0),
        r2=r2,
        r2_within=r2_within,
        singletons=int(np.count_nonzero(alone)),
        singleton_rows=np.flatnonzero(alone),
        rows=rows,
        effects=effects,
        solver=f"{effects.method}, {solution.factorisation}" if effects else solution.factorisation,
        certificate=ready.certificate,
    )


@dataclass(frozen=True)
class _Ready:
    """Outcome (first) and regressors, one per row, with what was taken out of them."""

    columns: Floats
    reference: Floats
    raw: Floats
    shift: Floats
    intercept: int | None
    certificate: float


def _within(y: Floats, X: Sequence[Floats], weights: Floats | None, effects: Absorber) -> _Ready:
    part = effects.partial_out([y, *X])
    raw = np.sqrt(part.centred_norms**2 + effects.total_weight * part.means**2)
    certificate = float(part.certificate.max(initial=0.0))
    return _Ready(part.columns, part.centred_norms, raw, np.zeros(raw.size), None, certificate)


def _about_means(y: Floats, X: Sequence[Floats], weights: Floats | None) -> _Ready:
    """Subtract weighted means beside an intercept; without one, take the columns as they are."""
    columns = np.stack([y, *X])
    raw = _norms(columns, weights)
    shift = np.zeros(columns.shape[0])
    intercept = _constant_column(X)
    if intercept is not None:
        pivot = columns[:, 0].copy()
        columns -= pivot[:, None]
        shift = columns.mean(axis=1) if weights is None else columns @ weights / weights.sum()
        columns -= shift[:, None]
        shift += pivot
        columns[intercept + 1], shift[intercept + 1] = X[intercept][0], 0.0
    return _Ready(columns, _norms(columns, weights), raw, shift, intercept, 0.0)


def _constant_column(X: Sequence[Floats]) -> int | None:
    for j, column in enumerate(X):
        if column[0] != 0.0 and column[-1] == column[0] and (column == column[0]).all():
            return j
    return None


def _norms(columns: Floats, weights: Floats | None) -> Floats:
    if weights is None:
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", columns, columns)))
    return np.asarray(np.sqrt(np.einsum("ij,ij,j->i", columns, columns, weights)))


def _r2(residuals: Floats, ready: _Ready, y: Floats, weights: Floats | None) -> tuple[float, float]:
    left = float(np.einsum("i,i->", residuals, residuals))
    within = float(np.einsum("i,i->", ready.columns[0], ready.columns[0]))
    total = float(ready.reference[0] ** 2)
    noise = (8.0 * np.finfo(np.float64).eps * ready.raw[0]) ** 2
    return (
        1.0 - left / total if total > noise else float("nan"),
        1.0 - left / within if within > noise else float("nan"),
    )


def _reasons(
    solution: Solution, names: Sequence[str], X: Sequence[Floats], effects: Absorber | None, effect_names: Sequence[str]
) -> dict[str, str]:
    reasons = {j: collinear_reason([names[i] for i in partners]) for j, partners in solution.relations.items()}
    for j in solution.empty:
        reasons[j] = _empty_reason(X[j], effects, effect_names)
    return {names[j]: reasons[j] for j in sorted(reasons)}


def _empty_reason(column: Floats, effects: Absorber | None, effect_names: Sequence[str]) -> str:
    if not column.any():
        return "zero in every row"
    if effects is None:
        return "constant, beside an intercept"
    if (column == column[0]).all():
        return "constant, absorbed by every effect"
    for position, name in enumerate(effect_names):
        part = absorber([effects.codes(position)], effects.levels.weights).partial_out([column])
        left = np.sqrt(part.columns[0] @ part.columns[0])
        if left <= TOLERANCE * max(float(part.centred_norms[0]), float(np.abs(column).max())):
            return f"absorbed by {name}"
    return f"absorbed by {' and '.join(effect_names)} together"


def _singleton_policy(
    absorb: Sequence[Codes], effects: Absorber | None, policy: str, n_rows: int
) -> tuple[Bools, Ints]:
    """Find singletons; return them and the positions of the rows to use."""
    if policy not in ("keep", "drop"):
        raise DesignError(f"Unknown policy for singletons {policy!r}.", hint="Use 'keep' or 'drop'.")
    alone = singletons(absorb) if effects is not None and effects.lone_rows else np.zeros(n_rows, dtype=np.bool_)
    if policy == "drop" and alone.all():
        raise DesignError("Every row is alone in a level of an absorbed effect.", hint="Absorb coarser effects.")
    return alone, np.flatnonzero(~alone) if policy == "drop" else np.arange(n_rows)


def _as_ways(groups: Codes | Sequence[Codes] | None) -> list[Codes]:
    if groups is None:
        return []
    if isinstance(groups, np.ndarray) and groups.ndim == 1:
        return [groups]
    return [np.asarray(way) for way in groups]


def _effect_names(absorb: Sequence[Codes], given: Sequence[str] | None) -> list[str]:
    if given is None:
        return [f"effect {position + 1}" for position in range(len(absorb))]
    if len(given) != len(absorb):
        raise DataError(f"There are {len(absorb)} effects but {len(given)} names for them.")
    return list(given)


def _checked(
    y: Floats, X: Floats | Sequence[Floats], names: Sequence[str], weights: Floats | None
) -> tuple[Floats, list[Floats], list[str]]:
    y = np.asarray(y, dtype=np.float64)
    columns = [np.asarray(column, dtype=np.float64) for column in (X.T if isinstance(X, np.ndarray) else X)]
    for column in columns:
        if y.ndim != 1 or column.shape != y.shape:
            shape = X.shape if isinstance(X, np.ndarray) else column.shape
            raise DataError(f"The outcome has shape {y.shape} and the regressors {shape}; (n,) and (n, k) are needed.")
    if len(names) != len(columns):
        raise DataError(f"There are {len(columns)} columns but {len(names)} names.")
    if y.size == 0:
        raise DataError("There are no rows.")
    for name, column in [("the outcome", y), *zip(names, columns, strict=True)]:
        if np.isfinite(column.sum()):
            continue
        _require_all(np.isfinite(column), f"{name} has values that are not finite", name)
    if weights is not None:
        if weights.shape != y.shape:
            raise DataError(f"There are {y.size} rows but weights of shape {weights.shape}.")
        _require_all(np.isfinite(weights) & (weights > 0), "the weights have values that are not positive", "weights")
    return y, columns, list(names)


def _require_all(fine: Bools, complaint: str, column: str) -> None:
    if fine.all():
        return
    rows = np.flatnonzero(~fine)
    raise DataError(
        f"{complaint[0].upper()}{complaint[1:]} in {rows.size} rows, the first is row {rows[0]}.",
        hint="Drop these rows.",
        column=column,
        rows=rows[:5].tolist(),
    )
