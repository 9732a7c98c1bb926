"""Effects by cohort and time, and their covariance, from the moments of each cohort.

Without covariates an influence value is a linear function of a unit's outcomes with coefficients that its cohort shares,
so counts, means and cross-products by cohort hold all there is: what follows does not depend on the number of units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.did.arranged import Arranged
from causalkit.did.plan import Cell, control_sets, places
from causalkit.kernels.arrays import Codes, Floats, Ints


@dataclass(frozen=True, eq=False)
class PanelMoments:
    """Moments of the outcomes of each cohort; the never treated are the last.

    Attributes
    ----------
    sizes : Ints, shape (c,)
        Units.
    totals : Floats, shape (c,)
        Sums of weights.
    means : Floats, shape (c, n_periods)
        Weighted means of the outcome, less any constant of each unit.
    products : Floats, shape (c, n_periods + 2, n_periods + 2)
        Sums over units of the cross-products of ``(w (y - mean), w, 1)``.
    """

    sizes: Ints
    totals: Floats
    means: Floats
    products: Floats

    @classmethod
    def of(cls, panel: Arranged) -> PanelMoments:
        """Sum a panel whose weights do not vary over time."""
        sizes, width = np.diff(panel.bounds), len(panel.outcome)
        totals, means = sizes.astype(np.float64), np.zeros((len(sizes), width))
        products = np.zeros((len(sizes), width + 2, width + 2))
        for c in np.flatnonzero(sizes).tolist():
            if panel.weights is None:
                _add_alike(panel, c, means, products)
            else:
                _add_weighted(panel, c, totals, means, products)
        return cls(sizes, totals, means, products)


def _add_alike(panel: Arranged, c: int, means: Floats, products: Floats) -> None:
    """Write the moments of a cohort whose units all have the weight one."""
    width, size = means.shape[1], int(panel.bounds[c + 1] - panel.bounds[c])
    for some in panel.blocks(c):
        means[c] += panel.outcome[:, some].sum(axis=1)
    means[c] /= size
    for some in panel.blocks(c):
        apart = panel.outcome[:, some] - means[c][:, None]
        products[c, :width, :width] += apart @ apart.T
    products[c, width:, width:] = size  # and deviations from the mean sum to zero


def _add_weighted(panel: Arranged, c: int, totals: Floats, means: Floats, products: Floats) -> None:
    """Write the moments of a cohort of weighted units."""
    totals[c] = 0.0
    for some in panel.blocks(c):
        w = panel.weight(some, 0)
        totals[c] += w.sum()
        means[c] += panel.outcome[:, some] @ w
    means[c] /= totals[c]
    for some in panel.blocks(c):
        parts = unit_terms(panel, some, means[c])
        products[c] += parts @ parts.T


def unit_terms(panel: Arranged, some: slice, mean: Floats) -> Floats:
    """Return ``(w (y - mean), w, 1)`` of some units of a cohort, shape (n_periods + 2, m)."""
    y = panel.outcome[:, some]
    parts = np.empty((len(y) + 2, y.shape[1]))
    np.subtract(y, mean[:, None], out=parts[:-2])
    parts[-2:] = 1.0
    if panel.weights is not None:
        w = panel.weight(some, 0)
        parts[:-2] *= w
        parts[-2] = w
    return parts


def add_by_cluster(sums: Floats, codes: Codes, values: Floats) -> None:
    """Add the columns of ``values``, shape (k, m), to the rows of ``sums`` that their codes name."""
    there, local = np.unique(codes, return_inverse=True)
    sums[there] += np.column_stack([np.bincount(local, weights=column) for column in values])


@dataclass(frozen=True, eq=False)
class MomentCells:
    """Estimates of cells, and how a unit's terms enter their influence values.

    Attributes
    ----------
    moments : PanelMoments
    g, t, b : Ints, shape (k,)
        Cohort, period and base period of each cell.
    compared : Floats, shape (k, c)
        Share of each cohort in the controls of a cell.
    theta : Floats, shape (k,)
    shares : Floats, shape (c - 1,)
        Share of each cohort in all units.
    """

    moments: PanelMoments
    g: Ints
    t: Ints
    b: Ints
    compared: Floats
    theta: Floats
    shares: Floats

    @classmethod
    def of(cls, moments: PanelMoments, plan: Sequence[Cell]) -> MomentCells:
        """Estimate the cells of a plan."""
        g, t, b = places(plan)
        sets, of = control_sets(plan, len(moments.sizes))
        compared = (sets * moments.totals)[of]
        compared /= compared.sum(axis=1, keepdims=True)
        change = moments.means[:, t] - moments.means[:, b]
        theta = change[g, np.arange(len(plan))] - (compared.T * change).sum(axis=0)
        return cls(moments, g, t, b, compared, theta, moments.totals[:-1] / moments.totals.sum())

    @cached_property
    def coefficients(self) -> Floats:
        """What the terms of each cohort's units are multiplied by, shape (c, k + shares, n_periods + 2).

        The product is the influence of a unit on the cells and then on the shares, 1/n folded in.
        """
        m, k, cell = self.moments, len(self.theta), np.arange(len(self.theta))
        c = len(m.sizes)
        found = np.zeros((c, k + c - 1, m.means.shape[1] + 2))
        there = np.where(m.sizes > 0, m.totals, np.inf)[:, None]  # a cohort without units has no influence
        factor = -self.compared.T / there
        treated = self.g, cell
        factor[treated] = 1.0 / there[self.g, 0]
        found[:, cell, self.t], found[:, cell, self.b] = factor, -factor
        change = m.means[:, self.t] - m.means[:, self.b]
        moved = factor * (
            change - (self.compared.T * change).sum(axis=0)
        )  # a control's own change beside all controls'
        moved[treated] = 0.0
        found[:, :k, -2] = moved
        found[:, k:, -1] = -self.shares / m.sizes.sum()
        own = np.arange(c - 1)
        found[own, k + own, -2] = 1.0 / m.totals.sum()
        return found

    def vcov(self) -> Floats:
        """Return the covariance of cells and shares, every unit its own cluster."""
        moved = self.coefficients
        size = moved.shape[1]
        spread = (moved @ self.moments.products).swapaxes(0, 1).reshape(size, -1)
        return np.asarray(spread @ moved.swapaxes(0, 1).reshape(size, -1).T)

    def clustered_vcov(self, panel: Arranged, codes: Codes, count: int) -> Floats:
        """Return the covariance with clusters of units, from sums by cluster and cohort.

        Parameters
        ----------
        panel : Arranged
        codes : Codes, shape (n,)
            Cluster of each unit, in the order of the table.
        count : int
            Number of codes.
        """
        sums = np.zeros((count, len(self.theta) + len(self.shares)))
        for c, size in enumerate(self.moments.sizes):
            if size:
                by_cluster = np.zeros((count, self.moments.means.shape[1] + 2))
                for some in panel.blocks(c):
                    add_by_cluster(by_cluster, codes[panel.order[some]], unit_terms(panel, some, self.moments.means[c]))
                sums += by_cluster @ self.coefficients[c].T
        return np.asarray(sums.T @ sums)

    def influence(self, panel: Arranged) -> Floats:
        """Return the influence values of all units, in the order of the table, 1/n folded in."""
        found = np.empty((panel.n, len(self.theta) + len(self.shares)))
        for c in range(len(self.moments.sizes)):
            moved = self.coefficients[c].T
            for some in panel.blocks(c):
                found[panel.order[some]] = unit_terms(panel, some, self.moments.means[c]).T @ moved
        return found
