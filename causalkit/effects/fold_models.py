"""Learners that fit once per fold: predictions out of fold, and the mean of the folds' models for new rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from causalkit.effects.bagged import Spread
from causalkit.effects.crossfit_study import Canonical
from causalkit.effects.effect_learner import Learned
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.binned import on_views
from causalkit.nuisance.boosting import like
from causalkit.nuisance.defaults import as_regressor
from causalkit.nuisance.features import take_rows
from causalkit.nuisance.learners import Learner, Model
from causalkit.nuisance.outcome import Standardized


class FoldModel(Protocol):
    """The model of one fold."""

    def predict(self, x: Floats) -> Floats:
        """Return the baseline and the effect of each arm, shape (n, n_arms)."""
        ...


@dataclass(frozen=True, eq=False)
class FoldModels:
    """The models of all folds.

    Parameters
    ----------
    folds : tuple of FoldModel
        One per fold, trained on the other folds.
    """

    folds: tuple[FoldModel, ...]

    def predict(self, x: Floats) -> Spread:
        """Return the mean of the folds' predictions; their errors are not known."""
        total = self.folds[0].predict(x)
        for fold in self.folds[1:]:
            total = total + fold.predict(x)
        return unknown_errors(total / len(self.folds))


def unknown_errors(mean: Floats) -> Spread:
    """Return predictions whose errors are not known."""
    return Spread(mean, np.full((*mean.shape, mean.shape[1]), np.nan))


def learned(models: tuple[FoldModel, ...], predictions: Floats, no_interval: str) -> Learned:
    """Return what fold models have learned, from their out-of-fold predictions, shape (n, n_arms)."""
    effects = predictions[:, 1:]
    return Learned(FoldModels(models), unknown_errors(predictions), effects - effects.mean(axis=0), no_interval)


def out_of_fold(models: tuple[FoldModel, ...], x: Floats, folds: Codes) -> Floats:
    """Predict each row by the model of its fold."""
    out = np.empty((len(x), len(models[0].predict(x[:1])[0])))
    for model, fold in zip(models, np.unique(folds), strict=True):
        rows = np.flatnonzero(folds == fold)
        out[rows] = model.predict(take_rows(x, rows))
    return out


@dataclass(frozen=True, eq=False)
class Rows:
    """Fits regressions of pseudo-outcomes on some rows of a study.

    Parameters
    ----------
    canonical : Canonical
        The study.
    learner : Learner
        Fitted on views of its covariates.
    """

    canonical: Canonical
    learner: Learner

    @classmethod
    def of(cls, canonical: Canonical, regressor: object, seed: int) -> Rows:
        """Use the learner that ``regressor=`` asks for."""
        spec = as_regressor(regressor, canonical.sample.features(), random_state=seed, n_jobs=1)
        return cls(canonical, on_views(spec))

    def fit(self, rows: Ints, target: Floats, weights: Floats | None = None) -> Model:
        """Regress a pseudo-outcome, shape (n,), on some of the rows; rows of weight zero are left out.

        The weights, shape (n,), multiply those of the study.
        """
        study = self.canonical.study
        total = study.weights if weights is None else weights if study.weights is None else weights * study.weights
        if total is not None:
            rows = rows[total[rows] > 0]
        groups = None if study.groups is None else study.groups.codes[rows]
        own = None if total is None else total[rows]
        return Standardized(self.learner).fit(self.canonical.table.view(rows), target[rows], own, groups)

    def like(self, model: Model) -> Rows:
        """Return the same with the number of rounds that a model of another fold has chosen."""
        return replace(self, learner=like(self.learner, model))


@dataclass(frozen=True, eq=False)
class Regressed:
    """A baseline from the outcome models of a fold, and a regression of pseudo-outcomes for the effect of each arm."""

    outcomes: Model
    effects: tuple[Model, ...]

    def predict(self, x: Floats) -> Floats:
        """Return the baseline and the effects, shape (n, n_arms)."""
        return np.column_stack([self.outcomes.predict(x)[:, 0], *(model.predict(x) for model in self.effects)])


def regress(
    canonical: Canonical, regressor: object, seed: int, targets: Floats, weights: Floats | None, no_interval: str
) -> Learned:
    """Regress pseudo-outcomes, shape (n, n_arms - 1), on covariates, fold by fold; ``weights`` are shaped alike.

    With many rows the first fold chooses how many rounds are boosted, and the others do as it does.
    """
    study, arms = canonical.study, range(targets.shape[1])
    rows = [Rows.of(canonical, regressor, seed) for _ in arms]
    folds, models = study.nuisances.folds, []
    for fold, outcomes in zip(np.unique(folds), study.nuisances.models, strict=True):
        train = np.flatnonzero(folds != fold)
        fits = tuple(rows[j].fit(train, targets[:, j], None if weights is None else weights[:, j]) for j in arms)
        rows = [own.like(model) for own, model in zip(rows, fits, strict=True)]
        models.append(Regressed(outcomes, fits))
    effects = [Effects(model.effects) for model in models]
    found = out_of_fold(tuple(effects), canonical.sample.features().values, folds)
    return learned(tuple(models), np.column_stack([study.nuisances.mu[:, 0], found]), no_interval)


@dataclass(frozen=True, eq=False)
class Effects:
    """The regressions of a fold without the baseline, which is known out of fold."""

    models: tuple[Model, ...]

    def predict(self, x: Floats) -> Floats:
        """Return the effect of each arm, shape (n, n_arms - 1)."""
        return np.column_stack([model.predict(x) for model in self.models])


def from_levels(mu: Floats) -> Floats:
    """Return the baseline and the effects, shape (n, n_arms), from expected outcomes by arm."""
    return np.column_stack([mu[:, 0], mu[:, 1:] - mu[:, :1]])
