"""Averages of effects by cohort and time, or what an estimator gives by event time at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.result import Result
from causalkit.did.exact_fits import terms_with_spread
from causalkit.did.panel_result import TrendTested
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.kernels.arrays import Bools, Floats

Aggregation = Literal["simple", "event_time", "cohort", "calendar"]
AGGREGATIONS: dict[str, str] = {
    "simple": "average effect on the treated, over all treated cohorts and periods",
    "event_time": "average effect after the start, each event time weighted alike",
    "cohort": "average effect on the treated, by cohort and then over cohorts",
    "calendar": "average effect on the treated, by period and then over periods",
}
BasePeriod = Literal["varying", "universal"]


def before_start(effects: Effects, post: Bools) -> list[str]:
    """Return the terms of effects before the start; raise where there are none."""
    if post.all():
        raise InferenceUnavailable("there is no effect before the start to test.", hint="Use more early periods.")
    return terms_with_spread(effects, ~np.asarray(post))


#: The term of the headline of an aggregate.
OVERALL = "average effect"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AggregateResult(TrendTested):
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

    def aggregate(self, kind: Aggregation = "event_time") -> AggregateResult:
        """Return these averages, if they are of this kind.

        Parameters
        ----------
        kind : {"simple", "event_time", "cohort", "calendar"}
            As for an event study, from whose effects by cohort and time there are others to choose.

        Raises
        ------
        InferenceUnavailable
            For averages that can't be made of these.
        """
        if kind not in AGGREGATIONS:
            raise DesignError(f"aggregate({kind!r}) is unknown.", hint=f"Choose one of {', '.join(AGGREGATIONS)}.")
        if kind != self.kind:
            name = type(self.estimator).__name__
            raise InferenceUnavailable(
                f"these are averages by {self.kind.replace('_', ' ')}; others need effects by cohort and time.",
                hint=f"Aggregate the whole event study of {name}, or fit an estimator that has one, such as "
                "CallawaySantAnna or ImputationDiD.",
            )
        return self

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

    def _tested(self) -> tuple[Effects, list[str]]:
        """Return what the test of parallel trends takes for zero: some terms of some effects."""
        return self.effects, before_start(self.effects, self.post)

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
