"""Placebo treatment: the same analysis where the treatment was dealt out at random and can have no effect."""

from __future__ import annotations

from causalkit.core.check import Check
from causalkit.refutation.assigned import dealing
from causalkit.refutation.calibrated import PLANTED_BIAS, Calibration, calibration
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.trial import Trial

NAME = "placebo_treatment"
CONFOUNDING = "A common cause that was not measured: dealing the treatment out at random removes it."


def run(trial: Trial) -> Finding:
    """Deal the treatment out anew, refit everything, and see how often an effect is found.

    Everything is refitted: propensities, outcome models, first stages. The treatment keeps its instruments and known
    propensities. The tolerances and the power are those of :mod:`causalkit.refutation.calibrated`.
    """
    trial.require_zero_without_effect()
    deal = dealing(trial.result.estimator, trial.sample)
    found = trial.refits(deal.permuted, NAME)
    judged = calibration(found.estimates, found.se, found.pvalues)
    return verdict(
        NAME,
        judged,
        f"With {deal.said} the estimate is {judged.said}; the truth is zero.",
        "The analysis finds effects where there are none, or its standard errors are too small: few clusters, few "
        "treated, heavy tails or a leak. Use randomization inference or a wild bootstrap, and look for the leak.",
    )


def verdict(name: str, judged: Calibration, message: str, advice: str) -> Finding:
    """Return the finding of a test whose truth is zero.

    Parameters
    ----------
    name : str
        The check.
    judged : Calibration
        Estimates beside the truth.
    message, advice : str
        What was seen; what to do where it fails.
    """
    bad = judged.pvalue < 0.05
    check = Check(name, "fail" if bad else "pass", message, judged.statistic, judged.pvalue, advice if bad else "")
    if judged.power_spread < judged.power_bias:
        return Finding(check, judged.power_spread, "standard errors too small by a third")
    return Finding(check, judged.power_bias, f"a bias of {PLANTED_BIAS:g} standard error")


CHALLENGE = Challenge(
    NAME,
    "Effects and standard errors that the analysis makes up by itself: leaks, few clusters, few treated, heavy tails.",
    CONFOUNDING,
    run,
)
