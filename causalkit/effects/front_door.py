"""FrontDoor: an effect whose confounders nobody measured, through mediators that carry all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from causalkit.core import params
from causalkit.core.effects import Effects
from causalkit.core.estimator import Estimator
from causalkit.core.roles import Assignment
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.averages import average_effect
from causalkit.effects.front_door_result import FrontDoorResult
from causalkit.effects.mediation_checks import front_door_checks
from causalkit.effects.mediation_pathway import MEDIATOR_ROLES, cross_fit_pathway, mediator_names, validate_pathway
from causalkit.effects.mediation_scores import front_door_scores
from causalkit.effects.plain_result import outcome_name


@dataclass(frozen=True, kw_only=True)
class FrontDoor(Estimator[FrontDoorResult]):
    """Average effect of a treatment with two arms through the front door, doubly robust.

    The estimand is ``E[Y(1) - Y(0)]`` over the (weighted) population. Where something that was not measured acts on treatment
    and outcome, it is still identified if mediators carry all of the effect (Pearl 1995):
    ``E[Y(b)] = E[sum over m of f(m | b, x) * sum over a of E[Y | a, m, x] e_a(x)]``. Each row's score has mean ``E[Y(b)]`` if
    the model of the mediators is right, or those of the outcome and the treatment are. Covariates that act on treatment and
    mediators, or on mediators and outcome, are adjusted for.

    Parameters
    ----------
    n_folds : int
        Folds of the cross-fitting, at least 2.
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
    Mediators with few combinations of values (at most ten, none rare in an arm) are modelled by their probabilities given
    arm and covariates. Others enter by density ratios, which follow by Bayes' rule from the probability of the treatment
    given mediators and covariates and that given covariates, so that no density is ever estimated; averages over mediators
    are regressions.

    Assumptions, which no test can settle (see the check ``front_door``): the treatment acts on the outcome through the
    mediators only; given the covariates, nothing else acts on treatment and mediators; given treatment and covariates,
    nothing else acts on mediators and outcome. Also overlap: mediators that occur in one arm occur in the other.

    Where the treatment acts past the mediators too, ``result.population_indirect_effect()`` still has a meaning.

    References
    ----------
    Pearl (1995), "Causal diagrams for empirical research", *Biometrika* 82. Fulcher, Shpitser, Marealle and Tchetgen Tchetgen
    (2020), "Robust inference on population indirect causal effects: the generalized front door criterion", *JRSS-B* 82.

    Examples
    --------
    >>> import numpy as np, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> taste = rng.normal(size=4000)  # nobody measured it
    >>> ad = (taste + rng.normal(size=4000) > 0).astype(int)
    >>> visit = (rng.random(4000) < 0.2 + 0.5 * ad).astype(int)
    >>> table = {"ad": ad, "visit": visit, "spend": 2 * visit + taste + rng.normal(size=4000)}
    >>> result = ck.FrontDoor(random_state=0, regressor="linear").fit(
    ...     table, outcome="spend", treatment="ad", mediator="visit"
    ... )
    >>> bool(abs(result.estimate - 1.0) < 0.15)
    True
    """

    n_folds: int = params.integer(5, low=2)
    regressor: Any = params.learner()  # noqa: RUF009 - a dataclass field
    classifier: Any = params.learner()  # noqa: RUF009 - a dataclass field
    random_state: int | None = params.seed()
    n_jobs: int | None = params.integer(None, low=1)

    roles: ClassVar = MEDIATOR_ROLES
    assignment: ClassVar = Assignment("treatment", "row")
    strategies: ClassVar = ("front_door",)

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
    ) -> FrontDoorResult:
        """Estimate the average effect.

        Parameters
        ----------
        data : table
            pandas, polars, pyarrow, a dict of columns, or a lazy table.
        outcome : str
            Numeric outcome.
        treatment : str
            Two arms: bool, 0/1, text or categories.
        mediator : str or list of str
            What carries the effect: numbers and categories.
        covariates : str or list of str
            Numbers and categories measured before the treatment.
        control : label, optional
            The baseline level; needed unless the arms are bool or 0/1.
        cluster : str, optional
            Clusters of rows that are not independent.
        unit : str, optional
            Identifies people, so that results from different tables can be compared.
        weights : str, optional
            How many people a row stands for.
        missing : {"native", "drop", "raise"}
            Covariates with gaps: kept as they are, dropped, or refused. Rows without an outcome, arm or mediator are dropped
            (refused with ``"raise"``).

        Returns
        -------
        FrontDoorResult

        Raises
        ------
        DesignError
            If there are not two arms, a mediator is constant, or rows or clusters are too few for the folds.
        DataError
            If a column is unknown or a value infinite.
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
        validate_pathway(sample, self.n_folds)

    def estimate(self, sample: Sample) -> FrontDoorResult:
        """Run the analysis on a bound sample."""
        run = self.seeded()
        pathway = cross_fit_pathway(
            sample,
            n_folds=self.n_folds,
            regressor=self.regressor,
            classifier=self.classifier,
            random_state=run.random_state,  # type: ignore[attr-defined]
            n_jobs=n_jobs_or_default(self.n_jobs),
        )
        scores = front_door_scores(pathway)
        numbers = average_effect(scores[:, 1] - scores[:, 0], pathway.weights, pathway.groups, rows=pathway.rows)
        term = sample.arms.contrast()
        return FrontDoorResult(
            estimator=run,
            effects=Effects((term,), (numbers * pathway.scale.unit).folded()),
            headline=term,
            estimand=f"average effect of {term} on {outcome_name(sample.given)} through {mediator_names(sample)}",
            checks=front_door_checks(sample, pathway),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            pathway=pathway,
            scores=scores,
        )
