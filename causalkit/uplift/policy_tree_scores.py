"""Scores of every arm for a policy: cross-fitted from the rows, or those of a fitted model on its own table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.roles import LEVELS
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.checks import effect_checks
from causalkit.effects.crossfit_study import ROLES, clusters_of, cross_fit
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.uplift.evidence import _OF_SCORES, _is_model, _refuse_old_arrays, _rows_of_fit, _same, _was_given
from causalkit.uplift.held_out import arms_in_model
from causalkit.uplift.leak import is_training_table, same_data


@dataclass(frozen=True, eq=False)
class ArmScores:
    """Doubly robust scores of arms.

    Parameters
    ----------
    gains : Floats, shape (n, n_arms)
        Score of each arm minus that of the control (the first column is zero), in units of the outcome.
    folds : Codes, shape (n,)
        Folds of the scores.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    groups : Groups or None
        Clusters.
    checks : Checks
        The ledger of the scores.
    """

    gains: Floats
    folds: Codes
    weights: Floats | None
    groups: Any
    checks: Checks


def scores_of_sample(tool: Any, sample: Sample, n_jobs: int, **learners: Any) -> ArmScores:
    """Cross-fit the scores of a bound sample."""
    from dataclasses import replace

    # Scores do not depend on what a treatment costs or on what a rule may use: these only order rows that are equal in all
    # that makes scores, so that which of them is in which fold does not follow the user's order.
    order = sample.canonical_order
    back = np.argsort(order)
    bare = replace(sample, columns={role: c for role, c in sample.columns.items() if role in ROLES}).take(order)
    chosen = {"regressor": tool.regressor, "classifier": tool.classifier, **learners}
    run = cross_fit(bare, n_folds=tool.n_folds, random_state=tool.random_state, n_jobs=n_jobs, **chosen)
    study = run.in_user_order(bare)
    return ArmScores(
        gains=_with_control(study.scale.unit * study.contrasts[back]),
        folds=study.nuisances.folds[back],
        weights=None if study.weights is None else study.weights[back],
        groups=clusters_of(sample),
        checks=effect_checks(bare, study),
    )


def scores_of_model(tool: Any, data: Any, model: Any, given: Mapping[str, Any]) -> tuple[Sample, ArmScores]:
    """Bind a table with the roles of a fitted model, and take its scores where the table is that of its fit."""
    if not _is_model(model):
        raise DesignError(
            "effect= is not a fitted model of effects, and a rule is learned from outcomes and arms.",
            hint="Pass a fitted model such as DRLearner's, or name outcome= and treatment=.",
        )
    # Which arms the rule may give is this fit's to say, not the model's.
    keys = {*tool.roles, *LEVELS, "missing"} - {"treatment_level"}
    own = {key: value for key, value in model.roles.items() if key in keys}
    asked = {key: value for key, value in given.items() if _was_given(value) and key != "missing"}
    training = is_training_table(model, data)
    if not training:
        _refuse_old_arrays(own, asked)
    sample = tool.bind(data, **{"missing": given["missing"], **own, **asked})
    learners = {key: getattr(model.estimator, key, None) for key in ("regressor", "classifier")}
    if not training or any(key in asked and not _same(asked[key], own.get(key)) for key in _OF_SCORES):
        return sample, scores_of_sample(tool, sample, n_jobs_or_default(tool.n_jobs), **learners)
    used, arms = model.study.rows.positions, arms_in_model(model, sample)
    sample = _rows_of_fit(sample, used)
    at = np.searchsorted(used, sample.rows.positions)
    if not same_data(model, sample, at, arms):  # the same people, with other outcomes or arms
        return sample, scores_of_sample(tool, sample, n_jobs_or_default(tool.n_jobs), **learners)
    weights = sample.optional("weights")
    return sample, ArmScores(
        gains=_with_control(model.study.scale.unit * model.study.contrasts[at][:, arms[1:] - 1]),
        folds=read_only(model.folds[at]),
        weights=None if weights is None else read_only(weights / weights.mean()),
        groups=clusters_of(sample),
        checks=model.checks,
    )


def _with_control(contrasts: Floats) -> Floats:
    return read_only(np.column_stack([np.zeros(len(contrasts)), contrasts]))
