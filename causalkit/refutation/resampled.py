"""Bootstrap: the same analysis on rows, units or clusters drawn with replacement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.sample import Sample
from causalkit.errors import InferenceUnavailable
from causalkit.kernels.arrays import Ints, read_only
from causalkit.refutation.calibrated import (
    CRITICAL,
    PLANTED_FACTOR,
    TOLERATED_FACTOR,
    missed_share,
    power_of_share,
    too_often,
)
from causalkit.refutation.challenge import Challenge, Finding
from causalkit.refutation.subsets import independent_blocks
from causalkit.refutation.trial import Trial

NAME = "bootstrap"


def run(trial: Trial) -> Finding:
    """Draw rows (units, clusters) with replacement: the estimates should spread as the standard error says."""
    result, sample = trial.result, trial.sample
    if "n_folds" in result.estimator.params():
        raise InferenceUnavailable("copies of a row would sit on both sides of a fold; data subsets look for the same.")
    blocks = independent_blocks(sample)
    found = trial.refits(lambda rng: _drawn(sample, blocks, rng), NAME, rows_only=True)
    center = float(np.median(found.estimates))
    ratio = np.abs(found.estimates - center) / trial.se
    far = int(np.sum(ratio > CRITICAL))
    tolerated = missed_share(TOLERATED_FACTOR)
    pvalue = too_often(far, len(found), tolerated)
    bad = pvalue < 0.05
    low, high = np.quantile(found.estimates, [0.025, 0.975])
    check = Check(
        NAME,
        "fail" if bad else "pass",
        f"Over {len(found)} bootstrap draws of {_told(sample, blocks)} 95% of the estimates lie in [{low:.4g}, {high:.4g}]; "
        f"{far / len(found):.1%} lie further from their middle than chance should take 5% by the standard error of the result.",
        float((high - low) / (2 * CRITICAL * trial.se)),
        pvalue,
        "The standard error is too small for these draws: use a robust one (vcov), name cluster=, or take the bootstrap's. "
        "With few clusters, or few in each group that is compared, the draws leave groups almost empty and spread too far."
        if bad
        else "",
    )
    power = power_of_share(len(found), tolerated, missed_share(PLANTED_FACTOR), 0.05)
    return Finding(check, power, "standard errors too small by a third")


def _told(sample: Sample, blocks: Ints) -> str:
    """Return how many of what is drawn."""
    what = next((role for role in ("cluster", "unit") if sample.groups(role) is not None), "row")
    return fmt.plural(int(blocks.max()) + 1, what)


def _drawn(sample: Sample, blocks: Ints, rng: np.random.Generator) -> Iterator[Sample]:
    order = np.argsort(blocks, kind="stable")
    size = np.bincount(blocks)
    start = np.r_[0, np.cumsum(size)[:-1]]
    while True:
        chosen = rng.integers(0, len(size), len(size))
        sizes = size[chosen]
        begins = np.r_[0, np.cumsum(sizes)[:-1]]
        within = np.arange(sizes.sum()) - np.repeat(begins, sizes)
        rows = order[np.repeat(start[chosen], sizes) + within]
        yield _renamed(sample.take(rows), np.repeat(np.arange(len(size)), sizes))


def _renamed(drawn: Sample, draw: Ints) -> Sample:
    """Give a unit or cluster that was drawn twice two names."""
    columns = dict(drawn.columns)
    for role in ("unit", "cluster"):
        groups = drawn.groups(role)
        if groups is None:
            continue
        pairs = draw * (int(groups.codes.max()) + 1) + groups.codes
        codes = np.unique(pairs, return_inverse=True)[1].astype(np.int32)
        columns[role] = replace(groups, codes=read_only(codes), labels=tuple(range(int(codes.max()) + 1)))
    return replace(drawn, columns=columns, rows=replace(drawn.rows, labels=None))


CHALLENGE = Challenge(
    NAME,
    "Standard errors that are too small: unequal variances, heavy tails, an estimate that is not nearly normal.",
    "A common cause that was not measured; dependence between rows that cluster= does not name.",
    run,
)
