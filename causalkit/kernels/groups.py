"""Loops over group codes: factorising integers, compacting codes, connected components, nesting."""

from __future__ import annotations

import numpy as np
from numba import njit

from causalkit.kernels.arrays import Bools, Codes, Floats, Ints

_SPAN_PER_ROW = 4
_SMALL_SPAN = 1_000_000


def factorize_integers(values: Ints | Codes) -> tuple[Codes, Ints]:
    """Code integers by their rank among the distinct values.

    A table indexed by ``value - min`` is used where the range is not much larger than the number of rows (three
    linear passes); otherwise the values are sorted.

    Parameters
    ----------
    values : array of int, shape (n,)
        The identifiers.

    Returns
    -------
    codes : array of int32, shape (n,)
        Position of each value in ``labels``.
    labels : array of int64
        The distinct values, ascending.
    """
    values = np.ascontiguousarray(values, dtype=np.int64)
    if values.size == 0:
        return np.empty(0, np.int32), np.empty(0, np.int64)
    low, high = int(values.min()), int(values.max())
    span = high - low + 1
    if span <= max(_SPAN_PER_ROW * values.size, _SMALL_SPAN):
        codes, present = _offset_codes(values, low, span)
        return codes, present + low
    labels, inverse = np.unique(values, return_inverse=True)
    return inverse.astype(np.int32), labels


def compact_codes(codes: Codes) -> tuple[Codes, Ints]:
    """Renumber codes so that each of ``0 .. count - 1`` occurs; the order of the levels is kept.

    Parameters
    ----------
    codes : array of int, shape (n,)
        Group of each row; levels without rows are allowed (they arise when rows were dropped).

    Returns
    -------
    codes : array of int32, shape (n,)
        The array given, where it was compact already.
    sizes : array of int, shape (count,)
        Rows of each level.
    """
    top = int(codes.max(initial=-1)) + 1
    if top <= max(_SPAN_PER_ROW * codes.size, _SMALL_SPAN):
        sizes = _sizes(codes, top)
        if sizes.all():
            return np.ascontiguousarray(codes, dtype=np.int32), sizes
    compact, labels = factorize_integers(codes)
    return compact, _sizes(compact, labels.size)


def group_sums(values: Floats, codes: Codes, n_groups: int) -> Floats:
    """Sum the rows of ``values`` by group: shape ``(n, k)`` to ``(n_groups, k)``, in row order."""
    sums = np.zeros((n_groups, values.shape[1]))
    _add_rows(np.asarray(values, dtype=np.float64), codes, sums)
    return sums


def connected_components(left: Codes, right: Codes, n_left: int, n_right: int) -> tuple[Codes, int]:
    """Label the connected components of the bipartite graph that joins two sets of groups through the rows.

    Two-way effects are estimable only within a component, so each component beyond the first removes one more
    parameter (Abowd, Creecy and Kramarz 2002, *Computing person and firm effects*).

    Parameters
    ----------
    left, right : array of int32, shape (n,)
        Group of each row in either dimension.
    n_left, n_right : int
        Number of groups in either dimension; each must occur.

    Returns
    -------
    labels : array of int32, shape (n_right,)
        Component of each right-hand group, numbered by first appearance.
    count : int
        Number of components.
    """
    labels, count = _components(left, right, n_left, n_right)
    return labels, int(count)


def is_nested(inner: Codes, outer: Codes, n_inner: int) -> bool:
    """Tell whether every inner group lies within one outer group."""
    return bool(_nested(inner, outer, n_inner))


def singleton_rows(effects: list[Codes], *, recursive: bool = True) -> Bools:
    """Mark the rows that are alone in a group of some effect.

    Parameters
    ----------
    effects : list of array of int, each of shape (n,)
    recursive : bool
        Repeat after setting the found rows aside, until none is left, as removing them would.

    Returns
    -------
    array of bool, shape (n,)
    """
    alone = np.zeros(effects[0].size, dtype=np.bool_) if effects else np.zeros(0, dtype=np.bool_)
    while True:
        found = np.zeros_like(alone)
        for codes in effects:
            sizes = np.bincount(codes[~alone], minlength=int(codes.max(initial=-1)) + 1)
            if (sizes == 1).any():
                found |= (sizes == 1)[codes] & ~alone
        alone |= found
        if not recursive or not found.any():
            return alone


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _offset_codes(values: Ints, low: int, span: int) -> tuple[Codes, Ints]:
    """Code by a table over the range; returns the codes and the offsets that occur."""
    table = np.zeros(span, dtype=np.int32)
    for i in range(values.size):
        table[values[i] - low] = 1
    count = 0
    for j in range(span):
        count += table[j]
    present = np.empty(count, dtype=np.int64)
    count = 0
    for j in range(span):
        if table[j]:
            table[j] = count
            present[count] = j
            count += 1
    codes = np.empty(values.size, dtype=np.int32)
    for i in range(values.size):
        codes[i] = table[values[i] - low]
    return codes, present


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sizes(codes: Codes, count: int) -> Ints:
    sizes = np.zeros(count, dtype=np.int64)
    for i in range(codes.size):
        sizes[codes[i]] += 1
    return sizes


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_rows(values: Floats, codes: Codes, sums: Floats) -> None:
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            sums[codes[i], j] += values[i, j]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _root(parent: Codes, node: int) -> int:
    """Find the root of a node, halving the path on the way."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _components(left: Codes, right: Codes, n_left: int, n_right: int) -> tuple[Codes, int]:
    """Union-find over the right-hand groups; each left-hand group remembers one of its right-hand groups."""
    parent = np.arange(n_right, dtype=np.int32)
    seen = np.full(n_left, -1, dtype=np.int32)
    for i in range(left.size):
        other = seen[left[i]]
        if other < 0:
            seen[left[i]] = right[i]
        elif other != right[i]:
            a, b = _root(parent, other), _root(parent, right[i])
            if a < b:
                parent[b] = a
            elif b < a:
                parent[a] = b
    labels = np.full(n_right, -1, dtype=np.int32)
    count = 0
    for node in range(n_right):
        root = _root(parent, node)
        if labels[root] < 0:
            labels[root] = count
            count += 1
        labels[node] = labels[root]
    return labels, count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _nested(inner: Codes, outer: Codes, n_inner: int) -> bool:
    home = np.full(n_inner, -1, dtype=np.int64)
    for i in range(inner.size):
        if home[inner[i]] < 0:
            home[inner[i]] = outer[i]
        elif home[inner[i]] != outer[i]:
            return False
    return True
