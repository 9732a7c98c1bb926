"""Doubly robust scores of the effect of the treatment with the mediators held at one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalkit.core.features import Features
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.crossfit_study import InCanonicalOrder, arm_names, clusters_of
from causalkit.effects.outcome_scale import Scale
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.nuisance.bundle import fit_nuisances


class _Restore(InCanonicalOrder):
    def __init__(self, order: Ints) -> None:
        self.order = order


def held_scores(sample: Sample, run: Any, at_point: Callable[[Features], Bools], scale: Scale) -> Floats:
    """Return each row's score of E[Y(1, m) - Y(0, m)], shape (n,), in the user's order and on the learning scale.

    Being in an arm at the point is one joint treatment; its propensity and outcome models are those of AIPW.

    Parameters
    ----------
    sample : Sample
        Bound rows.
    run : Mediation
        Folds, learners and seed.
    at_point : callable
        Tells which rows of some mediators have the value.
    scale : Scale
        To the learning scale.

    Raises
    ------
    DesignError
        If too few rows of an arm have the value.
    """
    here = at_point(sample.features("mediator"))
    order = sample.canonical_order
    rows = sample.canonical()
    joint = np.where(here[order], rows.arms.codes, 2).astype(np.int32)
    names = (*(f"{name} with this mediator" for name in arm_names(rows.arms)), "rows with other mediators")
    counts = np.bincount(joint, minlength=3)
    for arm in (0, 1):
        if counts[arm] < run.n_folds:
            raise DesignError(
                f"{counts[arm]} rows of arm {arm_names(rows.arms)[arm]!r} have this mediator, fewer than n_folds={run.n_folds}.",
                hint="Choose a value that is common in both arms, join values, or use method='linear'.",
            )
    others = int(counts[2])
    if 0 < others < run.n_folds:
        raise DesignError(
            f"only {others} rows have another mediator, fewer than n_folds={run.n_folds}.",
            hint="Drop them: then the effect at this value is the average effect of ck.AIPW.",
        )
    groups, features, weights = clusters_of(rows), rows.features(), rows.optional("weights")
    bare = not features.names
    found = fit_nuisances(
        features,
        scale.apply(rows.outcome),
        joint,
        n_arms=3 if others else 2,
        n_folds=run.n_folds,
        groups=None if groups is None else groups.codes,
        weights=None if weights is None else weights / weights.mean(),
        regressor="mean" if bare else run.regressor,
        classifier="mean" if bare else run.classifier,
        random_state=run.random_state,
        n_jobs=n_jobs_or_default(run.n_jobs),
        arm_names=names,
    )
    return _Restore(order).restore(found.scores[:, 1] - found.scores[:, 0])
