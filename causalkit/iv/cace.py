"""Non-compliance in an experiment: who took what, the effect on compliers, and what can be said of everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.table import Table
from causalkit.errors import DesignError
from causalkit.iv.compliers import ComplierReport, compliers
from causalkit.kernels.arrays import Floats, read_only


@dataclass(frozen=True, eq=False, repr=False)
class NoncomplianceReport(Report):
    """What an experiment with non-compliance says.

    Parameters
    ----------
    effects : Effects
        Effect of the assignment on the outcome (intention to treat), on the treatment (share of compliers), and of the
        treatment on compliers (CACE).
    groups : ComplierReport
        Compliers, always and never takers.
    kind : {"full compliance", "one-sided", "two-sided"}
        Whether nobody, one assigned arm, or both did other than assigned.
    bounds : tuple of (low, high)
        Bounds of the average effect on everybody, for outcomes in ``outcome_range``: what is known of compliers, with
        the worst and the best that outcomes of always and never takers could have been.
    outcome_range : tuple of (low, high)
        The range of the outcome that the bounds use.
    per_protocol : float
        Difference of those who did as assigned; not an effect, as they are selected.
    """

    effects: Effects
    groups: ComplierReport
    kind: str
    bounds: tuple[float, float]
    outcome_range: tuple[float, float]
    per_protocol: float

    plots = ("effects",)

    @property
    def title(self) -> str:
        """What this is."""
        return f"Non-compliance: {self.groups.names[2]} was assigned, {self.groups.names[1]} was taken"

    @property
    def answer(self) -> str:
        """The three effects and the bounds in one sentence."""
        itt, share, cace = (float(value) for value in self.effects.values)
        low, high = self.effects.ci()
        told = self.kind if self.kind == "full compliance" else f"{self.kind} non-compliance"
        return (
            f"There is {told}: the assignment changes the treatment of {fmt.share(share)} and the outcome by "
            f"{fmt.number(itt)}, so that the effect on compliers is {fmt.number(cace)} {fmt.interval(low[2], high[2])}; the "
            f"effect on everybody lies in {fmt.interval(*self.bounds)} for outcomes in {fmt.interval(*self.outcome_range)}."
        )

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """The checks of the compliers, and whether the one-sided design is what it seems."""
        return self.groups.checks.joined({"compliance": self._compliance()})

    def _compliance(self) -> Check:
        always, never = (float(value) for value in self.groups.shares.values[1:])
        message = f"{fmt.share(always)} would take the treatment whatever they are assigned, {fmt.share(never)} would not take it."
        if max(always, never) > 0.5:
            advice = "Most people do not do as assigned; the effect on compliers need not be that on others."
            return Check("compliance", "warn", message, max(always, never), advice=advice)
        return Check("compliance", "pass", message, max(always, never))

    def to_table(self) -> Table:
        """Return the three effects."""
        return self.effects.to_table()

    def passages(self) -> tuple[Passage, ...]:
        """Return the finding and the groups."""
        note = (
            f"Comparing those who did as assigned would give {fmt.number(self.per_protocol)}; they are selected, so it is not "
            "an effect."
        )
        return (Passage("found", self.title, (self.answer, note), self.to_table(), "effects"), *self.groups.passages())

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the three effects with their intervals."""
        low, high = self.effects.ci()
        return {
            "title": self.title,
            "terms": list(self.effects.terms),
            "estimate": self.effects.values,
            "low": low,
            "high": high,
            "null": 0.0,
        }


def noncompliance(result: Result, outcome_range: tuple[float, float] | None = None) -> NoncomplianceReport:
    """Summarise an experiment in which not everybody did as assigned.

    The effect on compliers is the ratio of the effects of the assignment on outcome and treatment (Bloom 1984; Angrist,
    Imbens and Rubin 1996), each weighted by the inverse probability of the assignment given the covariates of the fit.

    Parameters
    ----------
    result : IVResult
        A fit with the assignment as binary instrument and a binary treatment.
    outcome_range : (float, float), optional
        The smallest and largest value that the outcome can take; by default those that were seen.

    Returns
    -------
    NoncomplianceReport

    Raises
    ------
    DesignError
        If instrument or treatment have other than two levels, or the outcome leaves its range.
    """
    groups = compliers(result)
    k, y = groups.kappa, groups.outcome
    low, high = (float(y.min()), float(y.max())) if outcome_range is None else _range(outcome_range)
    if not low < high or y.min() < low or y.max() > high:
        raise DesignError(
            f"outcome_range=({low:g}, {high:g}) does not hold the outcomes, which run from {y.min():g} to {y.max():g}.",
            hint="Pass the smallest and the largest value that the outcome can take.",
        )
    columns = np.column_stack([y, k.D])
    on, psi_on = k.mean("offered", columns)
    off, psi_off = k.mean("not offered", columns)
    (itt, share), psi = on - off, psi_on - psi_off
    cace = itt / share
    ratio = (psi[:, 0] - cace * psi[:, 1]) / share
    theta, values = np.array([itt, share, cace]), np.column_stack([psi, ratio])
    done = [k.D == 1, k.D == 0]
    wrong = [bool(np.any(done[0] & (k.Z == 0))), bool(np.any(done[1] & (k.Z == 1)))]
    obeyed = [np.average(y[(z == k.Z) & (z == k.D)], weights=k.weights[(z == k.Z) & (z == k.D)]) for z in (0, 1)]
    return NoncomplianceReport(
        effects=_effects(theta, values, groups),
        groups=groups,
        kind=("full compliance", "one-sided", "two-sided")[sum(wrong)],
        bounds=_bounds(groups, share, cace, low, high),
        outcome_range=(low, high),
        per_protocol=float(obeyed[1] - obeyed[0]),
    )


def _range(given: object) -> tuple[float, float]:
    try:
        low, high = map(float, given)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise DesignError(
            f"outcome_range={given!r} is not a pair of numbers.",
            hint="Pass the smallest and the largest value that the outcome can take.",
        ) from None
    return low, high


def _effects(theta: Floats, psi: Floats, groups: ComplierReport) -> Effects:
    outcome, treatment, instrument = groups.names
    carrier = groups.shares.numbers.carrier
    assert isinstance(carrier, Influence)
    made = Influence(
        read_only(psi), carrier.rows, carrier.groups, 1.0, np.full(3, np.inf), carrier.kind, carrier.crossed
    )
    terms = (f"{instrument} on {outcome}", f"{instrument} on {treatment}", f"{treatment} on {outcome}, compliers")
    return Effects(terms, Estimate(theta, made))


def _bounds(groups: ComplierReport, share: float, cace: float, low: float, high: float) -> tuple[float, float]:
    """Return Manski's bounds under monotonicity: what always takers were without, and never takers with, is unknown."""
    means = dict(zip(groups.outcomes.terms, groups.outcomes.values, strict=True))
    ends = np.full(2, share * cace)
    shares = dict(zip(groups.shares.terms, groups.shares.values, strict=True))
    if "always takers, treated" in means:
        mean = means["always takers, treated"]
        ends += shares["always takers"] * np.array([mean - high, mean - low])
    if "never takers, untreated" in means:
        mean = means["never takers, untreated"]
        ends += shares["never takers"] * np.array([low - mean, high - mean])
    return float(ends[0]), float(ends[1])
