"""Why estimators of the same panel differ, in words and with the numbers that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.estimator import Estimator
from causalkit.did.bacon import decompose
from causalkit.did.cohorts import Cohorts
from causalkit.did.comparison_align import Cell
from causalkit.kernels.arrays import Bools, Floats
from causalkit.linear.absorb import absorber

NEVER, NOT_YET = "never treated", "not yet treated"
LAST, ALL_EARLIER = "last period before the start", "all periods before the start"

#: Estimator -> whom it compares with, from which period on, and what is special about it.
ABOUT: dict[str, tuple[str, str, str]] = {
    "CallawaySantAnna": ("", LAST, "one clean comparison for each cohort and period"),
    "SunAbraham": (
        NEVER,
        LAST,
        "the same comparisons as Callaway and Sant'Anna's with never-treated units, by regression",
    ),
    "ImputationDiD": (
        NOT_YET,
        ALL_EARLIER,
        (
            "all untreated observations predict the missing outcome: precise where parallel trends hold in every period, "
            "biased by early departures from them"
        ),
    ),
    "TwoStageDiD": (NOT_YET, ALL_EARLIER, "the estimate of imputation, with another variance"),
    "ExtendedTWFE": ("", ALL_EARLIER, "the estimate of imputation on a balanced panel, by regression"),
    "StackedDiD": (NOT_YET, LAST, "only event times that every cohort has, with the same controls at all of them"),
    "LocalProjectionsDiD": (NOT_YET, LAST, "each horizon against units that are untreated until then"),
    "TWFE": ("everybody, the treated too", "all other periods", "weights that least squares happens to give"),
}


@dataclass(frozen=True)
class Weighing:
    """What two-way fixed effects does to the effects by cohort and period of another estimator.

    Parameters
    ----------
    gap : float
        Two-way fixed effects minus the average over treated cells.
    by_weights : float
        The part of it that other weights on the same effects make.
    by_rest : float
        The rest: differences before the start, which enter the coefficient too, and other controls.
    exact : bool
        Whether the rest is nothing but differences before the start (balanced panel, never-treated controls, no
        covariates).
    negative : float
        Sum of the negative weights.
    n_negative, n_cells : int
        Treated cells with a negative weight, and all.
    forbidden : float or None
        Weight of comparisons with units that are treated already (Goodman-Bacon); None where it can't be had.
    """

    gap: float
    by_weights: float
    by_rest: float
    exact: bool
    negative: float
    n_negative: int
    n_cells: int
    forbidden: float | None


def weigh(cohorts: Cohorts, treated: Bools, twfe: float, grid: Floats, common: set[Cell], mean: float) -> Weighing:
    """Split the gap between two-way fixed effects and an average over treated cells.

    The coefficient is a sum of weights times outcomes, and the weights sum to zero within units and within periods; so it
    is the same sum over effects by cohort and period, those before the start among them.
    """
    weights = coefficient_weights(cohorts, treated)
    post = np.arange(cohorts.n_periods) >= cohorts.starts[:, None]
    after = weights[:-1][post]
    known = np.where(np.isnan(grid), 0.0, grid)
    there = ~np.isnan(grid)
    total = float(after.sum())
    on_effects = float((weights[:-1] * known)[post & there].sum()) / total
    everywhere = float((weights[:-1] * known)[there].sum())
    exact = bool(there.all()) and abs(everywhere - twfe) <= 1e-9 * max(abs(twfe), float(np.abs(known).max()))
    return Weighing(
        twfe - mean,
        on_effects - mean,
        twfe - on_effects,
        exact,
        float(after[after < 0].sum()),
        int((after < 0).sum()),
        len(after),
        _forbidden(cohorts),
    )


def coefficient_weights(cohorts: Cohorts, treated: Bools) -> Floats:
    """Return the weight of each mean outcome in the coefficient, shape (cohorts + 1, periods); treated cells sum to one."""
    panel, w = cohorts.panel, cohorts.sample.optional("weights")
    left = absorber([panel.unit.codes, panel.time.codes], w).partial_out([treated.astype(float)]).columns[0]
    left = left if w is None else left * w
    cell = cohorts.of_unit[panel.unit.codes] * cohorts.n_periods + panel.time.codes
    size = (len(cohorts.starts) + 1) * cohorts.n_periods
    sums = np.bincount(cell, left, minlength=size) / left[treated].sum()
    return np.asarray(sums.reshape(-1, cohorts.n_periods))


def _forbidden(cohorts: Cohorts) -> float | None:
    """Return the share of forbidden comparisons; none where the panel has gaps, covariates or weights."""
    plain = not (cohorts.sample.has("weights") or cohorts.sample.features().values.shape[1])
    if not plain or not cohorts.panel.is_balanced:
        return None
    return float(decompose(cohorts).forbidden)


def controls_of(estimator: Estimator[Any]) -> str:
    """Say whom an estimator compares with."""
    group = getattr(estimator, "control_group", None)
    if group is not None:
        return NEVER if group == "never_treated" else NOT_YET
    return ABOUT.get(type(estimator).__name__, ("", "", ""))[0]


def base_of(estimator: Estimator[Any]) -> str:
    """Say what period an estimator measures from."""
    name = type(estimator).__name__
    if name == "ExtendedTWFE" and getattr(estimator, "control_group", "") == "never_treated":
        return LAST
    return ABOUT.get(name, ("", "", ""))[1]


def about(estimator: Estimator[Any]) -> str:
    """Say what is special about an estimator."""
    return ABOUT.get(type(estimator).__name__, ("", "", "an estimator of your own"))[2]


def said_of_weights(name: str, reference: str, w: Weighing) -> str:
    """Explain the gap of two-way fixed effects."""
    rest = (
        "differences before the start, which enter the coefficient too"
        if w.exact
        else "other controls and base periods"
    )
    said = (
        f"{name} minus {reference} is {fmt.number(w.gap, 3)}: {fmt.number(w.by_weights, 3)} because it weights the same "
        f"effects otherwise ({w.n_negative} of {w.n_cells} treated cells have a negative weight, in sum "
        f"{fmt.number(w.negative, 3)}), {fmt.number(w.by_rest, 3)} from {rest}."
    )
    if w.forbidden is not None:
        said += f" {fmt.share(w.forbidden)} of its weight compares with units that are treated already."
    return said
