"""An estimate at a cutoff with an interval that allows for the worst bias of a class of functions, from arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.kernels.honest_normal import folded_quantile
from causalkit.rdd.honest_bandwidth import CRITERIA, Criterion
from causalkit.rdd.honest_data import KERNELS, HonestData
from causalkit.rdd.honest_optimal import optimal_weights
from causalkit.rdd.honest_pilot import Pilot, pilot, rule_of_thumb
from causalkit.rdd.honest_regression import LocalFit, local_linear

CLASSES = ("holder", "taylor")
VARIANCES = ("NN", "HC0", "CR0")


@dataclass(frozen=True)
class HonestConfig:
    """How an honest interval is made.

    Parameters
    ----------
    kernel : {"triangular", "epanechnikov", "uniform", "optimal"}
        ``"optimal"`` are the weights that are best among all, for a sharp design and the Taylor class.
    smoothness_class : {"holder", "taylor"}
        What the bound bounds: the second derivative everywhere on each side, or the error of the first-order Taylor
        expansion at the cutoff.
    criterion : {"mse", "flci", "oci"}
        What the bandwidth minimises: largest mean squared error, length of the interval, or the ``beta`` quantile of the
        excess length of one-sided intervals.
    vcov : {"NN", "HC0", "CR0"}
    alpha, beta : float
    n_neighbors : int
        For ``"NN"``.
    """

    kernel: str = "triangular"
    smoothness_class: str = "holder"
    criterion: str = "mse"
    vcov: str = "NN"
    alpha: float = 0.05
    beta: float = 0.8
    n_neighbors: int = 3

    def __post_init__(self) -> None:
        for name, value, known in (
            ("kernel", self.kernel, (*KERNELS, "optimal")),
            ("smoothness_class", self.smoothness_class, CLASSES),
            ("criterion", self.criterion, CRITERIA),
            ("vcov", self.vcov, VARIANCES),
        ):
            if value not in known:
                raise DesignError(f"{name}={value!r} is not known here.", hint=f"Use one of {', '.join(known)}.")
        if not 0.0 < self.alpha < 0.5:
            raise DesignError(f"alpha={self.alpha!r} is not between 0 and 0.5.")


@dataclass(frozen=True)
class HonestFit:
    """An estimate and its certificate.

    Parameters
    ----------
    estimate, se : float
    bias : float
        Largest bias that the bound on the curvature allows.
    bandwidth : tuple of float
        Left and right.
    smoothness : tuple of float
        The bound on the second derivative of the outcome (and of the treatment taken).
    critical_value : float
        The ``1 - alpha`` quantile of ``|N(bias / se, 1)|``.
    alpha : float
    leverage : float
        Largest share of one row in the sum of squared weights.
    effective_rows : float
        Rows with which a uniform kernel would be as precise.
    n_left, n_right : int
        Rows with a weight.
    first_stage : float or None
        Jump of the treatment taken, in a fuzzy design.
    """

    estimate: float
    se: float
    bias: float
    bandwidth: tuple[float, float]
    smoothness: tuple[float, ...]
    critical_value: float
    alpha: float
    leverage: float
    effective_rows: float
    n_left: int
    n_right: int
    first_stage: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """The two-sided interval."""
        half = self.critical_value * self.se
        return self.estimate - half, self.estimate + half

    @property
    def one_sided(self) -> tuple[float, float]:
        """Lower limit of ``[low, inf)`` and upper limit of ``(-inf, high]``."""
        half = self.bias + float(special.ndtri(1.0 - self.alpha)) * self.se
        return self.estimate - half, self.estimate + half

    def pvalue(self, null: float = 0.0) -> float:
        """Return the largest p-value that the bound allows for ``null``."""
        if self.se == 0.0:
            return float(abs(self.estimate - null) <= self.bias)
        ratio, distance = self.bias / self.se, abs(self.estimate - null) / self.se
        return float(special.ndtr(ratio - distance) + special.ndtr(-ratio - distance))


@dataclass(frozen=True, eq=False)
class HonestProblem:
    """The rows, their preliminary variance and the configuration: intervals for any bound on the curvature.

    Parameters
    ----------
    data : HonestData
    config : HonestConfig
    variance : Pilot
    target : HonestData
        The rows that choose the bandwidth: covariates, if any, are taken out of the outcomes.
    """

    data: HonestData
    config: HonestConfig
    variance: Pilot
    target: HonestData

    @classmethod
    def of(cls, data: HonestData, config: HonestConfig, bandwidth: float | None = None) -> HonestProblem:
        """Prepare an analysis.

        With covariates, the outcomes less their part (at the bandwidth without them, or at ``bandwidth``) choose the
        curvature and the bandwidth.
        """
        if config.vcov == "CR0" and data.cluster is None:
            raise DesignError('vcov="CR0" needs clusters.')
        if config.kernel == "optimal" and (data.fuzzy or data.covariates.shape[1]):
            raise DesignError('kernel="optimal" is for sharp designs without covariates.', hint="Use a kernel.")
        plain = data.without_covariates()
        if not data.covariates.shape[1]:
            return cls(data, config, pilot(plain), plain)
        first = cls(plain, config, pilot(plain), plain)
        chosen = first.bandwidth(rule_of_thumb(plain)) if bandwidth is None else bandwidth
        slopes = local_linear(data, chosen, config.kernel).slopes
        target = plain.with_outcomes(data.y - data.covariates @ slopes)
        return cls(data, config, pilot(target), target)

    def suggested(self) -> Floats:
        """Return the rule of thumb for the bound on the curvature."""
        return rule_of_thumb(self.target)

    def bandwidth(self, smoothness: Floats, guess: float = 0.0) -> float:
        """Return the best bandwidth for a bound."""
        return replace(self._criterion, guess=guess).best(smoothness)

    @property
    def _criterion(self) -> Criterion:
        config = self.config
        return Criterion(
            self.target,
            self.variance,
            config.kernel,
            config.smoothness_class,
            config.criterion,
            config.alpha,
            config.beta,
        )

    def fit(self, smoothness: Floats | None = None, bandwidth: float | None = None, guess: float = 0.0) -> HonestFit:
        """Return the estimate and its interval.

        Parameters
        ----------
        smoothness : array, optional
            Bound on the second derivative of each outcome; by the rule of thumb where it is not given.
        bandwidth : float, optional
            Taken as it is, instead of the best one.
        guess : float
            A guess of a fuzzy effect for the bandwidth.
        """
        bound = self.suggested() if smoothness is None else np.atleast_1d(np.asarray(smoothness, float))
        self._require(bound)
        if self.config.kernel == "optimal":
            return self._optimal(bound)
        h = self.bandwidth(bound, guess) if bandwidth is None else bandwidth
        fit = local_linear(self.data, h, self.config.kernel)
        unit = fit.unit_bias(self.config.smoothness_class)
        effective = fit.effective_rows(h, self.data)
        return self._finish(fit, unit, bound, (h, h), effective)

    def _require(self, bound: Floats) -> None:
        m = self.data.y.shape[1]
        if bound.size != m or not np.isfinite(bound).all() or (bound < 0).any():
            what = "two bounds (outcome, treatment)" if m == 2 else "one bound"
            raise DesignError(
                f"smoothness={bound.tolist()} is not {what} on the second derivative.", hint="Finite and not negative."
            )

    def _optimal(self, bound: Floats) -> HonestFit:
        config = self.config
        if bound[0] <= 0.0:
            raise DesignError('kernel="optimal" needs a positive smoothness=.')
        best = optimal_weights(self.data, self.variance, float(bound[0]), config.criterion, config.alpha, config.beta)
        own = best.fit.weights
        at = best.fit.data.split
        effective = float(1.0 / (own[:at] ** 2).sum() + 1.0 / (own[at:] ** 2).sum())
        return self._finish(best.fit, best.bias / float(bound[0]), bound, (best.left, best.right), effective)

    def _finish(
        self, fit: LocalFit, unit: float, bound: Floats, bandwidth: tuple[float, float], effective: float
    ) -> HonestFit:
        matrix = fit.covariance(self.config.vcov, self.config.n_neighbors)
        estimate, variance, curvature, first = float(fit.jumps[0]), float(matrix[0, 0]), float(bound[0]), None
        if self.data.fuzzy:
            first = float(fit.jumps[1])
            if first == 0.0:
                raise InferenceUnavailable("the treatment taken does not jump at the cutoff.")
            estimate /= first
            direction = np.array([1.0, -estimate])
            variance = float(direction @ matrix @ direction) / first**2
            curvature = (float(bound[0]) + float(bound[1]) * abs(estimate)) / abs(first)
        se, bias = float(np.sqrt(variance)), curvature * unit
        ratio = bias / se if se > 0 else np.inf
        return HonestFit(
            estimate=estimate,
            se=se,
            bias=bias,
            bandwidth=bandwidth,
            smoothness=tuple(bound.tolist()),
            critical_value=float(folded_quantile(1.0 - self.config.alpha, np.array(ratio))) if se > 0 else np.inf,
            alpha=self.config.alpha,
            leverage=fit.leverage,
            effective_rows=effective,
            n_left=fit.data.split,
            n_right=fit.data.x.size - fit.data.split,
            first_stage=first,
        )


def honest_fit(
    data: HonestData,
    config: HonestConfig | None = None,
    *,
    smoothness: Floats | None = None,
    bandwidth: float | None = None,
    guess: float | None = None,
) -> HonestFit:
    """Return an honest (bias-aware) interval for the jump at a cutoff from sorted arrays.

    Armstrong and Kolesar (2018, 2020); Kolesar and Rothe (2018).

    Parameters
    ----------
    data : HonestData
    config : HonestConfig, optional
    smoothness : array, optional
        Bound on the second derivative; by default a rule of thumb (a global quartic on each side).
    bandwidth : float, optional
        By default the one that is best in the worst case.
    guess : float, optional
        In a fuzzy design, the effect that the bandwidth supposes; by default the estimate at the bandwidth that supposes
        none.
    """
    problem = HonestProblem.of(data, HonestConfig() if config is None else config, bandwidth)
    fit = problem.fit(smoothness, bandwidth, guess or 0.0)
    if data.fuzzy and guess is None and bandwidth is None:
        return problem.fit(smoothness, None, fit.estimate)
    return fit
