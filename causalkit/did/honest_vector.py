"""The event-study vector that sensitivity analyses read: coefficients in the order of time, and their covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.result import Result
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.event_study import EventStudyResult
from causalkit.did.exact_fits import exact_fits
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Floats

#: Correlations with an eigenvalue below this are singular.
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class EventVector:
    """Coefficients of consecutive periods around a reference period whose coefficient is zero.

    Parameters
    ----------
    values : Floats, shape (n_pre + n_post,)
        Coefficients in the order of time, without that of the reference period.
    vcov : Floats
        Their covariance.
    n_pre : int
        How many of them stand before the reference period.
    event_times : Floats
        Event time of each.
    reference : float
        Event time of the reference period.
    checks : Checks
        The ledger of the result they come from.
    """

    values: Floats
    vcov: Floats
    n_pre: int
    event_times: Floats
    reference: float
    checks: Checks

    @property
    def n_post(self) -> int:
        """How many coefficients stand after the reference period."""
        return len(self.values) - self.n_pre

    @property
    def is_singular(self) -> bool:
        """Whether some weights of the coefficients have no error, but for rounding."""
        spread = np.sqrt(np.diag(self.vcov))
        return bool(np.linalg.eigvalsh(self.vcov / np.outer(spread, spread))[0] < _SINGULAR)

    @property
    def periods(self) -> Floats:
        """Periods since the reference period, negative before it."""
        return np.asarray(np.append(np.arange(-self.n_pre, 0), np.arange(1, self.n_post + 1)), dtype=float)

    @property
    def treated(self) -> Floats:
        """One for coefficients of event time zero and later, else zero; anticipation stands in between."""
        return np.asarray((self.event_times >= 0) & (np.arange(len(self.values)) >= self.n_pre), dtype=float)

    def weights_of(self, weights: Any) -> Floats:
        """Return one weight for each coefficient after the reference period."""
        after = self.treated[self.n_pre :]
        if isinstance(weights, str):
            if weights not in ("first", "average"):
                raise DesignError(
                    f"weights={weights!r} is not known.", hint='Use "first", "average" or one number per effect.'
                )
            first = np.zeros_like(after)
            first[int(np.argmax(after))] = 1.0
            return first if weights == "first" else after / after.sum()
        given = np.asarray(weights, dtype=float)
        if given.shape == (int(after.sum()),) and len(given) != self.n_post:
            given = np.concatenate([np.zeros(self.n_post - len(given)), given])
        if given.shape != (self.n_post,) or not np.isfinite(given).all() or not given.any():
            raise DesignError(
                f"weights has shape {given.shape}, but there are {self.n_post} effects after the reference period.",
                hint="Give one finite number for each, not all zero.",
            )
        return given


def event_vector(result: Any, vcov: Any = None, n_pre: int | None = None) -> EventVector:
    """Read the event-study vector from a result, or from arrays.

    Parameters
    ----------
    result : EventStudyResult, AggregateResult by event time, or array
        With an array of coefficients (in the order of time, without the reference period), ``vcov`` and ``n_pre`` too.
    vcov : (k, k) array, optional
        Their covariance.
    n_pre : int, optional
        How many of them stand before the reference period.

    Raises
    ------
    DesignError
        If the base period varies, or the event times leave gaps.
    DataError
        If the arrays are no vector with a covariance.
    """
    if not isinstance(result, Result):
        return _from_arrays(result, vcov, n_pre)
    if vcov is not None or n_pre is not None:
        raise DesignError("vcov= and n_pre= belong to coefficients given as an array; a result has its own.")
    if isinstance(result, EventStudyResult):
        _require_universal(result)
        result = result.aggregate("event_time")
    if not isinstance(result, AggregateResult) or result.kind != "event_time":
        raise DesignError(
            f"{result.title!r} has no effects by event time.",
            hint='Use an event study, its aggregate("event_time"), or TWFE(dynamic=True).',
        )
    _require_universal(result)
    return _from_aggregate(result)


def _require_universal(result: EventStudyResult | AggregateResult) -> None:
    after = result.cells.post if isinstance(result, EventStudyResult) else result.post
    if after.all():
        raise DesignError(
            f"{type(result.estimator).__name__} gives no effects before the start, by which violations are measured.",
            hint='Use CallawaySantAnna(base_period="universal"), SunAbraham or TwoStageDiD.',
        )
    if result.base_period == "universal" and result.reference is None:
        raise DesignError(
            "the last period before the start lies at another event time for some cohorts (periods are not evenly spaced), so "
            "that effects by event time have no common reference.",
            hint="Number the periods 1, 2, 3, ... in time= and cohort=, so that event time counts them.",
        )
    if result.base_period != "universal":
        raise DesignError(
            "effects before the start are measured from the period before each of them, so they are changes, while those "
            "after the start are differences from one base period; together they say nothing about a trend.",
            hint='Fit again with base_period="universal".',
        )


def _from_aggregate(result: AggregateResult) -> EventVector:
    reference = float(result.reference)  # type: ignore[arg-type]
    times = result.event_times
    order = np.array([j for j in np.argsort(times) if times[j] != reference])
    steps = np.diff(np.sort(np.append(times[order], reference)))
    if not np.allclose(steps, steps[0]):
        raise DesignError(
            f"event times {', '.join(f'{t:g}' for t in np.sort(times))} are not evenly spaced around the reference "
            f"{reference:g}, so the change from one to the next has no common unit.",
            hint='Choose a range without gaps: aggregate("event_time", first=..., last=...).',
        )
    exact = exact_fits(result.effects)
    if exact.any():
        raise DesignError(
            f"the effect at {result.effects.terms[int(np.argmax(exact))]} fits exactly, so that its standard error says nothing.",
            hint='Choose a range without it: aggregate("event_time", first=..., last=...).',
        )
    n_pre = int(np.sum(times[order] < reference))
    _require_both(n_pre, len(order) - n_pre)
    vcov = result.effects.vcov[np.ix_(order, order)]
    return EventVector(
        result.effects.values[order], valid_covariance(vcov), n_pre, times[order], reference, result.checks
    )


def _from_arrays(values: Sequence[float], vcov: Any, n_pre: int | None) -> EventVector:
    found = numbers_in(values, "the coefficients")
    if vcov is None or n_pre is None:
        raise DesignError("coefficients given as an array need vcov= and n_pre=.", hint="Or pass a result.")
    matrix = numbers_in(vcov, "vcov")
    if found.ndim != 1 or matrix.shape != (found.size, found.size):
        raise DataError(f"{found.shape} coefficients and a covariance of shape {matrix.shape} do not fit.")
    if not np.isfinite(found).all():
        raise DataError("the coefficients must be finite.", rows=np.flatnonzero(~np.isfinite(found)).tolist())
    if not isinstance(n_pre, int | np.integer) or isinstance(n_pre, bool):
        raise DesignError(f"n_pre={n_pre!r} is not a whole number.")
    _require_both(int(n_pre), found.size - int(n_pre))
    times = np.append(np.arange(-n_pre - 1, -1), np.arange(found.size - n_pre)).astype(float)
    return EventVector(found, valid_covariance(matrix), int(n_pre), times, -1.0, Checks({}))


def numbers_in(values: Any, what: str) -> Floats:
    """Return numbers as an array.

    Raises
    ------
    DataError
    """
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{what} must be numbers, or a result; {type(values).__name__} was given.") from None


def _require_both(n_pre: int, n_post: int) -> None:
    if n_pre < 1 or n_post < 1:
        raise DesignError(
            f"there are {max(n_pre, 0)} coefficients before and {max(n_post, 0)} after the reference period; at least one "
            "of each is needed.",
            hint="Use more early periods.",
        )


def valid_covariance(vcov: Floats) -> Floats:
    """Return a covariance, made symmetric.

    Raises
    ------
    DataError
        If it is none: not finite, not symmetric, negative in some direction, or zero for a coefficient.
    """
    if not np.isfinite(vcov).all() or not np.allclose(vcov, vcov.T, rtol=1e-6, atol=1e-9 * np.abs(vcov).max()):
        raise DataError("the covariance must be finite and symmetric.")
    matrix: Floats = (vcov + vcov.T) / 2.0
    spread = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    if not (spread > 0).all():
        raise DataError("a coefficient has no variance.", rows=np.flatnonzero(spread <= 0).tolist())
    least = float(np.linalg.eigvalsh(matrix / np.outer(spread, spread))[0])
    if least < -1e-8:
        raise DataError(
            f"the covariance is not positive semidefinite (smallest eigenvalue {least:.3g} in correlations).",
            hint="Round it less, or compute it from more clusters.",
        )
    return matrix
