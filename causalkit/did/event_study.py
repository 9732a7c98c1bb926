"""One result for every difference-in-differences estimator: effects by cohort and time, and their aggregates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.did.aggregate_result import AGGREGATIONS, OVERALL, AggregateResult, Aggregation, BasePeriod, before_start
from causalkit.did.cells import Cells, event_time_of, whole
from causalkit.did.panel_result import TrendTested
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EventStudyResult(TrendTested):
    """Effects by cohort and time.

    Parameters
    ----------
    cells : Cells
        What each effect belongs to; in the order of ``effects``.
    shares : Floats
        Weights of the cohorts (or of the cells) in aggregates; they need not sum to one.
    joint : Estimate
        The effects, followed by the shares where these are estimated and add to the error of an aggregate.
    base_period : {"varying", "universal"}
        What effects before the start are measured from: the period before (``"varying"``), or one period for all.
    reference : float or None
        The event time that a universal base period stands at.
    overall : {"simple", "event_time", "cohort", "calendar"}
        The aggregate that is the headline.
    """

    cells: Cells
    shares: Floats
    joint: Estimate
    base_period: BasePeriod
    reference: float | None = None
    overall: Aggregation = "simple"

    def aggregate(
        self,
        kind: Aggregation = "simple",
        *,
        balance: float | None = None,
        first: float | None = None,
        last: float | None = None,
    ) -> AggregateResult:
        """Average the effects.

        Parameters
        ----------
        kind : {"simple", "event_time", "cohort", "calendar"}
            ``"simple"``: all treated cells, weighted by cohort size. ``"event_time"``: by time since the start; the
            headline is the plain mean from the start on. ``"cohort"``: the mean of each cohort; the headline weights
            cohorts by size. ``"calendar"``: by period; the headline is the plain mean.
        balance : float, optional
            For ``"event_time"``: use only cohorts observed up to this event time, and no later event time, so that the
            make-up of the average does not change.
        first, last : float, optional
            For ``"event_time"``: event times outside are left out, of the headline too.

        Returns
        -------
        AggregateResult

        References
        ----------
        Callaway and Sant'Anna (2021), "Difference-in-Differences with multiple time periods", section 3.
        """
        if kind not in AGGREGATIONS:
            raise DesignError(f"kind={kind!r} is no aggregation.", hint=f"Use one of {', '.join(AGGREGATIONS)}.")
        if kind != "event_time" and any(value is not None for value in (balance, first, last)):
            raise DesignError("balance=, first= and last= belong to aggregate('event_time').")
        groups = self._groups(kind, balance, first, last)
        if not groups or not any(post for _, _, post in groups):
            raise DesignError("no treated cell is left to average.", hint="Widen first=, last= or balance=.")
        values, jacobian = self._averages([at for _, at, _ in groups], kind == "cohort")
        post = np.array([is_post for _, _, is_post in groups])
        value, over = self._overall(kind, groups, values, jacobian, post)
        counts = self.cells.n_treated.tolist()
        columns = {"n_treated": [self._largest(at, counts, kind) for _, at, _ in groups]}
        named = tuple(name for name, _, _ in groups)
        label = "event_time" if kind == "event_time" else "cohort" if kind == "cohort" else "time"
        if kind != "simple":
            columns = {label: [_label(kind, self.cells, at) for _, at, _ in groups], **columns}
        effects = Effects(named, self._delta(values, jacobian), columns)
        headline = Effects((OVERALL,), self._delta(np.array([value]), over[None, :]))
        options = (("balance", balance), ("first", first), ("last", last))
        return AggregateResult(
            estimator=self.estimator,
            effects=effects,
            headline=OVERALL,
            estimand=AGGREGATIONS[kind],
            checks=self.checks,
            sample=self.sample,
            n=self.n,
            dropped=self.dropped,
            roles=self.roles,
            steps=(*self.steps, ("aggregate", (kind,), tuple(pair for pair in options if pair[1] is not None))),
            kind=kind,
            average=headline,
            post=post,
            base_period=self.base_period,
            reference=self.reference,
        )

    @cached_property
    def headline_effect(self) -> Effects:
        """The headline: one of the aggregates."""
        return self.aggregate(self.overall).headline_effect

    def _tested(self) -> tuple[Effects, list[str]]:
        """Return what the test of parallel trends takes for zero: some terms of some effects."""
        return self.effects, before_start(self.effects, self.cells.post)

    def with_vcov(self, vcov: str, cluster: Any = None) -> EventStudyResult:
        """Return the same estimates with another variance; see :meth:`Result.with_vcov`."""
        whole = replace(self, effects=Effects(tuple(map(str, range(self.joint.size))), self.joint))
        changed: EventStudyResult = Result.with_vcov(whole, vcov, cluster)
        joint = changed.effects.numbers
        effects = replace(self.effects, numbers=joint.first(len(self.cells)))
        return replace(changed, effects=effects, joint=joint)

    def passages(self) -> tuple[Passage, ...]:
        """Return the headline as a finding, the event study as its certainty."""
        by_time = self.aggregate("event_time")
        found, certainty = super().passages()
        return (
            found,
            replace(certainty, table=by_time.to_table(), figure="event_study"),
            Passage("certainty", "Effects by cohort and time", (f"{len(self.cells)} cells.",), self.to_table()),
        )

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers of a plot: those of the aggregate by event time for the event study."""
        return self.aggregate("event_time").plot_data(kind) if kind == "event_study" else super().plot_data(kind)

    # How averages are made.

    def _groups(
        self, kind: str, balance: float | None, first: float | None, last: float | None
    ) -> list[tuple[str, Ints, bool]]:
        cells = self.cells
        if kind == "simple":
            return [(OVERALL, np.flatnonzero(cells.post), True)]
        if kind == "cohort":
            names = dict.fromkeys(cells.cohort)
            return [(f"cohort {name}", at, True) for name, at in _members(names, cells.cohort, cells.post)]
        if kind == "calendar":
            names = dict.fromkeys(sorted(set(cells.time)))
            return [(f"time {name}", at, True) for name, at in _members(names, cells.time, cells.post)]
        low, high = -np.inf if first is None else first, np.inf if last is None else last
        keep = (cells.event_time >= low) & (cells.event_time <= high)
        if balance is not None:
            reach: dict[Any, float] = {}
            for name, since in zip(cells.cohort, cells.event_time.tolist(), strict=True):
                reach[name] = max(since, reach.get(name, since))
            keep &= np.array([reach[name] >= balance for name in cells.cohort]) & (cells.event_time <= balance)
        kept = np.flatnonzero(keep)
        kept = kept[np.argsort(cells.event_time[kept], kind="stable")]
        times = cells.event_time[kept]
        edges = [0, *(np.flatnonzero(times[1:] != times[:-1]) + 1).tolist(), len(kept)]
        return [
            (event_time_of(times[start]), kept[start:stop], bool(times[start] >= 0))
            for start, stop in pairwise(edges)
            if stop > start
        ]

    def _averages(self, members: list[Ints], plain: bool) -> tuple[Floats, Floats]:
        """Return the weighted means of groups of cells and their derivatives in effects and shares."""
        at, group = np.concatenate(members), np.repeat(np.arange(len(members)), [len(some) for some in members])
        theta, place = self.joint.theta[at], self.cells.share_of[at]
        weights = np.ones(len(at)) if plain else self.shares[place]
        total = np.bincount(group, weights)
        values, gradient = np.bincount(group, weights * theta) / total, np.zeros((len(members), self.joint.size))
        gradient[group, at] = weights / total[group]
        if not plain and self._estimated_shares:
            np.add.at(gradient, (group, len(self.cells) + place), (theta - values[group]) / total[group])
        return values, gradient

    def _overall(
        self, kind: str, groups: list[tuple[str, Ints, bool]], values: Floats, jacobian: Floats, post: Bools
    ) -> tuple[float, Floats]:
        if kind == "simple":
            return float(values[0]), jacobian[0]
        if kind != "cohort":
            weights = post / post.sum()
            return float(weights @ values), weights @ jacobian
        place = np.array([self.cells.share_of[at[0]] for _, at, _ in groups])
        shares = self.shares[place]
        value = float(shares @ values / shares.sum())
        gradient = shares / shares.sum() @ jacobian
        if self._estimated_shares:
            np.add.at(gradient, len(self.cells) + place, (values - value) / shares.sum())
        return value, gradient

    @property
    def _estimated_shares(self) -> bool:
        return self.joint.size > len(self.cells)

    def _delta(self, values: Floats, jacobian: Floats) -> Estimate:
        """Return the estimate with these values and the error that the derivative implies."""
        center = None if self.joint.center is None else jacobian @ self.joint.center
        return Estimate(values, self.joint.carrier.linear(jacobian), center)

    def _largest(self, at: Ints, counts: list[int], kind: str) -> int:
        """Units behind an average: those of each cohort once."""
        per_cohort = {self.cells.cohort[j]: counts[j] for j in at.tolist()}
        return sum(per_cohort.values()) if kind != "cohort" else max(per_cohort.values())


def _members(names: Iterable[Any], labels: Sequence[Any], post: Bools) -> list[tuple[Any, Ints]]:
    """Return, for each name, where the effects of treatment stand that have it; without names that have none."""
    found: dict[Any, list[int]] = {name: [] for name in names}
    for j in np.flatnonzero(post).tolist():
        found[labels[j]].append(j)
    return [(name, np.array(at, dtype=np.int64)) for name, at in found.items() if at]


def _label(kind: str, cells: Cells, at: Ints) -> Any:
    if kind == "event_time":
        return whole(cells.event_time[at[0]])
    return cells.cohort[at[0]] if kind == "cohort" else cells.time[at[0]]
