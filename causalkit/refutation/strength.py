"""What the bias by an omitted variable depends on, for a regression or a doubly robust estimate."""

from __future__ import annotations

from causalkit.core.result import Result
from causalkit.core.sample import Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes
from causalkit.linear.ols import OLS
from causalkit.refutation import long_form
from causalkit.refutation.long_form import LongForm
from causalkit.refutation.measures import arms_of
from causalkit.refutation.omitted_variable import OmittedVariable, Regression

Strength = OmittedVariable | LongForm


def strength_of(result: Result, sample: Sample) -> Strength | None:
    """Return what the omitted-variable bias of a result depends on; None where no covariates are adjusted for."""
    if isinstance(result.estimator, OLS):
        try:
            estimate, se, df = Regression(sample).coefficient()
        except InferenceUnavailable:
            return None
        return OmittedVariable(estimate, se, df, result.se / se)
    residuals = getattr(result, "residuals", None)
    if residuals and residuals[0].untreated is None and sample.optional("weights") is None:
        unit = result.unit  # type: ignore[attr-defined]
        return long_form.partially_linear(unit * residuals[0].outcome, residuals[0].treatment, _clusters(sample))
    try:
        y, treated, mu, e = arms_of(result)
    except InferenceUnavailable:
        return None
    return long_form.interactive(y, treated, mu, e, result.estimate, result.scores, _clusters(sample))  # type: ignore[attr-defined]


def after(
    strength: Strength, with_treatment: float, with_outcome: float, alpha: float
) -> tuple[float, tuple[float, float]]:
    """Return the estimate, and its interval, after a confounder that takes it towards zero."""
    if isinstance(strength, OmittedVariable):
        found = strength.adjusted(with_treatment, with_outcome)
        return found.estimate, found.ci(alpha)
    from scipy.stats import norm

    limits, errors = strength.bounds(with_outcome, with_treatment)
    at = 0 if strength.theta > 0 else 1
    half = float(norm.isf(alpha / 2)) * errors[at]
    return limits[at], (limits[at] - half, limits[at] + half)


def _clusters(sample: Sample) -> Codes | None:
    cluster = sample.groups("cluster")
    return None if cluster is None else cluster.codes
