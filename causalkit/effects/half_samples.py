"""The final stage that learners with intervals share: pseudo-outcomes regressed on half-samples, then shrunk."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.effects.averages import average_effect
from causalkit.effects.bagged import Judge, fit_bagged
from causalkit.effects.crossfit_study import Canonical
from causalkit.effects.effect_learner import Learned
from causalkit.effects.final_stage import stage_maker
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats

#: Fewer half-samples say too little of the error.
FEWEST_BOOTS = 10
NO_BOOT = "n_boot=0 fits once per fold, and a single fit has no pointwise interval."


def require_boots(n_boot: int) -> None:
    """Raise unless there are no half-samples, or enough of them."""
    if 0 < n_boot < FEWEST_BOOTS:
        raise DesignError(
            f"n_boot={n_boot} half-samples say too little of an error.",
            hint=f"Use {FEWEST_BOOTS} or more, or 0 for one fit per fold and no intervals.",
        )


def half_sample_bags(
    estimator: Any, canonical: Canonical, targets: Floats, weights: Floats | None, seed: int, jobs: int
) -> Learned:
    """Regress pseudo-outcomes of the baseline and of each effect on covariates, on half-samples.

    Parameters
    ----------
    estimator : EffectLearner
        Its ``regressor`` and ``n_boot``.
    canonical : Canonical
        The study.
    targets : Floats, shape (n, n_arms)
        Pseudo-outcomes: of the baseline first.
    weights : Floats, shape (n, n_arms), optional
        Weights of the regressions, those of the study not among them.
    seed, jobs : int
        Seed, and folds worked on at a time.
    """
    study, features = canonical.study, canonical.sample.features()
    groups = None if study.groups is None else study.groups.codes
    scores = np.column_stack([study.nuisances.scores[:, 0], study.contrasts])
    average = average_effect(scores, study.weights, study.groups)
    if weights is None and study.weights is not None:
        own: Floats | None = np.repeat(study.weights[:, None], targets.shape[1], axis=1)
    else:
        own = weights if study.weights is None or weights is None else weights * study.weights[:, None]
    model, found, ranking = fit_bagged(
        stage_maker(estimator.regressor, features, targets, own, groups),
        features.values,
        scores,
        study.nuisances.folds,
        arms=study.arms.codes,
        average=average.theta,
        average_cov=average.vcov,
        weights=study.weights,
        groups=groups,
        judge=Judge(targets, own),
        n_boot=estimator.n_boot,
        random_state=seed,
        n_jobs=jobs,
    )
    return Learned(model, found, ranking[:, 1:])
