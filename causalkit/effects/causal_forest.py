"""CausalForest: effects person by person, from honest trees that look for differences between effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default, say
from causalkit.effects.average_result import headline_fields
from causalkit.effects.bagged import Spread
from causalkit.effects.crossfit_study import ROLES, Canonical, cross_fit
from causalkit.effects.model import EffectModel, fingerprint
from causalkit.kernels.arrays import Floats
from causalkit.nuisance.defaults import as_classifier, as_regressor
from causalkit.nuisance.learners import Learner, Model
from causalkit.nuisance.outcome import Probability, Standardized

if TYPE_CHECKING:
    from causalkit.effects.forest.predicting import Prediction
    from causalkit.effects.forest.trees import Forest

#: Rows times trees that take more than about two seconds.
LONG = 4_000_000


@dataclass(frozen=True, kw_only=True)
class CausalForest(Estimator[EffectModel]):
    """Effects by covariates: an honest causal forest with pointwise confidence intervals.

    The estimand is ``E[Y(a) - Y(control) | X = x]``. Outcome and arms are centred at cross-fitted expectations given the
    covariates; trees then split where the effects of the two sides differ most, and rows that did not choose the splits
    fill the leaves. A prediction is a regression of the centred outcome on the centred arms, weighted by how often a row
    shares a leaf with the person predicted. The headline is the average effect (AIPW on the same nuisances).

    Parameters
    ----------
    n_trees : int
        Trees, at least 100. Predictions settle with a few hundred, the width of intervals with 2,000.
    min_node_size : int
        Rows of each arm that both sides of a split must hold.
    sample_fraction : float
        Share of the rows (of the clusters) that a tree uses, above 0 and at most 0.5: half of it chooses splits, half
        fills leaves.
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

    Variances are those between half-samples ("little bags"), without the part that is Monte Carlo error. Intervals are
    right for what the forest estimates on average; where the effect is steep a forest smooths it, and intervals miss
    the truth more often than ``alpha`` says.

    References
    ----------
    Athey, Tibshirani and Wager (2019), "Generalized random forests", *Annals of Statistics* 47. Wager and Athey (2018),
    *JASA* 113. Nie and Wager (2021), "Quasi-oracle estimation of heterogeneous treatment effects", *Biometrika* 108.

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

    n_trees: int = params.integer(2000, low=100)
    min_node_size: int = params.integer(5, low=1)
    sample_fraction: float = params.number(0.5, low=0.0, high=0.5, open_low=True)
    n_folds: int = params.integer(5, low=2)
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
        """Fit the forest.

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
        forest, out_of_bag = self._grow(canonical, seed, jobs)
        predictor = ForestPredictor(forest, self._baseline(canonical, seed, jobs), jobs)
        features = canonical.sample.features()
        return EffectModel(
            **headline_fields(run, sample, canonical.in_user_order(sample)),
            predictor=predictor,
            out_of_fold=Spread(canonical.restore(out_of_bag.mean), canonical.restore(out_of_bag.covariance)),
            ranking=canonical.restore(out_of_bag.mean[:, 1:] - out_of_bag.mean[:, 1:].mean(axis=0)),
            schema=features.schema,
            fingerprint=fingerprint(replace(features, values=canonical.restore(features.values))),
            n_table=sample.n_input,
        )

    def _grow(self, canonical: Canonical, seed: int, jobs: int) -> tuple[Forest, Spread]:
        """Grow the trees on centred outcomes and arms, with the errors of the baseline beside them; predict out of bag."""
        from causalkit.effects.forest.growing import Growth, grow_forest
        from causalkit.effects.forest.predicting import oob_predict

        study = canonical.study
        features, codes, n = canonical.sample.features(), study.arms.codes, study.nuisances
        if len(codes) * self.n_trees > LONG:
            say(f"CausalForest: growing {self.n_trees:,} trees on {len(codes):,} rows.")
        indicators = (codes[:, None] == np.arange(1, study.arms.count)).astype(float)
        forest, bags = grow_forest(
            features.values,
            study.z - n.mean_outcome,
            indicators - n.e[:, 1:],
            categorical=features.categorical,
            arms=codes,
            weights=study.weights,
            groups=None if study.groups is None else study.groups.codes,
            extra=n.scores[:, :1] - n.mu[:, :1],
            growth=Growth(n_trees=self.n_trees, min_node_size=self.min_node_size, sample_fraction=self.sample_fraction),
            random_state=seed,
            n_jobs=jobs,
        )
        found = oob_predict(forest, bags, features.values, n_jobs=jobs)
        return forest, _spread(found, n.mu[:, 0])

    def _baseline(self, canonical: Canonical, seed: int, jobs: int) -> Model:
        """Fit the control's outcome model on all of its rows, for people who are not among them."""
        study, features = canonical.study, canonical.sample.features()
        used = study.arms.codes == 0
        if study.weights is not None:
            used &= study.weights > 0
        rows = np.flatnonzero(used)
        learner: Learner
        if study.scale.binary and (self.classifier is not None or self.regressor is None):
            learner = Probability(as_classifier(self.classifier, features, random_state=seed, n_jobs=jobs))
        else:
            learner = Standardized(as_regressor(self.regressor, features, random_state=seed, n_jobs=jobs))
        weights = None if study.weights is None else study.weights[rows]
        groups = None if study.groups is None else study.groups.codes[rows]
        return learner.fit(features.values[rows], study.z[rows], weights, groups)


@dataclass(frozen=True, eq=False)
class ForestPredictor:
    """Predicts baselines and effects of new rows.

    The baseline is the control's outcome model plus what the forest has learned of its errors: the mean of the control's
    doubly robust scores minus the out-of-fold model, weighted as the effects are.

    Parameters
    ----------
    forest : Forest
        With the errors of the baseline as its one extra.
    baseline : Model
        The control's outcome model.
    n_jobs : int
        Threads.
    """

    forest: Forest
    baseline: Model
    n_jobs: int = 1

    def predict(self, x: Floats) -> Spread:
        """Return means, shape (n, n_arms), and covariances: the baseline first, then the effects."""
        from causalkit.effects.forest.predicting import predict_spread

        return _spread(predict_spread(self.forest, x, n_jobs=self.n_jobs), self.baseline.predict(x))


def _spread(found: Prediction, baseline: Floats) -> Spread:
    """Put the baseline first and add its model; the covariances are those of what the forest has learned."""
    order = np.roll(np.arange(found.mean.shape[1]), 1)
    mean = found.mean[:, order]
    mean[:, 0] += baseline
    return Spread(mean, found.covariance[:, order][:, :, order])
