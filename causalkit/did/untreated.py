"""The outcome without treatment, from untreated observations only: what imputation and two-stage estimation share.

Unit effects are eliminated unit by unit, which leaves normal equations in the effects of periods and the coefficients of
covariates: their Cholesky-sized matrix is solved exactly, however many units there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints

_BLOCK = 2**13
_SINGULAR = 1e-10
_OUTSIDE = 1e-7


@dataclass(frozen=True, eq=False)
class Equations:
    """Normal equations in the effects of periods and the slopes of covariates, unit effects eliminated.

    Parameters
    ----------
    scale : Floats, shape (q,)
        Root of the diagonal.
    inverse : Floats, shape (q, q)
        Pseudo-inverse in scaled units.
    outside : Floats, shape (q, r)
        Directions, in scaled units, of which untreated observations tell nothing.
    """

    scale: Floats
    inverse: Floats
    outside: Floats

    @classmethod
    def of(cls, gram: Floats) -> Equations:
        """Factorise."""
        diagonal = np.diag(gram)
        scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
        known = values > _SINGULAR * max(1.0, values[-1])
        inverse = (vectors[:, known] / values[known]) @ vectors[:, known].T
        return cls(scale, inverse, vectors[:, ~known])

    def solve(self, right: Floats) -> Floats:
        """Return the solution of smallest norm; right-hand sides are columns."""
        scale = self.scale if right.ndim == 1 else self.scale[:, None]
        return np.asarray(self.inverse @ (right / scale) / scale)

    def tell_nothing(self, loads: Floats) -> Bools:
        """Whether a combination (a column each) is not identified."""
        scaled = loads / self.scale[:, None]
        size = np.sqrt((scaled**2).sum(axis=0))
        beyond = np.sqrt(((self.outside.T @ scaled) ** 2).sum(axis=0))
        return np.asarray(beyond > _OUTSIDE * np.where(size > 0, size, 1.0))


@dataclass(frozen=True, eq=False)
class UntreatedFit:
    """Unit and time effects (and slopes of covariates), fitted to untreated observations.

    Parameters
    ----------
    cohorts : Cohorts
    weights : Floats, shape (n_units, n_periods)
        Zero where nothing was observed.
    untreated : Bools, shape (n_units, n_periods)
        The observations that were used.
    imputable : Bools, shape (n_units, n_periods)
        Observations, treated or not, whose outcome without treatment is identified.
    gap : Floats, shape (n_units, n_periods)
        Outcome minus what is expected without treatment; zero where not imputable.
    x : Floats, shape (p, n_units, n_periods)
        Covariates about their mean over the unit's untreated observations.
    equations : Equations
    """

    cohorts: Cohorts
    weights: Floats
    untreated: Bools
    imputable: Bools
    gap: Floats
    x: Floats
    equations: Equations
    share: Floats

    @classmethod
    def of(cls, cohorts: Cohorts, anticipation: int = 0) -> UntreatedFit:
        """Fit; every unit must have an untreated observation (see :func:`with_untreated`).

        Raises
        ------
        DesignError
            If nothing treated can be imputed.
        """
        y = cohorts.outcome
        observed = ~np.isnan(y)
        weights = np.where(observed, 1.0 if cohorts.weights is None else cohorts.weights, 0.0)
        untreated = observed & before(cohorts, anticipation)
        used = weights * untreated
        share = used / used.sum(axis=1, keepdims=True)
        y = _centred(y, observed, share)
        x = _covariates(cohorts, observed, share)
        flat = used * x
        gram = np.block(
            [
                [np.diag(used.sum(axis=0)) - used.T @ share, flat.sum(axis=1).T],
                [flat.sum(axis=1), np.einsum("jit,kit->jk", flat, x)],
            ]
        )
        equations = Equations.of(gram)
        gap = y
        for _ in range(2):  # the second pass refines
            right = np.concatenate([np.einsum("it,it->t", used, gap), np.einsum("jit,it->j", flat, gap)])
            solution = equations.solve(right)
            of_time, slopes = solution[: cohorts.n_periods], solution[cohorts.n_periods :]
            gap -= of_time
            gap += (share @ of_time)[:, None]
            for slope, column in zip(slopes, x, strict=True):
                gap -= slope * column
        del used, flat  # the rest needs the room
        imputable = observed & connected(untreated)
        gap *= imputable
        return cls(cohorts, weights, untreated, imputable, gap, x, equations, share)

    def of_unit_effects(self, units: Ints) -> Floats:
        """Variance of the unit effects, shape (r,), under errors of variance one over their weight, other effects known."""
        return np.asarray(1.0 / (self.weights[units] * self.untreated[units]).sum(axis=1))

    def scores(self, units: Ints) -> Floats:
        """Scores of the fit by unit, shape (r, n_periods + p); unit effects have none."""
        left = self.weights[units] * self.untreated[units] * self.gap[units]
        return np.hstack([left, np.einsum("it,jit->ij", left, self.x[:, units])]) if len(self.x) else left

    def loads(self, within: Ints, at: Ints, weights: Floats) -> Floats:
        """Return what weighted sums over cells take from the fit, shape (n_periods + p, m).

        Parameters
        ----------
        within : Ints, shape (r,)
            Units of a cohort.
        at : Ints, shape (m,)
            Periods of the cells.
        weights : Floats, shape (r, m)
            Weight of each observation.

        Raises
        ------
        DesignError
            If covariates determine a cell in a way that untreated observations tell nothing of.
        """
        of_time = -self.share[within].T @ weights
        of_time[at, np.arange(len(at))] += weights.sum(axis=0)
        of_x = np.einsum("jim,im->jm", self.x[:, within][:, :, at], weights)
        found = np.vstack([of_time, of_x])
        if self.equations.tell_nothing(found).any():
            names = self.cohorts.sample.features().dummies()[1]
            if not len(names):
                raise DesignError(
                    "weights differ by so many orders of magnitude that the light rows, which link periods, are lost.",
                    hint="Give weights of more similar size, or leave out rows that hardly count.",
                )
            outside = np.abs(self.equations.outside[self.cohorts.n_periods :]).max(axis=1)
            name = names[int(np.argmax(outside))]
            raise DesignError(
                f"covariate {name!r} moves among treated observations in a way that untreated ones tell nothing of.",
                hint="Leave it out, or use one that varies over time before treatment too.",
                column=name,
            )
        return found


def before(cohorts: Cohorts, anticipation: int) -> Bools:
    """Mark the periods of each unit in which it neither is treated nor anticipates it."""
    last = np.where(cohorts.start < cohorts.n_periods, cohorts.start - anticipation, cohorts.n_periods)
    return np.asarray(np.arange(cohorts.n_periods) < last[:, None])


def with_untreated(cohorts: Cohorts, anticipation: int = 0) -> Cohorts:
    """Leave out units that were never observed untreated: nothing tells their effect."""
    untreated = ~np.isnan(cohorts.outcome) & before(cohorts, anticipation)
    return cohorts.without(np.asarray(~untreated.any(axis=1)), "never observed untreated")


def connected(untreated: Bools) -> Bools:
    """Mark the (unit, period) pairs that untreated observations link, directly or through other units and periods."""
    together = np.zeros((untreated.shape[1],) * 2, dtype=np.bool_)
    for start in range(0, len(untreated), _BLOCK):
        some = untreated[start : start + _BLOCK].astype(float)
        together |= some.T @ some > 0
    while True:
        further = together.astype(float) @ together > 0
        if (further == together).all():
            break
        together = further
    first = np.argmax(untreated, axis=1)
    return np.asarray(together[first])


def cells_to_impute(fit: UntreatedFit, first: Ints) -> list[tuple[int, int]]:
    """List (cohort, period), from a first period of each cohort on, that hold an imputable observation."""
    of_unit, plan = fit.cohorts.of_unit, []
    for g, start in enumerate(first):
        there = fit.imputable[of_unit == g].any(axis=0)
        plan += [(g, int(t)) for t in np.flatnonzero(there) if t >= start]
    return plan


def _centred(values: Floats, observed: Bools, share: Floats) -> Floats:
    """Subtract the mean over each unit's untreated observations; zero where nothing was observed."""
    pivot = values[np.arange(len(values)), np.argmax(share > 0, axis=1)][:, None]
    moved: Floats = values - pivot
    moved[~observed] = 0.0
    moved -= np.einsum("it,it->i", share, moved)[:, None]
    moved[~observed] = 0.0
    return moved


def _covariates(cohorts: Cohorts, observed: Bools, share: Floats) -> Floats:
    columns = cohorts.covariates().T
    x = np.empty((len(columns), *observed.shape))
    for j, column in enumerate(columns):
        x[j] = _centred(cohorts.panel.wide(column), observed, share)
    return x
