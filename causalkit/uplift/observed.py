"""Areas under the Qini and uplift curves of observed outcomes, each with its influence values.

These are the curves of uplift libraries: outcomes of the treated and of the controls are summed down the ranking, with no
score per person. Along the ranking let A and N be the sum of outcomes and the number of the treated, C and M those of
the controls, and X = N + M:

    qini = A - C N / M                gain = (A / N - C / M) X

An area is the trapezoid rule over the ends of the blocks of ties, so no value depends on the order of rows. Influence
values are the derivatives of the area with respect to the weight of each row (infinitesimal jackknife): the weights
enter through the sums, and through X, the ranking's quantiles. They assume rows drawn independently, and the arms'
shares are those of the data, as in a randomised experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from causalkit.kernels.arrays import Bools, Floats
from causalkit.uplift.ranks import Ranking, rank_units

CurveKind = Literal["qini", "gain"]
#: Value of the curve where an arm has not been met yet: its outcome counts as zero, or a line from the origin.
Gap = Literal["zero", "line"]


class Functional(NamedTuple):
    """A number, and its derivative with respect to the weight of each row (n,), times that weight."""

    value: float
    psi: Floats

    def __sub__(self, other: Functional) -> Functional:
        return Functional(self.value - other.value, self.psi - other.psi)

    def __truediv__(self, other: Functional) -> Functional:
        ratio = self.value / other.value
        return Functional(ratio, (self.psi - ratio * other.psi) / other.value)

    def times(self, factor: float) -> Functional:
        """Multiply by a constant."""
        return Functional(factor * self.value, factor * self.psi)


@dataclass(frozen=True)
class Rows:
    """Outcomes, arms and weights (scaled to mean one over the rows that count)."""

    outcome: Floats
    treated: Bools
    weights: Floats

    @classmethod
    def of(cls, outcome: Floats, treated: Bools, weights: Floats | None) -> Rows:
        """Scale the weights."""
        n = outcome.size
        w = np.ones(n) if weights is None else weights * (np.count_nonzero(weights) / weights.sum())
        return cls(outcome, treated, w)

    @property
    def total(self) -> float:
        """Number of rows that count."""
        return float(self.weights.sum())


def joint_area(rows: Rows, score: Floats, kind: CurveKind, gap: Gap = "zero") -> tuple[Functional, Functional]:
    """Area under the curve and its last value, both arms ranked together."""
    ranking = rank_units(score)
    t, y, w = rows.treated[ranking.order], rows.outcome[ranking.order], rows.weights[ranking.order]
    one, none = np.where(t, w, 0.0), np.where(t, 0.0, w)
    a, n, c, m = (np.cumsum(ranking.sums(v)) for v in (one * y, one, none * y, none))
    value, slopes = _qini(a, n, c, m) if kind == "qini" else _gain(a, n, c, m)
    x = n + m
    first = 0 if gap == "zero" else int(np.argmax((m > 0) if kind == "qini" else (m > 0) & (n > 0)))
    stretch = (x[:first] / x[first]) ** (1 if kind == "qini" else 2)
    value[:first] = value[first] * stretch

    def pull(at_value: Floats, at_x: Floats) -> Floats:
        """From derivatives by point of the curve to those by row."""
        at_value[first] += at_value[:first] @ stretch
        at_value[:first] = 0.0
        zero = np.zeros_like(at_x)
        extras = (zero, at_x, zero, at_x)
        behind = [_behind(at_value * slope + extra) for slope, extra in zip(slopes, extras, strict=True)]
        by_a, by_n, by_c, by_m = (ranking.spread(v) for v in behind)
        return ranking.unsort(one * (y * by_a + by_n) + none * (y * by_c + by_m))

    area = Functional(_trapezoid(x, value), pull(*_trapezoid_slopes(x, value)))
    at_end = np.zeros_like(value)
    at_end[-1] = 1.0
    return area, Functional(float(value[-1]), pull(at_end, np.zeros_like(value)))


def above_line(area: Functional, end: Functional, rows: Rows) -> Functional:
    """Area less that under the straight line to the end of the curve."""
    n = rows.total
    return Functional(area.value - n * end.value / 2, area.psi - (n * end.psi + rows.weights * end.value) / 2)


def arm_area(rows: Rows, score: Floats, arm: Bools) -> Functional:
    """Area between the cumulative outcome of one arm, ranked on its own, and the straight line; both axes are shares."""
    within = np.flatnonzero(arm)
    share = rows.weights[within] / rows.weights[within].sum()
    value, psi = _share_area(rank_units(score[within]), share, share * rows.outcome[within])
    out = np.zeros(arm.size)
    out[within] = psi - share * psi.sum()
    return Functional(value, out)


def equal_arms_area(rows: Rows, score: Floats) -> Functional:
    """Area of treated less control outcomes ranked together, each arm with half of the weight, above the line."""
    t, w = rows.treated, rows.weights
    share = np.where(t, w / w[t].sum(), w / w[~t].sum()) / 2.0
    signed = 2.0 * share * np.where(t, rows.outcome, -rows.outcome)
    value, psi = _share_area(rank_units(score), share, signed)
    for arm in (t, ~t):
        psi[arm] -= 2.0 * share[arm] * psi[arm].sum()
    return Functional(value, psi)


def _share_area(ranking: Ranking, share: Floats, amount: Floats) -> tuple[float, Floats]:
    """Area under the cumulative amount over the cumulative share, less the line's; derivative by scale of each row."""
    s, g = share[ranking.order], amount[ranking.order]
    x, total = np.cumsum(ranking.sums(s)), np.cumsum(ranking.sums(g))
    at_value, at_x = _trapezoid_slopes(x, total)
    at_value[-1] -= 0.5
    psi = g * ranking.spread(_behind(at_value)) + s * ranking.spread(_behind(at_x))
    return _trapezoid(x, total) - float(total[-1]) / 2.0, ranking.unsort(psi)


def perfect_qini(rows: Rows) -> Functional:
    """Area above the line of the ranking that puts responders of the treated first and those of the controls last."""
    best = np.where(rows.treated, rows.outcome, -rows.outcome)
    return above_line(*joint_area(rows, best, "qini"), rows)


def perfect_qini_without_harm(rows: Rows) -> Functional:
    """Area above the line of a curve that climbs by one a head to its end, and then stays there."""
    t, y, w = rows.treated, rows.outcome, rows.weights
    n_t, n_c = w[t].sum(), w[~t].sum()
    r_t, r_c, n = float(w[t] @ y[t]), float(w[~t] @ y[~t]), rows.total
    end = r_t - n_t * r_c / n_c
    by_row = np.where(t, y - r_c / n_c, -n_t * y / n_c + n_t * r_c / n_c**2)
    return Functional(end * (n - end) / 2.0, w * (by_row * (n / 2.0 - end) + end / 2.0))


def perfect_gain(rows: Rows) -> Functional:
    """Area above the line of the ranking by whether the arm and the outcome agree (scikit-uplift's perfect ranking)."""
    t, y, w = rows.treated, rows.outcome, rows.weights
    more = w[(y == 1) & ~t].sum() > (1.0 + 1e-12) * w[(y == 0) & t].sum()  # equal sums differ by rounding
    best = 2.0 * (y == t) + (y if more else t)
    return above_line(*joint_area(rows, best, "gain"), rows)


def _qini(a: Floats, n: Floats, c: Floats, m: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    """Values, and derivatives by A, N, C and M."""
    per = _divide(1.0, m)
    return a - c * n * per, (np.ones_like(a), -c * per, -n * per, c * n * per**2)


def _gain(a: Floats, n: Floats, c: Floats, m: Floats) -> tuple[Floats, tuple[Floats, ...]]:
    x, per_n, per_m = n + m, _divide(1.0, n), _divide(1.0, m)
    lift = a * per_n - c * per_m
    return lift * x, (x * per_n, lift - a * x * per_n**2, -x * per_m, lift + c * x * per_m**2)


def _divide(top: float, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.zeros_like(bottom), where=bottom > 0)


def _trapezoid(x: Floats, value: Floats) -> float:
    """Area under the curve from the origin through the points."""
    return float(np.diff(x, prepend=0.0) @ (value + np.concatenate(([0.0], value[:-1])))) / 2.0


def _trapezoid_slopes(x: Floats, value: Floats) -> tuple[Floats, Floats]:
    """Derivatives of the area by value and by x of each point."""
    before, after = np.concatenate(([0.0], x[:-1])), np.append(x[1:], x[-1])
    left, right = np.concatenate(([0.0], value[:-1])), np.append(value[1:], -value[-1])
    return (after - before) / 2.0, (left - right) / 2.0


def _behind(values: Floats) -> Floats:
    """Sum from each point to the end."""
    return np.cumsum(values[::-1])[::-1]
