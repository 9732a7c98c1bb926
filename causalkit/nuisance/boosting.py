"""LightGBM with the settings that serve nuisances: small trees, few assumptions, stopped and averaged by cross-validation.

Effects of coupons and offers are weak beside the noise, so the danger is a nuisance that has learned noise. The number
of rounds is chosen by one internal cross-validation, and the prediction is the mean of the models of that
cross-validation at that number of rounds. Averaging them costs no refit and was at least as accurate as refitting on
all rows in most of the designs this default was chosen on (Nie and Wager 2021, Wager and Athey 2018, a coupon trial,
pure noise; 2,000 and 10,000 rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.binned import View, bins_for, dataset_parameters, part
from causalkit.nuisance.crossfit import deal_folds
from causalkit.nuisance.learners import ConstantModel, Learner, MeanRegressor, Model, ShareClassifier, WidenedModel
from causalkit.nuisance.trees import without_data

#: Fewer rows than this can't hold two leaves and a validation fold.
FEWEST_ROWS = 60
#: Fewer rows than this outside the largest class say nothing about covariates.
FEWEST_EVENTS = 10
_MOST_ROUNDS = 1000
_PATIENCE = 20
_INNER_FOLDS = 5
#: On fewer rows, threads wait for each other longer than they work.
_FEWEST_THREADED = 50_000


def parameters(n_rows: int, *, seed: int, n_jobs: int) -> dict[str, Any]:
    """Return the LightGBM parameters for a training set of ``n_rows`` rows; trees grow with the data."""
    leaves = 4 if n_rows < 3_000 else 8 if n_rows < 30_000 else 16 if n_rows < 300_000 else 31
    return {
        "num_leaves": leaves,
        "learning_rate": 0.05 if n_rows < 20_000 else 0.1,
        "min_data_in_leaf": 20,
        "num_threads": n_jobs if n_rows >= _FEWEST_THREADED else 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed % 2**31,
        "verbosity": -1,
    }


@dataclass(frozen=True)
class BoostedModel:
    """The boosters of one internal cross-validation, averaged at the number of rounds that it chose."""

    boosters: tuple[Model, ...]
    rounds: int

    def predict(self, x: Floats) -> Floats:
        """Return the mean prediction; (n, 2) probabilities for two classes come from :class:`TwoClassModel`."""
        total = self.boosters[0].predict(x)
        for booster in self.boosters[1:]:
            total = total + booster.predict(x)
        mean: Floats = total / len(self.boosters)
        return mean


@dataclass(frozen=True)
class TwoClassModel:
    """Both columns of probabilities from the one that LightGBM gives."""

    model: Model

    def predict(self, x: Floats) -> Floats:
        """Return probabilities, shape (n, 2)."""
        second = self.model.predict(x)
        return np.column_stack([1.0 - second, second])


@dataclass(frozen=True)
class BoostingRegressor:
    """Squared-error boosting of trees; missing values and categories are handled natively.

    Parameters
    ----------
    categorical : tuple of int
        Positions of the columns that hold category codes.
    random_state : int
        Deals the rows to the internal folds.
    n_jobs : int
        Threads of LightGBM, from 50,000 rows on; the answer is the same for any number.
    rounds : int, optional
        How many rounds to boost, on all rows, where this was chosen before (see :func:`like`).
    """

    categorical: tuple[int, ...] = ()
    random_state: int = 0
    n_jobs: int = 1
    rounds: int | None = None

    def fit(self, x: Floats | View, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit; on fewer than 60 rows, or without covariates, the model is the mean."""
        if len(y) < FEWEST_ROWS or x.shape[1] == 0:
            return MeanRegressor().fit(y[:, None], y, weights)
        folds = deal_folds(np.zeros(len(y), dtype=np.int64), groups, _INNER_FOLDS, self.random_state)
        return _boost(x, y, weights, folds, {"objective": "l2"}, self)


@dataclass(frozen=True)
class BoostingClassifier:
    """Logistic or multinomial boosting of trees; missing values and categories are handled natively.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    categorical, random_state, n_jobs, rounds
        As for :class:`BoostingRegressor`.
    """

    n_classes: int
    categorical: tuple[int, ...] = ()
    random_state: int = 0
    n_jobs: int = 1
    rounds: int | None = None

    def fit(self, x: Floats | View, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit; with fewer than 60 rows, 10 rows outside the largest class, or no covariates: the shares."""
        seen, codes, counts = np.unique(y.astype(np.int64), return_inverse=True, return_counts=True)
        few = len(y) < FEWEST_ROWS or len(y) - counts.max() < FEWEST_EVENTS
        if few or x.shape[1] == 0:
            return ShareClassifier(self.n_classes).fit(y[:, None], y, weights)
        folds = deal_folds(codes, groups, _INNER_FOLDS, self.random_state)
        if len(seen) == 2:
            objective: dict[str, Any] = {"objective": "binary"}
        else:
            objective = {"objective": "multiclass", "num_class": len(seen)}
        fitted = _boost(x, codes.astype(float), weights, folds, objective, self)
        if isinstance(fitted, ConstantModel):
            return ShareClassifier(self.n_classes).fit(y[:, None], y, weights)
        model: Model = TwoClassModel(fitted) if len(seen) == 2 else fitted
        return model if len(seen) == self.n_classes else WidenedModel(model, seen, self.n_classes)


_L = TypeVar("_L", bound=Learner)


def like(learner: _L, model: Model) -> _L:
    """Return a learner that boosts as many rounds as a model that it has fitted, on all of its rows.

    So that the same regression on other folds need not choose again. Learners that don't boost, and those whose rounds were
    chosen on few rows, by all of five validation folds, are returned as they are.
    """
    if isinstance(learner, BoostingRegressor | BoostingClassifier):
        while not isinstance(model, BoostedModel) and hasattr(model, "model"):
            model = model.model
        known = isinstance(model, BoostedModel) and len(model.boosters) == 1
        return replace(learner, rounds=model.rounds) if known else learner  # type: ignore[attr-defined]
    inner = getattr(learner, "learner", None)
    return learner if inner is None else type(learner)(like(inner, model))  # type: ignore[call-arg]


#: From so many rows on, one validation fold out of five chooses the number of rounds; on fewer, each of five does.
_ONE_VALIDATION = 20_000


def _splits(folds: Codes) -> list[tuple[Ints, Ints]]:
    """Return (training, validation) rows of the internal cross-validation."""
    present = np.unique(folds)
    used = present if len(folds) < _ONE_VALIDATION else present[:1]
    return [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in used]


def _boost(
    x: Floats | View,
    y: Floats,
    weights: Floats | None,
    folds: Codes,
    objective: dict[str, Any],
    learner: BoostingRegressor | BoostingClassifier,
) -> Model:
    """Cross-validate once and keep the boosters."""
    if len(np.unique(folds)) < 2:  # a single cluster can't be split
        return ConstantModel(np.asarray(np.average(y, weights=weights)))
    settings = objective | parameters(len(y), seed=learner.random_state, n_jobs=learner.n_jobs)
    settings |= dataset_parameters(bins_for(len(x.table.values) if isinstance(x, View) else len(x)))
    table, rows = _table(x, learner, settings)
    data = _Labelled(table, rows, y, weights, settings)
    if learner.rounds is None:
        boosters, rounds = _cross_validate(data, _splits(folds))
    else:
        boosters, rounds = [_boosted(data, learner.rounds)], learner.rounds
    return BoostedModel(tuple(without_data(booster, rounds) for booster in boosters), rounds)


def _table(
    x: Floats | View, learner: BoostingRegressor | BoostingClassifier, settings: dict[str, Any]
) -> tuple[Any, Ints]:
    """Return a LightGBM dataset, and which of its rows are meant."""
    import lightgbm

    if isinstance(x, View):
        return x.table.dataset(), x.rows
    categories: Any = list(learner.categorical) or "auto"
    return lightgbm.Dataset(x, categorical_feature=categories, params=settings).construct(), np.arange(len(x))


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Rows of a LightGBM dataset, with their targets and weights."""

    table: Any
    rows: Ints
    y: Floats
    weights: Floats | None
    settings: dict[str, Any]

    def part(self, at: Ints | slice = slice(None)) -> Any:
        """Return the dataset of some of the rows."""
        data = part(self.table, self.rows[at], self.settings)
        data.set_label(self.y[at])
        if self.weights is not None:
            data.set_weight(self.weights[at])
        return data


def _boosted(data: _Labelled, rounds: int) -> Any:
    """Boost all rows."""
    import lightgbm

    booster = lightgbm.Booster(data.settings, data.part())
    for _ in range(rounds):
        if booster.update():
            break
    return booster


def _cross_validate(data: _Labelled, splits: list[tuple[Ints, Ints]]) -> tuple[list[Any], int]:
    """Boost all splits round by round until their mean validation loss has not fallen for a while."""
    import lightgbm

    boosters = []
    for train, valid in splits:
        booster = lightgbm.Booster(data.settings, data.part(train))
        booster.add_valid(data.part(valid), "valid")
        boosters.append(booster)
    best, rounds = np.inf, 1
    for done in range(1, _MOST_ROUNDS + 1):
        finished = [booster.update() for booster in boosters]
        loss = sum(booster.eval_valid()[0][2] for booster in boosters) / len(boosters)
        if loss < best:
            best, rounds = loss, done
        if done - rounds >= _PATIENCE or all(finished):
            break
    return boosters, rounds
