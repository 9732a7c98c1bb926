"""AutoCATE: all learners and the forest on shared nuisances, stacked, with the constant effect among them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core import params
from causalkit.core.check import Check
from causalkit.core.estimator import Estimator
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.core.table import Table
from causalkit.effects.average_result import headline_fields
from causalkit.effects.averages import average_effect
from causalkit.effects.bagged import Spread
from causalkit.effects.causal_forest import CausalForest
from causalkit.effects.crossfit_study import Canonical, cross_fit
from causalkit.effects.dr_learner import DRLearner
from causalkit.effects.effect_learner import EffectLearner
from causalkit.effects.fold_models import unknown_errors
from causalkit.effects.model import EffectModel, fingerprint
from causalkit.effects.r_learner import RLearner, residual_ratios
from causalkit.effects.s_learner import SLearner
from causalkit.effects.stacking import ArmStack, Stacked, stack_arm
from causalkit.effects.t_learner import TLearner
from causalkit.effects.x_learner import XLearner
from causalkit.kernels.arrays import Floats, read_only

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
    """Effects by covariates without a choice of learner: a cross-fitted stack, the constant effect among its members.

    The estimand is ``E[Y(a) - Y(control) | X = x]``. S-, T-, X-, R- and DR-learner and the causal forest are fitted on
    one set of nuisances. Their out-of-fold predictions get weights that are not negative and sum, with that of the
    constant effect, to one, by the residual-on-residual loss (see :class:`~causalkit.effects.r_learner.RLearner`); each
    fold by weights that the other folds chose. The deviation from the average is then shrunk as in
    :class:`~causalkit.effects.dr_learner.DRLearner`. The check ``heterogeneity`` says whether the stack ranks people
    better than the constant does. The headline is the average effect (AIPW on the same nuisances).

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
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds, learners and trees.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW. There is no valid pointwise interval: ``blp`` and ``ate`` have intervals for groups.

    References
    ----------
    Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", section 4.2, *Biometrika* 108.
    van der Laan, Polley and Hubbard (2007), "Super learner", *Statistical Applications in Genetics and Molecular
    Biology* 6.

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
        shared: dict[str, Any] = {"n_folds": run.n_folds, "regressor": run.regressor, "classifier": run.classifier}
        shared |= {"random_state": run.random_state}
        members = run._members({**shared, "n_jobs": run.n_jobs})
        canonical = cross_fit(sample, **shared, n_jobs=n_jobs_or_default(run.n_jobs))
        models = [member.estimate(sample) for member in members]
        return _stacked(run, sample, canonical, models)

    def _members(self, shared: dict[str, Any]) -> tuple[Estimator[Any], ...]:
        """List the learners; the first gives the baseline."""
        return (
            TLearner(**shared),
            SLearner(**shared),
            XLearner(**shared),
            RLearner(**shared, n_boot=0),
            DRLearner(**shared, n_boot=0),
            CausalForest(**shared, n_trees=self.n_trees),
        )


def _stacked(run: AutoCATE, sample: Sample, canonical: Canonical, models: list[EffectModel]) -> StackedModel:
    study, n = canonical.study, canonical.study.nuisances
    groups = None if study.groups is None else study.groups.codes
    own = np.ones(len(study.z)) if study.weights is None else study.weights
    share = own / own.sum()
    predicted = np.stack([model.out_of_fold.mean[canonical.order] for model in models])
    targets, weights = residual_ratios(study.z, study.arms.codes, n.mu, n.e)
    arms = [
        stack_arm(targets[:, j], weights[:, j] * own, predicted[:, :, j + 1].T, share, n.folds, groups)
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
        predictor=_predictor(models, arms, predicted, share, average),
        out_of_fold=Spread(canonical.restore(found.mean), canonical.restore(found.covariance)),
        ranking=read_only(canonical.restore(deviations)),
        schema=features.schema,
        fingerprint=fingerprint(replace(features, values=canonical.restore(features.values))),
        n_table=sample.n_input,
        no_interval=NO_INTERVAL,
        learners=_shares(models, arms[0]),
    )


def _predictor(
    models: list[EffectModel], arms: list[ArmStack], predicted: Floats, share: Floats, average: Floats
) -> Stacked:
    weights = np.column_stack([arm.factor * arm.weights for arm in arms])
    centers = np.einsum("i,kij->kj", share, predicted)[:, 1:]
    kept = [at for at in range(len(models)) if at == 0 or weights[at].any()]
    return Stacked(tuple(models[at].predictor for at in kept), weights[kept], centers[kept], average)


def _shares(models: list[EffectModel], arm: ArmStack) -> Table:
    """Weights after shrinkage, the constant's last."""
    weights = arm.factor * arm.weights
    rows = [(type(model.estimator).__name__, float(weight)) for model, weight in zip(models, weights, strict=True)]
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
