"""Goodman-Bacon: two-way fixed effects as a weighted average of comparisons of two groups in two spells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Checks
from causalkit.core.design import Design
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats

Kind = Literal["treated vs never treated", "earlier vs later treated", "later vs earlier treated", "treated vs always"]


@dataclass(frozen=True)
class Comparison:
    """One comparison of two groups: who changes, who is compared with, the estimate and its weight."""

    kind: Kind
    treated: Any
    control: Any
    estimate: float
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class BaconDecomposition(Report):
    """The comparisons that two-way fixed effects averages.

    Parameters
    ----------
    comparisons : tuple of Comparison
        Their weights sum to one.
    checks : Checks
        The ledger of the input.
    """

    comparisons: tuple[Comparison, ...]
    checks: Checks

    plots = ("scatter",)

    @property
    def estimate(self) -> float:
        """The weighted sum: the coefficient of two-way fixed effects."""
        return sum(part.weight * part.estimate for part in self.comparisons)

    @property
    def forbidden(self) -> float:
        """Weight of the comparisons with units that are treated already."""
        return sum(part.weight for part in self.comparisons if part.kind in _FORBIDDEN)

    @property
    def title(self) -> str:
        """What this is."""
        return "Goodman-Bacon decomposition"

    @property
    def answer(self) -> str:
        """The coefficient, and how much of it compares with units that are treated already."""
        return (
            f"Two-way fixed effects gives {fmt.number(self.estimate)}; {fmt.share(self.forbidden)} of its weight compares "
            "with units that are treated already."
        )

    def to_table(self) -> Table:
        """Return the comparisons."""
        rows = [
            (part.kind, str(part.treated), str(part.control), part.estimate, part.weight) for part in self.comparisons
        ]
        return Table.of(("kind", "treated", "control", "estimate", "weight"), rows)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return weights and estimates by kind."""
        return {
            "title": self.title,
            "groups": [part.kind for part in self.comparisons],
            "x": np.array([part.weight for part in self.comparisons]),
            "y": np.array([part.estimate for part in self.comparisons]),
            "line": self.estimate,
            "line_label": f"TWFE {fmt.number(self.estimate, 3)}",
            "xlabel": "weight",
            "ylabel": "estimate",
        }


_FORBIDDEN = ("later vs earlier treated", "treated vs always")


def bacon_decomposition(
    data: Any,
    *,
    outcome: Any,
    unit: Any,
    time: Any,
    cohort: Any = None,
    treatment: Any = None,
    control: Any = None,
    treatment_level: Any = None,
    unbalanced: Literal["drop", "raise"] = "drop",
) -> BaconDecomposition:
    """Decompose the static coefficient of two-way fixed effects on a balanced panel.

    Goodman-Bacon (2021), "Difference-in-differences with variation in treatment timing", theorem 1.

    Parameters
    ----------
    data : table
        One row per unit and period.
    outcome : str
        Numeric column.
    unit, time : str
        Who and when.
    cohort, treatment : str
        One of them: when the unit is first treated, or whether the row is.
    control, treatment_level : level, optional
        Levels of ``treatment``, needed for text.
    unbalanced : {"drop", "raise"}
        What to do with units that are not observed in every period.

    Returns
    -------
    BaconDecomposition
    """
    if unbalanced not in ("drop", "raise"):
        raise DesignError(
            f"unbalanced={unbalanced!r} is not offered.", hint="The decomposition needs a balanced panel."
        )
    given = {
        "outcome": outcome,
        "unit": unit,
        "time": time,
        "cohort": cohort,
        "treatment": treatment,
        "control": control,
        "treatment_level": treatment_level,
    }
    return decompose(Cohorts.of(Design(ROLES).bind(data, given), unbalanced=unbalanced, always_treated="keep"))


def decompose(cohorts: Cohorts) -> BaconDecomposition:
    """Return the comparisons of a balanced panel."""
    found = list(_comparisons(cohorts))
    total = sum(part.weight for part in found)
    parts = tuple(Comparison(p.kind, p.treated, p.control, p.estimate, p.weight / total) for p in found)
    return BaconDecomposition(parts, Checks(cohorts.input_checks()))


def _comparisons(cohorts: Cohorts) -> Iterator[Comparison]:
    """Yield the comparisons with weights that still need to be divided by their sum."""
    starts = np.append(cohorts.starts, cohorts.n_periods)
    names = (*cohorts.labels, "never")
    here = [j for j in range(len(starts)) if cohorts.sizes[j]]
    means = {j: cohorts.outcome[cohorts.of_unit == j].mean(axis=0) for j in here}
    t = cohorts.n_periods
    share = {j: cohorts.sizes[j] / cohorts.n_units for j in here}
    on = {j: (t - starts[j]) / t for j in here}  # share of periods with treatment
    for k in here:
        for other in here:
            if on[k] == 0 or on[k] == 1 or k == other:
                continue
            first, last = int(starts[k]), int(starts[other])
            both = share[k] * share[other]
            if on[other] == 0:
                change = _change(means[k], means[other], slice(0, first), slice(first, t))
                yield Comparison("treated vs never treated", names[k], names[other], change, both * on[k] * (1 - on[k]))
            elif on[other] == 1:
                change = _change(means[k], means[other], slice(0, first), slice(first, t))
                yield Comparison("treated vs always", names[k], names[other], change, both * on[k] * (1 - on[k]))
            elif first < last:
                change = _change(means[k], means[other], slice(0, first), slice(first, last))
                weight = both * (on[k] - on[other]) * (1 - on[k])
                yield Comparison("earlier vs later treated", names[k], names[other], change, weight)
            else:
                change = _change(means[k], means[other], slice(last, first), slice(first, t))
                weight = both * on[k] * (on[other] - on[k])
                yield Comparison("later vs earlier treated", names[k], names[other], change, weight)


def _change(treated: Floats, control: Floats, before: slice, after: slice) -> float:
    gap = treated - control
    return float(gap[after].mean() - gap[before].mean())
