"""Tests of moment inequalities with nuisance parameters, inverted exactly (Andrews, Roth and Pakes 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.kernels.honest_normal import largest_quantile, truncated_quantile
from causalkit.kernels.honest_polytope import extreme_rays

#: Vertices of the dual that are enumerated before giving up.
MOST_VERTICES = 20_000
_MESH = 24
_BLOCK = 1_000_000
_SECTIONS = 65
_FAR = (1e2, 1e4, 1e6)


@dataclass(frozen=True, eq=False)
class MomentTest:
    """The test of ``theta = l'tau`` under ``A delta <= d``, as a function of theta.

    Parameters
    ----------
    base, slope : Floats, shape (k,)
        The value of each dual vertex at theta is ``base + slope * theta``; the statistic is their maximum.
    factor : Floats, shape (k, r)
        ``factor @ factor.T`` is the covariance of the values.
    alpha : float
        Level.
    hybrid : bool
        Whether a least-favourable test of level ``alpha / 10`` comes first (C-LF); otherwise the test is the
        conditional one.
    """

    base: Floats
    slope: Floats
    factor: Floats
    alpha: float
    hybrid: bool

    @cached_property
    def least_favourable(self) -> float:
        """Critical value of the first stage; infinite without one."""
        return largest_quantile(self.factor, 1.0 - self.alpha / 10.0) if self.hybrid else math.inf

    @cached_property
    def spread(self) -> Floats:
        """Standard deviation of the value of each vertex."""
        spread = np.sqrt((self.factor**2).sum(axis=1))
        return np.where(spread > 1e-9 * spread.max(), spread, 0.0)

    @property
    def level(self) -> float:
        """Level of the conditional stage."""
        first = self.alpha / 10.0 if self.hybrid else 0.0
        return (self.alpha - first) / (1.0 - first)

    def accepts(self, theta: Floats) -> Bools:
        """Return whether each value of theta is kept."""
        theta = np.atleast_1d(theta)
        step = max(1, _BLOCK // len(self.base))
        return np.concatenate([self._accepts(theta[j : j + step]) for j in range(0, len(theta), step)])

    def _accepts(self, theta: Floats) -> Bools:
        values = self.base + theta[:, None] * self.slope
        at = values.argmax(axis=1)
        largest = values[np.arange(len(at)), at]
        spread, limit = self.spread[at], self.least_favourable
        kept = np.asarray(largest <= 0.0)
        test = ~kept & (spread > 0.0) & (largest <= limit)
        if test.any():
            low, high = self._truncation(values[test], at[test])
            stat, one = largest[test] / spread[test], spread[test]
            high = np.minimum(high, limit)
            critical = truncated_quantile(1.0 - self.level, low / one, np.maximum(high, low) / one)
            # Where two vertices tie, the statistic stands on the lower end of its range and is kept.
            kept[test] = (stat <= np.maximum(critical, 0.0)) | (low >= largest[test] - 1e-11) | (largest[test] > high)
        return kept

    def _truncation(self, values: Floats, at: Ints) -> tuple[Floats, Floats]:
        """Return the range over which the vertices ``at`` stay optimal, given what is independent of their value."""
        rho = (self.factor[at] @ self.factor.T) / self.spread[at, None] ** 2
        own = values[np.arange(len(at)), at][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            cut = (values - rho * own) / (1.0 - rho)
        low = np.where(rho < 1.0 - 1e-9, cut, -np.inf).max(axis=1)
        high = np.where(rho > 1.0 + 1e-9, cut, np.inf).min(axis=1)
        return np.minimum(low, own[:, 0]), np.maximum(high, own[:, 0])

    @cached_property
    def knots(self) -> Floats:
        """Values of theta at which the optimal vertex changes, rising."""
        found: list[float] = []
        steepest = self.slope.min()
        same = np.flatnonzero(self.slope == steepest)
        at = int(same[np.argmax(self.base[same])])
        while True:
            steeper = np.flatnonzero(self.slope > self.slope[at] + 1e-12)
            if not steeper.size:
                return np.array(found)
            meets = (self.base[at] - self.base[steeper]) / (self.slope[steeper] - self.slope[at])
            first = float(meets.min())
            tied = steeper[meets <= first + 1e-12 * max(1.0, abs(first))]
            at = int(tied[np.argmax(self.slope[tied])])
            found.append(first)

    def reach(self) -> tuple[float, float] | None:
        """Return the values of theta that the first stage keeps (infinite ends without one), or None."""
        limit = self.least_favourable
        if math.isinf(limit):
            return -math.inf, math.inf
        flat = np.abs(self.slope) <= 1e-12
        if (self.base[flat] > limit).any():
            return None
        with np.errstate(divide="ignore"):
            ends = (limit - self.base) / self.slope
        low = float(ends[~flat & (self.slope < 0)].max(initial=-math.inf))
        high = float(ends[~flat & (self.slope > 0)].min(initial=math.inf))
        return (low, high) if low <= high else None

    def hull(self, known: tuple[float, float] = (math.inf, -math.inf)) -> tuple[float, float] | None:
        """Return the smallest interval that holds every value of theta that is kept, or None.

        Parameters
        ----------
        known : (low, high)
            An interval that is kept anyway: an end that lies inside it is not sharpened.
        """
        reach = self.reach()
        if reach is None or (known[0] <= reach[0] and reach[1] <= known[1]):
            return None
        mesh = self._mesh(reach)
        kept = np.flatnonzero(self.accepts(mesh))
        if not kept.size:
            return None
        first, last = int(kept[0]), int(kept[-1])
        low = -math.inf if first == 0 and math.isinf(reach[0]) else float(mesh[first])
        high = math.inf if last == len(mesh) - 1 and math.isinf(reach[1]) else float(mesh[last])
        if first > 0 and mesh[first - 1] < known[0]:
            low = self._edge(float(mesh[first - 1]), float(mesh[first]))
        if last < len(mesh) - 1 and mesh[last + 1] > known[1]:
            high = self._edge(float(mesh[last + 1]), float(mesh[last]))
        return low, high

    def _mesh(self, reach: tuple[float, float]) -> Floats:
        """Return values of theta that hold every knot and lie close enough to see what is between."""
        knots = self.knots if self.knots.size else np.zeros(1)
        far = np.append(np.linspace(1.0, 20.0, 20), _FAR)
        low = [reach[0]] if math.isfinite(reach[0]) else list(knots[0] - far[::-1])
        high = [reach[1]] if math.isfinite(reach[1]) else list(knots[-1] + far)
        inner = knots[(knots > low[-1]) & (knots < high[0])]
        ends = np.concatenate([low, inner, high])
        parts = np.linspace(ends[:-1], ends[1:], _MESH, endpoint=False).T.ravel()
        return np.append(parts, ends[-1])

    def _edge(self, outside: float, inside: float) -> float:
        """Return where values of theta start to be kept, to full precision."""
        while True:
            points = np.linspace(outside, inside, _SECTIONS)
            kept = np.append(self.accepts(points[1:-1]), True)
            first = int(np.argmax(kept))
            new = float(points[first]), float(points[first + 1])
            if abs(new[1] - new[0]) <= 1e-11 * max(1.0, abs(inside)) or new == (outside, inside):
                return new[1]
            outside, inside = new


class DualVertices:
    """The vertices of the dual, which depend on neither theta nor the data; kept for sets that share them."""

    def __init__(self) -> None:
        self._known: dict[bytes, Floats] = {}
        self.most = 0

    def test(
        self, values: Floats, vcov: Floats, n_pre: int, weights: Floats, rows: Floats, limit: Floats, alpha: float,
        hybrid: bool,
    ) -> MomentTest:  # fmt: skip
        """Return the test of ``weights' tau`` under ``rows @ (values - tau) <= limit``."""
        if len(weights) > 1:  # inequalities among early periods alone do not speak of theta
            speaks = np.abs(rows[:, n_pre:]).max(axis=1) > 1e-12
            rows, limit = rows[speaks], limit[speaks]
        direct, nuisance = _solved(rows[:, n_pre:], weights)
        key = nuisance.tobytes()
        if key not in self._known:
            found = extreme_rays(nuisance.T, MOST_VERTICES)
            if found is None:
                raise InferenceUnavailable(
                    f"the restriction has more than {MOST_VERTICES:,} vertices with {len(weights)} effects.",
                    hint='Leave out bias= or trend=, use weights="first", or use fewer effects after the start, such as '
                    "result.aggregate('event_time', last=6).",
                )
            self._known[key] = found
        moments = rows @ np.linalg.cholesky(_definite(vcov))
        spread = np.sqrt((moments**2).sum(axis=1))
        rays = self._known[key]
        rays = rays / (rays @ spread)[:, None]
        self.most = max(self.most, len(rays))
        return MomentTest(rays @ (rows @ values - limit), -(rays @ direct), rays @ moments, alpha, hybrid)


def _solved(columns: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Replace the effect with the largest weight by theta; return what multiplies theta and the other effects."""
    pivot = int(np.argmax(np.abs(weights)))
    direct = columns[:, pivot] / weights[pivot]
    others = np.delete(np.arange(len(weights)), pivot)
    return direct, np.ascontiguousarray(columns[:, others] - np.outer(direct, weights[others]))


def _definite(vcov: Floats) -> Floats:
    """Lift a singular covariance by a trace that no digit shown can feel."""
    lift = max(0.0, 1e-12 - float(np.linalg.eigvalsh(vcov)[0]))
    return vcov + lift * np.eye(len(vcov)) if lift else vcov
