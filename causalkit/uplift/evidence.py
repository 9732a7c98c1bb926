"""What targeting rests on: an effect for each person from a model that has not seen her outcome, and her held-out score.

:func:`gather` is the one place where a fitted model, an array or a column becomes :class:`Evidence`. For the table that
a model was fitted on, effects are out of fold and scores are the model's own; for other rows, scores are cross-fitted
on those rows. A part of the training table is refused: effects that have seen the outcomes can't be judged by them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.design import Design
from causalkit.core.estimator import Estimator
from causalkit.core.result import Result
from causalkit.core.roles import Role
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Sample
from causalkit.effects.crossfit_study import ROLES, clusters_of
from causalkit.effects.plain_result import outcome_name
from causalkit.effects.prediction import EffectPrediction
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.uplift.foreign import foreign_effect
from causalkit.uplift.held_out import KnownScores, Maker, arms_in_model, require_one_arm, scores_of
from causalkit.uplift.leak import Recurrence, is_training_table, refuse_training_rows, same_data
from causalkit.uplift.line import line_prediction
from causalkit.uplift.ranks import as_floats

_T = TypeVar("_T")
Source = Literal["out_of_fold", "new_rows", "given"]

#: Roles that uplift tools bind.
BOUND: dict[str, Role] = {
    **ROLES,
    "effect": Role("number", required=False),
    "score": Role("number", required=False),
    "cost": Role("number", required=False),
}
#: Roles that decide the held-out scores; where one differs from the model's, scores are made anew.
_OF_SCORES = ("outcome", "treatment", "control", "propensity", "weights", "covariates")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Effects and held-out scores, row by row, in the user's order.

    Parameters
    ----------
    sample : Sample
        The rows used.
    effect : Floats, shape (n,)
        Predicted effect (or a score), by a model that has not seen the row's outcome.
    scores : Floats, shape (n,)
        Doubly robust scores of the effect.
    priority : Floats, shape (n,)
        What people are ranked by. Of a model on its own training table, the deviation from the average before it is shrunk
        (within a fold it ranks as the effect does, and it still ranks where the effect was shrunk to the average); else the
        effect.
    arm_scores : Floats, shape (n, 2)
        Doubly robust scores of the control and of the arm of interest. Their difference is ``scores`` up to rounding.
    prediction : EffectPrediction
        Baseline and effect with their errors. Of a model, its own; of an array, the calibration line of the array.
    folds : Codes, shape (n,), or None
        Folds of out-of-fold effects; None where the effects come from elsewhere.
    groups : Groups or None
        Clusters.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    source : {"out_of_fold", "new_rows", "given"}
        Whose effects these are: a model's on its own training table, a model's on new rows, or the caller's.
    is_effect : bool
        Whether ``effect`` is in units of the outcome.
    propensity : {"known", "estimated"}
        Where the scores' propensities come from.
    recurrence : Recurrence or None
        How many of a model's new rows are met among those that trained it.
    of_model : mapping of str to Check
        Checks of the nuisances that what follows rests on as well: how outcomes went missing, balance and overlap.
    expected, chances : Floats, shape (n, 2)
        Expected outcome under the control and under the arm of interest, and the propensities of the two.
    contrasts, levels : Floats, shape (n, n_arms - 1) and (n, n_arms)
        Scores of the effects of all arms over the control and of the outcomes under all arms, in the order of the sample's
        arms; ``scores`` and ``arm_scores`` are their first columns.
    """

    sample: Sample
    effect: Floats
    priority: Floats
    scores: Floats
    arm_scores: Floats
    prediction: EffectPrediction
    folds: Codes | None
    groups: Groups | None
    weights: Floats | None
    source: Source
    is_effect: bool
    propensity: str
    expected: Floats
    chances: Floats
    contrasts: Floats
    levels: Floats
    recurrence: Recurrence | None = None
    of_model: Mapping[str, Check] = field(default_factory=dict)

    @property
    def codes(self) -> Codes | None:
        """Cluster codes."""
        return None if self.groups is None else self.groups.codes

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return outcome_name(self.sample.given)

    @property
    def contrast(self) -> str:
        """What is compared, in words."""
        return self.sample.arms.contrast()

    @property
    def is_binary(self) -> bool:
        """Whether the outcome is 0 and 1."""
        return bool(np.all(np.isin(self.sample.outcome, (0.0, 1.0))))

    def checks(self) -> dict[str, Check]:
        """What was used, and whether the effects are held out."""
        from causalkit.core.input_checks import missing_check

        return {"missing": missing_check(self.sample), **self.of_model, "held_out": self._held_out()}

    def _held_out(self) -> Check:
        scores = f"; scores use {self.propensity} propensities"
        if self.source == "out_of_fold":
            assert self.folds is not None
            folds = fmt.plural(len(np.unique(self.folds)), "fold")
            message = f"Each person's effect comes from a model that has not seen her outcome ({folds}){scores}."
            return Check("held_out", "pass", message)
        if self.recurrence is not None:
            return self.recurrence.check(scores)
        return Check(
            "held_out",
            "untestable",
            f"The effects were handed over as numbers; whether these rows trained them is not known{scores}. Where their size "
            "matters, an average and a slope are taken from the same scores that judge them, which flatters a little.",
            advice="Make sure that they come from a model that has not seen these outcomes, or pass the fitted model.",
        )


def seeded(tool: _T) -> _T:
    """Return the tool with a seed drawn where ``random_state`` is None, so that its report stores it."""
    if tool.random_state is None:  # type: ignore[attr-defined]
        return replace(tool, random_state=secrets.randbits(31))  # type: ignore[type-var]
    return tool


def gather(
    data: Any,
    given: Mapping[str, Any],
    random_state: int = 0,
    *,
    all_arms: bool = False,
    known: KnownScores | None = None,
    only: Ints | None = None,
) -> Evidence:
    """Bind a table and join it with effects.

    Parameters
    ----------
    data : table
    given : mapping
        Keywords of ``fit``: ``effect`` or ``score``, and roles; those that are None are the model's own.
    random_state : int
        Seed of the cross-fitting of scores, where they are not a model's own.
    all_arms : bool
        Whether the tool handles several arms; else one of several must be named by ``treatment_level``.
    known : KnownScores, optional
        Scores that were cross-fitted for the same rows before, and where to keep those made here.
    only : Ints, optional
        Rows of the table to keep, where other rankings of the same people lack the rest.

    Raises
    ------
    DesignError
        If there is no effect or two, or it is a result without person-level effects; if rows that trained the model are a part
        of the table; if a role is missing; if there are several arms and none is named; or if the model knows nothing of an
        arm.
    DataError
        If the table holds values that can't be used.
    """
    given = {**given, **{role: _column_of_numbers(given.get(role), role) for role in ("effect", "score")}}
    effect, score = given["effect"], given["score"]
    if effect is None and score is None:
        raise DesignError("effect= is missing.", hint="Pass a fitted model, or a column or array of predicted effects.")
    if effect is not None and score is not None:
        told = "is a model" if _is_model(effect) else "was given"
        raise DesignError(f"effect= {told} and score= was given too.", hint="Leave one of them out.")
    maker = Maker(random_state, known or KnownScores())
    if _is_model(effect):
        return _from_model(data, effect, given, maker, all_arms, only)
    if isinstance(effect, Estimator):
        raise DesignError(
            f"effect= is a {type(effect).__name__} that is not fitted.",
            hint="Pass what its fit(...) returns.",
        )
    if isinstance(effect, Result):
        raise DesignError(
            f"{type(effect.estimator).__name__} gives average effects, not one for each person.",
            hint="Fit a model of effects, such as DRLearner, and pass that.",
        )
    return _from_numbers(data, given, maker, all_arms, only)


def _is_model(effect: Any) -> bool:
    """Whether an effect is a fitted model of this library, which knows its rows and roles."""
    return all(hasattr(effect, name) for name in ("cate", "prediction", "study"))


def _column_of_numbers(value: Any, role: str) -> Any:
    """Read a list of numbers as an array; a role takes one column."""
    if not isinstance(value, list | tuple) or all(isinstance(part, str) for part in value):
        return None if _is_empty(value) else value
    return as_floats(value, role)


def _is_empty(value: Any) -> bool:
    return isinstance(value, list | tuple) and not value


def _from_model(
    data: Any, model: Any, given: Mapping[str, Any], maker: Maker, all_arms: bool, only: Ints | None
) -> Evidence:
    own = {key: value for key, value in model.roles.items() if key in BOUND or key in _LEVELS}
    asked = {key: value for key, value in given.items() if _was_given(value) and key != "effect"}
    training = is_training_table(model, data)
    if not training:
        _refuse_old_arrays(own, asked)
    sample = _bind(data, {**own, **asked})
    if not all_arms:
        require_one_arm(sample)
    arms = arms_in_model(model, sample)
    met = None if training else refuse_training_rows(model, data, sample)
    if training:
        sample = _rows_of_fit(sample, model.study.rows.positions)
        _require_nested_folds(model, sample)
    if only is not None:
        sample = _keep(sample, only, "another ranking has no value", "effect")
    at = np.searchsorted(model.study.rows.positions, sample.rows.positions) if training else None
    changed = any(key in asked and not _same(asked[key], own.get(key)) for key in _OF_SCORES)
    own_scores = at is not None and not changed and same_data(model, sample, at, arms)
    if at is None or not own_scores:
        made = maker.cross_fitted(sample, model.estimator)
    else:
        made = scores_of(model, at, arms)
    inherited = {name: model.checks[name] for name in _INHERITED if own_scores and name in model.checks}
    prediction = _take_prediction(model.prediction(data, arm=int(arms[1])), sample.rows.positions)
    return Evidence(
        sample=sample,
        effect=prediction.effect,
        priority=prediction.effect if at is None else read_only(model.ranking[at, arms[1] - 1]),
        prediction=prediction,
        folds=None if at is None else model.folds[at],
        groups=clusters_of(sample),
        weights=_mean_one(sample),
        source="out_of_fold" if training else "new_rows",
        recurrence=met,
        is_effect=True,
        of_model={**inherited, **made.checks},
        **made.fields(),
    )


def _from_numbers(data: Any, given: Mapping[str, Any], maker: Maker, all_arms: bool, only: Ints | None) -> Evidence:
    effect = given.get("effect")
    if effect is not None and not isinstance(effect, str) and any(hasattr(effect, m) for m in ("effect", "predict")):
        found = foreign_effect(data, effect, given.get("covariates"), lambda: _compared(data, given))
        given = {**given, "effect": found}
    sample = _bind(data, {key: value for key, value in given.items() if _was_given(value)})
    if not all_arms:
        require_one_arm(sample)
    if only is not None:
        sample = _keep(sample, only, "another ranking has no value", "score" if sample.has("score") else "effect")
    made = maker.cross_fitted(sample)
    ranked = sample.number("score" if sample.has("score") else "effect")
    weights, groups = _mean_one(sample), clusters_of(sample)
    codes = None if groups is None else groups.codes
    baseline = made.mu[:, 0] if sample.features().names else np.zeros(sample.n)
    line = line_prediction(ranked, made.contrasts[:, 0], made.levels[:, 0], baseline, weights, codes)
    return Evidence(
        sample=sample,
        effect=ranked,
        priority=ranked,
        prediction=line,
        folds=None,
        groups=groups,
        weights=weights,
        source="given",
        is_effect=not sample.has("score"),
        of_model=made.checks,
        **made.fields(),
    )


#: Checks of a model that hold for whatever is decided with it on its own table.
_INHERITED = ("missing_outcomes", "balance", "overlap")
_LEVELS = ("control", "treatment_level", "missing")


def _bind(data: Any, given: Mapping[str, Any]) -> Sample:
    return Design(BOUND).bind(data, {"missing": "native", **given})


def _was_given(value: Any) -> bool:
    return value is not None and not (isinstance(value, list | tuple) and len(value) == 0)


def _same(a: Any, b: Any) -> bool:
    """Whether two values of a role name the same thing (a column may be written as a list of one)."""
    one, two = (list(v) if hasattr(v, "__iter__") and not isinstance(v, str) else [v] for v in (a, b))
    return len(one) == len(two) and all(bool(x == y) for x, y in zip(one, two, strict=True))


def _refuse_old_arrays(own: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """A role that was an array at the fit belongs to the training table."""
    for role, value in own.items():
        if role in BOUND and role not in asked and not isinstance(value, str | int | float | list | tuple | None):
            raise DesignError(
                f"{role}= was an array at the model's fit, which belongs to the training table.",
                hint=f"Pass {role}= for these rows.",
            )


def _rows_of_fit(sample: Sample, used: Ints) -> Sample:
    """Keep the rows that the fit used; others of the training table have no out-of-fold effect."""
    return _keep(sample, used, "the model was not fitted on the row", "effect")


def _keep(sample: Sample, rows: Ints, why: str, role: str) -> Sample:
    """Keep some rows of the table, and account for the others."""
    kept = np.isin(sample.rows.positions, rows)
    if not kept.any():
        raise DataError(f"no row is left: {why} anywhere.", hint="Check the columns named here.")
    if kept.all():
        return sample
    gone = np.flatnonzero(~kept)
    dropped = sample.dropped.plus(why, role, gone.size, int(sample.rows.positions[gone[0]]))
    return replace(sample.take(np.flatnonzero(kept)), dropped=dropped)


def _require_nested_folds(model: Any, sample: Sample) -> None:
    """Refuse clusters that the model's folds cut: their noise would be in training and evaluation at once."""
    groups = clusters_of(sample)
    if groups is None:
        return
    folds = model.folds[np.searchsorted(model.study.rows.positions, sample.rows.positions)]
    of_group = np.full(int(groups.codes.max()) + 1, -1, dtype=np.int64)
    of_group[groups.codes] = folds
    if (of_group[groups.codes] != folds).any():
        raise DesignError(
            f"the model's folds cut clusters of {groups.name!r}, so its out-of-fold effects have seen other rows of a cluster.",
            hint=f"Fit the model with cluster={groups.name!r}.",
            column=groups.name,
        )


def _mean_one(sample: Sample) -> Floats | None:
    weights = sample.optional("weights")
    return None if weights is None else read_only(weights / weights.mean())


def _take_prediction(p: EffectPrediction, at: Ints) -> EffectPrediction:
    return EffectPrediction(
        baseline=read_only(p.baseline[at]),
        effect=read_only(p.effect[at]),
        baseline_se=read_only(p.baseline_se[at]),
        effect_se=read_only(p.effect_se[at]),
        covariance=read_only(p.covariance[at]),
        df=p.df,
    )


def _compared(data: Any, given: Mapping[str, Any]) -> Arms:
    """The arms that are compared, of which one has to be named where there are several."""
    sample = _bind(data, {key: value for key, value in given.items() if _was_given(value) and key != "effect"})
    require_one_arm(sample)
    return sample.arms


__all__ = ["BOUND", "Evidence", "gather", "seeded"]
