"""The canonical order of rows: estimators that draw or grow trees see the same rows whatever the user's order was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.core.rows import Groups
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only

if TYPE_CHECKING:
    from causalkit.core.sample import Column, Sample


def canonical_order(sample: Sample) -> Ints:
    """Return the order that sorts rows by numbers only; see ``Sample.canonical_order``."""
    reference = sample.optional("outcome")
    keys = (key for role in sorted(sample.columns) for key in _keys(sample.columns[role], reference))
    return sorted_by(keys, sample.n)


def sorted_by(keys: Iterable[Floats], n: int) -> Ints:
    """Return the order of ``np.lexsort`` with the first key first, reading further keys only as long as rows tie.

    Parameters
    ----------
    keys : iterable of arrays, shape (n,)
        The first decides; the next among rows that are equal so far, and so on.
    n : int
        Rows.
    """
    order = np.arange(n)
    # Places in ``order`` of rows that are not told apart yet, and the number of the group of equal rows of each.
    places, group = np.arange(n), np.zeros(n, dtype=np.int64)
    for key in keys:
        rows = order[places]
        values = key[rows]
        alone = not group.size or group[0] == group[-1]
        by = np.argsort(values, kind="stable") if alone else np.lexsort((values, group))
        order[places], values = rows[by], values[by]
        same = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        same &= group[1:] == group[:-1]
        if not same.any():
            break
        tied = np.concatenate([[False], same]) | np.concatenate([same, [False]])
        group = np.cumsum(np.concatenate([[False], ~same]))[tied]
        places = places[tied]
    return order


def renumbered(sample: Sample) -> Sample:
    """Return the sample with codes of labels and categories numbered by first appearance."""
    return replace(sample, columns={role: _renumber(column) for role, column in sample.columns.items()})


def _keys(column: Column, reference: Floats | None) -> Iterator[Floats]:
    from causalkit.core.sample import Arms, Number

    if isinstance(column, tuple):
        for part in column:
            yield from _keys(part, reference)
    elif isinstance(column, Number):
        yield column.values
    elif isinstance(column, Arms):
        yield column.codes.astype(float)
    elif isinstance(column, Groups):
        yield from _group_keys(column.codes, reference)
    else:
        for j in range(column.values.shape[1]):
            values = column.values[:, j]
            if j in column.categorical:
                yield from _group_keys(np.nan_to_num(values, nan=-1.0).astype(np.int32), reference)
            else:
                yield values


def _group_keys(codes: Codes, reference: Floats | None) -> list[Floats]:
    """Size and mean outcome of each row's group: what is left of a label when its name is taken away."""
    shifted = codes.astype(np.int64) + 1
    size = np.bincount(shifted).astype(float)
    keys = [size[shifted]]
    if reference is not None:
        # Sums in sorted order, so that the rounding does not depend on the user's order of rows.
        order = np.lexsort((reference, shifted))
        total = np.bincount(shifted[order], weights=reference[order], minlength=len(size))
        keys.append((total / np.maximum(size, 1.0))[shifted])
    return keys


def _renumber(column: Column) -> Column:
    if isinstance(column, tuple):
        return tuple(_renumber(part) for part in column)  # type: ignore[return-value]
    if isinstance(column, Groups):
        codes, order = _first_appearance(column.codes)
        return Groups(codes, tuple(column.labels[code] for code in order), column.name)
    if isinstance(column, Features) and column.categorical:
        values = np.array(column.values, order="F")
        levels = list(column.schema.levels)
        for j in column.categorical:
            known = ~np.isnan(values[:, j])
            codes, order = _first_appearance(values[known, j].astype(np.int32))
            values[known, j] = codes
            old = levels[j] or ()
            seen = set(order)
            levels[j] = tuple(old[code] for code in order) + tuple(v for c, v in enumerate(old) if c not in seen)
        return Features(read_only(values), Schema(column.names, tuple(levels)))
    return column


def _first_appearance(codes: Codes) -> tuple[Codes, list[int]]:
    distinct, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(distinct), dtype=np.int32)
    order = np.argsort(first)
    rank[order] = np.arange(len(distinct), dtype=np.int32)
    return read_only(rank[inverse]), [int(code) for code in distinct[order]]
