"""From what the user passes as ``regressor=`` or ``classifier=`` to a learner.

====================  ==================================================================================
None, "lightgbm"      LightGBM with small trees, stopped and averaged by cross-validation (``boosting``)
"linear"              ridge / logistic regression on standardised columns (``penalized``)
"mean"                no covariates: the mean, or the share of each class (``learners``)
an estimator          any scikit-learn estimator, pipeline or search object (``adapters``)
====================  ==================================================================================
"""

from __future__ import annotations

from typing import Any

from causalkit.core.params import LEARNERS
from causalkit.errors import DesignError
from causalkit.nuisance.adapters import SklearnLearner
from causalkit.nuisance.boosting import BoostingClassifier, BoostingRegressor
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import Learner, MeanRegressor, ShareClassifier
from causalkit.nuisance.penalized import LinearClassifier, LinearRegressor


def as_regressor(
    spec: Any = None, features: FeatureMatrix | None = None, *, random_state: int = 0, n_jobs: int = 1
) -> Learner:
    """Return the regression learner that ``spec`` asks for.

    Parameters
    ----------
    spec : None, str or estimator
        None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or a scikit-learn regressor, pipeline or search object.
    features : FeatureMatrix, optional
        Tells which columns are categories, and their names.
    random_state : int
        Seed for what draws.
    n_jobs : int
        Threads inside one fit.

    Returns
    -------
    Learner
        ``learner.fit(x, y, weights, groups).predict(x)``, shape (n,).

    Raises
    ------
    DesignError
        If ``spec`` is none of these, or a classifier.
    """
    names, categorical = ((), ()) if features is None else (features.names, features.categorical)
    if spec is None or spec == "lightgbm":
        return BoostingRegressor(categorical, random_state, n_jobs)
    if isinstance(spec, str):
        _require_shorthand(spec, "regressor")
        return LinearRegressor(categorical) if spec == "linear" else MeanRegressor()
    _require_methods(spec, "regressor", ("fit", "predict", "get_params"))
    if getattr(spec, "_estimator_type", None) == "classifier" or _is_classifier(spec):
        raise DesignError(
            f"regressor={type(spec).__name__} is a classifier.", hint="Pass it as classifier=, or pass a regressor."
        )
    return SklearnLearner(spec, 0, names, categorical, random_state, n_jobs, _levels(features))


def as_classifier(
    spec: Any = None,
    features: FeatureMatrix | None = None,
    *,
    n_classes: int = 2,
    random_state: int = 0,
    n_jobs: int = 1,
) -> Learner:
    """Return the classification learner that ``spec`` asks for.

    Parameters
    ----------
    spec : None, str or estimator
        None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or a scikit-learn classifier with ``predict_proba``.
    features : FeatureMatrix, optional
        Tells which columns are categories, and their names.
    n_classes : int
        Number of classes; ``y`` holds the codes 0 to ``n_classes - 1``.
    random_state : int
        Seed for what draws.
    n_jobs : int
        Threads inside one fit.

    Returns
    -------
    Learner
        ``learner.fit(x, codes, weights, groups).predict(x)``: probabilities, shape (n, n_classes). A class that the
        training rows lack gets probability zero.

    Raises
    ------
    DesignError
        If ``spec`` is none of these, or has no ``predict_proba``.
    """
    names, categorical = ((), ()) if features is None else (features.names, features.categorical)
    if spec is None or spec == "lightgbm":
        return BoostingClassifier(n_classes, categorical, random_state, n_jobs)
    if isinstance(spec, str):
        _require_shorthand(spec, "classifier")
        return LinearClassifier(n_classes, categorical) if spec == "linear" else ShareClassifier(n_classes)
    _require_methods(spec, "classifier", ("fit", "predict_proba", "get_params"))
    return SklearnLearner(spec, n_classes, names, categorical, random_state, n_jobs, _levels(features))


def _require_shorthand(spec: str, role: str) -> None:
    if spec not in LEARNERS:
        raise DesignError(f"{role}={spec!r} is unknown.", hint=f"Use one of {', '.join(map(repr, LEARNERS))}.")


def _require_methods(spec: Any, role: str, methods: tuple[str, ...]) -> None:
    lacking = [method for method in methods if not _offers(spec, method)]
    if isinstance(spec, type):
        raise DesignError(f"{role}={spec.__name__} is a class.", hint=f"Pass an instance: {spec.__name__}().")
    if lacking:
        raise DesignError(
            f"{role}={type(spec).__name__} has no {' or '.join(lacking)}.",
            hint=f"Pass a scikit-learn {role}" + (" with predict_proba." if "predict_proba" in lacking else "."),
        )


def _offers(spec: Any, method: str) -> bool:
    """Tell whether an estimator has a method, or will once its default final estimator is made at the fit (stacking)."""
    waits = hasattr(spec, "final_estimator") and spec.final_estimator is None
    return hasattr(spec, method) or (waits and hasattr(type(spec), method))


def _levels(features: FeatureMatrix | None) -> Any:
    """Return the labels of the categories where the covariates hold them."""
    return getattr(getattr(features, "schema", None), "levels", None)


def _is_classifier(spec: Any) -> bool:
    """Ask scikit-learn, for what is one of its estimators."""
    if not hasattr(spec, "__sklearn_tags__"):
        return False
    from sklearn.base import is_classifier

    return bool(is_classifier(spec))
