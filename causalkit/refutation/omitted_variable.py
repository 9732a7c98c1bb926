"""Omitted-variable bias of a linear regression in terms of partial R2 (Cinelli and Hazlett 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.core.sample import Arms, Sample
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.linear.absorb import absorber
from causalkit.linear.least_squares import LeastSquares, least_squares


@dataclass(frozen=True)
class Adjusted:
    """An estimate as a confounder of given strength would leave it.

    Parameters
    ----------
    with_treatment, with_outcome : float
        Partial R2 of the confounder with the treatment given covariates, and with the outcome given both.
    estimate, se : float
        After the confounder is adjusted for, if it takes the estimate towards zero.
    df : float
        Degrees of freedom.
    """

    with_treatment: float
    with_outcome: float
    estimate: float
    se: float
    df: float

    @property
    def statistic(self) -> float:
        """T statistic."""
        return self.estimate / self.se

    def ci(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the interval of level ``1 - alpha``.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        """
        from scipy.stats import t

        half = float(t.isf(alpha / 2, self.df)) * self.se
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True)
class OmittedVariable:
    """A coefficient with what its omitted-variable bias depends on.

    Parameters
    ----------
    estimate, se, df : float
        The coefficient with its classical standard error and residual degrees of freedom: partial R2 are ratios of sums
        of squares, whatever standard errors the result shows.
    inflation : float
        Standard error of the result over the classical one.
    """

    estimate: float
    se: float
    df: float
    inflation: float = 1.0

    @property
    def partial_r2(self) -> float:
        """Partial R2 of the treatment with the outcome: the extreme robustness value."""
        t2 = (self.estimate / self.se) ** 2
        return t2 / (t2 + self.df)

    def adjusted(self, with_treatment: float, with_outcome: float) -> Adjusted:
        """Return the estimate after a confounder that takes it towards zero (their equations 14 and 15).

        Parameters
        ----------
        with_treatment, with_outcome : float
            Partial R2 with the treatment (below 1) and with the outcome (at most 1).
        """
        if not (0 <= with_treatment < 1 and 0 <= with_outcome <= 1):
            raise DesignError(
                f"partial R2 of {with_treatment:.3g} and {with_outcome:.3g} can't be.", hint="Use shares in [0, 1)."
            )
        bias = self.se * math.sqrt(self.df * with_outcome * with_treatment / (1 - with_treatment))
        estimate = math.copysign(1.0, self.estimate) * (abs(self.estimate) - bias)
        shrink = math.sqrt((1 - with_outcome) / (1 - with_treatment) * self.df / (self.df - 1))
        return Adjusted(with_treatment, with_outcome, estimate, self.inflation * self.se * shrink, self.df - 1)

    def robustness_value(self, q: float = 1.0, alpha: float = 1.0) -> float:
        """Return the robustness value (their equations 18 and 19).

        Parameters
        ----------
        q : float
            Share of the estimate that is explained away.
        alpha : float
            1 for the estimate itself; less for its ``1 - alpha`` interval.
        """
        from causalkit.refutation.robustness import robustness_value

        return robustness_value(self.estimate / self.se, self.df, q, alpha, self.inflation)


@dataclass(frozen=True, eq=False)
class Regression:
    """The least squares behind a result, and what else can be regressed on its columns.

    Parameters
    ----------
    sample : Sample
        The rows.
    """

    sample: Sample

    @cached_property
    def treatment(self) -> Floats:
        """The treatment as one number a row: the arm of interest, or the dose."""
        column = self.sample.columns["treatment"]
        if isinstance(column, Arms):
            chosen: Floats = (column.codes == 1).astype(float)
            return chosen
        return self.sample.number("treatment")

    @cached_property
    def other_arms(self) -> list[Floats]:
        """Indicators of arms that are neither the control nor the arm of interest."""
        column = self.sample.columns["treatment"]
        return [(column.codes == j).astype(float) for j in range(2, column.count)] if isinstance(column, Arms) else []

    @cached_property
    def covariates(self) -> tuple[Floats, tuple[str, ...]]:
        """Columns of the covariates and their names, categories as indicators."""
        return self.sample.features().dummies()

    def columns_of(self, covariate: str | Sequence[str]) -> list[int]:
        """Return the columns of a covariate, or of several that count together; a category has several.

        Parameters
        ----------
        covariate : str or list of str
            Names.
        """
        wanted = [covariate] if isinstance(covariate, str) else list(covariate)
        schema = self.sample.features().schema
        owners = [
            name
            for name, levels in zip(schema.names, schema.levels, strict=True)
            for _ in range(1 if levels is None else len(levels) - 1)
        ]
        found: list[int] = []
        for name in wanted:
            at = [j for j, owner in enumerate(owners) if owner == name]
            if not at:
                raise DesignError(
                    f"there is no covariate {name!r} to compare with.",
                    hint=f"Covariates: {', '.join(self.sample.features().names) or 'none'}.",
                    column=name,
                )
            found += at
        return found

    def coefficient(self) -> tuple[float, float, float]:
        """Return the coefficient of the treatment, its classical standard error and the degrees of freedom."""
        fit = self._fit(self.sample.outcome, [self.treatment, *self.covariates[0].T])
        if "0" in fit.dropped:
            raise InferenceUnavailable("the covariates determine the treatment.")
        at = fit.names.index("0")
        if fit.n <= fit.rank + 1 or not fit.se[at] > 1e-13 * abs(fit.coefficients[at]):
            raise InferenceUnavailable("treatment and covariates determine the outcome: nothing is left to explain.")
        return float(fit.coefficients[at]), float(fit.se[at]), float(fit.n - fit.rank)

    def strength(self, columns: Sequence[int]) -> tuple[float, float]:
        """Return partial R2 of covariates with the treatment given the others, and with the outcome given all others.

        Parameters
        ----------
        columns : list of int
            Columns of ``covariates`` that count together.
        """
        rest = [column for j, column in enumerate(self.covariates[0].T) if j not in set(columns)]
        own = [self.covariates[0][:, j] for j in columns]
        with_treatment = self._share(self.treatment, rest, own)
        return with_treatment, self._share(self.sample.outcome, [self.treatment, *rest], own)

    def left(self, target: Floats, columns: list[Floats]) -> Floats:
        """Return what columns, other arms and absorbed effects leave of a variable, shape (n,).

        Parameters
        ----------
        target : Floats, shape (n,)
            The variable.
        columns : list of Floats, shape (n,)
            What is taken out of it.
        """
        effects = [effect.codes for effect in self.sample.several("absorb")]
        if effects:
            try:
                return self._fit(target, columns).residuals
            except DesignError:  # no column is left beside the effects
                alone: Floats = absorber(effects, self.sample.optional("weights")).partial_out([target]).columns[0]
                return alone
        return self._fit(target, columns).residuals

    def norm(self, values: Floats) -> float:
        """Return the root of the weighted mean square.

        Parameters
        ----------
        values : Floats, shape (n,)
            A variable.
        """
        return float(np.sqrt(np.average(values**2, weights=self.sample.optional("weights"))))

    def _share(self, target: Floats, given: list[Floats], more: list[Floats]) -> float:
        short, long = (self.norm(self.left(target, columns)) ** 2 for columns in (given, [*given, *more]))
        return 1 - long / short if short > 0 else 0.0

    def _fit(self, target: Floats, columns: list[Floats]) -> LeastSquares:
        absorb = self.sample.several("absorb")
        ones = [*self.other_arms, *([] if absorb else [np.ones(self.sample.n)])]
        return least_squares(
            target,
            [*columns, *ones],
            names=[str(j) for j in range(len(columns) + len(ones))],
            weights=self.sample.optional("weights"),
            absorb=[effect.codes for effect in absorb],
            vcov="iid",
        )


def bound(strength: tuple[float, float], times: float) -> tuple[float, float]:
    """Return the largest partial R2 of a confounder that is ``times`` as strong as a covariate (their section 4.4).

    Parameters
    ----------
    strength : (float, float)
        Partial R2 of the covariate with treatment and outcome.
    times : float
        How many times as strong, in both.

    Raises
    ------
    DesignError
        If no confounder can be as strong.
    """
    with_treatment, with_outcome = strength
    own = with_treatment / (1 - with_treatment) if with_treatment < 1 else math.inf
    told = times * own
    if told >= 1:
        raise DesignError(
            f"no confounder can be {times:g} times as strong: it would explain {told:.0%} of the treatment.",
            hint=f"Use less than {1 / own:.3g} times, or a weaker covariate.",
        )
    shared = times * with_treatment**2 / ((1 - times * with_treatment) * (1 - with_treatment))
    if shared >= 1:
        raise DesignError(f"no confounder can be {times:g} times as strong.", hint="Use fewer times.")
    share = ((math.sqrt(times) + math.sqrt(shared)) / math.sqrt(1 - shared)) ** 2 * with_outcome / (1 - with_outcome)
    return told, min(share, 1.0)
