"""Placebo in space: cutoffs where nothing changes."""

from __future__ import annotations

import numpy as np

from causalkit.core.check import Check
from causalkit.errors import InferenceUnavailable
from causalkit.refutation.calibrated import missed_share, power_of_share, power_of_shift, too_often
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.trial import Trial

NAME = "placebo_cutoffs"
_CUTOFFS = 20
_LEVEL = 0.05


def run(trial: Trial) -> Finding:
    """Estimate jumps at twenty cutoffs where nothing changes, each from the rows of one side only.

    Neighbouring cutoffs share rows, so the number of significant jumps varies more than that of independent tests; what is
    let pass is what standard errors too small by a third would give.
    """
    at_other_cutoffs = getattr(trial.result, "placebo_cutoffs", None)
    if at_other_cutoffs is None:
        raise InferenceUnavailable("the analysis has no cutoff.")
    found = at_other_cutoffs(_CUTOFFS)
    n = len(found)
    if n == 0:
        raise InferenceUnavailable("no false cutoff has enough rows around it.")
    count = int((found["pvalue"] < _LEVEL).sum())
    tolerated = missed_share(1.5)
    pvalue = too_often(count, n, tolerated)
    bad = pvalue < _LEVEL
    check = Check(
        NAME,
        "fail" if bad else "pass",
        f"{count} of {n} cutoffs where nothing changes have a jump with p below {_LEVEL}.",
        float(count),
        pvalue,
        "The outcome jumps or bends elsewhere too: the polynomial may not follow it. Try smaller bandwidths."
        if bad
        else "",
    )
    moved = abs(trial.result.estimate) / float(np.median(found["se"]))
    each = power_of_shift(moved)
    return Finding(
        check, power_of_share(n, tolerated, each, _LEVEL), "jumps as large as the estimate at every false cutoff"
    )


CHALLENGE = Challenge(
    NAME,
    "Curvature that the polynomial takes for a jump, and outcomes that jump everywhere.",
    "Whatever else changes at the cutoff itself; units that chose their side.",
    run,
    draws=False,
)
