"""E-values: the risk ratio with treatment and outcome that explains an association away (VanderWeele and Ding 2017)."""

from __future__ import annotations

import math
from typing import Literal

from causalkit.errors import DesignError

Scale = Literal["risk_ratio", "odds_ratio", "hazard_ratio", "difference"]


def e_value(
    estimate: float,
    low: float | None = None,
    high: float | None = None,
    *,
    scale: Scale = "risk_ratio",
    rare: bool = False,
    sd: float | None = None,
) -> tuple[float, float | None]:
    """Return the E-value of an estimate and of the limit of its interval that is nearest to no effect.

    An unmeasured common cause would have to be associated with treatment and outcome by risk ratios of at least this
    each, beyond the measured covariates, to explain the association away.

    Parameters
    ----------
    estimate : float
        A ratio, or with ``scale="difference"`` a difference of means.
    low, high : float, optional
        Its confidence limits.
    scale : {"risk_ratio", "odds_ratio", "hazard_ratio", "difference"}
        What the estimate is. Odds and hazard ratios of outcomes that are not rare are turned into risk ratios: the
        square root of odds; ``(1 - 0.5^sqrt(HR)) / (1 - 0.5^sqrt(1/HR))``. A difference counts as ``exp(0.91 d)`` with d
        in standard deviations.
    rare : bool
        Whether the outcome is rarer than 15 %, so that odds and hazard ratios are risk ratios.
    sd : float, optional
        Standard deviation of the outcome, for a difference.

    Returns
    -------
    (float, float or None)
        Both at least 1; 1 where the interval holds no effect; None without limits.

    Raises
    ------
    DesignError
        If a ratio is not positive, the limits do not hold the estimate, or ``sd`` is missing.
    """
    if any(v is not None and not math.isfinite(v) for v in (estimate, low, high)):
        raise DesignError(
            f"the estimate {estimate} or its limits {low}, {high} are not finite.", hint="Leave limits out."
        )
    if scale == "difference":
        if sd is None or not sd > 0:
            raise DesignError("scale='difference' needs sd=.", hint="Give the standard deviation of the outcome.")
        values = [
            None if v is None else math.exp(min(max(0.91 * v / sd, -700.0), 700.0)) for v in (estimate, low, high)
        ]
    else:
        values = [None if v is None else _risk_ratio(v, scale, rare) for v in (estimate, low, high)]
    ratio, lower, upper = values
    assert ratio is not None
    if (lower is not None and lower > ratio) or (upper is not None and upper < ratio):
        raise DesignError(f"the limits {low} and {high} do not hold the estimate {estimate}.")
    limit = lower if ratio >= 1 else upper
    if limit is None:
        return _of(ratio), None
    covers = limit <= 1 if ratio >= 1 else limit >= 1
    return _of(ratio), 1.0 if covers else _of(limit)


def _of(ratio: float) -> float:
    ratio = 1 / ratio if ratio < 1 else ratio
    return ratio + math.sqrt(ratio * (ratio - 1))


def _risk_ratio(value: float, scale: Scale, rare: bool) -> float:
    if scale not in ("risk_ratio", "odds_ratio", "hazard_ratio"):
        raise DesignError(
            f"scale={scale!r} is not an option.", hint="Use risk_ratio, odds_ratio, hazard_ratio or difference."
        )
    if not value > 0:
        raise DesignError(f"a ratio of {value} is not positive.", hint='Use scale="difference" for differences.')
    if rare or scale == "risk_ratio":
        return value
    if scale == "odds_ratio":
        return math.sqrt(value)
    return float((1 - 0.5 ** math.sqrt(value)) / (1 - 0.5 ** math.sqrt(1 / value)))
