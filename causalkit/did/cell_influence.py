"""Comparisons that were fitted, and the influence values of a block of units on their cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.did.propensities import Sides, chance_of, odds_of
from causalkit.kernels.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class Fitted:
    """Comparisons (m) that share a design, and their cells (k).

    Attributes
    ----------
    base : int
        The period whose covariates and weights count: the earlier of the two, or 0 where they do not vary.
    sides : Sides
        Treated cohort and controls of the comparisons.
    at, of : Ints, shape (k,)
        Position of the cells in the plan, and the comparison of each.
    times, bases : Ints, shape (k,)
    slopes : Floats, shape (k, p)
        What is expected of the change of a unit.
    treated, control : Floats, shape (k,)
        Weighted mean of what is left of the changes, of the treated and of the reweighted controls.
    totals : Floats, shape (2, m)
        Sums of weights of the treated, and of the reweighted controls.
    by_slopes : Floats, shape (m, p)
        What an error of the slopes does to the estimates.
    by_score : Floats, shape (k, p)
        What an error of the propensity model does to the estimate.
    coefficients : Floats, shape (m, p), or None
        Of the propensity models.
    trimmed : int
        Controls without weight because their propensity is too high.
    """

    base: int
    sides: Sides
    at: Ints
    of: Ints
    times: Ints
    bases: Ints
    slopes: Floats
    treated: Floats
    control: Floats
    totals: Floats
    by_slopes: Floats
    by_score: Floats
    coefficients: Floats | None
    trimmed: int

    @property
    def values(self) -> Floats:
        """The estimates, shape (k,)."""
        return self.treated - self.control

    def parts(self, cohort: int, width: int) -> tuple[Part, ...]:
        """Return what a cohort's units are to the cells: the treated of some, controls of others.

        Parameters
        ----------
        cohort : int
        width : int
            Number of periods.
        """
        mine = np.flatnonzero(self.sides.treated[self.of] == cohort)
        theirs = np.flatnonzero(self.sides.controls[self.of, cohort])
        sides = ((mine, True), (theirs, False))
        return tuple(Part.of_cells(self, cells, width, is_treated) for cells, is_treated in sides if len(cells))


@dataclass(frozen=True, eq=False)
class Part:
    """How the influence values of units on k cells follow from their outcomes, design and propensities.

    Attributes
    ----------
    is_treated : bool
        Whether the units are treated in these cells, or controls.
    base : int
        The period whose design counts.
    at : Ints, shape (k,)
        Cells.
    of : Ints, shape (k,), or None
        The comparison of each cell, among the m that are here; None where every cell has its own.
    left : Floats, shape (k, n_periods + p)
        What is left of the change of a unit, from its outcomes and its design.
    control : Floats, shape (k,)
    by_score : Floats, shape (k, p)
    by_slopes, coefficients : Floats, shape (m, p)
    total : Floats, shape (m,)
    """

    is_treated: bool
    base: int
    at: Ints
    of: Ints | None
    left: Floats
    control: Floats
    by_score: Floats
    by_slopes: Floats
    coefficients: Floats | None
    total: Floats

    @classmethod
    def of_cells(cls, fit: Fitted, cells: Ints, width: int, is_treated: bool) -> Part:
        """Collect the numbers of some cells."""
        there, of = np.unique(fit.of[cells], return_inverse=True)
        rows, left = np.arange(len(cells)), np.zeros((len(cells), width + fit.slopes.shape[1]))
        left[rows, fit.times[cells]] += 1.0
        left[rows, fit.bases[cells]] -= 1.0
        left[:, width:] = -fit.slopes[cells]
        if is_treated:
            left[:, width] -= fit.treated[cells]
            left /= fit.totals[0, there][of][:, None]
        return cls(
            is_treated,
            fit.base,
            fit.at[cells],
            None if np.array_equal(of, rows) else of,
            left,
            fit.control[cells],
            fit.by_score[cells],
            fit.by_slopes[there],
            None if fit.coefficients is None else fit.coefficients[there],
            fit.totals[1, there],
        )

    def write(self, psi: Floats, beside: Floats, x: Floats, w: Floats | None) -> None:
        """Write the influence values of a block of units, 1/n folded in.

        Parameters
        ----------
        psi : Floats, shape (k, r)
            To be filled.
        beside : Floats, shape (n_periods + p, r)
            Outcomes above the design.
        x : Floats, shape (p, r)
        w : Floats, shape (r,), or None
        """
        np.matmul(self.left, beside, out=psi)
        p = None if self.coefficients is None else chance_of(self.coefficients @ x)
        if self.is_treated:
            if p is not None:
                np.subtract(p, 1.0, out=p)
                psi += self._score(p, x)
        else:
            factor = self.by_slopes @ x
            if p is None:
                np.negative(factor, out=factor)
                psi *= self._spread(factor)
            else:
                odds = odds_of(p)
                odds /= self.total[:, None]
                factor += odds
                np.negative(factor, out=factor)
                psi *= self._spread(factor)
                psi += self._score(p, x)
                psi += self._spread(odds) * self.control[:, None]
        if w is not None:
            psi *= w

    def _score(self, p: Floats, x: Floats) -> Floats:
        """Return what the propensity model adds, but for a factor, shape (k, r)."""
        found = self.by_score @ x
        found *= self._spread(p)
        return np.asarray(found)

    def _spread(self, values: Floats) -> Floats:
        """Return the values of each cell's comparison."""
        return values if self.of is None else values[self.of]
