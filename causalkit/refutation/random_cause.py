"""Random common cause: a covariate of pure noise, which can't change the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from causalkit.core.check import Check
from causalkit.core.features import Features, Schema
from causalkit.core.sample import Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats, read_only
from causalkit.refutation.calibrated import power_of_share, too_often
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.trial import Trial

NAME = "random_common_cause"
#: Moves by more than this share of a standard error are counted; one in twenty is let pass.
_MOVE, _TOLERATED = 0.5, 0.05
#: Share of such moves where noise moves the estimate as much as half of its own standard error.
_PLANTED = 0.317


def run(trial: Trial) -> Finding:
    """Add a covariate of noise and refit: an estimate that moves by half a standard error hangs on chance."""
    sample, result = trial.sample, trial.result
    if "covariates" not in result.estimator.roles:
        raise InferenceUnavailable("it is for analyses with covariates.")
    found = trial.refits(lambda rng: _noisy(sample, rng), NAME)
    moves = np.abs(found.estimates - trial.estimate) / trial.se
    far = int(np.sum(moves > _MOVE))
    pvalue = too_often(far, len(found), _TOLERATED)
    bad = pvalue < 0.05
    check = Check(
        NAME,
        "fail" if bad else "pass",
        f"A covariate of noise moves the estimate by more than half a standard error in {far} of {len(found)} draws "
        f"(typically by {np.median(moves):.2g} of one).",
        float(np.median(moves)),
        pvalue,
        _advice(result.estimator.params()) if bad else "",
    )
    power = power_of_share(len(found), _TOLERATED, _PLANTED, 0.05)
    return Finding(check, power, "noise that moves the estimate by half a standard error")


def _advice(params: Mapping[str, Any]) -> str:
    """Return what calms an estimate that hangs on chance."""
    if "n_folds" in params or "regressor" in params:
        return "The estimate hangs on chance: use more folds or repetitions, a calmer learner, or fewer covariates."
    return (
        "The estimate hangs on chance: the groups that are compared are too small for so many covariates, since one more of "
        "pure noise moves it. Use fewer covariates, or larger groups."
    )


def _noisy(sample: Sample, rng: np.random.Generator) -> Iterator[Sample]:
    features = sample.features()
    while True:
        yield sample.with_column("covariates", with_covariate(features, rng.standard_normal(sample.n), "noise"))


def with_covariate(features: Features, values: Floats, name: str) -> Features:
    """Return covariates with one more numeric column.

    Parameters
    ----------
    features : Features
        The covariates.
    values : Floats, shape (n,)
        The new column.
    name : str
        Its name; underscores are added until it is new.
    """
    while name in features.names:
        name += "_"
    schema = Schema((*features.schema.names, name), (*features.schema.levels, None))
    return Features(read_only(np.asfortranarray(np.column_stack([features.values, values]))), schema)


CHALLENGE = Challenge(
    NAME,
    "An estimate that hangs on chance: seeds, splits, learners that overfit.",
    "A common cause that was not measured: noise is related to nothing.",
    run,
)
