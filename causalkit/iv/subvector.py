"""Weak-instrument inference with several treatments: on all coefficients jointly, and on one with the others unknown."""

from __future__ import annotations

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.anderson_rubin import RobustTest, critical_value, tail
from causalkit.iv.weak_sets_form import ReducedForm
from causalkit.kernels.arrays import Floats


def joint_lm_test(form: ReducedForm, beta: Floats) -> RobustTest:
    """Test that the coefficients of all m treatments are ``beta`` by the score (Kleibergen 2002, 2005).

    Parameters
    ----------
    form : ReducedForm
    beta : (m,) array

    Returns
    -------
    RobustTest
        Chi-square with m degrees of freedom, or m times F. The joint Anderson-Rubin test is
        :func:`causalkit.iv.anderson_rubin.ar_test`.
    """
    a, m = form.direction(beta), form.n_treatments
    g = form.scores @ a
    null = np.einsum("a,b,abij->ij", a, a, form.cross)
    mixed = np.einsum("b,abij->aij", a, form.cross[1:])  # Cov(first stage, g)
    solved = np.linalg.solve(null, g)
    first = form.scores[:, 1:] - (mixed @ solved).T
    middle = first.T @ np.linalg.solve(null, first)
    path = first.T @ solved
    statistic = float(path @ np.linalg.solve(middle, path))
    return RobustTest(statistic, m, form.df, float(tail(statistic, m, form.df)))


def subvector_ar_test(form: ReducedForm, index: int, beta: float) -> RobustTest:
    """Test one coefficient by Anderson and Rubin's statistic, minimised over the coefficients of the other treatments.

    Guggenberger, Kleibergen, Mavroeidis and Chen (2012): chi-square with ``q - (m - 1)`` degrees of freedom bounds the
    distribution, however weak the instruments are for the other treatments. Homoskedastic errors only.

    Parameters
    ----------
    form : ReducedForm
        With ``kind="iid"``.
    index : int
        Treatment, from 0.
    beta : float

    Returns
    -------
    RobustTest

    Raises
    ------
    InferenceUnavailable
        With a robust covariance.
    """
    _require_homoskedastic(form)
    others = _others(form, index)
    a = np.zeros((1 + form.n_treatments, 1 + len(others)))
    a[0, 0], a[1 + index, 0] = 1.0, -beta * form.units[1 + index] / form.units[0]
    a[1 + others, 1 + np.arange(len(others))] = 1.0
    root = np.linalg.cholesky(a.T @ form.sigma @ a)
    whitened = np.linalg.solve(root, (form.scores @ a).T)
    statistic = float(np.linalg.svd(whitened, compute_uv=False)[-1] ** 2)
    df1 = form.n_instruments - len(others)
    return RobustTest(statistic, df1, form.df, float(tail(statistic, df1, form.df)))


def subvector_ar_set(form: ReducedForm, index: int, alpha: float = 0.05) -> ConfidenceSet:
    """Return the values of one coefficient that :func:`subvector_ar_test` does not reject: a quadratic inequality.

    Parameters
    ----------
    form : ReducedForm
        With ``kind="iid"``.
    index : int
        Treatment, from 0.
    alpha : float

    Returns
    -------
    ConfidenceSet
        The whole line where the other treatments alone have a statistic below the critical value.

    Raises
    ------
    InferenceUnavailable
        With a robust covariance.
    """
    _require_homoskedastic(form)
    others = _others(form, index)
    level = critical_value(alpha, form.n_instruments - len(others), form.df)
    gap = form.scores.T @ form.scores - level * form.sigma
    kept, profiled = np.array([0, 1 + index]), 1 + others
    if others.size:
        own = gap[np.ix_(profiled, profiled)]
        if np.linalg.eigvalsh(own)[0] <= 0.0:
            return ConfidenceSet.real_line()
        cross = gap[np.ix_(profiled, kept)]
        gap = gap[np.ix_(kept, kept)] - cross.T @ np.linalg.solve(own, cross)
    else:
        gap = gap[np.ix_(kept, kept)]
    found = ConfidenceSet.from_quadratic(float(gap[1, 1]), float(-2.0 * gap[0, 1]), float(gap[0, 0]))
    unit = float(form.units[0] / form.units[1 + index])
    return ConfidenceSet(tuple((low * unit, high * unit) for low, high in found.intervals))


def _others(form: ReducedForm, index: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([j for j in range(form.n_treatments) if j != index], dtype=np.int64)


def _require_homoskedastic(form: ReducedForm) -> None:
    if form.kind != "iid" and form.n_treatments > 1:
        raise InferenceUnavailable(
            f"with several treatments one coefficient has a weak-instrument test under vcov='iid' only, not {form.kind!r}.",
            hint="Refit with vcov='iid', or test all coefficients jointly.",
        )
