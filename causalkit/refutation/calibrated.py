"""Whether estimates of an effect that is known are centred on it, and spread as their standard errors say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats

#: Bias, in standard errors, that is let pass: it turns a 5 % error into one of 5.7 %.
TOLERATED_BIAS = 0.25
#: Standard errors may be too small by this factor: it turns a 5 % error into one of 7.5 %.
TOLERATED_FACTOR = 1.1
#: The violations whose power is told.
PLANTED_BIAS = 1.0
PLANTED_FACTOR = 1.5
LEVEL = 0.05
#: Standard errors from zero at which a two-sided normal test of that level rejects.
CRITICAL = 1.959963984540054


@dataclass(frozen=True)
class Calibration:
    """Estimates beside a truth that is known.

    Parameters
    ----------
    bias : float
        Mean distance from the truth, in standard errors.
    missed : float
        Share of 95 % intervals that leave the truth out.
    statistic : float
        Bias beyond the tolerated one, in its simulation errors.
    pvalue : float
        Of "the bias is at most a quarter of a standard error, and standard errors are at most a tenth too small".
    power_bias, power_spread : float
        Probability of noticing a bias of one standard error; and standard errors that are too small by a third.
    n : int
        Estimates.
    """

    bias: float
    missed: float
    statistic: float
    pvalue: float
    power_bias: float
    power_spread: float
    n: int

    @property
    def said(self) -> str:
        """The numbers in one clause."""
        return (
            f"{fmt.number(self.bias, 2)} standard errors off on average, {fmt.share(self.missed)} of 95% intervals "
            f"miss it ({self.n} draws)"
        )


def centred(distance: Floats, se: Floats, tolerated: float = TOLERATED_BIAS) -> tuple[float, float, float]:
    """Test that the mean distance is at most a share of a standard error.

    Parameters
    ----------
    distance : Floats, shape (B,)
        Estimates minus the truth.
    se : Floats, shape (B,)
        Their standard errors.
    tolerated : float
        The share that is let pass.

    Returns
    -------
    bias, statistic, pvalue : float
        Bias in standard errors; its excess over the tolerance in simulation errors; one-sided p-value.
    """
    from scipy.stats import t

    typical = float(np.median(se))
    if typical <= 0.0:
        raise InferenceUnavailable("standard errors are zero, so no distance can be judged.")
    bias = float(distance.mean()) / typical
    error = float(distance.std(ddof=1)) / typical / np.sqrt(len(distance))
    if error <= 1e-12 * max(abs(bias), 1e-3):  # every draw gave the same
        return bias, 0.0, 1.0 if abs(bias) <= tolerated else 1 / (1 + len(distance))
    statistic = (abs(bias) - tolerated) / error
    return bias, float(statistic), float(min(1.0, 2 * t.sf(statistic, len(distance) - 1)))


def power_of_bias(n: int, tolerated: float, level: float) -> float:
    """Return the probability that :func:`centred` is at most ``level`` where the bias is one standard error."""
    from scipy.stats import norm

    return float(norm.sf(norm.isf(level / 2) - (PLANTED_BIAS - tolerated) * np.sqrt(n)))


def too_often(count: int, n: int, tolerated: float) -> float:
    """Return the exact one-sided p-value of ``count`` in ``n`` draws where at most a tolerated share should be."""
    from scipy.stats import binom

    return float(binom.sf(count - 1, n, tolerated))


def power_of_share(n: int, tolerated: float, planted: float, level: float) -> float:
    """Return the probability that :func:`too_often` is at most ``level`` where the share is ``planted``."""
    from scipy.stats import binom

    critical = int(binom.isf(level, n, tolerated)) + 1  # the smallest count with a p-value of at most `level`
    while critical > 0 and binom.sf(critical - 2, n, tolerated) <= level:
        critical -= 1
    return float(binom.sf(critical - 1, n, planted))


def power_of_shift(moved: float) -> float:
    """Return the probability that a two-sided test notices a shift of ``moved`` standard errors."""
    from scipy.stats import norm

    return float(norm.sf(CRITICAL - moved) + norm.cdf(-CRITICAL - moved))


def missed_share(factor: float) -> float:
    """Return the share of 95 % intervals that miss where standard errors are too small by ``factor``."""
    from scipy.stats import norm

    return float(2 * norm.sf(norm.isf(LEVEL / 2) / factor))


def calibration(distance: Floats, se: Floats, pvalues: Floats) -> Calibration:
    """Judge estimates whose truth is known.

    Parameters
    ----------
    distance : Floats, shape (B,)
        Estimates minus the truth.
    se : Floats, shape (B,)
        Standard errors that the analysis gave.
    pvalues : Floats, shape (B,)
        P-values that the analysis gave against the truth.

    Returns
    -------
    Calibration
        Its p-value is twice the smaller of those of bias and spread (Bonferroni).
    """
    n = len(distance)
    bias, statistic, of_bias = centred(distance, se)
    missed = int(np.sum(pvalues < LEVEL))
    of_spread = too_often(missed, n, missed_share(TOLERATED_FACTOR))
    each = LEVEL / 2
    return Calibration(
        bias=bias,
        missed=missed / n,
        statistic=statistic,
        pvalue=min(1.0, 2 * min(of_bias, of_spread)),
        power_bias=power_of_bias(n, TOLERATED_BIAS, each),
        power_spread=power_of_share(n, missed_share(TOLERATED_FACTOR), missed_share(PLANTED_FACTOR), each),
        n=n,
    )
