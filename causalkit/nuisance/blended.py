"""Two sets of nuisances as one: averages whose shares are chosen out of fold.

A linear model and boosted trees fail in different places, and none of them is right for all data: where one of them is far
off, what it leaves of the confounding passes for differences between effects. Between the two, least squares on
out-of-fold predictions finds the share of each (one number per arm, so that hardly anything is overfitted).

References
----------
van der Laan, Polley and Hubbard (2007), "Super learner", *Statistical Applications in Genetics and Molecular Biology* 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.kernels.arrays import Bools, Codes, Floats, read_only
from causalkit.nuisance.bundle import Nuisances, judge_nuisances
from causalkit.nuisance.learners import Model
from causalkit.nuisance.overlap import assess_overlap
from causalkit.nuisance.propensity import Propensity
from causalkit.nuisance.quality import discrimination
from causalkit.nuisance.scores import dr_scores


@dataclass(frozen=True, eq=False)
class Blend:
    """The average of two models.

    Parameters
    ----------
    first, second : Model
        The models; both predict shape (n, k).
    share : Floats, shape (k,)
        Share of the second in each column.
    """

    first: Model
    second: Model
    share: Floats

    def predict(self, x: Floats) -> Floats:
        """Return predictions, shape (n, k)."""
        return mixed(self.first.predict(x), self.second.predict(x), self.share)


def blend(
    first: Nuisances,
    second: Nuisances,
    outcome: Floats,
    arms: Codes,
    *,
    weights: Floats | None = None,
    arm_names: Sequence[str] | None = None,
) -> Nuisances:
    """Average two sets of nuisances of the same rows and folds.

    Parameters
    ----------
    first, second : Nuisances
        The sets.
    outcome : Floats, shape (n,)
        Outcome.
    arms : Codes, shape (n,)
        Arm of each row.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    arm_names : sequence of str, optional
        Names of the arms for messages.

    Returns
    -------
    Nuisances
        Rows of a fold are averaged by shares that the other folds chose; new rows likewise, fold by fold.
    """
    folds, n_arms = first.folds, first.mu.shape[1]
    indicators = (arms[:, None] == np.arange(n_arms)).astype(float)
    mu, e = np.empty(first.mu.shape), np.empty(first.e.shape)
    models: list[Model] = []
    chances: list[Model] = []
    known = first.propensity.source == "known"
    for at, fold in enumerate(np.unique(folds)):
        here: Bools = folds == fold
        by_arm = [~here & (arms == arm) for arm in range(n_arms)]
        share = np.array(
            [
                best_share(outcome[rows], first.mu[rows, arm], second.mu[rows, arm], _of(weights, rows))
                for arm, rows in enumerate(by_arm)
            ]
        )
        mu[here] = mixed(first.mu[here], second.mu[here], share)
        models.append(Blend(first.models[at], second.models[at], share))
        if known:
            continue
        own = _of(weights, ~here)
        spread = None if own is None else np.repeat(own, n_arms)
        one = np.full(
            n_arms, best_share(indicators[~here].ravel(), first.e[~here].ravel(), second.e[~here].ravel(), spread)
        )
        e[here] = mixed(first.e[here], second.e[here], one)
        chances.append(Blend(first.propensity.models[at], second.propensity.models[at], one))
    propensity = first.propensity if known else _propensity(first, second, e, arms, tuple(chances), arm_names)
    scores = dr_scores(outcome, arms, mu, propensity.values)
    quality = judge_nuisances(outcome, arms, mu, propensity, weights)
    return Nuisances(folds, propensity, read_only(mu), read_only(scores), quality, tuple(models))


def best_share(target: Floats, first: Floats, second: Floats, weights: Floats | None = None) -> float:
    """Return the share of ``second``, in [0, 1], with which the average of two predictions has the least squared error.

    One half where they agree.
    """
    apart = second - first
    weight = np.ones(len(target)) if weights is None else weights
    power = float(weight @ apart**2)
    if power <= 1e-20 * float(weight @ (target - first) ** 2) or power == 0.0:
        return 0.5
    return float(np.clip(weight @ (apart * (target - first)) / power, 0.0, 1.0))


def mixed(first: Floats, second: Floats, share: Floats) -> Floats:
    """Return the average of two predictions, shape (n, k), with the share of the second in each column."""
    out: Floats = first + share * (second - first)
    return out


def _propensity(
    first: Nuisances,
    second: Nuisances,
    e: Floats,
    arms: Codes,
    models: tuple[Model, ...],
    arm_names: Sequence[str] | None,
) -> Propensity:
    clipped = min(first.propensity.clipped, second.propensity.clipped)
    overlap = assess_overlap(e, arms, clipped=clipped, arm_names=arm_names)
    return replace(
        first.propensity,
        values=read_only(e),
        clipped=clipped,
        auc=discrimination(e, arms, first.folds),
        overlap=overlap,
        models=models,
    )


def _of(weights: Floats | None, rows: Bools) -> Floats | None:
    return None if weights is None else weights[rows]
