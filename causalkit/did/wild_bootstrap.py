"""The wild cluster bootstrap of two-way fixed effects: a level that holds with few clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.few_clusters import FEW
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.did.cohorts import Cohorts
from causalkit.did.saturated import two_way_fit
from causalkit.did.twfe import TWFE
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.wild import WildBootstrap
from causalkit.linear.wild import wild_bootstrap


@dataclass(frozen=True, eq=False, repr=False)
class WildBootstrapReport(Report):
    """A wild cluster bootstrap of the coefficient of two-way fixed effects.

    Parameters
    ----------
    bootstrap : WildBootstrap
        The test of the null and the means to invert it.
    term : str
        The coefficient.
    n_clusters : int
        Clusters.
    plain : float
        The p-value of the t test with CR1, for comparison.
    checks : Checks
        Whether there are few clusters.
    """

    bootstrap: WildBootstrap
    term: str
    n_clusters: int
    plain: float
    checks: Checks

    @property
    def pvalue(self) -> float:
        """The p-value of the null."""
        return self.bootstrap.pvalue

    def ci(self, alpha: float = 0.05) -> ConfidenceSet:
        """Return every null that is not rejected at ``alpha``; it may be unbounded.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        """
        return self.bootstrap.confidence_set(alpha)

    @property
    def title(self) -> str:
        """What this is."""
        return "Wild cluster bootstrap of two-way fixed effects"

    @property
    def answer(self) -> str:
        """The estimate, its confidence set and p-value."""
        found = self.bootstrap
        how = f"all {found.n_draws:,} sign vectors" if found.exact else f"{found.n_draws:,} draws"
        return (
            f"{self.term}: {fmt.number(found.estimate)}, 95% confidence set {self.ci()}, p-value of "
            f"{fmt.number(found.null)} {fmt.pvalue(found.pvalue)} ({how}, {self.n_clusters} clusters; by t distribution "
            f"{fmt.pvalue(self.plain)})."
        )

    def to_table(self) -> Table:
        """Return the test as a row."""
        found = self.bootstrap
        names = ("term", "estimate", "se", "statistic", "pvalue", "pvalue_by_t", "draws", "exact")
        row = (
            self.term,
            found.estimate,
            found.se,
            found.statistic,
            found.pvalue,
            self.plain,
            found.n_draws,
            found.exact,
        )
        return Table.of(names, [row])

    def passages(self) -> tuple[Passage, ...]:
        """Return the test as part of the certainty."""
        return (Passage("certainty", self.title, (self.answer,), self.to_table()),)


def wild_cluster_bootstrap(
    result: Result, *, null: float = 0.0, n_boot: int | None = None, random_state: int = 0
) -> WildBootstrapReport:
    """Test the coefficient of two-way fixed effects by the wild cluster bootstrap with the null imposed.

    Cameron, Gelbach and Miller (2008); signs of the clusters' residuals are drawn, or all enumerated where there are at
    most twelve clusters.

    Parameters
    ----------
    result : Result
        Of ``TWFE()`` (not dynamic), with its rows.
    null : float
        The value under the null hypothesis.
    n_boot : int, optional
        Draws where not all sign vectors are enumerated.
    random_state : int
        Seed of the draws.

    Returns
    -------
    WildBootstrapReport

    Raises
    ------
    DesignError
        If the result is of another estimator, or has several ways of clustering.
    """
    if not isinstance(result.estimator, TWFE) or result.estimator.dynamic:
        raise DesignError("the wild cluster bootstrap is offered for TWFE() only.", hint="Fit ck.TWFE(), not dynamic.")
    if result.sample is None:
        raise InferenceUnavailable("the rows were not kept.", hint="Fit again, or pickle with keep_data=True.")
    cohorts = Cohorts.of(result.sample, unbalanced="cells", always_treated="keep", reversals="keep")
    sample, panel = cohorts.sample, cohorts.panel
    ways = sample.several("cluster")
    if len(ways) > 1:
        raise DesignError("the wild cluster bootstrap needs one way of clustering.", hint="Name one cluster column.")
    way = ways[0] if ways else panel.unit
    way = Groups(np.unique(way.codes, return_inverse=True)[1].astype(np.int32), way.labels, way.name)
    treated = sample.arms.codes == 1 if sample.has("treatment") else cohorts.treated
    term = result.effects.terms[0]
    fit = two_way_fit(cohorts, [treated.astype(float)], [term], "CR1")
    design = np.column_stack([treated.astype(float), sample.features().dummies()[0]])
    found = wild_bootstrap(
        sample.outcome,
        design,
        0,
        [panel.unit, panel.time],
        way,
        weights=sample.optional("weights"),
        n_parameters=fit.n_parameters,
        null=null,
        n_boot=n_boot,
        random_state=random_state,
    )
    n_clusters = int(way.codes.max()) + 1
    plain = _by_t(found, n_clusters)
    return WildBootstrapReport(found, term, n_clusters, plain, Checks({"clusters": _clusters(n_clusters)}))


def _by_t(found: WildBootstrap, n_clusters: int) -> float:
    from causalkit.inference.wald import t_pvalue

    return float(t_pvalue(found.statistic, n_clusters - 1))


def _clusters(count: int) -> Check:
    few = count < FEW
    return Check(
        "clusters",
        "warn" if few else "pass",
        f"There are {count} clusters.",
        advice="Trust the bootstrap more than the t distribution; very unequal clusters can mislead both."
        if few
        else "",
    )
