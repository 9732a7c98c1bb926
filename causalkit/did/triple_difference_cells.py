"""The comparisons behind triple differences, and how those with several control cohorts are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.did.logit import NotEstimable
from causalkit.did.plan import Cell
from causalkit.did.triple_difference_pair import Method, two_groups
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats, Ints

_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class Triples:
    """Fitted triple differences.

    Parameters
    ----------
    plan : tuple of Cell
        The cells that could be fitted, each with the control cohorts that could be used.
    values : Floats, shape (k,)
    psi : Floats, shape (n_units, k)
        Influence values, with 1/n folded in.
    counts : Ints, shape (2, k)
        Treated units, and all units that they are compared with.
    trimmed : int
        Comparisons in which a control had no weight.
    failed : tuple of (Cell, str)
        Cells that could not be fitted, and why.
    """

    plan: tuple[Cell, ...]
    values: Floats
    psi: Floats
    counts: Ints
    trimmed: int
    failed: tuple[tuple[Cell, str], ...]


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

    Raises
    ------
    InferenceUnavailable
        If no cell can be fitted: covariates are collinear among the controls, or separate them from the treated.

    References
    ----------
    Ortiz-Villavicencio and Sant'Anna (2025): the estimand against one control cohort, and its combination by the
    generalized method of moments.
    """
    fixed = _is_fixed(covariates) and _is_fixed(cohorts.weights)
    together: dict[tuple[int, int, int], list[int]] = {}
    for j, cell in enumerate(plan):
        for c in cell.controls:
            together.setdefault((cell.cohort, c, -1 if fixed else cell.base), []).append(j)
    found: list[list[tuple[int, float, Floats]]] = [[] for _ in plan]
    trimmed, why = 0, dict.fromkeys(range(len(plan)), "")
    for (_, control, _), at in together.items():
        try:
            theta, psi, lost = _against(cohorts, eligible, [plan[j] for j in at], control, covariates, method)
        except NotEstimable as reason:
            why |= dict.fromkeys(at, str(reason))
            continue
        trimmed += lost
        for j, value, column in zip(at, theta, psi.T, strict=True):
            found[j].append((control, float(value), column))
    kept = [j for j, each in enumerate(found) if each]
    if not kept:
        raise InferenceUnavailable(
            f"no triple difference can be estimated: cohort {cohorts.labels[plan[0].cohort]}, {why[0]}.",
            hint='Use fewer covariates, or method="reg".',
        )
    values, influence = np.empty(len(kept)), np.empty((cohorts.n_units, len(kept)))
    for i, j in enumerate(kept):
        columns = np.column_stack([column for _, _, column in found[j]])
        mix = _least_variance(columns)
        values[i], influence[:, i] = mix @ [value for _, value, _ in found[j]], columns @ mix
    used = tuple(replace(plan[j], controls=tuple(c for c, _, _ in found[j])) for j in kept)
    failed = tuple((cell, why[j]) for j, cell in enumerate(plan) if not found[j])
    return Triples(used, values, influence, _counts(cohorts, eligible, used), trimmed, failed)


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
    treated = np.flatnonzero(own & eligible)
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
        found, influence, lost = two_groups(change, x, w, is_treated, method)
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


def _is_fixed(values: Floats | None) -> bool:
    """Whether no unit's values change over time (what is absent does not)."""
    return values is None or bool((values == values[:, :1]).all())
