"""Effects by cohort, period and dose: a spline through the changes of treated units, less the mean of the untreated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.core.sample import Number, Sample
from causalkit.did.cohorts import Cohorts
from causalkit.did.continuous_spline import Spline
from causalkit.did.plan import Cell
from causalkit.errors import DataError
from causalkit.kernels.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class DoseCells:
    """Fitted cells.

    Parameters
    ----------
    effect, response : Floats, shape (k,)
        Average over treated units of the effect of their dose, and of its slope there (NaN without a curve).
    of_effect, of_response : Floats, shape (n_units, k)
        Their influence values, with 1/n folded in (zero without a curve).
    curves, slopes : Floats, shape (k, m)
        Effect and slope at each dose asked for (NaN without a curve).
    of_curves, of_slopes : Floats, shape (n_units, m)
        Influence values of the mixture of the cells' curves that was asked for.
    counts : Ints, shape (2, k)
        Treated and untreated units.
    """

    effect: Floats
    response: Floats
    of_effect: Floats
    of_response: Floats
    curves: Floats
    slopes: Floats
    of_curves: Floats
    of_slopes: Floats
    counts: Ints


def doses_of(cohorts: Cohorts, sample: Sample) -> tuple[Floats, Number]:
    """Return the dose of each unit (zero where it is never treated), and the column on the rows that are used.

    Raises
    ------
    DataError
        If a dose is negative, varies within a treated unit, or a treated unit has none.
    """
    column = sample.columns["treatment"]
    assert isinstance(column, Number)
    place = np.full(sample.n_input, -1)
    place[sample.rows.positions] = np.arange(sample.n)
    rows, unit = cohorts.sample.rows.positions, cohorts.panel.unit
    values = column.values[place[rows]]

    def refuse(bad: Bools, told: str, hint: str) -> None:
        if bad.any():
            row = int(rows[np.flatnonzero(bad)].min())
            units = np.unique(unit.codes[bad])
            raise DataError(
                f"treatment {column.name!r} {told} in {len(units)} units, first in {unit.name}="
                f"{unit.labels[units[0]]!r} (row {row}).",
                hint=hint,
                column=column.name,
                rows=(row,),
            )

    refuse(values < 0, "is negative", "A dose counts how much treatment a unit got; untreated is 0.")
    dose = np.zeros(cohorts.n_units)
    np.maximum.at(dose, unit.codes, values)
    treated = cohorts.start < cohorts.n_periods
    varies = (values > 0) & (values != dose[unit.codes]) & treated[unit.codes]
    refuse(varies, "varies", "Give each unit one dose; a treatment that changes is for DCDH.")
    refuse(
        (treated & (dose == 0))[unit.codes], "is zero", "Give treated units their dose, or code their cohort as never."
    )
    return np.where(treated, dose, 0.0), Number(values, column.name)


def fit_cells(
    cohorts: Cohorts, dose: Floats, plan: Sequence[Cell], splines: Sequence[Spline | None], at: Floats, mix: Floats
) -> DoseCells:
    """Fit the cells.

    Parameters
    ----------
    cohorts : Cohorts
    dose : Floats, shape (n_units,)
    plan : list of Cell
    splines : list of Spline or None
        One per cohort.
    at : Floats, shape (m,)
        Where curves are evaluated.
    mix : Floats, shape (k,)
        Weights of the cells in ``of_curves`` and ``of_slopes``.

    Returns
    -------
    DoseCells
    """
    n, k, m = cohorts.n_units, len(plan), len(at)
    effect, response = np.zeros(k), np.full(k, np.nan)
    of_effect, of_response = np.zeros((n, k)), np.zeros((n, k))
    curves, slopes = np.full((k, m), np.nan), np.full((k, m), np.nan)
    of_curves, of_slopes = np.zeros((n, m)), np.zeros((n, m))
    counts = np.zeros((2, k), dtype=np.int64)
    for j, cell in enumerate(plan):
        treated = np.flatnonzero(cohorts.of_unit == cell.cohort)
        others = np.flatnonzero(np.isin(cohorts.of_unit, cell.controls))
        counts[:, j] = len(treated), len(others)
        change = cohorts.outcome[:, cell.time] - cohorts.outcome[:, cell.base]
        w = np.ones(n) if cohorts.weights is None else cohorts.weights[:, cell.base]
        share, of_mean = w[treated] / w[treated].sum(), w[others] / w[others].sum()
        untreated = float(of_mean @ change[others])
        of_untreated = of_mean * (change[others] - untreated)
        mean = float(share @ change[treated])
        effect[j] = mean - untreated
        of_effect[treated, j], of_effect[others, j] = share * (change[treated] - mean), -of_untreated
        spline = splines[cell.cohort]
        if spline is None:
            continue
        coefficients, of_coefficients = _least_squares(spline.basis(dose[treated]), change[treated], share)
        steep = spline.slope(dose[treated])
        own = steep @ coefficients
        response[j] = float(share @ own)
        of_response[treated, j] = share * (own - response[j]) + of_coefficients @ (share @ steep)
        basis, slope = spline.basis(at), spline.slope(at)
        curves[j], slopes[j] = basis @ coefficients - untreated, slope @ coefficients
        if mix[j]:
            of_curves[treated] += mix[j] * (of_coefficients @ basis.T)
            of_curves[others] -= mix[j] * of_untreated[:, None]
            of_slopes[treated] += mix[j] * (of_coefficients @ slope.T)
    return DoseCells(effect, response, of_effect, of_response, curves, slopes, of_curves, of_slopes, counts)


def _least_squares(x: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return weighted least squares coefficients and their influence values, shape (n, p)."""
    root = np.sqrt(w)[:, None]
    q, r = np.linalg.qr(x * root)
    coefficients = np.linalg.solve(r, q.T @ (y * root[:, 0]))
    bread = np.linalg.inv(r)
    return coefficients, (w * (y - x @ coefficients))[:, None] * (x @ (bread @ bread.T))
