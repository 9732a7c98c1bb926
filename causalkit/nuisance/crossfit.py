"""Folds for cross-fitting, and predictions that never come from a model that has seen the row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.nuisance.features import take_rows
from causalkit.nuisance.learners import Model

Predict = Callable[[Ints], Floats]
Fit = Callable[[Ints], Predict]

#: More clusters than this are dealt by size instead of placed one by one.
_MOST_PLACED = 5_000


def make_folds(
    n: int,
    n_folds: int,
    *,
    arms: Codes | None = None,
    groups: Codes | None = None,
    outcome: Floats | None = None,
    random_state: int = 0,
    arm_names: Sequence[str] | None = None,
) -> Codes:
    """Deal rows to folds, balanced by arm and, for a binary outcome, by arm and outcome.

    Without clusters each arm, and each outcome within an arm, has the same count in every fold up to one row. With
    clusters, whole clusters go to folds: the largest first, each to the fold where it keeps the strata most even.

    Parameters
    ----------
    n : int
        Number of rows.
    n_folds : int
        Number of folds, at least 2.
    arms : Codes, shape (n,), optional
        Arm of each row.
    groups : Codes, shape (n,), optional
        Cluster of each row; only which rows share a code matters.
    outcome : Floats, shape (n,), optional
        Used only where it is binary (0 and 1), so that rare events are spread over the folds.
    random_state : int
        Shuffles rows (clusters) before they are dealt.
    arm_names : sequence of str, optional
        Names for the error messages.

    Returns
    -------
    Codes, shape (n,)
        The fold of each row. It depends on the order of the rows and on nothing else about them but the arguments.

    Raises
    ------
    DesignError
        If ``n_folds`` is less than 2, or an arm has fewer rows (or clusters) than there are folds.
    """
    if n_folds < 2:
        raise DesignError(f"n_folds={n_folds} leaves no rows to fit on.", hint="Use n_folds of 2 or more.")
    codes = np.zeros(n, dtype=np.int64) if arms is None else arms.astype(np.int64)
    _require_enough(codes, groups, n_folds, arm_names if arms is not None else None, named=arms is not None)
    strata = codes
    if outcome is not None and is_binary(outcome):
        strata = 2 * codes + outcome.astype(np.int64)
    folds = deal_folds(strata, groups, n_folds, random_state)
    if groups is not None:
        _require_arms_outside(codes, folds, n_folds, arm_names)
    return read_only(folds)


def is_binary(outcome: Floats) -> bool:
    """Tell whether an outcome takes the values 0 and 1, both of them, and no other."""
    return bool(np.all((outcome == 0) | (outcome == 1)) and np.any(outcome == 0) and np.any(outcome == 1))


def deal_folds(strata: Ints, groups: Codes | None, n_folds: int, random_state: int) -> Codes:
    """Deal rows, or whole clusters, to folds so that every stratum is spread evenly; no checks are made."""
    rng = np.random.default_rng(random_state)
    if groups is not None:
        return _deal_groups(strata, groups, n_folds, rng)
    shuffled = rng.permutation(len(strata))
    by_stratum = shuffled[np.argsort(strata[shuffled], kind="stable")]
    folds = np.empty(len(strata), dtype=np.int32)
    folds[by_stratum] = np.arange(len(strata)) % n_folds
    return folds


def cross_predict(fit: Fit, folds: Codes, *, n_jobs: int = 1) -> Floats:
    """Predict every row by a model that was fitted without the row's fold.

    Parameters
    ----------
    fit : callable
        ``fit(training_rows)`` fits on these rows (positions) and returns ``predict(rows)``, which returns an array whose
        first axis runs over ``rows``. It is called once per fold, and never sees the rows it will predict.
    folds : Codes, shape (n,)
        Fold of each row.
    n_jobs : int
        Folds worked on at a time, in threads. The answer is the same for any value.

    Returns
    -------
    Floats, shape (n,) or (n, k)
        Out-of-fold predictions, in the order of the rows.
    """

    def one(fold: int) -> tuple[Ints, Floats]:
        held_out = np.flatnonzero(folds == fold)
        return held_out, fit(np.flatnonzero(folds != fold))(held_out)

    present = [int(fold) for fold in np.unique(folds)]
    if n_jobs == 1:
        parts = [one(fold) for fold in present]
    else:
        with ThreadPoolExecutor(max_workers=n_jobs) as pool:
            parts = list(pool.map(one, present))
    first = parts[0][1]
    out = np.empty((len(folds), *first.shape[1:]))
    for rows, values in parts:
        out[rows] = values
    return out


def cross_fit_models(
    fit: Callable[[Ints], Model], x: Floats, folds: Codes, *, n_jobs: int = 1
) -> tuple[Floats, tuple[Model, ...]]:
    """Predict every row by a model that was fitted without the row's fold, and keep the models.

    Parameters
    ----------
    fit : callable
        ``fit(training_rows)`` returns a model.
    x : Floats, shape (n, p)
        Covariates.
    folds, n_jobs
        As for :func:`cross_predict`.

    Returns
    -------
    predictions : Floats, shape (n,) or (n, k)
    models : tuple of Model
        One per fold, in the order of their codes: the model that has not seen that fold.
    """
    kept: dict[int, Model] = {}

    def one(train: Ints) -> Predict:
        model = fit(train)

        def predict(held_out: Ints) -> Floats:
            kept[int(folds[held_out[0]])] = model
            return model.predict(take_rows(x, held_out))

        return predict

    predictions = cross_predict(one, folds, n_jobs=n_jobs)
    return predictions, tuple(kept[fold] for fold in sorted(kept))


def _deal_groups(strata: Ints, groups: Codes, n_folds: int, rng: np.random.Generator) -> Codes:
    """Deal whole clusters; clusters are numbered by first appearance, so labels play no part."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    appearance = np.empty(len(first), dtype=np.int64)
    appearance[np.argsort(first)] = np.arange(len(first))
    cluster = appearance[inverse]
    _, stratum = np.unique(strata, return_inverse=True)
    counts = np.zeros((len(first), int(stratum.max()) + 1))
    np.add.at(counts, (cluster, stratum), 1.0)
    shuffled = rng.permutation(len(counts))
    sizes = counts.sum(axis=1)[shuffled]
    if len(counts) > _MOST_PLACED:
        order = shuffled[np.lexsort((-sizes, counts.argmax(axis=1)[shuffled]))]
        fold_of = np.empty(len(counts), dtype=np.int32)
        fold_of[order] = np.arange(len(counts)) % n_folds
    else:
        fold_of = _place(counts, shuffled[np.argsort(-sizes, kind="stable")], n_folds)
    return fold_of[cluster]


def _place(counts: Floats, order: Ints, n_folds: int) -> Codes:
    """Put each cluster where the sum over strata and folds of squared shares grows least."""
    shares = counts / counts.sum(axis=0)
    filled = np.zeros((n_folds, counts.shape[1]))
    held = np.zeros(n_folds)
    fold_of = np.empty(len(counts), dtype=np.int32)
    for cluster in order:
        growth = filled @ shares[cluster]
        best = np.lexsort((held, np.round(growth, 12)))[0]  # equal growth: the fold with fewer clusters
        fold_of[cluster] = best
        filled[best] += shares[cluster]
        held[best] += 1
    return fold_of


def _require_enough(
    codes: Ints, groups: Codes | None, n_folds: int, arm_names: Sequence[str] | None, *, named: bool
) -> None:
    unit = "row" if groups is None else "cluster"
    for arm in range(int(codes.max(initial=-1)) + 1):
        rows = codes == arm
        count = int(rows.sum()) if groups is None else len(np.unique(groups[rows]))
        if count < n_folds:
            who = f"arm {arm_label(arm, arm_names)} has" if named else "the sample has"
            fewer = "Drop the arm: cross-fitting needs two of them." if count < 2 else f"Use n_folds of at most {count}"
            if count >= 2:
                fewer += ", or drop the arm." if named else "."
            raise DesignError(
                f"{who} {count} {unit}{'' if count == 1 else 's'}, fewer than n_folds={n_folds}.", hint=fewer
            )


def _require_arms_outside(codes: Ints, folds: Codes, n_folds: int, arm_names: Sequence[str] | None) -> None:
    table = np.zeros((int(codes.max()) + 1, n_folds), dtype=np.int64)
    np.add.at(table, (codes, folds), 1)
    for arm, row in enumerate(table):
        if row.max() == row.sum():
            raise DesignError(
                f"all {row.sum()} rows of arm {arm_label(arm, arm_names)} fell into one fold; its clusters are too few or "
                "too unequal.",
                hint="Use fewer folds, finer clusters, or another random_state.",
            )


def arm_label(arm: int, arm_names: Sequence[str] | None) -> str:
    """Return the name of an arm for a message."""
    return str(arm) if arm_names is None else repr(arm_names[arm])
