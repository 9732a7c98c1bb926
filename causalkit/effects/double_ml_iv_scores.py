"""Scores of instruments: two numbers per row and instrument, what solves them, and the sets of effects they do not reject."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import linalg, special

from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups, Rows
from causalkit.effects.averages import estimate_of, shares
from causalkit.errors import DesignError
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.kernels.arrays import Floats

_REAL = 1e-7


@dataclass(frozen=True, eq=False)
class Scores:
    """The parts of orthogonal scores ``psi_j = outcome_j - theta treatment_j`` of one cross-fit, in the user's order of rows.

    Parameters
    ----------
    outcome, treatment : Floats, shape (n, q)
        One column per instrument.
    solved_outcome, solved_treatment : Floats, shape (n,)
        The one combination of them whose mean the estimate sets to zero.
    """

    outcome: Floats
    treatment: Floats
    solved_outcome: Floats
    solved_treatment: Floats


def solve(scores: Scores, weights: Floats | None, ways: Sequence[Groups], rows: Rows) -> Estimate:
    """Return ``theta = sum(w outcome) / sum(w treatment)`` of the combined score, with its influence values.

    Raises
    ------
    DesignError
        If the instruments do not move the treatment at all.
    """
    share = shares(len(scores.solved_outcome), weights)
    bread = float(share @ scores.solved_treatment)
    size = float(share @ np.abs(scores.solved_treatment))
    if not abs(bread) > 1e-12 * size:
        raise DesignError(
            "the instruments do not move the treatment once covariates are held fixed: there is no effect to scale.",
            hint="Look for an instrument with a first stage.",
        )
    theta = float(share @ scores.solved_outcome) / bread
    psi = share * (scores.solved_outcome - theta * scores.solved_treatment) / bread
    return estimate_of(np.array([theta]), psi[:, None], ways or None, rows)


@dataclass(frozen=True, eq=False)
class ScoreForm:
    """Means of the scores and their covariance: all that a test of one effect needs.

    Parameters
    ----------
    outcome, treatment : Floats, shape (q,)
        Means of the two parts of the scores.
    cross : Floats, shape (2, 2, q, q)
        Their covariance, where ``cross[0, 1]`` is that of outcome with treatment. It is not centred.
    df : float
        Denominator degrees of freedom.
    """

    outcome: Floats
    treatment: Floats
    cross: Floats
    df: float

    @property
    def q(self) -> int:
        """Number of instruments."""
        return len(self.outcome)

    def statistic(self, theta: float) -> float:
        """Anderson and Rubin's statistic on the chi-square scale: ``g' V^-1 g`` for the mean score g and its covariance V."""
        g = self.outcome - theta * self.treatment
        root = np.sqrt(np.diag(self._covariance(theta)))
        root = np.where(root > 0, root, 1.0)
        matrix = self._covariance(theta) / np.outer(root, root)
        return float((g / root) @ np.linalg.lstsq(matrix, g / root, rcond=None)[0])

    def pvalue(self, statistic: float) -> float:
        """Upper tail of the statistic, by F with q and ``df`` degrees of freedom."""
        if math.isinf(self.df):
            return float(special.chdtrc(self.q, statistic))
        return float(special.fdtrc(self.q, self.df, statistic / self.q))

    def critical_value(self, alpha: float) -> float:
        """Return the statistic that :meth:`pvalue` gives ``alpha``."""
        if math.isinf(self.df):
            return float(special.chdtri(self.q, alpha))
        return float(self.q * special.fdtri(self.q, self.df, 1.0 - alpha))

    def level_set(self, level: float) -> ConfidenceSet:
        """Return all effects whose statistic is at most ``level``, without a grid.

        With one instrument a quadratic inequality. With more, ``V(theta) - g(theta) g(theta)' / level`` is positive
        semi-definite within the set, so that its ends are real eigenvalues of a quadratic pencil of order q.
        """
        b, a = self.outcome, self.treatment
        if self.q == 1:
            c = level * self.cross[:, :, 0, 0]
            return ConfidenceSet.from_quadratic(
                float(a[0] ** 2 - c[1, 1]), float(-2.0 * (a[0] * b[0] - c[0, 1])), float(b[0] ** 2 - c[0, 0])
            )
        unit = math.sqrt(float(np.trace(self.cross[0, 0]) / np.trace(self.cross[1, 1])))
        if unit == 0.0:  # an outcome without variation: only zero agrees with it, or everything does
            return ConfidenceSet.real_line() if self.statistic(1.0) <= level else ConfidenceSet(((0.0, 0.0),))
        edges = unit * self._edges(level, unit)
        bounds = np.r_[-np.inf, edges, np.inf]
        inside = [
            (float(low), float(high))
            for low, high in pairwise(bounds)
            if self.statistic(_between(float(low), float(high), unit)) <= level
        ]
        return ConfidenceSet(tuple(inside))

    def overidentification(self) -> tuple[float, float]:
        """Hansen's J by two steps, and its p-value with q - 1 degrees of freedom: do the instruments agree?"""
        if not self.outcome.any():  # an outcome without variation: every instrument says zero
            return 0.0, 1.0
        first = _least_distance(self.outcome, self.treatment, np.diag(1.0 / np.diag(self.cross[1, 1])))
        weight = np.asarray(np.linalg.inv(self._covariance(first)), dtype=float)
        theta = _least_distance(self.outcome, self.treatment, weight)
        g = np.asarray(self.outcome - theta * self.treatment)
        statistic = float(g @ weight @ g)
        return statistic, float(special.chdtrc(self.q - 1, statistic))

    def _covariance(self, theta: float) -> Floats:
        mixed = self.cross[0, 1]
        return np.asarray(self.cross[0, 0] - theta * (mixed + mixed.T) + theta**2 * self.cross[1, 1])

    def _edges(self, level: float, unit: float) -> Floats:
        """Return the real roots t of ``det(V - g g' / level)`` at ``theta = unit t``, in order."""
        b, a, mixed = self.outcome, unit * self.treatment, unit * self.cross[0, 1]
        m0 = self.cross[0, 0] - np.outer(b, b) / level
        m1 = -(mixed + mixed.T) + (np.outer(a, b) + np.outer(b, a)) / level
        m2 = unit**2 * self.cross[1, 1] - np.outer(a, a) / level
        root = np.sqrt(np.diag(self.cross[0, 0]) + unit**2 * np.diag(self.cross[1, 1]))
        m0, m1, m2 = (m / np.outer(root, root) for m in (m0, m1, m2))
        q = self.q
        zero, one = np.zeros((q, q)), np.eye(q)
        found = linalg.eigvals(np.block([[zero, one], [-m0, -m1]]), np.block([[one, zero], [zero, m2]]))
        found = found[np.isfinite(found)]
        real = np.abs(found.imag) <= _REAL * (1.0 + np.abs(found.real))
        return np.unique(found.real[real])


def score_form(
    scores: Scores, weights: Floats | None, ways: Sequence[Groups], rows: Rows, *, small_sample: bool = True
) -> ScoreForm:
    """Reduce scores to their means and joint covariance.

    Parameters
    ----------
    scores : Scores
    weights : Floats, shape (n,), or None
    ways : sequence of Groups
        Clusters, if any.
    rows : Rows
    small_sample : bool
        Whether the covariance is HC1 or CR1, not HC0 or CR0.
    """
    columns = np.column_stack([scores.outcome, scores.treatment])
    psi = shares(len(columns), weights)[:, None] * columns
    means = psi.sum(axis=0)
    joint = estimate_of(means, psi, ways or None, rows, small_sample=small_sample)
    q = scores.outcome.shape[1]
    cross = joint.vcov.reshape(2, q, 2, q).transpose(0, 2, 1, 3)
    return ScoreForm(means[:q], means[q:], cross, float(joint.df[0]))


def at_least_half(sets: Sequence[ConfidenceSet]) -> ConfidenceSet:
    """Return the numbers that lie in at least half of the sets: those that the lower median statistic does not reject."""
    if len(sets) == 1:
        return sets[0]
    need = (len(sets) + 1) // 2
    ends = sorted({end for one in sets for interval in one.intervals for end in interval if math.isfinite(end)})
    pieces = [(end, end) for end in ends] + list(zip([-math.inf, *ends], [*ends, math.inf], strict=True))
    kept = [piece for piece in pieces if sum(_between(*piece, 1.0) in one for one in sets) >= need]
    return ConfidenceSet(tuple(kept))


def lower_median(values: Sequence[float]) -> float:
    """Return the smallest value that at least half of the values do not exceed."""
    return sorted(values)[(len(values) + 1) // 2 - 1]


def _between(low: float, high: float, unit: float) -> float:
    """Return a number inside an interval that may be unbounded."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    if math.isinf(low):
        return high - unit - abs(high)
    return low + unit + abs(low) if math.isinf(high) else 0.5 * (low + high)


def _least_distance(outcome: Floats, treatment: Floats, weight: Floats) -> float:
    """Return the theta that minimises ``g' W g``."""
    return float(treatment @ weight @ outcome) / float(treatment @ weight @ treatment)
