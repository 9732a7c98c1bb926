"""CausalForest: effects person by person, from honest trees that look for differences between effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Arms, Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.average_result import headline_fields
from causalkit.effects.bagged import Spread
from causalkit.effects.crossfit_study import ROLES, Canonical, cross_fit, validate_folds
from causalkit.effects.dose_forest import DoseModel
from causalkit.effects.model import EffectModel
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.features import FeatureMatrix
from causalkit.nuisance.learners import Learner
from causalkit.nuisance.outcome import Probability, standardized

if TYPE_CHECKING:
    from causalkit.effects.forest.predictor import ForestPredictor


@dataclass(frozen=True, kw_only=True)
class CausalForest(Estimator[EffectModel | DoseModel]):
    """Effects by covariates: an honest causal forest with pointwise confidence intervals.

    The estimand is ``E[Y(a) - Y(control) | X = x]``; for a dose, the effect of one more unit. Outcome and arms are
    centred at cross-fitted expectations given the covariates; trees then split where the effects of the two sides
    differ most, and rows that did not choose the splits fill the leaves. A prediction is a regression of the centred
    outcome on the centred arms, weighted by how often a row shares a leaf with the person predicted. The headline is
    the average effect (AIPW on the same nuisances).

    Parameters
    ----------
    n_trees : int
        Trees, at least 8. Predictions settle with a few hundred, the width of intervals with 2,000; with fewer, intervals
        are wide because they hold the error of drawing so few.
    min_node_size : int
        Rows of each arm that both sides of a split must hold.
    sample_fraction : float
        Share of the rows (of the clusters) that a tree uses, above 0 and at most 0.5: half of it chooses splits, half
        fills leaves.
    local_linear : bool
        Whether to regress on the covariates around each person instead of averaging: for effects that change along
        numbers rather than in steps. How far is chosen out of bag, and may be not at all. The work grows with the
        square of the rows, and the model keeps the covariates of the fit.
    n_folds : int
        Folds of the cross-fitting, at least 2.
    regressor : None, str or scikit-learn regressor
        Outcome model: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds, learners and trees.
    n_jobs : int, optional
        Threads; the answer is the same for any value.

    Notes
    -----
    Assumptions as for AIPW: no unmeasured confounding given the covariates (or known propensities), overlap, no
    interference.

    Rows of the fit are predicted out of bag, by the trees that have seen neither them nor others of their cluster. The
    baseline of a person is predicted by the control's outcome model, corrected by the mean of its errors (its doubly
    robust scores minus its out-of-fold predictions) with the weights of the forest. Covariates are cut into
    at most 255 bins; missing values are sent where effects differ most; categories are ordered in each node by what
    their rows say of the effect.

    For a dose the average partial effect is the mean of ``tau(x) + (d - e(x)) (y - m(x) - (d - e(x)) tau(x)) / v(x)``, with
    ``v`` the forest's local mean of ``(d - e(x))^2``; the effect is taken to be linear in the dose.

    Variances are those between half-samples ("little bags"), plus the Monte Carlo error of the trees drawn. That of a
    baseline takes in how far models of the control's rows differ between halves of them. Intervals are
    right for what the forest estimates on average; where the effect is steep a forest smooths it, and intervals miss
    the truth more often than ``alpha`` says.

    References
    ----------
    Athey, Tibshirani and Wager (2019), "Generalized random forests", *Annals of Statistics* 47. Wager and Athey (2018),
    *JASA* 113. Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", *Biometrika* 108.
    Friedberg, Tibshirani, Athey and Wager (2020), "Local linear forests", *JCGS* 30.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 500), rng.normal(size=500)
    >>> table = {"y": x + 2 * arm * (x > 0) + rng.normal(size=500), "arm": arm, "x": x}
    >>> model = ck.CausalForest(n_trees=200, regressor="linear", random_state=0).fit(
    ...     table, outcome="y", treatment="arm", covariates="x", propensity=0.5
    ... )
    >>> bool(np.corrcoef(model.cate(), x > 0)[0, 1] > 0.8)
    True
    """

    n_trees: int = params.integer(2000, low=8)
    min_node_size: int = params.integer(5, low=1)
    sample_fraction: float = params.number(0.5, low=0.0, high=0.5, open_low=True)
    local_linear: bool = params.flag(False)
    n_folds: int = params.integer(5, low=2)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar = {
        **ROLES,
        "treatment": replace(ROLES["treatment"], treatment="either"),
        "covariates": replace(ROLES["covariates"], required=True),
    }
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
    ) -> EffectModel | DoseModel:
        """Fit the forest.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, a dict of columns, or a lazy table.
        outcome : str
            Numeric outcome.
        treatment : str
            Bool, 0/1, text and categories are arms; other numbers are a dose, unless ``control=`` says that they are arms.
        covariates : str or list of str
            Numbers and categories measured before the treatment; at least one.
        control : label, optional
            The baseline level; needed unless the arms are bool or 0/1.
        treatment_level : label, optional
            The arm of interest where there are several: the headline.
        propensity : float or str, optional
            Known probability of the arm of interest (a number or a column); estimated where left out. Two arms only.
        cluster : str, optional
            Clusters of rows that are not independent: kept whole in folds, half-samples and their halves.
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
            For arms.
        DoseModel
            For a dose: effects of one more unit, and their average.

        Raises
        ------
        DesignError
            If there is one arm, no control named, no covariate, several arms with one propensity, or too few rows or
            clusters in an arm for the folds or the trees.
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

    def validate(self, sample: Sample) -> None:
        """Refuse rows that the folds can't hold; see :meth:`Estimator.validate`."""
        validate_folds(sample, self.n_folds)

    def estimate(self, sample: Sample) -> EffectModel | DoseModel:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        assert isinstance(run, CausalForest)
        assert run.random_state is not None
        if not isinstance(sample.columns["treatment"], Arms):
            from causalkit.effects.dose_forest import dose_forest

            return dose_forest(run, sample)
        seed = run.random_state
        jobs = n_jobs_or_default(self.n_jobs)
        canonical = cross_fit(
            sample,
            n_folds=self.n_folds,
            regressor=self.regressor,
            classifier=self.classifier,
            random_state=seed,
            n_jobs=jobs,
        )
        predictor, out_of_bag = run._grow(canonical, seed, jobs)
        features = canonical.sample.features()
        return EffectModel(
            **headline_fields(run, sample, canonical.in_user_order(sample)),
            predictor=predictor,
            out_of_fold=Spread(canonical.restore(out_of_bag.mean), canonical.restore(out_of_bag.covariance)),
            ranking=canonical.restore(out_of_bag.mean[:, 1:] - out_of_bag.mean[:, 1:].mean(axis=0)),
            schema=features.schema,
            fingerprint=canonical.fingerprint,
            n_table=sample.n_input,
        )

    def _grow(self, canonical: Canonical, seed: int, jobs: int) -> tuple[ForestPredictor, Spread]:
        """Grow the trees, with the errors of the baseline beside them; predict out of bag."""
        from causalkit.effects.forest.baseline import fit_baseline
        from causalkit.effects.forest.fitting import grow_and_predict
        from causalkit.effects.forest.predictor import ForestPredictor, with_baseline

        study = canonical.study
        features, codes, n = canonical.sample.features(), study.arms.codes, study.nuisances
        indicators = (codes[:, None] == np.arange(1, study.arms.count)).astype(float)
        groups = None if study.groups is None else study.groups.codes
        forest, local, found = grow_and_predict(
            self,
            features,
            study.z - n.mean_outcome,
            indicators - n.e[:, 1:],
            arms=codes,
            weights=study.weights,
            groups=groups,
            extra=n.scores[:, :1] - n.mu[:, :1],
        )
        learner = self._learner(features, study.scale.binary, seed, jobs)
        baseline = fit_baseline(learner, features.values, study.z, codes, study.weights, groups, seed=seed)
        return ForestPredictor(forest, baseline, local, jobs), with_baseline(found, n.mu[:, 0], baseline.variance)

    def _learner(self, features: FeatureMatrix, binary: bool, seed: int, jobs: int) -> Learner:
        """The model of the control's outcome, for people who are not in the table."""
        if binary and (self.classifier is not None or self.regressor is None):
            return Probability(as_classifier(self.classifier, features, random_state=seed, n_jobs=jobs))
        learner = as_regressor(self.regressor, features, random_state=seed, n_jobs=jobs)
        return standardized(learner, self.regressor)
