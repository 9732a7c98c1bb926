"""Effects that fit exactly: what one unit shows against one has no spread, and a standard error of zero says nothing."""

from __future__ import annotations

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.effects import Effects
from causalkit.core.result import Result
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Bools

#: Standard errors below these shares of the largest one, and of the effect itself, are rounding.
_OF_LARGEST, _OF_EFFECT = 1e-9, 1e-10


def exact_fits(effects: Effects) -> Bools:
    """Mark the effects whose standard error is zero but for rounding, shape (k,)."""
    se = effects.se
    return np.asarray(se <= np.maximum(_OF_LARGEST * se.max(initial=0.0), _OF_EFFECT * np.abs(effects.values)))


def terms_with_spread(effects: Effects, among: Bools) -> list[str]:
    """Return the terms of some effects that do not fit exactly; raise where all do."""
    found = [effects.terms[j] for j in np.flatnonzero(among & ~exact_fits(effects))]
    if not found:
        raise InferenceUnavailable(
            "effects before the start fit exactly: one unit is compared with one.", hint="Use more units."
        )
    return found


def exact_fits_check(result: Result) -> Check:
    """Say which effects rest on units (or clusters) whose deviations cancel, so that nothing tells their error.

    That is so where each side of a comparison is one unit, and where outcomes have no noise.
    """
    exact = [term for term, is_exact in zip(result.effects.terms, exact_fits(result.effects), strict=True) if is_exact]
    average = bool(exact_fits(result.headline_effect)[0])
    if not exact and not average:
        return Check("exact_fits", "pass", "Every effect rests on units that vary, which tells its error.")
    told = []
    if exact:
        shown = f"{exact[0]!r}" if len(exact) == 1 else f"first {exact[0]!r}"
        told.append(f"{fmt.plural(len(exact), 'effect')} of {len(result.effects)} fit exactly ({shown}).")
    if average:
        told.append("So does the average effect.")
    return Check(
        "exact_fits",
        "warn",
        f"{' '.join(told)} Where one unit (or cluster) is compared with one, a standard error of zero, and what is made of "
        "it, says nothing.",
        statistic=float(len(exact)),
        advice="Read them without interval and p-value; tests of trends before the start leave them out.",
    )
