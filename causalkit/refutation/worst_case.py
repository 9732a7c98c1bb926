"""Bounds without unconfoundedness: Manski's, with or without monotonicity, and Balke and Pearl's for an instrument."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from causalkit.errors import DataError, DesignError, IdentificationError
from causalkit.kernels.arrays import Floats

Assume = Literal["nothing", "monotone_response", "monotone_selection"]


def manski_bounds(
    outcome: ArrayLike,
    treatment: ArrayLike,
    outcome_range: tuple[float, float],
    assume: Assume = "nothing",
    weights: ArrayLike | None = None,
) -> tuple[float, float]:
    """Return the bounds of the average effect of a treatment that may be confounded in any way (Manski 1990, 1997).

    Parameters
    ----------
    outcome : array, shape (n,)
        Outcomes, all within the range.
    treatment : array, shape (n,)
        0 or 1.
    outcome_range : (float, float)
        The values that the outcome can take, by its nature; not those that were seen.
    assume : {"nothing", "monotone_response", "monotone_selection"}
        ``"monotone_response"``: the treatment lowers nobody's outcome (the lower bound is 0).
        ``"monotone_selection"``: the treated would have outcomes at least as high as the others with and without it
        (Manski and Pepper 2000; the upper bound is the difference of means).
    weights : array, shape (n,), optional
        Weights of the rows.

    Returns
    -------
    (float, float)
        Their distance is the width of the range where nothing is assumed.

    Raises
    ------
    DataError
        If an outcome lies outside the range, or the treatment is not 0 or 1.
    DesignError
        If the range is no pair of finite numbers, the smaller first.
    """
    y, t = np.asarray(outcome, dtype=float), np.asarray(treatment, dtype=float)
    low, high = _range(outcome_range)
    if y.shape != t.shape or not np.isin(t, (0.0, 1.0)).all():
        raise DataError("the treatment must be 0 or 1, with one value for each outcome.")
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    outside = ~((y >= low) & (y <= high))
    if outside.any():
        raise DataError(
            f"{int(outside.sum())} outcomes lie outside [{low:g}, {high:g}] (first in row {int(np.flatnonzero(outside)[0])}).",
            hint="Give the range of values that the outcome can take.",
        )
    if not (w @ t > 0 and w @ (1 - t) > 0):
        raise DataError("both arms are needed.")
    share = float(w @ t / w.sum())
    one, zero = float((w * t) @ y / (w @ t)), float((w * (1 - t)) @ y / (w @ (1 - t)))
    least = share * one + (1 - share) * low - ((1 - share) * zero + share * high)
    most = share * one + (1 - share) * high - ((1 - share) * zero + share * low)
    if assume == "monotone_response":
        return max(least, 0.0), most
    if assume == "monotone_selection":
        return least, min(most, one - zero)
    if assume != "nothing":
        raise DesignError(
            f"assume={assume!r} is not an option.", hint="Use nothing, monotone_response or monotone_selection."
        )
    return least, most


def _range(outcome_range: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in outcome_range)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise DesignError(
            f"outcome_range={outcome_range!r} is no range.", hint="Give two finite numbers, the smaller first."
        )
    return low, high


def balke_pearl_bounds(cells: ArrayLike) -> tuple[float, float]:
    """Return the sharp bounds of the average effect from a binary instrument, treatment and outcome.

    Compliance may be of any kind: the bounds are the extremes over all distributions of the 16 response types that agree
    with the data (Balke and Pearl 1997), found by linear programming.

    Parameters
    ----------
    cells : array, shape (2, 2, 2)
        ``cells[z, t, y]``: probability of treatment t and outcome y given instrument z, or counts.

    Returns
    -------
    (float, float)

    Raises
    ------
    IdentificationError
        If no distribution agrees with the data: the instrument is not valid (Pearl's inequality fails).
    """
    from scipy.optimize import linprog

    p = np.asarray(cells, dtype=float)
    if p.shape != (2, 2, 2) or not np.isfinite(p).all() or (p < 0).any() or (p.sum(axis=(1, 2)) <= 0).any():
        raise DataError("cells must be a (2, 2, 2) array of counts or probabilities by instrument, treatment, outcome.")
    p = p / p.sum(axis=(1, 2), keepdims=True)
    types = list(product(product((0, 1), repeat=2), repeat=2))  # (treatment by instrument), (outcome by treatment)
    agree = np.zeros((8, 16))
    gain = np.array([response[1] - response[0] for _, response in types], dtype=float)
    for j, (taken, response) in enumerate(types):
        for z in (0, 1):
            agree[4 * z + 2 * taken[z] + response[taken[z]], j] = 1.0
    limits = []
    for sign in (1.0, -1.0):
        found = linprog(sign * gain, A_eq=agree, b_eq=p.ravel(), bounds=(0, 1), method="highs")
        if found.status != 0:
            raise IdentificationError(
                "no distribution of response types agrees with these shares: the instrument is not valid.",
                hint="It changes the outcome by another way, or is not independent of it; see Pearl's inequality.",
            )
        limits.append(sign * float(found.fun))
    return limits[0], limits[1]


def shares(instrument: Floats, treated: Floats, outcome: Floats, weights: Floats | None = None) -> Floats:
    """Return the ``cells`` of :func:`balke_pearl_bounds` from 0/1 columns.

    Parameters
    ----------
    instrument, treated, outcome : Floats, shape (n,)
        0 or 1.
    weights : Floats, shape (n,), optional
        Weights of the rows.
    """
    code = (4 * instrument + 2 * treated + outcome).astype(np.int64)
    return np.bincount(code, weights, minlength=8).reshape(2, 2, 2).astype(float)
