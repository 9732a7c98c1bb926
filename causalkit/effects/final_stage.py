"""Final stages for the bags: small boosted trees on a table that is binned once, or any regression learner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalkit.effects.bagged import FinalStage
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.binned import binned, dataset_parameters, part
from causalkit.nuisance.defaults import as_regressor
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import ConstantModel, Model
from causalkit.nuisance.trees import without_data

#: Boosting rounds, and shrinkage of each: fixed, because the shrinkage towards the constant is chosen afterwards.
ROUNDS = 20
RATE = 0.2
#: Bins per covariate.
BINS = 63


class BoostedStage:
    """Boosted trees of few leaves; the covariates are binned once for all folds, half-samples and targets.

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p).
    targets : Floats, shape (n, t)
        Pseudo-outcomes, one model each.
    weights : Floats, shape (n, t), optional
        Weights of the rows in each regression; rows of weight zero are left out.
    """

    def __init__(self, features: FeatureMatrix, targets: Floats, weights: Floats | None) -> None:
        self._settings = _settings(len(targets))
        self._targets, self._weights = targets, weights
        self._binned = binned(features).dataset(BINS)
        self._whole = weights is None or bool(np.all(weights > 0))

    def fit(self, rows: Ints, seed: int) -> tuple[Model, ...]:
        """Fit on some rows; where too few are left to split, the model is their mean."""
        data = self._part(rows) if self._whole else None
        return tuple(self._one(rows, j, data, seed) for j in range(self._targets.shape[1]))

    def _one(self, rows: Ints, target: int, data: Any, seed: int) -> Model:
        import lightgbm

        if not self._whole and self._weights is not None:
            rows = rows[self._weights[rows, target] > 0]
        own = None if self._weights is None else self._weights[rows, target]
        y = self._targets[rows, target]
        if len(rows) < 2 * self._settings["min_data_in_leaf"]:
            return ConstantModel(np.asarray(np.average(y, weights=own) if len(rows) else 0.0))
        if data is None:
            data = self._part(rows)
        data.set_label(y)
        data.set_weight(own)
        booster = lightgbm.Booster({**self._settings, "seed": seed}, data)
        for _ in range(ROUNDS):
            if booster.update():
                break
        return without_data(booster)

    def _part(self, rows: Ints) -> Any:
        if len(rows) < 2 * self._settings["min_data_in_leaf"]:
            return None
        return part(self._binned, rows, self._settings)


class LearnerStage:
    """Any regression learner, fitted anew on every half-sample."""

    def __init__(
        self, spec: Any, features: FeatureMatrix, targets: Floats, weights: Floats | None, groups: Codes | None
    ) -> None:
        self._spec, self._features, self._targets = spec, features, targets
        self._weights, self._groups = weights, groups

    def fit(self, rows: Ints, seed: int) -> tuple[Model, ...]:
        """Fit a clone per target."""
        learner = as_regressor(self._spec, self._features, random_state=seed, n_jobs=1)
        models: list[Model] = []
        for j, target in enumerate(self._targets.T):
            own = None if self._weights is None else self._weights[rows, j]
            used = rows if own is None else rows[own > 0]
            if not len(used):  # a small arm has no row in this half
                models.append(ConstantModel(np.zeros(())))
                continue
            clusters = None if self._groups is None else self._groups[used]
            kept = None if own is None else own[own > 0]
            models.append(learner.fit(self._features.values[used], target[used], kept, clusters))
        return tuple(models)


def stage_maker(
    spec: Any, features: FeatureMatrix, targets: Floats, weights: Floats | None, groups: Codes | None
) -> Callable[[], FinalStage]:
    """Return what makes the final stage that ``regressor=`` asks for; ``weights`` has the shape of ``targets``."""
    if spec is None or (isinstance(spec, str) and spec == "lightgbm"):
        return lambda: BoostedStage(features, targets, weights)
    return lambda: LearnerStage(spec, features, targets, weights, groups)


def _settings(n_rows: int) -> dict[str, Any]:
    return {
        "objective": "l2",
        "num_leaves": 4,
        "learning_rate": RATE,
        "min_data_in_leaf": max(20, min(n_rows // 50, 200)),
        **dataset_parameters(BINS),
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,  # the same trees as row by row, and few rounds don't pay for what that prepares
    }
