"""Rankings and rules under test: held-out scores are made again where what they rest on was altered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from causalkit.core.result import Result
from causalkit.core.sample import Number, Sample


def judges_a_rule(result: Result) -> bool:
    """Whether the headline is the worth of a ranking or of a rule, not the effect of a treatment."""
    return type(result.estimator).__module__.startswith("causalkit.uplift")


def has_held_out_scores(sample: Sample) -> bool:
    """Whether the rows carry scores that were made of their outcomes, treatments and covariates before."""
    return sample.has("held_out_score")


def with_new_scores(result: Result, altered: Sample) -> Sample:
    """Return altered rows whose held-out scores belong to them.

    An evaluation of a ranking keeps the scores that judge it. Those of the true outcomes and treatments would give
    every altered table the answer of the real one. The ranking itself stays as it is.

    Parameters
    ----------
    result : Result
        What is under test.
    altered : Sample
        Its rows with another treatment, outcome or covariate.
    """
    if not has_held_out_scores(altered):
        return altered
    from causalkit.uplift.guards import CHANCES, EXPECTED
    from causalkit.uplift.held_out import KnownScores, Maker

    model = result.roles.get("effect")
    seed = getattr(result.estimator, "random_state", None) or 0
    made = Maker(seed, KnownScores()).cross_fitted(altered, getattr(model, "estimator", None))
    fields = made.fields()
    columns: dict[str, Any] = {**altered.columns, "held_out_score": Number(fields["scores"], "held-out score")}
    for arm in (0, 1):
        columns[EXPECTED[arm]] = Number(fields["expected"][:, arm], "expected outcome")
        columns[CHANCES[arm]] = Number(fields["chances"][:, arm], "propensity")
    return replace(altered, columns=columns)
