"""Mediation: how much of an effect goes through what the treatment moves on its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from causalkit.core import params
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.averages import average_effect, estimate_of
from causalkit.effects.mediation_checks import linear_checks, mediation_checks
from causalkit.effects.mediation_linear import linear_paths
from causalkit.effects.mediation_pathway import (
    MEDIATOR_ROLES,
    cross_fit_pathway,
    mediator_names,
    require_mediators,
    validate_pathway,
)
from causalkit.effects.mediation_result import MediationResult, as_effects
from causalkit.effects.mediation_scores import crossed_scores
from causalkit.effects.plain_result import outcome_name


@dataclass(frozen=True, kw_only=True)
class Mediation(Estimator[MediationResult]):
    """Direct and indirect effects of a treatment with two arms.

    The estimands are averages over the (weighted) population: the total effect ``E[Y(1) - Y(0)]``, the part that goes
    through the mediators (indirect) and the part that does not (direct). The headline is the indirect effect. Both parts are
    averaged over the two ways to part the total effect; ``result.decomposition()`` lists the natural direct effect
    ``E[Y(1, M(0)) - Y(0, M(0))]``, the natural indirect effect ``E[Y(1, M(1)) - Y(1, M(0))]`` and the others. Several
    mediators are taken together: the indirect effect is the one through any of them.

    Parameters
    ----------
    method : {"robust", "linear", "product"}
        ``"robust"``: multiply robust scores with cross-fitted learners; mediators and outcomes of any kind. Mediators with
        few combinations of values (at most ten, none rare in an arm) are modelled by their probabilities, others by the
        probability of the treatment given mediators and covariates, from which density ratios follow by Bayes' rule, so
        that no density is ever estimated. ``"linear"``: closed form from a linear equation for each mediator and one for
        the outcome in which mediators may act differently in the two arms. ``"product"``: the same without that
        interaction; the indirect effect is then the product of two coefficients and equals the difference of two (Baron and
        Kenny 1986).
    n_folds : int
        Folds of the cross-fitting, at least 2 (``"robust"``).
    regressor : None, str or scikit-learn regressor
        Outcome model, and regressions of its predictions: None or ``"lightgbm"``, ``"linear"``, ``"mean"``, or an estimator.
    classifier : None, str or scikit-learn classifier
        Treatment and mediator models, and outcome model of an outcome with two values.
    random_state : int, optional
        Seed of folds and learners.
    n_jobs : int, optional
        Folds worked on at a time; the answer is the same for any value.

    Notes
    -----
    Assumptions: given the covariates, treatment and mediators are as good as random (sequential ignorability: Imai, Keele and
    Yamamoto 2010); no cause of both mediators and outcome is moved by the treatment; overlap. ``result.sensitivity()`` asks,
    for linear equations with one mediator, how strong a violation it takes.

    Errors are HC1, or CR1 with clusters: those of the mean of scores, or of the coefficients by the delta method, the spread
    of the covariates included.

    References
    ----------
    Tchetgen Tchetgen and Shpitser (2012), "Semiparametric theory for causal mediation analysis", *Annals of Statistics* 40.
    Farbmacher, Huber, Lafférs, Langen and Spindler (2022), "Causal mediation analysis with double machine learning",
    *Econometrics Journal* 25. VanderWeele (2015), *Explanation in Causal Inference*, chapter 2. Imai, Keele and Yamamoto
    (2010), "Identification, inference and sensitivity analysis for causal mediation effects", *Statistical Science* 25.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> arm = rng.integers(0, 2, 2000)
    >>> steps = arm + rng.normal(size=2000)
    >>> table = {"y": 2 * steps + arm + rng.normal(size=2000), "arm": arm, "steps": steps}
    >>> result = ck.Mediation(method="product").fit(table, outcome="y", treatment="arm", mediator="steps")
    >>> [round(float(value), 1) for value in result.effects.values]
    [2.1, 1.0, 3.1]
    """

    method: Literal["robust", "linear", "product"] = params.choice("robust", "robust", "linear", "product")
    n_folds: int = params.integer(5, low=2)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar = MEDIATOR_ROLES
    assignment: ClassVar = Assignment("treatment", "row")
    strategies: ClassVar = ("mediation",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        mediator: str | Sequence[str],
        covariates: str | Sequence[str] = (),
        control: Any = None,
        cluster: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: str = "native",
    ) -> MediationResult:
        """Estimate the direct, indirect and total effect.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, a dict of columns, or a lazy table.
        outcome : str
            Numeric outcome.
        treatment : str
            Two arms: bool, 0/1, text or categories.
        mediator : str or list of str
            What the treatment moves on its way to the outcome: numbers and categories.
        covariates : str or list of str
            Numbers and categories measured before the treatment: common causes of any two of treatment, mediators and
            outcome.
        control : label, optional
            The baseline level; needed unless the arms are bool or 0/1.
        cluster : str, optional
            Clusters of rows that are not independent.
        unit : str, optional
            Identifies people, so that results from different tables can be compared.
        weights : str, optional
            How many people a row stands for.
        missing : {"native", "drop", "raise"}
            Covariates with gaps: kept as they are (``method="robust"``), dropped, or refused. Rows without an outcome, arm or
            mediator are dropped (refused with ``"raise"``).

        Returns
        -------
        MediationResult

        Raises
        ------
        DesignError
            If there are not two arms, a mediator is constant, or rows or clusters are too few for the folds.
        DataError
            If a column is unknown or a value infinite; or a covariate has gaps and the equations are linear.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            mediator=mediator,
            covariates=covariates,
            control=control,
            cluster=cluster,
            unit=unit,
            weights=weights,
            missing=missing,
        )

    def validate(self, sample: Sample) -> None:
        """Refuse rows that can't be used; see :meth:`Estimator.validate`."""
        if self.method == "robust":
            validate_pathway(sample, self.n_folds)
        else:
            require_mediators(sample)

    def estimate(self, sample: Sample) -> MediationResult:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        if self.method != "robust":
            return _linear(run, sample, self.method == "linear")
        pathway = cross_fit_pathway(
            sample,
            n_folds=self.n_folds,
            regressor=self.regressor,
            classifier=self.classifier,
            random_state=run.random_state,  # type: ignore[attr-defined]
            n_jobs=n_jobs_or_default(self.n_jobs),
        )
        crossed = average_effect(crossed_scores(pathway), pathway.weights, pathway.groups, rows=pathway.rows)
        return MediationResult(
            **_fields(run, sample, crossed, pathway.scale.unit),
            checks=mediation_checks(sample, pathway),
            scale=pathway.scale,
            pathway=pathway,
        )


def _linear(run: Any, sample: Sample, interaction: bool) -> MediationResult:
    require_mediators(sample)
    paths = linear_paths(sample, interaction)
    theta, psi = paths.crossed_means()
    crossed = estimate_of(theta, psi, paths.groups, paths.rows, n_parameters=paths.n_parameters)
    return MediationResult(
        **_fields(run, sample, crossed, paths.scale.unit),
        checks=linear_checks(sample, paths, interaction),
        scale=paths.scale,
        n_parameters=paths.n_parameters,
        paths=paths,
    )


def _fields(run: Any, sample: Sample, crossed: Estimate, unit: float) -> dict[str, Any]:
    compared = f"effect of {sample.arms.contrast()} on {outcome_name(sample.given)}"
    return {
        "estimator": run,
        "effects": as_effects(crossed, unit),
        "headline": "indirect",
        "estimand": f"part through {mediator_names(sample)} of the {compared}",
        "whole": f"total {compared}",
        "sample": sample,
        "n": sample.n,
        "dropped": sample.dropped,
        "roles": sample.given,
        "crossed": crossed.folded(),
        "arms": sample.arms,
    }
