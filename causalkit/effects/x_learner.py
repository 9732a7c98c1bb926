"""XLearner: effects imputed in each arm by the outcome model of the other, then blended by the propensity."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalkit.effects.crossfit_study import Canonical, Study
from causalkit.effects.effect_learner import EffectLearner, Learned
from causalkit.effects.fold_models import Rows, learned
from causalkit.kernels.arrays import Codes, Floats, Ints
from causalkit.nuisance.binned import on_views
from causalkit.nuisance.defaults import as_classifier
from causalkit.nuisance.features import take_rows
from causalkit.nuisance.learners import ConstantModel, Model
from causalkit.nuisance.outcome import ArmModels

NO_INTERVAL = (
    "the X-learner has no valid pointwise interval: errors of the outcome models pass into the imputed effects unseen."
)


@dataclass(frozen=True, kw_only=True)
class XLearner(EffectLearner):
    """Effects by covariates: effects imputed arm by arm, regressed on covariates, blended by the propensity.

    The estimand is ``E[Y(a) - Y(control) | X = x]``. Among the treated ``y - mu_control(x)``, among the controls
    ``mu_a(x) - y`` are regressed on covariates; the prediction is ``e(x) tau_controls(x) + (1 - e(x)) tau_treated(x)``.
    It serves designs with few treated people, whose model rests on the outcome model of the many. The headline is the
    average effect (AIPW on the same nuisances), and the people of the fit are predicted out of fold.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-fitting, at least 2.
    regressor : None, str or scikit-learn regressor
        Learner of outcomes and of effects: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW. The effect imputed to a row comes from the outcome model of the other arm, which has not seen
    it. There is no valid pointwise interval. New people get the mean of the folds' models, blended by the folds' propensity
    models, by the known propensity where it is the same for all, and else by a model of the arms that is fitted for this
    purpose.

    References
    ----------
    Künzel, Sekhon, Bickel and Yu (2019), "Metalearners for estimating heterogeneous treatment effects using machine
    learning", *PNAS* 116.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 400), rng.normal(size=400)
    >>> table = {"y": x + arm * x + rng.normal(size=400), "arm": arm, "x": x}
    >>> model = ck.XLearner(regressor="linear", random_state=0).fit(
    ...     table, outcome="y", treatment="arm", covariates="x", propensity=0.5
    ... )
    >>> bool(np.corrcoef(model.cate(), x)[0, 1] > 0.9)
    True
    """

    def _learn(self, canonical: Canonical, seed: int, jobs: int) -> Learned:
        """Regress imputed effects, fold by fold."""
        study, n = canonical.study, canonical.study.nuisances
        start = Rows.of(canonical, self.regressor, seed)
        rows = ((start, start),) * (n.mu.shape[1] - 1)
        chances = _chances(canonical, self.classifier, seed)
        x = canonical.sample.features().values
        effects = np.empty((len(x), n.mu.shape[1] - 1))
        models = []
        for at, fold in enumerate(np.unique(n.folds)):
            train = np.flatnonzero(n.folds != fold)
            # By the outcome models of this fold: those behind n.mu have seen the outcomes that are held out here.
            mu = other_arms(n.models[at], x, train, study.arms.codes, n.mu.shape)
            sides = regress_sides(rows, train, study.arms.codes, imputed_effects(study.z, study.arms.codes, mu))
            rows = tuple((c.like(a), t.like(b)) for (c, t), (a, b) in zip(rows, sides, strict=True))
            held_out = np.flatnonzero(n.folds == fold)
            effects[held_out] = blend(sides, take_rows(x, held_out), n.e[held_out])
            models.append(Crossed(n.models[at], sides, chances[at]))
        return learned(tuple(models), np.column_stack([n.mu[:, 0], effects]), NO_INTERVAL)


#: For each arm other than the control: the model of the effects imputed to the controls, and to the treated.
Sides = tuple[tuple[Model, Model], ...]


@dataclass(frozen=True, eq=False)
class Crossed:
    """The models of one fold: outcomes by arm, both sides of the effects, and the propensity."""

    outcomes: Model
    sides: Sides
    chance: Model

    def predict(self, x: Floats) -> Floats:
        """Return the baseline and the effect of each arm, shape (n, n_arms)."""
        return np.column_stack([self.outcomes.predict(x)[:, 0], blend(self.sides, x, self.chance.predict(x))])


def imputed_effects(outcome: Floats, arms: Codes, mu: Floats) -> Floats:
    """Return ``y - mu_0`` for the treated and ``mu_a - y`` for the controls, shape (n, n_arms - 1); 0 for other arms."""
    columns = []
    for arm in range(1, mu.shape[1]):
        treated = np.where(arms == arm, outcome - mu[:, 0], 0.0)
        columns.append(np.where(arms == 0, mu[:, arm] - outcome, treated))
    return np.column_stack(columns)


def other_arms(outcomes: Model, x: Floats, train: Ints, arms: Codes, shape: tuple[int, ...]) -> Floats:
    """Return what effects are imputed by: the outcomes of the controls under each arm, of others under control.

    Zeros elsewhere, and for rows that are not among ``train``. Models by arm are asked for no more than that.
    """
    mu = np.zeros(shape)
    if not isinstance(outcomes, ArmModels):
        mu[train] = outcomes.predict(take_rows(x, train))
        return mu
    controls, treated = train[arms[train] == 0], train[arms[train] > 0]
    mu[treated, 0] = replace(outcomes, models=outcomes.models[:1]).predict(take_rows(x, treated))[:, 0]
    mu[controls, 1:] = replace(outcomes, models=outcomes.models[1:]).predict(take_rows(x, controls))
    return mu


def regress_sides(rows: tuple[tuple[Rows, Rows], ...], train: Ints, arms: Codes, imputed: Floats) -> Sides:
    """Regress imputed effects on covariates, among the controls and among the treated of some rows."""
    return tuple(
        (
            controls.fit(train[arms[train] == 0], imputed[:, arm - 1]),
            treated.fit(train[arms[train] == arm], imputed[:, arm - 1]),
        )
        for arm, (controls, treated) in enumerate(rows, start=1)
    )


def blend(sides: Sides, x: Floats, e: Floats) -> Floats:
    """Return the effect of each arm, shape (n, n_arms - 1): both sides, weighted by how likely the arm was."""
    columns = []
    for arm, (controls, treated) in enumerate(sides, start=1):
        share = e[:, arm] / (e[:, 0] + e[:, arm])
        columns.append(share * controls.predict(x) + (1.0 - share) * treated.predict(x))
    return np.column_stack(columns)


def _chances(canonical: Canonical, classifier: object, seed: int) -> tuple[Model, ...]:
    """Return a propensity model for each fold."""
    study: Study = canonical.study
    found = study.nuisances.propensity
    if found.models:
        return tuple(Clipped(model, found.low) for model in found.models)
    if np.ptp(found.values, axis=0).max() == 0.0:
        model: Model = ConstantModel(found.values[0])
    else:
        learner = on_views(
            as_classifier(classifier, canonical.sample.features(), n_classes=study.arms.count, random_state=seed)
        )
        codes = study.arms.codes.astype(float)
        rows = np.arange(len(codes))
        groups = None if study.groups is None else study.groups.codes
        fitted = learner.fit(canonical.table.view(rows), codes, study.weights, groups)  # type: ignore[arg-type]
        model = Clipped(fitted, found.low)
    return (model,) * len(study.nuisances.models)


@dataclass(frozen=True, eq=False)
class Clipped:
    """Probabilities of arms that are nowhere below a limit."""

    model: Model
    low: float

    def predict(self, x: Floats) -> Floats:
        """Return probabilities, shape (n, n_arms)."""
        out: Floats = np.maximum(self.model.predict(x), self.low)
        return out
