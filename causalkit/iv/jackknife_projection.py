"""Projections for jackknife estimators: on the controls, on controls and instruments, with the leverage of each row.

Label instruments (judges, examiners, stores) and absorbed effects are never written out as dummies: their part of a
projection is a matter of group means (:class:`causalkit.linear.absorb.Absorber`), only dense columns are factorised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.linear.absorb import Absorber, absorber, singletons

#: A row counts as fitted perfectly where its leverage is within this of one.
LEVERAGE_ONE = 1e-8
#: Largest number of levels outside the largest effect that are factorised, for the leverages to be exact.
MAX_DENSE = 5000
_RANK = 1e-9
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Projector:
    """The projection on sets of effects and dense columns, in rows scaled by the square root of the weights.

    Attributes
    ----------
    effects : Absorber
        The sets of effects (a set of one level is the intercept).
    root : array, shape (n,), or None
        Square roots of the weights.
    basis : array, shape (k, n)
        Orthonormal rows that span what the dense columns add to the effects.
    leverage : array, shape (n,)
        Diagonal of the projection.
    """

    effects: Absorber
    root: Floats | None
    basis: Floats
    leverage: Floats

    @property
    def rank(self) -> int:
        """Dimension of the space projected on."""
        return self.effects.rank + len(self.basis)

    def residuals(self, *columns: Floats) -> Floats:
        """Return what the projection leaves of each (scaled) column, shape (k, n)."""
        left = _partial_out(self.effects, self.root, columns)
        return left - (left @ self.basis.T) @ self.basis if len(self.basis) else left


def projector(effects: Sequence[Codes], dense: Floats, weights: Floats | None) -> Projector:
    """Prepare the projection on effects and dense columns.

    Parameters
    ----------
    effects : sequence of arrays of int, each of shape (n,)
        At least one set.
    dense : array, shape (k, n)
        Dense columns, one per row; those that the effects or each other determine add nothing.
    weights : array, shape (n,), optional
        Positive weights.
    """
    absorbed = absorber(list(effects), weights, max_dense=MAX_DENSE)
    root = None if weights is None else np.sqrt(weights)
    leverage = absorbed.leverage()
    basis = np.empty((0, leverage.size))
    spread = np.linalg.norm(dense - dense.mean(axis=1, keepdims=True), axis=1)
    varies = spread > _ROUNDING * np.linalg.norm(dense, axis=1)
    if varies.any():
        scaled = dense[varies] if root is None else dense[varies] * root
        basis = _orthonormal(_partial_out(absorbed, root, list(scaled)) / spread[varies, None])
        leverage = leverage + (basis**2).sum(axis=0)
    return Projector(absorbed, root, basis, leverage)


@dataclass(frozen=True, eq=False)
class Kept:
    """The rows and columns that a jackknife can use.

    Attributes
    ----------
    rows : array of int
        Positions of the rows used.
    alone, perfect : array of int
        Positions left out: alone in a level of a set of effects or of instruments (recursively), and those that the
        remaining columns fit perfectly.
    controls, full : Projector
        On the controls, and on controls and instruments.
    """

    rows: Ints
    alone: Ints
    perfect: Ints
    controls: Projector
    full: Projector

    @property
    def n_instruments(self) -> int:
        """Instruments that are left once controls are partialled out."""
        return self.full.rank - self.controls.rank


def kept_rows(
    labels: Sequence[Codes], Z: Floats, absorb: Sequence[Codes], W: Floats, weights: Floats | None, n: int
) -> Kept:
    """Leave out rows of leverage one, again and again, and build the two projections on the rest.

    A row that controls and instruments fit perfectly has no leave-one-out prediction.

    Parameters
    ----------
    labels, absorb : sequence of arrays of int, each of shape (n,)
        Instruments that are labels, and effects to absorb.
    Z, W : array, shape (n, q) and (n, p)
        Dense instruments and controls.
    weights : array, shape (n,), optional
        Positive weights.
    n : int
        Number of rows.

    Raises
    ------
    DesignError
        If no row or no instrument is left.
    """
    sets = [*absorb, *labels]
    rows = np.flatnonzero(~singletons(sets)) if sets else np.arange(n)
    alone = np.setdiff1d(np.arange(n), rows)
    perfect: list[Ints] = []
    while rows.size:
        some = weights[rows] if weights is not None else None
        intercept = np.zeros(rows.size, dtype=np.int32)
        dense = np.ascontiguousarray(np.hstack([W, Z])[rows].T)
        full = projector([codes[rows] for codes in sets] or [intercept], dense, some)
        bad = full.leverage > 1.0 - LEVERAGE_ONE
        if not bad.any():
            controls = projector([codes[rows] for codes in absorb] or [intercept], dense[: W.shape[1]], some)
            found = Kept(rows, alone, np.concatenate([np.empty(0, dtype=np.int64), *perfect]), controls, full)
            if found.n_instruments < 1:
                raise DesignError(
                    "the instruments are determined by the controls and the absorbed effects.",
                    hint="Leave out the effect that holds whole levels of the instrument.",
                )
            return found
        perfect.append(rows[bad])
        rows = rows[~bad]
        again = singletons([codes[rows] for codes in sets]) if sets and rows.size else np.zeros(rows.size, dtype=bool)
        alone, rows = np.concatenate([alone, rows[again]]), rows[~again]
    raise DesignError(
        "controls and instruments fit every row perfectly, so no row can be left out of its own prediction.",
        hint="Use fewer instruments, or coarser labels.",
    )


def _partial_out(effects: Absorber, root: Floats | None, columns: Sequence[Floats]) -> Floats:
    if root is None:
        return effects.partial_out(columns).columns
    return effects.partial_out([column / root for column in columns]).columns * root


def _orthonormal(rows: Floats) -> Floats:
    """Return an orthonormal basis of the rows, those that others determine left out."""
    from scipy.linalg import qr

    basis, upper, _ = qr(rows.T, mode="economic", pivoting=True, check_finite=False)
    rank = int(np.sum(np.abs(np.diag(upper)) > _RANK))
    return np.ascontiguousarray(basis[:, :rank].T)
