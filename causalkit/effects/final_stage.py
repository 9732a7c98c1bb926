"""Final stages for the bags: small boosted trees on a table that is binned once, or any regression learner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.effects.bagged import FinalStage
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.defaults import as_regressor
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import ConstantModel, Model

#: Boosting rounds, and shrinkage of each: fixed, because the shrinkage towards the constant is chosen afterwards.
ROUNDS = 40
RATE = 0.1


@dataclass(frozen=True)
class Boosted:
    """A LightGBM model without its training data."""

    booster: Any

    def predict(self, x: Floats) -> Floats:
        """Return predictions, shape (n,)."""
        out: Floats = np.asarray(self.booster.predict(x, num_threads=1), dtype=float)
        return out


class BoostedStage:
    """Boosted trees of few leaves; the covariates are binned once for all half-samples and targets.

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p).
    targets : Floats, shape (n, t)
        Pseudo-outcomes, one model each.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    """

    def __init__(self, features: FeatureMatrix, targets: Floats, weights: Floats | None) -> None:
        import lightgbm

        self._settings = _settings(len(targets))
        self._targets = targets
        self._weights = weights
        self._binned = lightgbm.Dataset(
            features.values,
            targets[:, 0],
            categorical_feature=list(features.categorical) or "auto",
            params=self._settings,
            free_raw_data=False,
        ).construct()

    def fit(self, rows: Ints, seed: int) -> tuple[Model, ...]:
        """Fit on some rows; where too few are left to split, the model is their mean."""
        import lightgbm

        if len(rows) < 2 * self._settings["min_data_in_leaf"]:
            own = None if self._weights is None else self._weights[rows]
            return tuple(ConstantModel(np.asarray(v)) for v in np.average(self._targets[rows], axis=0, weights=own))
        part = self._binned.subset(rows, params=self._settings).construct()
        if self._weights is not None:
            part.set_weight(self._weights[rows])
        models: list[Model] = []
        for target in self._targets.T:
            part.set_label(target[rows])
            booster = lightgbm.Booster({**self._settings, "seed": seed}, part)
            for _ in range(ROUNDS):
                if booster.update():
                    break
            models.append(Boosted(lightgbm.Booster(model_str=booster.model_to_string())))
        return tuple(models)


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
        own = None if self._weights is None else self._weights[rows]
        clusters = None if self._groups is None else self._groups[rows]
        x = self._features.values[rows]
        return tuple(learner.fit(x, target[rows], own, clusters) for target in self._targets.T)


def stage_maker(
    spec: Any, features: FeatureMatrix, targets: Floats, weights: Floats | None, groups: Codes | None
) -> Callable[[], FinalStage]:
    """Return what makes the final stage that ``regressor=`` asks for."""
    if spec is None or (isinstance(spec, str) and spec == "lightgbm"):
        return lambda: BoostedStage(features, targets, weights)
    return lambda: LearnerStage(spec, features, targets, weights, groups)


def _settings(n_rows: int) -> dict[str, Any]:
    return {
        "objective": "l2",
        "num_leaves": 4,
        "learning_rate": RATE,
        "min_data_in_leaf": max(20, min(n_rows // 50, 200)),
        "max_bin": 63,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
