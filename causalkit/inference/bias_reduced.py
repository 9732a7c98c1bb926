"""Cluster residuals adjusted for leverage (CR2, CR3) and their Satterthwaite degrees of freedom.

Everything is written in an orthonormal basis Q of the weighted design, where the residual maker of a cluster is
``I - Q_g Q_g'``. Its powers then come from the eigenvalues s of the k x k matrix ``Q_g' Q_g``, so no n_g x n_g
matrix is formed, and the degrees of freedom take O(G k^2) work a coefficient instead of O(G^2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints

_SATURATED = 1e-12
"""A direction with leverage above one minus this is fitted exactly; its residual is zero and it is left out."""

_NO_VARIANCE = 1e-10

_CHUNK = 4_000_000
"""Numbers kept at once in a stack of k x k blocks."""


@dataclass(frozen=True, eq=False)
class AdjustedResiduals:
    """Leverage-adjusted residuals on the scale of the weighted design, and degrees of freedom where they were asked."""

    residuals: Floats
    df: Floats | None


def cr2_residuals(design: Floats, residuals: Floats, groups: Codes, weights: Floats | None) -> AdjustedResiduals:
    """Bell-McCaffrey residuals and the degrees of freedom of every coefficient.

    Parameters
    ----------
    design : (n, k) array
        Full-rank design times the square root of the weights.
    residuals : (n,) array
        Residuals times the square root of the weights.
    groups : (n,) integer codes
    weights : (n,) array, optional
        Positive weights. The working model is homoskedastic and independent on the unweighted scale, as in estimatr
        and clubSandwich. None means equal weights.

    Returns
    -------
    AdjustedResiduals

    Notes
    -----
    Bell and McCaffrey (2002); the degrees of freedom are those of Imbens and Kolesár (2016) under an independent
    working model, generalised by Pustejovsky and Tipton (2018). Rank-deficient blocks use the symmetric square root
    of the pseudo-inverse.
    """
    basis, triangle = np.linalg.qr(design)
    contrasts = np.linalg.inv(triangle)
    if weights is None or np.ptp(weights) == 0.0:
        return _cr2_equal_weights(basis, residuals, groups, contrasts)
    return _cr2_weighted(basis, residuals, groups, contrasts, weights)


def cr3_residuals(design: Floats, residuals: Floats, groups: Codes) -> AdjustedResiduals:
    """Jackknife residuals ``(I - H_gg)^-1 e_g``; each cluster's score is then its leave-one-out change."""
    basis = np.linalg.qr(design)[0]
    dense = np.unique(groups, return_inverse=True)[1]
    moved = np.empty((dense.max() + 1, basis.shape[1]))
    scores = _score_sums(basis, residuals, dense)
    for members, values, vectors in _spectra(basis, dense):
        gap = 1.0 - values
        factor = np.where(gap > _SATURATED, 1.0 / np.where(gap > _SATURATED, gap, 1.0), 0.0)
        moved[members] = _apply(vectors, factor, scores[members])
    return AdjustedResiduals(residuals + np.einsum("ij,ij->i", basis, moved[dense]), None)


def _cr2_equal_weights(basis: Floats, residuals: Floats, groups: Codes, contrasts: Floats) -> AdjustedResiduals:
    dense = np.unique(groups, return_inverse=True)[1]
    k = basis.shape[1]
    moved = np.empty((dense.max() + 1, k))
    scores = _score_sums(basis, residuals, dense)
    trace, squares, outer = np.zeros(k), np.zeros(k), np.zeros((k, k, k))
    for members, values, vectors in _spectra(basis, dense):
        kept = 1.0 - values > _SATURATED
        root = np.sqrt(np.where(kept, 1.0 - values, 1.0))
        moved[members] = _apply(vectors, np.where(kept, 1.0 / (root + root**2), 0.0), scores[members])
        rotated = np.einsum("gba,jb->gja", vectors, contrasts)
        length = np.einsum("gja,ga->gj", rotated**2, np.where(kept, values / root**2, 0.0))
        inner = rotated * np.where(kept, values / root, 0.0)[:, None, :]
        overlap = np.einsum("gja,gja->gj", inner, inner)
        trace += (length - overlap).sum(axis=0)
        squares += (length**2 - 2.0 * length * overlap).sum(axis=0)
        located = np.einsum("gba,gja->jgb", vectors, inner)
        outer += np.matmul(located.transpose(0, 2, 1), located)
    total = squares + np.einsum("jab,jab->j", outer, outer)
    return AdjustedResiduals(
        residuals + np.einsum("ij,ij->i", basis, moved[dense]),
        _effective_df(trace, total, np.sum(contrasts**2, axis=1)),
    )


def _cr2_weighted(
    basis: Floats, residuals: Floats, groups: Codes, contrasts: Floats, weights: Floats
) -> AdjustedResiduals:
    """Work on the unweighted scale, where the residual maker ``R = I - X M X'W`` is not symmetric."""
    k = basis.shape[1]
    root = np.sqrt(weights)[:, None]
    plain, loaded = basis / root, basis * root
    crossed = loaded.T @ loaded
    link = np.block([[crossed, -np.eye(k)], [-np.eye(k), np.zeros((k, k))]])
    adjusted = np.empty_like(residuals)
    trace, squares, outer = np.zeros(k), np.zeros(k), np.zeros((k, 2 * k, 2 * k))
    for rows in _row_blocks(groups):
        adjust = _weighted_adjustment(plain[rows], loaded[rows], crossed)
        adjusted[rows] = root[rows, 0] * adjust(residuals[rows] / root[rows, 0])
        reach = adjust(loaded[rows] @ contrasts.T)
        length = np.einsum("ij,ij->j", reach, reach)
        located = np.concatenate([plain[rows].T @ reach, loaded[rows].T @ reach])
        overlap = np.einsum("aj,ab,bj->j", located, link, located)
        trace += length + overlap
        squares += length**2 + 2.0 * length * overlap
        outer += np.einsum("aj,bj->jab", located, located)
    linked = np.matmul(outer, link)
    total = squares + np.einsum("jab,jba->j", linked, linked)
    variances = np.einsum("ja,ab,jb->j", contrasts, crossed, contrasts)
    return AdjustedResiduals(adjusted, _effective_df(trace, total, variances))


def _weighted_adjustment(plain: Floats, loaded: Floats, crossed: Floats) -> Callable[[Floats], Floats]:
    """Return the map ``v -> ((R R')_gg)^(+1/2) v`` of one cluster."""
    frame = np.linalg.qr(np.concatenate([plain, loaded], axis=1))[0]
    near, far = frame.T @ plain, frame.T @ loaded
    middle = np.eye(frame.shape[1]) - near @ far.T - far @ near.T + near @ crossed @ near.T
    values, vectors = np.linalg.eigh(middle)
    kept = values > _SATURATED
    power = np.where(kept, 1.0 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    turned = frame @ vectors

    def adjust(v: Floats) -> Floats:
        inside = turned.T @ v
        scale = power - 1.0
        moved: Floats = v + turned @ (scale * inside if v.ndim == 1 else scale[:, None] * inside)
        return moved

    return adjust


def _effective_df(trace: Floats, squares: Floats, variances: Floats) -> Floats:
    """Satterthwaite degrees of freedom; NaN for a coefficient whose estimated variance is zero by construction."""
    df: Floats = np.divide(trace**2, squares, out=np.full_like(trace, np.nan), where=trace > _NO_VARIANCE * variances)
    return df


def _score_sums(basis: Floats, residuals: Floats, dense: Ints) -> Floats:
    size = int(dense.max()) + 1
    return np.column_stack([np.bincount(dense, weights=column * residuals, minlength=size) for column in basis.T])


def _apply(vectors: Floats, factor: Floats, scores: Floats) -> Floats:
    """Multiply each score by ``V diag(factor) V'`` of its cluster."""
    moved: Floats = np.einsum("gba,ga->gb", vectors, factor * np.einsum("gba,gb->ga", vectors, scores))
    return moved


def _row_blocks(groups: Codes | Ints) -> Iterator[Ints]:
    order = np.argsort(groups, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _spectra(basis: Floats, dense: Ints) -> Iterator[tuple[slice, Floats, Floats]]:
    """Eigenvalues in [0, 1] and eigenvectors of ``Q_g' Q_g``, for consecutive clusters at a time."""
    k = basis.shape[1]
    blocks = list(_row_blocks(dense))
    step = max(1, _CHUNK // (k * k))
    for start in range(0, len(blocks), step):
        stack = np.empty((min(step, len(blocks) - start), k, k))
        for position, rows in enumerate(blocks[start : start + step]):
            part = basis[rows]
            stack[position] = part.T @ part
        values, vectors = np.linalg.eigh(stack)
        yield slice(start, start + stack.shape[0]), np.clip(values, 0.0, 1.0), vectors
