"""The covariance of a fit: back to the units of the coefficients, and exact with absorbed effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.vcov import LEAST_SQUARES_KINDS, LeastSquaresKind, LeastSquaresVcov, least_squares_vcov
from causalkit.kernels.arrays import Codes, Floats
from causalkit.linear.absorb import Absorber, absorber
from causalkit.linear.parameters import nested_effects
from causalkit.linear.solve import Solution, pick, solve_columns

_MAX_DUMMIES = 1000


@dataclass(frozen=True, eq=False)
class Fit:
    """A solved problem, before inference.

    Attributes
    ----------
    solution : Solution
    columns : array, shape (k, n)
        Regressors after partialling out or centring, times the square root of the weights.
    X : list of k arrays, each of shape (n,)
        Regressors as given.
    intercept : int or None
        Position of the constant column.
    shift : array, shape (k + 1,)
        What was subtracted from the outcome and from each regressor.
    weights : array or None
    effects : Absorber or None
    n_parameters : int
    """

    solution: Solution
    columns: Floats
    X: Sequence[Floats]
    intercept: int | None
    shift: Floats
    weights: Floats | None
    effects: Absorber | None
    n_parameters: int

    @cached_property
    def place(self) -> int | None:
        """Position of the intercept among the kept columns."""
        if self.intercept is None:
            return None
        return int(np.searchsorted(self.solution.kept, self.intercept))

    @cached_property
    def transform(self) -> Floats:
        """Matrix that maps the coefficients of centred columns to those of the columns as given."""
        matrix = np.eye(self.solution.kept.size)
        if self.place is not None and self.intercept is not None:
            matrix[self.place] -= self.shift[1:][self.solution.kept] / self.X[self.intercept][0]
        return matrix

    @cached_property
    def offset(self) -> Floats:
        """What the mean of the outcome adds to the intercept."""
        added = np.zeros(self.solution.kept.size)
        if self.place is not None and self.intercept is not None:
            added[self.place] = self.shift[0] / self.X[self.intercept][0]
        return added

    @cached_property
    def design(self) -> Floats:
        """Kept columns, times the square root of the weights."""
        return pick(self.columns, self.solution.kept).T


def covariance(fit: Fit, kind: str, ways: Sequence[Codes]) -> LeastSquaresVcov:
    """Compute the covariance in centred coordinates and carry it to those of the columns as given.

    Parameters
    ----------
    fit : Fit
    kind : str
        As in `causalkit.inference.vcov.least_squares_vcov`.
    ways : sequence of arrays of int
        Clusters; empty for none.

    Returns
    -------
    LeastSquaresVcov

    Raises
    ------
    DesignError, InferenceUnavailable
        As `least_squares_vcov`; also where CR2 or CR3 would need more than 1000 dummies.
    """
    if kind not in LEAST_SQUARES_KINDS:
        raise DesignError(f"Unknown covariance {kind!r}.", hint=f"Use one of {', '.join(LEAST_SQUARES_KINDS)}.")
    if kind in ("CR2", "CR3") and fit.effects is not None and len(ways) == 1:
        weighted = kind == "CR2" and fit.weights is not None
        nested = [] if weighted else nested_effects(fit.effects, ways)
        if len(nested) < len(fit.effects.sizes):
            return _with_dummies(fit, fit.effects, nested, kind, ways)
    extra = fit.effects.leverage() if kind in ("HC2", "HC3") and fit.effects is not None else None
    found = _call(fit, kind, ways, fit.design, fit.solution.bread, extra)
    if fit.place is None:
        return found
    moved = _moved(found, fit.transform)
    if kind != "CR2":
        return moved
    df = moved.df.copy()
    df[fit.place] = _intercept_df(fit, kind, ways)
    return replace(moved, df=df)


def _call(
    fit: Fit, kind: str, ways: Sequence[Codes], design: Floats, bread: Floats, extra: Floats | None = None
) -> LeastSquaresVcov:
    return least_squares_vcov(
        cast(LeastSquaresKind, kind),
        design,
        fit.solution.residuals,
        bread,
        groups=list(ways) or None,
        n_parameters=fit.n_parameters,
        leverage_extra=extra,
        weights=fit.weights,
    )


def _moved(found: LeastSquaresVcov, transform: Floats) -> LeastSquaresVcov:
    adjusted = found.adjusted_psi
    psi = found.psi @ transform.T
    return replace(
        found,
        matrix=transform @ found.matrix @ transform.T,
        psi=psi,
        adjusted_psi=psi if adjusted is found.psi else None if adjusted is None else adjusted @ transform.T,
    )


def _intercept_df(fit: Fit, kind: str, ways: Sequence[Codes]) -> float:
    """Degrees of freedom of the intercept itself; those of the centred problem belong to the mean outcome."""
    design = np.stack([fit.X[j] for j in fit.solution.kept]).T
    design = design if fit.weights is None else design * np.sqrt(fit.weights)[:, None]
    raw = _call(fit, kind, ways, design, fit.transform @ fit.solution.bread @ fit.transform.T)
    return float(raw.df[fit.place or 0])


def _with_dummies(fit: Fit, effects: Absorber, nested: list[int], kind: str, ways: Sequence[Codes]) -> LeastSquaresVcov:
    """CR2 and CR3 with effects that cross the clusters: those effects become columns, the nested ones stay absorbed.

    Effects nested in the clusters need not: the adjustment of the partialled-out design is then the adjustment of the
    full one (Pustejovsky and Tipton 2018, theorem 2), and a cluster left out takes its own effects with it. The theorem
    does not cover CR2 with weights that are not those of the working model; there, all effects become columns.
    """
    crossing = [position for position in range(len(effects.sizes)) if position not in nested]
    count = sum(effects.sizes[position] for position in crossing)
    if count > _MAX_DUMMIES:
        raise InferenceUnavailable(
            f"{kind} needs the {count} absorbed levels that cross the clusters as columns; at most {_MAX_DUMMIES} are.",
            hint="Use CR1.",
        )
    n, root = fit.X[0].size, 1.0 if fit.weights is None else np.sqrt(fit.weights)
    columns = [fit.X[j] for j in fit.solution.kept]
    for position in crossing:
        codes = effects.codes(position)
        columns += [(codes == level).astype(np.float64) for level in range(effects.sizes[position])]
    base = [effects.codes(position) for position in nested] or [np.zeros(n, dtype=np.int32)]
    part = absorber(base, fit.weights).partial_out(columns)
    if not nested:
        part.columns[-1] = 1.0
        part.centred_norms[-1] = np.sqrt(n)
    rows = np.vstack([np.zeros(n), part.columns * root])
    wide = solve_columns(rows, part.centred_norms, part.centred_norms)
    found = least_squares_vcov(
        cast(LeastSquaresKind, kind),
        (part.columns[wide.kept] * root).T,
        fit.solution.residuals,
        wide.bread,
        groups=list(ways),
        weights=fit.weights,
    )
    r = fit.solution.kept.size
    adjusted = None if found.adjusted_psi is None else found.adjusted_psi[:, :r]
    return replace(found, matrix=found.matrix[:r, :r], df=found.df[:r], psi=found.psi[:, :r], adjusted_psi=adjusted)
