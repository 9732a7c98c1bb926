"""One result for every difference-in-differences estimator: effects by cohort and time, and their aggregates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats, Ints

Aggregation = Literal["simple", "event_time", "cohort", "calendar"]
AGGREGATIONS: dict[str, str] = {
    "simple": "average effect on the treated, over all treated cohorts and periods",
    "event_time": "average effect after the start, each event time weighted alike",
    "cohort": "average effect on the treated, by cohort and then over cohorts",
    "calendar": "average effect on the treated, by period and then over periods",
}
BasePeriod = Literal["varying", "universal"]


@dataclass(frozen=True, eq=False)
class Cells:
    """What each effect of an event study belongs to.

    Parameters
    ----------
    cohort, time : tuple of labels
        The cohort and the period of each effect.
    event_time : Floats, shape (k,)
        Time since the cohort's start (negative before it), in the units of time where it is a number.
    post : Bools, shape (k,)
        Whether the effect is one of treatment: the period is not before the start.
    share_of : Ints, shape (k,)
        Position of the cell's weight among the shares.
    n_treated, n_control : Ints, shape (k,)
        Units behind each cell.
    """

    cohort: tuple[Any, ...]
    time: tuple[Any, ...]
    event_time: Floats
    post: Bools
    share_of: Ints
    n_treated: Ints
    n_control: Ints

    def __len__(self) -> int:
        return len(self.cohort)

    @property
    def terms(self) -> tuple[str, ...]:
        """A name for each cell."""
        return tuple(f"{cohort} in {time}" for cohort, time in zip(self.cohort, self.time, strict=True))

    def columns(self) -> dict[str, list[Any]]:
        """Columns that stand before the numbers in the table of effects."""
        return {
            "cohort": list(self.cohort),
            "time": list(self.time),
            "event_time": [_whole(e) for e in self.event_time],
            "n_treated": self.n_treated.tolist(),
            "n_control": self.n_control.tolist(),
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EventStudyResult(Result):
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

    plots = ("event_study", "effects")

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
        rows = [self._average(at, kind == "cohort") for _, at, _ in groups]
        values, jacobian = np.array([value for value, _ in rows]), np.stack([row for _, row in rows])
        post = np.array([is_post for _, _, is_post in groups])
        value, over = self._overall(kind, groups, values, jacobian, post)
        columns = {
            "n_treated": [int(self._largest(at, self.cells.n_treated, kind)) for _, at, _ in groups],
        }
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

    def pre_trends(self) -> Test:
        """Test that all effects before the start are zero (Wald).

        Raises
        ------
        InferenceUnavailable
            If there are none, or their covariance is singular.
        """
        effects, terms = self._tested()
        return effects.joint_test(terms)

    def _tested(self) -> tuple[Effects, list[str]]:
        """Return what the test of parallel trends takes for zero: some terms of some effects."""
        return self.effects, _before_start(self.effects, self.cells.post)

    def with_vcov(self, vcov: str, cluster: Any = None) -> EventStudyResult:
        """Return the same estimates with another variance; see :meth:`Result.with_vcov`."""
        whole = replace(self, effects=Effects(tuple(map(str, range(self.joint.size))), self.joint))
        changed: EventStudyResult = Result.with_vcov(whole, vcov, cluster)
        joint = changed.effects.numbers
        effects = replace(self.effects, numbers=joint.linear(np.eye(joint.size)[: len(self.cells)]))
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
        everywhere = np.arange(len(cells))
        if kind == "simple":
            return [(OVERALL, everywhere[cells.post], True)]
        if kind == "cohort":
            names = list(dict.fromkeys(cells.cohort))
            found = [(f"cohort {name}", everywhere[_is(cells.cohort, name) & cells.post], True) for name in names]
            return [group for group in found if len(group[1])]
        if kind == "calendar":
            names = sorted(set(cells.time))
            found = [(f"time {name}", everywhere[_is(cells.time, name) & cells.post], True) for name in names]
            return [group for group in found if len(group[1])]
        keep = np.ones(len(cells), dtype=bool)
        if balance is not None:
            reach = {name: cells.event_time[_is(cells.cohort, name)].max() for name in set(cells.cohort)}
            keep &= np.array([reach[name] >= balance for name in cells.cohort]) & (cells.event_time <= balance)
        keep &= cells.event_time >= (-np.inf if first is None else first)
        keep &= cells.event_time <= (np.inf if last is None else last)
        return [
            (event_time_of(e), everywhere[keep & (cells.event_time == e)], bool(e >= 0))
            for e in np.unique(cells.event_time[keep])
        ]

    def _average(self, at: Ints, plain: bool) -> tuple[float, Floats]:
        """Return the weighted mean of cells and its derivative in effects and shares."""
        theta, gradient = self.joint.theta[: len(self.cells)], np.zeros(self.joint.size)
        weights = np.ones(len(at)) if plain else self.shares[self.cells.share_of[at]]
        total = weights.sum()
        value = float(weights @ theta[at] / total)
        gradient[at] = weights / total
        if not plain and self._estimated_shares:
            np.add.at(gradient, len(self.cells) + self.cells.share_of[at], (theta[at] - value) / total)
        return value, gradient

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
        return replace(self.joint.linear(jacobian), theta=values)

    def _largest(self, at: Ints, counts: Ints, kind: str) -> int:
        """Units behind an average: those of each cohort once."""
        per_cohort = {self.cells.cohort[j]: int(counts[j]) for j in at}
        return sum(per_cohort.values()) if kind != "cohort" else max(per_cohort.values())


def _before_start(effects: Effects, post: Bools) -> list[str]:
    """Return the terms of effects before the start; raise where there are none."""
    before = [term for term, is_post in zip(effects.terms, post, strict=True) if not is_post]
    if not before:
        raise InferenceUnavailable("there is no effect before the start to test.", hint="Use more early periods.")
    return before


#: The term of the headline of an aggregate.
OVERALL = "average effect"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AggregateResult(Result):
    """Averages of the effects of an event study.

    Parameters
    ----------
    kind : {"simple", "event_time", "cohort", "calendar"}
        How they were averaged.
    average : Effects
        The headline, a vector of one.
    post : Bools
        Which of ``effects`` are effects of treatment rather than of the time before it.
    base_period, reference
        As in the event study.
    """

    kind: Aggregation
    average: Effects
    post: Bools
    base_period: BasePeriod
    reference: float | None = None

    plots = ("event_study", "effects")

    @cached_property
    def headline_effect(self) -> Effects:
        """The average over all of ``effects`` that are effects of treatment."""
        return self.average

    @property
    def event_times(self) -> Floats:
        """Event time of each effect.

        Raises
        ------
        DesignError
            If the effects are not averages by event time.
        """
        if self.kind != "event_time":
            raise DesignError(f"aggregate({self.kind!r}) has no event times.", hint='Use aggregate("event_time").')
        return np.asarray(self.effects.columns["event_time"], dtype=float)

    def pre_trends(self) -> Test:
        """Test that all averages before the start are zero (Wald).

        Raises
        ------
        InferenceUnavailable
            If there are none.
        """
        effects, terms = self._tested()
        return effects.joint_test(terms)

    def _tested(self) -> tuple[Effects, list[str]]:
        """Return what the test of parallel trends takes for zero: some terms of some effects."""
        return self.effects, _before_start(self.effects, self.post)

    def with_vcov(self, vcov: str, cluster: Any = None) -> AggregateResult:
        """Return the same averages with another variance; see :meth:`Result.with_vcov`."""
        changed: AggregateResult = super().with_vcov(vcov, cluster)
        joint = replace(self, effects=self.average)
        return replace(changed, average=Result.with_vcov(joint, vcov, cluster).effects)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return estimates with pointwise intervals and, for the event study, a simultaneous band."""
        data = dict(super().plot_data(kind))
        if kind == "event_study":
            low, high = self.effects.ci(simultaneous=True)
            position = self.event_times if self.kind == "event_time" else np.arange(float(len(self.effects)))
            data |= {
                "band_low": low,
                "band_high": high,
                "position": position,
                "post": self.post,
                "reference": self.reference,
                "xlabel": "time since the start" if self.kind == "event_time" else self.kind,
            }
        return data


def _is(labels: tuple[Any, ...], name: Any) -> Bools:
    return np.array([label == name for label in labels], dtype=bool)


def _label(kind: str, cells: Cells, at: Ints) -> Any:
    if kind == "event_time":
        return _whole(cells.event_time[at[0]])
    return cells.cohort[at[0]] if kind == "cohort" else cells.time[at[0]]


def event_time_of(value: float) -> str:
    """Name the effect at one event time."""
    return f"event time {_whole(value)}"


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)
