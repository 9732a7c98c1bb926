"""Two-way fixed effects: the regression that everybody runs, with what it weights and where it misleads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects, Test
from causalkit.core.estimator import Estimator
from causalkit.core.params import choice, flag, integer
from causalkit.core.result import Result
from causalkit.core.roles import Assignment, Role
from causalkit.core.sample import Sample
from causalkit.did.absorbed import absorbed_check
from causalkit.did.aggregate_result import AGGREGATIONS, OVERALL, AggregateResult
from causalkit.did.cell_regression import cell_regression, cell_totals
from causalkit.did.cells import event_time_of
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.did.exact_fits import exact_fits_check
from causalkit.did.panel_result import PanelResult
from causalkit.did.plan import require_treated
from causalkit.did.saturated import VCOV, numbers_of, two_way_fit
from causalkit.did.weights import negative_weights_check
from causalkit.errors import DesignError
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.linear.least_squares import LeastSquares

#: Sums of influence values below this share of their sizes are rounding.
_CANCELLED = 1e-10

if TYPE_CHECKING:
    from causalkit.did.wild_bootstrap import WildBootstrapReport


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TWFEResult(PanelResult):
    """The coefficient of the treatment in a regression with unit and time effects."""

    drawn = ("effects",)

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the coefficient equals ``null``; ``method="wild"`` by the wild cluster bootstrap.

        Parameters
        ----------
        null : float
            The value under the null hypothesis.
        method : {None, "wild"}
            ``"wild"``: :func:`causalkit.did.wild_cluster_bootstrap`, which holds its level with few clusters.
        """
        if method != "wild":
            return super().test(null, method)
        found = self._wild(null).bootstrap
        return Test(found.statistic, found.pvalue, float("nan"), null, "wild cluster bootstrap")

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the interval of the coefficient; ``method="wild"`` inverts the bootstrap test into a ConfidenceSet.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        method : {None, "wild"}
            As for :meth:`test`.
        """
        return super().ci(alpha, method) if method != "wild" else self._wild(0.0).ci(alpha)

    def _wild(self, null: float) -> WildBootstrapReport:
        from causalkit.did.wild_bootstrap import wild_cluster_bootstrap

        return wild_cluster_bootstrap(self, null=null)


@dataclass(frozen=True, kw_only=True)
class TWFE(Estimator[Result]):
    """The coefficient of the treatment in a regression with unit and time effects.

    The estimand is the average effect on the treated where the effect is the same for all units and at all times since
    the start; else a weighted average in which effects may enter with negative weight (Goodman-Bacon 2021; de Chaisemartin
    and D'Haultfoeuille 2020): the check ``negative_weights`` says how many do. Assumption: parallel trends.

    Parameters
    ----------
    dynamic : bool
        One coefficient for each event time instead of one for all, relative to the period before the start.
    anticipation : int
        With ``dynamic``: periods before the start in which units may already respond; moves the reference.
    vcov : {"auto", "iid", "HC1", "CR0", "CR1", "CR3"}
        Variance; ``"auto"`` is CR1 by unit, or by ``cluster=``, with the small-sample factors of R's fixest.
    unbalanced : {"drop", "cells", "raise"}
        Units that are not observed in every period are left out, kept where they are observed, or an error.
    """

    dynamic: bool = flag(False)
    anticipation: int = integer(0, low=0)
    vcov: Literal["auto", "iid", "HC1", "CR0", "CR1", "CR3"] = choice("auto", *VCOV)
    unbalanced: Literal["drop", "cells", "raise"] = choice("cells", "drop", "cells", "raise")

    roles: ClassVar[Mapping[str, Role]] = ROLES
    assignment: ClassVar[Assignment | None] = Assignment("treatment", "unit")
    strategies: ClassVar[tuple[str, ...]] = ("parallel_trends",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        unit: Any,
        time: Any,
        treatment: Any = None,
        cohort: Any = None,
        covariates: Sequence[str] | str = (),
        control: Any = None,
        treatment_level: Any = None,
        cluster: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> Result:
        """Estimate the coefficient.

        Parameters
        ----------
        data : table
            One row per unit and period.
        outcome : str
            Numeric column.
        unit, time : str
            Who and when: labels of any type; times must sort in their order.
        treatment : str, optional
            Whether a row is treated (two levels).
        cohort : str, optional
            Instead of ``treatment``: when the unit is first treated; 0, missing, infinite or later than the last period
            means never.
        covariates : list of str
            Numbers or categories that vary over time.
        control, treatment_level : level, optional
            Levels of ``treatment``, needed for text.
        cluster : str or list of str, optional
            Clusters; units by default.
        weights : str, optional
            Weights.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        Result
            A :class:`TWFEResult`; with ``dynamic``, an :class:`~causalkit.did.aggregate_result.AggregateResult` by event time.

        Raises
        ------
        DataError, DesignError
            If the table or the roles can't be used; the message says where and what to do.
        """
        return self._fit(
            data,
            outcome=outcome,
            unit=unit,
            time=time,
            treatment=treatment,
            cohort=cohort,
            covariates=covariates,
            control=control,
            treatment_level=treatment_level,
            cluster=cluster,
            weights=weights,
            missing=missing,
        )

    def estimate(self, sample: Sample) -> Result:
        """Run the regression on a bound sample."""
        cohorts = Cohorts.of(
            sample,
            unbalanced=self.unbalanced,
            always_treated="drop" if self.dynamic else "keep",
            reversals="raise" if self.dynamic else "keep",
        )
        return self._event_study(cohorts, sample) if self.dynamic else self._static(cohorts, sample)

    def _static(self, cohorts: Cohorts, sample: Sample) -> TWFEResult:
        arms = cohorts.sample.columns.get("treatment")
        treated = cohorts.treated if arms is None else cohorts.sample.arms.codes == 1
        name = "treatment" if arms is None else cohorts.sample.arms.contrast(1)
        fit = two_way_fit(cohorts, [treated.astype(float)], [name], self.vcov)
        _require_error(fit, cohorts)
        checks: dict[str, Any] = {
            **cohorts.checks(),
            **absorbed_check(cohorts),
            "negative_weights": lambda: negative_weights_check(cohorts, treated),
        }
        return TWFEResult(
            estimator=self,
            effects=Effects((name,), numbers_of(fit, cohorts, [name])),
            headline=name,
            estimand=f"effect of {name} on {sample.name('outcome')}, units and periods held fixed",
            checks=Checks(checks),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
        )

    def _event_study(self, cohorts: Cohorts, sample: Sample) -> AggregateResult:
        reference, grid = -1.0 - self.anticipation, cohorts.event_times
        sizes = cell_totals(cohorts)[:-1]
        if not sizes[grid == reference].any():
            raise DesignError(
                f"no row stands at event time {reference:g}, which the others are measured from.",
                hint="Time must count in steps of one, or be dates or text (then periods are counted).",
            )
        if len(cohorts.sample.several("cluster")) < 2:
            cohorts.require_spread(of_two=True)
        times = [e for e in np.unique(grid[sizes > 0]) if e != reference]
        require_treated(np.array(times) >= 0)
        names = [event_time_of(e) for e in times]
        never = np.full((1, cohorts.n_periods), np.nan)
        design = np.vstack([grid, never]) == np.array(times)[:, None, None]
        numbers, post = cell_regression(cohorts, design, names, self.vcov), np.array([e >= 0 for e in times])
        columns: dict[str, list[Any]] = {
            "event_time": [int(e) if float(e).is_integer() else float(e) for e in times],
            "n_treated": [int(sizes[grid == e].sum()) for e in times],
        }
        result: AggregateResult
        checks: dict[str, Any] = {
            **cohorts.checks(),
            **absorbed_check(cohorts),
            "negative_weights": Check(
                "negative_weights",
                "warn" if len(cohorts.starts) > 1 else "pass",
                f"With {len(cohorts.starts)} cohorts, each coefficient may mix in effects of other event times (Sun and "
                "Abraham 2021)."
                if len(cohorts.starts) > 1
                else "One cohort: each coefficient speaks of its own event time.",
                advice="Use SunAbraham or CallawaySantAnna." if len(cohorts.starts) > 1 else "",
            ),
            "exact_fits": lambda: exact_fits_check(result),
        }
        result = AggregateResult(
            estimator=self,
            effects=Effects(tuple(names), numbers, columns),
            headline=OVERALL,
            estimand=AGGREGATIONS["event_time"],
            checks=Checks(checks),
            sample=cohorts.sample,
            n=cohorts.sample.n,
            dropped=cohorts.dropped,
            roles=sample.given,
            kind="event_time",
            average=Effects((OVERALL,), numbers.linear(post / post.sum())),
            post=post,
            base_period="universal",
            reference=reference,
        )
        return result


def _require_error(fit: LeastSquares, cohorts: Cohorts) -> None:
    """Raise where influence values cancel within every unit (or cluster): one is compared with one."""
    if not fit.vcov.kind.startswith("CR"):
        return
    psi, none = fit.psi[:, 0], fit.rank >= fit.n  # then each row fits
    ways = [way.codes for way in cohorts.sample.several("cluster")] or [cohorts.panel.unit.codes]
    for way in ways:
        sums = np.abs(np.bincount(way, psi))
        if none or sums.max() <= _CANCELLED * np.abs(psi).sum():
            raise DesignError(
                "one unit (or cluster) is compared with one: there is no standard error.",
                hint="Add units, or cluster by something finer; for one treated unit, see SyntheticControl.",
                column=cohorts.panel.unit.name,
            )
