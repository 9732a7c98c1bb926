"""Whose numbers these are: the identity of rows, units and clusters, and how two sets of them are matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.data.regular import Regular
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes, Ints, read_only


@dataclass(frozen=True, eq=False)
class Rows:
    """Identity of the rows of an influence matrix.

    Parameters
    ----------
    positions : Ints, shape (n,)
        Row positions in the bound table, from zero.
    token : str
        Identity of that table: positions mean the same only under the same token.
    labels : ndarray of object or RowLabels, shape (n,), optional
        Unit labels where ``unit=`` was given; they match across tables.
    """

    positions: Ints
    token: str
    labels: Any = None

    def __len__(self) -> int:
        return len(self.positions)

    @classmethod
    def every(cls, n: int, token: str, labels: Any = None) -> Rows:
        """Return the identity of all ``n`` rows of a table; their positions are written out when they are asked for."""
        rows = object.__new__(_EveryRow)
        vars(rows).update(_n=n, token=token, labels=labels)
        return rows


class _EveryRow(Rows):
    """All rows of a table; made by :meth:`Rows.every`."""

    @cached_property
    def positions(self) -> Ints:
        return read_only(np.arange(vars(self)["_n"]))

    def __len__(self) -> int:
        return vars(self)["_n"] if "_n" in vars(self) else len(self.positions)


@dataclass(frozen=True, eq=False)
class RowLabels:
    """The labels of rows, written out only where numpy asks for them."""

    codes: Codes
    labels: tuple[object, ...]

    @classmethod
    def of(cls, groups: Groups) -> RowLabels:
        """Return the labels of groups by row; nothing is written out before it is asked for."""
        found = object.__new__(_LabelsOf)
        vars(found)["_groups"] = groups
        return found

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, at: Any) -> Any:
        codes = self.codes[at]
        return RowLabels(codes, self.labels) if np.ndim(codes) else self.labels[codes]

    def tolist(self) -> list[object]:
        """Return the label of each row."""
        return [self.labels[code] for code in self.codes]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        labels = np.empty(len(self.labels), dtype=object)
        labels[:] = self.labels
        return labels[self.codes]


@dataclass(frozen=True, eq=False)
class Groups:
    """Clusters of rows: a code per row and the label of each code."""

    codes: Codes
    labels: tuple[object, ...]
    name: str = "cluster"

    @property
    def count(self) -> int:
        """Number of clusters that hold a row."""
        return len(np.unique(self.codes))

    @property
    def size(self) -> int:
        """Number of labels."""
        return len(self.labels)

    @property
    def layout(self) -> Regular | None:
        """How the codes repeat, where it is known."""
        return None

    @classmethod
    def regular(cls, layout: Regular, name: str) -> Groups:
        """Return groups that repeat in a known way; codes and labels are written out when they are asked for."""
        groups = object.__new__(_RegularGroups)
        vars(groups).update(_layout=layout, name=name)
        return groups

    def each_once(self) -> Groups:
        """Return one row for each label, in their order."""
        return Groups(read_only(np.arange(self.size, dtype=np.int32)), self.labels, self.name)


class _RegularGroups(Groups):
    """Groups that repeat in a known way; made by :meth:`Groups.regular`. With other codes it is as any other."""

    @property
    def layout(self) -> Regular | None:
        return vars(self).get("_layout")

    @cached_property
    def codes(self) -> Codes:
        return self._known.written()

    @cached_property
    def labels(self) -> tuple[object, ...]:
        return self._known.labels

    @property
    def size(self) -> int:
        return len(self.labels) if self.layout is None else self.layout.size

    def each_once(self) -> Groups:
        layout = self.layout
        return super().each_once() if layout is None or not layout.ascends else self.regular(layout.once(), self.name)

    @property
    def _known(self) -> Regular:
        layout = self.layout
        assert layout is not None
        return layout

    def __reduce__(self) -> Any:
        return Groups, (self.codes, self.labels, self.name)


class _LabelsOf(RowLabels):
    """The labels of groups; made by :meth:`RowLabels.of`."""

    @cached_property
    def codes(self) -> Codes:
        return vars(self)["_groups"].codes  # type: ignore[no-any-return]

    @cached_property
    def labels(self) -> tuple[object, ...]:
        return vars(self)["_groups"].labels  # type: ignore[no-any-return]


def align(a: Rows, b: Rows) -> tuple[Rows, Ints, Ints]:
    """Match two sets of rows: the union, and where each row of ``a`` and of ``b`` stands in it.

    Raises
    ------
    InferenceUnavailable
        If the rows come from different tables and no unit labels say which belong together.
    """
    if a.labels is not None and b.labels is not None:
        import pandas as pd

        joined = np.concatenate([np.asarray(a.labels, dtype=object), np.asarray(b.labels, dtype=object)])
        codes, labels = pd.factorize(joined)
        union = Rows(np.arange(len(labels)), "units", np.asarray(labels, dtype=object))
        return union, codes[: len(a)], codes[len(a) :]
    if a.token != b.token:
        raise InferenceUnavailable(
            "the two results come from different tables, so it is not known which rows belong to the same unit.",
            hint="Pass unit= to both fits, or, if the samples share no unit, use difference(a, b, independent=True).",
        )
    positions, inverse = np.unique(np.concatenate([a.positions, b.positions]), return_inverse=True)
    return Rows(positions, a.token), inverse[: len(a)], inverse[len(a) :]


def align_ways(a: Sequence[Groups], b: Sequence[Groups], at_a: Ints, at_b: Ints, n: int) -> tuple[Groups, ...]:
    """Return the clusters of the matched rows, way by way; none where every row is its own.

    Raises
    ------
    InferenceUnavailable
        If the two sides are clustered in different numbers of ways, a row lies in different clusters on the two sides,
        or a unit in several clusters.
    """
    if len(a) != len(b):
        told = "one result is clustered and the other is not"
        if a and b:
            told = f"the results are clustered in {len(a)} and {len(b)} ways"
        raise InferenceUnavailable(f"{told}.", hint='Re-cluster one of them: result.with_vcov("CR1", cluster=...).')
    return tuple(_align_groups(one, two, at_a, at_b, n) for one, two in zip(a, b, strict=True))


def _align_groups(a: Groups, b: Groups, at_a: Ints, at_b: Ints, n: int) -> Groups:
    labels = tuple(dict.fromkeys([*a.labels, *b.labels]))
    code_of = {label: code for code, label in enumerate(labels)}
    codes = np.full(n, -1, dtype=np.int32)
    for groups, at in ((a, at_a), (b, at_b)):
        recode = np.array([code_of[label] for label in groups.labels], dtype=np.int32)
        mine = recode[groups.codes]
        known = codes[at]
        if np.any((known >= 0) & (known != mine)):
            raise InferenceUnavailable(
                f"some rows lie in different clusters in the two results ({a.name!r} and {b.name!r}).",
                hint='Cluster both by the same column: result.with_vcov("CR1", cluster=...).',
            )
        codes[at] = mine
        if np.any(codes[at] != mine):
            raise InferenceUnavailable(
                f"some units have rows in several clusters of {groups.name!r}, so the two results can't be matched by unit.",
                hint='Cluster by unit, or by something that holds whole units: result.with_vcov("CR1", cluster=...).',
            )
    return Groups(codes, labels, a.name)
