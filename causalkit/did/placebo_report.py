"""What a diagnostic that estimates again and again has to show: a row, a mark and an interval each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.effects import Effects
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.kernels.arrays import Floats


@dataclass(frozen=True)
class Row:
    """One estimate of a diagnostic: its name, further columns, and a vector of one effect."""

    name: str
    columns: Mapping[str, Any]
    effect: Effects

    @property
    def estimate(self) -> float:
        """The estimate."""
        return float(self.effect.values[0])

    @property
    def se(self) -> float:
        """Its standard error."""
        return float(self.effect.se[0])

    @property
    def pvalue(self) -> float:
        """Two-sided p-value against zero."""
        return float(self.effect.pvalue[0])

    def ci(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the interval of level ``1 - alpha``.

        Parameters
        ----------
        alpha : float
            One minus the coverage.
        """
        low, high = self.effect.ci(alpha)
        return float(low[0]), float(high[0])


@dataclass(frozen=True, eq=False, repr=False)
class DiagnosticReport(Report):
    """A verdict, with the estimates it rests on.

    Parameters
    ----------
    name : str
        What was done.
    verdict : Check
        What came out.
    found : tuple of Row
        The estimates.
    null : float
        The value that the figure marks.
    """

    name: str
    verdict: Check
    found: tuple[Row, ...]
    null: float = 0.0

    plots = ("effects",)

    @property
    def title(self) -> str:
        """What was done."""
        return self.name

    @property
    def answer(self) -> str:
        """What came out."""
        return self.verdict.message

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """The verdict, as a ledger of one."""
        return Checks({self.verdict.name: self.verdict})

    @property
    def estimates(self) -> Floats:
        """The estimates, in the order of ``found``."""
        return np.array([row.estimate for row in self.found])

    def to_table(self) -> Table:
        """Return one row per estimate."""
        more = tuple(self.found[0].columns) if self.found else ()
        body = [(row.name, *row.columns.values(), row.estimate, row.se, row.pvalue, *row.ci()) for row in self.found]
        return Table.of(("term", *more, "estimate", "se", "pvalue", "ci_low", "ci_high"), body)

    def passages(self) -> tuple[Passage, ...]:
        """Return the verdict with its table and figure: an assumption that was checked."""
        return (Passage("certainty", self.title, (self.answer,), self.to_table(), "effects"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return names, estimates and intervals."""
        limits = np.array([row.ci() for row in self.found])
        return {
            "title": self.title,
            "terms": [row.name for row in self.found],
            "estimate": self.estimates,
            "low": limits[:, 0],
            "high": limits[:, 1],
            "null": self.null,
        }


def none_differs(name: str, rows: tuple[Row, ...], what: str, advice: str, alpha: float = 0.05) -> Check:
    """Return the check that no estimate differs from zero, with Holm's adjustment.

    The interval that is told belongs to the p-value that is told: Holm's smallest is the p-value times the number of
    estimates, and excludes zero exactly where the interval of level ``1 - alpha`` over that number does.
    """
    from causalkit.core import format as fmt
    from causalkit.inference.multiplicity import adjust_pvalues

    adjusted = adjust_pvalues([row.pvalue for row in rows], method="holm")
    worst = int(np.argmin([row.pvalue for row in rows]))  # Holm may give others the same adjusted value
    row, bad = rows[worst], bool(adjusted[worst] < alpha)
    several = f", both adjusted for {len(rows)}" if len(rows) > 1 else ""
    return Check(
        name,
        "fail" if bad else "pass",
        f"{what} {'differs from zero' if bad else 'does not differ from zero'}: {row.name} "
        f"{fmt.number(row.estimate, 3)} {fmt.interval(*row.ci(alpha / len(rows)), 3)} "
        f"(p-value {fmt.pvalue(adjusted[worst])}{several}).",
        statistic=row.estimate / row.se if row.se > 0 else None,
        pvalue=float(adjusted[worst]),
        advice=advice if bad else "",
    )
