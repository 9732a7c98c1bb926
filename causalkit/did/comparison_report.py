"""What a comparison of estimators has to show: averages, differences, and event studies over one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.effects import Effects
from causalkit.core.passage import Passage
from causalkit.core.result import Report, Result
from causalkit.core.result_map import ResultMap
from causalkit.core.table import Table
from causalkit.did import comparison_words as words
from causalkit.did.aggregate_result import AggregateResult
from causalkit.did.comparison_align import gap
from causalkit.did.event_study import EventStudyResult
from causalkit.errors import CausalKitError

COLUMNS = ("estimator", "estimate", "se", "pvalue", "ci_low", "ci_high", "minus_reference")
MORE = ("estimator", "controls", "measured_from", "share_of_cells", "minus_reference", "se_of_difference")
#: An average that speaks of at least this share of the treated observations speaks of all.
WHOLE = 1.0 - 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class EstimatorComparison(Report):
    """Estimators of one panel, made comparable.

    Parameters
    ----------
    results : ResultMap
        Each estimator's own result, as a fit would return it.
    averages : mapping of str to Effects
        The average over the same treated cells, by estimator.
    covered : mapping of str to float
        The share of the treated observations that each average speaks of: below one where an estimator leaves some out.
    left_out : mapping of str to str
        Estimators that could not be used, and why.
    reference : str
        The estimator that the others are compared with.
    reasons : tuple of str
        Why they differ, in words.
    weighing : Weighing or None
        What two-way fixed effects does with the effects of the reference.
    checks : Checks
        The ledger.
    """

    results: ResultMap
    averages: Mapping[str, Effects]
    covered: Mapping[str, float]
    left_out: Mapping[str, str]
    reference: str
    reasons: tuple[str, ...]
    weighing: words.Weighing | None
    checks: Checks

    plots = ("event_studies", "effects")

    @cached_property
    def gaps(self) -> dict[str, tuple[float, float | None]]:
        """Each average minus that of the reference, and the standard error of the difference (None where not known)."""
        base = self.averages[self.reference]
        return {name: gap(average, base) for name, average in self.averages.items() if name != self.reference}

    @property
    def title(self) -> str:
        """What this is."""
        return "Estimators compared"

    @property
    def answer(self) -> str:
        """The range of the robust estimators, and the contrast."""
        robust = {name: float(self.averages[name].values[0]) for name in self.comparable}
        # Estimates that differ by rounding only are named after the first of them.
        low, high = (pick(robust, key=lambda name: round(robust[name], 12)) for pick in (min, max))
        said = (
            f"The average effect on treated units is between {fmt.number(robust[low])} ({low}) and "
            f"{fmt.number(robust[high])} ({high}) by {fmt.plural(len(robust), 'estimator')} that allow effects to differ."
        )
        others = [name for name, result in self.results.items() if is_twfe(result)]
        return " ".join(
            [said, *(f"{name} gives {fmt.number(float(self.averages[name].values[0]))}." for name in others)]
        )

    @property
    def comparable(self) -> tuple[str, ...]:
        """The estimators that allow effects to differ and speak of all treated observations."""
        return tuple(
            name
            for name, result in self.results.items()
            if not is_twfe(result) and (self.covered[name] >= WHOLE or name == self.reference)
        )

    def to_table(self) -> Table:
        """Return one row per estimator: the average with its error, and how far it is from that of the reference."""
        rows = []
        for name, average in self.averages.items():
            low, high = (float(limit[0]) for limit in average.ci())
            difference = self.gaps.get(name, (None, None))[0]
            rows.append(
                (name, float(average.values[0]), float(average.se[0]), float(average.pvalue[0]), low, high, difference)
            )
        return Table.of(COLUMNS, rows)

    def differences(self) -> Table:
        """Return what tells the estimators apart: controls, base period, cells, and the difference with its error."""
        rows = []
        for name, result in self.results.items():
            estimator = result.estimator
            said = (words.controls_of(estimator), words.base_of(estimator), self.covered[name])
            rows.append((name, *said, *self.gaps.get(name, (None, None))))
        return Table.of(MORE, rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the table as a finding, the reasons and the event studies as its certainty."""
        out = [
            Passage("found", self.title, (self.answer,), self.to_table(), "effects"),
            Passage("certainty", "Why the estimators differ", self.reasons, self.differences()),
            Passage("certainty", "Event studies of all estimators", figure="event_studies"),
        ]
        if self.left_out:
            rows = Table.of(("estimator", "reason"), self.left_out.items())
            out.append(Passage("certainty", "Estimators that could not be used", table=rows))
        return tuple(out)

    def summary(self) -> str:
        """Return the answer, the table, the reasons and the checks."""
        why = [f"- {reason}" for reason in self.reasons]
        out = [f"- {name} could not be used: {reason}" for name, reason in self.left_out.items()]
        return "\n".join([super().summary(), "", "Why they differ", *why, *out])

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the averages for ``"effects"``, the effects by event time for ``"event_studies"``."""
        if kind == "effects":
            limits = [average.ci() for average in self.averages.values()]
            return {
                "title": self.title,
                "terms": list(self.averages),
                "estimate": np.array([float(average.values[0]) for average in self.averages.values()]),
                "low": np.array([float(low[0]) for low, _ in limits]),
                "high": np.array([float(high[0]) for _, high in limits]),
                "null": 0.0,
                "xlabel": "average effect on treated units",
            }
        studies = {name: _by_event_time(result) for name, result in self.results.items()}
        return {
            "title": "Event studies",
            "series": {name: study for name, study in studies.items() if study is not None},
        }


def is_twfe(result: Result) -> bool:
    """Whether a result is that of two-way fixed effects: the contrast."""
    return type(result.estimator).__name__ == "TWFE"


def _by_event_time(result: Result) -> dict[str, Any] | None:
    """Return the effects by event time of one estimator, with the static contrast made dynamic."""
    if isinstance(result, EventStudyResult):
        result = result.aggregate("event_time")
    elif is_twfe(result) and result.sample is not None:
        try:
            result = result.estimator.replace(dynamic=True).estimate(result.sample)
        except CausalKitError:
            return None
    if not isinstance(result, AggregateResult):
        return None
    low, high = result.effects.ci()
    return {
        "position": result.event_times,
        "estimate": result.effects.values,
        "low": low,
        "high": high,
        "reference": result.reference,
        "contrast": type(result.estimator).__name__ == "TWFE",
    }
