"""What a fit of effects by dose says: averages, curves, and event studies of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate
from causalkit.core.passage import Passage
from causalkit.core.result import Result
from causalkit.core.rows import Groups
from causalkit.did.cells import Cells
from causalkit.did.event_study import EventStudyResult
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats, Ints

Quantity = Literal["effect", "response"]
EFFECT, RESPONSE = "average effect", "average response"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DoseResult(Result):
    """Average effect and response, and both by dose.

    Parameters
    ----------
    cells : Cells
        Cohorts and periods.
    shares : Floats
        Sizes of the cohorts, as shares of all units.
    by_effect, by_response : Estimate
        Average effect and response of each cell, followed by the shares; responses are NaN without a curve.
    curved : Bools
        Which cells have a curve.
    """

    cells: Cells
    shares: Floats
    by_effect: Estimate
    by_response: Estimate
    curved: Bools

    plots = ("dose_response",)

    def curve(self, quantity: Quantity = "effect") -> Effects:
        """Return the curve over doses.

        Parameters
        ----------
        quantity : {"effect", "response"}
            The effect of each dose, or the slope of the effect there.

        Returns
        -------
        Effects
            One per dose; ``.ci(simultaneous=True)`` is a band for the whole curve.
        """
        _require(quantity)
        kinds, doses = self.effects.columns["quantity"], self.effects.columns["dose"]
        chosen = [kind == quantity and dose is not None for kind, dose in zip(kinds, doses, strict=True)]
        return self.effects.select(np.flatnonzero(chosen).tolist())

    def event_study(self, quantity: Quantity = "effect") -> EventStudyResult:
        """Return the averages over doses by cohort and period, also those before the start.

        Parameters
        ----------
        quantity : {"effect", "response"}
            The average effect of the doses that units got, or the average slope there.
        """
        _require(quantity)
        joint = self.by_effect if quantity == "effect" else self.by_response
        kept = np.arange(len(self.cells)) if quantity == "effect" else np.flatnonzero(self.curved)
        chosen = [*kept, *range(len(self.cells), joint.size)]
        clean = replace(joint, theta=np.nan_to_num(joint.theta))
        part = clean.linear(np.eye(joint.size)[chosen])
        cells = _some(self.cells, kept)
        effects = Effects(cells.terms, part.linear(np.eye(part.size)[: len(kept)]), cells.columns())
        return EventStudyResult(
            estimator=self.estimator,
            effects=effects,
            headline="cohort",
            estimand=f"average {quantity} of the doses that treated units got, by cohort and then over cohorts",
            checks=self.checks,
            sample=self.sample,
            n=self.n,
            dropped=self.dropped,
            roles=self.roles,
            steps=(*self.steps, ("event_study", (quantity,), ())),
            cells=cells,
            shares=self.shares,
            joint=part,
            base_period="varying",
            overall="cohort",
        )

    def count_parameters(self, ways: Sequence[Groups]) -> int:
        """Return 1: each effect is a mean; what comes from a regression knows its own factor."""
        return 1

    def with_vcov(self, vcov: str, cluster: Any = None) -> DoseResult:
        """Return the same estimates with another variance; see :meth:`Result.with_vcov`."""
        changed: DoseResult = super().with_vcov(vcov, cluster)
        parts = {}
        for name in ("by_effect", "by_response"):
            joint = getattr(self, name)
            whole = replace(self, effects=Effects(tuple(map(str, range(joint.size))), joint))
            parts[name] = Result.with_vcov(whole, vcov, cluster).effects.numbers
        return replace(changed, **parts)

    def passages(self) -> tuple[Passage, ...]:
        """Return the headline as a finding, the curve as its certainty."""
        found, certainty = super().passages()
        return found, replace(certainty, figure="dose_response")

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the effects by dose with their pointwise and simultaneous bands."""
        if kind != "dose_response":
            return super().plot_data(kind)
        curve, dose = self.curve(), self.roles.get("treatment")
        low, high = curve.ci()
        band_low, band_high = curve.ci(simultaneous=bool(curve.se.max() > 0))
        return {
            "title": self.title,
            "dose": np.array(curve.columns["dose"], dtype=float),
            "value": curve.values,
            "low": low,
            "high": high,
            "band_low": band_low,
            "band_high": band_high,
            "xlabel": dose if isinstance(dose, str) else "Dose",
            "ylabel": "Effect of the dose",
        }


def _require(quantity: str) -> None:
    if quantity not in ("effect", "response"):
        raise DesignError(f"quantity={quantity!r} is not an option.", hint="Use 'effect' or 'response'.")


def _some(cells: Cells, at: Ints) -> Cells:
    return Cells(
        tuple(cells.cohort[j] for j in at),
        tuple(cells.time[j] for j in at),
        cells.event_time[at],
        cells.post[at],
        cells.share_of[at],
        cells.n_treated[at],
        cells.n_control[at],
    )
