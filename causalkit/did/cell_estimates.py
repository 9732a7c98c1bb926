"""Estimates of planned comparisons with everything a result needs of them, on a panel observed in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalkit.core.check import Check
from causalkit.core.deferred import influence_or_covariance
from causalkit.core.estimate import Estimate
from causalkit.core.rows import Groups
from causalkit.core.table import Table
from causalkit.did.arranged import Arranged
from causalkit.did.cohorts import Cohorts
from causalkit.did.group_time import Comparisons, Method, compare
from causalkit.did.panel_moments import MomentCells, PanelMoments
from causalkit.did.plan import Adoption, Cell, control_sets, places, said
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints, read_only


@dataclass(frozen=True, eq=False)
class CellEstimates:
    """Estimated cells.

    Attributes
    ----------
    plan : tuple of Cell
        The cells, in the order of the estimates.
    shares : Floats
        Share of each cohort in all units.
    joint : Estimate
        The effects, then the shares.
    counts : Ints, shape (2, k)
        Treated and control units.
    failed : tuple of (Cell, str)
        Cells that could not be estimated, and why.
    trimmed : int or None
        Comparisons with a control that got no weight; None where there is no propensity model.
    """

    plan: tuple[Cell, ...]
    shares: Floats
    joint: Estimate
    counts: Ints
    failed: tuple[tuple[Cell, str], ...] = ()
    trimmed: int | None = None

    def checks(self, cohorts: Adoption) -> dict[str, Check]:
        """Return the checks of overlap, and of cells that were left out."""
        found = {}
        if self.trimmed is not None:
            found["overlap"] = overlap_check(self.trimmed)
        if self.failed:
            rows = [(said(cohorts, cell), why) for cell, why in self.failed]
            told = "; ".join(f"{name} ({why})" for name, why in rows[:3])
            more = f"; and {len(rows) - 3} more" if len(rows) > 3 else ""
            found["cells"] = Check(
                "cells",
                "warn",
                f"{len(rows)} of {len(rows) + len(self.plan)} effects by cohort and time could not be estimated and are "
                f"left out, also of averages: {told}{more}.",
                advice='Use fewer covariates, or more controls (control_group="not_yet_treated").',
                table=Table.of(("effect", "reason"), rows),
            )
        return found


def overlap_check(trimmed: int) -> Check:
    """Say how many comparisons have a control unit whose propensity is too high to be weighted."""
    return Check(
        "overlap",
        "warn" if trimmed else "pass",
        f"{trimmed} comparisons with a control unit were given no weight: its propensity is above .995."
        if trimmed
        else "No control unit has a propensity above .995.",
        advice="The effect then speaks of fewer units; use fewer covariates." if trimmed else "",
    )


def require_cells(cohorts: Adoption, plan: Sequence[Cell], failed: Sequence[tuple[Cell, str]]) -> None:
    """Raise where no cell, or no cell after the start, could be estimated.

    Raises
    ------
    DesignError
    """
    if any(cell.time >= cohorts.starts[cell.cohort] for cell in plan):
        return
    shown = next((pair for pair in failed if pair[0].time >= cohorts.starts[pair[0].cohort]), None)
    told = "" if shown is None else f", such as {said(cohorts, shown[0])}: {shown[1]}"
    raise DesignError(
        f"no effect after the start can be estimated{told}.",
        hint='Use fewer covariates, method="reg", more controls (control_group="not_yet_treated"), or a smaller '
        "anticipation=.",
    )


def on_panel(cohorts: Cohorts, plan: Sequence[Cell], method: Method) -> CellEstimates:
    """Estimate cells of a panel in which every unit is observed in every period.

    Parameters
    ----------
    cohorts : Cohorts
    plan : sequence of Cell
    method : {"dr", "ipw", "reg"}
    """
    cohorts.require_spread()
    panel = Arranged.of(cohorts)
    found: MomentCells | Comparisons
    failed: tuple[tuple[Cell, str], ...] = ()
    trimmed: int | None = None
    if panel.designs is None and panel.is_fixed:
        found = MomentCells.of(PanelMoments.of(panel), plan)
        kept = tuple(plan)
    else:
        found = compare(panel, plan, "reg" if panel.designs is None else method)
        kept, failed = found.plan, found.failed
        trimmed = None if panel.designs is None else sum(one.trimmed for one in found.fitted)
    require_cells(cohorts, kept, failed)
    ways = cohorts.clusters
    carrier = influence_or_covariance(
        lambda: _influence(found, panel),
        (panel.n, len(kept) + len(found.shares)),
        _vcov(found, panel, ways),
        lambda: cohorts.unit_rows,
        ways,
        "CR0",
    )
    joint = Estimate(np.concatenate([found.theta, found.shares]), carrier)
    return CellEstimates(kept, read_only(found.shares), joint, unit_counts(cohorts, kept), failed, trimmed)


def unit_counts(cohorts: Adoption, plan: Sequence[Cell]) -> Ints:
    """Return the units of each cell's cohort and of its controls, shape (2, k)."""
    sets, of = control_sets(plan, len(cohorts.sizes))
    return np.stack([cohorts.sizes[places(plan)[0]], np.where(sets, cohorts.sizes, 0).sum(axis=1)[of]])


def _influence(found: MomentCells | Comparisons, panel: Arranged) -> Floats:
    return found.influence(panel) if isinstance(found, MomentCells) else found.influence()


def _vcov(found: MomentCells | Comparisons, panel: Arranged, ways: Sequence[Groups]) -> Floats | None:
    """Return the covariance of cells and shares; None with several ways of clustering."""
    if len(ways) > 1:
        return None
    way = ways[0] if ways else None
    if isinstance(found, Comparisons):
        return found.vcov(None if way is None else way.codes, 0 if way is None else len(way.labels))
    return found.vcov() if way is None else found.clustered_vcov(panel, way.codes, len(way.labels))
