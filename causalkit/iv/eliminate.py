"""Take exogenous columns and absorbed effects out of all others, to rounding, without a copy of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Bools, Codes, Floats
from causalkit.kernels.iv_gram import Stack, cross_products, partial_out, pivots_of, subtract_more, triangle
from causalkit.linear.absorb import Absorber, absorber
from causalkit.linear.rank import TOLERANCE, collinear_reason, select_columns

#: Above this condition number of the cross-products they are not used: a QR factorisation is.
CONDITION = 1e7
_EPSILON = float(np.finfo(np.float64).eps)
_LEFT = 1e-13
_MAX_CORRECTIONS = 4


@dataclass(frozen=True, eq=False)
class Eliminated:
    """What remains of outcome, endogenous variables and instruments.

    Parameters
    ----------
    rows : array, shape (r, n)
        What remains, times the root of the weights.
    shares : array, shape (k, r)
        Coefficients of the (pivoted) columns on the exogenous ones.
    inner : Stack of k columns
        The exogenous columns kept: the intercept first, unless effects were absorbed (and taken out of them too).
    outer : Stack of r columns
        The columns that ``rows`` are what remains of.
    bread : array, shape (k, k)
        Inverse of the cross-products of ``inner``.
    names : tuple of str
        Names of ``inner``.
    dropped : mapping of str to str
        Exogenous columns left out, and why.
    effects : Absorber or None
    is_empty : array of bool, shape (r,)
        Columns of which nothing remains.
    noise : array
        Norm below which a remaining instrument is rounding, relative to what remains of it.
    factorisation : str
        ``"cholesky"`` or ``"qr"``.
    said : str
        What was eliminated, in words.
    """

    rows: Floats
    shares: Floats
    inner: Stack
    outer: Stack
    bread: Floats
    names: tuple[str, ...]
    dropped: Mapping[str, str]
    effects: Absorber | None
    is_empty: Bools
    noise: Floats
    factorisation: str
    said: str


@dataclass(frozen=True, eq=False)
class _Columns:
    """All columns ready to be stacked, with the norms that decide whether anything is left of one."""

    inner: Stack
    outer: Stack
    names: tuple[str, ...]
    reference: Floats | None
    raw: Floats | None
    effects: Absorber | None


def eliminate(
    y: Floats,
    D: Sequence[Floats],
    Z: Sequence[Floats],
    W: Sequence[Floats],
    names: Sequence[str],
    *,
    weights: Floats | None,
    absorb: Sequence[Codes],
    absorb_names: Sequence[str],
) -> Eliminated:
    """Project the exogenous columns and the absorbed effects out of outcome, endogenous variables and instruments.

    Parameters
    ----------
    y, D, Z, W, weights, absorb, absorb_names
        As in `causalkit.iv.iv_data.iv_data`.
    names : sequence of str
        Names of ``W``.

    Returns
    -------
    Eliminated
    """
    root = None if weights is None else np.sqrt(weights)
    ready = (
        _absorbed([y, *D, *Z], W, names, root, weights, absorb)
        if len(absorb)
        else _pivoted([y, *D, *Z], W, names, root)
    )
    k = ready.inner.k
    products = cross_products(ready.inner.joined(ready.outer))
    norms = np.sqrt(np.diag(products))
    reference, raw = _norms(ready, products, norms)
    limits = np.maximum(TOLERANCE * reference, 8.0 * _EPSILON * raw)
    about_mean = norms if ready.effects is not None else reference
    present = [j for j in range(k) if about_mean[j] > limits[j] or (j == 0 and ready.effects is None)]
    kept, bread, shares, factorisation, relations = _solve(ready, products, norms, present)
    inner = ready.inner.take(kept)
    rows = np.empty((ready.outer.k, ready.outer.n))
    left = partial_out(ready.outer, inner, shares, rows)
    outer_norms = norms[k:]
    for _ in range(_MAX_CORRECTIONS):
        if _settled(left, norms[kept], outer_norms):
            break
        more = bread @ left
        shares = shares + more
        left = subtract_more(inner, more, rows)
    remains = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    is_empty = remains <= limits[k:]
    rows[is_empty] = 0.0
    said = _said(len(kept) > (ready.effects is None), absorb_names)
    instruments = slice(1 + len(D), None)
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.where(is_empty, 0.0, 8.0 * _EPSILON * raw[k:] / remains)[instruments]
    return Eliminated(
        rows=rows,
        shares=shares,
        inner=inner,
        outer=ready.outer,
        bread=bread,
        names=tuple(ready.names[j] for j in kept),
        dropped=_reasons(ready, present, kept, relations, absorb_names),
        effects=ready.effects,
        is_empty=is_empty,
        noise=noise[~is_empty[instruments]],
        factorisation=factorisation,
        said=said,
    )


def independent_rows(rows: Floats, noise: Floats) -> tuple[list[int], dict[int, list[int]]]:
    """Keep the rows of an array of shape (r, n) that earlier ones do not determine; name those that determine the rest.

    Parameters
    ----------
    rows : array, shape (r, n)
    noise : array, shape (r,)
        Relative norm below which what a row adds is rounding.

    Returns
    -------
    kept : list of int
    relations : dict of int to list of int
        Dropped row to the kept rows it is a combination of.
    """
    products = rows @ rows.T
    norms = np.sqrt(np.diag(products))
    unit = np.where(norms > 0, norms, 1.0)
    if _well_conditioned(products / np.outer(unit, unit), rows.shape[1]):
        return list(range(rows.shape[0])), {}
    factor = triangle(Stack(tuple(rows), np.zeros(rows.shape[0]))) / unit
    chosen = select_columns(factor, np.maximum(TOLERANCE, noise))
    return chosen.kept.tolist(), chosen.relations


def _pivoted(others: list[Floats], W: Sequence[Floats], names: Sequence[str], root: Floats | None) -> _Columns:
    """Stack the columns less a number near their mean, with an intercept."""
    n = others[0].size
    ones = np.broadcast_to(np.ones(1), (n,))
    inner = (ones, *W)
    pivots = np.concatenate([[0.0], pivots_of(tuple(W))])
    outer = tuple(others)
    return _Columns(
        Stack(inner, pivots, root), Stack(outer, pivots_of(outer), root), ("intercept", *names), None, None, None
    )


def _absorbed(
    others: list[Floats],
    W: Sequence[Floats],
    names: Sequence[str],
    root: Floats | None,
    weights: Floats | None,
    absorb: Sequence[Codes],
) -> _Columns:
    """Take the effects out of every column."""
    effects = absorber(absorb, weights)
    part = effects.partial_out([*W, *others])
    raw = np.sqrt(part.centred_norms**2 + effects.total_weight * part.means**2)
    k = len(W)
    columns = tuple(part.columns)
    return _Columns(
        Stack(columns[:k], np.zeros(k), root, others[0].size),
        Stack(columns[k:], np.zeros(len(others)), root),
        tuple(names),
        part.centred_norms,
        raw,
        effects,
    )


def _norms(ready: _Columns, products: Floats, norms: Floats) -> tuple[Floats, Floats]:
    """Norms about the mean, and of the columns as given."""
    if ready.reference is not None and ready.raw is not None:
        return ready.reference, ready.raw
    total = products[0, 0]
    about_mean = np.sqrt(np.maximum(norms**2 - products[0] ** 2 / total, 0.0))
    pivots = np.concatenate([ready.inner.pivots, ready.outer.pivots])
    return about_mean, np.sqrt(norms**2 + total * pivots**2)


def _solve(
    ready: _Columns, products: Floats, norms: Floats, present: list[int]
) -> tuple[list[int], Floats, Floats, str, dict[int, list[int]]]:
    """Return the exogenous columns kept, the inverse of their products, and their shares in the others."""
    k = ready.inner.k
    unit = norms[present]
    if not present:
        return [], np.empty((0, 0)), np.empty((0, ready.outer.k)), "cholesky", {}
    gram = products[np.ix_(present, present)] / np.outer(unit, unit)
    if _well_conditioned(gram, ready.inner.n):
        root: Floats = np.asarray(np.linalg.inv(np.linalg.cholesky(gram)), dtype=np.float64) / unit
        bread = root.T @ root
        return present, bread, bread @ products[present, k:], "cholesky", {}
    factor = triangle(ready.inner.take(present).joined(ready.outer))
    chosen = select_columns(factor[:, : len(present)] / unit, np.full(len(present), TOLERANCE))
    columns = [*chosen.kept.tolist(), *range(len(present), factor.shape[1])]
    small = np.asarray(np.linalg.qr(factor[:, columns], mode="r"), dtype=np.float64)
    r = chosen.kept.size
    root = np.asarray(np.linalg.inv(small[:r, :r]), dtype=np.float64)
    kept = [present[j] for j in chosen.kept]
    relations = {present[j]: [present[i] for i in partners] for j, partners in chosen.relations.items()}
    return kept, root @ root.T, root @ small[:r, r:], "qr", relations


def _well_conditioned(gram: Floats, n_rows: int) -> bool:
    if gram.shape[0] == 0:
        return True
    if gram.shape[0] > n_rows:
        return False
    values = np.linalg.eigvalsh(gram)
    return bool(values[0] * CONDITION > values[-1])


def _settled(left: Floats, inner_norms: Floats, outer_norms: Floats) -> bool:
    return bool((np.abs(left) <= _LEFT * np.outer(inner_norms, outer_norms)).all())


def _reasons(
    ready: _Columns,
    present: Sequence[int],
    kept: Sequence[int],
    relations: Mapping[int, Sequence[int]],
    absorb_names: Sequence[str],
) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for j, name in enumerate(ready.names):
        if j in relations:
            reasons[name] = collinear_reason([ready.names[i] for i in relations[j]])
        elif j not in present:
            absorbed = f"absorbed by {' and '.join(absorb_names)}"
            reasons[name] = absorbed if ready.effects is not None else "constant, beside an intercept"
    return reasons


def _said(covariates: bool, absorb_names: Sequence[str]) -> str:
    parts = (["the covariates"] if covariates else []) + ([" and ".join(absorb_names)] if absorb_names else [])
    return " and ".join(parts) if parts else "the intercept: it is constant"
