"""RLearner: effects that explain what is left of the outcome by what is left of the treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core import params
from causalkit.effects.crossfit_study import Canonical
from causalkit.effects.effect_learner import EffectLearner, Learned
from causalkit.effects.fold_models import regress
from causalkit.effects.half_samples import NO_BOOT, half_sample_bags, require_boots
from causalkit.kernels.arrays import Codes, Floats


@dataclass(frozen=True, kw_only=True)
class RLearner(EffectLearner):
    """Effects by covariates: the residual-on-residual loss, minimised by a bagged learner that is shrunk.

    The estimand is ``E[Y(a) - Y(control) | X = x]``. With cross-fitted ``m(x) = E[Y | x]`` and ``e(x) = P(arm | x)`` it
    minimises the mean of ``((y - m) - (w - e) tau(x))^2``, which is a regression of ``(y - m) / (w - e)`` with weights
    ``(w - e)^2``: people who could have been in either arm count most. With several arms, each is compared with the
    control among the rows of the two. Half-samples, shrinkage and intervals as in
    :class:`~causalkit.effects.dr_learner.DRLearner`; the factors of shrinkage are chosen by the same loss. The headline
    is the average effect (AIPW on the same nuisances).

    Parameters
    ----------
    n_folds : int
        Folds of the cross-fitting, at least 2.
    n_boot : int
        Half-samples per fold, at least 10; the relative Monte Carlo error of a standard error is about
        ``1 / sqrt(2 n_boot)``. Or 0: one fit per fold, as in the paper; nothing is shrunk, and effects have no intervals.
    regressor : None, str or scikit-learn regressor
        Learner of outcomes and of effects: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator that takes
        weights. It is fitted ``2 n_folds n_boot`` times on effects, so a slow one takes long.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds, half-samples and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW. ``m(x)`` is put together from the outcome models of the arms, ``sum_a e_a(x) mu_a(x)``, so
    that all learners share their nuisances.

    References
    ----------
    Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", *Biometrika* 108. Robinson
    (1988), "Root-N-consistent semiparametric regression", *Econometrica* 56.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 400), rng.normal(size=400)
    >>> table = {"y": x + arm * x + rng.normal(size=400), "arm": arm, "x": x}
    >>> model = ck.RLearner(regressor="linear", random_state=0).fit(
    ...     table, outcome="y", treatment="arm", covariates="x", propensity=0.5
    ... )
    >>> bool(np.corrcoef(model.cate(), x)[0, 1] > 0.9)
    True
    """

    n_boot: int = params.integer(40, low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_boots(self.n_boot)

    def _learn(self, canonical: Canonical, seed: int, jobs: int) -> Learned:
        """Regress ratios of residuals; the baseline from the control's doubly robust scores."""
        study, n = canonical.study, canonical.study.nuisances
        targets, weights = residual_ratios(study.z, study.arms.codes, n.mu, n.e)
        if not self.n_boot:
            return regress(canonical, self.regressor, seed, targets, weights, NO_BOOT)
        targets = np.column_stack([n.scores[:, 0], targets])
        weights = np.column_stack([np.ones(len(weights)), weights])
        return half_sample_bags(self, canonical, targets, weights, seed, jobs)


def residual_ratios(outcome: Floats, arms: Codes, mu: Floats, e: Floats) -> tuple[Floats, Floats]:
    """Return the pseudo-outcomes of the R-loss and their weights.

    Parameters
    ----------
    outcome : Floats, shape (n,)
        Outcome.
    arms : Codes, shape (n,)
        Arm of each row, the control at 0.
    mu, e : Floats, shape (n, n_arms)
        Expected outcome under, and probability of, each arm.

    Returns
    -------
    targets, weights : Floats, shape (n, n_arms - 1)
        ``(y - m) / (w - e)`` and ``(w - e)^2``, among the rows of an arm and the control; both are 0 for other rows.
    """
    columns = []
    for arm in range(1, mu.shape[1]):
        share = e[:, arm] / (e[:, 0] + e[:, arm])
        mean = mu[:, 0] + share * (mu[:, arm] - mu[:, 0])
        left = (arms == arm) - share
        here = (arms == arm) | (arms == 0)
        columns.append((np.where(here, (outcome - mean) / left, 0.0), np.where(here, left**2, 0.0)))
    targets, weights = zip(*columns, strict=True)
    return np.column_stack(targets), np.column_stack(weights)
