"""The numbers of the figures of a panel: average outcomes by cohort, and who is treated when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from causalkit.core.panel import Panel
from causalkit.core.sample import Arms, Sample
from causalkit.did.cohorts import Cohorts
from causalkit.did.starts import starts_from_cohort, starts_from_treatment
from causalkit.kernels.arrays import Floats, Ints

FIGURES = ("cohort_paths", "timing")
#: Most units in a map of who is treated when: taken at even steps from all, in the order of the map.
UNITS = 240


def panel_figures(sample: Sample | None) -> tuple[str, ...]:
    """Return the figures of a panel that a sample has: none where rows or units are not known.

    Cohorts have no path where treatment is taken away again; and where only some units of a cohort are eligible, neither
    figure would say who is treated.
    """
    if sample is None or not sample.has("unit") or sample.has("eligible"):
        return ()
    if sample.has("cohort"):
        return FIGURES
    column = sample.columns.get("treatment")
    if not isinstance(column, Arms) or column.count != 2:
        return ()
    cohorts = _read(sample)
    return FIGURES if np.array_equal(cohorts.treated, column.codes == 1) else FIGURES[1:]


def panel_figure(kind: str, sample: Sample) -> Mapping[str, Any]:
    """Return the numbers of one of :data:`FIGURES`.

    Parameters
    ----------
    kind : {"cohort_paths", "timing"}
    sample : Sample
        The rows that were used, with ``unit``, ``time`` and ``cohort`` or ``treatment``.
    """
    cohorts = _read(sample)
    shared: dict[str, Any] = {"title": "", "xlabel": sample.name("time"), **_positions(cohorts.periods)}
    return {**shared, **(_paths(cohorts) if kind == "cohort_paths" else _timing(cohorts))}


def _read(sample: Sample) -> Cohorts:
    panel = Panel.of(sample)
    start, label_of, _ = starts_from_cohort(panel) if sample.has("cohort") else starts_from_treatment(panel, "keep")
    return Cohorts(panel, start, label_of)


def _positions(periods: tuple[object, ...]) -> dict[str, Any]:
    """Return the periods as numbers, or counted and named."""
    if all(isinstance(label, int | float) for label in periods):
        return {"position": [float(label) for label in periods]}  # type: ignore[arg-type]
    return {"position": list(map(float, range(len(periods)))), "labels": [str(label) for label in periods]}


def _paths(cohorts: Cohorts) -> dict[str, Any]:
    """Return weighted mean outcomes by cohort and period."""
    panel = cohorts.panel
    weights = cohorts.sample.optional("weights")
    weights = np.ones(cohorts.sample.n) if weights is None else weights
    shape = (len(cohorts.sizes), cohorts.n_periods)
    cell = cohorts.of_unit[panel.unit.codes] * shape[1] + panel.time.codes
    total = np.bincount(cell, weights, shape[0] * shape[1])
    middle = float(cohorts.sample.outcome.mean())  # sums of what is left keep their digits
    summed = np.bincount(cell, weights * (cohorts.sample.outcome - middle), shape[0] * shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(total > 0, middle + summed / total, np.nan).reshape(shape)
    position = np.asarray(_positions(cohorts.periods)["position"])
    names, start = [str(label) for label in cohorts.labels], position[cohorts.starts]
    kept = np.flatnonzero(cohorts.sizes)
    return {
        "cohorts": [[*names, "never"][at] for at in kept],
        "mean": [mean[at] for at in kept],
        "start": np.append(start, np.nan)[kept],
        "units": cohorts.sizes[kept],
        "ylabel": f"Average {cohorts.sample.name('outcome')}",
    }


def _timing(cohorts: Cohorts) -> dict[str, Any]:
    """Return who is treated when: units by start, then by path, at most :data:`UNITS` of them."""
    status = _status(cohorts)
    order = np.lexsort((*status.T[::-1], cohorts.start))
    order = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), UNITS)).round().astype(np.int64))]
    names = (*(str(label) for label in cohorts.labels), "never")
    return {
        "status": status[order],
        "cohort": [names[at] for at in cohorts.of_unit[order]],
        "units": np.full(len(order), cohorts.n_units / len(order)),
    }


def _status(cohorts: Cohorts) -> Ints:
    """Return 1 where a unit is treated, 0 where it is not, and -1 where it was not observed, shape (units, periods)."""
    column = cohorts.sample.columns.get("treatment")
    treated = column.codes == 1 if isinstance(column, Arms) else cohorts.treated
    wide: Floats = cohorts.panel.wide(treated.astype(np.float64))
    return np.where(np.isnan(wide), -1, wide).astype(np.int64)
