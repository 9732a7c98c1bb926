"""Which units are newly treated in a period, and which are clean controls of them up to a horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.did.cohorts import Cohorts
from causalkit.kernels.arrays import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Units and periods that take part: newly treated, or clean controls.

    Parameters
    ----------
    unit, period : Ints, shape (n,)
        Positions.
    treated : Bools, shape (n,)
        Newly treated in the period; the others are controls.
    """

    unit: Ints
    period: Ints
    treated: Bools

    @classmethod
    def of(cls, treated: Bools, control: Bools) -> Comparisons:
        """Read them off two masks of shape (n_units, n_periods)."""
        unit, period = np.nonzero(treated | control)
        return cls(unit, period, treated[unit, period])

    def take(self, at: Bools | Ints) -> Comparisons:
        """Return some of them."""
        return Comparisons(self.unit[at], self.period[at], self.treated[at])

    def with_controls(self) -> tuple[Comparisons, Ints]:
        """Leave out newly treated units in periods without a control; return what is left, and where it stood."""
        controls = np.bincount(self.period[~self.treated], minlength=1 + int(self.period.max(initial=0)))
        kept = np.flatnonzero(controls[self.period] > 0)
        return self.take(kept), kept

    def equalizing(self, weights: Floats | None) -> Floats:
        """Return weights under which least squares with effects of periods weights each newly treated unit alike."""
        w = np.ones(len(self.unit)) if weights is None else weights
        size = int(self.period.max()) + 1
        total = np.bincount(self.period, w, minlength=size)
        control = np.bincount(self.period[~self.treated], w[~self.treated], minlength=size)
        return np.asarray(w * (total[self.period] / control[self.period]))


def absorbing(cohorts: Cohorts, horizon: int, never: bool) -> Comparisons:
    """Compare the cohort of each period with units that are not treated through the horizon (or never)."""
    period = np.arange(cohorts.n_periods)
    last = period + max(horizon, 0)
    start = cohorts.start[:, None]
    treated = (start == period) & (start < cohorts.n_periods)
    control = np.broadcast_to(start >= cohorts.n_periods, treated.shape) if never else start > last
    # A unit that is treated after the last period is a control in every period.
    control = control & ~treated
    return Comparisons.of(*_within(cohorts, treated, control, horizon))


def reversible(cohorts: Cohorts, horizon: int, settled: int) -> Comparisons:
    """Compare the newly treated who stay so with units that saw no change, from ``settled`` periods before.

    A lead looks back further where its outcome lies before that.
    """
    arms = cohorts.sample.arms.codes == 1
    on = cohorts.panel.wide(arms.astype(float))
    changed = np.zeros_like(on)
    changed[:, 1:] = np.abs(np.diff(on, axis=1))
    seen = np.cumsum(~np.isnan(on), axis=1) > 0
    changed = np.where(seen & np.isnan(changed), _first_or_gap(on), changed)
    switches = _windows(changed, settled, horizon)
    level = _back(np.where(np.isnan(on) & ~seen, 0.0, on), max(settled, -horizon))
    entered = np.zeros(on.shape, dtype=np.bool_)
    entered[:, 1:] = (on[:, 1:] == 1) & (on[:, :-1] == 0)
    treated = entered & (level == 0) & (switches[1] == 0)
    control = (changed == 0) & (switches[0] == 0) & (switches[1] == 0)
    return Comparisons.of(*_within(cohorts, treated, control, horizon))


def _first_or_gap(on: Floats) -> Floats:
    """No change where a unit is first seen; an unknown one where a gap lies before or at a period."""
    first = np.argmax(~np.isnan(on), axis=1)
    out = np.full(on.shape, np.nan)
    out[np.arange(len(on)), first] = 0.0
    return out


def _windows(changed: Floats, settled: int, horizon: int) -> tuple[Floats, Floats]:
    """Sum changes over the periods before each period, and over those after it through the horizon."""
    changed = np.where(np.isnan(changed), np.inf, changed)
    before, after = _back(changed, max(settled, -horizon)), np.zeros(changed.shape)
    for step in range(1, horizon + 1):
        after[:, : changed.shape[1] - step] += changed[:, step:]
    return before, after


def _back(values: Floats, count: int) -> Floats:
    """Sum over the ``count`` periods before each period; nothing lies before the first."""
    total = np.zeros(values.shape)
    for step in range(1, min(count, values.shape[1] - 1) + 1):
        total[:, step:] += values[:, :-step]
    return total


def _within(cohorts: Cohorts, treated: Bools, control: Bools, horizon: int) -> tuple[Bools, Bools]:
    """Keep periods that are observed, as is the period before and the one at the horizon."""
    there = ~np.isnan(cohorts.outcome)
    keep = np.zeros_like(there)
    first, last = max(1, -horizon), cohorts.n_periods - max(horizon, 0)
    at = np.arange(first, last)
    keep[:, at] = there[:, at] & there[:, at - 1] & there[:, at + horizon]
    return treated & keep, control & keep
