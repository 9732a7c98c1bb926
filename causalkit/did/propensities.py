"""Many small logits at once, by Newton's method: all comparisons that share a design, in one pass over the units each step.

The comparisons of a plan ask for the same units again and again, each with another cohort as the treated and other cohorts
as controls. A pass takes a block of units from memory once and works out the propensities of all comparisons that it enters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.did.arranged import Arranged
from causalkit.did.logit import TRIM
from causalkit.kernels.arrays import Bools, Floats, Ints

_STEPS = 60
_CLOSE = 1e-6
_SETTLED = 1e-7  # the step that is taken then leaves an error of its square
_FAR = 1e-2
#: Numbers (propensities of a block) that are worked on at a time, so that they stay in the processor's cache.
_AT_ONCE = 2**16
#: Units of a cohort on which the search begins, and how many make that worth while.
_SAMPLE, _MANY = 512, 2**14


@dataclass(frozen=True, eq=False)
class Piece:
    """Some units of a cohort: design (p, r), and weights (r,) unless all are one."""

    cohort: int
    x: Floats
    w: Floats | None
    some: slice


@dataclass(frozen=True, eq=False)
class Sides:
    """Who is compared with whom, in m comparisons.

    Attributes
    ----------
    treated : Ints, shape (m,)
        The treated cohort of each.
    controls : Bools, shape (m, c)
        The cohorts of its controls.
    """

    treated: Ints
    controls: Bools

    def within(self, cohort: int, among: Bools) -> tuple[Ints, int]:
        """Return the comparisons that a cohort enters, those in which it is the treated one first, and how many these are."""
        mine = np.flatnonzero((self.treated == cohort) & among)
        return np.concatenate([mine, np.flatnonzero(self.controls[:, cohort] & among)]), len(mine)


@dataclass(frozen=True, eq=False)
class Propensities:
    """Fitted logits.

    Attributes
    ----------
    coefficients : Floats, shape (m, p)
    covariance : Floats, shape (m, p, p)
        Inverse information; meaningless where not ``ok``.
    odds_xx, odds_xy : Floats, shapes (m, p, p) and (m, p, n_periods)
        Cross-products of the controls, weighted by their odds.
    trimmed : Ints, shape (m,)
        Controls without weight because their propensity is too high.
    ok : Bools, shape (m,)
        Whether the covariates do not tell treated from controls without error.
    """

    coefficients: Floats
    covariance: Floats
    odds_xx: Floats
    odds_xy: Floats
    trimmed: Ints
    ok: Bools


def odds_of(p: Floats) -> Floats:
    """Return the odds of controls: zero where the propensity is so high that they are left out."""
    odds: Floats = np.subtract(1.0, p)
    np.maximum(odds, 1.0 - TRIM, out=odds)
    np.divide(p, odds, out=odds)
    if p.size and p.max() >= TRIM:
        odds[p >= TRIM] = 0.0
    return odds


def chance_of(index: Floats) -> Floats:
    """Return the logistic function."""
    found: Floats = np.negative(index)
    with np.errstate(over="ignore"):  # then it is zero
        np.exp(found, out=found)
    found += 1.0
    return np.asarray(np.reciprocal(found, out=found))


def pieces_of(panel: Arranged, base: int, width: int) -> Iterator[Piece]:
    """Yield all units, cohort by cohort, a block at a time.

    Parameters
    ----------
    panel : Arranged
    base : int
        The period whose covariates and weights count.
    width : int
        Comparisons (or cells) that a unit enters at most, which says how many units a block may hold.
    """
    size = max(256, _AT_ONCE // max(1, width))
    for c in range(len(panel.bounds) - 1):
        for some in panel.blocks(c, size):
            w = None if panel.weights is None else panel.weight(some, base)
            yield Piece(c, panel.design(some, base), w, some)


def fit_propensities(panel: Arranged, base: int, sides: Sides) -> Propensities:
    """Maximise the weighted likelihoods of being treated.

    Parameters
    ----------
    panel : Arranged
    base : int
        The period whose covariates and weights count.
    sides : Sides
    """
    m = len(sides.treated)
    pieces = list(pieces_of(panel, base, m))
    start, possible = _intercepts(pieces, sides)
    if panel.n > _MANY:
        few = [_thinned(panel, base, c) for c in range(len(panel.bounds) - 1)]
        begun, found = _newton(few, sides, start, possible, 1e-2, True)
        start = np.where(found[:, None], begun, start)
    coefficients, ok = _newton(pieces, sides, start, possible, _SETTLED, panel.n <= _MANY)
    return _finished(panel, pieces, sides, coefficients, ok)


def _thinned(panel: Arranged, base: int, cohort: int) -> Piece:
    first, stop = int(panel.bounds[cohort]), int(panel.bounds[cohort + 1])
    some = slice(first, stop, max(1, (stop - first) // _SAMPLE))
    w = None if panel.weights is None else np.ascontiguousarray(panel.weight(some, base))
    if panel.designs is None:
        return Piece(cohort, np.ones((1, len(range(first, stop, some.step)))), w, some)
    return Piece(cohort, np.ascontiguousarray(panel.design(some, base)), w, some)


def _intercepts(pieces: Sequence[Piece], sides: Sides) -> tuple[Floats, Bools]:
    """Return where to begin: as many are expected to be treated as are; and which comparisons have both sides."""
    totals = np.zeros(sides.controls.shape[1])
    for piece in pieces:
        totals[piece.cohort] += piece.x.shape[1] if piece.w is None else piece.w.sum()
    treated, others = totals[sides.treated], sides.controls @ totals
    possible = (treated > 0) & (others > 0)
    start = np.zeros((len(treated), pieces[0].x.shape[0]))
    start[possible, 0] = np.log(treated[possible] / others[possible])
    return start, possible


@dataclass(frozen=True, eq=False)
class _Sums:
    """Gradients, information and deviances (infinite where they were not asked for) of all comparisons."""

    gradient: Floats
    information: Floats
    deviance: Floats
    total: Floats


def _newton(
    pieces: Sequence[Piece], sides: Sides, start: Floats, possible: Bools, settled: float, crude: bool
) -> tuple[Floats, Bools]:
    """Return coefficients, and which of them were found; from a ``crude`` start the first step may have to be shortened."""
    at, step = start.copy(), np.zeros_like(start)
    active, done = possible.copy(), np.zeros(len(start), dtype=np.bool_)
    far = active.copy()
    known = _sums(pieces, sides, at, active, crude)
    fresh = known
    for _ in range(_STEPS):
        moved = np.flatnonzero(active)
        rising = fresh.deviance > known.deviance * (1 + 1e-14)
        scale = np.maximum(1.0, np.abs(at).max(axis=1))
        worse = active & far & rising & (np.abs(step).max(axis=1) > _CLOSE * scale)
        step[worse] /= 2
        taken = moved[~worse[moved]]
        at[taken] += step[taken]
        for name in ("gradient", "information", "deviance"):
            getattr(known, name)[taken] = getattr(fresh, name)[taken]
        step[taken] = _solved(known.information[taken], known.gradient[taken])
        size = np.abs(step).max(axis=1)
        active[taken] &= np.isfinite(size[taken])
        step[~active] = 0.0
        close = active & (size <= settled * np.maximum(1.0, np.abs(at).max(axis=1)))
        close[worse] = False
        at[close] += step[close]
        done |= close
        active &= ~close
        if not active.any():
            break
        far[taken] = np.einsum("ij,ij->i", known.gradient[taken], step[taken]) > _FAR * known.total[taken]
        fresh = _sums(pieces, sides, at + step, active, bool(far[active].any()))
    return at, done


def _solved(information: Floats, gradient: Floats) -> Floats:
    """Solve the systems; what can't be solved is not a number."""
    try:
        return np.asarray(np.linalg.solve(information, gradient[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        found = np.full_like(gradient, np.nan)
        for j, (matrix, right) in enumerate(zip(information, gradient, strict=True)):
            if np.linalg.matrix_rank(matrix) == len(matrix):
                found[j] = np.linalg.solve(matrix, right)
        return found


def _sums(pieces: Sequence[Piece], sides: Sides, b: Floats, among: Bools, with_deviance: bool) -> _Sums:
    m, p = b.shape
    upper = np.triu_indices(p)
    gradient, halves = np.zeros((m, p)), np.zeros((m, len(upper[0])))
    deviance, total = np.zeros(m), np.zeros(m)
    entered = [sides.within(c, among) for c in range(sides.controls.shape[1])]
    for piece in pieces:
        rows, n_treated = entered[piece.cohort]
        if not len(rows):
            continue
        x, w = piece.x, piece.w
        index = b[rows] @ x
        chance = chance_of(index)
        if with_deviance:
            likely = 1.0 - chance
            likely[:n_treated] = chance[:n_treated]
            with np.errstate(divide="ignore"):
                lost = np.log(likely, out=likely)
            deviance[rows] -= lost.sum(axis=1) if w is None else lost @ w
        own, pairs = x.sum(axis=1), x[upper[0]] * x[upper[1]]
        if w is not None:
            own, pairs, x = x @ w, pairs * w, x * w
        gradient[rows] -= chance @ x.T
        gradient[rows[:n_treated]] += own
        total[rows] += own[0]
        np.multiply(chance, chance, out=index)
        np.subtract(chance, index, out=index)
        halves[rows] += index @ pairs.T
    return _Sums(gradient, _whole(halves, p), deviance if with_deviance else np.full(m, np.inf), total)


def _whole(halves: Floats, p: int) -> Floats:
    """Return symmetric matrices from their upper triangles."""
    found = np.empty((len(halves), p, p))
    rows, columns = np.triu_indices(p)
    found[:, rows, columns] = halves
    found[:, columns, rows] = halves
    return found


def _finished(panel: Arranged, pieces: Sequence[Piece], sides: Sides, b: Floats, ok: Bools) -> Propensities:
    """Sum what the comparisons need at the final coefficients."""
    m, p = b.shape
    width = len(panel.outcome)
    upper = np.triu_indices(p)
    halves, odds_halves = np.zeros((m, len(upper[0]))), np.zeros((m, len(upper[0])))
    odds_xy, trimmed = np.zeros((m, p * width)), np.zeros(m, dtype=np.int64)
    entered = [sides.within(c, ok) for c in range(sides.controls.shape[1])]
    for piece in pieces:
        rows, n_treated = entered[piece.cohort]
        if not len(rows):
            continue
        x, w = piece.x, piece.w
        pairs = x[upper[0]] * x[upper[1]]
        index = b[rows] @ x
        chance = chance_of(index)
        np.multiply(chance, chance, out=index)
        np.subtract(chance, index, out=index)
        halves[rows] += index @ (pairs if w is None else pairs * w).T
        theirs = rows[n_treated:]
        if not len(theirs):
            continue
        high = chance[n_treated:]
        trimmed[theirs] += (high >= TRIM).sum(axis=1)
        odds = odds_of(high) if w is None else odds_of(high) * w
        odds_halves[theirs] += odds @ pairs.T
        crossed = (x[:, None, :] * panel.outcome[:, piece.some]).reshape(p * width, -1)
        odds_xy[theirs] += odds @ crossed.T
    covariance = np.zeros((m, p, p))
    if ok.any():
        covariance[ok] = np.linalg.inv(_whole(halves, p)[ok])
    return Propensities(b, covariance, _whole(odds_halves, p), odds_xy.reshape(m, p, width), trimmed, ok)
