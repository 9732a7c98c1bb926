"""The bandwidth that makes an honest estimate best in the worst case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Floats
from causalkit.kernels.honest_normal import folded_quantile
from causalkit.rdd.honest_data import HonestData
from causalkit.rdd.honest_moments import SideMoments
from causalkit.rdd.honest_pilot import Pilot
from causalkit.rdd.honest_regression import local_linear

CRITERIA = ("mse", "flci", "oci")
_GRID = 120


@dataclass(frozen=True, eq=False)
class Criterion:
    """Worst-case performance of a local linear estimate as a function of its bandwidth.

    Parameters
    ----------
    data : HonestData
        Without covariates.
    variance : Pilot
        Constant variances on each side.
    kernel : {"triangular", "epanechnikov", "uniform"}
    smoothness_class : {"holder", "taylor"}
    criterion : {"mse", "flci", "oci"}
        Largest mean squared error, length of the two-sided interval, or the ``beta`` quantile of the excess length of
        one-sided intervals.
    alpha, beta : float
    guess : float
        A guess of a fuzzy effect, which weighs the curvature of the treatment taken.
    """

    data: HonestData
    variance: Pilot
    kernel: str
    smoothness_class: str
    criterion: str = "mse"
    alpha: float = 0.05
    beta: float = 0.8
    guess: float = 0.0

    @cached_property
    def _sides(self) -> tuple[SideMoments, SideMoments]:
        scale = self.data.largest
        return SideMoments(self.data, False, scale), SideMoments(self.data, True, scale)

    def __call__(self, bandwidths: Floats, smoothness: Floats) -> Floats:
        """Return the criterion at each bandwidth; infinite where the regression can't be run."""
        h = np.atleast_1d(np.asarray(bandwidths, float))
        left, right = (side.at(h, self.kernel, self.smoothness_class) for side in self._sides)
        bound = float(smoothness[0]) + (float(smoothness[1]) * abs(self.guess) if self.data.fuzzy else 0.0)
        bias = bound / 2.0 * (left.curved + right.curved)
        direction = np.ones((h.size, 1))
        if self.data.fuzzy:
            jump = right.jump - left.jump
            with np.errstate(divide="ignore", invalid="ignore"):
                direction = np.column_stack([np.ones(h.size), -jump[:, 0] / jump[:, 1]])
        variance = left.squares * _form(direction, self.variance.left)
        variance += right.squares * _form(direction, self.variance.right)
        if self.variance.within.any():
            variance += self._shared(h) * _form(direction, self.variance.within)
        return self._worst(bias, np.sqrt(variance))

    def _worst(self, bias: Floats, se: Floats) -> Floats:
        if self.criterion == "mse":
            value = bias**2 + se**2
        elif self.criterion == "oci":
            value = 2.0 * bias + se * float(special.ndtri(1.0 - self.alpha) + special.ndtri(self.beta))
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = bias / se
            value = np.full(se.shape, np.inf)
            known = np.isfinite(ratio)
            value[known] = 2.0 * folded_quantile(1.0 - self.alpha, ratio[known]) * se[known]
        return np.where(np.isfinite(value), value, np.inf)

    def _shared(self, bandwidths: Floats) -> Floats:
        """Sum over pairs of different rows of one cluster of the products of their weights."""
        assert self.data.cluster is not None
        out = np.full(bandwidths.size, np.nan)
        for at, h in enumerate(bandwidths.tolist()):
            try:
                fit = local_linear(self.data, h, self.kernel)
            except ValueError:
                continue
            assert fit.data.cluster is not None
            sums = np.bincount(fit.data.cluster, fit.weights)
            out[at] = float((sums**2).sum() - (fit.weights**2).sum())
        return out

    def best(self, smoothness: Floats) -> float:
        """Return the bandwidth with the smallest criterion.

        With the uniform kernel only distances that occur in the data matter, and all of them are tried. Else the
        criterion is scanned before it is refined, so that a local minimum is not taken for the smallest.
        """
        low = max(support[1] for support in self.data.supports)
        if self.kernel == "uniform":
            tried = np.unique(np.concatenate(self.data.supports))
            tried = tried[tried >= low]
            if self.variance.within.any() and tried.size > 4 * _GRID:  # each costs a pass over the rows
                tried = tried[np.unique(np.linspace(0, tried.size - 1, 4 * _GRID).round().astype(int))]
        else:
            tried = np.geomspace(low, self.data.largest, _GRID)
        values = self(tried, smoothness)
        at = int(np.argmin(values))
        if not np.isfinite(values[at]):
            raise InferenceUnavailable(
                "no bandwidth gives a local linear regression on both sides.", hint="Give bandwidth= yourself."
            )
        if self.kernel == "uniform":
            return float(tried[at])
        ends = float(tried[max(at - 1, 0)]), float(tried[min(at + 1, tried.size - 1)])
        return _refined(lambda h: float(self(np.array([h]), smoothness)[0]), *ends)


def _form(direction: Floats, matrix: Floats) -> Floats:
    return np.asarray(np.einsum("hi,ij,hj->h", direction, matrix, direction))


def _refined(value: Callable[[float], float], low: float, high: float) -> float:
    """Minimise between two bandwidths."""
    if low >= high:
        return low
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(value, bounds=(low, high), method="bounded", options={"xatol": 1e-11 * high})
    best = min((value(at), at) for at in (low, high, float(found.x)))
    return float(best[1])
