"""Overlap: could every unit have been in every arm, and how many units does weighting really rest on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalkit.kernels.arrays import Codes, Floats, read_only
from causalkit.nuisance.crossfit import arm_label

#: Levels of the quantiles in :class:`Overlap`.
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_LITTLE, _TOO_LITTLE = 0.5, 0.2
_MANY_CLIPPED = 0.05
_MANY_UNLIKELY = 0.05


@dataclass(frozen=True)
class Overlap:
    """How propensities are spread, before clipping.

    Parameters
    ----------
    minimum, maximum : Floats, shape (n_arms,)
        Smallest and largest probability of each arm over all rows.
    quantiles : Floats, shape (n_arms, n_arms, 7)
        ``quantiles[a, b]``: quantiles (0, .05, .25, .5, .75, .95, 1) of the probability of arm a among rows in arm b.
    outside_05, outside_01 : float
        Share of rows with the probability of some arm outside [0.05, 0.95], and outside [0.01, 0.99].
    counts : Floats, shape (n_arms,)
        Rows in each arm.
    effective : Floats, shape (n_arms,)
        Effective sample size of inverse-probability weighting in each arm, (sum w)^2 / sum w^2 (Kish 1965).
    clipped : int
        Rows whose probabilities were clipped.
    status : {"pass", "warn", "fail"}
        Verdict. ``fail``: the effective sample size of an arm is below a fifth of its rows, or more than 5 % of the
        rows were clipped. ``warn``: it is below half, any row was clipped, or more than 5 % of the rows have for some
        arm a probability below 0.05 and below half the share of that arm (so that a trial with a small arm passes).
    message, advice : str
        The verdict in words, and what to do about it.
    """

    minimum: Floats
    maximum: Floats
    quantiles: Floats
    outside_05: float
    outside_01: float
    counts: Floats
    effective: Floats
    clipped: int
    status: Literal["pass", "warn", "fail"]
    message: str
    advice: str


def assess_overlap(
    probabilities: Floats, arms: Codes, *, clipped: int = 0, arm_names: Sequence[str] | None = None
) -> Overlap:
    """Describe overlap and give a verdict.

    Parameters
    ----------
    probabilities : Floats, shape (n, n_arms)
        Probability of each arm, before clipping.
    arms : Codes, shape (n,)
        Arm of each row.
    clipped : int
        Rows that were clipped afterwards.
    arm_names : sequence of str, optional
        Names for the message.

    Returns
    -------
    Overlap
    """
    n, n_arms = probabilities.shape
    counts = np.bincount(arms, minlength=n_arms).astype(float)
    safe = np.maximum(probabilities, 1e-12)
    effective = np.array([_effective(1.0 / safe[arms == a, a]) for a in range(n_arms)])
    quantiles = np.full((n_arms, n_arms, len(QUANTILES)), np.nan)
    for b in np.flatnonzero(counts > 0):
        quantiles[:, b] = np.quantile(probabilities[arms == b], QUANTILES, axis=0).T
    unlikely = float(np.mean((probabilities < np.minimum(0.05, 0.5 * counts / n)).any(axis=1)))
    ratio = np.divide(effective, counts, out=np.zeros(n_arms), where=counts > 0)
    status, message, advice = _verdict(ratio, counts, effective, clipped / n, unlikely, arm_names)
    return Overlap(
        minimum=read_only(probabilities.min(axis=0)),
        maximum=read_only(probabilities.max(axis=0)),
        quantiles=read_only(quantiles),
        outside_05=_share_outside(probabilities, 0.05),
        outside_01=_share_outside(probabilities, 0.01),
        counts=read_only(counts),
        effective=read_only(effective),
        clipped=clipped,
        status=status,
        message=message,
        advice=advice,
    )


def _effective(weights: Floats) -> float:
    return float(weights.sum() ** 2 / (weights @ weights)) if len(weights) else 0.0


def _share_outside(probabilities: Floats, edge: float) -> float:
    return float(np.mean(((probabilities < edge) | (probabilities > 1.0 - edge)).any(axis=1)))


def _verdict(
    ratio: Floats,
    counts: Floats,
    effective: Floats,
    clipped: float,
    unlikely: float,
    arm_names: Sequence[str] | None,
) -> tuple[Literal["pass", "warn", "fail"], str, str]:
    worst = int(np.argmin(ratio))
    message = (
        f"weighting rests on {effective[worst]:.0f} effective of {counts[worst]:.0f} rows in arm "
        f"{arm_label(worst, arm_names)}, the arm with least overlap; {clipped:.1%} of the rows were clipped."
    )
    if clipped > _MANY_CLIPPED and ratio[worst] >= _LITTLE:  # the weights of those observed hide who was never there
        message = (
            f"{clipped:.1%} of the rows had a probability so close to 0 that it was clipped: nothing like them is seen in "
            f"the other arm, though weighting those who are seen looks harmless ({effective[worst]:.0f} effective of "
            f"{counts[worst]:.0f} rows in arm {arm_label(worst, arm_names)})."
        )
    if ratio[worst] < _TOO_LITTLE or clipped > _MANY_CLIPPED:
        return (
            "fail",
            message,
            "Restrict the study to units that could be in any arm, or ask for the overlap-weighted effect.",
        )
    if ratio[worst] < _LITTLE or clipped > 0 or unlikely > _MANY_UNLIKELY:
        message += f" {unlikely:.1%} of the rows were very unlikely to be in some arm." if unlikely else ""
        return "warn", message, "Look at the propensities by arm; compare with the overlap-weighted effect."
    return "pass", message, ""
