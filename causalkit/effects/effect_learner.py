"""What all learners of effects share: the keywords of ``fit``, cross-fitted nuisances, and the model that comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.average_result import headline_fields
from causalkit.effects.bagged import Spread
from causalkit.effects.crossfit_study import ROLES, Canonical, cross_fit, validate_folds
from causalkit.effects.model import EffectModel, Predictor
from causalkit.kernels.arrays import Floats, read_only


@dataclass(frozen=True, eq=False)
class Learned:
    """What a learner has learned, in canonical order.

    Parameters
    ----------
    predictor : Predictor
        Predicts new rows.
    out_of_fold : Spread
        Predictions of the training rows by models that have not seen them: baseline, then the effect of each arm.
    ranking : Floats, shape (n, n_arms - 1)
        What rows are ranked by within a fold.
    no_interval : str
        Why there are no pointwise intervals; empty where there are.
    """

    predictor: Predictor
    out_of_fold: Spread
    ranking: Floats
    no_interval: str = ""


@dataclass(frozen=True, kw_only=True)
class EffectLearner(Estimator[EffectModel]):
    """The base of the learners; subclasses say how they learn from cross-fitted nuisances."""

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

    def validate(self, sample: Sample) -> None:
        """Refuse rows that the folds can't hold; see :meth:`Estimator.validate`."""
        validate_folds(sample, self.n_folds)

    def estimate(self, sample: Sample) -> EffectModel:
        """Run the analysis on a bound sample.

        Learners with the same folds, learners and seed share the nuisances of equal samples, as long as one of the
        results lives.
        """
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
        learned = self._learn(canonical, seed, jobs)
        features = canonical.sample.features()
        found = learned.out_of_fold
        return EffectModel(
            **headline_fields(run, sample, canonical.in_user_order(sample)),
            predictor=learned.predictor,
            out_of_fold=Spread(canonical.restore(found.mean), canonical.restore(found.covariance)),
            ranking=read_only(canonical.restore(learned.ranking)),
            schema=features.schema,
            fingerprint=canonical.fingerprint,
            n_table=sample.n_input,
            no_interval=learned.no_interval,
        )

    def _learn(self, canonical: Canonical, seed: int, jobs: int) -> Learned:
        """Learn effects from the nuisances."""
        raise NotImplementedError
