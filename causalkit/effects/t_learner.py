"""TLearner: effects as the difference of two outcome models, one per arm."""

from __future__ import annotations

from dataclasses import dataclass

from causalkit.effects.crossfit_study import Canonical
from causalkit.effects.effect_learner import EffectLearner, Learned
from causalkit.effects.fold_models import from_levels, learned
from causalkit.kernels.arrays import Floats
from causalkit.nuisance.learners import Model

NO_INTERVAL = "the T-learner has no valid pointwise interval: the two outcome models are biased, each in its own way."


@dataclass(frozen=True, kw_only=True)
class TLearner(EffectLearner):
    """Effects by covariates: an outcome model for each arm, and their difference.

    The estimand is ``E[Y(a) - Y(control) | X = x]``, estimated by ``mu_a(x) - mu_control(x)``. These are the outcome
    models of the cross-fitting, so beside another learner it costs nothing. The headline is the average effect (AIPW),
    and the people of the fit are predicted out of fold.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-fitting, at least 2.
    regressor : None, str or scikit-learn regressor
        Outcome models: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW. The arms are smoothed apart from each other, so differences between the two models appear as
    effects: where effects are weak the predictions vary too much (see ``calibration_test``), and there is no valid
    pointwise interval. New people get the mean of the folds' models.

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
    >>> model = ck.TLearner(regressor="linear", random_state=0).fit(
    ...     table, outcome="y", treatment="arm", covariates="x", propensity=0.5
    ... )
    >>> bool(np.corrcoef(model.cate(), x)[0, 1] > 0.9)
    True
    """

    def _learn(self, canonical: Canonical, seed: int, jobs: int) -> Learned:
        """Take differences of the outcome models that the scores rest on."""
        nuisances = canonical.study.nuisances
        models = tuple(Differences(outcomes) for outcomes in nuisances.models)
        return learned(models, from_levels(nuisances.mu), NO_INTERVAL)


@dataclass(frozen=True, eq=False)
class Differences:
    """Outcome models by arm, as a baseline and effects."""

    outcomes: Model

    def predict(self, x: Floats) -> Floats:
        """Return the baseline and the effect of each arm, shape (n, n_arms)."""
        return from_levels(self.outcomes.predict(x))
