"""Guards against judging a model by the outcomes that it was fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.sample import Sample
from causalkit.data.frame import Frame
from causalkit.effects.model import fingerprint
from causalkit.effects.row_keys import Keys, row_keys
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints

#: Training rows that recur no more often than this are as good as distinct: a share of matches above _FEW is no chance.
_DISTINCT, _FEW = 0.02, 0.01
#: Where new rows would match more often than this by chance, matches prove nothing.
_COMMON = 0.5
#: Where some matches are chance, the share of all other rows that has to match before rows are refused.
_MOST = 0.5
#: Kinds of rows of which equal counts are no chance.
_KINDS = 12


def is_training_table(model: Any, data: Any) -> bool:
    """Whether a table holds the covariates of the model's fit, row by row (so that effects are out of fold)."""
    features = model.schema.read(Frame.read(data).collect())
    used = model.study.rows.positions
    return bool(len(features.values) == model.n_table and fingerprint(features.take(used)) == model.fingerprint)


def same_data(model: Any, sample: Sample, at: Ints, arms: Ints) -> bool:
    """Whether rows of the training table still have the outcomes, arms, weights and propensities of the fit.

    Parameters
    ----------
    model : EffectModel
    sample : Sample
        Rows of the training table.
    at : Ints, shape (n,)
        Which rows of the fit they are.
    arms : Ints, shape (n_arms,)
        The model's code of each arm of the sample.
    """
    study, weights = model.study, sample.optional("weights")
    outcome, codes = study.scale.level(study.z[at]), study.arms.codes[at]
    if not _alike(outcome, sample.outcome) or not np.array_equal(arms[sample.arms.codes], codes):
        return False
    if weights is not None and study.weights is not None and not _alike(_share(weights), _share(study.weights[at])):
        return False
    known = sample.optional("propensity")
    if known is None or model.nuisances.propensity.source != "known":
        return True
    return _alike(known, model.nuisances.propensity.values[at, arms[1]])


@dataclass(frozen=True)
class Recurrence:
    """How many of some rows are met among those that trained a model.

    Parameters
    ----------
    rows : int
        Rows looked up.
    met : int
        Rows with the covariates and the outcome of a training row.
    by_chance : float or None
        Share of new rows for which that would be chance: one less the share of training rows that occur once (Good
        1953). None where the model does not know its rows.
    people : int
        Rows with the covariates of a training row, where covariates tell people apart; else zero.
    """

    rows: int
    met: int
    by_chance: float | None
    people: int

    def check(self, scores: str) -> Check:
        """Return the check ``held_out``; ``scores`` says what the scores use."""
        if self.by_chance is None or self.by_chance > _COMMON:
            message = "Whether these rows trained the model can't be told"
            why = (
                "" if self.by_chance is None else f": {fmt.share(self.by_chance)} of new rows would equal one by chance"
            )
            return Check("held_out", "untestable", f"{message}{why}{scores}.", advice=_MAKE_SURE)
        expected = self.by_chance * self.rows
        told = f"{self.met:,} of {fmt.plural(self.rows, 'row')} equal a row that trained the model"
        if self.met > expected + max(1.0, _FEW * self.rows) + 6.0 * np.sqrt(expected):
            return Check("held_out", "warn", f"{told}, where chance makes {expected:,.0f}{scores}.", advice=_MAKE_SURE)
        if self.people > max(1.0, _FEW * self.rows):
            message = (
                f"{self.people:,} of {fmt.plural(self.rows, 'row')} have the covariates of people who trained the model"
            )
            return Check(
                "held_out", "untestable", f"{message}, with other outcomes{scores}.",
                advice="That is right for outcomes of a later time, and wrong for the same outcomes on another scale.",
            )  # fmt: skip
        return Check("held_out", "pass", f"The model was fitted on other rows{scores}.")


_MAKE_SURE = "Make sure that no row trained the model: pass the table of the fit as it was, or rows of other people."


def refuse_training_rows(model: Any, data: Any, sample: Sample) -> Recurrence:
    """Raise if rows of a table that is not the training table trained the model (a part of it, or another order).

    Rows are compared by covariates and outcome (the column that was the outcome of the fit, if the table has it, or the
    outcome evaluated). Where new rows would match by chance as well (few, discrete covariates) matches have to be far more
    than that; how sure this is the returned account tells.
    """
    known, rows = model.training_keys, sample.rows.positions
    if known is None:
        return Recurrence(len(rows), 0, None, 0)
    frame = Frame.read(data).collect()
    schema, keys = known
    values = schema.read(frame).values[rows]
    met = np.zeros(len(rows), dtype=bool)
    for outcome in _outcomes(model, frame, sample):
        met |= np.isin(row_keys(values, outcome), keys)
    count, by_chance = int(met.sum()), _by_chance(keys)
    if by_chance > _DISTINCT and _is_shuffled(values, sample.outcome, keys):
        by_chance = 0.0
    elif by_chance > _DISTINCT and _strangers(model, sample):
        return Recurrence(len(rows), 0, 0.0, 0)
    if _is_leak(count, len(rows), by_chance):
        first = int(rows[np.flatnonzero(met)[0]])
        raise DesignError(
            f"{count:,} of {len(met):,} rows trained the model (first in row {first}), so its effects have seen their "
            "outcomes.",
            hint="Pass the table of the fit as it was (out-of-fold effects are then used), or rows that the model has "
            "not seen.",
            rows=[first],
        )
    return Recurrence(len(rows), count, by_chance, _people(model, values))


def _is_shuffled(values: Floats, outcome: Floats, keys: Keys) -> bool:
    """Whether rows are those of the fit in another order: each kind of row, of which there are some, as often."""
    new = row_keys(values, outcome)
    return (
        len(new) == len(keys) and len(np.unique(keys)) >= _KINDS and bool(np.array_equal(np.sort(new), np.sort(keys)))
    )


def _is_leak(met: int, rows: int, by_chance: float) -> bool:
    if by_chance <= _DISTINCT:
        return met > max(1.0, _FEW * rows)
    expected = by_chance * rows
    noise = 6.0 * np.sqrt(expected * (1.0 - by_chance))
    return by_chance <= _COMMON and met > expected + max(noise, _MOST * (rows - expected))


def _by_chance(keys: Keys) -> float:
    """Share of new rows that equal a training row by chance."""
    _, counts = np.unique(keys, return_counts=True)
    return 1.0 - float(np.count_nonzero(counts == 1)) / max(len(keys), 1)


def _outcomes(model: Any, frame: Frame, sample: Sample) -> list[Floats]:
    """Columns that may be the outcome of the fit."""
    name = model.roles.get("outcome")
    own = isinstance(name, str) and name in frame.columns and frame.is_numeric(name)
    return [sample.outcome, *([frame.numeric(name)[sample.rows.positions]] if own else [])]


def _people(model: Any, values: Floats) -> int:
    known = model.covariate_keys
    if known is None or _by_chance(known) > _DISTINCT:
        return 0
    return int(np.isin(row_keys(values), known).sum())


def _strangers(model: Any, sample: Sample) -> bool:
    """Whether units are labelled in both tables, and none is in both."""
    old, new = model.study.rows.labels, sample.rows.labels
    return old is not None and new is not None and not set(old.tolist()) & set(new.tolist())


def _share(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum())


def _alike(a: Floats, b: Floats) -> bool:
    """Whether numbers are the same up to the rounding of a change of scale."""
    differ: Bools = np.abs(a - b) > 1e-9 * np.maximum(np.ptp(b), 1e-5 * np.abs(b).max(initial=0.0))
    return not bool(differ.any())
