"""Randomization inference: the cohorts are dealt out anew among the units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.rows import Groups
from causalkit.core.sample import Arms, Number, Sample
from causalkit.core.table import Table
from causalkit.did.cohorts import Cohorts
from causalkit.errors import CausalKitError, DesignError, InferenceUnavailable
from causalkit.inference.randomization import RandomizationTest, randomization_test
from causalkit.kernels.arrays import Codes, read_only

_CLOSE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class RandomizationReport(Report):
    """A randomization test of the sharp null that the treatment changed no outcome.

    Parameters
    ----------
    test : RandomizationTest
        The statistic, its p-value, and how many assignments were looked at.
    dealt : str
        What was dealt out among whom.
    by_means : bool
        Whether the estimate of an assignment was computed from means by cohort, without a new fit.
    checks : Checks
        Empty: the test needs no assumption on errors, but that the assignment was random as described.
    """

    test: RandomizationTest
    dealt: str
    by_means: bool
    checks: Checks

    @property
    def pvalue(self) -> float:
        """The p-value of the sharp null."""
        return self.test.pvalue

    @property
    def title(self) -> str:
        """What this is."""
        return "Randomization inference over cohorts"

    @property
    def answer(self) -> str:
        """The p-value, and how it was had."""
        how = (
            f"all {self.test.n_draws:,} assignments" if self.test.exact else f"{self.test.n_draws:,} random assignments"
        )
        return (
            f"If the treatment had changed no outcome, an estimate as far from zero as {fmt.number(self.test.statistic)} "
            f"would come up with probability {fmt.pvalue(self.pvalue)} ({how}; {self.dealt})."
        )

    def to_table(self) -> Table:
        """Return the test as a row."""
        names = ("statistic", "pvalue", "assignments", "exact", "monte_carlo_error")
        found = self.test
        return Table.of(names, [(found.statistic, found.pvalue, found.n_draws, found.exact, found.monte_carlo_error)])

    def passages(self) -> tuple[Passage, ...]:
        """Return the test as part of the certainty."""
        return (Passage("certainty", self.title, (self.answer,), self.to_table()),)


def randomization_inference(
    result: Result,
    *,
    n_draws: int = 999,
    max_exact: int = 20_000,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
    random_state: int = 0,
) -> RandomizationReport:
    """Test that the treatment changed no outcome, by dealing out the cohorts anew among the units.

    The statistic is the headline estimate. Cohort sizes stay as they are. Where the cohort does not vary within the
    clusters of the fit, whole clusters are dealt. Assumption: each unit (or cluster) was as likely as any other to be in
    each cohort.

    Parameters
    ----------
    result : Result
        Of a difference-in-differences estimator on a balanced panel, with its rows.
    n_draws : int
        Random assignments, where there are too many to enumerate; the p-value is then ``(1 + k) / (1 + n_draws)``.
    max_exact : int
        All assignments are enumerated where there are at most this many.
    alternative : {"two-sided", "greater", "less"}
        Which estimates are extreme.
    random_state : int
        Seed of the draws.

    Returns
    -------
    RandomizationReport

    Raises
    ------
    InferenceUnavailable
        If the panel has gaps, or the rows were not kept.

    Notes
    -----
    Without covariates and weights an estimate is a sum of coefficients times mean outcomes by cohort and period; the
    coefficients depend on cohort sizes only, and are read off once, by estimating on indicators of each cohort and period.
    An assignment then costs one sum over units. Otherwise each assignment is a new fit.
    """
    if result.sample is None:
        raise InferenceUnavailable("the rows were not kept.", hint="Fit again, or pickle with keep_data=True.")
    cohorts = Cohorts.of(result.sample, unbalanced="cells", always_treated="keep", reversals="keep")
    if not cohorts.panel.is_balanced:
        raise InferenceUnavailable(
            "units are not observed in every period, so that paths of treatment can't be exchanged.",
            hint='Fit with unbalanced="drop".',
        )
    groups, dealt = _dealt_among(cohorts)
    statistic = None if groups is not None else _by_means(result, cohorts)
    found = randomization_test(
        statistic or _by_refit(result, cohorts),
        cohorts.of_unit.astype(np.int32),
        groups=groups,
        n_draws=n_draws,
        alternative=alternative,
        max_exact=max_exact,
        random_state=random_state,
    )
    return RandomizationReport(found, dealt, statistic is not None, Checks({}))


def _dealt_among(cohorts: Cohorts) -> tuple[Codes | None, str]:
    """Return codes of the clusters that cohorts are dealt among, or None where it is units."""
    size = f"{fmt.plural(len(cohorts.starts), 'cohort')} dealt out among"
    if not cohorts.clusters:
        return None, f"{size} {fmt.plural(cohorts.n_units, 'unit')}"
    way = cohorts.clusters[0]
    first = np.full(len(way.labels), -1, dtype=np.int64)
    first[way.codes[::-1]] = cohorts.of_unit[::-1]
    if np.any(first[way.codes] != cohorts.of_unit):
        return None, f"{size} {fmt.plural(cohorts.n_units, 'unit')}, since they vary within {way.name}"
    count = int((first >= 0).sum())
    return way.codes, f"{size} {count:,} clusters by {way.name}"


def _by_means(result: Result, cohorts: Cohorts) -> Callable[[Codes], float] | None:
    """Return the statistic from means by cohort and period; None where the estimate is no such sum."""
    sample = cohorts.sample
    if sample.has("weights") or sample.features().values.shape[1] or _paths_differ(cohorts):
        return None
    cell = cohorts.of_unit[cohorts.panel.unit.codes] * cohorts.n_periods + cohorts.panel.time.codes
    kernel = np.zeros((len(cohorts.starts) + 1) * cohorts.n_periods)
    for j in np.unique(cell):
        indicator = Number(read_only((cell == j).astype(float)), sample.name("outcome"))
        try:
            kernel[j] = result.refit(sample.with_column("outcome", indicator)).estimate
        except (CausalKitError, np.linalg.LinAlgError):
            return None
    score = cohorts.outcome @ kernel.reshape(-1, cohorts.n_periods).T / np.maximum(cohorts.sizes, 1)
    at = np.arange(cohorts.n_units)
    actual = float(score[at, cohorts.of_unit].sum())
    scale = float(np.abs(score).sum()) / len(cohorts.sizes)
    if not abs(actual - result.estimate) <= _CLOSE * max(scale, abs(result.estimate)):
        return None
    return lambda codes: float(score[at, codes].sum())


def _paths_differ(cohorts: Cohorts) -> bool:
    """Whether treatment was taken away somewhere, so that a start does not tell a unit's treatment."""
    if not cohorts.sample.has("treatment"):
        return False
    return bool(np.any((cohorts.sample.arms.codes == 1) != cohorts.treated))


def _by_refit(result: Result, cohorts: Cohorts) -> Callable[[Codes], float]:
    """Return the statistic from a new fit: each unit takes over the treatment of a unit of the cohort it was dealt."""
    sample, n = cohorts.sample, cohorts.n_periods
    row_of = np.empty(sample.n, dtype=np.int64)
    row_of[cohorts.panel.cell] = np.arange(sample.n)
    grid = row_of.reshape(cohorts.n_units, n)
    members = [np.flatnonzero(cohorts.of_unit == g) for g in range(len(cohorts.sizes))]

    def statistic(codes: Codes) -> float:
        donor = np.empty(cohorts.n_units, dtype=np.int64)
        for g, own in enumerate(members):
            to = np.flatnonzero(codes == g)
            if len(to):
                donor[to] = np.resize(own, len(to))  # clusters of unequal size: a path may be taken over twice
        source = np.empty(sample.n, dtype=np.int64)
        source[grid] = grid[donor]
        return float(result.refit(_with_treatment_of(sample, source)).estimate)

    return statistic


def _with_treatment_of(sample: Sample, source: Any) -> Sample:
    for role in ("cohort", "treatment"):
        column = sample.columns.get(role)
        if isinstance(column, Groups):
            sample = sample.with_column(role, Groups(read_only(column.codes[source]), column.labels, column.name))
        elif isinstance(column, Arms):
            sample = sample.with_column(role, Arms(read_only(column.codes[source]), column.levels, column.name))
        elif column is not None:
            raise DesignError(f"the role {role!r} can't be dealt out.")
    return sample
