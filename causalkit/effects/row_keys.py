"""Recognising rows that trained a model, in whatever order they come, also when the model no longer holds them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causalkit.core.features import Features, Schema
from causalkit.kernels.arrays import Floats, Ints

Keys = NDArray[np.uint64]
#: Where fewer of the training rows are distinct, equal rows are too common to tell who a row is.
DISTINCT = 0.9


def row_keys(rows: Floats, further: Floats | None = None) -> Keys:
    """One number per row, shape (n, p), equal for equal rows; a further column may stand beside them."""
    columns = [*rows.T, *(() if further is None else (further,))]  # one at a time: a copy of all is a large one
    drawn = np.random.default_rng(0).integers(2**63, size=len(columns), dtype=np.uint64)
    odd: Keys = np.bitwise_or(drawn, np.uint64(1))
    total: Keys = np.zeros(len(rows), dtype=np.uint64)
    for column, factor in zip(columns, odd, strict=True):
        mixed = np.asarray(np.ascontiguousarray(column + 0.0).view(np.uint64) * factor)
        np.bitwise_xor(total, mixed, out=total)
        np.bitwise_xor(total, np.right_shift(mixed, np.uint64(29)), out=total)
        np.multiply(total, np.uint64(0x9E3779B97F4A7C15), out=total)
    return total


def in_schema(features: Features, schema: Schema) -> Floats:
    """Return covariates with the codes that another schema of the same columns gives their categories."""
    if not features.categorical:
        return features.values
    values = np.array(features.values)
    for j in features.categorical:
        own, other = features.schema.levels[j] or (), schema.levels[j] or ()
        place = {level: float(code) for code, level in enumerate(other)}
        recode = np.array([*(place.get(level, np.nan) for level in own), np.nan])
        known = ~np.isnan(values[:, j])
        values[known, j] = recode[values[known, j].astype(np.int64)]
    return values


def locate(known: Keys, new: Keys) -> Ints:
    """Return where each new row stands among the known ones, or -1.

    Of several equal rows the first one met stands for the first known one, the second for the second, and so on. Where
    fewer than nine in ten known rows are distinct, none is recognised.
    """
    at = np.full(len(new), -1, dtype=np.int64)
    order = np.argsort(known, kind="stable")
    distinct, start, count = np.unique(known[order], return_index=True, return_counts=True)
    if not len(known) or len(distinct) < DISTINCT * len(known):
        return at
    slot = np.minimum(np.searchsorted(distinct, new), len(distinct) - 1)
    met = np.flatnonzero(distinct[slot] == new)
    slot = slot[met]
    by_slot = np.argsort(slot, kind="stable")
    _, first, size = np.unique(slot[by_slot], return_index=True, return_counts=True)
    rank = np.empty(len(slot), dtype=np.int64)
    rank[by_slot] = np.arange(len(slot)) - np.repeat(first, size)
    at[met] = order[start[slot] + np.minimum(rank, count[slot] - 1)]
    return at
