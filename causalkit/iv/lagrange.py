"""The Lagrange-multiplier (K) test and the set of coefficients that it does not reject."""

from __future__ import annotations

import math

import numpy as np

from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.anderson_rubin import (
    RobustTest,
    _scaled,
    ar_set,
    ar_test,
    critical_value,
    quadratic_set,
    statistics,
    tail,
)
from causalkit.iv.weak_sets_chart import axes_of_identification, breaks, roots_of_identification
from causalkit.iv.weak_sets_circle import directions, find_candidates, require_solved, set_from_candidates
from causalkit.iv.weak_sets_form import ReducedForm
from causalkit.kernels.arrays import Floats


def lm_test(form: ReducedForm, beta: float) -> RobustTest:
    """Test that the coefficient of the one treatment is ``beta`` by the score (Kleibergen 2002, 2005).

    Parameters
    ----------
    form : ReducedForm
        With one treatment.
    beta : float

    Returns
    -------
    RobustTest
        Chi-square with one degree of freedom, or F.

    Notes
    -----
    Its power falls off far from the estimate, where the score of a likelihood that has a second extremum is zero
    again: the set may have a spurious piece. Prefer the conditional likelihood ratio.
    """
    if form.is_just_identified:
        return ar_test(form, beta)
    statistic = float(statistics(form, form.direction(beta)[None, :]).lm[0])
    return RobustTest(statistic, 1, form.df, float(tail(statistic, 1, form.df)))


def lm_set(form: ReducedForm, alpha: float = 0.05) -> ConfidenceSet:
    """Return the coefficients that the K test does not reject, without a grid.

    Under homoskedasticity the statistic is a rational function of AR, so the set consists of the coefficients with an AR
    statistic below one level or above another: up to three intervals. With a robust covariance the ends are roots of a
    piecewise Chebyshev interpolant, polished on the statistic itself.

    Parameters
    ----------
    form : ReducedForm
        With one treatment.
    alpha : float

    Returns
    -------
    ConfidenceSet

    Raises
    ------
    ConvergenceError
        If an end does not solve its equation.
    """
    if form.is_just_identified:
        return ar_set(form, alpha)
    level = critical_value(alpha, 1, form.df)
    if form.kind == "iid":
        return _homoskedastic_set(form, level)

    def excess(angles: Floats) -> Floats:
        lm = statistics(form, directions(angles)).lm
        return np.asarray((lm - level) / (lm + level))

    return require_solved(set_from_candidates(excess, find_candidates(excess, breaks(form, level)), form.unit))


def _homoskedastic_set(form: ReducedForm, level: float) -> ConfidenceSet:
    """Solve ``v^2 - (a + c) v + c k >= 0`` for v, AR less its minimum: a is its range, k its maximum, c the level.

    Both roots are kept with their distances from ``a``: a piece around the maximum may be so narrow that a difference
    from it would be rounding.
    """
    low, high = roots_of_identification(form)
    if math.isinf(high):
        return _scaled(quadratic_set(form, low + level), form.unit)
    reach = high - low
    discriminant = (reach - level) ** 2 - 4.0 * level * low
    if level >= reach or discriminant <= 0.0:
        return ConfidenceSet.real_line()
    beyond_inner = 0.5 * (reach - level + math.sqrt(discriminant))
    beyond_outer = level * low / beyond_inner
    outer = reach - beyond_outer
    axes = axes_of_identification(form)
    near = _arc(axes, 0.0, math.atan2(math.sqrt(level * high / outer), math.sqrt(beyond_inner)))
    far = _arc(axes, 0.5 * math.pi, math.atan2(math.sqrt(beyond_outer), math.sqrt(outer)))
    return _scaled(near.union(far), form.unit)


def _arc(axes: Floats, centre: float, half: float) -> ConfidenceSet:
    """Return the coefficients whose directions, in the coordinates of the axes, lie so close to an angle."""
    angles = centre + half * np.array([-1.0, 1.0]) * -np.sign(np.linalg.det(axes))
    directed = axes @ np.array([np.cos(angles), np.sin(angles)])
    low, high = (
        math.tan(math.atan2(-b, a)) for a, b in directed.T
    )  # no quotient: infinity is a direction like any other
    if low <= high:
        return ConfidenceSet(((low, high),))
    return ConfidenceSet(((-math.inf, high), (low, math.inf)))
