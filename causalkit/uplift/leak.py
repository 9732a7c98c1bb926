"""Guards against judging a model by the outcomes that it was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.effects.model import fingerprint
from causalkit.effects.row_keys import row_keys
from causalkit.errors import DesignError

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
    nothing can be said.
    """
    known = model.training_keys
    if known is None or not isinstance(model.roles.get("outcome"), str):
        return
    frame = Frame.read(data).collect()
    name = model.roles["outcome"]
    if name not in frame.columns:
        return
    rows = sample.rows.positions
    schema, keys = known
    new = np.column_stack([schema.read(frame).values[rows], frame.numeric(name)[rows]])
    if len(np.unique(keys)) < _DISTINCT * len(keys):
        return
    met = np.isin(row_keys(new), keys)
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
