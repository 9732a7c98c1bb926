"""Guards against judging a model by the outcomes that it was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.effects.model import fingerprint
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats

Keys = NDArray[np.uint64]
#: Rows that recur by chance: where training rows are mostly distinct, more than this share of matches is no chance.
_BY_CHANCE = 0.01
_DISTINCT = 0.9


def is_training_table(model: Any, data: Any) -> bool:
    """Whether a table holds the covariates of the model's fit, row by row (so that effects are out of fold)."""
    features = model.schema.read(Frame.read(data).collect())
    used = model.study.rows.positions
    return bool(len(features.values) == model.n_table and fingerprint(features.take(used)) == model.fingerprint)


def refuse_training_rows(model: Any, data: Any, sample: Sample) -> None:
    """Raise if rows of a table that is not the training table trained the model (a part of it, or another order).

    Rows are compared by outcome and covariates. Where training rows recur among themselves (few, discrete covariates)
    or the model no longer holds its sample, nothing can be said.
    """
    if model.sample is None or not isinstance(model.roles.get("outcome"), str):
        return
    frame = Frame.read(data).collect()
    name = model.roles["outcome"]
    if name not in frame.columns:
        return
    seen = model.sample.features()
    rows = sample.rows.positions
    new = np.column_stack([seen.schema.read(frame).values[rows], frame.numeric(name)[rows]])
    old = np.column_stack([seen.values, model.sample.outcome])
    keys = _keys(old)
    if len(np.unique(keys)) < _DISTINCT * len(keys):
        return
    met = np.isin(_keys(new), keys)
    count = int(met.sum())
    if count > max(1.0, _BY_CHANCE * len(met)):
        first = int(rows[np.flatnonzero(met)[0]])
        raise DesignError(
            f"{count:,} of {len(met):,} rows trained the model (first in row {first}), so its effects have seen their "
            "outcomes.",
            hint="Pass the table of the fit as it was (out-of-fold effects are then used), or rows that the model has "
            "not seen.",
            rows=[first],
        )


def _keys(rows: Floats) -> Keys:
    """One number per row, equal for equal rows."""
    bits: Keys = np.ascontiguousarray(rows + 0.0).view(np.uint64)
    drawn = np.random.default_rng(0).integers(2**63, size=bits.shape[1], dtype=np.uint64)
    odd: Keys = np.bitwise_or(drawn, np.uint64(1))
    total: Keys = np.zeros(len(bits), dtype=np.uint64)
    for j in range(bits.shape[1]):
        mixed = np.asarray(bits[:, j] * odd[j])
        np.bitwise_xor(total, mixed, out=total)
        np.bitwise_xor(total, np.right_shift(mixed, np.uint64(29)), out=total)
        np.multiply(total, np.uint64(0x9E3779B97F4A7C15), out=total)
    return total
