"""Least squares with unit and time effects and one indicator per cell: what several estimators have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalkit.core.estimate import Covariance, Estimate, Influence
from causalkit.did.cohorts import Cohorts
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats, read_only
from causalkit.linear.least_squares import LeastSquares, least_squares

VCOV = ("auto", "iid", "HC1", "CR0", "CR1", "CR3")


def two_way_fit(
    cohorts: Cohorts,
    columns: Sequence[Floats],
    names: Sequence[str],
    vcov: str,
    *,
    further: tuple[Sequence[Floats], Sequence[str]] | None = None,
) -> LeastSquares:
    """Regress the outcome on columns (one value per row) and covariates, with unit and time effects absorbed.

    Parameters
    ----------
    cohorts : Cohorts
    columns, names : sequences
        The regressors of interest.
    vcov : str
        ``"auto"`` is CR1, by unit where no cluster was named.
    further : (sequence of arrays, names), optional
        Columns that enter after ``columns``, and leave where these determine them. By default covariates enter, before
        ``columns``: what they determine is not identified.

    Raises
    ------
    DesignError
        If a column of interest is not identified.
    """
    sample, panel = cohorts.sample, cohorts.panel
    values, more = sample.features().dummies() if further is None else (np.empty((sample.n, 0)), ())
    last, last_names = ((), ()) if further is None else further
    kind = "CR1" if vcov == "auto" else vcov
    ways = [way.codes for way in sample.several("cluster")] or [panel.unit.codes]
    fit = least_squares(
        sample.outcome,
        [*values.T, *columns, *last],
        names=[*apart(more, names), *names, *last_names],
        weights=sample.optional("weights"),
        absorb=[panel.unit.codes, panel.time.codes],
        absorb_names=[panel.unit.name, panel.time.name],
        groups=ways if kind.startswith("CR") else None,
        vcov=kind,
    )
    lost = [name for name in names if name in fit.dropped]
    if lost:
        raise DesignError(
            f"{len(lost)} effects are not identified, first {lost[0]!r}: it is {fit.dropped[lost[0]]}.",
            hint="There may be no untreated unit in that period, or a covariate that determines the treatment.",
        )
    return fit


def apart(covariates: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return names of covariates that no effect has."""
    return [f"covariate {name}" if name in names else name for name in covariates]


def numbers_of(fit: LeastSquares, cohorts: Cohorts, names: Sequence[str]) -> Estimate:
    """Return the coefficients of some columns, with influence values by unit where the variance allows them."""
    at = np.array([fit.names.index(name) for name in names])
    kind = fit.vcov.kind
    if kind not in ("CR0", "CR1") or len(cohorts.sample.several("cluster")) > 1:
        return Estimate(fit.coefficients[at], Covariance(read_only(fit.vcov.matrix[np.ix_(at, at)]), fit.df[at], kind))
    codes, n = cohorts.panel.unit.codes, cohorts.n_units
    by_unit: Floats = np.stack([np.bincount(codes, fit.psi[:, j], minlength=n) for j in at], axis=1)
    groups = cohorts.clusters[0] if cohorts.clusters else None
    rest = cohorts.unit_rows, groups, fit.vcov.scale, fit.df[at], kind
    carrier = Influence(read_only(by_unit), *rest, per_row=per_row(fit))
    return Estimate(fit.coefficients[at], carrier)


def per_row(fit: LeastSquares) -> float:
    """Return what CR1 multiplies by for the rows and parameters of a fit."""
    return (fit.n - 1) / (fit.n - fit.n_parameters)


def require_untreated(cohorts: Cohorts, who: str) -> None:
    """Raise unless some unit is never treated."""
    if not cohorts.sizes[-1]:
        raise InferenceUnavailable(
            f"{who} compares with never-treated units, and there are none.",
            hint="Use CallawaySantAnna(control_group='not_yet_treated') or ImputationDiD.",
        )
