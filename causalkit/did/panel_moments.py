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
from causalkit.did.plan import Cell
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
        totals, means = np.zeros(len(sizes)), np.zeros((len(sizes), width))
        products = np.zeros((len(sizes), width + 2, width + 2))
        for c in range(len(sizes)):
            for some in panel.blocks(c):
                w = panel.weight(some, 0)
                totals[c] += w.sum()
                means[c] += panel.outcome[:, some] @ w
            means[c] /= totals[c] if sizes[c] else 1.0
            for some in panel.blocks(c):
                parts = unit_terms(panel, some, means[c])
                products[c] += parts @ parts.T
        return cls(sizes, totals, means, products)


def unit_terms(panel: Arranged, some: slice, mean: Floats) -> Floats:
    """Return ``(w (y - mean), w, 1)`` of some units of a cohort, shape (n_periods + 2, m)."""
    y, w = panel.outcome[:, some], panel.weight(some, 0)
    parts = np.empty((len(y) + 2, len(w)))
    np.subtract(y, mean[:, None], out=parts[:-2])
    if panel.weights is not None:
        parts[:-2] *= w
    parts[-2], parts[-1] = w, 1.0
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
        g, t, b = (
            np.array([getattr(cell, name) for cell in plan], dtype=np.int64) for name in ("cohort", "time", "base")
        )
        compared = np.zeros((len(plan), len(moments.sizes)))
        pairs = np.array([(k, c) for k, cell in enumerate(plan) for c in cell.controls]).T
        compared[*pairs] = moments.totals[pairs[1]]
        compared /= compared.sum(axis=1, keepdims=True)
        change = moments.means[:, t] - moments.means[:, b]
        theta = change[g, np.arange(len(plan))] - (compared.T * change).sum(axis=0)
        return cls(moments, g, t, b, compared, theta, moments.totals[:-1] / moments.totals.sum())

    @cached_property
    def _changes(self) -> tuple[Floats, Floats]:
        """Mean change of each cohort in each cell, and that of the cell's controls: a control's own stands beside it."""
        change = self.moments.means[:, self.t] - self.moments.means[:, self.b]
        return change, (self.compared.T * change).sum(axis=0)

    def coefficients(self, cohort: int) -> Floats:
        """Return what the terms of a cohort's units are multiplied by, shape (k + shares, n_periods + 2).

        The product is the influence of a unit on the cells and then on the shares, 1/n folded in.
        """
        m, k = self.moments, len(self.theta)
        found = np.zeros((k + len(self.shares), m.means.shape[1] + 2))
        found[k:, -1] = -self.shares / m.sizes.sum()
        if m.sizes[cohort] == 0:
            return found
        cell, treated = np.arange(k), self.g == cohort
        factor = np.where(treated, 1.0, -self.compared[:, cohort]) / m.totals[cohort]
        found[cell, self.t], found[cell, self.b] = factor, -factor
        change, middle = self._changes
        found[:k, -2] = np.where(treated, 0.0, factor * (change[cohort] - middle))
        if cohort < len(self.shares):
            found[k + cohort, -2] += 1.0 / m.totals.sum()
        return found

    def vcov(self) -> Floats:
        """Return the covariance of cells and shares, every unit its own cluster."""
        size = len(self.theta) + len(self.shares)
        found = np.zeros((size, size))
        for c in range(len(self.moments.sizes)):
            moved = self.coefficients(c)
            found += moved @ self.moments.products[c] @ moved.T
        return found

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
                sums += by_cluster @ self.coefficients(c).T
        return np.asarray(sums.T @ sums)

    def influence(self, panel: Arranged) -> Floats:
        """Return the influence values of all units, in the order of the table, 1/n folded in."""
        found = np.empty((panel.n, len(self.theta) + len(self.shares)))
        for c in range(len(self.moments.sizes)):
            moved = self.coefficients(c).T
            for some in panel.blocks(c):
                found[panel.order[some]] = unit_terms(panel, some, self.moments.means[c]).T @ moved
        return found
