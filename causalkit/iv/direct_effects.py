"""What two-stage least squares says when the instruments may affect the outcome a little on their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.wald import require_alpha, t_quantile
from causalkit.iv.iv_data import IVData
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.iv.iv_result import IVResult

#: Two to this many corners of the box of direct effects are visited.
MOST_INSTRUMENTS = 12

Bound = float | tuple[float, float]


@dataclass(frozen=True)
class PlausiblyExogenous:
    """Bounds on the effect of the treatment under bounds on the instruments' direct effects on the outcome.

    Parameters
    ----------
    region : ConfidenceSet
        Union of the intervals over all direct effects allowed.
    estimates : tuple of float
        Smallest and largest estimate over them.
    allowed : mapping of str to (low, high)
        Direct effect allowed for each instrument.
    alpha : float
    """

    region: ConfidenceSet
    estimates: tuple[float, float]
    allowed: Mapping[str, tuple[float, float]]
    alpha: float


def plausibly_exogenous(
    result: IVResult, direct: Bound | Mapping[str, Bound], alpha: float = 0.05
) -> PlausiblyExogenous:
    """Return the union of two-stage least squares intervals over the direct effects that are allowed.

    Conley, Hansen and Rossi (2012): with direct effects g of the instruments, the effect is that of ``y - Z g``. The
    estimate is linear in g and its standard error the norm of a linear function, so each end of the union lies at a
    corner of the box of direct effects; no grid is searched.

    Parameters
    ----------
    result : IVResult
        Of two-stage least squares.
    direct : float, (low, high), or mapping of instrument to these
        Direct effect of one unit of each instrument; a number means from minus to plus it. Instruments that a mapping
        leaves out have none.
    alpha : float

    Returns
    -------
    PlausiblyExogenous

    Raises
    ------
    InferenceUnavailable
        For other estimators, and with more than 12 instruments that may have direct effects.
    DesignError
        If an instrument is unknown or a bound is not one.
    """
    require_alpha(alpha)
    _require_two_stage(result)
    data, index = result.iv_data, int(result._at)
    box = _box(data, direct)
    moving = [j for j, (low, high) in enumerate(box) if (low, high) != (0.0, 0.0)]
    if len(moving) > MOST_INSTRUMENTS:
        raise InferenceUnavailable(
            f"{len(moving)} instruments with direct effects have too many corners.",
            hint=f"Allow direct effects of at most {MOST_INSTRUMENTS}, or use local_to_zero.",
        )
    quantile = float(t_quantile(1.0 - alpha / 2.0, data.variance.df(data.n, data.n_exogenous + data.m)))
    estimates, lows, highs = [], [], []
    for corner in product(*(sorted(set(bounds)) for bounds in box)):
        estimate, se = _two_stage(data, np.array(corner), index)
        estimates.append(estimate)
        lows.append(estimate - quantile * se)
        highs.append(estimate + quantile * se)
    region = ConfidenceSet(((min(lows), max(highs)),))
    return PlausiblyExogenous(
        region, (min(estimates), max(estimates)), dict(zip(data.instruments, box, strict=True)), alpha
    )


def local_to_zero(
    result: IVResult, mean: Mapping[str, float], sd: Mapping[str, float], alpha: float = 0.05
) -> tuple[float, float]:
    """Return the interval under a normal prior for the direct effects (the local-to-zero method of the same paper).

    Parameters
    ----------
    result : IVResult
        Of two-stage least squares.
    mean, sd : mapping of instrument to float
        Of independent normal direct effects; instruments left out have none.
    alpha : float

    Returns
    -------
    low, high : float

    Raises
    ------
    InferenceUnavailable
        For other estimators.
    DesignError
        If an instrument is unknown or a standard deviation is negative.
    """
    require_alpha(alpha)
    _require_two_stage(result)
    data, index = result.iv_data, int(result._at)
    _require_known(data, {**mean, **sd})
    if any(not value >= 0 for value in sd.values()):
        raise DesignError("A standard deviation of a direct effect is negative.")
    centre = np.array([mean.get(name, 0.0) for name in data.instruments], dtype=float)
    spread = np.array([sd.get(name, 0.0) for name in data.instruments], dtype=float)
    estimate, se = _two_stage(data, centre, index)
    loading = np.linalg.solve(data.gram.explained[1:, 1:], data.gram.ZD.T)[index]
    total = float(np.sqrt(se**2 + np.sum((loading * spread) ** 2)))
    quantile = float(t_quantile(1.0 - alpha / 2.0, data.variance.df(data.n, data.n_exogenous + data.m)))
    return estimate - quantile * total, estimate + quantile * total


def _two_stage(data: IVData, direct: Floats, index: int) -> tuple[float, float]:
    """Estimate and standard error of one treatment for ``y - Z direct``."""
    gram = data.gram
    bread = np.linalg.inv(gram.explained[1:, 1:])
    beta = bread @ (gram.explained[1:, 0] - gram.ZD.T @ direct)
    residuals = data.residuals(beta) - data.Z @ direct
    n, k = data.n, data.n_exogenous + data.m
    if data.variance.kind == "iid":
        variance = bread[index, index] * float(residuals @ residuals) / (n - k)
    else:
        scores = ((data.fitted_treatment() @ bread[:, index]) * residuals)[:, None]
        variance = float(data.variance.meat(scores)[0, 0]) * data.variance.scale(n, k)
    return float(beta[index]), float(np.sqrt(variance))


def _require_two_stage(result: IVResult) -> None:
    method = getattr(result.estimator, "method", "")
    if method != "2sls":
        raise InferenceUnavailable(
            f"direct effects of instruments are worked out for two-stage least squares, not method={method!r}.",
            hint='Fit with method="2sls".',
        )


def _require_known(data: IVData, given: Mapping[str, object]) -> None:
    for name in given:
        if name not in data.instruments:
            raise DesignError(f"{name!r} is not an instrument.", hint=f"Instruments: {', '.join(data.instruments)}.")


def _box(data: IVData, direct: Bound | Mapping[str, Bound]) -> list[tuple[float, float]]:
    given = direct if isinstance(direct, Mapping) else dict.fromkeys(data.instruments, direct)
    _require_known(data, given)
    return [_bounds(name, given.get(name, 0.0)) for name in data.instruments]


def _bounds(name: str, bound: Bound) -> tuple[float, float]:
    low, high = bound if isinstance(bound, tuple) else (-abs(bound), abs(bound))
    if not (np.isfinite([low, high]).all() and low <= high):
        raise DesignError(f"({low}, {high}) does not bound the direct effect of {name!r}.", hint="Give low <= high.")
    return float(low), float(high)
