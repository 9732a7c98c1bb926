"""The partially linear model: residual outcome on residual treatment, and how its slope differs between people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Sample
from causalkit.effects.averages import estimate_of, group_effects, shares
from causalkit.effects.checks import dose_checks, effect_checks, remainder_check
from causalkit.effects.double_ml_irm import study_of
from causalkit.effects.double_ml_setup import Setup, ways_of
from causalkit.effects.plain_result import PlainResult, outcome_name
from causalkit.effects.projection import best_linear_projection
from causalkit.effects.regressors import group_codes, regressors
from causalkit.effects.repeats import median_of
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.nuisance.propensity import clip_probabilities
from causalkit.nuisance.quality import r_squared

if TYPE_CHECKING:
    from causalkit.effects.double_ml import DoubleML


@dataclass(frozen=True, eq=False)
class Residuals:
    """Out-of-fold residuals of one cross-fit, in the user's order of rows.

    Parameters
    ----------
    outcome : Floats, shape (n,)
        z minus its mean given covariates.
    treatment : Floats, shape (n,)
        Dose, or indicator of the arm, minus its mean given covariates.
    untreated : Floats, shape (n,), or None
        z minus g(x), the outcome without treatment: the IV-type score; None for partialling out.
    """

    outcome: Floats
    treatment: Floats
    untreated: Floats | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PartiallyLinear(Result):
    """The slope of the outcome in the treatment, covariates held fixed.

    Parameters
    ----------
    residuals : tuple of Residuals
        One for each repetition.
    dose : Floats, shape (n,)
        The treatment.
    weights : Floats, shape (n,), or None
        Weights with mean one.
    ways : tuple of Groups
        Ways of clustering.
    unit : float
        How much of the outcome one unit of z is.
    rows_used : Rows
        Identity of the rows.
    """

    residuals: tuple[Residuals, ...]
    dose: Floats
    weights: Floats | None
    ways: tuple[Groups, ...]
    unit: float
    rows_used: Any

    def blp(self, covariates: Any = None, vcov: str = "auto") -> Result:
        """Return how the effect changes with covariates: residual outcome on residual treatment times covariates.

        Parameters
        ----------
        covariates : str, list of str, table or array, optional
            Covariates of the fit by name (default: all), or a table with the rows used (or of the whole table).
        vcov : {"auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2", "CR3"}
            Variance; ``"auto"`` is HC3, or CR1 with clusters.

        Returns
        -------
        Result
            A constant and one coefficient per column (the linear final stage of an R-learner, econml's LinearDML).

        Raises
        ------
        DataError
            If a covariate has missing values.
        """
        columns, names = regressors(self.sample, self.rows_used, covariates)
        found = [
            best_linear_projection(
                part.outcome,
                columns,
                names,
                weights=self.weights,
                groups=self.ways or None,
                rows=self.rows_used,
                slope=part.treatment,
                vcov=vcov,
            )
            for part in self.residuals
        ]
        numbers = median_of([one.estimate for one in found]) * self.unit
        return self._derived(
            Effects(found[0].terms, numbers), "linear projection of the", ("blp", (covariates, vcov), ())
        )

    def gate(self, covariates: Any) -> Result:
        """Return the slope in each group of rows.

        Parameters
        ----------
        covariates : str or array
            A covariate of the fit whose values are the groups (50 at most), or one label per row used (or per row of the
            table).

        Returns
        -------
        Result
            One term per group. HC1, or CR1 with clusters.
        """
        by = group_codes(self.sample, self.rows_used, covariates)
        numbers = median_of(
            [
                group_effects(
                    part.outcome,
                    by,
                    slope=part.treatment,
                    weights=self.weights,
                    groups=self.ways or None,
                    rows=self.rows_used,
                )
                for part in self.residuals
            ]
        )
        terms = tuple(f"{by.name}={label}" for label in by.labels)
        effects = Effects(terms, numbers * self.unit, {"group": list(by.labels)})
        return self._derived(effects, f"by {by.name}:", ("gate", (covariates,), ()))

    def _derived(self, effects: Effects, told: str, step: Any) -> Result:
        return PlainResult(
            estimator=self.estimator,
            effects=effects,
            headline=None,
            estimand=f"{told} {self.estimand}",
            checks=self.checks,
            sample=self.sample,
            n=self.n,
            dropped=self.dropped,
            roles=self.roles,
            steps=(*self.steps, step),
            n_parameters=len(effects),
        )


def partially_linear(run: DoubleML, sample: Sample, method: str) -> PartiallyLinear:
    """Fit the partially linear model on a bound sample.

    Raises
    ------
    DesignError
        If there are more than two arms, or covariates determine the treatment.
    """
    setup = Setup.of(sample, run.regressor)
    arms = setup.arms
    if arms is not None and arms.count > 2:
        raise DesignError(
            f"treatment {arms.name!r} has {arms.count} arms; in a partially linear model the effect of one would be mixed with "
            "those of the others.",
            hint='Use method="irm", which compares each arm with the control.',
            column=arms.name,
        )
    parts, quality, overlap = [], [], None
    for repeat in range(run.n_repeats):
        found, chances, skill = _residuals(run, setup, method, repeat)
        parts.append(found)
        quality.append(skill)
        overlap = overlap or chances
    weights = None if setup.weights is None else setup.restore(setup.weights)
    ways, dose = ways_of(sample), setup.restore(setup.dose)
    numbers = median_of([slope(part, dose, weights, ways, sample) for part in parts]) * setup.scale.unit
    term = sample.name("treatment") if arms is None else arms.contrast(1)
    what = f"one more unit of {term}" if arms is None else term
    left = 1.0 - r_squared(dose, dose - parts[0].treatment, weights)
    checks = dose_checks(sample, remainder_check(sample.name("treatment"), left), quality[0])
    if arms is not None and overlap is not None:
        checks = checks.joined(overlap(sample, float(numbers.theta[0]) / setup.scale.unit))
    return PartiallyLinear(
        estimator=run,
        effects=Effects((term,), numbers.folded()),
        headline=term,
        estimand=f"effect of {what} on {outcome_name(sample.given)}, covariates held fixed (partially linear)",
        checks=checks,
        sample=sample,
        n=sample.n,
        dropped=sample.dropped,
        roles=sample.given,
        residuals=tuple(parts),
        dose=dose,
        weights=weights,
        ways=ways,
        unit=setup.scale.unit,
        rows_used=sample.rows,
    )


def slope(part: Residuals, dose: Floats, weights: Floats | None, ways: tuple[Groups, ...], sample: Sample) -> Estimate:
    """Return the slope with its influence values.

    Partialling out solves ``sum of w v (u - theta v) = 0``, the IV-type score ``sum of w v (z - g - theta d) = 0``
    (Chernozhukov et al. 2018, equations 4.3 and 4.4), with u and v the residuals of z and d.
    """
    v = part.treatment
    share = shares(len(v), weights)
    y, d = (part.outcome, v) if part.untreated is None else (part.untreated, dose)
    bread = float((share * v) @ d)
    varied = float(share @ (dose - dose.mean()) ** 2)
    # What is left of a dose that covariates determine goes with its errors alone, yet d, unlike v, still varies.
    spent = part.untreated is not None and float(share @ v**2) <= 1e-6 * varied
    if spent or not bread > 1e-12 * varied:
        raise DesignError(
            f"covariates determine the treatment {sample.name('treatment')!r}: nothing of it is left to learn from.",
            hint="Leave out the covariate that the treatment follows from.",
            column=sample.name("treatment"),
        )
    theta = float((share * v) @ y) / bread
    psi = share * v * (y - theta * d) / bread
    return estimate_of(np.array([theta]), psi[:, None], ways or None, sample.rows)


def _residuals(
    run: DoubleML, setup: Setup, method: str, repeat: int
) -> tuple[Residuals, Callable[..., Checks] | None, float]:
    """Return the residuals of one cross-fit, what makes the checks of arms, and R² of the outcome model."""
    learners = setup.learners(run, repeat)
    d, z = setup.dose, setup.z
    ell = learners.mean(z)
    checks = None
    if setup.arms is None:
        expected = learners.mean(d)
    else:
        chances = learners.chances(setup.arms.codes, 2, setup.sample.optional("propensity"), setup.names, 0.0)
        expected = chances.values[:, 1]

        def checks(sample: Sample, theta: float) -> Checks:
            mu = ell[:, None] + theta * (np.array([0.0, 1.0]) - expected[:, None])
            inside = replace(chances, values=clip_probabilities(chances.values, 1e-3)[0])
            return effect_checks(sample, study_of(setup, sample, learners, inside, mu))

    u, v = z - ell, d - expected
    untreated = None
    if method == "plr_iv":
        w = np.ones(len(z)) if setup.weights is None else setup.weights
        left = float((w * v) @ v)
        first = float((w * v) @ u) / left if left > 0 else 0.0  # slope() refuses a dose of which nothing is left
        untreated = setup.restore(z - learners.mean(z - first * d))
    parts = Residuals(setup.restore(u), setup.restore(v), untreated)
    return parts, checks, r_squared(z, ell, setup.weights)
