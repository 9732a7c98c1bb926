"""Average effects by cohort and time with covariates, and their influence values in blocks.

A cell compares the change of a cohort's outcome, from its base period to the period of the cell, with that of control
units. Cells of one cohort that share controls and covariates share one propensity model and one regression, solved for all
periods at once from cross-products that add up over cohorts; comparisons that share covariates are fitted side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from causalkit.did.arranged import Arranged
from causalkit.did.cell_influence import Fitted, Part
from causalkit.did.logit import NotEstimable
from causalkit.did.plan import Cell
from causalkit.did.propensities import Propensities, Sides, fit_propensities, pieces_of
from causalkit.kernels.arrays import Codes, Floats, Ints

Method = Literal["dr", "ipw", "reg"]

#: Beyond this condition number (of standardised cross-products) covariates count as collinear.
CONDITION = 1e12


@dataclass(frozen=True, eq=False)
class Comparisons:
    """All cells of a plan, and those that could not be estimated.

    Attributes
    ----------
    panel : Arranged
    fitted : tuple of Fitted
        One for each design; their cells are numbered without those that failed.
    plan : tuple of Cell
        The cells that were estimated.
    failed : tuple of (Cell, str)
        The others, and why.
    """

    panel: Arranged
    fitted: tuple[Fitted, ...]
    plan: tuple[Cell, ...]
    failed: tuple[tuple[Cell, str], ...]

    @cached_property
    def theta(self) -> Floats:
        """The estimates, shape (k,)."""
        found = np.empty(len(self.plan))
        for fitted in self.fitted:
            found[fitted.at] = fitted.values
        return found

    @cached_property
    def shares(self) -> Floats:
        """Share of each cohort in all units, by their weights in the first period."""
        return np.asarray(self._totals[:-1] / self._totals.sum())

    @cached_property
    def _totals(self) -> Floats:
        count = len(self.panel.bounds) - 1
        return np.array([sum(self.panel.weight(some, 0).sum() for some in self.panel.blocks(c)) for c in range(count)])

    def blocks(self) -> Iterator[tuple[slice, Ints, Floats]]:
        """Yield influence values of some units at a time, 1/n folded in.

        Yields
        ------
        some : slice
            The units, as places of the panel.
        at : Ints, shape (m,)
            Cells (and, after them, shares) in whose estimates these units take part.
        psi : Floats, shape (m, r)
            Overwritten by the next block.
        """
        panel, k, width = self.panel, len(self.plan), len(self.panel.outcome)
        share_places = np.arange(k, k + len(self.shares))
        parts: tuple[Part, ...] = ()
        at, buffer, before = share_places, np.empty(0), -1
        for piece in pieces_of(panel, 0, k + len(share_places)):
            c, some, r = piece.cohort, piece.some, piece.x.shape[1]
            if c != before:
                parts = tuple(part for fitted in self.fitted for part in fitted.parts(c, width))
                at, before = np.concatenate([*(part.at for part in parts), share_places]), c
            if len(buffer) < len(at) * r:
                buffer = np.empty(len(at) * r)
            psi = buffer[: len(at) * r].reshape(len(at), r)
            self._write_shares(psi[len(at) - len(share_places) :], c, some)
            row, beside, base = 0, np.empty((width + len(piece.x), r)), -1
            beside[:width] = panel.outcome[:, some]
            for part in parts:
                if part.base != base:
                    base, beside[width:] = part.base, panel.design(some, part.base)
                    w = None if panel.weights is None else panel.weight(some, base)
                part.write(psi[row : row + len(part.at)], beside, beside[width:], w)
                row += len(part.at)
            yield some, at, psi

    def _write_shares(self, psi: Floats, cohort: int, some: slice) -> None:
        psi[:] = -self.shares[:, None] / self.panel.n
        if cohort < len(self.shares):
            psi[cohort] += self.panel.weight(some, 0) / self._totals.sum()

    def vcov(self, codes: Codes | None, count: int) -> Floats:
        """Return the covariance, by unit or with clusters of units; no more than a block of values is held.

        Parameters
        ----------
        codes : Codes, shape (n,), or None
            Cluster of each unit, in the order of the table.
        count : int
            Number of codes.
        """
        size = len(self.plan) + len(self.shares)
        found = np.zeros((size, size) if codes is None else (size, count))
        for some, at, psi in self.blocks():
            if codes is None:
                found[np.ix_(at, at)] += psi @ psi.T
            else:
                there, local = np.unique(codes[self.panel.order[some]], return_inverse=True)
                found[np.ix_(at, there)] += [np.bincount(local, weights=row) for row in psi]
        return found if codes is None else np.asarray(found @ found.T)

    def influence(self) -> Floats:
        """Return the influence values of all units, in the order of the table, 1/n folded in."""
        found = np.zeros((self.panel.n, len(self.plan) + len(self.shares)))
        for some, at, psi in self.blocks():
            found[np.ix_(self.panel.order[some], at)] = psi.T
        return found


def compare(panel: Arranged, cells: Sequence[Cell], method: Method) -> Comparisons:
    """Fit the cells, those that share a design together.

    Parameters
    ----------
    panel : Arranged
    cells : sequence of Cell
    method : {"dr", "ipw", "reg"}
        Doubly robust, inverse propensity weighting (Hajek), or outcome regression.

    Returns
    -------
    Comparisons
        Without the cells whose covariates are collinear among the controls, or separate them from the treated.

    References
    ----------
    Callaway and Sant'Anna (2021), eqs. 2.4-2.6; Sant'Anna and Zhao (2020), "Doubly robust difference-in-differences
    estimators", theorem 1 and appendix, for the influence functions.
    """
    by_base: dict[int, list[int]] = {}
    for j, cell in enumerate(cells):
        by_base.setdefault(0 if panel.is_fixed else min(cell.base, cell.time), []).append(j)
    fitted, failed = [], []
    for base, at in by_base.items():
        found, lost = _fit(panel, base, np.array(at), [cells[j] for j in at], method)
        fitted += [found] if len(found.at) else []
        failed += lost
    gone = {j for j, _ in failed}
    kept = [j for j in range(len(cells)) if j not in gone]
    place = np.full(len(cells), -1)
    place[kept] = np.arange(len(kept))
    moved = tuple(replace(found, at=place[found.at]) for found in fitted)
    return Comparisons(panel, moved, tuple(cells[j] for j in kept), tuple((cells[j], why) for j, why in sorted(failed)))


@dataclass(frozen=True, eq=False)
class _Regressions:
    """Regressions of the controls: inverse cross-products (m, p, p) and slopes (k, p), and why some failed."""

    inverse: Floats
    slopes: Floats
    why: dict[int, str]


def _fit(
    panel: Arranged, base: int, at: Ints, cells: Sequence[Cell], method: Method
) -> tuple[Fitted, list[tuple[int, str]]]:
    """Fit the cells of one design; return them without those that failed, and these."""
    sides, of = _sides_of(cells, len(panel.bounds) - 1)
    times, bases = np.array([(cell.time, cell.base) for cell in cells]).T
    xx, xy = _products(panel, base)
    change = xy[:, :, times] - xy[:, :, bases]  # by cohort, (c, p, k)
    mine, total = xx[sides.treated], xx[sides.treated, 0, 0]
    lines = _regressions(sides, of, xx, change, method)
    why, slopes = lines.why, lines.slopes
    k, p = slopes.shape
    own, cell = mine[:, 0], np.arange(k)
    treated = (change[sides.treated[of], 0, cell] - np.einsum("kp,kp->k", own[of], slopes)) / total[of]
    by_slopes = np.einsum("mpq,mq->mp", lines.inverse, own) / total[:, None]
    control, by_score, weight, trimmed = np.zeros(k), np.zeros((k, p)), np.ones(len(total)), 0
    coefficients = None
    if method != "reg":
        found = fit_propensities(panel, base, sides)
        why |= {int(j): "its covariates tell treated units from controls without error"
                for j in np.flatnonzero(~found.ok) if j not in why}  # fmt: skip
        weight = np.where(found.ok, found.odds_xx[:, 0, 0], 1.0)
        why |= {int(j): "no control has covariates like its units" for j in np.flatnonzero(~(weight > 0))}
        weight = np.where(weight > 0, weight, 1.0)
        control, by_score = _reweighted(found, of, times, bases, slopes, weight)
        by_slopes = by_slopes - np.einsum("mpq,mq->mp", lines.inverse, found.odds_xx[:, 0]) / weight[:, None]
        coefficients = found.coefficients
        trimmed = int(sum(found.trimmed[j] for j in range(len(total)) if j not in why))
    ok = np.array([int(j) not in why for j in of], dtype=np.bool_)
    fitted = Fitted(
        base, sides, at[ok], of[ok], times[ok], bases[ok], slopes[ok], treated[ok], control[ok],
        np.stack([total, weight]), by_slopes, by_score[ok], coefficients, trimmed,
    )  # fmt: skip
    return fitted, [(int(at[j]), why[int(of[j])]) for j in np.flatnonzero(~ok)]


def _sides_of(cells: Sequence[Cell], count: int) -> tuple[Sides, Ints]:
    """Return the comparisons of cells that share a design, and which of them each cell belongs to."""
    place: dict[tuple[int, tuple[int, ...]], int] = {}
    of = np.array([place.setdefault((cell.cohort, cell.controls), len(place)) for cell in cells], dtype=np.int64)
    controls = np.zeros((len(place), count), dtype=np.bool_)
    for (_, there), row in place.items():
        controls[row, list(there)] = True
    return Sides(np.array([cohort for cohort, _ in place], dtype=np.int64), controls), of


def _products(panel: Arranged, base: int) -> tuple[Floats, Floats]:
    """Return the weighted cross-products of design, and of design and outcome, of each cohort."""
    width = len(panel.outcome)
    size, count = 1 if panel.designs is None else panel.designs.shape[1], len(panel.bounds) - 1
    xx, xy = np.zeros((count, size, size)), np.zeros((count, size, width))
    for piece in pieces_of(panel, base, size + width):
        weighted = piece.x if piece.w is None else piece.x * piece.w
        xx[piece.cohort] += weighted @ piece.x.T
        xy[piece.cohort] += weighted @ panel.outcome[:, piece.some].T
    return xx, xy


def _regressions(sides: Sides, of: Ints, xx: Floats, change: Floats, method: Method) -> _Regressions:
    """Regress the changes of the controls on their covariates."""
    m, p, k = len(sides.treated), xx.shape[1], len(of)
    inverse, slopes = np.zeros((m, p, p)), np.zeros((k, p))
    why: dict[int, str] = {}
    if method == "ipw":
        return _Regressions(inverse, slopes, why)
    for j, theirs in enumerate(sides.controls):
        try:
            inverse[j] = inverse_of(xx[theirs].sum(axis=0))
        except NotEstimable as reason:
            why[j] = str(reason)
    right = np.einsum("kc,cpk->kp", sides.controls[of].astype(float), change)
    return _Regressions(inverse, np.einsum("kpq,kq->kp", inverse[of], right), why)


def _reweighted(
    found: Propensities, of: Ints, times: Ints, bases: Ints, slopes: Floats, weight: Floats
) -> tuple[Floats, Floats]:
    """Return the means of the reweighted controls, and what an error of the propensity models does to them."""
    cell = np.arange(len(of))
    change = found.odds_xy[of, :, times] - found.odds_xy[of, :, bases]
    change = change - np.einsum("kpq,kq->kp", found.odds_xx[of], slopes)
    control = change[cell, 0] / weight[of]
    rest = change - found.odds_xx[of, :, 0] * control[:, None]
    return control, np.einsum("kpq,kq->kp", found.covariance[of], rest) / weight[of][:, None]


def inverse_of(xx: Floats) -> Floats:
    """Return the inverse of the cross-products of the controls.

    Raises
    ------
    NotEstimable
        If they are singular beyond ``CONDITION``.
    """
    scale = np.sqrt(np.diag(xx))
    if (scale > 0).all():
        scaled = xx / np.outer(scale, scale)
        values = np.linalg.eigvalsh(scaled)
        if values[0] * CONDITION > values[-1]:
            return np.asarray(np.linalg.inv(scaled) / np.outer(scale, scale))
    raise NotEstimable(f"its controls do not identify {len(xx)} coefficients")
