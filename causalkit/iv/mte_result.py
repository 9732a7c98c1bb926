"""The result of a fit of marginal treatment effects: averages, the curve, and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate
from causalkit.core.passage import Passage
from causalkit.core.presentation import plain
from causalkit.core.result import Result
from causalkit.inference.wald import wald_test
from causalkit.iv.mte_basis import Normal
from causalkit.iv.mte_fit import MTEFit
from causalkit.iv.mte_parameters import Kind, policy_effect
from causalkit.kernels.arrays import Floats, read_only


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MTEResult(Result):
    """Marginal treatment effects and their averages.

    The headline is the average treatment effect (over the common support for ``method="semiparametric"``).

    Parameters
    ----------
    parameters : Effects
        ``ATE``, ``ATT``, ``ATU``, ``LATE`` (of those whom the instruments move from low to high) and ``MPRTE`` (of those who
        are indifferent, each counted once).
    curve : Effects
        Marginal treatment effect at average covariates by resistance ``u`` (column ``u``); ``.ci(simultaneous=True)`` is a
        band for the whole curve.
    support : (float, float)
        Where propensities of both arms lie, between their 1% and 99% quantiles.
    n_parameters : int
        Coefficients of the regression of the outcome.
    """

    parameters: Effects
    curve: Effects
    support: tuple[float, float]
    n_parameters: int

    plots = ("marginal_effects", "overlap")

    @cached_property
    def fitted(self) -> MTEFit:
        """The model on arrays, from the rows that the result keeps."""
        estimator: Any = self.estimator
        fit: MTEFit = estimator.model(self._kept())
        return fit

    @property
    def _limits(self) -> tuple[float, float]:
        estimator: Any = self.estimator
        return limits_of(estimator.method, self.support)

    def count_parameters(self, ways: Any) -> int:
        """Count the coefficients of the regression of the outcome."""
        return self.n_parameters

    def with_vcov(self, vcov: str, cluster: Any = None) -> MTEResult:
        """Return the same estimates with another variance, the curve included; see :meth:`Result.with_vcov`."""
        changed: MTEResult = super().with_vcov(vcov, cluster)
        parts = {}
        for name in ("parameters", "curve"):
            effects = getattr(self, name)
            other = Result.with_vcov(replace(self, effects=effects, headline=effects.terms[0]), vcov, cluster)
            parts[name] = other.effects
        return replace(changed, **parts)

    def policy_effect(self, shift: float = 0.0, kind: Kind = "additive") -> Effects:
        """Return the effect on those whom a policy moves that shifts everybody's propensity (PRTE, or MPRTE for no shift).

        Parameters
        ----------
        shift : float
            By how much; 0 is an infinitely small change (Carneiro, Heckman and Vytlacil 2010).
        kind : {"additive", "proportional", "index"}
            ``P + shift``, ``P (1 + shift)``, or a shift of the logit. Probabilities stay where effects are estimated.
        """
        theta, psi = policy_effect(self.fitted, float(shift), kind, self._limits)
        term = f"MPRTE ({kind})" if shift == 0 else f"PRTE ({kind}, {shift:g})"
        return effects_of((term,), np.array([theta]), psi[:, None], self.effects.numbers.carrier)

    def heterogeneity_test(self) -> Test:
        """Test that the effect does not vary with the resistance, so that nobody selects on the gain."""
        fit, carrier = self.fitted, self.effects.numbers.carrier
        at = fit.basis.shape(fit.X.shape[1])
        theta, psi = fit.theta[at], fit.psi[:, at]
        if isinstance(fit.basis, Normal):
            theta, psi = theta[:1] - theta[1:], psi[:, :1] - psi[:, 1:]
        effects = effects_of(tuple(map(str, range(theta.size))), theta, psi, carrier)
        statistic, df1, df2, pvalue = wald_test(theta, effects.vcov, float(effects.df[0]))
        return Test(float(statistic), float(pvalue), (float(df1), float(df2)))

    def summary(self) -> str:
        """Return a short text: the answer, the averages, and the checks that need attention."""
        said, _, checks = super().summary().partition(self.to_table().to_text())
        return f"{said}{self.parameters.to_table().to_text()}{checks}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-ready dictionary."""
        tables = {name: getattr(self, name).to_table() for name in ("parameters", "curve")}
        more = {
            name: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for name, table in tables.items()
        }
        return {**super().to_dict(), **plain(more), "support": list(self.support)}

    def passages(self) -> tuple[Passage, ...]:
        """Return the headline, the averages and the curve."""
        found, certainty = super().passages()
        averages = replace(certainty, table=self.parameters.to_table(), figure=None)
        text = (
            "Effects by resistance to the treatment: those who are treated most readily stand at the left. Propensities of "
            f"both arms lie in {fmt.interval(*self.support, 3)}; beyond, the curve is an extrapolation."
        )
        return found, averages, Passage("certainty", "Marginal treatment effects", (text,), None, "marginal_effects")

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the curve with its bands, or propensities by arm."""
        if kind == "overlap":
            arms = self._kept().arms
            p = self.fitted.propensity.probability
            return {"arms": [str(level) for level in arms.levels], "values": [p[arms.codes == code] for code in (0, 1)]}
        low, high = self.curve.ci()
        band_low, band_high = self.curve.ci(simultaneous=True)
        return {
            "title": self.title,
            "u": np.array(self.curve.columns["u"], dtype=float),
            "value": self.curve.values,
            "low": low,
            "high": high,
            "band_low": band_low,
            "band_high": band_high,
            "average": self.estimate,
            "support": self.support,
        }


def effects_of(terms: tuple[str, ...], theta: Floats, psi: Floats, carrier: Any, columns: Any = None) -> Effects:
    """Return effects with influence values, in the manner of a carrier (its rows, clusters and factors)."""
    df = np.full(theta.size, float(np.min(carrier.df)))
    made = replace(carrier, psi=read_only(np.ascontiguousarray(psi)), df=df)
    return Effects(terms, Estimate(theta, made).folded(), columns or {})


def limits_of(method: str, support: tuple[float, float]) -> tuple[float, float]:
    """Return the resistances over which averages run: all of them where the curve has a form that extends beyond the data."""
    return support if method == "semiparametric" else (0.0, 1.0)
