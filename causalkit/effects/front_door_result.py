"""What the front door gives: an average effect, average outcomes, and the effect of what is done now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.effects.averages import average_effect
from causalkit.effects.crossfit_study import arm_names
from causalkit.effects.plain_result import PlainResult, outcome_name
from causalkit.kernels.arrays import Floats

if TYPE_CHECKING:
    from causalkit.effects.mediation_pathway import Pathway


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FrontDoorResult(Result):
    """The average effect through the front door.

    Parameters
    ----------
    pathway : Pathway
        Cross-fitted nuisances in the user's order of rows.
    scores : Floats, shape (n, 2)
        Scores of the average outcome with mediators as in each arm, on the learning scale.
    """

    pathway: Pathway
    scores: Floats

    def average_outcomes(self) -> Result:
        """Return the average outcome if everybody's mediators were as in one arm, for each arm.

        Returns
        -------
        Result
            One term per arm, the control first, in the units of the outcome.
        """
        numbers = self._average(self.scores)
        scale = self.pathway.scale
        numbers = Estimate(scale.level(numbers.theta), (numbers * scale.unit).carrier)
        arms = self.pathway.arms
        terms = tuple(f"{arms.name}={level}" for level in arms.levels)
        estimand = f"average {outcome_name(self.roles)} if everybody's mediators were as in one arm"
        return self._plain(Effects(terms, numbers), None, estimand, ("average_outcomes", (), ()))

    def population_indirect_effect(self) -> Result:
        """Return what the treatment does now through the mediators: E[Y] minus the average with mediators as in the control.

        It has this meaning also where the treatment acts past the mediators too (the population intervention indirect effect,
        identified under the generalized front-door criterion).

        Returns
        -------
        Result

        References
        ----------
        Fulcher, Shpitser, Marealle and Tchetgen Tchetgen (2020), *JRSS-B* 82.
        """
        p = self.pathway
        numbers = self._average(p.z - self.scores[:, 0]) * p.scale.unit
        control = arm_names(p.arms)[0]
        estimand = f"average {outcome_name(self.roles)} now, minus that with mediators as with {control}"
        term = f"now minus {control}"
        return self._plain(Effects((term,), numbers), term, estimand, ("population_indirect_effect", (), ()))

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: the estimate is a mean of scores."""
        return 1

    def _average(self, scores: Floats) -> Estimate:
        """Average scores, with the clusters, factor and degrees of freedom that ``effects`` have."""
        p = self.pathway
        numbers = average_effect(scores, p.weights, p.groups, rows=p.rows)
        here, own = self.effects.numbers.carrier, numbers.carrier
        if isinstance(here, Influence) and isinstance(own, Influence):
            return replace(numbers, carrier=replace(here, psi=own.psi, df=np.full(numbers.size, float(here.df[0]))))
        return numbers

    def _plain(self, effects: Effects, headline: str | None, estimand: str, step: Any) -> PlainResult:
        return PlainResult(
            estimator=self.estimator,
            effects=effects,
            headline=headline,
            estimand=estimand,
            checks=self.checks,
            sample=self.sample,
            n=self.n,
            dropped=self.dropped,
            roles=self.roles,
            steps=(*self.steps, step),
        )
