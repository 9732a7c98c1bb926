"""A simulated confounder as strong as the strongest covariate: would the conclusion survive it?"""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.sample import Arms, Number, Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.held_out import judges_a_rule
from causalkit.refutation.omitted_variable import Regression
from causalkit.refutation.random_cause import with_covariate
from causalkit.refutation.trial import Trial

NAME = "simulated_confounder"


def run(trial: Trial) -> Finding:
    """Add a variable that is tied to treatment and outcome as tightly as the strongest covariate is, and refit.

    Its partial R2 with the treatment given the covariates, and with the outcome given treatment and covariates, are
    those of the covariate whose omission would bias a linear regression most (Cinelli and Hazlett 2020); its sign is the
    one that takes the estimate towards zero. In a linear regression the new estimate is exact.
    """
    result, sample = trial.result, trial.sample
    adjusts = "covariates" in result.estimator.roles and "adjustment" in result.estimator.strategies
    if not adjusts or sample.has("instruments"):
        raise InferenceUnavailable("it is for analyses that adjust for covariates.")
    if judges_a_rule(result):
        raise InferenceUnavailable("a ranking or a rule is judged here, not the effect of a treatment.")
    features, regression = sample.features(), Regression(sample)
    design, names = regression.covariates
    if not names or np.isnan(design).any():
        raise InferenceUnavailable("it measures strength by the covariates, and there is no complete one.")
    _require_one_treatment(sample)
    at, with_treatment, with_outcome = strongest(regression)
    extra = confounder(regression, with_treatment, with_outcome, towards=result.estimate, rng=trial.rng(NAME))
    again = result.refit(sample.with_column("covariates", with_covariate(features, extra, "simulated confounder")))
    limits = again.ci()
    before, after = result.pvalue < 0.05, again.pvalue < 0.05
    survives = after and np.sign(again.estimate) == np.sign(result.estimate)
    message = (
        f"With one more common cause as strong as {names[at]!r} (partial R2 {with_treatment:.2g} with the treatment, "
        f"{with_outcome:.2g} with the outcome) the estimate would be {fmt.number(again.estimate)} {_said(limits)} "
        f"instead of {fmt.number(result.estimate)}."
    )
    if not before:
        return Finding(Check(NAME, "pass", f"{message} It was not distinguishable from zero to begin with."))
    advice = "" if survives else "A confounder no stronger than one that was measured would change the conclusion."
    return Finding(Check(NAME, "pass" if survives else "fail", message, _ratio(again.estimate, again.se), None, advice))


def strongest(regression: Regression) -> tuple[int, float, float]:
    """Return the covariate whose omission would bias most, and its partial R2 with treatment and outcome.

    Parameters
    ----------
    regression : Regression
        Of the outcome on treatment and covariates, with its weights and absorbed effects.
    """
    best = (0, 0.0, 0.0)
    for j in range(regression.covariates[0].shape[1]):
        with_treatment, with_outcome = (float(np.clip(share, 0.0, 1 - 1e-9)) for share in regression.strength([j]))
        if j == 0 or _pull(with_treatment, with_outcome) > _pull(*best[1:]):
            best = (j, with_treatment, with_outcome)
    return best


def confounder(
    regression: Regression, with_treatment: float, with_outcome: float, *, towards: float, rng: np.random.Generator
) -> Floats:
    """Return a variable with the given partial R2, whose omission inflates an estimate of the sign of ``towards``.

    Parameters
    ----------
    regression : Regression
        Of the outcome on treatment and covariates, with its weights and absorbed effects.
    with_treatment, with_outcome : float
        Partial R2 with the treatment given covariates; with the outcome given treatment and covariates.
    towards : float
        The estimate; its sign is what counts.
    rng : Generator
        Draws the part that is tied to nothing.
    """
    columns = list(regression.covariates[0].T)
    treatment, outcome = regression.treatment, regression.sample.outcome
    along_treatment = _left_of(regression, treatment, columns)
    both = [*columns, treatment]
    along_outcome = _left_of(regression, outcome, both)
    rest = _left_of(regression, rng.standard_normal(len(outcome)), [*both, outcome])
    a, left = np.sqrt(with_treatment), np.sqrt(1 - with_treatment)
    b, c = left * np.sqrt(with_outcome), left * np.sqrt(1 - with_outcome)
    out: Floats = a * along_treatment + np.sign(towards) * b * along_outcome + c * rest
    return out


def _pull(with_treatment: float, with_outcome: float) -> float:
    """What the square of the bias is proportional to."""
    return with_outcome * with_treatment / (1 - with_treatment)


def _left_of(regression: Regression, values: Floats, columns: list[Floats]) -> Floats:
    """Residual with a weighted mean square of one."""
    left, center = regression.left(values, columns), regression.left(values, [])
    norm = regression.norm(left)
    if norm <= 1e-9 * regression.norm(center):
        raise InferenceUnavailable("the covariates determine the treatment or the outcome, or there are too few rows.")
    return left / norm


def _require_one_treatment(sample: Sample) -> None:
    column = sample.columns["treatment"]
    if not isinstance(column, Number) and (not isinstance(column, Arms) or column.count > 2):
        raise InferenceUnavailable("it needs one treatment with two arms, or a dose.")


def _ratio(estimate: float, se: float) -> float | None:
    return estimate / se if se > 0 else None


def _said(limits: object) -> str:
    return fmt.interval(*limits) if isinstance(limits, tuple) else str(limits)


CHALLENGE = Challenge(
    NAME,
    "A conclusion that a confounder no stronger than a measured one would overturn.",
    "A common cause that was not measured and is stronger than any that was.",
    run,
    draws=False,
)
