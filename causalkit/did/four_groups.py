"""One comparison of repeated cross-sections with covariates: rows of treated and controls in two periods.

A comparison is solved once; what it then holds are a few numbers, from which the influence value of any row follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from causalkit.did.group_time import CONDITION, Method
from causalkit.did.logit import TRIM, Logit, NotEstimable, fit_logit
from causalkit.kernels.arrays import Bools, Floats

#: Treated or controls, and whether in the later period.
Side = tuple[bool, bool]


@dataclass(frozen=True, eq=False)
class FourGroups:
    """Rows of treated and controls in two periods.

    Attributes
    ----------
    y, w : Floats, shape (n,)
    x : Floats, shape (n, p)
        Ones and covariates.
    treated, post : Bools, shape (n,)
    """

    y: Floats
    x: Floats
    w: Floats
    treated: Bools
    post: Bools

    def here(self, side: Side) -> Bools:
        """Return which rows are of one of the groups."""
        return np.asarray((self.treated == side[0]) & (self.post == side[1]))


@dataclass(frozen=True, eq=False)
class _Line:
    """A regression of the outcome on covariates, in one of the four groups."""

    slopes: Floats
    inverse: Floats

    @classmethod
    def of(cls, rows: FourGroups, side: Side) -> _Line:
        here = rows.here(side)
        x, y = rows.x[here], rows.y[here]
        weighted = x * rows.w[here][:, None]
        gram = weighted.T @ x
        scale = np.sqrt(np.diag(gram))
        if not (scale > 0).all() or np.linalg.cond(gram / np.outer(scale, scale)) > CONDITION:
            who = "treated" if side[0] else "control"
            raise NotEstimable(f"its {who} rows in one period do not identify {len(gram)} coefficients")
        inverse = np.linalg.inv(gram)
        return cls(np.asarray(inverse @ (weighted.T @ y), dtype=np.float64), np.asarray(inverse, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class _Mean:
    """A weighted mean that enters an estimate with a sign.

    ``slopes`` names the regressions whose prediction is in the value, with its sign; ``odds`` says that weights come from
    the propensity model.
    """

    sign: float
    weight: Floats
    value: Floats
    slopes: Mapping[Side, float]
    odds: bool = False


@dataclass(frozen=True, eq=False)
class _Models:
    """The regressions and the propensity model of a comparison, and the means that they imply for any rows."""

    method: Method
    lines: Mapping[Side, _Line]
    logit: Logit | None

    def means(self, rows: FourGroups, chance: Floats | None) -> list[_Mean]:
        """Return the means whose sum is the estimate."""
        expected = {side: rows.x @ line.slopes for side, line in self.lines.items()}
        if self.logit is None or chance is None:
            return _regression(rows, expected)
        weights = np.where(rows.treated, rows.w, rows.w * self.logit.odds(chance))
        if self.method == "ipw":
            return _differences(rows, weights, rows.y)
        return _doubly_robust(rows, weights, expected)

    def chance(self, rows: FourGroups) -> Floats | None:
        """Return the propensities of rows."""
        return None if self.logit is None else self.logit.probability(rows.x.T)


@dataclass(frozen=True, eq=False)
class Solved:
    """A comparison that was solved.

    Attributes
    ----------
    value : float
        The estimate.
    trimmed : int
        Controls that have no weight, for their propensity is too high.
    models : _Models
    centres, totals : Floats
        Of the means.
    by_line : mapping of side to Floats, shape (p,)
        What the regressions' scores do to the estimate.
    by_score : Floats, shape (p,), or None
        What the propensity model's score does to it.
    """

    value: float
    trimmed: int
    models: _Models
    centres: Floats
    totals: Floats
    by_line: Mapping[Side, Floats]
    by_score: Floats | None

    @classmethod
    def of(cls, rows: FourGroups, method: Method) -> Solved:
        """Solve a comparison.

        Raises
        ------
        NotEstimable
            If a group lacks rows for a regression, overlap or weight.
        """
        sides = {"ipw": (), "reg": (False,), "dr": (False, True)}[method]
        lines = {(side, post): _Line.of(rows, (side, post)) for side in sides for post in (False, True)}
        logit = None if method == "reg" else _propensity(rows)
        models = _Models(method, lines, logit)
        chance = models.chance(rows)
        if logit is not None:
            odds = logit.odds(cast(Floats, chance)) * rows.w
            if not all(odds[rows.here((False, post))].any() for post in (False, True)):
                raise NotEstimable("no control has covariates like its units")
        trimmed = 0 if chance is None else int((~rows.treated & (chance >= TRIM)).sum())
        return _combined(rows, models, models.means(rows, chance), trimmed)

    def influence(self, rows: FourGroups) -> Floats:
        """Return the influence values of some rows, shape (n,), 1/n folded in."""
        psi, chance = np.zeros(len(rows.y)), self.models.chance(rows)
        for mean, centre, total in zip(self.models.means(rows, chance), self.centres, self.totals, strict=True):
            psi += mean.sign / total * mean.weight * (mean.value - centre)
        for side, line in self.models.lines.items():
            left = rows.w * rows.here(side) * (rows.y - rows.x @ line.slopes)
            psi += left * (rows.x @ self.by_line[side])
        if self.by_score is not None and chance is not None:
            psi += rows.w * (rows.treated - chance) * (rows.x @ self.by_score)
        return psi


def _propensity(rows: FourGroups) -> Logit:
    x, w, d = rows.x, rows.w, rows.treated
    return fit_logit([(x[d].T, w[d], True), (x[~d].T, w[~d], False)], np.zeros(x.shape[1]))


def _differences(rows: FourGroups, weights: Floats, value: Floats) -> list[_Mean]:
    """Return the four means of a difference in differences."""
    return [
        _Mean(
            1.0 if side == post else -1.0,
            weights * rows.here((side, post)),
            value,
            {},
            odds=not side,
        )
        for side in (False, True)
        for post in (False, True)
    ]


def _regression(rows: FourGroups, expected: Mapping[Side, Floats]) -> list[_Mean]:
    """Return the change of the treated, and what is expected of it by the regressions of the controls."""
    change = expected[False, True] - expected[False, False]
    own = _differences(rows, rows.w, rows.y)[2:]
    return [*own, _Mean(-1.0, rows.w * rows.treated, change, {(False, True): 1.0, (False, False): -1.0})]


def _doubly_robust(rows: FourGroups, weights: Floats, expected: Mapping[Side, Floats]) -> list[_Mean]:
    """Return the means of the locally efficient estimator."""
    of_control = np.where(rows.post, expected[False, True], expected[False, False])
    found = [
        replace(mean, slopes={(False, post): -1.0})
        for mean, post in zip(_differences(rows, weights, rows.y - of_control), (False, True, False, True), strict=True)
    ]
    every = rows.w * rows.treated
    for post, sign in ((True, 1.0), (False, -1.0)):
        gap = expected[True, post] - expected[False, post]
        slopes = {(True, post): 1.0, (False, post): -1.0}
        found.append(_Mean(sign, every, gap, slopes))
        found.append(_Mean(-sign, every * (rows.post == post), gap, slopes))
    return found


def _combined(rows: FourGroups, models: _Models, means: Sequence[_Mean], trimmed: int) -> Solved:
    """Add the means; what errors of the regressions and of the propensity model do follows by the chain rule."""
    totals = np.array([mean.weight.sum() for mean in means])
    if not (totals > 0).all():
        raise NotEstimable("the rows of one of its groups have no weight")
    centres = np.array([mean.weight @ mean.value for mean in means]) / totals
    of_slopes = {side: np.zeros(rows.x.shape[1]) for side in models.lines}
    of_score = np.zeros(rows.x.shape[1])
    for mean, centre, total in zip(means, centres, totals, strict=True):
        for side, sign in mean.slopes.items():
            of_slopes[side] += mean.sign * sign * (mean.weight @ rows.x) / total
        if mean.odds:
            of_score += mean.sign / total * (mean.weight * (mean.value - centre)) @ rows.x
    by_line = {side: line.inverse @ of_slopes[side] for side, line in models.lines.items()}
    value = float(sum(mean.sign * centre for mean, centre in zip(means, centres, strict=True)))
    by_score = None if models.logit is None else models.logit.covariance @ of_score
    return Solved(value, trimmed, models, centres, totals, by_line, by_score)
