"""How strongly errors of mediator and outcome would have to be correlated for the indirect effect to vanish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.effects.averages import estimate_of
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats, read_only

if TYPE_CHECKING:
    from causalkit.effects.mediation_linear import LinearPaths
    from causalkit.effects.mediation_result import MediationResult

#: Correlations of the table and the figure.
GRID = tuple(float(value) for value in np.round(np.linspace(-0.9, 0.9, 19), 1))


@dataclass(frozen=True, eq=False)
class Confounded:
    """The indirect effect where errors are correlated, with its influence values.

    Under correlation rho the slope of the outcome on the mediator is biased by ``rho / sqrt(1 - rho^2) * v / s``, with v and
    s the standard deviations of the residuals of the outcome and the mediator equation (Imai, Keele and Yamamoto 2010,
    theorem 2, which writes the same with the equation that leaves out the mediator).
    """

    result: MediationResult
    moved: float
    moved_psi: Floats
    slope: float
    slope_psi: Floats
    bias: float
    bias_psi: Floats
    r2: tuple[float, float]

    @classmethod
    def of(cls, result: MediationResult, paths: LinearPaths) -> Confounded:
        """Read the equations."""
        share = paths.share
        moved, moved_psi = paths.moved(0)
        slope, slope_psi = paths.slope(0.5, 0)
        v, s = (_variance(e.residuals, share) for e in (paths.outcome, paths.mediators[0]))
        if v[0] <= 0 or s[0] <= 0:
            raise InferenceUnavailable(
                "an equation fits exactly, so its errors have no correlation.", hint="Check the columns."
            )
        bias = float(np.sqrt(v[0] / s[0]))
        bias_psi = 0.5 * bias * (v[1] / v[0] - s[1] / s[0])
        sample = result._kept()
        z = paths.scale.apply(sample.outcome)
        column = sample.features("mediator").dummies()[0][:, 0]
        unexplained = (v[0] / _variance(z, share)[0], s[0] / _variance(column, share)[0])
        return cls(result, moved, moved_psi, slope, slope_psi, bias, bias_psi, unexplained)

    def at(self, rho: Floats) -> Effects:
        """Return the indirect effect (average of both decompositions) at correlations."""
        tilt = rho / np.sqrt(1.0 - rho**2)
        theta = self.moved * (self.slope - tilt * self.bias)
        psi = self.moved_psi[:, None] * (self.slope - tilt * self.bias)
        psi = psi + self.moved * (self.slope_psi[:, None] - tilt * self.bias_psi[:, None])
        r = self.result
        paths = r.paths
        assert paths is not None
        numbers = r._as_here(estimate_of(theta, psi, paths.groups, paths.rows, n_parameters=r.n_parameters))
        return Effects(tuple(f"rho = {value:g}" for value in rho), numbers * r.scale.unit, {"rho": rho.tolist()})

    @property
    def critical(self) -> float:
        """The correlation at which the indirect effect is zero."""
        tilt = self.slope / self.bias
        return float(tilt / np.sqrt(1.0 + tilt**2))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MediationSensitivity(Report):
    """The indirect effect over the correlation between the errors of mediator and outcome.

    Parameters
    ----------
    effects : Effects
        The indirect effect, one term for each correlation of a grid.
    critical_rho : float
        The correlation at which the estimate is zero.
    critical_rho_alpha : float
        The correlation nearest to zero at which the interval holds zero; 0 where it does without any.
    critical_r2 : float
        Product of the shares of the unexplained variance of mediator and outcome that a common cause explains at
        ``critical_rho``: its square.
    critical_r2_total : float
        The same product for shares of the total variances.
    alpha : float
        Level of the intervals.
    estimand : str
        What is estimated.
    """

    effects: Effects
    critical_rho: float
    critical_rho_alpha: float
    critical_r2: float
    critical_r2_total: float
    alpha: float
    estimand: str

    plots = ("effects",)

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """Say that no data can test it."""
        found = Check(
            "mediator_confounding",
            "untestable",
            f"The indirect effect is zero if the errors of mediator and outcome correlate with {fmt.number(self.critical_rho, 2)}.",
            self.critical_rho,
            None,
            "Ask whether something that was not measured could act on both that strongly.",
        )
        return Checks({"mediator_confounding": found})

    @property
    def title(self) -> str:
        """What this is."""
        return f"Sensitivity: {self.estimand}"

    @property
    def answer(self) -> str:
        """The correlation at which nothing is left."""
        if self.critical_rho_alpha == 0.0:
            first = (
                f"The {100 * (1 - self.alpha):g}% interval of the indirect effect holds zero without any confounding."
            )
        else:
            first = (
                f"The {100 * (1 - self.alpha):g}% interval of the indirect effect excludes zero up to a correlation of "
                f"{fmt.number(self.critical_rho_alpha, 2)} between the errors of mediator and outcome."
            )
        return (
            f"{first} At {fmt.number(self.critical_rho, 2)} the estimate itself is zero: a cause of both that was not measured "
            f"would have to explain shares of what is left of each whose product is {fmt.number(self.critical_r2, 2)}."
        )

    def to_table(self) -> Table:
        """Return the indirect effect by correlation."""
        return self.effects.to_table(self.alpha)

    def passages(self) -> tuple[Passage, ...]:
        """Return the answer with the curve."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "effects"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the indirect effect and its interval by correlation."""
        low, high = self.effects.ci(self.alpha)
        return {
            "title": self.title,
            "terms": list(self.effects.terms),
            "estimate": self.effects.values,
            "low": low,
            "high": high,
            "null": 0.0,
            "xlabel": "Indirect effect",
        }


def sensitivity(result: MediationResult, paths: LinearPaths, alpha: float) -> MediationSensitivity:
    """Ask of linear mediation how far it depends on unconfounded mediators."""
    if paths.k != 1:
        raise InferenceUnavailable(
            f"there are {paths.k} mediator columns, and the correlation is that of one.",
            hint="Fit one mediator at a time.",
        )
    confounded = Confounded.of(result, paths)
    critical = confounded.critical
    outcome_left, mediator_left = confounded.r2
    return MediationSensitivity(
        effects=confounded.at(np.array(GRID)),
        critical_rho=critical,
        critical_rho_alpha=_first_insignificant(confounded, alpha),
        critical_r2=critical**2,
        critical_r2_total=critical**2 * outcome_left * mediator_left,
        alpha=alpha,
        estimand=result.estimand,
    )


def _first_insignificant(confounded: Confounded, alpha: float) -> float:
    """Return the correlation nearest to zero, on the way to the critical one, at which the interval holds zero."""

    def away(rho: float) -> float:
        """How far the interval is from zero: negative where it holds it."""
        effects = confounded.at(np.array([rho]))
        low, high = effects.ci(alpha)
        return float(max(low[0], -high[0]) / effects.se[0])

    if away(0.0) <= 0.0:
        return 0.0
    return float(optimize.brentq(away, 0.0, confounded.critical, xtol=1e-10))


def _variance(values: Floats, share: Floats) -> tuple[float, Floats]:
    """Return the variance of values, and its influence values."""
    square = (values - share @ values) ** 2
    mean = float(share @ square)
    return mean, read_only(share * (square - mean))
