"""Confounders as strong as covariates, and the estimate with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.core.result import Result
from causalkit.core.sample import Sample
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.refutation import long_form
from causalkit.refutation.long_form import LongForm
from causalkit.refutation.omitted_variable import OmittedVariable, Regression, bound
from causalkit.refutation.strength import Strength, after, strength_of

Benchmarks = Sequence[str | Sequence[str]] | str | None


@dataclass(frozen=True)
class Benchmark:
    """A confounder as strong as a covariate.

    Parameters
    ----------
    name : str
        The covariates, and how many times as strong.
    with_treatment, with_outcome : float
        The shares it explains of what the covariates leave of treatment and outcome (of a doubly robust estimate: the gains
        in the Riesz representer and the outcome).
    estimate, low, high : float
        The estimate with it, if it takes the estimate towards zero, and the interval.
    """

    name: str
    with_treatment: float
    with_outcome: float
    estimate: float
    low: float
    high: float


def compared(
    strength: Strength | None, result: Result, benchmarks: Benchmarks, times: Sequence[float], alpha: float
) -> tuple[tuple[Benchmark, ...], tuple[str, ...]]:
    """Return a confounder as strong as each covariate, and the covariates so strong that none can be.

    The arguments are those of ``ck.sensitivity``; the result has its rows.

    Raises
    ------
    DesignError
        If a benchmark that was named is no covariate, or no confounder can be so strong.
    """
    assert result.sample is not None
    sample = result.sample
    if strength is None:
        if benchmarks is not None:
            raise DesignError(
                f"{type(result.estimator).__name__} has no covariates to compare with.", hint="Leave benchmarks= out."
            )
        return (), ()
    groups = _chosen(benchmarks, sample)
    if isinstance(strength, LongForm):
        # It takes a fit each, so only where they were named.
        return () if benchmarks is None else tuple(_long(strength, result, sample, groups, alpha)), ()
    regression = Regression(sample)
    rows: list[Benchmark] = []
    unmatched: list[str] = []
    for group in groups:
        try:
            rows += _linear(strength, regression, group, times, alpha)
        except DesignError:
            if benchmarks is not None:
                raise
            unmatched.append(" + ".join(group))
    return tuple(rows), tuple(unmatched)


def require_times(times: Sequence[float]) -> None:
    """Refuse what is no list of positive numbers."""
    listed = list(times) if isinstance(times, Sequence | np.ndarray) and not isinstance(times, str) else [None]
    if not listed or not all(isinstance(k, int | float) and 0 < k < np.inf for k in listed):
        raise DesignError(f"times={times!r} is no list of positive numbers.", hint="Use times=[1, 2, 3].")


def _linear(
    strength: OmittedVariable, regression: Regression, group: tuple[str, ...], times: Sequence[float], alpha: float
) -> list[Benchmark]:
    """Return a confounder so many times as strong; the smallest of ``times`` must be possible, larger ones need not."""
    shares = regression.strength(regression.columns_of(group))
    found: list[Benchmark] = []
    for k in sorted(times):
        try:
            told = bound(shares, k)
        except DesignError:
            if not found:
                raise
            break
        new = strength.adjusted(*told)
        found.append(Benchmark(f"{k:g}x {' + '.join(group)}", *told, new.estimate, *new.ci(alpha)))
    return found


def _long(
    strength: LongForm, result: Result, sample: Sample, names: list[tuple[str, ...]], alpha: float
) -> list[Benchmark]:
    """Leave covariates out, refit, and read off how strong they were."""
    found = []
    for group in names:
        short = strength_of(*_without(result, sample, group))
        if not isinstance(short, LongForm):
            raise InferenceUnavailable(f"without {' + '.join(group)} the analysis has nothing to compare with.")
        told = long_form.gain(strength, short)
        estimate, limits = after(strength, told.cf_d / (1 + told.cf_d), min(told.cf_y, 1.0), alpha)
        found.append(Benchmark(" + ".join(group), told.cf_d, told.cf_y, estimate, *limits))
    return found


def _without(result: Result, sample: Sample, group: tuple[str, ...]) -> tuple[Result, Sample]:
    features = sample.features()
    unknown = [name for name in group if name not in features.names]
    if unknown:
        raise DesignError(
            f"there is no covariate {unknown[0]!r} to compare with.", hint=f"Covariates: {', '.join(features.names)}."
        )
    keep = [j for j, name in enumerate(features.names) if name not in group]
    schema = replace(
        features.schema,
        names=tuple(features.names[j] for j in keep),
        levels=tuple(features.schema.levels[j] for j in keep),
    )
    less = replace(features, values=features.values[:, keep], schema=schema)
    altered = sample.with_column("covariates", less)
    return result.refit(altered), altered


def _chosen(benchmarks: Benchmarks, sample: Sample) -> list[tuple[str, ...]]:
    if benchmarks is None:
        return [(name,) for name in sample.features().names[:20]]
    listed = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    groups = [(group,) if isinstance(group, str) else tuple(group) for group in listed]
    if not all(groups):
        raise DesignError("a list within benchmarks= is empty.", hint="Name covariates.")
    return groups
