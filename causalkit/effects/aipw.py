"""AIPW: the average effect by cross-fitted augmented inverse-propensity weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from causalkit.core import params
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.average_result import AverageEffect, headline_fields
from causalkit.effects.crossfit_study import ROLES, cross_fit, validate_folds
from causalkit.effects.tmle import TargetedEffect, targeted_study


@dataclass(frozen=True, kw_only=True)
class AIPW(Estimator[AverageEffect]):
    """Average effect of each arm against the control, doubly robust.

    The estimand is ``E[Y(a) - Y(control)]`` over the (weighted) population that the rows stand for. Each row's score is
    ``mu_a(x) + 1{arm = a} (y - mu_a(x)) / e_a(x)``, with outcome models ``mu`` and propensities ``e`` that were fitted
    on the other folds; the estimate is the mean of the difference of two scores. It is right if the outcome models or
    the propensities are, and as precise as any regular estimator if both are. In a randomised experiment pass
    ``propensity=``: then it is right whatever the outcome models are.

    Parameters
    ----------
    method : {"aipw", "tmle", "tmle_linear"}
        ``"aipw"``: the mean of scores. ``"tmle"``: targeted maximum likelihood; the outcome model of each arm is moved on
        the logit scale of the range of the outcome, by a constant fitted with weights 1 / e_a, until the correction is
        zero, so that no average leaves the range of the data (van der Laan and Rubin 2006; Gruber and van der Laan
        2010). ``"tmle_linear"`` adds ``epsilon / e_a`` instead, as R's grf does. All are equally precise in large samples.
    n_folds : int
        Folds of the cross-fitting, at least 2.
    regressor : None, str or scikit-learn regressor
        Outcome model: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator.
    classifier : None, str or scikit-learn classifier
        Propensity model, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions: no unmeasured confounding given the covariates (or known propensities); every unit could be in every
    arm; no interference between units.

    The standard error is that of a mean of scores: HC1, ``sum(psi^2) n / (n - 1)`` with t(n - 1), or with clusters
    CR1, ``G / (G - 1) sum over clusters (sum psi)^2`` with t(G - 1). ``with_vcov("HC0")`` gives DoubleML's, without the
    factor. Clusters are kept whole in folds. Where ``unit`` repeats and no cluster is named, units are the clusters.

    References
    ----------
    Robins, Rotnitzky and Zhao (1994), *JASA* 89. Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey and Robins
    (2018), "Double/debiased machine learning", *Econometrics Journal* 21. Van der Laan and Rubin (2006), "Targeted maximum
    likelihood learning", *International Journal of Biostatistics* 2(1). Gruber and van der Laan (2010), *IJB* 6(1).

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm, x = rng.integers(0, 2, 500), rng.normal(size=500)
    >>> table = {"y": x + arm + rng.normal(size=500), "arm": arm, "x": x}
    >>> result = ck.AIPW(regressor="linear", random_state=0).fit(
    ...     table, outcome="y", treatment="arm", covariates="x", propensity=0.5
    ... )
    >>> result.estimand
    'average effect of arm=1 minus arm=0 on y'
    """

    method: Literal["aipw", "tmle", "tmle_linear"] = params.choice("aipw", "aipw", "tmle", "tmle_linear")
    n_folds: int = params.integer(5, low=2)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar = ROLES
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
    ) -> AverageEffect:
        """Estimate the average effects.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, a dict of columns, or a lazy table.
        outcome : str
            Numeric outcome.
        treatment : str
            Arms: bool, 0/1, text or categories.
        covariates : str or list of str
            Numbers and categories measured before the treatment.
        control : label, optional
            The baseline level; needed unless the arms are bool or 0/1.
        treatment_level : label, optional
            The arm of interest where there are several: the headline.
        propensity : float or str, optional
            Known probability of the arm of interest (a number or a column); estimated where left out. Two arms only.
        cluster : str, optional
            Clusters of rows that are not independent.
        unit : str, optional
            Identifies people, so that results from different tables can be compared.
        weights : str, optional
            How many people a row stands for.
        missing : {"native", "drop", "raise"}
            Covariates with gaps: kept as they are, dropped, or refused. Rows without an outcome or arm are dropped
            (refused with ``"raise"``).

        Returns
        -------
        AverageEffect

        Raises
        ------
        DesignError
            If there is one arm, no control named, several arms with one propensity, or too few rows or clusters in an
            arm for the folds.
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

    def estimate(self, sample: Sample) -> AverageEffect:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        canonical = cross_fit(
            sample,
            n_folds=self.n_folds,
            regressor=self.regressor,
            classifier=self.classifier,
            random_state=run.random_state,  # type: ignore[attr-defined]
            n_jobs=n_jobs_or_default(self.n_jobs),
        )
        study = canonical.in_user_order(sample)
        if self.method == "aipw":
            return AverageEffect(**headline_fields(run, sample, study))
        return TargetedEffect(**headline_fields(run, sample, targeted_study(study, self.method)), initial=study)
