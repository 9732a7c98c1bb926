"""Logged decisions: from policies, propensities and predictions in several shapes to four numbers for each decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.data.frame import first_rows
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats

#: How far a row of probabilities may be from one.
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Logged:
    """What estimators need of each decision.

    Parameters
    ----------
    ratio : Floats, shape (n,)
        Probability of the decision under the policy over that under the logged one.
    outcome : Floats, shape (n,)
    own : Floats, shape (n,)
        Expected outcome of the decision taken (zero where there is no model).
    model : Floats, shape (n,)
        Expected outcome under the policy (zero where there is no model).
    """

    ratio: Floats
    outcome: Floats
    own: Floats
    model: Floats


def logged(outcome: Any, treatment: Any, policy: Any, propensity: Any, expected: Any) -> Logged:
    """Read the arrays of :func:`causalkit.uplift.off_policy_value`."""
    y = np.asarray(outcome, dtype=float)
    n = y.size
    taken = np.asarray(treatment)
    if y.ndim != 1 or taken.shape != (n,):
        raise DesignError(
            f"outcome= has shape {y.shape} and treatment= {taken.shape}.", hint="Pass one value a decision."
        )
    levels = _levels(taken, policy, propensity, expected)
    codes = _codes(taken, levels, "treatment")
    chances = _chances(policy, levels, n)
    before = _propensities(propensity, levels, codes, n)
    everyone = np.arange(n)
    ratio = chances[everyone, codes] / before
    if expected is None:
        return Logged(ratio, y, np.zeros(n), np.zeros(n))
    q = _matrix(expected, levels, n, "expected")
    # An arm that the policy never takes may lack a prediction.
    model = np.sum(np.where(chances > 0, chances * q, 0.0), axis=1)
    return Logged(ratio, y, np.where(ratio > 0, q[everyone, codes], 0.0), model)


def _levels(taken: Any, *tables: Any) -> tuple[Any, ...]:
    """The arms: those of the first mapping; else as many as the widest array has columns; else those that occur."""
    for table in tables:
        if _is_mapping(table):
            keys = tuple(table.keys())
            # Whole numbers from 0 are columns of arrays too, whatever the order in which they were written.
            return tuple(range(len(keys))) if set(keys) == set(range(len(keys))) else keys
    wide = [np.shape(table)[1] for table in tables if table is not None and np.ndim(table) == 2]
    if wide:
        return tuple(range(max(wide)))
    policy = np.asarray(tables[0])
    return tuple(sorted({*taken.tolist(), *policy.tolist()}, key=lambda level: (str(type(level)), level)))


def _is_mapping(table: Any) -> bool:
    return isinstance(table, Mapping) or (hasattr(table, "keys") and hasattr(table, "columns"))


def _codes(values: Any, levels: tuple[Any, ...], name: str) -> Codes:
    known = {level: code for code, level in enumerate(levels)}
    listed = values.tolist()
    codes = np.array([known.get(value, -1) for value in listed], dtype=np.int32)
    stray = codes < 0
    if stray.any():
        first = first_rows(stray)
        raise DesignError(
            f"{name}= has {int(stray.sum())} arms that the policy does not know, first {listed[first[0]]!r} in row "
            f"{first[0]}.",
            hint=f"Arms: {', '.join(map(repr, levels[:10]))}.",
            rows=first,
        )
    return codes


def _matrix(table: Any, levels: tuple[Any, ...], n: int, name: str) -> Floats:
    if _is_mapping(table):
        missing = [level for level in levels if level not in table.keys()]  # noqa: SIM118 - tables have no `in`
        if missing:
            raise DesignError(f"{name}= lacks the arm {missing[0]!r}.", hint="Give every arm a column.")
        columns = [np.broadcast_to(np.asarray(table[level], dtype=float), (n,)) for level in levels]
        return np.column_stack(columns)
    matrix = np.asarray(table, dtype=float)
    if matrix.shape != (n, len(levels)):
        raise DesignError(
            f"{name}= has shape {matrix.shape} for {n} decisions and {len(levels)} arms.",
            hint="Pass one row a decision and one column an arm.",
        )
    return matrix


def _chances(policy: Any, levels: tuple[Any, ...], n: int) -> Floats:
    if not _is_mapping(policy) and np.ndim(policy) == 1:
        chosen = np.asarray(policy)
        if chosen.shape != (n,):
            raise DesignError(f"policy= has shape {chosen.shape} for {n} decisions.", hint="Pass one arm a decision.")
        out = np.zeros((n, len(levels)))
        out[np.arange(n), _codes(chosen, levels, "policy")] = 1.0
        return out
    chances = _matrix(policy, levels, n, "policy")
    bad = ~np.isfinite(chances).all(axis=1) | (chances < 0).any(axis=1)
    bad |= np.abs(chances.sum(axis=1) - 1.0) > SUM_TOLERANCE
    _refuse(bad, "policy", "Probabilities are not negative and sum to one in every row.")
    return chances


def _propensities(propensity: Any, levels: tuple[Any, ...], codes: Codes, n: int) -> Floats:
    """Probability of the decision that was taken."""
    if not _is_mapping(propensity) and np.ndim(propensity) < 2:
        given = np.asarray(propensity, dtype=float)
        if given.shape not in ((), (n,)):
            raise DesignError(f"propensity= has shape {given.shape} for {n} decisions.")
        before = np.broadcast_to(given, (n,))
    else:
        before = _matrix(propensity, levels, n, "propensity")[np.arange(n), codes]
    with np.errstate(invalid="ignore"):
        bad = ~((before > 0) & (before <= 1))
    _refuse(bad, "propensity", "It is the probability of the arm that was taken, which can't be zero.")
    return np.asarray(before)


def _refuse(bad: Any, name: str, hint: str) -> None:
    if bad.any():
        first = first_rows(bad)
        raise DataError(
            f"{name}= is no probability in {int(bad.sum())} rows (first in row {first[0]}).",
            hint=hint,
            column=name,
            rows=first,
        )
