"""What is said of predicted effects as a whole: whether their differences are real, and what they go with."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.estimate import Estimate
from causalkit.effects.projection import CALIBRATION_TERMS, one_sided
from causalkit.kernels.arrays import Floats


def heterogeneity(terms: tuple[str, ...], estimate: Estimate) -> Check:
    """Return the check of the coefficient of differences between predicted effects."""
    if CALIBRATION_TERMS[1] not in terms:
        return Check(
            "heterogeneity",
            "untestable",
            "every person has the same predicted effect, so no differences can be tested.",
            advice="Treat everybody alike, or look for covariates that tell people apart.",
        )
    at = terms.index(CALIBRATION_TERMS[1])
    pvalue = float(one_sided(estimate)[at])
    statistic = float(estimate.theta[at] / estimate.se[at])
    real = pvalue < 0.05
    return Check(
        "heterogeneity",
        "pass" if real else "warn",
        f"differences between predicted effects have coefficient {fmt.number(float(estimate.theta[at]))}; that it is zero "
        f"or less has p-value {fmt.pvalue(pvalue)} (one-sided; small means that the differences are real).",
        statistic,
        pvalue,
        "" if real else "A ranking of people by this model may be no better than chance.",
    )


def between(effect: Floats, column: Floats, categorical: bool) -> float:
    """Share of the variance of ``effect`` between groups of a covariate; gaps are a group of their own."""
    total = float(np.var(effect))
    if total <= 1e-24:
        return 0.0
    known = ~np.isnan(column)
    code = np.full(len(column), -1.0)
    if categorical:
        code[known] = column[known]
    elif known.any():
        code[known] = np.searchsorted(np.unique(np.quantile(column[known], np.linspace(0, 1, 11)[1:-1])), column[known])
    _, group = np.unique(code, return_inverse=True)
    size = np.bincount(group)
    mean = np.bincount(group, weights=effect) / size
    return float(np.average((mean - effect.mean()) ** 2, weights=size)) / total
