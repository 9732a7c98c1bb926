"""Results of estimators whose effects are by event time from the start, without cells by cohort and period."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.estimator import Estimator
from causalkit.core.sample import Sample
from causalkit.did.aggregate_result import AGGREGATIONS, OVERALL, AggregateResult
from causalkit.did.cells import event_time_of
from causalkit.did.cohorts import Cohorts
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.pre_trends import pre_trends_check
from causalkit.kernels.arrays import Bools, Codes, Ints
from causalkit.linear.least_squares import LeastSquares


def clusters_at(cohorts: Cohorts, units: Ints | Codes) -> list[Codes]:
    """Return the clusters of some units (which may repeat), way by way; the units themselves where none were named."""
    ways: list[Ints | Codes] = [way.codes[units] for way in cohorts.clusters] or [units]
    return [np.unique(way, return_inverse=True)[1].astype(np.int32) for way in ways]


def small_sample(fit: LeastSquares) -> float:
    """Return the whole CR1 factor of a fit; with several ways of clustering, that of the way with fewest clusters."""
    count = min(fit.vcov.n_clusters)
    return fit.vcov.scale * (count / (count - 1) if len(fit.vcov.n_clusters) > 1 else 1.0)


def by_event_time(
    estimator: Estimator[Any],
    sample: Sample,
    cohorts: Cohorts,
    used: Bools,
    numbers: Estimate,
    times: Sequence[int],
    n_treated: Sequence[int],
    checks: Mapping[str, Check | Callable[[], Check]],
    anticipation: int = 0,
) -> AggregateResult:
    """Return effects by event time, counted in periods; the headline is their plain mean from the start on.

    Units that are not ``used`` count as left out; the result keeps their rows, so that a refit finds the same.
    """
    told = cohorts.only(used)
    names, post = [event_time_of(float(e)) for e in times], np.array([e >= 0 for e in times])
    columns = {"event_time": list(times), "n_treated": list(n_treated)}
    result = AggregateResult(
        estimator=estimator,
        effects=Effects(tuple(names), numbers, columns),
        headline=OVERALL,
        estimand=AGGREGATIONS["event_time"],
        checks=Checks({}),
        sample=cohorts.sample,
        n=told.sample.n,
        dropped=told.dropped,
        roles=sample.given,
        kind="event_time",
        average=Effects((OVERALL,), numbers.linear(post / post.sum())),
        post=post,
        base_period="universal",
        reference=-1.0 - anticipation,
    )
    own = {"exact_fits": lambda: exact_fits_check(result), "pre_trends": lambda: pre_trends_check(result)}
    return replace(result, checks=Checks({**told.checks(), **checks, **own}))
