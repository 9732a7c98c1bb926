"""Shocks and exposure shares as users hold them: a list, a mapping or a table of shocks; columns or a long table of shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.core.rows import Groups
from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, read_only

#: Columns of a table of shocks that have a meaning; all others are characteristics for the test of balance.
SHOCK, VALUE, CLUSTER, STRATUM, SHARE = "shock", "value", "cluster", "stratum", "share"


@dataclass(frozen=True, eq=False)
class Shocks:
    """Shocks, one per column of shares.

    Attributes
    ----------
    labels : tuple or None
        Whose shock each is; None where they stand in the order of the shares.
    values : array, shape (K,)
    cluster, stratum : array of int, shape (K,), or None
        Groups of shocks that are correlated, and groups (such as periods) within which shocks are compared.
    characteristics : mapping of str to array, shape (K,)
        What was known of each shock beforehand.
    """

    labels: tuple[object, ...] | None
    values: Floats
    cluster: Codes | None = None
    stratum: Codes | None = None
    characteristics: Mapping[str, Floats] | None = None

    def aligned(self, names: Sequence[str]) -> Shocks:
        """Return the shocks in the order of the shares.

        Raises
        ------
        DesignError
            If a share has no shock, or their numbers differ.
        """
        if self.labels is None:
            if len(self.values) != len(names):
                raise DesignError(
                    f"there are {len(self.values)} shocks for {len(names)} shares.",
                    hint="Pass one shock per share, in the same order, or a mapping from share to shock.",
                )
            return self
        place = {str(label): at for at, label in enumerate(self.labels)}
        lacking = [name for name in names if name not in place]
        if lacking:
            raise DesignError(
                f"{len(lacking)} shares have no shock, the first is {lacking[0]!r}.",
                hint="shocks= names a value for every share.",
            )
        at = np.array([place[name] for name in names])
        more = {key: values[at] for key, values in (self.characteristics or {}).items()}
        groups = [None if codes is None else codes[at] for codes in (self.cluster, self.stratum)]
        return Shocks(tuple(names), read_only(self.values[at]), groups[0], groups[1], more)


def read_shocks(value: Any) -> Shocks:
    """Read ``shocks=``: numbers in the order of the shares, a mapping from share to number, or a table.

    Raises
    ------
    DesignError, DataError
        If it is none of these, a label is there twice, or a value is missing or infinite.
    """
    if isinstance(value, Shocks):
        return value
    if isinstance(value, Mapping) and all(isinstance(item, Real) for item in value.values()):
        return Shocks(tuple(value), _finite(np.array(list(value.values()), dtype=float)))
    if isinstance(value, Mapping) and any(item is None or np.ndim(item) == 0 for item in value.values()):
        bad = [str(label) for label, item in value.items() if not isinstance(item, Real)]
        raise DesignError(
            f"shocks= has no number for {len(bad)} of {len(value)} labels, the first is {bad[0]!r}.",
            hint="Map each share to one number.",
        )
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
        try:
            values = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise DesignError("shocks= holds values that are no numbers.", hint="Pass one number per share.") from None
        return Shocks(None, _finite(values))
    return _from_table(Frame.read(value).collect())


def _from_table(frame: Frame) -> Shocks:
    frame.require((SHOCK, VALUE))
    codes, labels = frame.labels(SHOCK)
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    if (codes < 0).any() or (counts > 1).any():
        twice = "" if not (counts > 1).any() else f", the first that repeats is {labels[int(np.argmax(counts > 1))]!r}"
        raise DataError(
            f"column {SHOCK!r} of the shocks must name each shock once{twice}.",
            hint="One row per shock; give a shock of several periods a label for each period.",
            column=SHOCK,
        )
    groups: dict[str, Codes | None] = {CLUSTER: None, STRATUM: None}
    for name in groups:
        if name in frame.columns:
            found = frame.labels(name)[0]
            if (found < 0).any():
                raise DataError(f"column {name!r} of the shocks has gaps.", hint="Fill them.", column=name)
            groups[name] = found
    others = [name for name in frame.columns if name not in (SHOCK, VALUE, CLUSTER, STRATUM)]
    more = {name: _finite(frame.numeric(name), name) for name in others}
    ordered = tuple(str(labels[code]) for code in codes)
    return Shocks(ordered, _finite(frame.numeric(VALUE)), groups[CLUSTER], groups[STRATUM], more)


def _finite(values: Floats, name: str = "shocks") -> Floats:
    bad = ~np.isfinite(values)
    if bad.any():
        raise DataError(
            f"{name!r} has {int(bad.sum())} missing or infinite values (first in row {first_rows(bad, 1)[0]}).",
            hint="Every shock needs a number.",
            column=name,
        )
    return read_only(np.asarray(values, dtype=float))


@dataclass(frozen=True, eq=False)
class LongShares:
    """A long table of shares: one row for each unit and shock with a share; others are zero."""

    unit: Codes
    units: tuple[object, ...]
    shock: Codes
    shocks: tuple[object, ...]
    values: Floats
    unit_column: str

    def spread(self, unit: Groups) -> Features:
        """Return the shares of each row of a sample, shape (n, K), by its unit.

        Raises
        ------
        DesignError
            If a unit of the sample has no share.
        """
        place = {label: at for at, label in enumerate(self.units)}
        at = np.array([place.get(label, -1) for label in unit.labels])
        lacking = [unit.labels[code] for code in np.unique(unit.codes) if at[code] < 0]
        if lacking:
            raise DesignError(
                f"{len(lacking)} units of {unit.name!r} have no row in the table of shares, the first is {lacking[0]!r}.",
                hint="Add their shares, or drop these units.",
                column=unit.name,
            )
        matrix = np.zeros((len(self.units), len(self.shocks)))
        matrix[self.unit, self.shock] = self.values
        names = tuple(map(str, self.shocks))
        return Features(read_only(np.asfortranarray(matrix[at[unit.codes]])), Schema(names, (None,) * len(names)))


def is_long(shares: Any) -> bool:
    """Whether ``shares=`` is a table rather than names of columns."""
    listed = isinstance(shares, str) or (
        isinstance(shares, list | tuple) and all(isinstance(name, str) for name in shares)
    )
    return shares is not None and not listed


def read_shares(table: Any, unit: str) -> LongShares:
    """Read a long table with the columns ``unit``, ``shock`` and ``share``.

    Raises
    ------
    DataError
        If a column is missing, has gaps, or a unit and shock are there twice.
    """
    if isinstance(table, LongShares):
        return table
    frame = Frame.read(table)
    frame.require((unit, SHOCK, SHARE))
    frame = frame.select((unit, SHOCK, SHARE)).collect()
    (unit_codes, units), (shock_codes, shocks) = frame.labels(unit), frame.labels(SHOCK)
    values = frame.numeric(SHARE)
    for name, gaps in ((unit, unit_codes < 0), (SHOCK, shock_codes < 0), (SHARE, ~np.isfinite(values))):
        if gaps.any():
            raise DataError(
                f"column {name!r} of the shares has {int(gaps.sum())} missing or infinite values (first in row "
                f"{first_rows(gaps, 1)[0]}).",
                hint="Leave out rows without a share: they count as zero.",
                column=name,
            )
    pairs = unit_codes.astype(np.int64) * len(shocks) + shock_codes
    order = np.argsort(pairs, kind="stable")
    again = order[1:][np.diff(pairs[order]) == 0]
    if again.size:
        row = int(again.min())
        raise DataError(
            f"{again.size} rows of the shares repeat a unit and shock (first in row {row}).",
            hint="Sum them first.",
            column=SHARE,
            rows=(row,),
        )
    return LongShares(unit_codes, units, shock_codes, shocks, read_only(values), unit)
