"""The shorthand ``"linear"``: ridge and logistic regression on standardised columns, indicators and missing flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.features import OneHot
from causalkit.nuisance.learners import MeanRegressor, Model, ShareClassifier, WidenedModel

_PENALTIES = np.logspace(-2, 4, 25)
#: Rows whose leave-one-out errors are computed at a time.
_BLOCK = 4096


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
        gaps = np.isnan(coded)
        flagged = np.flatnonzero(gaps.any(axis=0))
        pivot = np.nan_to_num(np.fmax.reduce(coded, axis=0))  # keeps the digits of columns far from zero
        near = coded - pivot
        near[gaps] = 0.0
        weight = np.ones(len(x)) if weights is None else weights
        total = np.maximum(weight.sum() - weight @ gaps, np.finfo(float).tiny)
        mean = weight @ near / total
        near -= mean
        near[gaps] = 0.0
        near *= near
        scale = np.sqrt(weight @ near / total)
        constant = scale <= 1e-12 * np.maximum(np.abs(pivot), 1.0)
        return cls(coding, pivot + mean, np.where(constant, 1.0, scale), flagged)

    def apply(self, x: Floats) -> Floats:
        """Return the standardised columns followed by the flags."""
        coded = self.coding.apply(x)
        gaps = np.isnan(coded)
        standard = (coded - self.mean) / self.scale
        standard[gaps] = 0.0
        return np.column_stack([standard, gaps[:, self.flagged].astype(float)]) if len(self.flagged) else standard


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
class Line:
    """A linear function of columns."""

    slopes: Floats
    intercept: float

    def predict(self, columns: Floats) -> Floats:
        """Return the function's values, shape (n,)."""
        out: Floats = self.intercept + columns @ self.slopes
        return out


@dataclass(frozen=True)
class LinearRegressor:
    """Ridge regression; the penalty is chosen by leave-one-out error in closed form."""

    categorical: tuple[int, ...] = ()

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit; without covariates, or with fewer than 3 rows that have a weight, the model is the mean."""
        if x.shape[1] == 0 or (len(y) if weights is None else np.count_nonzero(weights)) < 3:
            return MeanRegressor().fit(x, y, weights)
        standardizer = Standardizer.learn(x, self.categorical, weights)
        return LinearModel(standardizer, ridge(standardizer.apply(x), y, weights))


def ridge(columns: Floats, y: Floats, weights: Floats | None = None, penalties: Floats = _PENALTIES) -> Line:
    """Fit a ridge regression with an unpenalised intercept and the penalty of least leave-one-out error.

    With ``Q`` the rotated columns, whose cross-product is the diagonal of ``l``, the error of a row that is left out is
    ``(y - Q D Q'y) / (1 - sum_j q_j^2 d_j - 1/n)`` with ``d = 1 / (l + penalty)``: one decomposition serves all penalties
    (Rifkin and Lippert 2007, "Notes on regularized least squares"). Weights multiply squared errors.

    Parameters
    ----------
    columns : Floats, shape (n, k)
        Regressors, about standardised.
    y : Floats, shape (n,)
        Outcome.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    penalties : Floats
        Penalties to choose from; the first of equals is taken.
    """
    share = np.full(len(y), 1.0 / len(y)) if weights is None else weights / weights.sum()
    root = None if weights is None else np.sqrt(weights)
    middle, level = share @ columns, float(share @ y)
    z, target = columns - middle, y - level
    if root is not None:
        z, target = z * root[:, None], target * root
    powers, rotation, q = _rotated(z)
    along = q.T @ target
    shrink = 1.0 / (powers[:, None] + penalties)
    errors = np.zeros(len(penalties))
    for start in range(0, len(y), _BLOCK):
        at = slice(start, start + _BLOCK)
        left_out = target[at, None] - q[at] @ (shrink * along[:, None])
        left_out /= 1.0 - share[at, None] - q[at] ** 2 @ shrink
        errors += np.einsum("ij,ij->j", left_out, left_out)
    slopes = rotation @ (shrink[:, int(np.argmin(errors))] * along)
    return Line(slopes, level - float(middle @ slopes))


def _rotated(z: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the eigenvalues of ``z'z`` that can differ from zero, their vectors, and ``z`` times these."""
    if len(z) < z.shape[1]:
        u, singular, v = np.linalg.svd(z, full_matrices=False)
        return singular**2, v.T, u * singular
    powers, rotation = np.linalg.eigh(z.T @ z)
    return np.maximum(powers, 0.0), rotation, z @ rotation


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
