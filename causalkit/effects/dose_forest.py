"""The causal forest of a dose: how much one more unit changes the outcome, person by person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.features import Schema
from causalkit.core.result import Result
from causalkit.core.sample import Sample
from causalkit.core.settings import n_jobs_or_default
from causalkit.effects.averages import average_effect
from causalkit.effects.bagged import Spread
from causalkit.effects.checks import dose_checks, remainder_check
from causalkit.effects.double_ml_plr import Residuals, slope
from causalkit.effects.double_ml_setup import Setup, ways_of
from causalkit.effects.known_rows import KnowsItsRows, fingerprint
from causalkit.effects.plain_result import PlainResult, outcome_name
from causalkit.errors import DesignError
from causalkit.inference.wald import require_alpha, t_interval
from causalkit.kernels.arrays import Floats, Ints, read_only
from causalkit.nuisance.quality import r_squared

if TYPE_CHECKING:
    from causalkit.effects.causal_forest import CausalForest
    from causalkit.effects.forest.local_linear import LocalLinear
    from causalkit.effects.forest.trees import Forest

#: Share of the mean conditional variance of the dose below which that of a row is not taken to be.
LEAST_VARIANCE = 0.02


@dataclass(frozen=True, eq=False)
class DosePredictor:
    """Predicts the effects of new rows on the learning scale; ``scale`` turns standard deviations of the dose to units."""

    forest: Forest
    local: LocalLinear | None
    scale: float
    n_jobs: int = 1

    def predict(self, x: Floats) -> Spread:
        """Return means, shape (n, 1), and covariances, shape (n, 1, 1)."""
        from causalkit.effects.forest.predicting import predict_spread

        found = predict_spread(self.forest, x, local=self.local, n_jobs=self.n_jobs)
        return Spread(self.scale * found.mean[:, :1], self.scale**2 * found.whole[:, :1, :1])


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DoseModel(KnowsItsRows):
    """A model of what one more unit of a dose does to whom.

    The headline is the average partial effect, by doubly robust scores of the partially linear model with effects that
    differ between people; :meth:`cate` predicts effects person by person.

    Parameters
    ----------
    residuals : Residuals
        Outcome and dose minus their out-of-fold means, in the user's order.
    score_values : Floats, shape (n,)
        Doubly robust scores of the effect, on the learning scale.
    unit : float
        How much of the outcome one unit of the learning scale is.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    ways : tuple of Groups
        Ways of clustering.
    rows_used : Rows
        Identity of the rows.
    predictor : DosePredictor
        Predicts new rows.
    out_of_fold : Spread
        Predictions of the rows of the fit by trees that have not seen them.
    schema : Schema
        Names and categories of the covariates.
    fingerprint : str
        Recognises the covariates of the fit.
    n_table : int
        Rows of the table of the fit.
    """

    residuals: Residuals
    score_values: Floats
    unit: float
    weights: Floats | None
    ways: tuple[Any, ...]
    rows_used: Any
    predictor: DosePredictor
    out_of_fold: Spread
    schema: Schema
    fingerprint: str
    n_table: int

    @property
    def _positions(self) -> Ints:
        positions: Ints = self.rows_used.positions
        return positions

    @cached_property
    def scores(self) -> Floats:
        """Doubly robust scores of the effect of one more unit, shape (n,), in units of the outcome; read-only."""
        return read_only(self.unit * self.score_values)

    def cate(self, data: Any = None) -> Floats:
        """Predict the effect of one more unit on each person, shape (n,), in units of the outcome.

        Rows of the fit are predicted out of bag: without ``data``, and where it is the table of the fit, a part of it, or
        holds its rows in another order (see :meth:`EffectModel.cate`). A gap in a number that had none in the fit is read as
        the median of the fit.
        """
        return read_only(self.unit * self._spread(data).mean[:, 0])

    def cate_ci(self, data: Any = None, alpha: float = 0.05) -> tuple[Floats, Floats]:
        """Return lower and upper limits of the effect on each person, shape (n,) each.

        They are right for what the forest estimates on average; where the effect is steep, the forest smooths it.
        """
        require_alpha(alpha)
        spread = self._spread(data)
        se = np.sqrt(np.maximum(spread.covariance[:, 0, 0], 0.0))
        low, high = t_interval(spread.mean[:, 0], se, float(self.effects.df[0]), alpha)
        return read_only(self.unit * low), read_only(self.unit * high)

    def ate(self, target: str = "all") -> Result:
        """Return the average effect of one more unit.

        Parameters
        ----------
        target : {"all", "overlap"}
            Everybody (the headline: the average partial effect, as R grf's ``average_treatment_effect`` gives for a
            dose); or people weighted by how much their dose varies given covariates (the slope of the partially linear
            model).

        Raises
        ------
        DesignError
            For another target: a dose has no treated and no control group.
        """
        if target not in ("all", "overlap"):
            raise DesignError(f"target={target!r} is not an option for a dose.", hint="Use 'all' or 'overlap'.")
        if target == "all":
            numbers = average_effect(self.score_values, self.weights, self.ways or None, rows=self.rows_used)
        else:
            sample = self._kept()
            numbers = slope(self.residuals, sample.number("treatment"), self.weights, self.ways, sample)
        told = "average" if target == "all" else "overlap-weighted average"
        return PlainResult(
            estimator=self.estimator,
            effects=Effects(self.effects.terms, numbers * self.unit),
            headline=self.headline,
            estimand=f"{told} {self.estimand.removeprefix('average ')}",
            checks=self.checks,
            sample=self.sample,
            n=self.n,
            dropped=self.dropped,
            roles=self.roles,
            steps=(*self.steps, ("ate", (target,), ())),
        )


def dose_forest(run: CausalForest, sample: Sample) -> DoseModel:
    """Grow the forest of a dose on a bound sample.

    Raises
    ------
    DesignError
        If a propensity was given, or covariates determine the dose.
    """
    from causalkit.effects.forest.fitting import grow_and_predict

    if sample.has("propensity"):
        raise DesignError(
            "propensity= is the probability of an arm, and the treatment is a dose.", hint="Leave it out."
        )
    setup = Setup.of(sample, run.regressor)
    learners = setup.learners(run, 0)
    spread = float(np.std(setup.dose))
    dose = (setup.dose - setup.dose.mean()) / spread if spread > 0 else np.zeros(len(setup.z))
    expected, level = learners.mean(dose), learners.mean(setup.z)
    v, u = dose - expected, setup.z - level
    parts = Residuals(setup.restore(u), setup.restore(spread * v))
    weights, ways = None if setup.weights is None else setup.restore(setup.weights), ways_of(sample)
    slope(parts, setup.restore(setup.dose), weights, ways, sample)  # refuses a dose that nothing is left of
    features = setup.sample.features()
    forest, local, found = grow_and_predict(
        run,
        features,
        u,
        v[:, None],
        weights=setup.weights,
        groups=setup.ways[0].codes if setup.ways else None,
        extra=v[:, None] ** 2,
    )
    tau, variance = found.mean[:, 0], found.mean[:, 1]
    variance = np.maximum(variance, LEAST_VARIANCE * np.average(v**2, weights=setup.weights))
    scores = setup.restore((tau + v * (u - v * tau) / variance) / spread)
    numbers = average_effect(scores, weights, ways or None, rows=sample.rows) * setup.scale.unit
    name = sample.name("treatment")
    return DoseModel(
        estimator=run,
        effects=Effects((name,), numbers.folded()),
        headline=name,
        estimand=f"average effect of one more unit of {name} on {outcome_name(sample.given)}",
        checks=dose_checks(
            sample,
            remainder_check(name, 1.0 - r_squared(dose, expected, setup.weights)),
            r_squared(setup.z, level, setup.weights),
        ),
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        residuals=parts,
        score_values=scores,
        unit=setup.scale.unit,
        weights=weights,
        ways=ways,
        rows_used=sample.rows,
        predictor=DosePredictor(forest, local, 1.0 / spread, n_jobs_or_default(run.n_jobs)),
        out_of_fold=Spread(setup.restore(tau[:, None] / spread), setup.restore(found.whole[:, :1, :1] / spread**2)),
        schema=features.schema,
        fingerprint=fingerprint(replace(features, values=setup.restore(features.values))),
        n_table=sample.n_input,
    )
