"""Evidence on several arms: effects and held-out scores of each arm, and what each costs each person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from causalkit.core.sample import Sample
from causalkit.data.frame import Frame, first_rows
from causalkit.effects.crossfit_study import arm_names
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats, read_only
from causalkit.uplift.evidence import Evidence, gather
from causalkit.uplift.held_out import arms_in_model
from causalkit.uplift.line import line_prediction


@dataclass(frozen=True, eq=False)
class ArmEvidence:
    """Effects and held-out scores, a column per arm.

    Parameters
    ----------
    base : Evidence
        Evidence on the first arm, with the rows, clusters and checks.
    names : tuple of str
        The arms that can be given, in words.
    labels : tuple
        Their labels in the user's table.
    effect, scores : Floats, shape (n, n_arms)
        Predicted effects, and doubly robust scores of the effects, of each arm over the control.
    level, level_scores : Floats, shape (n, n_arms)
        Predicted outcome under each arm, and its doubly robust scores.
    """

    base: Evidence
    names: tuple[str, ...]
    labels: tuple[Any, ...]
    effect: Floats
    scores: Floats
    level: Floats
    level_scores: Floats

    @property
    def n_arms(self) -> int:
        """Arms that can be given."""
        return len(self.names)


def gather_arms(data: Any, given: Mapping[str, Any], random_state: int) -> ArmEvidence:
    """Bind a table and join it with the effects of one or several arms.

    Several arms are used where ``effect`` is a model of several arms and no ``treatment_level`` is asked for, or where it
    is an array of shape (n, n_arms), or a table with a column per arm.

    Raises
    ------
    DesignError, DataError
        See :func:`causalkit.uplift.evidence.gather`; or the columns of the effects do not match the arms.
    """
    effect = given.get("effect")
    matrix = _matrix(effect)
    several = matrix is not None or _is_several(effect)
    planned = several and (matrix is not None or given.get("treatment_level") is None)
    first = effect if matrix is None else matrix[0][:, 0]
    base = gather(data, {**given, "effect": first}, random_state, all_arms=planned)
    sample, p = base.sample, base.prediction
    arms, labels = sample.arms, tuple(sample.arms.levels[1:])
    if not planned:
        return ArmEvidence(
            base, arm_names(arms)[1:2], labels[:1], p.effect[:, None], base.scores[:, None],
            (p.baseline + p.effect)[:, None], base.arm_scores[:, 1:2],
        )  # fmt: skip
    if matrix is None:
        assert effect is not None  # numbers are a matrix, or one arm
        codes = arms_in_model(effect, sample)
        effects, baseline = np.asarray(effect.cate(data))[sample.rows.positions][:, codes[1:] - 1], p.baseline
    else:
        effects, baseline = _calibrated(_in_order(matrix, sample), base)
    return ArmEvidence(
        base, arm_names(arms)[1:], labels, read_only(effects), base.contrasts,
        read_only(baseline[:, None] + effects), read_only(base.levels[:, 1:]),
    )  # fmt: skip


def price_of(cost: Any, data: Any, evidence: ArmEvidence, otherwise: Any) -> Floats:
    """Return the price of each arm for each person, shape (n, n_arms).

    ``cost`` is None (then ``otherwise``), a number, a mapping from arm to number or column, a column, an array of shape (n,)
    or (n, n_arms), or a list of columns, one per arm.

    Raises
    ------
    DataError
        A cost is negative or missing.
    DesignError
        The costs do not fit the arms.
    """
    chosen = otherwise if cost is None else cost
    n, k = evidence.effect.shape
    if _is_number(chosen):
        if not (np.isfinite(chosen) and chosen >= 0):
            raise DataError(f"cost={chosen!r} is not an amount of money.", hint="Pass zero or more.")
        return np.full((n, k), float(chosen))
    if isinstance(chosen, Mapping):
        return _by_arm(chosen, data, evidence)
    if isinstance(chosen, list | tuple) and chosen and all(isinstance(part, str) for part in chosen):
        if len(chosen) != k:
            raise DesignError(f"cost= names {len(chosen)} columns for {k} arms.", hint="Name one column per arm.")
        return np.column_stack([_column(name, data, evidence, str(name)) for name in chosen])
    if isinstance(chosen, str):
        return np.repeat(_column(chosen, data, evidence, chosen)[:, None], k, axis=1)
    return _array(chosen, evidence)


def _by_arm(costs: Mapping[Any, Any], data: Any, evidence: ArmEvidence) -> Floats:
    known = {**dict(zip(evidence.names, evidence.labels, strict=True)), **{label: label for label in evidence.labels}}
    unknown = [arm for arm in costs if arm not in known]
    told = {known[arm]: value for arm, value in costs.items() if arm in known}
    left = [label for label in evidence.labels if label not in told]
    if unknown or left:
        wrong = f"has no arm {unknown[0]!r}" if unknown else f"has an arm {left[0]!r} without a cost"
        arms = ", ".join(repr(label) for label in evidence.labels)
        raise DesignError(f"cost=: the treatment {wrong}.", hint=f"Give a cost for each of {arms}.")
    columns = []
    for label in evidence.labels:
        value = told[label]
        if not _is_number(value):
            columns.append(_column(value, data, evidence, f"of {label}"))
        elif np.isfinite(value) and value >= 0:
            columns.append(np.full(len(evidence.effect), float(value)))
        else:
            raise DataError(f"cost={value!r} of {label!r} is not an amount of money.", hint="Pass zero or more.")
    return np.column_stack(columns)


def _column(value: Any, data: Any, evidence: ArmEvidence, name: str) -> Floats:
    if isinstance(value, str):
        value = Frame.read(data).select([value]).collect().table[value].to_numpy()
    return _array(np.asarray(value, dtype=float).reshape(-1), evidence, name)[:, 0]


def _array(values: Any, evidence: ArmEvidence, name: str = "array") -> Floats:
    found = np.asarray(values, dtype=float)
    rows, (n, k) = evidence.base.sample.rows.positions, evidence.effect.shape
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) <= rows.max() or found.shape[1] not in (1, k):
        raise DesignError(
            f"cost= has shape {np.shape(values)}, for {n:,} people and {k} arms.", hint="Pass (n,) or (n, n_arms)."
        )
    costs: Floats = np.broadcast_to(found[rows], (n, found.shape[1]))
    faults = {"missing or infinite": (~np.isfinite(costs)).any(axis=1), "negative": (costs < 0).any(axis=1)}
    for what, wrong in faults.items():
        bad: Bools = np.asarray(wrong)
        if bad.any():
            at = tuple(int(rows[row]) for row in first_rows(bad))
            raise DataError(
                f"cost {name!r} has {int(bad.sum())} {what} values (first in row {at[0]}).",
                hint="A cost is zero or more; put a saving into the outcome.",
                column=name,
                rows=at,
            )
    return np.array(np.broadcast_to(costs, (n, k)))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_several(effect: Any) -> bool:
    return all(hasattr(effect, name) for name in ("cate", "prediction", "study")) and effect.study.arms.count > 2


def _matrix(effect: Any) -> tuple[Floats, tuple[Any, ...] | None] | None:
    """Effects with one column per arm, and the names of the columns where they have any."""
    if effect is None or isinstance(effect, str) or any(hasattr(effect, m) for m in ("cate", "effect", "predict")):
        return None
    if isinstance(effect, Mapping):
        return np.column_stack([np.asarray(v, dtype=float) for v in effect.values()]), tuple(effect)
    if getattr(effect, "ndim", None) != 2 and len(getattr(effect, "shape", ())) != 2:
        return None
    names = tuple(effect.columns) if hasattr(effect, "columns") else None
    values = np.asarray(effect, dtype=float)
    return (values, names) if values.shape[1] > 1 or names is not None else None


def _in_order(matrix: tuple[Floats, tuple[Any, ...] | None], sample: Sample) -> Floats:
    values, names = matrix
    labels = tuple(sample.arms.levels[1:])
    if values.shape[1] != len(labels):
        raise DesignError(
            f"effect= has {values.shape[1]} columns, and {sample.arms.name!r} has {len(labels)} arms other than "
            f"{sample.arms.control!r}.",
            hint=f"Pass one column for each of {', '.join(map(repr, labels))}, in this order.",
        )
    if names is not None:
        if set(names) != set(labels):
            raise DesignError(
                f"effect= has the columns {', '.join(map(repr, names))}, and the arms are {', '.join(map(repr, labels))}.",
                hint="Name the columns as the arms, or pass an array in the order of the arms.",
            )
        values = values[:, [names.index(label) for label in labels]]
    return np.asarray(values[sample.rows.positions])


def _calibrated(effects: Floats, base: Evidence) -> tuple[Floats, Floats]:
    """Calibrate numbers into effects arm by arm, as is done for one arm."""
    out = np.empty_like(effects)
    for arm in range(effects.shape[1]):
        line = line_prediction(
            effects[:, arm], base.contrasts[:, arm], base.levels[:, 0], np.zeros(len(effects)), base.weights, base.codes
        )
        out[:, arm] = line.effect
    return out, base.prediction.baseline


__all__ = ["ArmEvidence", "gather_arms", "price_of"]
