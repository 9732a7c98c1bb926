"""Covariates cut into bins once, for all the boosted models that are fitted on some of their rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.features import FeatureMatrix, take_rows
from causalkit.nuisance.learners import Learner, Model

#: On fewer rows, trees look through histograms longer than they fill them, and coarse ones were as accurate.
_FINE_FROM = 30_000


def bins_for(n_rows: int) -> int:
    """Return the bins per covariate of nuisances."""
    return 255 if n_rows >= _FINE_FROM else 63


class BinnedTable:
    """A table whose LightGBM bins are found once; bins depend on covariates only, never on an outcome.

    Parameters
    ----------
    features : FeatureMatrix
        Covariates, (n, p).
    narrow : BinnedTable, optional
        A table of the first columns, whose bins are taken over; the others are numbers.
    """

    def __init__(self, features: FeatureMatrix, narrow: BinnedTable | None = None) -> None:
        # Not the features themselves: they are the weak key under which this table is kept.
        self.values, self.categorical, self._narrow = features.values, features.categorical, narrow
        self._made: dict[int, Any] = {}
        self._lock = Lock()

    def dataset(self, max_bin: int | None = None) -> Any:
        """Return the LightGBM dataset of all rows; by default in as many bins as serve nuisances."""
        max_bin = bins_for(len(self.values)) if max_bin is None else max_bin
        with self._lock:
            if max_bin not in self._made:
                if self._narrow is None:
                    self._made[max_bin] = _construct(self.values, self.categorical, max_bin)
                else:
                    self._made[max_bin] = self._widened(self._narrow, max_bin)
        return self._made[max_bin]

    def _widened(self, narrow: BinnedTable, max_bin: int) -> Any:
        """Put the bins of the last columns behind a copy of those of the first."""
        settings = {**dataset_parameters(max_bin), "num_threads": 1}
        out = part(narrow.dataset(max_bin), np.arange(len(self.values)), settings)
        with warnings.catch_warnings():  # LightGBM says that the raw data can't be joined, which it need not keep
            warnings.simplefilter("ignore", UserWarning)
            out.add_features_from(_construct(self.values[:, narrow.values.shape[1] :], (), max_bin))
        return out

    def view(self, rows: Ints) -> View:
        """Return some of the rows, ascending."""
        return View(self, rows)


def _construct(values: Floats, categorical: Sequence[int], max_bin: int) -> Any:
    import lightgbm

    return lightgbm.Dataset(
        values,
        categorical_feature=list(categorical) or "auto",
        params={**dataset_parameters(max_bin), "num_threads": 1},
        free_raw_data=True,
    ).construct()


@dataclass(frozen=True, eq=False)
class View:
    """Some rows of a table, as what a learner is fitted on."""

    table: BinnedTable
    rows: Ints

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return len(self.rows), int(self.table.values.shape[1])

    @property
    def values(self) -> Floats:
        """The rows as an array."""
        return take_rows(self.table.values, self.rows)


def part(dataset: Any, rows: Ints, settings: dict[str, Any]) -> Any:
    """Return the LightGBM dataset of some rows, ascending, with the bins of the whole one; labels are not set."""
    out = dataset.subset((), params=settings)
    out.used_indices = rows.astype(np.int32)  # LightGBM would sort them one by one, as a list
    return out.construct()


@dataclass(frozen=True)
class OnArrays:
    """A learner that wants its rows as an array."""

    learner: Learner

    def fit(self, x: Any, y: Floats, weights: Floats | None = None, groups: Codes | None = None) -> Model:
        """Fit on the rows of a view."""
        return self.learner.fit(x.values, y, weights, groups)


def dataset_parameters(max_bin: int) -> dict[str, Any]:
    """Return what decides the bins, which all fits on a table share."""
    return {"max_bin": max_bin, "feature_pre_filter": False, "verbosity": -1}


_tables: WeakKeyDictionary[Any, BinnedTable] = WeakKeyDictionary()


def binned(features: FeatureMatrix) -> BinnedTable:
    """Return the table of some covariates, the same one as long as these live."""
    try:
        return _tables.setdefault(features, BinnedTable(features))
    except TypeError:  # what has no weak reference is binned by each caller
        return BinnedTable(features)


def on_views(learner: Learner) -> Learner:
    """Return a learner that is fitted on views: boosting uses the bins of the table, others get arrays."""
    from causalkit.nuisance.boosting import BoostingClassifier, BoostingRegressor

    return learner if isinstance(learner, BoostingRegressor | BoostingClassifier) else OnArrays(learner)
