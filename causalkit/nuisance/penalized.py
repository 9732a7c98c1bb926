"""The shorthand ``"linear"``: ridge and logistic regression on standardised columns, indicators and missing flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.features import OneHot
from causalkit.nuisance.learners import MeanRegressor, Model, ShareClassifier, WidenedModel

_PENALTIES = np.logspace(-2, 4, 25)


@dataclass(frozen=True)
class Standardizer:
    """Numbers to mean zero and unit sd, missing ones to zero with a flag, categories to indicators.

    Parameters
    ----------
    coding : OneHot
        The indicators.
    mean, scale : Floats, shape (k,)
        Of the coded columns.
    flagged : Ints
        Coded columns that had missing values and have a flag.
    """

    coding: OneHot
    mean: Floats
    scale: Floats
    flagged: Ints

    @classmethod
    def learn(cls, x: Floats, categorical: tuple[int, ...], weights: Floats | None) -> Standardizer:
        """Take means and scales from the training rows ``x``, shape (n, p)."""
        coding = OneHot.learn(x, categorical)
        coded = coding.apply(x)
        there = ~np.isnan(coded)
        weight = there * (1.0 if weights is None else weights[:, None])
        total = np.maximum(weight.sum(axis=0), np.finfo(float).tiny)
        pivot = np.where(there, coded, 0.0).max(axis=0, initial=0.0)  # keeps the digits of columns far from zero
        near = np.where(there, coded - pivot, 0.0)
        mean = (weight * near).sum(axis=0) / total
        scale = np.sqrt((weight * np.where(there, near - mean, 0.0) ** 2).sum(axis=0) / total)
        constant = scale <= 1e-12 * np.maximum(np.abs(pivot), 1.0)
        return cls(coding, pivot + mean, np.where(constant, 1.0, scale), np.flatnonzero(~there.all(axis=0)))

    def apply(self, x: Floats) -> Floats:
        """Return the standardised columns followed by the flags."""
        coded = self.coding.apply(x)
        gaps = np.isnan(coded)
        standard = np.where(gaps, 0.0, (coded - self.mean) / self.scale)
        return np.column_stack([standard, gaps[:, self.flagged].astype(float)])


@dataclass(frozen=True)
class LinearModel:
    """A fitted scikit-learn model behind a standardizer."""

    standardizer: Standardizer
    model: Any

    def predict(self, x: Floats) -> Floats:
        """Return predictions, or probabilities where the model has them."""
        columns = self.standardizer.apply(x)
        raw = self.model.predict_proba(columns) if hasattr(self.model, "predict_proba") else self.model.predict(columns)
        return np.asarray(raw, dtype=float)


@dataclass(frozen=True)
class LinearRegressor:
    """Ridge regression; the penalty is chosen by leave-one-out error in closed form."""

    categorical: tuple[int, ...] = ()

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit; without covariates, or with fewer than 3 rows, the model is the mean."""
        if x.shape[1] == 0 or len(y) < 3:
            return MeanRegressor().fit(x, y, weights)
        from sklearn.linear_model import RidgeCV

        standardizer = Standardizer.learn(x, self.categorical, weights)
        model = RidgeCV(alphas=_PENALTIES).fit(standardizer.apply(x), y, sample_weight=weights)
        return LinearModel(standardizer, model)


@dataclass(frozen=True)
class LinearClassifier:
    """Logistic (multinomial) regression with a light ridge penalty (C=1 on standardised columns)."""

    n_classes: int
    categorical: tuple[int, ...] = ()

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit; without covariates, or with one class only, the model is the shares."""
        seen, codes = np.unique(y.astype(np.int64), return_inverse=True)
        if x.shape[1] == 0 or len(seen) == 1:
            return ShareClassifier(self.n_classes).fit(x, y, weights)
        from sklearn.linear_model import LogisticRegression

        standardizer = Standardizer.learn(x, self.categorical, weights)
        fitted = LogisticRegression(max_iter=1000, tol=1e-8).fit(standardizer.apply(x), codes, sample_weight=weights)
        model = LinearModel(standardizer, fitted)
        return model if len(seen) == self.n_classes else WidenedModel(model, seen, self.n_classes)
