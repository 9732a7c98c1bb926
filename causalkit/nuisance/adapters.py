"""Any scikit-learn estimator as a learner: cloned, seeded, single-threaded, with errors in the user's words."""

from __future__ import annotations

import copy
import inspect
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import CausalKitError, DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats
from causalkit.nuisance.estimator_needs import NamedColumns, from_zero, names_columns, parts
from causalkit.nuisance.features import OneHot
from causalkit.nuisance.learners import Model, ShareClassifier


@dataclass(frozen=True)
class Covariates:
    """What the columns are called and which of them are categories, for messages."""

    names: tuple[str, ...] = ()
    categorical: tuple[int, ...] = ()

    def explain(self, error: Exception, estimator: Any, x: Floats, rows: str) -> CausalKitError:
        """Return an error in the user's words for what an estimator raised on some rows."""
        kind = type(estimator).__name__
        numeric = [j for j in range(x.shape[1]) if j not in self.categorical]
        gaps = np.isnan(x[:, numeric])
        if "NaN" not in str(error) or not gaps.any():
            return DesignError(
                f"{kind} failed on {len(x)} {rows} with {type(error).__name__}: {error}",
                hint="Mend the estimator, or use another one, such as the default learner (None).",
            )
        place = int(np.argmax(gaps.any(axis=0)))
        name = self.names[numeric[place]] if self.names else str(numeric[place])
        missing = fmt.plural(int(gaps[:, place].sum()), "missing value")
        return DataError(
            f"covariate {name!r} has {missing} among {len(x)} {rows}, and {kind} can't take missing values.",
            hint="Drop these rows with missing='drop', put an imputer before it in a Pipeline, or use the default learner.",
            column=name,
        )


@dataclass(frozen=True)
class SklearnModel:
    """A fitted scikit-learn regressor (``n_classes=0``) or classifier."""

    model: Any
    coding: OneHot | NamedColumns | None
    n_classes: int = 0
    covariates: Covariates = Covariates()

    def predict(self, x: Floats) -> Floats:
        """Return predictions, shape (n,), or probabilities by class code, shape (n, n_classes).

        Raises
        ------
        CausalKitError
            If the estimator can't predict these rows.
        """
        out = np.zeros((len(x), self.n_classes) if self.n_classes else len(x))
        if not len(x):  # which scikit-learn refuses
            return out
        try:
            columns = x if self.coding is None else self.coding.apply(x)
            if not self.n_classes:
                return np.asarray(self.model.predict(columns), dtype=float).reshape(len(x))
            out[:, np.asarray(self.model.classes_, dtype=np.int64)] = self.model.predict_proba(columns)
        except Warning:  # where warnings were made errors
            raise
        except Exception as error:  # whatever an estimator of somebody else raises
            raise self.covariates.explain(error, self.model, x, "rows to predict") from error
        return out


@dataclass(frozen=True)
class SklearnLearner:
    """A scikit-learn estimator, pipeline or search object.

    Every fit works on a clone. Parameters named ``random_state``, at any depth, that are not integers are set to
    ``random_state``, also in a shuffling ``cv`` splitter; an ``n_jobs`` of None that would mean all cores (LightGBM, XGBoost)
    is set to ``n_jobs``; whatever the user has set stays. Category codes reach the estimator as indicators after the numeric
    columns; LightGBM's own estimators get the codes, declared as categories; a pipeline that picks columns by name or type
    gets a pandas table of the covariates, categories under their labels.

    Parameters
    ----------
    estimator : object
        The estimator.
    n_classes : int
        Number of classes, or 0 for a regressor.
    names : tuple of str
        Names of the columns.
    categorical : tuple of int
        Positions of the columns that hold category codes.
    random_state, n_jobs : int
        Seed and threads.
    levels : tuple, optional
        For each column the labels of its categories, or None for numbers.
    """

    estimator: Any
    n_classes: int = 0
    names: tuple[str, ...] = ()
    categorical: tuple[int, ...] = ()
    random_state: int = 0
    n_jobs: int = 1
    levels: tuple[tuple[object, ...] | None, ...] | None = None

    def fit(self, x: Floats, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit a clone.

        Raises
        ------
        DataError
            If the estimator refuses missing values and a covariate has some.
        DesignError
            If weights are given and the estimator takes none, numbers below zero are given to one of counts or amounts, or
            it fails for another reason.
        """
        if self.n_classes and (len(np.unique(y)) == 1 or x.shape[1] == 0):
            return ShareClassifier(self.n_classes).fit(x, y, weights)
        if not self.n_classes:
            _require_from_zero(self.estimator, y)
        model = prepare(self.estimator, self.random_state, self.n_jobs)
        native = type(model).__module__.startswith("lightgbm")
        coding = None if native else self._coding(x)
        keywords: dict[str, Any] = {} if weights is None else {_weight_keyword(model): weights}
        if native and self.categorical:
            keywords["categorical_feature"] = list(self.categorical)
        target = y.astype(np.int64) if self.n_classes else y
        covariates = Covariates(self.names, self.categorical)
        try:
            model.fit(x if coding is None else coding.apply(x), target, **keywords)
        except Warning:  # where warnings were made errors
            raise
        except Exception as error:  # whatever an estimator of somebody else raises
            raise covariates.explain(error, self.estimator, x, "training rows") from error
        return SklearnModel(model, coding, self.n_classes, covariates)

    def _coding(self, x: Floats) -> OneHot | NamedColumns:
        """Return how covariates are handed to the estimator."""
        if self.names and self.levels is not None and names_columns(self.estimator):
            return NamedColumns(self.names, self.levels)
        return OneHot.learn(x, self.categorical)


def _require_from_zero(estimator: Any, y: Floats) -> None:
    below = int((y < 0).sum())
    if below and from_zero(estimator):
        raise DesignError(
            f"{type(estimator).__name__} learns numbers from zero up, and {below} of {len(y)} that it should learn are below.",
            hint="It suits outcomes that are never negative, in AIPW, DoubleML(method='irm'), SLearner and TLearner; effects and "
            "doses may be negative: use another regressor for them.",
        )


def prepare(estimator: Any, random_state: int, n_jobs: int) -> Any:
    """Clone an estimator and set seeds and threads that the user left open."""
    from sklearn.base import clone

    model = clone(estimator)
    settings: dict[str, Any] = {}
    for name, value in model.get_params(deep=True).items():
        last = name.rpartition("__")[2]
        if last == "random_state" and not isinstance(value, numbers.Integral):
            settings[name] = random_state % 2**31
        elif last == "cv" and _draws(value):
            splitter = copy.copy(value)
            splitter.random_state = random_state % 2**31
            settings[name] = splitter
    for prefix, part in parts(model):
        own = part.get_params(deep=False)
        family = type(part).__module__.partition(".")[0]
        if family != "sklearn" and own.get("n_jobs", 1) is None:
            settings[f"{prefix}n_jobs"] = n_jobs  # None is one thread in scikit-learn, all cores elsewhere
        if family == "lightgbm" and not {"verbose", "verbosity"} & set(own):
            settings[f"{prefix}verbose"] = -1
    return model.set_params(**settings)


def _draws(splitter: Any) -> bool:
    """Tell whether a cv splitter would draw from numpy's global state."""
    open_seed = hasattr(splitter, "random_state") and not isinstance(splitter.random_state, numbers.Integral)
    return open_seed and bool(getattr(splitter, "shuffle", True))


def _weight_keyword(model: Any) -> str:
    """Name the keyword that carries weights to the last step of a pipeline, or of what a search object fits."""
    prefix = ""
    inner = model
    while True:
        if hasattr(inner, "steps"):
            prefix += f"{inner.steps[-1][0]}__"
            inner = inner.steps[-1][1]
        elif hasattr(inner, "refit") and hasattr(inner, "estimator"):  # not LogisticRegressionCV, which has the first
            inner = inner.estimator
        else:
            break
    parameters = inspect.signature(inner.fit).parameters.values()
    if any(p.name == "sample_weight" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return f"{prefix}sample_weight"
    raise DesignError(
        f"{type(inner).__name__} takes no sample weights, and weights= was given.",
        hint="Use an estimator whose fit has sample_weight, such as the default learner.",
    )
