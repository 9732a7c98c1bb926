"""Absorb effects: partial out any number of sets of dummies from many columns at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.errors import ConvergenceError, DataError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints
from causalkit.linear.schur import DenseSchur, GroupMeans, Levels, Solver, conjugate_gradients, dense_schur

MAX_DENSE = 3000
CERTIFIED = 1e-10
_ROUNDING = 1e-13
_MAX_PASSES = 4
_LEVERAGE_CELLS = 4_000_000


@dataclass(frozen=True)
class Partialled:
    """Columns after the effects have been partialled out.

    Attributes
    ----------
    columns : array, shape (k, n)
        What remains of each column; one column of the data is one contiguous row here.
    effects : tuple of arrays, each of shape (G_f, k)
        Estimated value of each level, in the order the effects were given. Levels are identified up to a constant
        per connected component; their sum over the effects of a row is the part that was taken out.
    means : array, shape (k,)
        Weighted mean of each column.
    centred_norms : array, shape (k,)
        Weighted norm of each column about its mean.
    certificate : array, shape (k,)
        Norm of the remaining group means relative to ``centred_norms``: the relative residual of the normal equations.
    """

    columns: Floats
    effects: tuple[Floats, ...]
    means: Floats
    centred_norms: Floats
    certificate: Floats


@dataclass(frozen=True)
class Absorber:
    """Sets of effects, factorised once to be partialled out of any number of columns.

    Build it with `absorber`.

    Attributes
    ----------
    levels : Levels
        The effects as the solver uses them, the largest first.
    solver : Solver
        Group means, an exact factorisation, or conjugate gradients.
    order : tuple of int
        Position, among the effects as given, of each effect as used.
    sizes : tuple of int
        Number of levels of each effect as given.
    components : int or None
        Connected components of the graph of the two largest effects; None with one effect.
    exact_rank : bool
        Whether `rank` is exact; otherwise effects beyond the second are counted as if they lost one level each.
    lone_rows : bool
        Whether some level has a single row.
    """

    levels: Levels
    solver: Solver
    order: tuple[int, ...]
    sizes: tuple[int, ...]
    components: int | None
    exact_rank: bool
    lone_rows: bool

    @property
    def rank(self) -> int:
        """Number of linearly independent effects, the constant included."""
        return self.solver.rank

    @property
    def method(self) -> str:
        """How the equations are solved: ``"group means"``, ``"exact"`` or ``"conjugate gradients"``."""
        return self.solver.method

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights, or the number of rows."""
        return float(self.levels.of_largest.sum())

    def codes(self, position: int) -> Codes:
        """Compact codes of the effect at ``position`` among the effects as given."""
        place = self.order.index(position)
        if place == 0:
            return self.levels.largest
        offset = sum(self.sizes[other] for other in self.order[1:place])
        codes = self.levels.rest[place - 1]
        return np.asarray(codes - offset, dtype=np.int32) if offset else codes

    def partial_out(self, columns: Sequence[Floats], *, certified: float = CERTIFIED) -> Partialled:
        """Subtract from each column its (weighted) least-squares projection on the effects.

        Parameters
        ----------
        columns : sequence of arrays, each of shape (n,)
            Not changed.
        certified : float
            Largest certificate that is accepted.

        Returns
        -------
        Partialled

        Raises
        ------
        ConvergenceError
            If the relative residual of the normal equations of some column stays above ``certified``.
        """
        from causalkit.kernels.demean import centre_and_sum, over_columns, subtract_effects

        at, k, n = self.levels, len(columns), self.levels.largest.size
        work, pivots, means, norms = np.empty((k, n)), np.empty(k), np.empty(k), np.empty(k)
        by_largest, by_rest = np.zeros((k, at.of_largest.size)), np.zeros((k, at.of_rest.size))

        def start(j: int) -> None:
            column = np.ascontiguousarray(columns[j], dtype=np.float64)
            pivots[j], means[j], norms[j] = centre_and_sum(
                column, at.weights, self.total_weight, at.largest, at.rest, work[j], by_largest[j], by_rest[j]
            )

        over_columns(start, k, n)
        norms = np.sqrt(norms)
        effect, others = np.zeros((k, at.of_largest.size)), np.zeros((k, at.of_rest.size))
        certificate = np.full(k, np.inf)
        for _ in range(_MAX_PASSES):
            more_effect, more_others = map(np.ascontiguousarray, self.solver.solve(by_largest, by_rest))
            effect += more_effect
            others += more_others
            by_largest[:], by_rest[:] = 0.0, 0.0

            def subtract(j: int, e: Floats = more_effect, o: Floats = more_others) -> None:
                subtract_effects(work[j], at.weights, at.largest, at.rest, e[j], o[j], by_largest[j], by_rest[j])

            over_columns(subtract, k, n)
            before, certificate = certificate, self._certificate(by_largest, by_rest, norms)
            if certificate.max(initial=0.0) <= _ROUNDING or (certificate > 0.1 * before).all():
                break
        self._require(certificate, certified)
        effect += pivots[:, None]
        return Partialled(work, self._split(effect, others), means, norms, certificate)

    def leverage(self) -> Floats:
        """Leverage of each row from the effects alone: the diagonal of their projection.

        Returns
        -------
        array, shape (n,)

        Raises
        ------
        InferenceUnavailable
            If the effects are too large for an exact factorisation.
        """
        at = self.levels
        weights = np.ones(at.largest.size) if at.weights is None else at.weights
        leverage = np.asarray(weights / at.of_largest[at.largest], dtype=np.float64)
        if isinstance(self.solver, GroupMeans):
            return leverage
        if not isinstance(self.solver, DenseSchur):
            raise InferenceUnavailable(
                f"HC2 and HC3 need the leverage of the absorbed effects, and {at.of_rest.size} levels are too many.",
                hint="Use HC1, or a clustered covariance.",
            )
        leverage += weights * _schur_leverage(self.solver, at)
        return leverage

    def _certificate(self, by_largest: Floats, by_rest: Floats, norms: Floats) -> Floats:
        left = (by_largest**2 / self.levels.of_largest).sum(axis=1) + (by_rest**2 / self.levels.of_rest).sum(axis=1)
        return np.asarray(np.sqrt(left) / np.where(norms > 0, norms, 1.0))

    def _require(self, certificate: Floats, certified: float) -> None:
        worst = float(certificate.max(initial=0.0))
        if not worst <= certified:
            raise ConvergenceError(
                f"Partialling out {len(self.sizes)} effects left a relative residual of {worst:.1e} "
                f"(column {int(np.argmax(certificate))}), above {certified:.0e}.",
                hint="Raise max_dense so that the effects are solved exactly, or drop an effect.",
            )

    def _split(self, effect: Floats, others: Floats) -> tuple[Floats, ...]:
        parts: list[Floats] = [effect.T] * len(self.sizes)
        offset = 0
        for position in self.order[1:]:
            parts[position] = others[:, offset : offset + self.sizes[position]].T
            offset += self.sizes[position]
        parts[self.order[0]] = effect.T
        return tuple(parts)


def absorber(
    effects: Sequence[Codes],
    weights: Floats | None = None,
    *,
    max_dense: int = MAX_DENSE,
    max_iterations: int = 10_000,
) -> Absorber:
    """Prepare effects for partialling out.

    One effect is a matter of group means. Of several, the largest is eliminated and the rest are solved by Cholesky
    where they have at most ``max_dense`` levels together: the answer is exact to rounding for any number of effects.
    Beyond that, conjugate gradients are used and their residual is certified.

    Parameters
    ----------
    effects : sequence of arrays of int, each of shape (n,)
        Codes of each set of effects; levels without rows are ignored.
    weights : array, shape (n,), optional
        Positive weights.
    max_dense : int
        Largest number of levels outside the largest effect that are solved by a dense factorisation.
    max_iterations : int
        Limit of the conjugate gradients.

    Returns
    -------
    Absorber

    Raises
    ------
    DataError
        If there is no effect, or lengths differ.

    References
    ----------
    Abowd, Creecy and Kramarz (2002), *Computing person and firm effects using linked longitudinal employer-employee
    data*, for the rank of two-way effects; Somaini and Wolak (2016), *An algorithm to estimate the two-way fixed
    effects model*, for the elimination of the larger set.
    """
    from causalkit.kernels.demean import stack_codes
    from causalkit.kernels.groups import compact_codes, connected_components

    _check_effects(effects, weights)
    weights = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    compact = [compact_codes(codes) for codes in effects]
    sizes = [counts.size for _, counts in compact]
    order = sorted(range(len(sizes)), key=lambda position: -sizes[position])
    lone = any((counts == 1).any() for _, counts in compact)
    largest = compact[order[0]][0]
    of_largest = _totals(*compact[order[0]], weights)
    used = tuple(order)
    if len(order) == 1:
        levels = Levels(largest, np.empty((0, largest.size), np.int32), weights, of_largest, np.empty(0))
        return Absorber(levels, GroupMeans(levels), used, tuple(sizes), None, True, lone)
    others, other_sizes = [compact[p][0] for p in order[1:]], [sizes[p] for p in order[1:]]
    of_rest = np.concatenate([_totals(*compact[p], weights) for p in order[1:]])
    levels = Levels(largest, stack_codes(others, other_sizes), weights, of_largest, of_rest)
    labels, components = connected_components(largest, others[0], sizes[order[0]], other_sizes[0])
    two = len(order) == 2
    solver: Solver
    if of_rest.size <= max_dense:
        solver = dense_schur(levels, labels if two else None)
    else:
        rank = sum(sizes) - components - (len(order) - 2)
        solver = conjugate_gradients(levels, rank, max_iterations)
    exact_rank = two or isinstance(solver, DenseSchur)
    return Absorber(levels, solver, used, tuple(sizes), components, exact_rank, lone)


def singletons(effects: Sequence[Codes]) -> Bools:
    """Mark rows that are alone in some level, repeatedly; they fit perfectly and do not move the coefficients."""
    from causalkit.kernels.groups import singleton_rows

    return singleton_rows(list(effects))


def _check_effects(effects: Sequence[Codes], weights: Floats | None) -> None:
    if not len(effects):
        raise DataError("There is no effect to absorb.", hint="Pass at least one array of codes.")
    n = effects[0].size
    for position, codes in enumerate(effects):
        if codes.shape != (n,):
            raise DataError(f"Effect {position} has shape {codes.shape}; {(n,)} was expected.")
        if n == 0:
            raise DataError("There are no rows.")
        if codes.min() < 0:
            rows = np.flatnonzero(codes < 0)
            raise DataError(
                f"{rows.size} rows have no level of effect {position} (negative code), the first is row {rows[0]}.",
                hint="Drop these rows or give them a level.",
                rows=rows[:5].tolist(),
            )
    if weights is not None and weights.shape != (n,):
        raise DataError(f"There are {n} rows but weights of shape {weights.shape}.")


def _schur_leverage(solver: DenseSchur, at: Levels) -> Floats:
    """Quadratic form of each row's deviation ``d_i - C_u / W_u`` in the inverse Schur complement."""
    free, k = solver.free, at.of_rest.size
    inverse = np.zeros((k, k))
    inverse[np.ix_(free, free)] = solver.solve_free(np.eye(free.size))
    extra = np.zeros(at.largest.size)
    by_unit = np.argsort(at.largest, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(at.largest, minlength=at.of_largest.size))])
    step = max(1, _LEVERAGE_CELLS // max(k, 1))
    for low in range(0, at.of_largest.size, step):
        high = min(low + step, at.of_largest.size)
        block = solver.cross[low:high]
        shares = (block if isinstance(block, np.ndarray) else block.toarray()) / at.of_largest[low:high, None]
        mapped = shares @ inverse
        own = np.einsum("ij,ij->i", shares, mapped)
        rows = by_unit[starts[low] : starts[high]]
        unit = at.largest[rows] - low
        extra[rows] = own[unit]
        for first in at.rest:
            extra[rows] -= 2.0 * mapped[unit, first[rows]]
            for second in at.rest:
                extra[rows] += inverse[first[rows], second[rows]]
    return extra


def _totals(codes: Codes, counts: Ints, weights: Floats | None) -> Floats:
    if weights is None:
        return counts.astype(np.float64)
    return np.asarray(np.bincount(codes, weights=weights, minlength=counts.size), dtype=np.float64)
