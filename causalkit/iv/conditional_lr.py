"""The conditional likelihood-ratio test and the set of coefficients that it does not reject."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import betaln

from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.anderson_rubin import (
    RobustTest,
    Statistics,
    _scaled,
    ar_set,
    ar_test,
    critical_value,
    quadratic_set,
    statistics,
    tail,
)
from causalkit.iv.weak_sets_chart import breaks, roots_of_identification
from causalkit.iv.weak_sets_circle import directions, find_candidates, require_solved, set_from_candidates
from causalkit.iv.weak_sets_form import ReducedForm
from causalkit.kernels.arrays import Floats

_FEW, _FEW_NODES, _MANY_NODES = 40, 120, 360
_HALF = math.pi / 2
_NARROWEST = 1e-30


def clr_pvalue(statistic: Floats | float, strength: Floats | float, q: int, df: float = np.inf) -> Floats:
    """P-value of the conditional likelihood-ratio statistic, by Gaussian quadrature.

    Given the strength r, the statistic exceeds m where ``Q1 + Q2 m / (m + r)`` does, with Q1 and Q2 independent
    chi-square variables with 1 and q - 1 degrees of freedom (Moreira 2003; the integral is that of Andrews, Moreira and
    Stock 2006 and of Mikusheva and Poi 2006 with the radius integrated out). With finite ``df`` both are divided by one
    independent chi-square over its degrees of freedom, which makes the case q = 1 an F test.

    Parameters
    ----------
    statistic, strength : array_like
        m and r, broadcast against each other.
    q : int
        Instruments.
    df : float
        Denominator degrees of freedom.

    Returns
    -------
    array of the broadcast shape.
    """
    m, r = np.broadcast_arrays(np.asarray(statistic, float), np.asarray(strength, float))
    m = np.maximum(m, 0.0)
    if q == 1:
        return tail(m, 1, df)
    some = np.where(m > 0, m, 1.0)
    share = some / (some + r)  # zero where the strength is infinite
    angles, weights = _quadrature(np.maximum(share, np.minimum(some / q, 1.0)), q)
    squares = np.sin(angles) ** 2
    reached = squares + (1.0 - squares) * share[..., None]
    needed = np.divide(some[..., None], reached, out=np.full_like(reached, np.inf), where=reached > 0)
    found = np.einsum("...i,...i->...", tail(needed, q, df), weights)
    return np.asarray(np.where(m > 0, np.minimum(found, 1.0), 1.0))


def _quadrature(near: Floats, q: int) -> tuple[Floats, Floats]:
    """Return nodes and weights for the angle to its equator of a direction drawn evenly in q dimensions.

    The integrand varies near the equator within the root of ``near``, so the nodes crowd there: the angle is a
    hyperbolic sine of the variable whose nodes are Gauss-Legendre's.
    """
    nodes, shares = _legendre(_FEW_NODES if q <= _FEW else _MANY_NODES)
    width = np.sqrt(np.maximum(near, _NARROWEST))[..., None]
    reach = np.arcsinh(_HALF / width)
    angles = width * np.sinh(reach * nodes)
    density = 2.0 * np.exp((q - 2) * np.log(np.maximum(np.cos(angles), _NARROWEST)) - betaln(0.5 * (q - 1), 0.5))
    return angles, shares * density * width * np.cosh(reach * nodes) * reach


@cache
def _legendre(n_nodes: int) -> tuple[Floats, Floats]:
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, shares = np.polynomial.legendre.leggauss(n_nodes)
    return 0.5 * (nodes + 1.0), 0.5 * shares


def likelihood_ratio(found: Statistics) -> Floats:
    """Likelihood-ratio statistics from AR, K and the strength; Kleibergen's (2005) where the covariance is robust."""
    ar, lm, strength, _ = found
    gap = ar - strength
    root = np.sqrt(np.maximum(gap**2 + 4.0 * strength * lm, 0.0))
    # The two forms are the same number; each is used where it does not cancel.
    above = 0.5 * (gap + root)
    below = np.divide(2.0 * strength * lm, root - gap, out=np.zeros_like(root), where=root - gap > 0)
    return np.asarray(np.where(gap > 0, above, below))


def clr_test(form: ReducedForm, beta: float) -> RobustTest:
    """Test that the coefficient of the one treatment is ``beta``, conditional on the strength of the instruments.

    Nearly the most powerful invariant test of its kind under homoskedasticity (Andrews, Moreira and Stock 2006). With a
    robust covariance the statistic is the quasi likelihood ratio of Kleibergen (2005).

    Parameters
    ----------
    form : ReducedForm
        With one treatment.
    beta : float

    Returns
    -------
    RobustTest
        The statistic is the likelihood ratio, whose reference distribution depends on the data; ``df1`` is q.
    """
    if form.is_just_identified:
        return ar_test(form, beta)
    found = statistics(form, form.direction(beta)[None, :])
    statistic, q = likelihood_ratio(found), form.n_instruments
    pvalue = clr_pvalue(statistic, found.strength, q, form.df)
    return RobustTest(float(statistic[0]), q, form.df, float(pvalue[0]))


def clr_set(form: ReducedForm, alpha: float = 0.05) -> ConfidenceSet:
    """Return the coefficients that the conditional likelihood-ratio test does not reject, without a grid.

    Under homoskedasticity the p-value falls with the likelihood ratio (Mikusheva 2010), so one root gives a quadratic
    inequality: an interval, two rays or the line; never empty. With a robust covariance the ends are roots of a
    piecewise Chebyshev interpolant of the p-value, polished on the p-value itself.

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
    if form.kind == "iid":
        return _homoskedastic_set(form, alpha)

    def excess(angles: Floats) -> Floats:
        found = statistics(form, directions(angles))
        return 1.0 - clr_pvalue(likelihood_ratio(found), found.strength, form.n_instruments, form.df) / alpha

    candidates = find_candidates(excess, breaks(form, critical_value(alpha, 1, form.df)))
    return require_solved(set_from_candidates(excess, candidates, form.unit))


def _homoskedastic_set(form: ReducedForm, alpha: float) -> ConfidenceSet:
    from scipy.optimize import brentq

    low, high = roots_of_identification(form)

    def excess(m: float) -> float:
        return float(clr_pvalue(m, high - m, form.n_instruments, form.df)) - alpha

    most = high - low
    if np.isinf(high):  # the instruments determine the treatment, so the statistic has no bound
        most = 2.0 * critical_value(alpha, form.n_instruments, form.df)
    if excess(most) >= 0.0:
        return ConfidenceSet.real_line()
    m = brentq(excess, 0.0, most, xtol=1e-15, rtol=8.9e-16, maxiter=500)
    return _scaled(quadratic_set(form, low + m), form.unit)
