"""What is learned fold by fold about outcomes given mediators, and about mediators given the treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.features import Features
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.nuisance.binned import binned, on_views
from causalkit.nuisance.crossfit import Predict, cross_predict, is_binary
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.learners import Learner
from causalkit.nuisance.outcome import Standardized, outcome_learner
from causalkit.nuisance.propensity import clip_probabilities

_ARMS = (0, 1)


@dataclass(frozen=True, eq=False)
class Predictions:
    """Out-of-fold predictions.

    Parameters
    ----------
    mu : Floats, shape (n, 2)
        Expected outcome with the row's own mediators, in each arm.
    nested : Floats, shape (n, 2, 2)
        ``[:, a, b]``: expected outcome in arm a with mediators as in arm b.
    law : Floats, shape (n, 2)
        Probability of the row's own mediators in each arm; ones where it was not modelled.
    clipped : int
        Rows in which such a probability was clipped.
    """

    mu: Floats
    nested: Floats
    law: Floats
    clipped: int = 0


@dataclass(frozen=True, eq=False)
class Learning:
    """The rows to learn from, and what learns.

    Parameters
    ----------
    near : Features
        Covariates, (n, p).
    wide : Features
        Mediators (or one column with the code of their combination), then the covariates.
    z : Floats, shape (n,)
        Outcome.
    codes, folds : Codes, shape (n,)
        Arm and fold of each row.
    regressor, classifier : None, str or estimator
        See :mod:`causalkit.nuisance.defaults`.
    weights, groups : arrays, shape (n,), optional
        Weights, and clusters that a learner keeps whole.
    random_state, n_jobs : int
        Seed, and folds worked on at a time.
    """

    near: Features
    wide: Features
    z: Floats
    codes: Codes
    folds: Codes
    regressor: Any
    classifier: Any
    weights: Floats | None
    groups: Codes | None
    random_state: int
    n_jobs: int

    def by_regression(self) -> Predictions:
        """Learn expected outcomes over the mediators of an arm by regressions on covariates, which need no density.

        The outcome model of arm a is averaged over the mediators of the other arm by regressing its predictions there,
        on rows that it has not seen, on the covariates (Farbmacher et al. 2022); over those of its own arm, by
        regressing the outcome itself.
        """

        def fit(train: Ints) -> Predict:
            mine = [train[self.codes[train] == arm] for arm in _ARMS]
            full = [self._fit(self._outcome(self.wide), self.wide, rows, self.z[rows]) for rows in mine]
            total = [self._fit(self._outcome(self.near), self.near, rows, self.z[rows]) for rows in mine]
            across = []
            for arm in _ARMS:
                there = mine[1 - arm]
                across.append(
                    self._fit(self._average(), self.near, there, self._kept(full[arm].predict(self.wide.values[there])))
                )

            def predict(held: Ints) -> Floats:
                x = self.near.values[held]
                nested = [
                    (total[a] if a == b else across[a]).predict(x) for a in _ARMS for b in _ARMS
                ]  # in the order 00, 01, 10, 11
                return np.column_stack([*(model.predict(self.wide.values[held]) for model in full), *nested])

            return predict

        found = self._kept(cross_predict(fit, self.folds, n_jobs=self.n_jobs))
        return Predictions(read_only(found[:, :2]), _square(found[:, 2:6]), np.ones((len(self.z), 2)))

    def by_probabilities(self, level: Codes) -> Predictions:
        """Learn the probability of each combination of mediators in each arm, and sum over the combinations.

        Parameters
        ----------
        level : Codes, shape (n,)
            Combination of each row; the first column of ``wide``.
        """
        k = int(level.max()) + 1
        shares = np.stack(
            [np.bincount(level[self.codes == arm], minlength=k) / (self.codes == arm).sum() for arm in _ARMS]
        )
        floor = min(0.01, 0.1 * float(shares[shares > 0].min()))
        teacher = on_views(
            as_classifier(
                self._spec(self.near, self.classifier), self.near, n_classes=k, random_state=self.random_state
            )
        )

        def fit(train: Ints) -> Predict:
            mine = [train[self.codes[train] == arm] for arm in _ARMS]
            full = [self._fit(self._outcome(self.wide), self.wide, rows, self.z[rows]) for rows in mine]
            laws = [self._fit(teacher, self.near, rows, level[rows].astype(float)) for rows in mine]

            def predict(held: Ints) -> Floats:
                found = [clip_probabilities(law.predict(self.near.values[held]), floor) for law in laws]
                chance = np.stack([values for values, _ in found])
                moved = np.array(self.wide.values[held])
                mean = np.empty((2, len(held), k))
                for code in range(k):
                    moved[:, 0] = code
                    mean[:, :, code] = [self._kept(model.predict(moved)) for model in full]
                nested = [(mean[a] * chance[b]).sum(axis=1) for a in _ARMS for b in _ARMS]
                own = np.arange(len(held)), level[held]
                touched = (found[0][1] | found[1][1]).astype(float)
                return np.column_stack([*(m[own] for m in mean), *nested, *(c[own] for c in chance), touched])

            return predict

        found = cross_predict(fit, self.folds, n_jobs=self.n_jobs)
        return Predictions(
            read_only(found[:, :2]), _square(found[:, 2:6]), read_only(found[:, 6:8]), int(found[:, 8].sum())
        )

    def _fit(self, learner: Any, features: Features, rows: Ints, y: Floats) -> Any:
        chosen = (array if array is None else array[rows] for array in (self.weights, self.groups))
        return learner.fit(binned(features).view(rows), y, *chosen)

    def _outcome(self, features: Features) -> Any:
        """Return what learns the outcome: probabilities of a 0/1 outcome, or means."""
        regressor, classifier = (self._spec(features, spec) for spec in (self.regressor, self.classifier))
        return outcome_learner(features, self._binary, regressor, classifier, self.random_state)

    def _average(self) -> Learner:
        """Return what learns the mean of predictions, which are numbers also where the outcome is 0/1."""
        spec = self.regressor
        if spec is None and self._binary and isinstance(self.classifier, str):
            spec = self.classifier
        spec = self._spec(self.near, spec)
        return Standardized(on_views(as_regressor(spec, self.near, random_state=self.random_state, n_jobs=1)))

    def _spec(self, features: Features, spec: Any) -> Any:
        return spec if features.names else "mean"

    def _kept(self, predicted: Floats) -> Floats:
        return np.clip(predicted, 0.0, 1.0) if self._binary else predicted

    @property
    def _binary(self) -> bool:
        return is_binary(self.z)


def _square(columns: Floats) -> Floats:
    return read_only(columns.reshape(len(columns), 2, 2))
