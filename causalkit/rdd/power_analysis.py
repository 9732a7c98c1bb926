"""Power, smallest detectable effect and sample size of a regression discontinuity (Cattaneo, Titiunik and Vazquez-Bare 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.core.sample import Sample
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.rdd.power_report import RDPower, RDScale
from causalkit.rdd.side_variances import side_variances


def power(
    result: Any,
    effect: float | None = None,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    bandwidth: float | tuple[float, float] | None = None,
    n_window: int | tuple[int, int] | None = None,
) -> RDPower:
    """Return power, smallest detectable effect and sample size of the robust bias-corrected test.

    The data of a result say how noisy the test is; the sample that is planned may be larger or smaller, or have another
    bandwidth (Cattaneo, Titiunik and Vazquez-Bare 2019, "Power calculations for regression-discontinuity designs").

    Parameters
    ----------
    result : RegressionDiscontinuityResult
        From a pilot or an earlier round. Its estimate is not used.
    effect : float, optional
        The effect that should be found, in the outcome's unit; by default half the standard deviation of the outcome
        below the cutoff within the bandwidth.
    power : float
        The power that is wanted, for the smallest detectable effect and the sample size.
    alpha : float
        Level of the two-sided test.
    bandwidth : float or (float, float), optional
        Of the planned analysis; by default that of the result.
    n_window : int or (int, int), optional
        Rows (clusters, in a clustered fit) of the planned sample within the bandwidth, below and above; by default those
        of the result.

    Returns
    -------
    RDPower
        ``power``, ``minimum_effect``, ``n`` and ``n_window``, and ``at(effect)``.

    Raises
    ------
    DesignError
        If a number is out of its range.
    InferenceUnavailable
        If the result holds no data, or its effect has no error.
    """
    for name, value in (("power", power), ("alpha", alpha)):
        if not 0.0 < value < 1.0:
            raise DesignError(f"{name}={value!r} is not between 0 and 1.")
    if power <= alpha:
        raise DesignError(f"power={power!r} is not above alpha={alpha!r}: any test has that power.")
    sample: Sample = result._kept()
    if not result.found.effect.robust_se > 0.0:
        raise InferenceUnavailable(
            "the effect has no error in this sample, so there is nothing to plan with.", hint="Does the outcome vary?"
        )
    scale = _scale(result, sample, _pair("bandwidth", bandwidth) or result.bandwidths[:2])
    x = sample.number("running") - result.estimator.cutoff
    wanted = 0.5 * _spread(sample.outcome, x, scale.bandwidth[0]) if effect is None else float(effect)
    if not np.isfinite(wanted) or wanted == 0.0:
        raise DesignError(f"effect={effect!r} is not an effect to be found.", hint="Pass a finite number but zero.")
    window = _pair("n_window", n_window) or scale.n_window
    rows = "clusters" if sample.several("cluster") else "rows"
    return RDPower(scale, wanted, power, alpha, window, rows, sample.name("outcome"))


def _scale(result: Any, sample: Sample, bandwidth: tuple[float, float]) -> RDScale:
    """Read variances off the result's own fit, and count rows or clusters in the planned windows."""
    found, plan = result.found, result._plan
    cluster = sample.groups("cluster")
    x = sample.number("running") - result.estimator.cutoff
    left, right = bandwidth
    parts = (x < 0, x >= 0), ((x < 0) & (x >= -left), (x >= 0) & (x <= right))
    counted = [tuple(_count(mask, None if cluster is None else cluster.codes) for mask in pair) for pair in parts]
    if min(counted[1]) == 0:
        raise DesignError(f"no rows lie within the bandwidth {bandwidth} on one side.", hint="Widen it.")
    n = sample.n if cluster is None else len(np.unique(cluster.codes))
    rate = 1 + 2 * plan.derivative
    variances = side_variances(result._rows.split, plan, found.bandwidths, found.combination)
    own = tuple(n * h**rate * v for h, v in zip(found.bandwidths[:2], variances, strict=True))
    return RDScale(own, (left, right), counted[0], counted[1], plan.derivative)  # type: ignore[arg-type]


def _count(mask: Floats, codes: Any) -> int:
    return int(mask.sum()) if codes is None else len(np.unique(codes[mask]))


def _spread(y: Floats, x: Floats, bandwidth: float) -> float:
    return float(np.std(y[(x < 0) & (x >= -bandwidth)]))


def _pair(name: str, value: Any) -> Any:
    if value is None:
        return None
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    if numbers.size not in (1, 2) or not np.isfinite(numbers).all() or (numbers <= 0).any():
        raise DesignError(f"{name}={value!r} is not a positive number, or a pair of them.")
    return float(numbers[0]), float(numbers[-1])
