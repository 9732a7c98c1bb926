"""Sums over the units of each cohort, of which a regression on cohort and period makes its normal equations.

With unit effects partialled out, a unit whose weights over time are ``w`` (0 where it was not observed) adds
``diag(w) - w w' / sum(w)`` to the cross-products of the periods of its cohort, and ``w (y - mean of y)`` to their products
with the outcome. Regressors that are constant within cohort and period are combinations of those periods, so however many
there are, a matrix with a row for each period and cohort holds all that the units contribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.core.rows import Groups
from causalkit.did.cohorts import Cohorts
from causalkit.did.panel_moments import add_by_cluster
from causalkit.kernels.arrays import Floats, Ints

#: Units that are worked on at a time; and so few that their influence values are written out: a cohort of one unit fits
#: exactly, and zeros would not survive as differences of sums of squares.
_BLOCK, _FEW = 2**13, 2**6


@dataclass(frozen=True, eq=False)
class UnitPaths:
    """Outcomes and weights of units over time, read a block of units of one cohort at a time.

    Parameters
    ----------
    cohorts : Cohorts
    weighted : bool
        Whether weights count, or what is observed only.
    """

    cohorts: Cohorts
    weighted: bool = True

    @property
    def weights(self) -> Floats | None:
        """Weights that count, shape (n_units, n_periods), or None."""
        return self.cohorts.weights if self.weighted else None

    @cached_property
    def uniform(self) -> bool:
        """Whether all units are observed in all periods with weights that do not vary over time."""
        w = self.weights
        return self.cohorts.panel.is_balanced and (w is None or bool((w == w[:, :1]).all()))

    @property
    def shape(self) -> tuple[int, int]:
        """Cohorts, the never treated last, and periods."""
        return len(self.cohorts.starts) + 1, self.cohorts.n_periods

    def blocks(self) -> Iterator[tuple[int, Ints]]:
        """Yield a cohort and some of its units."""
        for c in range(self.shape[0]):
            within = np.flatnonzero(self.cohorts.of_unit == c)
            for start in range(0, len(within), _BLOCK):
                yield c, within[start : start + _BLOCK]

    def mass(self, units: Ints, path: Floats | None = None) -> Floats:
        """Return the weights of units over time, 0 where they were not observed; their outcomes may be given."""
        if self.weights is not None:
            return np.asarray(np.nan_to_num(self.weights[units]))
        path = self.cohorts.outcome[units] if path is None else path
        return np.asarray(path == path, dtype=np.float64)  # NaN is not

    def scores(self, taken: Floats) -> Iterator[tuple[int, Ints, Floats]]:
        """Yield cohort, units, and weights times what is left of the outcomes.

        Parameters
        ----------
        taken : Floats, shape (cohorts, periods)
            Subtracted from the paths of each cohort, before the mean of each unit is.
        """
        ones = np.ones(self.shape[1])
        for c, units in self.blocks():
            path = self.cohorts.outcome[units]
            if self.uniform:
                path -= (path @ ones / len(ones))[:, None]
                path -= taken[c] - taken[c].mean()
                if self.weights is not None:
                    path *= self.weights[units, :1]
            else:
                mass = self.mass(units, path)
                path -= path[np.arange(len(units)), mass.argmax(axis=1)][:, None]  # a large level would cost digits
                path -= taken[c]
                path[mass == 0.0] = 0.0
                path -= (np.einsum("it,it->i", mass, path) / (mass @ ones))[:, None]
                path *= mass
            yield c, units, path

    def gram(self) -> Floats:
        """Return the cross-products of the periods of each cohort, unit effects partialled out."""
        n_cohorts, width = self.shape
        found = np.zeros((n_cohorts, width, width))
        if self.uniform:
            w = self.weights
            total = np.bincount(self.cohorts.of_unit, None if w is None else w[:, 0], minlength=n_cohorts)
            found += total[:, None, None] * (np.eye(width) - 1.0 / width)
            return found
        for c, units in self.blocks():
            mass = self.mass(units)
            found[c] += np.diag(np.ones(len(mass)) @ mass) - mass.T @ (mass / (mass @ np.ones(len(found[c])))[:, None])
        return found

    def sums(self, taken: Floats) -> Floats:
        """Add up the scores of each cohort, shape (cohorts, periods)."""
        found = np.zeros(self.shape)
        for c, _, scores in self.scores(taken):
            found[c] += np.ones(len(scores)) @ scores  # faster than a sum down the rows
        return found

    def sum_of_squares(self, taken: Floats) -> float:
        """Return the weighted sum of squares of what is left of the outcomes."""
        total = 0.0
        for _, units, scores in self.scores(taken):
            mass = self.mass(units)
            total += float(np.divide(scores**2, mass, out=np.zeros_like(scores), where=mass > 0).sum())
        return total

    def squares_by_row(self, taken: Floats, loadings: Floats) -> Floats:
        """Add up the outer products of the influence values of the rows, shape (k, k), for loadings as :meth:`influence`.

        A row's value is its score times the loadings of its period, less their mean over the unit's rows.
        """
        found = np.zeros((loadings.shape[2],) * 2)
        for c, units, scores in self.scores(taken):
            share = self.mass(units)
            share /= share.sum(axis=1, keepdims=True)
            if len(scores) <= _FEW:
                about = loadings[c] - (share @ loadings[c])[:, None, :]
                psi = (scores[:, :, None] * about).reshape(-1, len(found))
                found += psi.T @ psi
                continue
            scores **= 2
            mixed = scores.T @ share
            squares = np.diag(scores.sum(axis=0)) - mixed - mixed.T + (share.T * scores.sum(axis=1)) @ share
            found += loadings[c].T @ squares @ loadings[c]
        return found

    def squares_by_unit(self, taken: Floats, loadings: Floats) -> Floats:
        """Add up the outer products of the influence values of the units, shape (k, k), for loadings likewise."""
        found = np.zeros((loadings.shape[2],) * 2)
        for c, _, scores in self.scores(taken):
            if len(scores) <= _FEW:
                psi = scores @ loadings[c]
                found += psi.T @ psi
            else:
                found += loadings[c].T @ (scores.T @ scores) @ loadings[c]
        return found

    def sums_by_cluster(self, taken: Floats, loadings: Floats, groups: Groups) -> Floats:
        """Add up the influence values of each cluster, shape (clusters, k)."""
        found = np.zeros((len(groups.labels), loadings.shape[2]))
        for c, units, scores in self.scores(taken):
            add_by_cluster(found, groups.codes[units], (scores @ loadings[c]).T)
        return found

    def influence(self, taken: Floats, loadings: Floats) -> Floats:
        """Return the influence values of the units, shape (n_units, k), for loadings of shape (cohorts, periods, k)."""
        psi = np.empty((self.cohorts.n_units, loadings.shape[2]))
        for c, units, scores in self.scores(taken):
            psi[units] = scores @ loadings[c]
        return psi


def connected(gram: Floats) -> bool:
    """Tell whether units link all periods, directly or through others: then one time effect is redundant, no more."""
    linked = (gram != 0.0) | np.eye(len(gram), dtype=np.bool_)
    for _ in range(len(gram).bit_length()):
        linked = linked @ linked
    return bool(linked.all())
