"""The interactive model: doubly robust scores by arm, repeated splits, crossed clusters, normalised weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.effects.average_result import AverageEffect, headline_fields
from causalkit.effects.averages import Clusters, Target, average_effect, shares, target_effect
from causalkit.effects.crossfit_study import Study, clusters_of
from causalkit.effects.double_ml_nuisance import Learners
from causalkit.effects.double_ml_setup import Setup, ways_of
from causalkit.effects.repeats import median_of
from causalkit.kernels.arrays import Codes, Floats
from causalkit.nuisance.bundle import Nuisances
from causalkit.nuisance.propensity import Propensity
from causalkit.nuisance.quality import Quality, log_loss_skill, r_squared
from causalkit.nuisance.scores import dr_scores

if TYPE_CHECKING:
    from causalkit.effects.double_ml import DoubleML


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class InteractiveEffect(AverageEffect):
    """Average effects of an interactive model; ``nuisances``, ``scores`` and ``folds`` are those of the first repetition.

    Parameters
    ----------
    studies : tuple of Study
        One cross-fit for each repetition; ``study`` is the first.
    ways : tuple of Groups
        Ways of clustering.
    normalize : bool
        Whether inverse-probability weights sum to one in each arm.
    """

    studies: tuple[Study, ...]
    ways: tuple[Groups, ...]
    normalize: bool

    @property
    def _studies(self) -> tuple[Study, ...]:
        return self.studies

    @property
    def _clusters(self) -> Clusters:
        return self.ways or None

    def _target_effect(self, study: Study, target: Target) -> Estimate:
        s, n = study, study.nuisances
        if target == "all":
            return average_effect(s.contrasts, s.weights, self._clusters, rows=s.rows)
        return target_effect(
            target,
            s.z,
            s.arms.codes,
            n.mu,
            n.e,
            weights=s.weights,
            groups=self._clusters,
            rows=s.rows,
            normalize=self.normalize,
        )


def interactive(run: DoubleML, sample: Sample, normalize: bool) -> InteractiveEffect:
    """Fit the interactive model on a bound sample."""
    setup = Setup.of(sample, run.regressor)
    assert setup.arms is not None
    studies = []
    for repeat in range(run.n_repeats):
        learners = setup.learners(run, repeat)
        codes, k = setup.arms.codes, setup.arms.count
        chances = learners.chances(codes, k, setup.sample.optional("propensity"), setup.names)
        mu = learners.by_arm(setup.z, codes, k)
        studies.append(study_of(setup, sample, learners, chances, mu, normalize))
    ways = ways_of(sample)
    fields = headline_fields(run, sample, studies[0])
    s = studies[0]
    parts = [average_effect(one.contrasts, s.weights, ways or None, rows=s.rows) for one in studies]
    fields["effects"] = Effects(s.terms, (median_of(parts) * s.scale.unit).folded())
    return InteractiveEffect(**fields, studies=tuple(studies), ways=ways, normalize=normalize)


def study_of(
    setup: Setup, sample: Sample, learners: Learners, chances: Propensity, mu: Floats, normalize: bool = False
) -> Study:
    """Join nuisances of canonical rows into a study in the user's order."""
    assert setup.arms is not None
    codes = setup.arms.codes
    e = chances.values
    scores = dr_scores(setup.z, codes, mu, normalized(e, codes, setup.weights) if normalize else e)
    nuisances = Nuisances(
        setup.restore(learners.splits.folds),
        replace(chances, values=setup.restore(e)),
        setup.restore(mu),
        setup.restore(scores),
        _quality(setup, chances, mu),
    )
    weights = None if setup.weights is None else setup.restore(setup.weights)
    groups = None if len(setup.ways) > 1 else clusters_of(sample)
    return Study(setup.restore(setup.z), setup.scale, sample.arms, weights, groups, nuisances, sample.rows)


def normalized(e: Floats, arms: Codes, weights: Floats | None = None) -> Floats:
    """Return what to divide residuals by so that the weights of each arm sum to the number of rows (Hájek 1971).

    Parameters
    ----------
    e : Floats, shape (n, n_arms)
        Probability of each arm.
    arms : Codes, shape (n,)
    weights : Floats, shape (n,), optional

    Returns
    -------
    Floats, shape (n, n_arms)
        ``e_a`` times the mean over all rows of ``1{arm = a} / e_a``.
    """
    n, k = e.shape
    share = shares(n, weights)
    own = np.bincount(arms, share / e[np.arange(n), arms], k)
    return e * own


def _quality(setup: Setup, chances: Propensity, mu: Floats) -> Quality:
    assert setup.arms is not None
    w, codes = setup.weights, setup.arms.codes
    rows = [codes == arm for arm in range(setup.arms.count)]
    skill = tuple(r_squared(setup.z[at], mu[at, arm], None if w is None else w[at]) for arm, at in enumerate(rows))
    saved = log_loss_skill(codes, chances.values, w) if chances.source == "estimated" else None
    return Quality("r2", skill, chances.auc, saved)
