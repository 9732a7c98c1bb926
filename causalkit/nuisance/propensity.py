"""Propensities: the probability of each arm given the covariates, known by design or estimated out of fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only
from causalkit.nuisance.binned import binned, on_views
from causalkit.nuisance.calibration import calibrate as calibrate_out_of_fold
from causalkit.nuisance.crossfit import cross_fit_models
from causalkit.nuisance.defaults import as_classifier
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import Model
from causalkit.nuisance.overlap import Overlap, assess_overlap
from causalkit.nuisance.quality import discrimination

#: Smallest known probability: below it one row would stand for more than a million.
LEAST_LIKELY = 1e-6


@dataclass(frozen=True)
class Propensity:
    """The probability of each arm.

    Parameters
    ----------
    values : Floats, shape (n, n_arms)
        Probabilities, after clipping; each row sums to one.
    clipped : int
        Rows that were clipped.
    low, high : float
        The limits of clipping; for known propensities the smallest and largest value.
    source : {"known", "estimated"}
        Where they come from.
    auc : float or None
        How well they tell the arms apart, out of fold (0.5: not at all); the mean over arms where there are more than
        two. None for known propensities.
    overlap : Overlap
        The overlap report, from the values before clipping.
    models : tuple of Model
        The models of the folds, before recalibration; none for known propensities.
    """

    values: Floats
    clipped: int
    low: float
    high: float
    source: Literal["known", "estimated"]
    auc: float | None
    overlap: Overlap
    models: tuple[Model, ...] = ()


def known_propensity(
    value: ArrayLike,
    arms: Codes,
    n_arms: int,
    *,
    name: str = "propensity",
    arm_names: Sequence[str] | None = None,
) -> Propensity:
    """Take propensities that are known, as in a randomised experiment.

    Parameters
    ----------
    value : float or array
        With two arms: the probability of arm 1, as a number or one per row, shape (n,). With any number of arms: one
        probability per arm, shape (n_arms,), or per row and arm, shape (n, n_arms).
    arms : Codes, shape (n,)
        Arm of each row.
    n_arms : int
        Number of arms.
    name : str
        Column name for messages.
    arm_names : sequence of str, optional
        Names of the arms for messages.

    Returns
    -------
    Propensity

    Raises
    ------
    DataError
        If a value is below one in a million, or within that of 1, or the probabilities of a row do not sum to one.
    DesignError
        If the shape fits neither the rows nor the arms.
    """
    values = _as_matrix(np.asarray(value, dtype=float), len(arms), n_arms, name)
    inside: Bools = (values >= LEAST_LIKELY) & (values <= 1.0 - LEAST_LIKELY)
    bad = ~np.all(inside, axis=1)
    _refuse(
        bad,
        values,
        name,
        f"not between {LEAST_LIKELY:g} and 1 - {LEAST_LIKELY:g}",
        "Pass a probability, such as 0.5; a unit that could be in one arm only teaches nothing: drop it.",
    )
    off: Bools = np.abs(values.sum(axis=1) - 1.0) > 1e-6
    _refuse(off, values, name, "that do not sum to one over the arms", "Give the probability of every arm.")
    low, high = float(values.min()), float(values.max())
    report = assess_overlap(values, arms, arm_names=arm_names)
    return Propensity(read_only(values), 0, low, high, "known", None, report)


def estimate_propensity(
    features: FeatureMatrix,
    arms: Codes,
    folds: Codes,
    *,
    n_arms: int | None = None,
    classifier: Any = None,
    clip: float = 0.01,
    calibrate: bool = True,
    weights: Floats | None = None,
    groups: Codes | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    arm_names: Sequence[str] | None = None,
) -> Propensity:
    """Estimate propensities out of fold.

    Each row's probabilities come from a classifier that was fitted on the other folds, recalibrated by a map that was
    learned on the other folds (:func:`causalkit.nuisance.calibration.calibrate`). Where arms do not depend on the
    covariates this returns the shares of the arms.

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p).
    arms : Codes, shape (n,)
        Arm of each row.
    folds : Codes, shape (n,)
        Fold of each row.
    n_arms : int, optional
        Number of arms; by default the largest code plus one.
    classifier : None, str or estimator
        See :func:`causalkit.nuisance.defaults.as_classifier`.
    clip : float
        Smallest probability. For an arm rarer than ``10 * clip`` the limit is a tenth of its share, so that a rare
        treatment is not clipped away.
    calibrate : bool
        Whether to recalibrate.
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
    Propensity
    """
    k = int(arms.max()) + 1 if n_arms is None else n_arms
    if not 0.0 <= clip < 1.0 / k:
        raise DesignError(f"clip={clip} is not in [0, {1 / k:.3g}).", hint="Use a small number, such as 0.01.")
    learner = on_views(as_classifier(classifier, features, n_classes=k, random_state=random_state, n_jobs=1))

    table = binned(features)

    def fit(rows: Ints) -> Model:
        kept = rows if weights is None else rows[weights[rows] > 0]
        return learner.fit(table.view(kept), arms[kept].astype(float), _take(weights, kept), _take(groups, kept))  # type: ignore[arg-type]

    raw, models = cross_fit_models(fit, features.values, folds, n_jobs=n_jobs)
    if calibrate:
        raw = calibrate_out_of_fold(raw, arms, folds, weights)
    floor = min(clip, 0.1 * float(np.bincount(arms, weights=weights, minlength=k).min()) / _total(weights, len(arms)))
    values, touched = clip_probabilities(raw, floor)
    clipped = int(touched.sum())
    report = assess_overlap(raw, arms, clipped=clipped, arm_names=arm_names)
    auc = discrimination(raw, arms, folds)
    return Propensity(read_only(values), clipped, floor, 1.0 - (k - 1) * floor, "estimated", auc, report, models)


def clip_probabilities(probabilities: Floats, floor: float) -> tuple[Floats, Bools]:
    """Raise probabilities to ``floor`` and shrink the others of the row, so that the row still sums to one.

    Parameters
    ----------
    probabilities : Floats, shape (n, k)
        Rows that sum to one.
    floor : float
        Smallest probability, below 1 / k.

    Returns
    -------
    values : Floats, shape (n, k)
        No value is below ``floor``.
    touched : Bools, shape (n,)
        Rows that were changed.
    """
    touched: Bools = np.any(probabilities < floor, axis=1)
    values = probabilities.copy()
    low = values < floor
    for _ in range(values.shape[1] - 1):  # each pass can push at most one more class under the floor
        rest = np.where(low, 0.0, values)
        room = 1.0 - floor * low.sum(axis=1, keepdims=True)
        scaled = np.where(low, floor, rest * room / rest.sum(axis=1, keepdims=True))
        values = np.where(touched[:, None], scaled, values)
        under = values < floor
        if not (under & ~low).any():
            break
        low |= under
    return np.maximum(values, floor), touched


def _as_matrix(value: Floats, n: int, n_arms: int, name: str) -> Floats:
    if value.ndim == 0 or (value.shape == (n,) and n_arms == 2):
        if n_arms != 2:
            raise DesignError(
                f"{name} is one number and there are {n_arms} arms.",
                hint="Pass one probability per arm, in their order.",
            )
        second = np.broadcast_to(value, (n,))
        return np.column_stack([1.0 - second, second])
    if value.shape == (n_arms,):
        return np.tile(value, (n, 1))
    if value.shape == (n, n_arms):
        return value.copy()
    raise DesignError(
        f"{name} has shape {value.shape}, which fits neither {n} rows nor {n_arms} arms.",
        hint=f"Pass a number or shape ({n},) for two arms, ({n_arms},) or ({n}, {n_arms}) for any.",
    )


def _refuse(bad: Bools, values: Floats, name: str, problem: str, hint: str) -> None:
    if not bad.any():
        return
    rows = np.flatnonzero(bad)
    shown = np.array2string(values[rows[0], 1:] if values.shape[1] == 2 else values[rows[0]], precision=4)
    raise DataError(
        f"{name!r} has {len(rows)} row{'' if len(rows) == 1 else 's'} with probabilities {problem}; first row {rows[0]}: {shown}.",
        hint=hint,
        column=name,
        rows=rows[:5].tolist(),
    )


def _take(array: Any, rows: Ints) -> Any:
    return None if array is None else array[rows]


def _total(weights: Floats | None, n: int) -> float:
    return float(n) if weights is None else float(weights.sum())
