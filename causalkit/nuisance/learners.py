"""What a learner is: a recipe that never changes, whose ``fit`` returns a model that predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints


class Model(Protocol):
    """A fitted learner."""

    def predict(self, x: Floats) -> Floats:
        """Return predictions, shape (n,), or class probabilities, shape (n, n_classes), for ``x`` of shape (n, p)."""
        ...


class Learner(Protocol):
    """A recipe for a model.

    ``y`` holds numbers for a regression and class codes 0, 1, ... for a classification. ``groups`` (cluster codes) keep
    clusters whole where the learner splits the rows by itself.
    """

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit on these rows and return the model; the learner itself stays as it was."""
        ...


@dataclass(frozen=True)
class ConstantModel:
    """Predict the same for every row: a number, or one probability per class."""

    value: Floats

    def predict(self, x: Floats) -> Floats:
        """Return ``value`` for every row of ``x``."""
        return np.full((len(x), *self.value.shape), self.value)


@dataclass(frozen=True)
class MeanRegressor:
    """The (weighted) mean of the outcome, whatever the covariates."""

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> ConstantModel:
        """Take the mean of ``y``."""
        return ConstantModel(np.asarray(np.average(y, weights=weights)))


@dataclass(frozen=True)
class ShareClassifier:
    """The (weighted) share of each class, whatever the covariates."""

    n_classes: int

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> ConstantModel:
        """Take the shares of the classes in ``y``."""
        counts = np.bincount(y.astype(np.int64), weights=weights, minlength=self.n_classes).astype(float)
        return ConstantModel(counts / counts.sum())


@dataclass(frozen=True)
class WidenedModel:
    """Probabilities of the classes that were seen, spread over all classes; the others get zero."""

    model: Model
    seen: Ints
    n_classes: int

    def predict(self, x: Floats) -> Floats:
        """Return probabilities, shape (n, n_classes)."""
        out = np.zeros((len(x), self.n_classes))
        out[:, self.seen] = self.model.predict(x)
        return out
