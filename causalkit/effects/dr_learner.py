"""DRLearner: effects person by person, from doubly robust scores regressed on covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core import params
from causalkit.effects.crossfit_study import Canonical
from causalkit.effects.effect_learner import EffectLearner, Learned
from causalkit.effects.fold_models import regress
from causalkit.effects.half_samples import NO_BOOT, half_sample_bags, require_boots


@dataclass(frozen=True, kw_only=True)
class DRLearner(EffectLearner):
    """Effects by covariates: doubly robust scores, regressed on covariates by a bagged learner that is shrunk.

    The estimand is ``E[Y(a) - Y(control) | X = x]``. Scores as in :class:`~causalkit.effects.aipw.AIPW`, whose estimate
    is the headline, are unbiased for it whatever the covariates. Fold by fold they are regressed on the covariates of
    the other folds, by default with small boosted trees, on ``n_boot`` half-samples; the mean of these fits predicts.
    Deviations from the average effect are shrunk by a factor that the training rows choose (see
    :mod:`causalkit.effects.bagged`): where the data show no differences between people, everybody is given the average.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-fitting, at least 2.
    n_boot : int
        Half-samples per fold, at least 10; the relative Monte Carlo error of a standard error is about
        ``1 / sqrt(2 n_boot)``. Or 0: one fit per fold, as in the paper; nothing is shrunk, and effects have no intervals.
    regressor : None, str or scikit-learn regressor
        Learner of outcomes and of effects: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator. It is
        fitted ``2 n_folds n_boot`` times on effects, so a slow one takes long.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds, half-samples and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW: no unmeasured confounding given the covariates (or known propensities), overlap, no
    interference. Nuisances behind the scores of the training rows have seen the fold that is predicted (as in econml
    and DoubleML); its own outcomes enter the final stage in no other way.

    References
    ----------
    Kennedy (2023), "Towards optimal doubly robust estimation of heterogeneous causal effects", *Electronic Journal of
    Statistics* 17. Politis, Romano and Wolf (1999), *Subsampling*. Efron (2014), "Estimation and accuracy after model
    selection", *JASA* 109.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 400), rng.normal(size=400)
    >>> table = {"y": x + arm * x + rng.normal(size=400), "arm": arm, "x": x}
    >>> model = ck.DRLearner(regressor="linear", random_state=0).fit(
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
        """Regress the control's scores and the contrasts on the covariates."""
        study = canonical.study
        if not self.n_boot:
            return regress(canonical, self.regressor, seed, study.contrasts, None, NO_BOOT)
        targets = np.column_stack([study.nuisances.scores[:, 0], study.contrasts])
        return half_sample_bags(self, canonical, targets, None, seed, jobs)
