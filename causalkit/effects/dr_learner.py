"""DRLearner: effects person by person, from doubly robust scores regressed on covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.average_result import headline_fields
from causalkit.effects.averages import average_effect
from causalkit.effects.bagged import BaggedModel, Spread, fit_bagged
from causalkit.effects.crossfit_study import ROLES, Canonical, cross_fit
from causalkit.effects.final_stage import stage_maker
from causalkit.effects.model import EffectModel, fingerprint
from causalkit.kernels.arrays import Floats, read_only


@dataclass(frozen=True, kw_only=True)
class DRLearner(Estimator[EffectModel]):
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
        ``1 / sqrt(2 n_boot)``.
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

    n_folds: int = params.integer(5, low=2)
    n_boot: int = params.integer(40, low=10)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar = {**ROLES, "covariates": replace(ROLES["covariates"], required=True)}
    assignment: ClassVar = Assignment("treatment", "row")
    strategies: ClassVar = ("adjustment",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        covariates: str | Sequence[str] = (),
        control: Any = None,
        treatment_level: Any = None,
        propensity: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: str = "native",
    ) -> EffectModel:
        """Fit the model.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, a dict of columns, or a lazy table.
        outcome : str
            Numeric outcome.
        treatment : str
            Arms: bool, 0/1, text or categories.
        covariates : str or list of str
            Numbers and categories measured before the treatment; at least one.
        control : label, optional
            The baseline level; needed unless the arms are bool or 0/1.
        treatment_level : label, optional
            The arm of interest where there are several: the headline.
        propensity : float or str, optional
            Known probability of the arm of interest (a number or a column); estimated where left out. Two arms only.
        cluster : str, optional
            Clusters of rows that are not independent: kept whole in folds and half-samples.
        unit : str, optional
            Identifies people, so that results from different tables can be compared.
        weights : str, optional
            How many people a row stands for.
        missing : {"native", "drop", "raise"}
            Covariates with gaps: kept as they are, dropped, or refused. Rows without an outcome or arm are dropped
            (refused with ``"raise"``).

        Returns
        -------
        EffectModel

        Raises
        ------
        DesignError
            If there is one arm, no control named, no covariate, several arms with one propensity, or too few rows or
            clusters in an arm for the folds.
        DataError
            If a column is unknown, a value infinite, or a propensity not strictly between 0 and 1.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            covariates=covariates,
            control=control,
            treatment_level=treatment_level,
            propensity=propensity,
            cluster=cluster,
            unit=unit,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> EffectModel:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        seed: int = run.random_state  # type: ignore[attr-defined]
        jobs = n_jobs_or_default(self.n_jobs)
        canonical = cross_fit(
            sample,
            n_folds=self.n_folds,
            regressor=self.regressor,
            classifier=self.classifier,
            random_state=seed,
            n_jobs=jobs,
        )
        predictor, out_of_fold, ranking = self._final_stage(canonical, seed, jobs)
        features = canonical.sample.features()
        return EffectModel(
            **headline_fields(run, sample, canonical.in_user_order(sample)),
            predictor=predictor,
            out_of_fold=Spread(canonical.restore(out_of_fold.mean), canonical.restore(out_of_fold.covariance)),
            ranking=read_only(canonical.restore(ranking[:, 1:])),
            schema=features.schema,
            fingerprint=fingerprint(replace(features, values=canonical.restore(features.values))),
            n_table=sample.n_input,
        )

    def _final_stage(self, canonical: Canonical, seed: int, jobs: int) -> tuple[BaggedModel, Spread, Floats]:
        """Regress the control's scores and the contrasts on the covariates."""
        study = canonical.study
        groups = None if study.groups is None else study.groups.codes
        features = canonical.sample.features()
        targets = np.column_stack([study.nuisances.scores[:, 0], study.contrasts])
        average = average_effect(targets, study.weights, study.groups)
        return fit_bagged(
            stage_maker(self.regressor, features, targets, study.weights, groups),
            features.values,
            targets,
            study.nuisances.folds,
            arms=study.arms.codes,
            average=average.theta,
            average_cov=average.vcov,
            weights=study.weights,
            groups=groups,
            n_boot=self.n_boot,
            random_state=seed,
            n_jobs=jobs,
        )
