"""Bias of doubly robust and double machine learning estimates by a confounder (Chernozhukov et al. 2022, "Long story short")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.kernels.arrays import Codes, Floats


@dataclass(frozen=True, eq=False)
class LongForm:
    """An estimate as a mean of a short regression, and what bounds its distance from the long one.

    Parameters
    ----------
    theta : float
        The estimate.
    influence : Floats, shape (n,)
        Its influence values with mean zero (not divided by n).
    residual : Floats, shape (n,)
        Outcome minus its regression on treatment and covariates.
    nu2 : float
        Mean square of the Riesz representer.
    nu2_influence : Floats, shape (n,)
        Influence values of ``nu2``.
    clusters : Codes, shape (n,), or None
        Rows that are not independent.
    """

    theta: float
    influence: Floats
    residual: Floats
    nu2: float
    nu2_influence: Floats
    clusters: Codes | None = None

    @cached_property
    def sigma2(self) -> float:
        """Mean square of the residual."""
        return float(np.mean(self.residual**2))

    @property
    def most(self) -> float:
        """Bias of a confounder with ``cf_y = cf_d / (1 - cf_d) = 1``."""
        return math.sqrt(self.sigma2 * self.nu2)

    def bias(self, cf_y: float, cf_d: float, rho: float = 1.0) -> float:
        """Return the largest bias (their corollary 2).

        Parameters
        ----------
        cf_y : float
            Share of the residual outcome that the confounder explains (a partial R2).
        cf_d : float
            Share of the variation of the long Riesz representer that the short one misses.
        rho : float
            Correlation of the two, at most one in absolute value.
        """
        return abs(rho) * math.sqrt(cf_y * cf_d / (1 - cf_d)) * self.most

    def bounds(self, cf_y: float, cf_d: float, rho: float = 1.0) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the bounds of the long estimate, and their standard errors.

        Parameters
        ----------
        cf_y, cf_d, rho : float
            As for :meth:`bias`.
        """
        bias = self.bias(cf_y, cf_d, rho)
        of_sigma2 = self.residual**2 - self.sigma2
        step = (self.sigma2 * self.nu2_influence + self.nu2 * of_sigma2) / (2 * self.most) * (bias / self.most)
        return (self.theta - bias, self.theta + bias), (
            self._se(self.influence - step),
            self._se(self.influence + step),
        )

    def robustness_value(self, q: float = 1.0, alpha: float = 1.0) -> float:
        """Return the ``cf_y = cf_d`` at which a share ``q`` of the estimate (or of its interval) is explained away.

        Parameters
        ----------
        q : float
            Share of the estimate.
        alpha : float
            1 for the estimate; less for its two-sided ``1 - alpha`` interval.
        """
        from scipy.optimize import brentq
        from scipy.stats import norm

        from causalkit.refutation.robustness import root_of

        point = root_of(q * abs(self.theta) / self.most)
        if alpha >= 1.0:
            return point
        sign, z = math.copysign(1.0, self.theta), float(norm.isf(alpha / 2))

        def left(strength: float) -> float:
            limits, errors = self.bounds(strength, strength)
            at = 0 if sign > 0 else 1
            return sign * (limits[at] - (1 - q) * self.theta) - z * errors[at]

        if left(0.0) <= 0.0:
            return 0.0
        return float(brentq(left, 0.0, min(point * (1 + 1e-9) + 1e-12, 1 - 1e-12), xtol=1e-14, rtol=1e-13))

    def _se(self, psi: Floats) -> float:
        totals = psi if self.clusters is None else np.bincount(self.clusters, psi)
        return float(np.sqrt(totals @ totals)) / len(psi)


def partially_linear(outcome: Floats, treatment: Floats, clusters: Codes | None = None) -> LongForm:
    """Return the long form of a partially linear model (their example 2).

    Parameters
    ----------
    outcome, treatment : Floats, shape (n,)
        Out-of-fold residuals given covariates.
    clusters : Codes, optional
        Rows that are not independent.
    """
    square = float(np.mean(treatment**2))
    theta = float(np.mean(treatment * outcome)) / square
    residual = outcome - theta * treatment
    nu2 = 1 / square
    return LongForm(theta, treatment * residual * nu2, residual, nu2, nu2 - treatment**2 * nu2**2, clusters)


def interactive(
    outcome: Floats, treated: Floats, mu: Floats, e: Floats, theta: float, score: Floats, clusters: Codes | None = None
) -> LongForm:
    """Return the long form of an average effect by doubly robust scores (their example 3).

    Parameters
    ----------
    outcome : Floats, shape (n,)
        The outcome.
    treated : Floats, shape (n,)
        1 in the arm of interest, 0 in the control.
    mu : Floats, shape (n, 2)
        Expected outcome under control and treatment.
    e : Floats, shape (n, 2)
        Probability of each.
    theta : float
        The estimate.
    score : Floats, shape (n,)
        Doubly robust scores.
    clusters : Codes, optional
        Rows that are not independent.
    """
    residual = outcome - np.where(treated > 0, mu[:, 1], mu[:, 0])
    riesz = treated / e[:, 1] - (1 - treated) / e[:, 0]
    part = 2 * (1 / e[:, 1] + 1 / e[:, 0]) - riesz**2
    if not part.mean() > 0:  # the unbiased estimate may be negative where arms hardly overlap
        part = riesz**2
    nu2 = float(part.mean())
    return LongForm(theta, score - theta, residual, nu2, part - nu2, clusters)


@dataclass(frozen=True)
class Gain:
    """How strong a covariate is, in the terms of a long form: what leaving it out costs.

    Parameters
    ----------
    cf_y, cf_d : float
        Shares that the covariate explains.
    rho : float
        Correlation of the two.
    moved : float
        Estimate without the covariate minus that with it.
    """

    cf_y: float
    cf_d: float
    rho: float
    moved: float


def gain(long: LongForm, short: LongForm) -> Gain:
    """Return the strength of the covariates that ``long`` has and ``short`` lacks.

    Parameters
    ----------
    long, short : LongForm
        The same analysis with and without them, on the same rows.
    """
    cf_y = max(short.sigma2 - long.sigma2, 0.0) / long.sigma2
    cf_d = max(long.nu2 - short.nu2, 0.0) / short.nu2
    moved = short.theta - long.theta
    scale = math.sqrt(max(short.sigma2 - long.sigma2, 0.0) * max(long.nu2 - short.nu2, 0.0))
    rho = math.copysign(1.0, moved) if scale == 0.0 else float(np.clip(moved / scale, -1.0, 1.0))
    return Gain(cf_y, cf_d, rho, moved)
