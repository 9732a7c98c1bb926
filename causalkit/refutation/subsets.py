"""Data subsets: the same analysis on random halves of the rows, units or clusters."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from causalkit.core.check import Check
from causalkit.core.sample import Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Ints
from causalkit.refutation.calibrated import PLANTED_BIAS, centred, power_of_bias
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.trial import Trial

NAME = "data_subsets"
#: Shift, in standard errors, that is let pass: many good learners are off by as much on half of few rows.
TOLERATED_SHIFT = 0.5


def run(trial: Trial) -> Finding:
    """Refit on random halves: their mean is the estimate, unless the answer changes with the number of rows.

    Given the data, an estimate that is nearly an average over rows has on random halves a mean equal to that on all.
    """
    blocks = independent_blocks(trial.sample)
    found = trial.refits(lambda rng: _halves(trial.sample, blocks, rng), NAME, rows_only=True)
    shift, statistic, pvalue = centred(
        found.estimates - trial.result.estimate, np.full(len(found), trial.se), TOLERATED_SHIFT
    )
    bad = pvalue < 0.05
    check = Check(
        NAME,
        "fail" if bad else "pass",
        f"Estimates on random halves lie {shift:+.2f} standard errors from that on all rows on average "
        f"({len(found)} draws).",
        statistic,
        pvalue,
        "The answer changes with the number of rows: a learner that needs more data, shrinkage, or too many covariates."
        if bad
        else "",
    )
    power = power_of_bias(len(found), TOLERATED_SHIFT, 0.05)
    return Finding(check, power, f"an estimate that moves by {PLANTED_BIAS:g} standard error when half of the rows go")


def independent_blocks(sample: Sample) -> Ints:
    """Return the number of the cluster, else of the unit, else of the row, of each row; all rows of one go together.

    Raises
    ------
    InferenceUnavailable
        If there is one only, or all rows share the same shocks.
    """
    if sample.has("shares"):
        raise InferenceUnavailable("the shocks were drawn, not the rows: all rows share them.")
    for role in ("cluster", "unit"):
        groups = sample.groups(role)
        if groups is not None:
            blocks = np.unique(groups.codes, return_inverse=True)[1]
            if blocks.max() == 0:
                raise InferenceUnavailable(f"all rows belong to one {role}, so none can be left out.")
            return blocks
    return np.arange(sample.n)


def _halves(sample: Sample, blocks: Ints, rng: np.random.Generator) -> Iterator[Sample]:
    n = int(blocks.max()) + 1
    while True:
        chosen = np.zeros(n, dtype=bool)
        chosen[rng.permutation(n)[: n - n // 2]] = True
        yield sample.take(np.flatnonzero(chosen[blocks]))


CHALLENGE = Challenge(
    NAME,
    "An answer that changes with the number of rows: learners that need more data, shrinkage, too many covariates.",
    "A common cause that was not measured: every half has it too.",
    run,
)
