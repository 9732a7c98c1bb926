"""What two-way fixed effects weights: the share of each treated cell in the coefficient, and which shares are negative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.design import Design
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.did.cohorts import ROLES, Cohorts
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Bools, Floats
from causalkit.linear.absorb import absorber

#: Negative weights of less than this in total are no reason to worry.
SMALL = 0.01

#: Less of the treatment than this share, left by unit and time effects, is rounding.
_NOTHING = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class TWFEWeights(Report):
    """Weights of the effects of cohorts and periods in the coefficient of two-way fixed effects.

    Parameters
    ----------
    cohort, time : tuple of labels
        The treated cells.
    weights : Floats
        Their weights, which sum to one.
    checks : Checks
        The ledger.
    """

    cohort: tuple[Any, ...]
    time: tuple[Any, ...]
    weights: Floats
    checks: Checks

    plots = ("bars",)

    @property
    def negative(self) -> float:
        """Sum of the negative weights (zero or below)."""
        return float(self.weights[self.weights < 0].sum())

    @property
    def title(self) -> str:
        """What this is."""
        return "Weights of two-way fixed effects"

    @property
    def answer(self) -> str:
        """How many weights are negative, and what they sum to."""
        count = int((self.weights < 0).sum())
        return (
            f"{count} of {len(self.weights)} treated cells enter with a negative weight; these sum to "
            f"{fmt.number(self.negative, 3)}."
        )

    def to_table(self) -> Table:
        """Return the weight of each treated cell."""
        return Table.of(("cohort", "time", "weight"), zip(self.cohort, self.time, self.weights.tolist(), strict=True))

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return labels and heights of bars."""
        labels = [f"{cohort} in {time}" for cohort, time in zip(self.cohort, self.time, strict=True)]
        return {"title": self.title, "labels": labels, "values": self.weights, "ylabel": "weight"}


def twfe_weights(
    data: Any,
    *,
    unit: Any,
    time: Any,
    cohort: Any = None,
    treatment: Any = None,
    control: Any = None,
    treatment_level: Any = None,
    weights: Any = None,
) -> TWFEWeights:
    """Return the weight of each cohort and period in the static coefficient of two-way fixed effects.

    The coefficient is the sum of weights times average effects of treated cells; with effects that differ, negative
    weights can turn its sign. De Chaisemartin and D'Haultfoeuille (2020), "Two-way fixed effects estimators with
    heterogeneous treatment effects", theorem 1.

    Parameters
    ----------
    data : table
        One row per unit and period.
    unit, time : str
        Who and when.
    cohort, treatment : str
        One of them: when the unit is first treated, or whether the row is.
    control, treatment_level : level, optional
        Levels of ``treatment``, needed for text.
    weights : str, optional
        Weights of the regression.

    Returns
    -------
    TWFEWeights
    """
    roles = {role: spec for role, spec in ROLES.items() if role != "outcome"}
    given = {
        "unit": unit,
        "time": time,
        "cohort": cohort,
        "treatment": treatment,
        "control": control,
        "treatment_level": treatment_level,
        "weights": weights,
    }
    sample = Design(roles).bind(data, given)
    cohorts = Cohorts.of(sample, unbalanced="cells", always_treated="keep", reversals="keep")
    treated = sample.arms.codes == 1 if sample.has("treatment") else cohorts.treated
    return weights_of(cohorts, treated)


def weights_of(cohorts: Cohorts, treated: Bools) -> TWFEWeights:
    """Return the weights for a bound panel whose treated rows are given."""
    sample, panel = cohorts.sample, cohorts.panel
    w = sample.optional("weights")
    part = absorber([panel.unit.codes, panel.time.codes], w).partial_out([treated.astype(float)])
    left = part.columns[0] if w is None else part.columns[0] * w
    total = left[treated].sum()
    mass = float(treated.sum() if w is None else w[treated].sum())
    if not total > _NOTHING * mass:
        raise DesignError(
            "unit and time effects determine the treatment: two-way fixed effects has no coefficient whose weights to tell.",
            hint="There must be untreated rows in the periods of treated ones, of units seen in several periods.",
        )
    cohort_of_row = cohorts.of_unit[panel.unit.codes]
    cell = cohort_of_row * cohorts.n_periods + panel.time.codes
    sums = np.bincount(cell[treated], left[treated], minlength=(len(cohorts.starts) + 1) * cohorts.n_periods)
    there = np.flatnonzero(np.bincount(cell[treated], minlength=len(sums)))
    names = (*cohorts.labels, "never")
    found = sums[there] / total
    return TWFEWeights(
        tuple(names[j // cohorts.n_periods] for j in there),
        tuple(cohorts.periods[j % cohorts.n_periods] for j in there),
        found,
        Checks({"negative_weights": _check(found)}),
    )


def negative_weights_check(cohorts: Cohorts, treated: Bools) -> Check:
    """Return the check that goes with every static fit."""
    return weights_of(cohorts, treated).checks["negative_weights"]


def _check(weights: Floats) -> Check:
    negative = float(weights[weights < 0].sum())
    bad = negative < -SMALL
    count = int((weights < 0).sum())
    return Check(
        "negative_weights",
        "warn" if bad else "pass",
        f"{count} of {len(weights)} treated cells (cohort and period) enter with a negative weight, in sum "
        f"{fmt.number(negative, 3)}.",
        statistic=negative,
        advice="Effects that differ can turn the sign: use CallawaySantAnna, SunAbraham or ImputationDiD."
        if bad
        else "",
    )
