"""AutoCATE: all learners and the forest on shared nuisances, stacked, with the constant effect among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core import params
from causalkit.core.check import Check
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.core.table import Table
from causalkit.effects.average_result import headline_fields
from causalkit.effects.averages import average_effect
from causalkit.effects.bagged import Spread
from causalkit.effects.causal_forest import CausalForest
from causalkit.effects.crossfit_study import Canonical, arm_names, cross_fit
from causalkit.effects.dr_learner import DRLearner
from causalkit.effects.effect_learner import EffectLearner, Learned
from causalkit.effects.fold_models import unknown_errors
from causalkit.effects.known_rows import fingerprint
from causalkit.effects.model import EffectModel, Predictor
from causalkit.effects.r_learner import RLearner, residual_ratios
from causalkit.effects.s_learner import SLearner
from causalkit.effects.stacking import ArmStack, Stacked, stack_arm
from causalkit.effects.t_learner import TLearner
from causalkit.effects.x_learner import XLearner
from causalkit.kernels.arrays import Floats, read_only
from causalkit.nuisance.blended import blend

NO_INTERVAL = "a stack of learners has no valid pointwise interval: how their errors go together is not known."


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StackedModel(EffectModel):
    """A model of effects that is a stack of learners.

    Parameters
    ----------
    learners : Table
        Weight of each learner, and of the constant effect, for the arm of interest.
    """

    learners: Table


@dataclass(frozen=True, kw_only=True)
class AutoCATE(EffectLearner):
    """Effects by covariates without a choice of learner: a cross-fitted average of many, the constant effect among them.

    The estimand is ``E[Y(a) - Y(control) | X = x]``. S-, T-, X-, R- and DR-learner, linear R- and X-learners and the causal
    forest are fitted on one set of nuisances, by default averages of linear and of boosted models (see
    :mod:`causalkit.nuisance.blended`). Their out-of-fold predictions get exponential weights by the residual-on-residual
    loss (see :class:`~causalkit.effects.r_learner.RLearner`), as does the constant effect; each fold by weights that the
    other folds chose. The deviation from the average is then shrunk as in
    :class:`~causalkit.effects.dr_learner.DRLearner`. The check ``heterogeneity`` says whether the average of learners ranks
    people better than the constant does. The headline is the average effect (AIPW on the same nuisances).

    Parameters
    ----------
    n_trees : int
        Trees of the forest, at least 100.
    n_folds : int
        Folds of the cross-fitting, at least 2.
    regressor : None, str or scikit-learn regressor
        Learner of outcomes and of effects: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator that takes
        weights.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values. Where neither this nor ``regressor`` is given,
        nuisances are averages of linear and boosted models.
    random_state : int, optional
        Seed of folds, learners and trees.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW. There is no valid pointwise interval: ``blp`` and ``ate`` have intervals for groups. The test of
    ``heterogeneity`` regresses the pseudo-outcome of the R-loss on the out-of-fold deviations; its variance is doubled,
    since each fold's outcomes have taught the learners of the other folds.

    References
    ----------
    Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", section 4.2, *Biometrika* 108.
    Dalalyan and Tsybakov (2008), "Aggregation by exponential weighting, sharp PAC-Bayesian bounds and sparsity", *Machine
    Learning* 72. van der Laan, Polley and Hubbard (2007), "Super learner", *Statistical Applications in Genetics and
    Molecular Biology* 6.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 400), rng.normal(size=400)
    >>> table = {"y": x + arm * x + rng.normal(size=400), "arm": arm, "x": x}
    >>> model = ck.AutoCATE(n_trees=100, regressor="linear", random_state=0).fit(
    ...     table, outcome="y", treatment="arm", covariates="x", propensity=0.5
    ... )
    >>> bool(np.corrcoef(model.cate(), x)[0, 1] > 0.9), model.checks["heterogeneity"].status
    (True, 'pass')
    """

    n_trees: int = params.integer(500, low=100)

    def estimate(self, sample: Sample) -> StackedModel:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        assert isinstance(run, AutoCATE)
        assert run.random_state is not None
        seed, jobs = run.random_state, n_jobs_or_default(run.n_jobs)
        canonical = run._cross_fit(sample, seed, jobs)
        return _stacked(run, sample, canonical, run._members(canonical, seed, jobs))

    def _cross_fit(self, sample: Sample, seed: int, jobs: int) -> Canonical:
        """Fit the nuisances: of the learners that were asked for, or averages of linear and boosted models."""
        shared: dict[str, Any] = {"n_folds": self.n_folds, "random_state": seed, "n_jobs": jobs}
        first = cross_fit(sample, regressor=self.regressor, classifier=self.classifier, **shared)
        if not (_is_default(self.regressor) and _is_default(self.classifier)):
            return first
        linear = cross_fit(sample, regressor="linear", classifier="linear", **shared)
        study = first.study
        found = blend(
            study.nuisances,
            linear.study.nuisances,
            study.z,
            study.arms.codes,
            weights=study.weights,
            arm_names=arm_names(study.arms),
        )
        return replace(first, study=replace(study, nuisances=found))

    def _members(self, canonical: Canonical, seed: int, jobs: int) -> tuple[Member, ...]:
        """Fit the learners; the first gives the baseline."""
        shared: dict[str, Any] = {"n_folds": self.n_folds, "random_state": seed, "n_jobs": jobs}
        own = shared | {"regressor": self.regressor, "classifier": self.classifier}
        learners: list[EffectLearner] = [
            TLearner(**own),
            SLearner(**own),
            XLearner(**own),
            RLearner(**own, n_boot=0),
            DRLearner(**own, n_boot=0),
        ]
        if self.regressor != "linear":
            learners += [
                XLearner(**shared, regressor="linear", classifier=self.classifier),
                RLearner(**shared, regressor="linear", classifier=self.classifier, n_boot=0),
            ]
        members = [_member(learner, learner._learn(canonical, seed, jobs), self) for learner in learners]
        trees = CausalForest(**own, n_trees=self.n_trees)
        predictor, out_of_bag = trees._grow(canonical, seed, jobs)
        return (*members, Member("CausalForest", predictor, out_of_bag.mean))


@dataclass(frozen=True, eq=False)
class Member:
    """A learner of the stack.

    Parameters
    ----------
    name : str
        What it is called in the table of weights.
    predictor : Predictor
        Predicts new rows.
    out_of_fold : Floats, shape (n, n_arms)
        Baseline and effects of rows that it has not seen, in canonical order.
    """

    name: str
    predictor: Predictor
    out_of_fold: Floats


def _member(learner: EffectLearner, learned: Learned, stack: AutoCATE) -> Member:
    added = learner.regressor == "linear" and stack.regressor != "linear"
    name = type(learner).__name__ + (" (linear)" if added else "")
    return Member(name, learned.predictor, learned.out_of_fold.mean)


def _is_default(spec: Any) -> bool:
    return spec is None or (isinstance(spec, str) and spec == "lightgbm")


def _stacked(run: AutoCATE, sample: Sample, canonical: Canonical, members: tuple[Member, ...]) -> StackedModel:
    study, n = canonical.study, canonical.study.nuisances
    groups = None if study.groups is None else study.groups.codes
    predicted = np.stack([member.out_of_fold for member in members])
    targets, weights = residual_ratios(study.z, study.arms.codes, n.mu, n.e)
    arms = [
        stack_arm(targets[:, j], weights[:, j], predicted[:, :, j + 1].T, n.folds, own=study.weights, groups=groups)
        for j in range(targets.shape[1])
    ]
    average = average_effect(study.contrasts, study.weights, study.groups).theta
    deviations = np.column_stack([arm.deviations for arm in arms])
    effects = average + np.array([arm.factor for arm in arms]) * deviations
    fields = headline_fields(run, sample, canonical.in_user_order(sample))
    fields["checks"] = fields["checks"].joined({"heterogeneity": _verdict(arms[0])})
    features = canonical.sample.features()
    found: Spread = unknown_errors(np.column_stack([predicted[0][:, 0], effects]))
    return StackedModel(
        **fields,
        predictor=_predictor(members, arms, predicted, study.weights, average),
        out_of_fold=Spread(canonical.restore(found.mean), canonical.restore(found.covariance)),
        ranking=read_only(canonical.restore(deviations)),
        schema=features.schema,
        fingerprint=fingerprint(replace(features, values=canonical.restore(features.values))),
        n_table=sample.n_input,
        no_interval=NO_INTERVAL,
        learners=_shares(members, arms[0]),
    )


def _predictor(
    members: tuple[Member, ...], arms: list[ArmStack], predicted: Floats, own: Floats | None, average: Floats
) -> Stacked:
    weights = np.column_stack([arm.factor * arm.weights for arm in arms])
    centers = np.average(predicted, axis=1, weights=own)[:, 1:]
    kept = [at for at in range(len(members)) if at == 0 or weights[at].any()]
    return Stacked(tuple(members[at].predictor for at in kept), weights[kept], centers[kept], average)


def _shares(members: tuple[Member, ...], arm: ArmStack) -> Table:
    """Weights after shrinkage, the constant's last."""
    weights = arm.factor * arm.weights
    rows = [(member.name, float(weight)) for member, weight in zip(members, weights, strict=True)]
    return Table.of(("learner", "weight"), [*rows, ("constant", float(1.0 - weights.sum()))])


def _verdict(arm: ArmStack) -> Check:
    from scipy import special

    pvalue = float(special.ndtr(-arm.statistic))
    real = pvalue < 0.05
    tail = f"(held-out slope {fmt.number(arm.slope)}, one-sided p-value {fmt.pvalue(pvalue)})"
    if real:
        return Check(
            "heterogeneity", "pass", f"the learners rank people better than a constant effect {tail}.",
            arm.statistic, pvalue,
        )  # fmt: skip
    return Check(
        "heterogeneity",
        "warn",
        f"no ranking of people beats giving everybody the average effect {tail}.",
        arm.statistic,
        pvalue,
        "Treat everybody alike, or look for covariates that tell people apart.",
    )
