"""The effective F statistic and the values it must exceed for the bias of an estimator to be small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chndtrix

from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.iv.effective_f_bias import worst_liml_bias, worst_tsls_bias
from causalkit.iv.weak_sets_form import ReducedForm, reduced_form_of
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.iv.iv_data import IVData

#: Shares of the worst-case bias for which critical values are tabulated.
SHARES = (0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True, eq=False)
class EffectiveF:
    """How strong the instruments of one treatment are, whatever the errors look like.

    Parameters
    ----------
    form : ReducedForm
        With one treatment.

    Notes
    -----
    Montiel Olea and Pflueger (2013). Instruments are partialled out and made orthonormal first, so the numbers do not
    change when instruments are recoded or recombined.
    """

    form: ReducedForm

    @property
    def _first(self) -> Floats:
        """Covariance of the first-stage scores, in the units of the scores."""
        spread: Floats = self.form.cross[1, 1]
        return spread

    @property
    def statistic(self) -> float:
        """``D'P D / tr(V)``: with equal variances, or one instrument, the F statistic of the first stage."""
        spread = float(np.trace(self._first))
        moved = self.form.scores[:, 1]
        return float(moved @ moved) / spread if spread > 0 else np.inf

    def critical_value(self, tau: float = 0.1, method: str = "tsls", alpha: float = 0.05) -> float:
        """Return what the statistic must exceed to reject, at level alpha, a bias of more than tau of the worst case.

        Parameters
        ----------
        tau : float
            Share of the worst-case (Nagar) bias that is tolerated.
        method : {"tsls", "liml", "simplified"}
            ``"simplified"`` is the conservative value of two-stage least squares, which uses the first stage only.
        alpha : float
            Level of the test that the instruments are weak.

        Returns
        -------
        float

        Raises
        ------
        DesignError
            If the method is unknown, or tau or alpha is not between 0 and 1.
        """
        if method not in ("tsls", "liml", "simplified"):
            raise DesignError(f"method={method!r} is not known.", hint='Use "tsls", "liml" or "simplified".')
        if not (0.0 < tau < 1.0 and 0.0 < alpha < 1.0):
            raise DesignError(f"tau={tau!r} and alpha={alpha!r} must lie between 0 and 1.")
        worst = {"tsls": self._tsls_bias, "liml": self._liml_bias}.get(method, 1.0)
        return self._patnaik(worst / tau, alpha)

    @property
    def critical_values(self) -> Mapping[str, Mapping[float, float]]:
        """Critical values at 5 % by method and share of the worst-case bias."""
        return {
            method: {tau: self.critical_value(tau, method) for tau in SHARES}
            for method in ("tsls", "liml", "simplified")
        }

    @cached_property
    def _tsls_bias(self) -> float:
        return worst_tsls_bias(self.form)

    @cached_property
    def _liml_bias(self) -> float:
        return worst_liml_bias(self.form)

    def _patnaik(self, x: float, alpha: float) -> float:
        """Quantile of the curve with two matched moments: a noncentral chi-square over its degrees of freedom."""
        values = np.linalg.eigvalsh(self._first)
        if values[-1] <= 0:
            return 0.0
        shares = values / values.sum()
        df = (1.0 + 2.0 * x) / (float(shares @ shares) + 2.0 * x * float(shares[-1]))
        return float(chndtrix(1.0 - alpha, df, x * df) / df)

    def to_table(self) -> Table:
        """Return the critical values, one line per share of the worst-case bias."""
        values = self.critical_values
        rows = [(tau, *(values[method][tau] for method in values)) for tau in SHARES]
        return Table.of(("tau", *values), rows)

    def __float__(self) -> float:
        return self.statistic


def effective_f(data: IVData, kind: str | None = None) -> EffectiveF:
    """Compute the effective F statistic of the first stage (Montiel Olea and Pflueger 2013).

    Parameters
    ----------
    data : IVData
        With one endogenous variable.
    kind : str, optional
        Covariance; that of the data by default.

    Returns
    -------
    EffectiveF
        ``.statistic`` and ``.critical_value(tau, method)``.

    Raises
    ------
    InferenceUnavailable
        With several endogenous variables.
    """
    if data.m != 1:
        raise InferenceUnavailable(
            f"the effective F is for one treatment, not {data.m}.",
            hint="Look at the conditional F statistics of the first stage.",
        )
    return EffectiveF(reduced_form_of(data, kind))
