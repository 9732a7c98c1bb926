"""Inference on the winner: a profit judged by the outcomes that chose the policy, without the optimism of the choice.

The policy that looked best among several looked best partly by luck, so its estimate is too high on average and its
interval too short. The choice is a set of linear inequalities on the joint normal estimates; given that it was made, and
given what is independent of the winner's estimate, that estimate is a normal number truncated to an interval (Lee, Sun, Sun
and Taylor 2016, *Annals of Statistics* 44). Inverting it gives intervals with exact coverage given the choice, but very
long ones where the choice was close. The hybrid of Andrews, Kitagawa and McCloskey (2024, "Inference on winners",
*Quarterly Journal of Economics* 139) keeps them inside an interval that holds for all policies at once at the level
``alpha / 10``, and conditions on that too: it is never much longer than the simultaneous interval, is the ordinary one (up
to about 1 %) where the choice was clear, and covers with probability ``1 - alpha`` whatever the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from causalkit.inference.wald import t_quantile
from causalkit.kernels.arrays import Floats

#: Share of alpha that pays for the interval that holds for all candidates.
BETA = 0.1
_STEPS = 80
#: Limits this close together, in standard errors, leave no digits to a difference of probabilities.
_NARROW = 1e-5


@dataclass(frozen=True)
class Choice:
    """Between what the winner's estimate could have moved without changing the choice.

    Parameters
    ----------
    low, high : float
        Truncation points of the estimate.
    n_candidates : int
        Policies that could have been chosen.
    """

    low: float
    high: float
    n_candidates: int


def choice_limits(theta: Floats, vcov: Floats, winner: int, sides: Floats, bounds: Floats, n_candidates: int) -> Choice:
    """Return the truncation of ``theta[winner]`` given the event ``sides @ theta <= bounds``.

    Parameters
    ----------
    theta : Floats, shape (p,)
        Joint estimates that the choice was made from.
    vcov : Floats, shape (p, p)
        Their covariance.
    winner : int
        Index of the estimate of interest.
    sides, bounds : Floats, shapes (q, p) and (q,)
        The inequalities that held.
    n_candidates : int
        Policies that could have been chosen.

    Notes
    -----
    With ``c = vcov[:, winner] / vcov[winner, winner]`` the rest ``z = theta - c theta[winner]`` is independent of the
    winner's estimate, and each inequality is a limit of it: ``theta[winner] <= (bound - side z) / (side c)`` where
    ``side c > 0``, and the reverse where it is negative (Lee et al. 2016, lemma 5.1).
    """
    x, variance = theta[winner], vcov[winner, winner]
    if variance <= 0 or not len(bounds):
        return Choice(-np.inf, np.inf, n_candidates)
    c = vcov[:, winner] / variance
    move, room = sides @ c, bounds - sides @ (theta - c * x)
    tiny = 1e-9 * np.abs(sides) @ np.sqrt(np.diag(vcov)) / np.sqrt(variance)
    up, down = move > tiny, move < -tiny
    high = float(np.min(room[up] / move[up], initial=np.inf))
    low = float(np.max(room[down] / move[down], initial=-np.inf))
    return Choice(min(low, x), max(high, x), n_candidates)


def hybrid_interval(x: float, se: float, choice: Choice, alpha: float, df: float = np.inf) -> tuple[float, float]:
    """Return the hybrid ``1 - alpha`` interval of the winner's mean.

    With few clusters the standard error is stretched by t over normal quantile, so that the interval is the ordinary t
    interval where the choice does not matter.
    """
    scale = se * _stretch(alpha, df)
    if scale <= 0:
        return x, x
    reach, tail = _levels(choice, alpha)
    return (
        _solve(x, scale, choice, reach, 1.0 - tail),
        _solve(x, scale, choice, reach, tail),
    )


def median_unbiased(x: float, se: float, choice: Choice, alpha: float) -> float:
    """Return the hybrid estimate of the winner's mean: as often too high as too low, given the choice."""
    return _solve(x, se, choice, _levels(choice, alpha)[0], 0.5) if se > 0 else x


def two_sided_pvalue(x: float, se: float, choice: Choice, df: float = np.inf) -> float:
    """Return the smallest alpha at which the hybrid interval leaves out zero."""
    if se <= 0:
        return 1.0 if x == 0 else 0.0

    def excluded(alpha: float) -> bool:
        scale = se * _stretch(alpha, df)
        reach, tail = _levels(choice, alpha)
        if abs(x) > reach * scale:
            return True
        return min(_tails(x, 0.0, scale, choice, reach)) <= tail

    low, high = -300.0, 0.0  # of log10 alpha
    if excluded(10.0**low):
        return 0.0
    if not excluded(1.0 - 1e-12):
        return 1.0
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excluded(min(10.0**middle, 1.0 - 1e-12)) else (middle, high)
    return float(10.0**high)


def _levels(choice: Choice, alpha: float) -> tuple[float, float]:
    """Half-width of the interval for all candidates in standard errors, and the probability left in each tail."""
    beta = BETA * alpha
    reach = -float(t_quantile(beta / (2.0 * choice.n_candidates), np.inf))
    return reach, (alpha - beta) / (1.0 - beta) / 2.0


def _stretch(alpha: float, df: float) -> float:
    if np.isinf(df):
        return 1.0
    return float(t_quantile(alpha / 2.0, df)) / float(t_quantile(alpha / 2.0, np.inf)) if alpha < 1.0 else 1.0


def _tails(x: float, mean: float, scale: float, choice: Choice, reach: float) -> tuple[float, float]:
    """Probabilities that a normal number, truncated by the choice and to ``mean +- reach * scale``, is below and above ``x``."""
    low = max((choice.low - mean) / scale, -reach)
    high = min((choice.high - mean) / scale, reach)
    z = min(max((x - mean) / scale, low), high)
    if high <= low:
        return 0.5, 0.5
    below, above = _mass(low, z), _mass(z, high)
    whole = below + above
    if whole > 0:
        return below / whole, above / whole
    return (1.0, 0.0) if low > 0 else (0.0, 1.0)


def _mass(low: float, high: float) -> float:
    """Probability that a standard normal number lies between two limits, to full digits in the tails and close together."""
    width = high - low
    if width < _NARROW:
        middle = 0.5 * (low + high)
        return float(
            np.exp(-0.5 * middle**2) / np.sqrt(2.0 * np.pi) * width * (1.0 + (middle**2 - 1.0) * width**2 / 24.0)
        )
    if low > 0:
        low, high = -high, -low
    return float(ndtr(high) - ndtr(low))


def _solve(x: float, scale: float, choice: Choice, reach: float, target: float) -> float:
    """Mean at which ``x`` is the ``target`` quantile; the probability below ``x`` falls as the mean rises."""
    low, high = x - reach * scale, x + reach * scale
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _tails(x, middle, scale, choice, reach)[0] > target else (low, middle)
    return 0.5 * (low + high)


__all__ = ["Choice", "choice_limits", "hybrid_interval", "median_unbiased", "two_sided_pvalue"]
