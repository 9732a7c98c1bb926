"""Average effects by cohort and time: which comparison each cell makes, and its estimate with influence values.

A cell compares the change of a cohort's outcome, from its base period to the period of the cell, with that of control
units. Cells of one cohort that share their controls share one propensity model and one regression with as many right-hand
sides as there are cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.did.logit import fit_logit
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats, Ints

Method = Literal["dr", "ipw", "reg"]
ControlGroup = Literal["never_treated", "not_yet_treated"]

#: Controls whose propensity is above this have no counterpart; they get no weight, as in R's DRDID.
TRIM = 0.995
_CERTAIN = 1e-6
_CONDITION = 1e10


@dataclass(frozen=True)
class Cell:
    """One comparison: a cohort, a period, its base period, and the cohorts of the controls.

    Parameters
    ----------
    cohort : int
        Position of the cohort in ``Cohorts.starts``.
    time, base : int
        Positions of the periods.
    controls : tuple of int
        Positions of the control cohorts; ``len(starts)`` is the never treated.
    """

    cohort: int
    time: int
    base: int
    controls: tuple[int, ...]


def plan_cells(
    cohorts: Cohorts, control_group: ControlGroup, base_period: Literal["varying", "universal"], anticipation: int
) -> list[Cell]:
    """List the comparisons that can be made.

    Parameters
    ----------
    cohorts : Cohorts
    control_group : {"never_treated", "not_yet_treated"}
        The not yet treated of a cell are not treated (nor anticipate it) in either of its two periods.
    base_period : {"varying", "universal"}
        What cells before the start are measured from: the period before theirs, or the last one without treatment.
    anticipation : int
        Periods before the start in which units may already respond.

    Returns
    -------
    list of Cell

    Raises
    ------
    DesignError
        If no comparison can be made.
    """
    never = len(cohorts.starts)
    last = np.append(cohorts.starts, cohorts.n_periods + anticipation) - anticipation  # first period that may respond
    # Without never-treated units the last cohort is what the others are compared with.
    compared = cohorts.starts if cohorts.sizes[never] else cohorts.starts[:-1]
    cells = []
    for g, start in enumerate(compared):
        clean = int(start) - anticipation - 1
        if clean < 0:
            continue
        for t in range(cohorts.n_periods):
            base = clean if base_period == "universal" or t >= start else t - 1
            if base < 0 or base == t:
                continue
            later = max(t, base)
            controls = [
                c
                for c in range(never + 1)
                if c != g and (c == never or (control_group == "not_yet_treated" and last[c] > later))
            ]
            controls = [c for c in controls if cohorts.sizes[c]]
            if controls:
                cells.append(Cell(g, t, base, tuple(controls)))
    if not cells:
        raise DesignError(
            "no comparison can be made: no cohort has both an untreated period before its start and control units.",
            hint='Use control_group="not_yet_treated", a smaller anticipation=, or add earlier periods.',
        )
    return cells


@dataclass(frozen=True, eq=False)
class Comparison:
    """Cells that share cohort and controls, fitted.

    Parameters
    ----------
    at : Ints, shape (m,)
        Positions of the cells.
    units : Ints, shape (r,)
        The units that take part, treated first.
    values : Floats, shape (m,)
        The estimates.
    psi : Floats, shape (r, m)
        Influence values of these units, with 1/n folded in.
    n_treated, n_control : int
    trimmed : int
        Controls without weight because their propensity is too high.
    """

    at: Ints
    units: Ints
    values: Floats
    psi: Floats
    n_treated: int
    n_control: int
    trimmed: int


def compare(
    cohorts: Cohorts,
    cells: list[Cell],
    outcome: Floats,
    covariates: Floats | None,
    weights: Floats | None,
    method: Method,
) -> Iterable[Comparison]:
    """Fit the cells, those that share cohort, controls and covariates together.

    Parameters
    ----------
    cohorts : Cohorts
    cells : list of Cell
    outcome : Floats, shape (n_units, n_periods)
    covariates : Floats, shape (n_units, n_periods, p), or None
        Of which each cell uses the values of its base period.
    weights : Floats, shape (n_units, n_periods), or None
        Of which each cell uses those of its base period.
    method : {"dr", "ipw", "reg"}
        Doubly robust, inverse propensity weighting (Hajek), or outcome regression.

    Yields
    ------
    Comparison

    References
    ----------
    Callaway and Sant'Anna (2021), eqs. 2.4-2.6; Sant'Anna and Zhao (2020), "Doubly robust difference-in-differences
    estimators", theorem 1 and appendix, for the influence functions.
    """
    fixed = constant_over_time(covariates) and constant_over_time(weights)
    together: dict[tuple[int, tuple[int, ...], int], list[int]] = {}
    for j, cell in enumerate(cells):
        together.setdefault((cell.cohort, cell.controls, -1 if fixed else cell.base), []).append(j)
    start: Floats | None = None
    members = [np.flatnonzero(cohorts.of_unit == c) for c in range(len(cohorts.starts) + 1)]
    for (g, controls, _), found in together.items():
        at = np.array(found)
        treated, others = members[g], np.concatenate([members[c] for c in controls])
        units = np.concatenate([treated, others])
        base = cells[found[0]].base
        times, bases = np.array([(cells[j].time, cells[j].base) for j in found]).T
        change = outcome[np.ix_(units, times)] - outcome[np.ix_(units, bases)]
        design = np.ones((len(units), 1))
        if covariates is not None:
            design = np.column_stack([design, covariates[units, base]])
        w = np.ones(len(units)) if weights is None else weights[units, base]
        is_treated = np.arange(len(units)) < len(treated)
        cohort = str(cohorts.labels[g])
        values, psi, trimmed, start = two_groups(change, design, w, is_treated, method, cohort, start)
        yield Comparison(at, units, values, psi, len(treated), len(others), trimmed)


def two_groups(
    change: Floats, x: Floats, w: Floats, treated: Bools, method: Method, cohort: str, start: Floats | None
) -> tuple[Floats, Floats, int, Floats | None]:
    """Compare two groups in m outcomes at once; return values, influence values, trimmed controls and the logit.

    Parameters
    ----------
    change : Floats, shape (r, m)
        Changes of the outcome.
    x : Floats, shape (r, p)
        Covariates with their column of ones.
    w : Floats, shape (r,)
        Weights.
    treated : Bools, shape (r,)
        To whose covariates the controls are adjusted.
    method : {"dr", "ipw", "reg"}
    cohort : str
        For error messages.
    start : Floats, shape (p,), or None
        Where the logit begins.
    """
    if x.shape[1] == 1:
        return (*_means(change, w, treated), 0, None)
    d, control = treated.astype(float), ~treated
    expected, unexplained, by_slope = np.zeros_like(change), np.zeros_like(change), None
    if method != "ipw":
        _require_rank(x[control], w[control], cohort)
        bread = np.linalg.inv((x[control] * w[control, None]).T @ x[control])
        slopes = bread @ ((x[control] * w[control, None]).T @ change[control])
        expected = x @ slopes
        unexplained = (w * control)[:, None] * (change - expected)
        by_slope = x @ bread  # (r, p): times the residual, the influence of each unit on the slopes
    if method == "reg":
        return (*_regression(change, expected, unexplained, by_slope, x, w * d), 0, start)
    fit = fit_logit(x, d, w, cohort, start)
    p = np.minimum(fit.probability, 1 - _CERTAIN)
    kept = treated | (p < TRIM)
    v = np.where(control & kept, w * p / (1 - p), 0.0)
    if not v.any():
        raise DesignError(f"cohort {cohort}: no control has covariates like its units.", hint="Use fewer covariates.")
    by_score = (w * (d - fit.probability))[:, None] * (x @ fit.covariance)
    left = change - expected
    t, c = w * d, v
    eta_t, eta_c = t @ left / t.sum(), c @ left / c.sum()
    psi_t, psi_c = t[:, None] * (left - eta_t), c[:, None] * (left - eta_c)
    psi_c += by_score @ (x.T @ psi_c)
    if by_slope is not None:
        psi_t -= unexplained * (by_slope @ (t @ x))[:, None]
        psi_c -= unexplained * (by_slope @ (c @ x))[:, None]
    return eta_t - eta_c, psi_t / t.sum() - psi_c / c.sum(), int((~kept).sum()), fit.coefficients


def _means(change: Floats, w: Floats, treated: Bools) -> tuple[Floats, Floats]:
    """Without covariates all methods are a difference of weighted means."""
    one, zero = w * treated, w * ~treated
    mean_one, mean_zero = one @ change / one.sum(), zero @ change / zero.sum()
    psi = (one / one.sum())[:, None] * (change - mean_one) - (zero / zero.sum())[:, None] * (change - mean_zero)
    return mean_one - mean_zero, psi


def _regression(
    change: Floats, expected: Floats, unexplained: Floats, by_slope: Floats | None, x: Floats, t: Floats
) -> tuple[Floats, Floats]:
    assert by_slope is not None
    left = change - expected
    value = t @ left / t.sum()
    psi = t[:, None] * (left - value) - unexplained * (by_slope @ (t @ x))[:, None]
    return value, psi / t.sum()


def _require_rank(x: Floats, w: Floats, cohort: str) -> None:
    scaled = x * np.sqrt(w)[:, None]
    norms = np.sqrt((scaled**2).sum(axis=0))
    if (norms == 0).any() or len(x) < x.shape[1] or np.linalg.cond(scaled / norms) > _CONDITION:
        raise InferenceUnavailable(
            f"cohort {cohort}: its {len(x)} controls do not identify {x.shape[1]} coefficients.",
            hint="Use fewer covariates, or more controls (control_group='not_yet_treated').",
        )


def constant_over_time(values: Floats | None) -> bool:
    """Whether no unit's values change (those that are absent do not)."""
    return values is None or bool((values == values[:, :1]).all())
