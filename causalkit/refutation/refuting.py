"""``ck.refute``: try to refute a result, and say what each attempt could have seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from causalkit.core.difference import Difference
from causalkit.core.result import Result
from causalkit.core.result_map import ResultMap
from causalkit.core.sample import Sample
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.refutation import (
    before_start,
    negative_control,
    other_cutoffs,
    placebo_outcome,
    placebo_treatment,
    planted_confounder,
    random_cause,
    resampled,
    subsets,
)
from causalkit.refutation.challenge import Challenge
from causalkit.refutation.report import Refutation, Refutations
from causalkit.refutation.trial import Trial, simulations

CHALLENGES: Mapping[str, Challenge] = {
    challenge.name: challenge
    for challenge in (
        placebo_treatment.CHALLENGE,
        placebo_outcome.CHALLENGE,
        before_start.CHALLENGE,
        other_cutoffs.CHALLENGE,
        random_cause.CHALLENGE,
        subsets.CHALLENGE,
        resampled.CHALLENGE,
        planted_confounder.CHALLENGE,
        negative_control.OUTCOMES,
        negative_control.TREATMENTS,
    )
}


def refute(
    result: Result | ResultMap,
    tests: Sequence[str] | str | None = None,
    n_sim: int | None = None,
    data: Any = None,
    negative_outcomes: Sequence[str] | str = (),
    negative_treatments: Sequence[str] | str = (),
    random_state: int = 0,
) -> Refutation | Refutations:
    """Try to refute a result: run its analysis where the answer is known, or must not change.

    Every test says which violation it can see and which it can't, its p-value, and its power: the probability that it
    would have noticed a violation of a stated size with as many draws as were made. Passing them never proves that there
    is no unmeasured common cause; only a negative control can see one. How strong one must be to matter is what
    :func:`causalkit.sensitivity` says.

    Parameters
    ----------
    result : Result or ResultMap
        With a headline. A map is refuted result by result.
    tests : str or list of str, optional
        ``"placebo_treatment"``, ``"placebo_outcome"``, ``"placebo_in_time"``, ``"placebo_cutoffs"``,
        ``"random_common_cause"``, ``"data_subsets"``, ``"bootstrap"``, ``"simulated_confounder"``, ``"negative_outcome"``,
        ``"negative_treatment"``; by default all that the analysis has a use for.
    n_sim : int, optional
        Altered tables for each test that draws. By default as many as the measured time of a fit allows in about half a
        minute, between 40 and 400; the summary prints the number.
    data : table, optional
        The table of the fit: needed for a result without its rows (from a pickle, from a lazy table) and for negative
        controls.
    negative_outcomes : str or list of str
        Columns of ``data`` that the treatment can't change.
    negative_treatments : str or list of str
        Columns of ``data`` that can't change the outcome.
    random_state : int
        Seed; each test has its own stream.

    Returns
    -------
    Refutation
        ``checks``, ``to_frame()``, ``summary()``, ``failed``.

    Raises
    ------
    DesignError
        If a test does not exist, or a negative control is not a column.
    InferenceUnavailable
        If a test that was asked for has no meaning for the analysis, or the result has no headline or no rows.

    Notes
    -----
    Tests of calibration (placebo treatment and outcome, subsets) reject where the bias exceeds a quarter of a standard
    error or standard errors are more than a tenth too small: smaller violations change a 95 % interval by little.

    Examples
    --------
    >>> import causalkit as ck
    >>> data = ck.datasets.coupon_campaign(random_state=1)
    >>> result = ck.OLS().fit(data, outcome="purchase", treatment="arm", control="no_coupon")
    >>> ck.refute(result, n_sim=50).failed
    ()
    """
    given = (tests, n_sim, data, _listed(negative_outcomes), _listed(negative_treatments), random_state)
    if isinstance(result, ResultMap):
        return Refutations({name: _refuted(part, *given) for name, part in result.items()})
    return _refuted(result, *given)


def _refuted(
    result: Result,
    tests: Sequence[str] | str | None,
    n_sim: int | None,
    data: Any,
    negative_outcomes: tuple[str, ...],
    negative_treatments: tuple[str, ...],
    random_state: int,
) -> Refutation:
    """Refute one result."""
    chosen = _chosen(tests)
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer) or random_state < 0:
        raise DesignError(f"random_state={random_state!r} is no seed.", hint="Use a whole number from 0.")
    sample = rows_of(result, data)
    kept = replace(result, sample=sample)
    seconds = 0.0
    if n_sim is None:
        n_sim, seconds = simulations(kept, sample, sum(CHALLENGES[name].draws for name in chosen))
    elif isinstance(n_sim, bool) or not isinstance(n_sim, int | np.integer) or n_sim < 20:
        raise DesignError(f"n_sim={n_sim!r} is too few draws to say anything.", hint="Use a whole number from 20.")
    trial = Trial(kept, sample, int(n_sim), int(random_state), data, negative_outcomes, negative_treatments)
    found, skipped = {}, {}
    for name in chosen:
        try:
            found[name] = (CHALLENGES[name], CHALLENGES[name].run(trial))
        except InferenceUnavailable as error:
            if tests is not None:
                raise
            skipped[name] = str(error)
    return Refutation(kept, found, skipped, int(n_sim), seconds)


def _chosen(tests: Sequence[str] | str | None) -> tuple[str, ...]:
    if tests is None:
        return tuple(CHALLENGES)
    chosen = _listed(tests)
    if not chosen:
        raise DesignError("tests= names none.", hint=f"Tests: {', '.join(CHALLENGES)}.")
    for name in chosen:
        if name not in CHALLENGES:
            close = get_close_matches(str(name), CHALLENGES, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Tests: {', '.join(CHALLENGES)}."
            raise DesignError(f"there is no test {name!r}.", hint=hint)
    return chosen


def rows_of(result: Result, data: Any) -> Sample:
    """Return the rows of the result, or bind those that were passed."""
    if not isinstance(result, Result):
        raise DesignError(
            f"a {type(result).__name__} is not a result.",
            hint="Pass one of its results, result[name]."
            if isinstance(result, ResultMap)
            else "Pass what fit returned.",
        )
    if isinstance(result, Difference):
        raise InferenceUnavailable(
            "a difference rests on two analyses, with rows and assumptions of their own.",
            hint="Ask about each of them: result.parts.",
        )
    _ = result.estimate  # raises, listing the terms, where nothing is the headline
    if result.sample is not None:
        return result.sample
    if data is None:
        raise InferenceUnavailable("this result does not hold its rows.", hint="Pass the table of the fit: data=table.")
    if isinstance(data, Sample):
        return data
    return result.estimator.bind(data, **result.roles)


def _listed(names: Sequence[str] | str) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
