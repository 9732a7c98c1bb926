"""Bandwidths of the density test: those that minimise the estimated mean squared error (Cattaneo, Jansson and Ma 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial import hermite_e

from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.rdd.density_fit import Fit, Ordered, Variance
from causalkit.rdd.density_model import Kernel, Model, population_bias, reference_constant

Rule = Literal["comb", "each", "diff", "sum"]

#: Values, and distinct values, that a window holds on either side, beside one for each coefficient.
FEWEST = 20


@dataclass(frozen=True)
class Choices:
    """How densities are fitted.

    Parameters
    ----------
    order : int
        Order of the polynomials that bandwidths are meant for.
    kernel : str
        The kernel.
    restricted : bool
        Whether the two sides share all but the first derivative.
    vcov : {"jackknife", "plugin"}
        How variances are estimated.
    regularize : bool
        Whether bandwidths are made to hold ``20 + order + 1`` values, and distinct values, on either side, and no more
        than the data.
    """

    order: int
    kernel: Kernel
    restricted: bool
    vcov: Variance
    regularize: bool


def bandwidths(ordered: Ordered, choices: Choices, rule: Rule) -> tuple[float, float]:
    """Return the bandwidths on the left and on the right.

    Parameters
    ----------
    ordered : Ordered
        The values.
    choices : Choices
        How densities are fitted.
    rule : {"comb", "each", "diff", "sum"}
        ``each``: best for each density; ``diff``, ``sum``: best for their difference or sum; ``comb``: the median of
        the three on either side, and of two the smaller where the fit is restricted.
    """
    left, right, diff, both = _optimal(ordered, choices)
    if rule == "each":
        if choices.restricted:
            raise DesignError(
                'bandwidth="each" does not go with restricted=True, where the sides share coefficients.',
                hint='Use "comb", "diff" or "sum".',
            )
        return left, right
    if rule != "comb":
        found = diff if rule == "diff" else both
        return found, found
    if choices.restricted:
        return min(diff, both), min(diff, both)
    return float(np.median([left, diff, both])), float(np.median([right, diff, both]))


def _optimal(ordered: Ordered, choices: Choices) -> tuple[float, float, float, float]:
    """Bandwidths for the density on the left, on the right, for their difference and their sum."""
    order = choices.order
    for_bias, for_variance = _pilots(ordered, choices)
    top = Fit(ordered, Model(order + 2, choices.restricted, for_bias, for_bias), choices.kernel).coefficients(order + 1)
    fit = Fit(ordered, Model(order, choices.restricted, for_variance, for_variance), choices.kernel)
    covariance = fit.covariance(choices.vcov)
    change = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [1.0, 1.0]])
    variance = for_variance * np.einsum("ij,jk,ik->i", change, covariance, change)
    squared_bias = (change @ _bias(fit, choices, top)) ** 2
    with np.errstate(divide="ignore"):
        best = (variance / squared_bias / (2 * order)) ** (1 / (2 * order + 1))
    best[~(variance > 0)] = 0.0
    found = _regularized(ordered, best, order) if choices.regularize else best
    return float(found[0]), float(found[1]), float(found[2]), float(found[3])


def _bias(fit: Fit, choices: Choices, top: Floats) -> Floats:
    """Leading bias of both densities, over the bandwidth to the power of the order."""
    order = choices.order
    density = fit.coefficients(1)
    weights = fit.population_weights(density) * fit.model.left
    added = [density[at] * top[at] * population_bias(choices.kernel, order, side) for at, side in enumerate((-1, 1))]
    return np.asarray(weights[:, 0] @ added[0] + weights[:, 1] @ added[1])


def _pilots(ordered: Ordered, choices: Choices) -> tuple[float, float]:
    """Bandwidths of the fits that bias and variance come from, right for normal data."""
    order, n, x = choices.order, ordered.n, ordered.x
    spread = float(np.std(x, ddof=1))
    at = float(np.mean(x)) / spread
    normal = np.exp(-(at**2) / 2.0) / np.sqrt(2.0 * np.pi)
    with np.errstate(divide="ignore"):
        curved = [
            1.0 / (np.float64(hermite_e.hermeval(at, np.eye(k + 1)[k])) ** 2 * normal) for k in (order + 2, order)
        ]
    for_bias = ((2 * order + 1) / 4 * curved[0] * reference_constant(order + 2, order + 1) / n) ** (1 / (2 * order + 5))
    for_variance = (curved[1] * reference_constant(order, 1) / (2 * order) / n) ** (1 / (2 * order + 1))
    pilots = [float(for_bias) * spread, float(for_variance) * spread]
    if choices.regularize:
        farthest = max(-float(x[0]), float(x[-1]))
        for i, count in enumerate((FEWEST + order + 3, FEWEST + order + 1)):
            pilots[i] = max(min(pilots[i], farthest), *_reach(ordered, count))
    return pilots[0], pilots[1]


def _reach(ordered: Ordered, count: int) -> tuple[float, float]:
    """Distance on either side within which there are ``count`` distinct values, if there are so many."""
    distinct = ordered.has_ties
    return ordered.nearest(-1, count, distinct), ordered.nearest(1, count, distinct)


def _regularized(ordered: Ordered, best: Floats, order: int) -> Floats:
    """Keep bandwidths within the data, and wide enough to hold what a fit needs."""
    ends = -float(ordered.x[0]), float(ordered.x[-1])
    left, right = _reach(ordered, FEWEST + order + 1)
    high = np.array([*ends, max(ends), max(ends)])
    low = np.array([left, right, max(left, right), max(left, right)])
    return np.asarray(np.maximum(np.minimum(best, high), low))
