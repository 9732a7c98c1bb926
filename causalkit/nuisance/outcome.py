"""Outcome models: the expected outcome under each arm, out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.binned import binned, on_views
from causalkit.nuisance.crossfit import arm_label, cross_fit_models, is_binary
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.estimator_needs import in_own_units
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import Learner, Model

_FEWEST = 2


class OutcomeLearner(Protocol):
    """A learner of an outcome in its units, on arrays or on views of a binned table."""

    def fit(self, x: Any, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit on these rows and return the model."""
        ...


def cross_fit_outcomes(
    features: FeatureMatrix,
    outcome: Floats,
    arms: Codes,
    folds: Codes,
    *,
    n_arms: int | None = None,
    regressor: Any = None,
    classifier: Any = None,
    weights: Floats | None = None,
    groups: Codes | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    arm_names: Sequence[str] | None = None,
) -> Floats:
    """Predict each row's outcome under each arm, mu_a(x) = E[Y | X = x, arm = a], by models that have not seen its fold.

    The model of an arm is trained on the rows of that arm outside the fold. A continuous outcome is standardised by the
    mean and sd of these training rows, so the answer follows ``y * 1e6`` and ``y + 1e9``; estimators to which it matters where
    zero is (Poisson, gamma, Tweedie, transformed targets) learn it as it is. With one arm only (all codes zero) this is the
    cross-fitted mean E[Y | X].

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p).
    outcome : Floats, shape (n,)
        Outcome, in its own units.
    arms, folds : Codes, shape (n,)
        Arm and fold of each row.
    n_arms : int, optional
        Number of arms; by default the largest code plus one.
    regressor : None, str or estimator
        For outcomes that are not binary. A binary outcome uses it too where it is given and ``classifier`` is not.
    classifier : None, str or estimator
        Gives the probabilities of a binary (0 and 1) outcome.
    weights : Floats, shape (n,), optional
        Weights of the rows; rows with weight zero are not trained on.
    groups : Codes, shape (n,), optional
        Clusters, kept whole where the learner splits rows by itself.
    random_state, n_jobs : int
        Seed, and folds worked on at a time.
    arm_names : sequence of str, optional
        Names of the arms for messages.

    Returns
    -------
    Floats, shape (n, n_arms)
        In the units of the outcome; within [0, 1] for a binary outcome.

    Raises
    ------
    DesignError
        If an arm has fewer than two rows to train on outside a fold.
    """
    return fit_outcomes(
        features,
        outcome,
        arms,
        folds,
        n_arms=n_arms,
        regressor=regressor,
        classifier=classifier,
        weights=weights,
        groups=groups,
        random_state=random_state,
        n_jobs=n_jobs,
        arm_names=arm_names,
    )[0]


def fit_outcomes(
    features: FeatureMatrix,
    outcome: Floats,
    arms: Codes,
    folds: Codes,
    *,
    n_arms: int | None = None,
    regressor: Any = None,
    classifier: Any = None,
    weights: Floats | None = None,
    groups: Codes | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    arm_names: Sequence[str] | None = None,
) -> tuple[Floats, tuple[Model, ...]]:
    """Predict as :func:`cross_fit_outcomes`, and keep the model of each fold, which predicts all arms of new rows."""
    k = int(arms.max()) + 1 if n_arms is None else n_arms
    binary = is_binary(outcome)
    learner = outcome_learner(features, binary, regressor, classifier, random_state)
    table = binned(features)

    def fit(rows: Ints) -> Model:
        models = []
        for arm in range(k):
            train = rows[arms[rows] == arm]
            if weights is not None:
                train = train[weights[train] > 0]
            _require_rows(len(train), arm, arm_names)
            chosen = (array if array is None else array[train] for array in (weights, groups))
            models.append(learner.fit(table.view(train), outcome[train], *chosen))
        return ArmModels(tuple(models), binary)

    return cross_fit_models(fit, features.values, folds, n_jobs=n_jobs)


def outcome_learner(
    features: FeatureMatrix, binary: bool, regressor: Any, classifier: Any, random_state: int
) -> OutcomeLearner:
    """Return what learns an outcome from views of a table: probabilities of a 0/1 outcome, or means."""
    if binary and (classifier is not None or regressor is None):
        return Probability(on_views(as_classifier(classifier, features, random_state=random_state, n_jobs=1)))
    return standardized(on_views(as_regressor(regressor, features, random_state=random_state, n_jobs=1)), regressor)


@dataclass(frozen=True)
class ArmModels:
    """Outcome models of one fold, one per arm."""

    models: tuple[Model, ...]
    binary: bool

    def predict(self, x: Floats) -> Floats:
        """Return the expected outcome under each arm, shape (n, n_arms)."""
        predicted = np.column_stack([model.predict(x) for model in self.models])
        return np.clip(predicted, 0.0, 1.0) if self.binary else predicted


def standardized(learner: Learner, spec: Any) -> OutcomeLearner:
    """Return a learner of outcomes that standardises them, unless what the user asked for needs their own units."""
    return learner if in_own_units(spec) else Standardized(learner)


class Standardized:
    """A regression learner that works on a standardised outcome and answers in its units."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def fit(self, x: Any, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> _Rescaled:
        """Fit on (y - mean) / sd of these rows; a constant outcome needs no model."""
        pivot = float(y[0])
        near = y - pivot  # exact where the outcome is far from zero and its differences are not
        mean = float(np.average(near, weights=weights))
        scale = float(np.sqrt(np.average((near - mean) ** 2, weights=weights)))
        if scale <= 1e-14 * max(abs(pivot), np.finfo(float).tiny):
            return _Rescaled(None, pivot, mean, 1.0)
        return _Rescaled(self.learner.fit(x, (near - mean) / scale, weights, groups), pivot, mean, scale)


class _Rescaled:
    """A model of a standardised outcome."""

    def __init__(self, model: Any, pivot: float, mean: float, scale: float) -> None:
        self.model, self.pivot, self.mean, self.scale = model, pivot, mean, scale

    def predict(self, x: Floats) -> Floats:
        """Return predictions in the units of the outcome."""
        standard = np.zeros(len(x)) if self.model is None else self.model.predict(x)
        out: Floats = self.pivot + (self.mean + self.scale * standard)
        return out


class Probability:
    """A two-class learner as a regression of a 0/1 outcome."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def fit(self, x: Any, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> _SecondClass:
        """Fit on the classes 0 and 1."""
        return _SecondClass(self.learner.fit(x, y, weights, groups))


class _SecondClass:
    """The probability of class 1."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, x: Floats) -> Floats:
        """Return the probability of class 1, shape (n,)."""
        out: Floats = self.model.predict(x)[:, 1]
        return out


def _require_rows(count: int, arm: int, arm_names: Sequence[str] | None) -> None:
    if count < _FEWEST:
        raise DesignError(
            f"arm {arm_label(arm, arm_names)} has {count} row{'' if count == 1 else 's'} to train on outside a fold; its "
            f"outcome model needs at least {_FEWEST}.",
            hint="Use more folds, merge arms, or drop the arm.",
        )
