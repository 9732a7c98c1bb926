"""Placebo outcome: an outcome that depends on the covariates as the real one does, and not on the treatment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from causalkit.core.sample import Number, Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.refutation.calibrated import calibration
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.placebo_treatment import verdict
from causalkit.refutation.trial import Trial

NAME = "placebo_outcome"
_FOLDS = 5


def run(trial: Trial) -> Finding:
    """Give everybody the outcome that their covariates predict plus their own residual with a random sign, and refit.

    The prediction is cross-fitted, the best mix of ridge regression and boosted trees, whatever the analysis uses. So
    confounding by the measured covariates is kept with its shape, while the effect is zero by construction. Residuals of
    a cluster share their sign.
    """
    sample = trial.sample
    if "adjustment" not in trial.result.estimator.strategies and not sample.has("instruments"):
        raise InferenceUnavailable("it is for analyses that adjust for covariates.")
    trial.require_zero_without_effect()
    features = sample.features()
    if features.values.shape[1] == 0:
        raise InferenceUnavailable("there are no covariates; the placebo treatment tests the same.")
    predicted = _predicted(sample, features, trial.seed)
    found = trial.refits(lambda rng: _outcomes(sample, predicted, rng), NAME)
    judged = calibration(found.estimates, found.se, found.pvalues)
    return verdict(
        NAME,
        judged,
        f"On outcomes that the covariates explain as they do the real one, and that the treatment can't change, the "
        f"estimate is {judged.said}.",
        "The measured covariates are not adjusted for well enough: their effect is not linear, or the learner shrinks "
        "too much. Use AIPW or DoubleML, or add terms.",
    )


def _predicted(sample: Sample, features: Any, seed: int) -> Floats:
    from causalkit.nuisance.blended import best_share
    from causalkit.nuisance.crossfit import deal_folds
    from causalkit.nuisance.outcome import cross_fit_outcomes

    none: Codes = np.zeros(sample.n, dtype=np.int32)
    cluster = sample.groups("cluster")
    codes = None if cluster is None else cluster.codes
    folds = deal_folds(none.astype(np.int64), codes, _FOLDS, seed)
    # Regressors, also where the outcome is 0 or 1: the placebo only has to depend on the covariates alike.
    straight, bent = (
        cross_fit_outcomes(features, sample.outcome, none, folds, regressor=kind, groups=codes, random_state=seed)[:, 0]
        for kind in ("linear", "lightgbm")
    )
    share = best_share(sample.outcome, straight, bent)
    return (1 - share) * straight + share * bent


def _outcomes(sample: Sample, predicted: Floats, rng: np.random.Generator) -> Iterator[Sample]:
    residual = sample.outcome - predicted
    cluster = sample.groups("cluster")
    codes = np.arange(sample.n) if cluster is None else cluster.codes
    name = sample.name("outcome")
    while True:
        sign = rng.choice(np.array([-1.0, 1.0]), size=int(codes.max()) + 1)[codes]
        yield sample.with_column("outcome", Number(read_only(predicted + sign * residual), name))


CHALLENGE = Challenge(
    NAME,
    "Measured covariates that are adjusted for in the wrong shape or too weakly.",
    "A common cause that was not measured: the placebo outcome depends on measured covariates only.",
    run,
)
