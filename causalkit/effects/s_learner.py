"""SLearner: effects from a single outcome model that has the treatment among its covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core.features import Features, Schema
from causalkit.effects.crossfit_study import Canonical
from causalkit.effects.effect_learner import EffectLearner, Learned
from causalkit.effects.fold_models import from_levels, learned, out_of_fold
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.nuisance.binned import BinnedTable
from causalkit.nuisance.boosting import like
from causalkit.nuisance.estimator_needs import drops_columns
from causalkit.nuisance.learners import Model
from causalkit.nuisance.outcome import OutcomeLearner, outcome_learner

NO_INTERVAL = (
    "the S-learner has no valid pointwise interval: how far its one model pulls effects towards zero is not known."
)


@dataclass(frozen=True, kw_only=True)
class SLearner(EffectLearner):
    """Effects by covariates: one outcome model with the arm as a covariate, asked about both arms.

    The estimand is ``E[Y(a) - Y(control) | X = x]``, estimated by ``mu(x, a) - mu(x, control)``. The headline is the
    average effect (AIPW on cross-fitted nuisances), and the people of the fit are predicted out of fold.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-fitting, at least 2.
    regressor : None, str or scikit-learn regressor
        Outcome model: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator. A linear model without
        interactions gives everybody the same effect.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW. A regularised model may ignore the arm, so that effects are pulled towards zero; there is
    no valid pointwise interval. New people get the mean of the folds' models.

    References
    ----------
    Künzel, Sekhon, Bickel and Yu (2019), "Metalearners for estimating heterogeneous treatment effects using machine
    learning", *PNAS* 116.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 600), rng.normal(size=600)
    >>> table = {"y": x + 2 * arm * (x > 0) + rng.normal(size=600), "arm": arm, "x": x}
    >>> model = ck.SLearner(random_state=0).fit(table, outcome="y", treatment="arm", covariates="x", propensity=0.5)
    >>> bool(np.corrcoef(model.cate(), x > 0)[0, 1] > 0.5)
    True
    """

    def _learn(self, canonical: Canonical, seed: int, jobs: int) -> Learned:
        """Fit one model per fold."""
        study, features = canonical.study, canonical.sample.features()
        folds = study.nuisances.folds
        wide = with_arms(features, study.arms.codes, study.arms.count)
        learner = outcome_learner(wide, study.scale.binary, self.regressor, self.classifier, seed)
        table = BinnedTable(wide, canonical.table)
        groups = None if study.groups is None else study.groups.codes
        models: tuple[SingleModel, ...] = ()
        for fold in np.unique(folds):
            train = np.flatnonzero(folds != fold)
            models += (single_model(learner, table, train, study.z, study.arms.count, study.weights, groups),)
            learner = like(learner, models[-1])
        found = out_of_fold(models, features.values, folds)
        if (drops_columns(self.regressor) or drops_columns(self.classifier)) and not found[:, 1:].any():
            raise DesignError(
                "the regressor leaves out the arm, which SLearner adds behind the covariates, so that all effects are zero.",
                hint="Let its ColumnTransformer keep other columns: remainder='passthrough'; or use TLearner.",
            )
        return learned(models, found, NO_INTERVAL)


@dataclass(frozen=True, eq=False)
class SingleModel:
    """An outcome model of covariates and arm."""

    model: Model
    n_arms: int

    def predict(self, x: Floats) -> Floats:
        """Return the baseline and the effect of each arm, shape (n, n_arms)."""
        levels = []
        wide = np.zeros((len(x), x.shape[1] + self.n_arms - 1), order="F")
        wide[:, : x.shape[1]] = x
        for arm in range(self.n_arms):
            wide[:, x.shape[1] :] = np.arange(1, self.n_arms) == arm
            levels.append(self.model.predict(wide))
        return from_levels(np.column_stack(levels))


def with_arms(features: Features, codes: Codes, n_arms: int) -> Features:
    """Return the covariates with an indicator of each arm but the control behind them."""
    indicators = (codes[:, None] == np.arange(1, n_arms)).astype(float)
    values = read_only(np.asfortranarray(np.column_stack([features.values, indicators])))
    names = (*features.names, *(f"arm {arm}" for arm in range(1, n_arms)))
    return Features(values, Schema(names, (*features.schema.levels, *[None] * (n_arms - 1))))


def single_model(
    learner: OutcomeLearner,
    table: BinnedTable,
    rows: Ints,
    outcome: Floats,
    n_arms: int,
    weights: Floats | None = None,
    groups: Codes | None = None,
) -> SingleModel:
    """Fit the model on some rows of a table that has the arms behind its covariates (see :func:`with_arms`)."""
    own = None if weights is None else weights[rows]
    clusters = None if groups is None else groups[rows]
    return SingleModel(learner.fit(table.view(rows), outcome[rows], own, clusters), n_arms)
