"""Confidence sets for fuzzy designs that hold their level however small the jump of the treatment is."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.effects import Test
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.kernels.arrays import Floats
from causalkit.rdd.side_variances import jump_covariance


def ratio_set(outcome: float, treatment: float, covariance: Floats, alpha: float = 0.05) -> ConfidenceSet:
    """Return the values b for which ``outcome - b treatment`` is not significantly different from zero.

    Parameters
    ----------
    outcome, treatment : float
        Two estimates.
    covariance : array, shape (2, 2)
        Theirs.
    alpha : float
        One minus the coverage.

    Notes
    -----
    ``(outcome - b treatment)^2 <= z^2 (v11 - 2 b v12 + b^2 v22)`` is a quadratic inequality in b (Fieller 1954): no grid
    is needed, and the set is an interval, the outside of one, or the line; it is never empty, as the ratio itself is in it.
    """
    if not 0.0 < alpha < 1.0:
        raise DesignError(f"alpha={alpha!r} is not between 0 and 1.")
    size = np.maximum(np.abs([outcome, treatment]), np.sqrt(np.diag(covariance)))
    if size[1] == 0.0:
        return ConfidenceSet.real_line()
    size[0] = size[0] or 1.0
    y, d = outcome / size[0], treatment / size[1]
    v = covariance / np.outer(size, size)
    square = float(special.ndtri(1.0 - alpha / 2.0)) ** 2
    found = ConfidenceSet.from_quadratic(
        float(d * d - square * v[1, 1]), float(-2.0 * (y * d - square * v[0, 1])), float(y * y - square * v[0, 0])
    )
    unit = float(size[0] / size[1])
    return ConfidenceSet(tuple((unit * low, unit * high) for low, high in found.intervals))


def anderson_rubin_set(result: Any, alpha: float = 0.05) -> ConfidenceSet:
    """Return the robust bias-corrected Anderson-Rubin set of the effect of a fuzzy design.

    It holds every effect b for which the outcome minus b times the treatment does not jump at the cutoff, by the robust
    bias-corrected test of Calonico, Cattaneo and Titiunik (2014) at the bandwidths of the result. Unlike the interval
    around the ratio, it keeps its level when the treatment hardly jumps (Feir, Lemieux and Marmer 2016); then it may be
    unbounded, which is the honest answer.

    Parameters
    ----------
    result : RegressionDiscontinuityResult
        Of a fit with ``treatment=``.
    alpha : float
        One minus the coverage.

    Raises
    ------
    InferenceUnavailable
        If the design is sharp, or the result holds no data.
    """
    return ratio_set(*_jumps(result), alpha)


def anderson_rubin_test(result: Any, null: float = 0.0) -> Test:
    """Return the test behind :func:`anderson_rubin_set`: a null that it rejects at a level is outside of that set.

    The statistic is the bias-corrected jump of the outcome less ``null`` times that of the treatment, over its robust
    standard error, which is known given the null; its distribution under it is standard normal.

    Parameters
    ----------
    result : RegressionDiscontinuityResult
        Of a fit with ``treatment=``.
    null : float
        The effect under the null hypothesis.

    Raises
    ------
    InferenceUnavailable
        If the design is sharp, or the result holds no data.
    """
    if not np.isfinite(null):
        raise DesignError(f"null={null!r} is not a finite number.")
    outcome, treatment, v = _jumps(result)
    error = float(np.sqrt(max(v[0, 0] - 2.0 * null * v[0, 1] + null**2 * v[1, 1], 0.0)))
    if error == 0.0:
        raise InferenceUnavailable("outcome and treatment do not vary, so that nothing can be tested.")
    statistic = (outcome - null * treatment) / error
    return Test(statistic, float(2.0 * special.ndtr(-abs(statistic))), float("inf"), null, "ar")


def _jumps(result: Any) -> tuple[float, float, Floats]:
    """Return the bias-corrected jumps of outcome and treatment, and their robust covariance."""
    found = result.found
    if found.first_stage is None:
        raise InferenceUnavailable(
            "an Anderson-Rubin set is for fuzzy designs; this one is sharp.", hint="Use .ci(), or pass treatment=."
        )
    covariance = jump_covariance(result._rows.split, result._plan, found)
    return found.reduced_form.corrected, found.first_stage.corrected, covariance


def in_words(found: ConfidenceSet, level: float = 0.95) -> str:
    """Say what a set rules out.

    Parameters
    ----------
    found : ConfidenceSet
    level : float
        Its coverage.
    """
    said = f"The {100 * level:g}% set of effects is {fmt.pieces(found.intervals)}"
    if found.is_empty:
        return f"{said}: no effect fits the data, so the design or the model of the effect is doubtful."
    if found.is_real_line:
        return f"{said}: the treatment may not jump at the cutoff at all, so the data say nothing about its effect."
    if not found.is_bounded and len(found.intervals) == 2:
        return f"{said}: the jump of the treatment may be zero, and only effects between the two rays are ruled out."
    if not found.is_bounded:
        return f"{said}: it has no bound on one side."
    return f"{said}."
