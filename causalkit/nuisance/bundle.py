"""All nuisances of a study in one step, shared by every learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from causalkit.kernels.arrays import Bools, Codes, Floats, read_only
from causalkit.nuisance.crossfit import is_binary, make_folds
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import Model
from causalkit.nuisance.outcome import fit_outcomes
from causalkit.nuisance.propensity import Propensity, estimate_propensity, known_propensity
from causalkit.nuisance.quality import Quality, log_loss_skill, r_squared
from causalkit.nuisance.scores import dr_scores


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Cross-fitted nuisances.

    Parameters
    ----------
    folds : Codes, shape (n,)
        Fold of each row.
    propensity : Propensity
        Probability of each arm, known or estimated out of fold.
    mu : Floats, shape (n, n_arms)
        Expected outcome under each arm, out of fold.
    scores : Floats, shape (n, n_arms)
        Doubly robust scores; the mean of a column estimates E[Y(a)].
    quality : Quality
        How good the models are, out of fold.
    models : tuple of Model
        The outcome models of the folds: each predicts the outcome of new rows under every arm.
    """

    folds: Codes
    propensity: Propensity
    mu: Floats
    scores: Floats
    quality: Quality
    models: tuple[Model, ...] = ()

    @property
    def e(self) -> Floats:
        """Probability of each arm, shape (n, n_arms)."""
        return self.propensity.values

    @cached_property
    def mean_outcome(self) -> Floats:
        """E[Y | X] = sum over arms of e_a(x) mu_a(x), shape (n,): the outcome nuisance of partially linear learners."""
        pivot = self.mu[:, 0]
        return read_only(pivot + (self.e * (self.mu - pivot[:, None])).sum(axis=1))


def fit_nuisances(
    features: FeatureMatrix,
    outcome: Floats,
    arms: Codes,
    *,
    n_arms: int | None = None,
    propensity: ArrayLike | None = None,
    n_folds: int = 5,
    folds: Codes | None = None,
    groups: Codes | None = None,
    weights: Floats | None = None,
    regressor: Any = None,
    classifier: Any = None,
    clip: float = 0.01,
    calibrate: bool = True,
    random_state: int = 0,
    n_jobs: int = 1,
    arm_names: Sequence[str] | None = None,
) -> Nuisances:
    """Deal folds, get propensities and outcome models out of fold, and build the doubly robust scores.

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p); rows in an order that does not depend on the user's.
    outcome : Floats, shape (n,)
        Outcome; one that is 0 and 1 is modelled by probabilities.
    arms : Codes, shape (n,)
        Arm of each row, the control at 0.
    n_arms : int, optional
        Number of arms; by default the largest code plus one.
    propensity : float or array, optional
        Known propensities (see :func:`causalkit.nuisance.propensity.known_propensity`); estimated where None.
    n_folds : int
        Number of folds.
    folds : Codes, shape (n,), optional
        Folds to use instead of dealing them.
    groups : Codes, shape (n,), optional
        Clusters, kept whole in folds.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    regressor, classifier : None, str or estimator
        See :mod:`causalkit.nuisance.defaults`.
    clip, calibrate
        See :func:`causalkit.nuisance.propensity.estimate_propensity`.
    random_state, n_jobs : int
        Seed, and folds worked on at a time; the answer is the same for any ``n_jobs``.
    arm_names : sequence of str, optional
        Names of the arms for messages.

    Returns
    -------
    Nuisances

    Raises
    ------
    DesignError
        If an arm has too few rows or clusters for the folds.
    DataError
        If known propensities are not strictly between 0 and 1, or a learner meets missing values it can't take.
    """
    k = int(arms.max()) + 1 if n_arms is None else n_arms
    if folds is None:
        folds = make_folds(
            len(arms),
            n_folds,
            arms=arms,
            groups=groups,
            outcome=outcome,
            random_state=random_state,
            arm_names=arm_names,
        )
    shared: dict[str, Any] = {"n_arms": k, "classifier": classifier, "weights": weights, "groups": groups}
    shared |= {"random_state": random_state, "n_jobs": n_jobs, "arm_names": arm_names}
    if propensity is None:
        chances = estimate_propensity(features, arms, folds, clip=clip, calibrate=calibrate, **shared)
    else:
        chances = known_propensity(propensity, arms, k, arm_names=arm_names)
    mu, models = fit_outcomes(features, outcome, arms, folds, regressor=regressor, **shared)
    scores = dr_scores(outcome, arms, mu, chances.values)
    quality = judge_nuisances(outcome, arms, mu, chances, weights)
    return Nuisances(folds, chances, read_only(mu), read_only(scores), quality, models)


def judge_nuisances(
    outcome: Floats, arms: Codes, mu: Floats, propensity: Propensity, weights: Floats | None = None
) -> Quality:
    """Return how good outcome models and propensities are, out of fold."""
    binary = is_binary(outcome)

    def skill(arm: int, rows: Bools) -> float:
        weight = None if weights is None else weights[rows]
        own = mu[rows, arm]
        if binary:
            return log_loss_skill(outcome[rows].astype(np.int32), np.column_stack([1.0 - own, own]), weight)
        return r_squared(outcome[rows], own, weight)

    kept = np.ones(len(arms), dtype=bool) if weights is None else weights > 0
    by_arm = tuple(skill(arm, (arms == arm) & kept) for arm in range(mu.shape[1]))
    estimated = propensity.source == "estimated"
    return Quality(
        metric="log_loss" if binary else "r2",
        outcome_skill=by_arm,
        propensity_auc=propensity.auc,
        propensity_skill=log_loss_skill(arms, propensity.values, weights) if estimated else None,
    )
