"""People whom a model is asked about: rows of its fit are known again, the others have their gaps filled if need be."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.core.result import Result
from causalkit.data.frame import Frame
from causalkit.effects.bagged import Spread
from causalkit.effects.row_keys import Keys, in_schema, locate, row_keys
from causalkit.kernels.arrays import Floats, Ints, read_only


class KnowsItsRows(Result):
    """What models of effects share: never a prediction of a row by a model that has seen its outcome."""

    predictor: Any
    out_of_fold: Spread
    schema: Schema
    fingerprint: str
    n_table: int

    @property
    def _positions(self) -> Ints:
        """Rows of the table of the fit that were used."""
        raise NotImplementedError

    @cached_property
    def training_keys(self) -> tuple[Schema, Keys] | None:
        """One number for each row of the fit, by which rows are known again, and the schema they are read with.

        A pickle keeps it instead of the data.
        """
        if self.sample is None:
            return None
        values = in_schema(self.sample.features(), self.schema)
        return self.schema, row_keys(values, self.sample.outcome)

    @cached_property
    def covariate_keys(self) -> Keys | None:
        """The same by covariates alone, for tables without the outcome."""
        return None if self.sample is None else row_keys(in_schema(self.sample.features(), self.schema))

    @cached_property
    def typical(self) -> Floats | None:
        """What is put in the gaps of new rows, shape (p,): see :func:`typical_values`."""
        return None if self.sample is None else typical_values(self.sample.features())

    def __getstate__(self) -> dict[str, Any]:
        kept = ("training_keys", "covariate_keys", "typical")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in kept}}

    def _spread(self, data: Any) -> Spread:
        """Predictions on the learning scale: out of fold for the rows of the fit, else by all folds."""
        if data is None:
            return self.out_of_fold
        frame = Frame.read(data)
        name = self.roles.get("outcome")
        told = (name,) if isinstance(name, str) and name in frame.columns and name not in self.schema.names else ()
        frame = frame.select((*self.schema.names, *told)).collect()
        features = self.schema.read(frame)
        at = self._recognise(frame, features)
        rest = np.flatnonzero(at < 0)
        if not len(at) or len(rest) == len(at):
            return self._fresh(features.values)
        found = self.out_of_fold
        mean, covariance = found.mean[at], found.covariance[at]
        if rest.size:
            fresh = self._fresh(features.values[rest])
            mean[rest], covariance[rest] = fresh.mean, fresh.covariance
        return Spread(mean, covariance)

    def _fresh(self, values: Floats) -> Spread:
        """Predict rows that are not of the fit."""
        typical = self.typical
        found: Spread = self.predictor.predict(values if typical is None else filled(values, typical))
        return found

    def _recognise(self, frame: Frame, features: Features) -> Ints:
        """Tell which row of the fit each row is, or -1."""
        n, used = len(features.values), self._positions
        if n == self.n_table and fingerprint(features.take(used)) == self.fingerprint:
            at = np.full(n, -1, dtype=np.int64)
            at[used] = np.arange(len(used))
            return at
        name = self.roles.get("outcome")
        if isinstance(name, str) and name in frame.columns and frame.is_numeric(name):
            known, outcome = None if self.training_keys is None else self.training_keys[1], frame.numeric(name)
        else:
            known, outcome = self.covariate_keys, None
        return np.full(n, -1, dtype=np.int64) if known is None else locate(known, row_keys(features.values, outcome))


def typical_values(features: Features) -> Floats:
    """Return the median of each number that has no gap, shape (p,); NaN where there are gaps, and for categories.

    A model that has seen no gap in a covariate has not learned what one means; boosted trees would take it for zero.
    """
    values = features.values
    out = np.full(values.shape[1], np.nan)
    for j in range(values.shape[1]):
        if j not in features.categorical and not np.isnan(values[:, j]).any():
            out[j] = np.median(values[:, j])
    return read_only(out)


def filled(values: Floats, typical: Floats) -> Floats:
    """Return rows whose gaps hold what is typical, where something is."""
    gaps = np.isnan(values) & ~np.isnan(typical)
    return np.where(gaps, typical, values) if gaps.any() else values


def fingerprint(features: Features) -> str:
    """Return a digest of covariates: labels of categories count, their codes do not."""
    digest = hashlib.sha256()
    for j, levels in enumerate(features.schema.levels):
        digest.update(features.names[j].encode())
        column = np.ascontiguousarray(features.values[:, j])
        digest.update((column + 0.0).tobytes())  # -0.0 and 0.0 are one number
        digest.update(repr(levels).encode())
    return digest.hexdigest()
