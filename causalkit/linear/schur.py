"""Solvers of the normal equations of several sets of effects, with the largest set eliminated.

With ``u`` the largest effect and ``D`` the dummies of all others, the normal equations reduce to

    (D'WD - C' diag(1/W_u) C) g = D'Wz - C' diag(1/W_u) (sums of Wz by u),     C = U'WD,

the Schur complement of the block of ``u``, which is diagonal. Its order is the number of levels of the other effects,
so a panel of a million units and ten periods leaves ten unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from causalkit.errors import ConvergenceError
from causalkit.kernels.arrays import Codes, Floats, Ints

_DENSE_CELLS = 4_000_000
_PIVOT = 1e-11
_GOAL = 1e-14
_NOISE = 8.0 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Levels:
    """Effects as the solvers need them: the largest one, the others stacked, and the (weighted) rows of each level."""

    largest: Codes
    rest: Codes
    weights: Floats | None
    of_largest: Floats
    of_rest: Floats


class Solver(Protocol):
    """Solve for the values of all levels from sums by level."""

    @property
    def method(self) -> str:
        """How the equations are solved."""
        ...

    @property
    def rank(self) -> int:
        """Number of linearly independent effects."""
        ...

    def solve(self, by_largest: Floats, by_rest: Floats) -> tuple[Floats, Floats]:
        """Return the values of the levels, ``(k, G)`` and ``(k, K)``, from the sums of k columns by level."""
        ...


@dataclass(frozen=True)
class GroupMeans:
    """One effect: its values are group means."""

    levels: Levels
    method: str = "group means"

    @property
    def rank(self) -> int:
        """Number of groups."""
        return self.levels.of_largest.size

    def solve(self, by_largest: Floats, by_rest: Floats) -> tuple[Floats, Floats]:
        """Divide the sums by the totals."""
        return by_largest / self.levels.of_largest, np.zeros_like(by_rest)


@dataclass(frozen=True)
class DenseSchur:
    """The Schur complement, factorised by Cholesky on a set of levels that are free.

    Attributes
    ----------
    free : array of int
        Levels of the other effects with a value; the remaining ones are redundant and set to zero.
    scale : array
        Square roots of the diagonal of the free block.
    factor : array
        Lower Cholesky factor of the free block with unit diagonal scaling.
    """

    levels: Levels
    cross: Any
    free: Ints
    scale: Floats
    factor: Floats
    method: str = "exact"

    @property
    def rank(self) -> int:
        """Number of linearly independent effects."""
        return self.levels.of_largest.size + self.free.size

    def solve(self, by_largest: Floats, by_rest: Floats) -> tuple[Floats, Floats]:
        """Solve exactly; redundant levels get zero."""
        means = by_largest / self.levels.of_largest
        right = by_rest - _scores(self.cross, means)
        others = np.zeros_like(by_rest)
        others[:, self.free] = self.solve_free(right[:, self.free].T).T
        means -= _values(self.cross, others) / self.levels.of_largest
        return means, others

    def solve_free(self, right: Floats) -> Floats:
        """Apply the inverse of the free block."""
        from scipy.linalg import cho_solve

        solved: Floats = cho_solve((self.factor, True), right / self.scale[:, None], check_finite=False)
        return solved / self.scale[:, None]


@dataclass(frozen=True)
class ConjugateGradients:
    """The Schur complement applied as sparse products, for two large effects or more.

    The operator is singular but the equations are consistent, so conjugate gradients with the diagonal as
    preconditioner converge to a solution; which one does not matter to what is left of the column.
    """

    levels: Levels
    cross: Any
    pairs: Any
    rank: int
    max_iterations: int
    method: str = "conjugate gradients"

    def solve(self, by_largest: Floats, by_rest: Floats) -> tuple[Floats, Floats]:
        """Iterate until the residual stops at rounding level, for all columns at once."""
        totals, by_largest, by_rest = self.levels.of_largest[:, None], by_largest.T, by_rest.T
        moved = self.cross.T @ (by_largest / totals)
        others = self._iterate(by_rest - moved, _NOISE**2 * self._energy(np.abs(by_rest) + np.abs(moved)))
        return ((by_largest - self.cross @ others) / totals).T, others.T

    def _apply(self, values: Floats) -> Floats:
        image: Floats = self.pairs @ values - self.cross.T @ ((self.cross @ values) / self.levels.of_largest[:, None])
        return image

    def _energy(self, values: Floats) -> Floats:
        energy: Floats = np.einsum("ij,ij,i->j", values, values, 1.0 / self.levels.of_rest)
        return energy

    def _iterate(self, right: Floats, noise: Floats) -> Floats:
        """Solve to a relative residual of 1e-14, or to the rounding of a right-hand side that cancelled."""
        inverse = 1.0 / self.levels.of_rest[:, None]
        values, residual = np.zeros_like(right), right.copy()
        direction = inverse * residual
        energy = np.einsum("ij,ij->j", residual, direction)
        goal = np.maximum(energy * _GOAL**2, noise)
        for _ in range(self.max_iterations):
            active = energy > goal
            if not active.any():
                return values
            image = self._apply(direction)
            curvature = np.einsum("ij,ij->j", direction, image)
            step = np.where(active & (curvature > 0), energy / np.where(curvature > 0, curvature, 1.0), 0.0)
            values += step * direction
            residual -= step * image
            ready = inverse * residual
            fresh = np.einsum("ij,ij->j", residual, ready)
            direction = ready + np.where(active, fresh / np.where(energy > 0, energy, 1.0), 0.0) * direction
            energy = np.where(active, fresh, 0.0)
        raise ConvergenceError(
            f"Partialling out did not converge in {self.max_iterations} iterations of conjugate gradients.",
            hint="Raise max_iterations, or max_dense if memory allows an exact solve.",
        )


def dense_schur(levels: Levels, components: Codes | None) -> DenseSchur:
    """Factorise the Schur complement.

    Parameters
    ----------
    levels : Levels
    components : array of int, optional
        With two effects, the connected component of each level of the smaller one: one level of each component is
        redundant, so the rank is known exactly. With more effects the rank comes from a pivoted Cholesky.

    Returns
    -------
    DenseSchur
    """
    from causalkit.kernels.normal import table_products

    cross = cross_product(levels)
    schur = _pairs_dense(levels)
    weighted = cross.multiply(1.0 / levels.of_largest[:, None]).tocsr() if _is_sparse(cross) else None
    if weighted is not None:
        schur -= (cross.T @ weighted).toarray()
    else:
        schur -= table_products(cross, levels.of_largest)
    if components is not None:
        free = np.setdiff1d(np.arange(components.size), np.unique(components, return_index=True)[1])
    else:
        free = _independent(schur, levels.of_rest)
    block = schur[np.ix_(free, free)]
    scale = np.sqrt(np.diag(block))
    factor = np.linalg.cholesky(block / np.outer(scale, scale)) if free.size else block
    return DenseSchur(levels, cross, free, scale, factor)


def conjugate_gradients(levels: Levels, rank: int, max_iterations: int) -> ConjugateGradients:
    """Prepare the sparse operator."""
    from scipy.sparse import csr_array, diags_array

    k = levels.of_rest.size
    pairs: Any = diags_array(levels.of_rest).tocsr()
    m, n = levels.rest.shape
    values = np.ones(n) if levels.weights is None else levels.weights
    for f in range(m):
        for g in range(f + 1, m):
            joint = csr_array((values, (levels.rest[f], levels.rest[g])), shape=(k, k))
            pairs = pairs + joint + joint.T
    return ConjugateGradients(levels, _cross_sparse(levels), pairs, rank, max_iterations)


def cross_product(levels: Levels) -> Any:
    """Return ``C = U'WD``: dense where it is small or well filled, else compressed sparse rows."""
    from causalkit.kernels.demean import cross_table

    cells = levels.of_largest.size * levels.of_rest.size
    if cells > max(_DENSE_CELLS, 4 * levels.largest.size):
        return _cross_sparse(levels)
    table = np.zeros((levels.of_largest.size, levels.of_rest.size))
    cross_table(levels.weights, levels.largest, levels.rest, table)
    return table


def _cross_sparse(levels: Levels) -> Any:
    from scipy.sparse import csr_array

    m, n = levels.rest.shape
    values = np.ones(n) if levels.weights is None else levels.weights
    rows, columns = np.tile(levels.largest, m), levels.rest.ravel()
    return csr_array((np.tile(values, m), (rows, columns)), shape=(levels.of_largest.size, levels.of_rest.size))


def _pairs_dense(levels: Levels) -> Floats:
    """Return ``D'WD``; diagonal where there is one other effect."""
    from causalkit.kernels.demean import pair_table

    if levels.rest.shape[0] == 1:
        return np.diag(levels.of_rest)
    table = np.zeros((levels.of_rest.size, levels.of_rest.size))
    pair_table(levels.weights, levels.rest, table)
    return table


def _independent(schur: Floats, totals: Floats) -> Ints:
    """Levels that a pivoted Cholesky of the complement, scaled by the totals, finds independent."""
    from scipy.linalg.lapack import dpstrf

    root = np.sqrt(totals)
    _, pivots, rank, _ = dpstrf(schur / np.outer(root, root), tol=_PIVOT, lower=1)
    return np.sort(pivots[:rank].astype(np.int64) - 1)


def _scores(cross: Any, values: Floats) -> Floats:
    """Return ``C' values`` for columns that stand in rows: ``(k, G)`` to ``(k, K)``."""
    from causalkit.kernels.normal import table_scores

    product: Floats = (cross.T @ values.T).T if _is_sparse(cross) else table_scores(cross, values)
    return product


def _values(cross: Any, levels: Floats) -> Floats:
    """Return ``C levels`` for columns that stand in rows: ``(k, K)`` to ``(k, G)``."""
    from causalkit.kernels.normal import table_values

    product: Floats = (cross @ levels.T).T if _is_sparse(cross) else table_values(cross, levels)
    return product


def _is_sparse(matrix: Any) -> bool:
    return not isinstance(matrix, np.ndarray)
