"""``bind``: the one place where a user's table is validated and turned into a :class:`~causalkit.core.sample.Sample`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.core.arms import bind_treatment
from causalkit.core.features import Schema, is_complete, refuse_infinite
from causalkit.core.roles import Role
from causalkit.core.rows import Groups, RowLabels, Rows
from causalkit.core.sample import Arms, Column, Dropped, Number, Sample, _take
from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Floats, read_only

MISSING = ("drop", "raise", "native")
#: A reason to leave a row out that is no gap: the row stands for nobody.
ZERO_WEIGHT = "weight of zero"


@dataclass(frozen=True)
class Design:
    """The roles that an estimator declares, ready to be bound to tables.

    Parameters
    ----------
    roles : mapping of str to Role
        What each role must be.
    """

    roles: Mapping[str, Role]

    def bind(self, data: Any, given: Mapping[str, Any]) -> Sample:
        """Validate a table and return its rows as arrays.

        Parameters
        ----------
        data : table
            Anything that narwhals reads; of a lazy table only the named columns are collected.
        given : mapping
            The keywords of ``fit``: columns by role (or an array as long as the table), ``control``,
            ``treatment_level`` and ``missing``.

        Returns
        -------
        Sample
            Rows in the user's order, without those that were dropped.

        Raises
        ------
        DesignError
            If the roles do not describe an analysis.
        DataError
            If the table holds values that can't be used.
        """
        named = self.named(given)
        frame = _collect(data, named)
        binder = _Binder(frame, given)
        if binder.missing == "native" and not any(spec.native_missing for spec in self.roles.values()):
            raise DesignError("missing='native' is not offered here.", hint="Use 'drop' or 'raise'.")
        columns = {role: binder.bind(role, self.roles[role], value) for role, value in named.items()}
        return binder.finish(columns, self.roles)

    def named(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the roles among the keywords of ``fit`` that were given, in the order in which they are declared.

        Raises
        ------
        DesignError
            If a role is missing, or a column plays two roles that exclude each other.
        """
        named = {role: given[role] for role in self.roles if given.get(role) is not None}
        named = {role: value for role, value in named.items() if not _is_empty(value)}
        self._require(named)
        return named

    def _require(self, named: Mapping[str, Any]) -> None:
        for role, spec in self.roles.items():
            if spec.required and role not in named:
                raise DesignError(f"{role}= is missing.", hint=f"Name the column that holds the {role}.")
            value = named.get(role)
            if isinstance(value, list | tuple) and not spec.many and spec.kind != "propensity":
                raise DesignError(f"{role}= takes one column, got {len(value)}.", hint=f"Pass {role}='column'.")
        _refuse_two_roles(named, self.roles)


def names_of(value: Any) -> tuple[str, ...]:
    """Return the column names that a role names (none for arrays and numbers)."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return ()


class _Binder:
    """Binds one table: extracts columns, collects the reasons to drop rows, and applies the policy once."""

    def __init__(self, frame: Frame, given: Mapping[str, Any]) -> None:
        self.frame = frame
        self.given = given
        self.missing = given.get("missing") or "drop"
        if self.missing not in MISSING:
            raise DesignError(f"missing={self.missing!r} is not an option.", hint="Use 'drop', 'raise' or 'native'.")
        if frame.n_rows == 0:
            raise DataError("the table has no rows.", hint="Check the file or the filter before the fit.")
        self.gaps: list[tuple[str, str, Bools]] = []
        self.complete_outcome = False
        self.labelled: dict[str, Groups] = {}  # a column may play two roles, such as unit and cluster

    def bind(self, role: str, spec: Role, value: Any) -> Column:
        binders: dict[str, Callable[[str, Role, Any], Column]] = {
            "number": self._number,
            "weights": self._weights,
            "treatment": self._treatment,
            "label": self._label,
            "cohort": self._cohort,
            "features": self._features,
            "propensity": self._propensity,
        }
        return binders[spec.kind](role, spec, value)

    def finish(self, columns: dict[str, Column], roles: Mapping[str, Role]) -> Sample:
        keep, dropped = self._apply_policy()
        arms = columns.get("treatment")
        gone = self._without_outcome() if isinstance(arms, Arms) else None
        if isinstance(arms, Arms) and gone is not None:
            by_cluster = _count_by_cluster(arms, columns.get("cluster"), gone)
            dropped = replace(dropped, by_arm=_count_by_arm(arms, gone), by_arm_and_cluster=by_cluster)
        if keep is None:
            n = self.frame.n_rows
        else:
            positions = np.flatnonzero(keep)
            n = len(positions)
            columns = {role: _take(column, positions) for role, column in columns.items()}
        for role, column in columns.items():
            if isinstance(column, Arms):
                _require_arms(column, n, dropped)
            elif isinstance(column, Number) and roles[role].kind == "treatment" and np.ptp(column.values) == 0:
                raise DesignError(
                    f"treatment {column.name!r} has one value only.", hint="A dose must vary.", column=column.name
                )
        unit = columns.get("unit")
        labels = RowLabels.of(unit) if isinstance(unit, Groups) else None
        token = self.frame.token
        rows = Rows.every(n, token, labels) if keep is None else Rows(read_only(positions), token, labels)
        return Sample(columns, rows, self.frame.n_rows, dropped, dict(self.given))

    def _without_outcome(self) -> Bools | None:
        gaps = [mask for role, _, mask in self.gaps if role == "outcome"]
        if gaps:
            return np.asarray(np.logical_or.reduce(gaps))
        return np.zeros(self.frame.n_rows, dtype=np.bool_) if self.complete_outcome else None

    def _apply_policy(self) -> tuple[Bools | None, Dropped]:
        """Return which rows are kept, None where all are, and why the others are not."""
        if not self.gaps:
            return None, Dropped()
        keep = np.ones(self.frame.n_rows, dtype=bool)
        reasons = []
        # Without a treatment a row is not in the study at all: that reason is told first.
        for role, name, mask in sorted(self.gaps, key=lambda gap: gap[0] != "treatment"):
            if not mask.any():
                continue
            fresh = mask & keep
            if self.missing == "raise" and role != ZERO_WEIGHT:
                raise DataError(
                    f"{role} column {name!r} has {int(mask.sum())} missing values (first in row {first_rows(mask, 1)[0]}).",
                    hint="Fill or drop them, or pass missing='drop'.",
                    column=name,
                    rows=first_rows(mask),
                )
            reasons.append(
                (role if role == ZERO_WEIGHT else f"missing {role}", name, int(fresh.sum()), first_rows(mask, 1)[0])
            )
            keep &= ~mask
        if not keep.any():
            told = "; ".join(f"{count} by {reason} ({name!r})" for reason, name, count, _ in reasons)
            raise DataError(f"no row is left after dropping missing values: {told}.", hint="Check these columns.")
        total = len(keep) - int(np.count_nonzero(keep))
        return keep if total else None, Dropped(tuple(reasons), total)

    def _values(self, role: str, value: Any) -> tuple[Floats, str]:
        """Return a numeric column, or an array as long as the table."""
        if isinstance(value, str):
            values = self.frame.numeric(value)
            name = value
        else:
            values, name = _array(value, role, self.frame.n_rows), role
        refuse_infinite(values, name)
        return values, name

    def _number(self, role: str, spec: Role, value: Any) -> Column:
        if spec.many:
            return tuple(self._number(role, Role("number"), name) for name in _listed(value))  # type: ignore[return-value]
        values, name = self._values(role, value)
        complete = is_complete(values)
        if complete:
            self.complete_outcome |= role == "outcome"  # attrition is judged by arm, none included
        else:
            self.gaps.append((role, name, np.isnan(values)))
        return Number(read_only(values), name)

    def _weights(self, role: str, spec: Role, value: Any) -> Column:
        column = self._number(role, Role("number"), value)
        assert isinstance(column, Number)
        negative = column.values < 0
        if negative.any():
            raise DataError(
                f"weights {column.name!r} has {int(negative.sum())} negative values (first in row "
                f"{first_rows(negative, 1)[0]}).",
                hint="Weights count how many units a row stands for; they can't be negative.",
                column=column.name,
                rows=first_rows(negative),
            )
        self.gaps.append((ZERO_WEIGHT, column.name, column.values == 0))
        return column

    def _treatment(self, role: str, spec: Role, value: Any) -> Column:
        column, gaps = bind_treatment(
            self.frame, value, spec.treatment, self.given.get("control"), self.given.get("treatment_level")
        )
        self.gaps.append((role, column.name, gaps))
        return column

    def _label(self, role: str, spec: Role, value: Any) -> Column:
        if spec.many:
            listed = (value,) if hasattr(value, "__array__") else _listed(value)
            return tuple(self._one_label(role, name) for name in listed)
        return self._one_label(role, value)

    def _one_label(self, role: str, value: Any) -> Groups:
        frame, name = self.frame, value
        if not isinstance(value, str):
            groups = _read_labels(Frame.read({role: _one_per_row(value, role, frame.n_rows)}), role)
        else:
            groups = self.labelled.get(name) or _read_labels(frame, name)
            self.labelled[name] = groups
        if groups.layout is None and groups.codes.min(initial=0) < 0:
            self.gaps.append((role, groups.name, groups.codes < 0))
        return groups

    def _cohort(self, role: str, spec: Role, value: Any) -> Column:
        """Read when units are first treated: missing and infinite values mean never, so they are no gap."""
        frame, name = self.frame, value
        if not isinstance(value, str):
            frame, name = Frame.read({role: _one_per_row(value, role, frame.n_rows)}), role
        layout = frame.regular(name)
        if layout is not None:
            return Groups.regular(replace(layout, made=lambda: (*layout.labels, None), size=layout.size + 1), name)
        codes, labels = frame.labels(name)
        finite = [not (isinstance(label, float) and np.isinf(label)) for label in labels]
        if all(finite) and codes.min(initial=0) >= 0:
            return Groups(read_only(codes), (*labels, None), name)
        recode = np.append(np.cumsum(finite) - 1, -1).astype(np.int32)
        recode[:-1][~np.array(finite, dtype=bool)] = -1
        kept = tuple(label for label, fine in zip(labels, finite, strict=True) if fine)
        codes = recode[codes]
        return Groups(read_only(np.where(codes < 0, len(kept), codes).astype(np.int32)), (*kept, None), name)

    def _features(self, role: str, spec: Role, value: Any) -> Column:
        schema = Schema.of(self.frame, _listed(value))
        features = schema.read(self.frame)
        if not (spec.native_missing and self.missing == "native"):
            for j, name in enumerate(schema.names):
                if not is_complete(features.values[:, j]):
                    self.gaps.append((role, name, np.isnan(features.values[:, j])))
        return features

    def _propensity(self, role: str, spec: Role, value: Any) -> Column:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = np.full(self.frame.n_rows, float(value))
        column = self._number(role, Role("number"), value)
        assert isinstance(column, Number)
        outside = (column.values <= 0) | (column.values >= 1)
        if outside.any():
            raise DataError(
                f"propensity {column.name!r} has {int(outside.sum())} values outside (0, 1) (first in row "
                f"{first_rows(outside, 1)[0]}).",
                hint="A propensity is the probability of the treatment; drop rows that were certain to get an arm.",
                column=column.name,
                rows=first_rows(outside),
            )
        return column


def _one_per_row(value: Any, role: str, n: int) -> Any:
    array = np.asarray(value)
    if array.shape != (n,):
        raise DesignError(
            f"{role}= has shape {array.shape}, the table has {n} rows.",
            hint="Pass one label per row of the table, or a column.",
        )
    return array


def _count_by_arm(arms: Arms, gone: Bools) -> tuple[tuple[object, int, int], ...]:
    """Count rows, and rows without an outcome, in each arm: attrition is judged on the rows that were dropped."""
    here = [arms.codes == code for code in range(arms.count)]
    return tuple(
        (level, int(mask.sum()), int((mask & gone).sum())) for level, mask in zip(arms.levels, here, strict=True)
    )


def _count_by_cluster(arms: Arms, cluster: Column | None, gone: Bools) -> tuple[tuple[int, int, int, int], ...]:
    """Count the same by arm and cluster, where one cluster column was named and something is missing."""
    if isinstance(cluster, tuple):
        cluster = cluster[0] if len(cluster) == 1 and isinstance(cluster[0], Groups) else None
    if not isinstance(cluster, Groups) or not gone.any():
        return ()
    known = (arms.codes >= 0) & (cluster.codes >= 0)
    cell = arms.codes[known].astype(np.int64) * len(cluster.labels) + cluster.codes[known]
    rows, lost = np.bincount(cell), np.bincount(cell, weights=gone[known])
    return tuple(
        (int(c) // len(cluster.labels), int(c) % len(cluster.labels), int(rows[c]), int(lost[c]))
        for c in np.flatnonzero(rows)
    )


def _read_labels(frame: Frame, name: str) -> Groups:
    layout = frame.regular(name)
    if layout is not None:
        return Groups.regular(layout, name)
    codes, labels = frame.labels(name)
    ends = (labels[0], labels[-1]) if labels else ()  # numbers are sorted by value
    if any(isinstance(end, float) and np.isinf(end) for end in ends) and frame.is_numeric(name):
        refuse_infinite(frame.numeric(name), name)
    return Groups(read_only(codes), labels, name)


def _collect(data: Any, named: Mapping[str, Any]) -> Frame:
    frame = Frame.read(data)
    wanted = [name for value in named.values() for name in names_of(value)]
    frame.require(wanted)
    return frame.select(wanted).collect() if frame.is_lazy and wanted else frame.collect()


def _is_empty(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 0


def _listed(value: Any) -> tuple[str, ...]:
    names = names_of(value)
    if not names:
        raise DesignError(f"{value!r} does not name columns.", hint="Pass one column name or a list of them.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DesignError(f"column {twice[0]!r} is listed twice.", hint="List each column once.", column=twice[0])
    return names


def _array(value: Any, role: str, n: int) -> Floats:
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise DesignError(
            f"{role}={value!r} is neither a column name nor numbers.", hint=f"Pass {role}='column'."
        ) from None
    if array.shape != (n,):
        raise DesignError(
            f"{role}= has shape {array.shape}, the table has {n} rows.",
            hint="Pass one value per row of the table, or a column.",
        )
    return array.copy()


def _refuse_two_roles(named: Mapping[str, Any], roles: Mapping[str, Role]) -> None:
    """The outcome and the treatment play no other role, and a covariate is no instrument: it would be meaningless."""
    exclusive = ("outcome", "treatment", "covariates", "instruments", "running")
    seen: dict[str, str] = {}
    for role in (*(role for role in exclusive if role in roles), *(role for role in roles if role not in exclusive)):
        for name in names_of(named.get(role)):
            alone = role in exclusive or seen.get(name) in ("outcome", "treatment")
            if alone and name in seen and seen[name] != role:
                raise DesignError(
                    f"column {name!r} is both {seen[name]} and {role}.", hint=f"Take it out of {role}=.", column=name
                )
            seen.setdefault(name, role)


def _require_arms(arms: Arms, n: int, dropped: Dropped) -> None:
    counts = np.bincount(arms.codes, minlength=arms.count)
    for level, count in zip(arms.levels, counts, strict=True):
        if count == 0:
            told = f" after {dropped.total} rows were dropped for missing values" if dropped.total else ""
            raise DesignError(
                f"treatment {arms.name!r} has no row with {level!r} among {n}{told}.",
                hint="An effect needs both arms in the data.",
                column=arms.name,
            )
