"""The comparisons behind triple differences, and how those with several control cohorts are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.did.group_time import Cell, Method, constant_over_time, two_groups
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints

_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Triples:
    """Fitted triple differences.

    Parameters
    ----------
    values : Floats, shape (k,)
    psi : Floats, shape (n_units, k)
        Influence values, with 1/n folded in.
    counts : Ints, shape (2, k)
        Treated units, and all units that they are compared with.
    trimmed : int
        Comparisons in which a control had no weight.
    """

    values: Floats
    psi: Floats
    counts: Ints
    trimmed: int


def eligible_units(cohorts: Cohorts) -> Bools:
    """Return who is eligible, by unit.

    Raises
    ------
    DataError
        If a value is neither 0 nor 1, or varies within a unit.
    DesignError
        If all units are eligible, or none is.
    """
    panel, sample = cohorts.panel, cohorts.sample
    values, name = sample.number("eligible"), sample.name("eligible")
    odd = (values != 0) & (values != 1)
    if odd.any():
        row = int(sample.rows.positions[np.flatnonzero(odd)].min())
        raise DataError(
            f"eligible {name!r} has {int(odd.sum())} values that are neither 0 nor 1 (first in row {row}).",
            hint="Write 1 (or True) where the policy can reach the unit, else 0.",
            column=name,
            rows=(row,),
        )
    first = np.zeros(panel.n_units)
    first[panel.unit.codes[::-1]] = values[::-1]
    varies = first[panel.unit.codes] != values
    if varies.any():
        units = np.unique(panel.unit.codes[varies])
        row = int(sample.rows.positions[np.flatnonzero(varies)].min())
        raise DataError(
            f"eligible {name!r} varies within {len(units)} units, first within "
            f"{panel.unit.name}={panel.unit.labels[units[0]]!r} (row {row}).",
            hint="Give every unit one value, such as that of its first period.",
            column=name,
            rows=(row,),
        )
    if first.min() == first.max():
        raise DesignError(
            f"eligible {name!r} is {int(first[0])} for every unit.",
            hint="Without ineligible units, use CallawaySantAnna.",
            column=name,
        )
    return np.asarray(first == 1)


def triples_of(cohorts: Cohorts, eligible: Bools, cells: Sequence[Cell]) -> list[Cell]:
    """Keep the cells, and of each the control cohorts, in which there are eligible and ineligible units.

    Raises
    ------
    DesignError
        If none is left.
    """
    reached = np.bincount(cohorts.of_unit[eligible], minlength=len(cohorts.sizes))
    both = (reached > 0) & (reached < cohorts.sizes)
    narrowed = [replace(cell, controls=tuple(c for c in cell.controls if both[c])) for cell in cells]
    plan = [cell for cell in narrowed if both[cell.cohort] and cell.controls]
    if not plan:
        name = cohorts.sample.name("eligible")
        raise DesignError(
            f"no triple difference can be made: no cohort and its controls both have eligible and ineligible units, by "
            f"{name!r}.",
            hint='Use control_group="not_yet_treated", or CallawaySantAnna on the eligible.',
            column=name,
        )
    return plan


def compare_triples(
    cohorts: Cohorts, eligible: Bools, plan: Sequence[Cell], covariates: Floats | None, method: Method
) -> Triples:
    """Fit the cells, those that share cohorts and covariates together.

    Parameters
    ----------
    cohorts : Cohorts
    eligible : Bools, shape (n_units,)
    plan : list of Cell
    covariates : Floats, shape (n_units, n_periods, p), or None
        Of which each cell uses the values of its base period.
    method : {"dr", "ipw", "reg"}

    Returns
    -------
    Triples

    References
    ----------
    Ortiz-Villavicencio and Sant'Anna (2025): the estimand against one control cohort, and its combination by the
    generalized method of moments.
    """
    fixed = constant_over_time(covariates) and constant_over_time(cohorts.weights)
    together: dict[tuple[int, int, int], list[int]] = {}
    for j, cell in enumerate(plan):
        for c in cell.controls:
            together.setdefault((cell.cohort, c, -1 if fixed else cell.base), []).append(j)
    values: list[list[float]] = [[] for _ in plan]
    columns: list[list[Floats]] = [[] for _ in plan]
    trimmed = 0
    for (_, control, _), at in together.items():
        theta, psi, lost = _against(cohorts, eligible, [plan[j] for j in at], control, covariates, method)
        trimmed += lost
        for j, value, column in zip(at, theta, psi.T, strict=True):
            values[j].append(float(value))
            columns[j].append(column)
    combined, influence = np.empty(len(plan)), np.empty((cohorts.n_units, len(plan)))
    for j, (each, of_each) in enumerate(zip(values, columns, strict=True)):
        mix = _least_variance(np.column_stack(of_each))
        combined[j], influence[:, j] = mix @ each, np.column_stack(of_each) @ mix
    return Triples(combined, influence, _counts(cohorts, eligible, plan), trimmed)


def _counts(cohorts: Cohorts, eligible: Bools, plan: Sequence[Cell]) -> Ints:
    """Return the treated units of each cell, and all that they are compared with."""
    reached = np.bincount(cohorts.of_unit[eligible], minlength=len(cohorts.sizes))
    treated = [reached[cell.cohort] for cell in plan]
    compared = [
        cohorts.sizes[cell.cohort] - reached[cell.cohort] + cohorts.sizes[list(cell.controls)].sum() for cell in plan
    ]
    return np.array([treated, compared], dtype=np.int64)


def _against(
    cohorts: Cohorts, eligible: Bools, cells: Sequence[Cell], control: int, covariates: Floats | None, method: Method
) -> tuple[Floats, Floats, int]:
    """Return triple differences against one control cohort, their influence values, and the controls without weight."""
    first = cells[0]
    times, bases = np.array([(cell.time, cell.base) for cell in cells]).T
    own, other = cohorts.of_unit == first.cohort, cohorts.of_unit == control
    treated, name = np.flatnonzero(own & eligible), str(cohorts.labels[first.cohort])
    values, psi, trimmed = np.zeros(len(cells)), np.zeros((cohorts.n_units, len(cells))), 0
    # Treated units against each of three groups, all weighted to the covariates of the treated.
    for sign, who in ((1.0, own & ~eligible), (1.0, other & eligible), (-1.0, other & ~eligible)):
        units = np.concatenate([treated, np.flatnonzero(who)])
        change = cohorts.outcome[np.ix_(units, times)] - cohorts.outcome[np.ix_(units, bases)]
        x = np.ones((len(units), 1))
        if covariates is not None:
            x = np.column_stack([x, covariates[units, first.base]])
        w = np.ones(len(units)) if cohorts.weights is None else cohorts.weights[units, first.base]
        is_treated = np.arange(len(units)) < len(treated)
        found, influence, lost, _ = two_groups(change, x, w, is_treated, method, name, None)
        values += sign * found
        psi[units] += sign * influence
        trimmed += lost
    return values, psi, trimmed


def _least_variance(psi: Floats) -> Floats:
    """Return weights that sum to one with the least variance; equal ones where the variance is singular."""
    k = psi.shape[1]
    if k == 1:
        return np.ones(1)
    spread = np.sqrt((psi**2).sum(axis=0))
    if not spread.all():
        return np.full(k, 1.0 / k)
    scaled = psi / spread
    correlation = scaled.T @ scaled
    if np.linalg.eigvalsh(correlation)[0] < _SINGULAR:
        return np.full(k, 1.0 / k)
    solved = np.linalg.solve(correlation, spread.min() / spread) / spread
    return np.asarray(solved / solved.sum())


def share_of_treated(cohorts: Cohorts, eligible: Bools) -> tuple[Floats, Floats]:
    """Return the share of each cohort's eligible among all units, and its influence values with 1/n folded in."""
    n = cohorts.n_units
    w = np.ones(n) if cohorts.weights is None else cohorts.weights[:, 0] / cohorts.weights[:, 0].mean()
    within = (eligible[:, None] & (cohorts.of_unit[:, None] == np.arange(len(cohorts.starts)))) * w[:, None]
    shares = within.mean(axis=0)
    return shares, (within - shares) / n
