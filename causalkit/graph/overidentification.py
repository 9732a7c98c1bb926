"""One effect estimated with several valid adjustment sets: do they agree, and which is most precise?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.estimate import Estimate, stack
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.table import Table
from causalkit.data.frame import Frame
from causalkit.errors import DesignError, IdentificationError, InferenceUnavailable
from causalkit.graph.structure import braced
from causalkit.inference.wald import WaldTest, wald_test

if TYPE_CHECKING:
    from causalkit.graph.verdict import Identification


@dataclass(frozen=True, eq=False, repr=False)
class SetComparison(Report):
    """Estimates of one effect, each with another valid adjustment set; made by ``Identification.compare_sets``.

    If the graph is right they all estimate the same, so that a difference beyond chance contradicts the graph.

    Parameters
    ----------
    question : str
        The effect, in words.
    sets : tuple of frozenset of str
        What was adjusted for.
    results : tuple of Result
        One per set.
    complete : bool
        Whether these are all minimal sets.
    alpha : float
        Level of the joint test.
    """

    question: str
    sets: tuple[frozenset[str], ...]
    results: tuple[Result, ...]
    complete: bool
    alpha: float

    plots = ("effects",)

    @cached_property
    def joint(self) -> Estimate:
        """All estimates as one vector, with the covariance that they owe to the rows they share."""
        return reduce(stack, (result.headline_effect.numbers for result in self.results))

    @cached_property
    def differences(self) -> Estimate:
        """Each estimate minus the most precise one."""
        k, best = len(self.sets), self.best
        weights = np.delete(np.eye(k), best, axis=0)
        weights[:, best] = -1.0
        return self.joint.linear(weights)

    @cached_property
    def agreement(self) -> WaldTest:
        """Joint Wald test that all sets estimate the same.

        Raises
        ------
        InferenceUnavailable
            If there is one set only, or the sets give the same numbers.
        """
        if len(self.sets) < 2:
            raise InferenceUnavailable(
                "one set leaves nothing to compare.", hint="The graph has no second minimal set."
            )
        return wald_test(self.differences.location, self.differences.vcov)

    @cached_property
    def best(self) -> int:
        """Position of the set with the smallest standard error."""
        return int(np.argmin([result.se for result in self.results]))

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """Whether the sets agree."""
        return Checks({"overidentification": self._check})

    def _check(self) -> Check:
        name = "overidentification"
        try:
            test = self.agreement
        except InferenceUnavailable as error:
            return Check(name, "untestable", f"The sets can't be compared: {error}")
        seen = f"{len(self.sets)} adjustment sets: Wald statistic {fmt.number(test.statistic, 4)}, {test.df1} df, "
        said = f"{seen}p-value {fmt.pvalue(test.pvalue)}."
        if test.pvalue > self.alpha:
            return Check(name, "pass", said, test.statistic, test.pvalue)
        advice = (
            "At least one set leaves confounding, or the estimator's form does not fit: test the graph's implications."
        )
        return Check(name, "fail", said, test.statistic, test.pvalue, advice)

    @property
    def title(self) -> str:
        """What was asked."""
        return f"{self.question}: do the adjustment sets agree?"

    @property
    def answer(self) -> str:
        """The verdict, and the most precise set."""
        result = self.results[self.best]
        number = f"{fmt.number(result.estimate, 4)} (se {fmt.number(result.se, 3)})"
        precise = f"{braced(self.sets[self.best])} is most precise: {number}."
        check = self.checks["overidentification"]
        verdict = {"pass": "The sets agree", "fail": "The sets disagree: the graph or the model is wrong"}.get(
            check.status
        )
        if verdict is None:
            return f"{check.message} {precise}"
        return f"{verdict} (p-value {fmt.pvalue(check.pvalue)}). {precise}"

    def to_table(self) -> Table:
        """Return one row per set, with its difference from the most precise."""
        columns = ("covariates", "estimate", "se", "ci_low", "ci_high", "n", "difference", "difference_se")
        away, se = np.zeros(len(self.sets)), np.zeros(len(self.sets))
        if len(self.sets) > 1:
            others = np.arange(len(self.sets)) != self.best
            away[others], se[others] = self.differences.location, self.differences.se
        rows = []
        for chosen, result, gap, error in zip(self.sets, self.results, away, se, strict=True):
            low, high = (float(limit[0]) for limit in result.headline_effect.ci())
            rows.append((braced(chosen), result.estimate, result.se, low, high, result.n, float(gap), float(error)))
        return Table.of(columns, rows, None if self.complete else "There are more minimal sets than these.")

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict with the table and a figure."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "effects"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the estimates with their intervals."""
        limits = [result.headline_effect.ci() for result in self.results]
        return {
            "title": self.title,
            "terms": [braced(chosen) for chosen in self.sets],
            "estimate": np.array([result.estimate for result in self.results]),
            "low": np.array([float(low[0]) for low, _ in limits]),
            "high": np.array([float(high[0]) for _, high in limits]),
            "null": 0.0,
        }


def compare_sets(
    verdict: Identification, data: Any, estimator: Any, limit: int, alpha: float, roles: Mapping[str, Any]
) -> SetComparison:
    """Estimate an effect with each of its minimal adjustment sets, and the optimal one where it is known.

    The arguments are those of ``Identification.compare_sets``.
    """
    if verdict.strategy not in ("adjustment", "no effect"):
        raise IdentificationError("no adjustment set is valid here, so none can be compared.", hint=verdict.explain())
    if len(verdict.treatment) != 1 or len(verdict.outcome) != 1:
        raise IdentificationError("several treatments or outcomes need a fit each.", hint="Ask for one pair.")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 2:
        raise DesignError(f"limit={limit!r} is not a whole number of at least 2.")
    if estimator is None:
        from causalkit.linear.ols import OLS

        estimator = OLS()
    if "adjustment" not in estimator.strategies:
        raise IdentificationError(
            f"{type(estimator).__name__} does not estimate by adjustment.", hint="Use OLS, AIPW or DoubleML."
        )
    x, y = verdict.treatment[0], verdict.outcome[0]
    sets = list(islice(verdict.adjustment_sets, limit + 1))
    complete = len(sets) <= limit
    sets = sets[:limit]
    sets += [best for best in verdict.graph.adjustment_sets(x, y, kind="optimal") if best not in sets]
    table = Frame.read(data)  # one identity of its rows for all fits, so that their estimates subtract
    fits = tuple(
        estimator.fit(table, **{"outcome": y, "treatment": x, **roles, "covariates": sorted(chosen)}) for chosen in sets
    )
    return SetComparison(f"Effect of {x} on {y}", tuple(sets), fits, complete, alpha)
