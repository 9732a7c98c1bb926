"""Tests and confidence sets of an instrumental-variables result that hold their level with weak instruments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from causalkit.core.effects import Test
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.wald import require_alpha
from causalkit.iv.anderson_rubin import RobustTest, ar_set, ar_test
from causalkit.iv.conditional_lr import clr_set, clr_test
from causalkit.iv.lagrange import lm_set, lm_test
from causalkit.iv.subvector import subvector_ar_set, subvector_ar_test
from causalkit.iv.tf_table import LEVEL, tf_critical_value
from causalkit.iv.weak_sets_form import ReducedForm, reduced_form_of

if TYPE_CHECKING:
    from causalkit.iv.iv_result import IVResult

METHODS = ("ar", "clr", "lm", "tf")
_SAME = 1e-6


def confidence_set(result: IVResult, method: str, alpha: float = 0.05) -> ConfidenceSet:
    """Return the values of the headline that a test does not reject.

    Parameters
    ----------
    result : IVResult
    method : {"ar", "clr", "lm", "tf"}
        Anderson and Rubin; Moreira's conditional likelihood ratio; Kleibergen's K; the t-ratio with critical values of
        Lee, McCrary, Moreira and Porter. All follow the kind of variance of the result; reference distributions are F
        with the degrees of freedom of the first stage (clusters less one, where there are any).
    alpha : float

    Returns
    -------
    ConfidenceSet
        It may be empty, disconnected or unbounded.

    Raises
    ------
    InferenceUnavailable
        With several treatments, but for ``"ar"`` under equal variances; ``"tf"`` but for one instrument and alpha 0.05.
    DesignError
        If the method is unknown or alpha is not between 0 and 1.
    """
    require_alpha(alpha)
    form, index = _form(result, method)
    if form.n_treatments > 1:
        return subvector_ar_set(form, index, alpha)
    if method == "tf":
        estimate, se, critical = _tf(result, form, alpha)
        if math.isinf(critical):
            return ConfidenceSet.real_line()
        return ConfidenceSet(((estimate - critical * se, estimate + critical * se),))
    makers = {"ar": ar_set, "clr": clr_set, "lm": lm_set}
    return makers[method](form, alpha)


def weak_test(result: IVResult, null: float, method: str) -> Test:
    """Test that the headline is ``null``: the dual of :func:`confidence_set`.

    Parameters
    ----------
    result : IVResult
    null : float
    method : {"ar", "clr", "lm", "tf"}

    Returns
    -------
    Test
        ``statistic`` is an F ratio for ``"ar"`` and ``"lm"``, the likelihood ratio for ``"clr"``, the t-ratio for
        ``"tf"``. The p-value of ``"tf"`` is that of the t-ratio times 1.96 over its critical value: it says on which side
        of 5 % the test is, and no more.

    Raises
    ------
    InferenceUnavailable
        As :func:`confidence_set`.
    """
    form, index = _form(result, method)
    if form.n_treatments > 1:
        return _test(subvector_ar_test(form, index, null), null, method)
    if method == "tf":
        estimate, se, critical = _tf(result, form, LEVEL)
        statistic = (estimate - null) / se
        shrunk = abs(statistic) * -float(ndtri(LEVEL / 2)) / critical
        return Test(statistic, float(2.0 * ndtr(-shrunk)), math.inf, null, method)
    tests = {"ar": ar_test, "clr": clr_test, "lm": lm_test}
    return _test(tests[method](form, null), null, method, ratio=method != "clr" or form.is_just_identified)


def _test(found: RobustTest, null: float, method: str, ratio: bool = True) -> Test:
    statistic = found.statistic / found.df1 if ratio else found.statistic
    return Test(statistic, found.pvalue, (float(found.df1), found.df2), null, method)


def _form(result: IVResult, method: str) -> tuple[ReducedForm, int]:
    if method not in METHODS:
        raise DesignError(f"method={method!r} is not an option.", hint=f"Use one of {', '.join(METHODS)}.")
    data = result.iv_data
    data.variance.require_clusters(data.q)
    if data.m > 1 and method != "ar":
        raise InferenceUnavailable(
            f'method="{method}" is for one treatment, not {data.m}.', hint='Use method="ar" with vcov="iid".'
        )
    return reduced_form_of(data), int(result._at)


def _tf(result: IVResult, form: ReducedForm, alpha: float) -> tuple[float, float, float]:
    """Return the estimate, its standard error and the critical value."""
    if not form.is_just_identified:
        raise InferenceUnavailable(
            f'method="tf" is for one instrument, not {form.n_instruments}.', hint='Use method="clr" or "ar".'
        )
    estimate, se = result.estimate, result.se
    own = float(form.scores[0, 0] / form.scores[0, 1]) * form.unit
    if not abs(estimate - own) <= _SAME * se:
        method = getattr(result.estimator, "method", "this estimator")
        raise InferenceUnavailable(
            f'method="tf" is about two-stage least squares, and {method} has another estimate.',
            hint='Fit with method="2sls", or use method="ar".',
        )
    return estimate, se, tf_critical_value(first_stage_f(form), alpha)


def first_stage_f(form: ReducedForm) -> float:
    """F statistic of the excluded instruments of one treatment, with the covariance of the form."""
    spread = form.cross[1, 1]
    moved = form.scores[:, 1]
    if not np.trace(spread) > 0:
        return math.inf
    return float(moved @ np.linalg.solve(spread, moved)) / form.n_instruments
