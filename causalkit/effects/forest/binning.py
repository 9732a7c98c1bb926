"""Learn the bins of covariates: at most 255 each, cut where the data are."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Bools, Floats, Ints, read_only
from causalkit.kernels.forest_binning import (
    MAX_BINS,
    PADDED,
    STRETCHES,
    Bytes,
    Ruler,
    code_columns,
    code_pairs,
    lay_ruler,
)

#: Rows that the cuts are learned from.
SAMPLE = 200_000


@dataclass(frozen=True, eq=False)
class Binning:
    """How covariates become codes of one byte.

    Parameters
    ----------
    edges : Floats
        Covariate by covariate: ascending cuts (``x <= edges[j]`` exactly where the code is at most j), or the bin of
        each category.
    starts : Ints, shape (p + 1,)
        Where the edges of each covariate start.
    is_category : Bools, shape (p,)
        Whether a covariate holds codes of categories.
    n_codes : Ints, shape (p,)
        Codes that occur, beside that of missing values.
    """

    edges: Floats
    starts: Ints
    is_category: Bools
    n_codes: Ints

    @property
    def n_features(self) -> int:
        """Number of covariates."""
        return len(self.starts) - 1

    def __getstate__(self) -> dict[str, Any]:
        return stored(self)

    @cached_property
    def ruler(self) -> Ruler:
        """What values are coded with."""
        p, cuts = self.n_features, (self.edges, self.starts, self.is_category)
        found = (
            np.full((p, PADDED), np.inf),
            np.zeros((p, 2)),
            np.zeros((p, STRETCHES), np.uint8),
            np.zeros(p, np.int64),
        )
        lay_ruler(*cuts, *found)
        padded, scale, below, steps = found
        return (*cuts, read_only(padded), read_only(scale), read_only(below), read_only(steps))

    def pairs(self, x: Floats, first: int = 0, stop: int | None = None) -> Bytes:
        """Return what :func:`causalkit.kernels.forest_leaves.find_leaves` reads of rows ``first ... stop``."""
        rows = frozen(x[first:stop])
        out = np.empty((len(rows), 2 * self.n_features), np.uint8)
        code_pairs(rows, 0, len(rows), self.ruler, out)
        return out

    def code_all(self, x: Floats, n_jobs: int = 1) -> Bytes:
        """Return the codes of all rows, shape (p, n), covariates in parallel."""
        out, x, ruler = np.empty((self.n_features, len(x)), np.uint8), frozen(x), self.ruler
        with ThreadPoolExecutor(n_jobs) as pool:
            list(pool.map(lambda f: code_columns(x, f, f + 1, ruler, out), range(self.n_features)))
        return out

    @classmethod
    def from_edges(cls, edges: Sequence[Floats], is_category: Bools | None = None) -> Binning:
        """Return the binning with these edges for each covariate."""
        kind = np.zeros(len(edges), bool) if is_category is None else is_category
        starts = np.concatenate([[0], np.cumsum([len(e) for e in edges])]).astype(np.int64)
        n_codes = [
            (int(e.max(initial=-1)) + 1 if category else len(e) + 1) for e, category in zip(edges, kind, strict=True)
        ]
        flat = np.concatenate([*edges, np.empty(0)]).astype(float)
        return cls(read_only(flat), read_only(starts), read_only(kind), read_only(np.array(n_codes, dtype=np.int64)))


def stored(table: Any) -> dict[str, Any]:
    """Return the fields of a dataclass without what was worked out from them, which a pickle need not hold."""
    return {field.name: getattr(table, field.name) for field in fields(table)}


def paired(codes: Bytes) -> Bytes:
    """Turn codes, shape (p, m), into codes row by row and codes plus one beside them, shape (m, 2 p)."""
    p, m = codes.shape
    out = np.empty((m, 2 * p), np.uint8)
    out[:, :p] = codes.T
    np.add(out[:, :p], np.uint8(1), out=out[:, p:])
    return out


def frozen(x: Floats) -> Floats:
    """Return ``x`` row by row and read-only, so that loops are compiled for one kind of array."""
    return read_only(np.ascontiguousarray(x, dtype=float).view())


def learn_binning(
    x: Floats, categorical: Sequence[int] = (), *, max_bins: int = MAX_BINS, random_state: int = 0, n_jobs: int = 1
) -> Binning:
    """Learn cuts at quantiles of each covariate.

    Parameters
    ----------
    x : Floats, shape (n, p)
        Covariates; NaN where missing, and codes 0, 1, ... for categories.
    categorical : sequence of int
        Positions of categories. The ``max_bins - 1`` largest have a bin each; the others share one.
    max_bins : int
        Bins of a covariate, from 2 to 255. A number with no more distinct values has a bin for each.
    random_state, n_jobs : int
        Seed of the rows that cuts are learned from (where there are more than 200,000), and threads.

    Returns
    -------
    Binning
        Cuts lie halfway between neighbouring values.
    """
    n, p = x.shape
    rows = slice(None) if n <= SAMPLE else np.sort(np.random.default_rng(random_state).choice(n, SAMPLE, replace=False))
    is_category = np.zeros(p, bool)
    is_category[list(categorical)] = True

    def one(f: int) -> Floats:
        return _category_bins(x[:, f], max_bins) if is_category[f] else _cuts(x[rows, f], max_bins)

    with ThreadPoolExecutor(n_jobs) as pool:
        edges = list(pool.map(one, range(p)))
    return Binning.from_edges(edges, is_category)


def _cuts(column: Floats, max_bins: int) -> Floats:
    """Cuts between distinct values; where there are too many, at evenly spaced ranks."""
    ordered = np.sort(column[~np.isnan(column)])
    if ordered.size == 0:
        return np.empty(0)
    steps = np.flatnonzero(ordered[1:] > ordered[:-1])  # last position of each value but the largest
    if steps.size >= max_bins:
        ranks = np.arange(1, max_bins) * ordered.size / max_bins - 1.0
        steps = np.unique(steps[np.minimum(np.searchsorted(steps, ranks), steps.size - 1)])
    low, high = ordered[steps], ordered[steps + 1]
    middle = 0.5 * low + 0.5 * high
    cuts: Floats = np.where((middle >= low) & (middle < high), middle, low)
    return cuts


def _category_bins(column: Floats, max_bins: int) -> Floats:
    """The bin of each code: its own, or that of all rare categories."""
    known = column[~np.isnan(column)].astype(np.int64)
    size = np.bincount(known)
    if size.size <= max_bins:
        return np.arange(size.size, dtype=float)
    by_size = np.argsort(-size, kind="stable")
    bins = np.full(size.size, float(max_bins - 1))
    bins[np.sort(by_size[: max_bins - 1])] = np.arange(max_bins - 1)
    return bins
