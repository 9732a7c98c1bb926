"""Covariates in DCDH: what changes of the outcome go with theirs while the treatment stays, and its sampling error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from causalkit.core.check import Check
from causalkit.core.sample import Arms
from causalkit.did.dcdh_switches import Switches
from causalkit.kernels.arrays import Bools, Floats, Ints

#: Shares of a sum of squares that count as none: of a covariate's (it is then flat), of what others leave of it (collinear).
_FLAT, _COLLINEAR = 1e-26, 1e-12


@dataclass(frozen=True, eq=False)
class Controls:
    """Slopes of first changes of the outcome on those of covariates, among units whose treatment has not changed.

    Parameters
    ----------
    x : Floats, shape (p, n_units, n_periods)
        Covariates; NaN where a unit was not observed.
    level : Ints, shape (n_units,)
        First treatment of each unit, as a code.
    slopes : Floats, shape (n_levels, p)
        For each first treatment; zero where the data can't tell.
    psi : Floats, shape (n_units, p)
        Influence values of the slopes of a unit's own level.
    used : Bools, shape (n_units,)
        Units that the regressions use.
    rank : Ints, shape (n_levels,)
        Slopes of a level that could be told apart; fewer than ``p`` where covariates are flat, collinear or too many.
    """

    x: Floats
    level: Ints
    slopes: Floats
    psi: Floats
    used: Bools
    rank: Ints

    @classmethod
    def of(cls, switches: Switches) -> Controls | None:
        """Fit the slopes; None where there are no covariates.

        Parameters
        ----------
        switches : Switches

        References
        ----------
        de Chaisemartin and D'Haultfoeuille (2024), web appendix, section 1.2.
        """
        columns = switches.panel.sample.features().dummies()[0]
        if not columns.shape[1]:
            return None
        x = np.stack([switches.panel.wide(np.ascontiguousarray(column)) for column in columns.T])
        level, size, p = switches.baseline_code, int(switches.baseline_code.max()) + 1, len(x)
        cross, with_y, squares, spare = (np.zeros(shape) for shape in ((size, p, p), (size, p), (size, p), size))
        for change in _first_changes(switches, x):
            weighted = change.w * change.x
            for j in range(p):
                with_y[:, j] += np.bincount(change.level, weighted[j] * change.y, size)
                squares[:, j] += np.bincount(change.level, change.w * change.size[j], size)
                for k in range(p):
                    cross[:, j, k] += np.bincount(change.level, weighted[j] * change.x[k], size)
            counts = np.bincount(change.level, minlength=size)
            spare += counts - (counts > 0)
        inverse, rank = _inverses(cross, squares)
        slopes = np.einsum("ljk,lk->lj", inverse, with_y)
        psi, used = np.zeros((switches.n_units, p)), np.zeros(switches.n_units, dtype=bool)
        for change in _first_changes(switches, x):
            left = change.w * change.factor * (change.y - np.einsum("ij,ji->i", slopes[change.level], change.x))
            psi[change.unit] += np.einsum("ijk,ki->ij", inverse[change.level], left * change.x)
            used[change.unit] = True
        return cls(x, level, slopes, psi, used, np.where(spare > rank, rank, 0).astype(np.int64))

    def moved(self, later: int, earlier: int) -> Floats:
        """Return the change of each covariate between two periods, shape (p, n_units)."""
        return np.asarray(self.x[:, :, later] - self.x[:, :, earlier])

    def explained(self, moved: Floats) -> Floats:
        """Return the change of the outcome that goes with a change of the covariates, shape (n_units,)."""
        return np.asarray(np.einsum("ij,ji->i", self.slopes[self.level], moved))

    def uncertainty(self, row: Floats, used: Bools, moved: Floats) -> Floats:
        """Return what the slopes add to the influence values of a sum of changes, shape (n_units,).

        Parameters
        ----------
        row : Floats, shape (n_units,)
            Weight of each unit in the sum.
        used : Bools, shape (n_units,)
            Units with a weight.
        moved : Floats, shape (p, n_units)
        """
        size = len(self.slopes)
        gradient = [np.bincount(self.level[used], row[used] * change[used], size) for change in moved]
        return np.asarray(-np.einsum("ij,ji->i", self.psi, np.stack(gradient)[:, self.level]))

    def behind(self, compared: Bools) -> Bools:
        """Return the units that the slopes of units in a comparison rest on."""
        return np.asarray(self.used & np.isin(self.level, self.level[compared]))

    def check(self, switches: Switches, used: Bools) -> Check:
        """Say whether all slopes could be told, for the first treatments of the units that are used."""
        p, levels = len(self.x), np.unique(self.level[used])
        short = levels[self.rank[levels] < p]
        if not len(short):
            return Check("covariates", "pass", "Slopes of all covariates are estimated for every first treatment.")
        named = np.unique(switches.baseline)[short]
        arms = switches.panel.sample.columns["treatment"]
        said = [str(arms.levels[int(value)]) if isinstance(arms, Arms) else f"{value:g}" for value in named[:5]]
        told = ", ".join(said) + (", ..." if len(named) > 5 else "")
        return Check(
            "covariates",
            "warn",
            f"Units with first treatment {told} tell fewer slopes than the {p} of the covariates: while their treatment "
            "stays, some covariates do not vary, vary together, or there are too few changes.",
            advice="Use fewer covariates, or see whether the effects depend on which of them are used.",
        )


class _Changes(NamedTuple):
    """First changes in one period of units whose treatment has not changed, around the mean of their first treatment."""

    unit: Ints
    level: Ints
    w: Floats
    y: Floats
    x: Floats
    size: Floats
    factor: Floats


def _first_changes(switches: Switches, x: Floats) -> Iterator[_Changes]:
    """Yield them period by period, with the factor for having estimated their mean (of units, or of clusters)."""
    y, size = switches.outcome, int(switches.baseline_code.max()) + 1
    for t in range(1, switches.n_periods):
        change, w = y[:, t] - y[:, t - 1], switches.weights[:, t]
        unit = np.flatnonzero(~np.isnan(change) & (w > 0) & (switches.first > t))
        level, w = switches.baseline_code[unit], w[unit]
        total = np.bincount(level, w, size)[level]
        now, before = x[:, unit, t], x[:, unit, t - 1]
        rows = [change[unit], *(now - before)]
        around = np.stack([row - np.bincount(level, w * row, size)[level] / total for row in rows])
        count = _counts(switches, unit, level, size)[level]
        factor = np.sqrt(np.where(count > 1, count / np.maximum(count - 1, 1), 1.0))
        yield _Changes(unit, level, w, around[0], around[1:], now**2 + before**2, factor)


def _counts(switches: Switches, unit: Ints, level: Ints, size: int) -> Ints:
    """Return how many units, or clusters, each first treatment has among some units."""
    if switches.clusters is None:
        return np.bincount(level, minlength=size)
    ways = int(switches.clusters.max()) + 1
    return np.bincount(np.unique(level * ways + switches.clusters[unit]) // ways, minlength=size)


def _inverses(cross: Floats, squares: Floats) -> tuple[Floats, Ints]:
    """Return pseudo-inverses of cross-products, of covariates in units of their spread, and their ranks."""
    spread = np.einsum("ljj->lj", cross)
    scale = np.sqrt(np.where(spread > _FLAT * squares, spread, np.inf))
    values, vectors = np.linalg.eigh(cross / scale[:, :, None] / scale[:, None, :])
    kept = values > _COLLINEAR * cross.shape[1]
    inverse = np.einsum("lij,lj,lkj->lik", vectors, np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0), vectors)
    return inverse / scale[:, :, None] / scale[:, None, :], kept.sum(axis=1)
