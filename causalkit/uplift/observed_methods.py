"""What each library computes under the names Qini, AUUC and uplift at the top, of outcomes, arms and a ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.errors import DataError
from causalkit.kernels.arrays import Floats
from causalkit.uplift import observed
from causalkit.uplift.curves import curve_psi
from causalkit.uplift.observed import Functional, Rows
from causalkit.uplift.ranks import rank_units

#: Share of all weight that is rounding.
_ROUNDING = 1e-12


def qini(rows: Rows, score: Floats, method: str) -> Functional:
    """Area between the curve of a ranking and that of a random one, in the units of a library."""
    if method.startswith("libuplift"):
        found = _separate(rows, score)
        if method == "libuplift":
            best = np.where(rows.treated, rows.outcome, -rows.outcome)
            return found / _separate(rows, best)
        n_treated = float(rows.weights[rows.treated].sum())
        counted = rows.weights * (rows.treated - n_treated / rows.total)
        return Functional(n_treated * found.value, n_treated * found.psi + found.value * counted)
    area, end = observed.joint_area(rows, score, "qini", "line" if method.startswith("causalml") else "zero")
    above = observed.above_line(area, end, rows)
    if method.startswith("sklift"):
        perfect = observed.perfect_qini if method == "sklift" else observed.perfect_qini_without_harm
        return above / _not_zero(perfect(rows))
    raw = above.times(1.0 / (rows.total + 1.0))
    return raw if method == "causalml_raw" else raw / _not_zero(_magnitude(end))


def auuc(rows: Rows, score: Floats, method: str) -> Functional:
    """Area under the curve of a ranking, in the units of a library."""
    if method == "libuplift":
        return _separate(rows, score)
    if method == "libuplift_joint":
        return observed.equal_arms_area(rows, score)
    area, end = observed.joint_area(rows, score, "gain", "line" if method.startswith("causalml") else "zero")
    if method == "sklift":
        return observed.above_line(area, end, rows) / _not_zero(observed.perfect_gain(rows))
    per = 1.0 / (rows.total + 1.0)
    raw = Functional(per * (area.value + end.value / 2.0), per * (area.psi + end.psi / 2.0))
    return raw if method == "causalml_raw" else raw / _not_zero(_magnitude(end))


def _separate(rows: Rows, score: Floats) -> Functional:
    return observed.arm_area(rows, score, rows.treated) - observed.arm_area(rows, score, ~rows.treated)


def _magnitude(end: Functional) -> Functional:
    return end.times(float(np.sign(end.value)))


def _not_zero(by: Functional) -> Functional:
    if by.value == 0.0:
        raise DataError(
            "the curve that this method divides by is zero (no effect on average, or no variation).",
            hint="Use method='grf' (Qini) or 'gain' (AUUC), which divide by nothing.",
        )
    return by


def top(rows: Rows, score: Floats, weights: Floats | None, q: float, method: str) -> Functional:
    """Difference of the arms' means among the first share of everyone, or of each arm."""
    if method == "by_group":
        return _top_of_arm(rows, score, weights, q, rows.treated) - _top_of_arm(rows, score, weights, q, ~rows.treated)
    share = np.array([q if weights is not None else _whole_rows(q, score.size)])
    one, none = rows.treated.astype(float), (~rows.treated).astype(float)
    ranking = rank_units(score, weights)
    a, n, c, m = (
        Functional(float(value[0]), psi[:, 0])
        for value, psi in (
            curve_psi(amount, ranking, "gain", share) for amount in (one * rows.outcome, one, none * rows.outcome, none)
        )
    )
    if min(n.value, m.value) < _ROUNDING:
        raise DataError(f"one arm has no row among the first {100 * q:g} %.", hint="Use a larger q.")
    return a / n - c / m


def _top_of_arm(rows: Rows, score: Floats, weights: Floats | None, q: float, arm: Any) -> Functional:
    within = np.flatnonzero(arm)
    w = None if weights is None else weights[within]
    share = np.array([q if w is not None else _whole_rows(q, within.size)])
    value, psi = curve_psi(rows.outcome[within], score[within], "uplift", share, w)
    out = np.zeros(score.size)
    out[within] = psi[:, 0]
    return Functional(float(value[0]), out)


def _whole_rows(q: float, n: int) -> float:
    """A share that holds a whole number of rows, at least one."""
    return max(int(n * q), 1) / n
