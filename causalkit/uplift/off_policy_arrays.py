"""Logged decisions: from policies, propensities and predictions in several shapes to four numbers for each decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.data.frame import first_rows
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.ranks import as_floats

#: How far the sum of a row of probabilities may be from one: of the policy, and of the log, where it may be rounded.
SUM_TOLERANCE, LOGGED_TOLERANCE = 1e-6, 1e-2
#: Importance weights above this can't be squared.
_LARGEST = 1e150


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
    unseen : Floats, shape (n,)
        Probability that the policy takes an arm which the log had no chance of taking here, as far as propensities of all
        arms were given (zero where only that of the decision is known).
    """

    ratio: Floats
    outcome: Floats
    own: Floats
    model: Floats
    unseen: Floats


def logged(outcome: Any, treatment: Any, policy: Any, propensity: Any, expected: Any) -> Logged:
    """Read the arrays of :func:`causalkit.uplift.off_policy_value`."""
    y = as_floats(outcome, "outcome")
    n = y.size
    taken = np.asarray(treatment)
    for name, value in (("policy", policy), ("propensity", propensity)):
        if (
            value is None
            or isinstance(value, str)
            or (name == "policy" and np.ndim(value) == 0 and not _is_mapping(value))
        ):
            raise DesignError(f"{name}={value!r} is no array.", hint="Pass one value a decision, or a mapping by arm.")
    if y.ndim != 1 or taken.shape != (n,):
        raise DesignError(
            f"outcome= has shape {y.shape} and treatment= {taken.shape}.", hint="Pass one value a decision."
        )
    policy, propensity, expected = (_by_arm(table, taken) for table in (policy, propensity, expected))
    levels = _levels(taken, policy, propensity, expected)
    codes = _codes(taken, levels, "treatment")
    chances = _chances(policy, levels, n)
    before, unseen = _propensities(propensity, levels, codes, chances)
    everyone = np.arange(n)
    with np.errstate(over="ignore"):
        ratio = chances[everyone, codes] / before
    _refuse(ratio > _LARGEST, "propensity", "It is too close to zero to divide by; look for unset values.")
    if expected is None:
        return Logged(ratio, y, np.zeros(n), np.zeros(n), unseen)
    q = _matrix(expected, levels, n, "expected")
    # An arm that the policy never takes may lack a prediction.
    model = np.sum(np.where(chances > 0, chances * q, 0.0), axis=1)
    return Logged(ratio, y, np.where(ratio > 0, q[everyone, codes], 0.0), model, unseen)


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


def _by_arm(table: Any, taken: Any) -> Any:
    """Turn a table that is no mapping (of polars, say) into one where its columns bear the names of arms."""
    if _is_mapping(table) or not (hasattr(table, "columns") and hasattr(table, "to_numpy")):
        return table
    named = set(taken.tolist()) & set(table.columns)
    return {name: table[name].to_numpy() for name in table.columns} if named else table.to_numpy()


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
        columns = [as_floats(table[level], f"{name}[{level!r}]") for level in levels]
        wrong = [level for level, column in zip(levels, columns, strict=True) if column.shape not in ((), (n,))]
        if wrong:
            raise DesignError(f"{name}= does not have one value a decision for the arm {wrong[0]!r}.")
        return np.column_stack([np.broadcast_to(column, (n,)) for column in columns])
    matrix = as_floats(table, name)
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


def _propensities(propensity: Any, levels: tuple[Any, ...], codes: Codes, chances: Floats) -> tuple[Floats, Floats]:
    """Probability of the decision that was taken, and the policy's probability of arms that had none."""
    n = len(codes)
    unseen = np.zeros(n)
    if not _is_mapping(propensity) and np.ndim(propensity) < 2:
        given = as_floats(propensity, "propensity")
        if given.shape not in ((), (n,)):
            raise DesignError(f"propensity= has shape {given.shape} for {n} decisions.")
        before = np.broadcast_to(given, (n,))
    else:
        every = _matrix(propensity, levels, n, "propensity")
        before = every[np.arange(n), codes]
        unseen = np.asarray(np.sum(np.where(every == 0.0, chances, 0.0), axis=1))
        total = every.sum(axis=1)  # arms that were not taken may be unknown
        _refuse(
            np.abs(total - 1.0) > LOGGED_TOLERANCE, "propensity", "Propensities of all arms sum to one in every row."
        )
    with np.errstate(invalid="ignore"):
        bad = ~((before > 0) & (before <= 1))
    _refuse(bad, "propensity", "It is the probability of the arm that was taken, which can't be zero.")
    return np.asarray(before), unseen


def _refuse(bad: Any, name: str, hint: str) -> None:
    if bad.any():
        first = first_rows(bad)
        raise DataError(
            f"{name}= is no probability in {int(bad.sum())} rows (first in row {first[0]}).",
            hint=hint,
            column=name,
            rows=first,
        )
