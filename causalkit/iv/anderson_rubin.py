"""The Anderson-Rubin test and the exact set of coefficients that it does not reject."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.weak_sets_circle import CertifiedSet, directions, require_solved, set_from_candidates
from causalkit.iv.weak_sets_form import ReducedForm
from causalkit.kernels.arrays import Floats

_REAL = 1e-5
_TINY = 1e-15


class RobustTest(NamedTuple):
    """A test that does not suffer from weak instruments.

    ``statistic`` is on the chi-square scale; ``df1`` its degrees of freedom; ``df2`` is infinite for chi-square.
    """

    statistic: float
    df1: int
    df2: float
    pvalue: float


class Statistics(NamedTuple):
    """Statistics of several null values, each of shape (T,).

    ``ar`` is Anderson-Rubin's, ``lm`` Kleibergen's K, ``strength`` the statistic of the rank of the first stage that is
    independent of both under the null, ``sign`` the sign of the score of which K is the square.
    """

    ar: Floats
    lm: Floats
    strength: Floats
    sign: Floats


def tail(statistic: Floats | float, df1: int, df2: float) -> Floats:
    """Return the upper tail of a chi-square statistic, or of ``df1`` times an F statistic where ``df2`` is finite."""
    value = np.maximum(np.asarray(statistic, float), 0.0)
    return np.asarray(special.chdtrc(df1, value) if math.isinf(df2) else special.fdtrc(df1, df2, value / df1))


def critical_value(alpha: float, df1: int, df2: float) -> float:
    """Return the value that :func:`tail` gives ``alpha``."""
    return float(special.chdtri(df1, alpha) if math.isinf(df2) else df1 * special.fdtri(df1, df2, 1.0 - alpha))


def statistics(form: ReducedForm, directed: Floats) -> Statistics:
    """Compute all statistics of one treatment at null values given as directions.

    Parameters
    ----------
    form : ReducedForm
        With one treatment.
    directed : (T, 2) array
        Directions ``(1, -beta)`` in the units of the scores, of any length.

    Returns
    -------
    Statistics

    Notes
    -----
    With g the scores in the direction of the null and h those in another, ``d = h - Cov(h, g) Cov(g)^-1 g`` is
    independent of g: AR is ``g' V^-1 g`` for ``V = Cov(g)``, K is ``(d' V^-1 g)^2 / (d' V^-1 d)`` and the strength is
    ``d' Cov(d)^-1 d`` (Kleibergen 2005, with the reduced form's covariance).
    """
    other = np.column_stack([-directed[:, 1], directed[:, 0]])
    g, h = directed @ form.scores.T, other @ form.scores.T
    null = form.covariance(directed, directed)
    mixed = form.covariance(other, directed)
    rest = form.covariance(other, other)
    scale = np.trace(null, axis1=1, axis2=2) + np.trace(rest, axis1=1, axis2=2)
    root = _inverse_roots(null, scale)
    white = np.einsum("tij,tj->ti", root, g)
    loads = np.einsum("tij,tkj->tik", mixed, root)
    d = h - np.einsum("tij,tj->ti", loads, white)
    left = rest - np.einsum("tik,tjk->tij", loads, loads)
    ar = np.einsum("ti,ti->t", white, white)
    path = np.einsum("tij,tj->ti", root, d)
    length = np.einsum("ti,ti->t", path, path)
    score = np.einsum("ti,ti->t", white, path)
    lm = score**2 / np.where(length > 0, length, 1.0)
    solved = np.einsum("tij,tj->ti", _inverse_roots(left, scale), d)
    return Statistics(ar, np.minimum(lm, ar), np.einsum("ti,ti->t", solved, solved), np.sign(score))


def _inverse_roots(matrices: Floats, scale: Floats) -> Floats:
    """Return A with ``A'A`` the inverse of each matrix, directions without variance bounded by rounding."""
    values, vectors = np.linalg.eigh(0.5 * (matrices + matrices.transpose(0, 2, 1)))
    floor = _TINY * scale[:, None]
    return np.asarray((vectors / np.sqrt(np.maximum(values, floor))[:, None, :]).transpose(0, 2, 1))


def ar_statistics(form: ReducedForm, directed: Floats) -> Floats:
    """Anderson-Rubin statistics (chi-square scale) of null directions ``(1, -beta)``, of shape (T, 1 + m)."""
    g = directed @ form.scores.T
    if form.kind == "iid":
        size = np.einsum("ta,ab,tb->t", directed, form.sigma, directed)
        length = np.einsum("ta,ta->t", directed, directed)
        return np.asarray(np.einsum("ti,ti->t", g, g) / np.maximum(size, _TINY * length))
    null = form.covariance(directed, directed)
    scale = np.einsum("ta,ta->t", directed, directed) * float(np.einsum("aaii->", form.cross))
    white = np.einsum("tij,tj->ti", _inverse_roots(null, scale), g)
    return np.asarray(np.einsum("ti,ti->t", white, white))


def ar_test(form: ReducedForm, beta: float | Floats) -> RobustTest:
    """Test that the coefficients of all treatments are ``beta`` (Anderson and Rubin 1949).

    Its size does not depend on the strength of the instruments; it also has power against instruments that are not
    valid. Robust kinds use the covariance of the reduced form of ``y - D beta``.

    Parameters
    ----------
    form : ReducedForm
    beta : float or (m,) array

    Returns
    -------
    RobustTest
        Chi-square with q degrees of freedom, or q times F.
    """
    statistic = float(ar_statistics(form, form.direction(np.atleast_1d(beta))[None, :])[0])
    q = form.n_instruments
    return RobustTest(statistic, q, form.df, float(tail(statistic, q, form.df)))


def ar_set(form: ReducedForm, alpha: float = 0.05) -> ConfidenceSet:
    """Return all coefficients of one treatment that the Anderson-Rubin test does not reject, without a grid.

    Parameters
    ----------
    form : ReducedForm
        With one treatment.
    alpha : float

    Returns
    -------
    ConfidenceSet
        With q instruments and a robust covariance, up to q pieces. Unbounded where the first stage is not significant;
        empty where every coefficient is rejected.

    Raises
    ------
    ConvergenceError
        If an end does not solve its equation.
    """
    return ar_level_set(form, critical_value(alpha, form.n_instruments, form.df))


def ar_level_set(form: ReducedForm, level: float) -> ConfidenceSet:
    """Return ``{b : AR(b) <= level}``.

    Under homoskedasticity this is a quadratic inequality. Otherwise b is in the set where the matrix
    ``V(b) - g(b) g(b)' / level`` is positive semi-definite, and its ends are real eigenvalues of a quadratic pencil of order q.
    """
    if form.kind == "iid":
        return _scaled(quadratic_set(form, level), form.unit)
    return require_solved(robust_level_set(form, level))


def quadratic_set(form: ReducedForm, level: float) -> ConfidenceSet:
    """Return ``{b : g(b)'g(b) <= level s(b)}`` in the units of the scores, s(b) the homoskedastic variance."""
    moved = form.scores.T @ form.scores - level * form.sigma
    return ConfidenceSet.from_quadratic(float(moved[1, 1]), float(-2.0 * moved[0, 1]), float(moved[0, 0]))


def _scaled(region: ConfidenceSet, unit: float) -> ConfidenceSet:
    return ConfidenceSet(tuple((low * unit, high * unit) for low, high in region.intervals))


def robust_level_set(form: ReducedForm, level: float) -> CertifiedSet:
    """Return the level set of a robust statistic and the residual of its ends, relative to the level."""

    def excess(angles: Floats) -> Floats:
        return ar_statistics(form, directions(angles)) / level - 1.0

    return set_from_candidates(excess, level_angles(form, level), form.unit)


def level_angles(form: ReducedForm, level: float) -> Floats:
    """Return the angles at which ``det(V - g g' / level)`` is zero, of which the ends of the level set are some."""
    angles = pencil_angles(form, level)
    return np.asarray(angles.real[np.abs(angles.imag) <= _REAL])


def pencil_angles(form: ReducedForm, level: float) -> NDArray[np.complex128]:
    """Return all complex angles at which ``det(V - g g' / level)`` is zero; those of ``det V`` for an infinite level.

    The eigenvalues of a quadratic pencil of order q, written in directions turned so that none of them lies at infinity.
    """
    q = form.n_instruments
    blocks = form.cross
    if math.isfinite(level):
        blocks = blocks - np.einsum("ia,jb->abij", form.scores, form.scores) / level
    turns = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 4 * q + 1, endpoint=False)
    spread = np.linalg.svd(np.array([_at(blocks, _null(turn)) for turn in turns]), compute_uv=False)
    turn = float(turns[int(np.argmax(spread[:, -1] / spread[:, 0]))])
    # The direction at angle ``turn + v - pi/2`` is that of e1 + tan(v) e2, e2 the turned one, whose matrix leads.
    e1, e2 = _null(turn - 0.5 * np.pi), _null(turn)
    linear = np.einsum("a,b,abij->ij", e1, e2, blocks)
    companion = np.zeros((2 * q, 2 * q))
    companion[:q, q:] = np.eye(q)
    right = np.hstack([_at(blocks, e1), linear + linear.T])
    companion[q:] = -np.linalg.solve(_at(blocks, e2), right)
    values = np.linalg.eigvals(companion).astype(complex)
    return np.asarray(turn - 0.5 * np.pi + np.arctan(values))


def _null(angle: float) -> Floats:
    return np.array([math.cos(angle), -math.sin(angle)])


def _at(blocks: Floats, a: Floats) -> Floats:
    return np.asarray(np.einsum("a,b,abij->ij", a, a, blocks))
