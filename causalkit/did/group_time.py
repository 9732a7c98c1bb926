"""Average effects by cohort and time with covariates: what each comparison estimates, and influence values in blocks.

A cell compares the change of a cohort's outcome, from its base period to the period of the cell, with that of control
units. Cells of one cohort that share controls and covariates share one propensity model, begun where the last one ended,
and one regression, solved for all periods at once from cross-products that add up over cohorts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from causalkit.did.arranged import Arranged
from causalkit.did.logit import TRIM, Logit, NotEstimable, fit_logit
from causalkit.did.plan import Cell
from causalkit.kernels.arrays import Codes, Floats, Ints

Method = Literal["dr", "ipw", "reg"]

#: Beyond this condition number (of standardised cross-products) covariates count as collinear.
CONDITION = 1e12


@dataclass(frozen=True, eq=False)
class Products:
    """Weighted cross-products of the design and of design and outcome, of one cohort in one base period."""

    xx: Floats
    xy: Floats

    def __add__(self, other: Products) -> Products:
        return Products(self.xx + other.xx, self.xy + other.xy)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Cells that share cohort, controls and design, fitted.

    Attributes
    ----------
    at : Ints, shape (m,)
        Positions of the cells.
    cohort : int
    base : int
        The period whose covariates and weights count: the earlier of the two, or 0 where they do not vary.
    controls : tuple of int
    times, bases : Ints, shape (m,)
    slopes : Floats, shape (p, m)
        What is expected of the change of a unit.
    treated, control : Floats, shape (m,)
        Weighted mean of what is left of the changes, of the treated and of the reweighted controls.
    totals : (float, float)
        Sums of weights of the treated, and of the reweighted controls.
    by_slopes : Floats, shape (p,)
        What an error of the slopes does to the estimate.
    by_score : Floats, shape (p, m)
        What an error of the propensity model does to the estimate.
    logit : Logit or None
    trimmed : int
        Controls without weight because their propensity is too high.
    """

    at: Ints
    cohort: int
    base: int
    controls: tuple[int, ...]
    times: Ints
    bases: Ints
    slopes: Floats
    treated: Floats
    control: Floats
    totals: tuple[float, float]
    by_slopes: Floats
    by_score: Floats
    logit: Logit | None
    trimmed: int

    @property
    def values(self) -> Floats:
        """The estimates, shape (m,)."""
        return self.treated - self.control

    def psi(self, outcome: Floats, x: Floats, w: Floats, is_treated: bool) -> Floats:
        """Return the influence values of a block of units, shape (m, r), 1/n folded in.

        Parameters
        ----------
        outcome : Floats, shape (n_periods, r)
        x : Floats, shape (p, r)
        w : Floats, shape (r,)
        is_treated : bool
            Whether the units are of the cohort, or of its controls.
        """
        left: Floats = outcome[self.times]
        left -= outcome[self.bases]
        left -= self.slopes.T @ x
        p = None if self.logit is None else self.logit.probability(x)
        if is_treated:
            left -= self.treated[:, None]
            left *= w / self.totals[0]
            return left if p is None else np.asarray(left - self.by_score.T @ (x * (w * (1.0 - p))))
        factor = -w * (self.by_slopes @ x)
        if self.logit is None or p is None:
            left *= factor
            return left
        odds = w * self.logit.odds(p) / self.totals[1]
        left *= factor - odds
        # what the mean of the controls and the propensity model add, as one product
        beside = np.concatenate([x * (w * p), odds[None]])
        return np.asarray(left + np.column_stack([self.by_score.T, self.control]) @ beside)


@dataclass(frozen=True, eq=False)
class Comparisons:
    """All cells of a plan, and those that could not be estimated.

    Attributes
    ----------
    panel : Arranged
    fitted : tuple of Comparison
        Their cells are numbered without those that failed.
    plan : tuple of Cell
        The cells that were estimated.
    failed : tuple of (Cell, str)
        The others, and why.
    """

    panel: Arranged
    fitted: tuple[Comparison, ...]
    plan: tuple[Cell, ...]
    failed: tuple[tuple[Cell, str], ...]

    @cached_property
    def theta(self) -> Floats:
        """The estimates, shape (k,)."""
        found = np.empty(len(self.plan))
        for comparison in self.fitted:
            found[comparison.at] = comparison.values
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
        """Yield influence values of a few thousand units at a time, 1/n folded in.

        Yields
        ------
        some : slice
            The units, as places of the panel.
        at : Ints, shape (m,)
            Cells (and, after them, shares) in whose estimates these units take part.
        psi : Floats, shape (m, r)
        """
        panel, k = self.panel, len(self.plan)
        share_places = np.arange(k, k + len(self.shares))
        for c in range(len(panel.bounds) - 1):
            mine = [found for found in self.fitted if c == found.cohort or c in found.controls]
            at = np.concatenate([*(found.at for found in mine), share_places])
            for some in panel.blocks(c):
                psi = np.empty((len(at), some.stop - some.start))
                shares = psi[len(at) - len(self.shares) :]
                shares[:] = -self.shares[:, None] / panel.n
                if c < len(self.shares):
                    shares[c] += panel.weight(some, 0) / self._totals.sum()
                row, outcome = 0, panel.outcome[:, some]
                for found in mine:
                    x, w = panel.design(some, found.base), panel.weight(some, found.base)
                    psi[row : row + len(found.at)] = found.psi(outcome, x, w, c == found.cohort)
                    row += len(found.at)
                yield some, at, psi

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
    """Fit the cells, those that share cohort, controls and covariates together.

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
    fixed = panel.is_fixed
    together: dict[tuple[int, tuple[int, ...], int], list[int]] = {}
    for j, cell in enumerate(cells):
        together.setdefault((cell.cohort, cell.controls, 0 if fixed else min(cell.base, cell.time)), []).append(j)
    fitter = _Fitter(panel, method)
    failed: list[tuple[int, str]] = []
    fitted: list[Comparison] = []
    for (g, controls, base), at in together.items():
        try:
            fitted.append(fitter.fit(g, controls, base, np.array(at), [cells[j] for j in at]))
        except NotEstimable as reason:
            failed += [(j, str(reason)) for j in at]
    gone = {j for j, _ in failed}
    kept = [j for j in range(len(cells)) if j not in gone]
    place = np.full(len(cells), -1)
    place[kept] = np.arange(len(kept))
    moved = tuple(replace(found, at=place[found.at]) for found in fitted)
    return Comparisons(panel, moved, tuple(cells[j] for j in kept), tuple((cells[j], why) for j, why in sorted(failed)))


class _Fitter:
    """Fits comparisons one after the other, and keeps what they share."""

    def __init__(self, panel: Arranged, method: Method) -> None:
        self.panel, self.method = panel, method
        self.products: dict[tuple[int, int], Products] = {}
        self.size = 1 if panel.designs is None else panel.designs.shape[1]
        self.start = np.zeros(self.size)

    def fit(self, g: int, controls: tuple[int, ...], base: int, at: Ints, cells: Sequence[Cell]) -> Comparison:
        times, bases = np.array([(cell.time, cell.base) for cell in cells]).T
        mine, theirs = self._of(g, base), self._sum(controls, base)
        own, total = mine.xx[0], mine.xx[0, 0]
        slopes, inverse = np.zeros((self.size, len(at))), np.zeros((self.size, self.size))
        if self.method != "ipw":
            inverse = inverse_of(theirs.xx)
            slopes = inverse @ (theirs.xy[:, times] - theirs.xy[:, bases])
        treated = ((mine.xy[0, times] - mine.xy[0, bases]) - own @ slopes) / total
        by_slopes = inverse @ own / total
        if self.method == "reg":
            nothing = np.zeros_like(slopes)
            return Comparison(at, g, base, controls, times, bases, slopes, treated, np.zeros(len(at)),
                              (total, 1.0), by_slopes, nothing, None, 0)  # fmt: skip
        logit, odds, trimmed = self._propensity(g, controls, base)
        weight = odds.xx[0, 0]
        if not weight > 0:
            raise NotEstimable("no control has covariates like its units")
        change = odds.xy[:, times] - odds.xy[:, bases] - odds.xx @ slopes
        control = change[0] / weight
        by_score = logit.covariance @ (change - odds.xx[:, :1] * control) / weight
        by_slopes = by_slopes - inverse @ odds.xx[0] / weight
        return Comparison(at, g, base, controls, times, bases, slopes, treated, control, (total, weight), by_slopes,
                          by_score, logit, trimmed)  # fmt: skip

    def _of(self, cohort: int, base: int) -> Products:
        if (cohort, base) not in self.products:
            panel, width = self.panel, len(self.panel.outcome)
            xx, xy = np.zeros((self.size, self.size)), np.zeros((self.size, width))
            for some in panel.blocks(cohort):
                x = panel.design(some, base)
                weighted = x * panel.weight(some, base)
                xx += weighted @ x.T
                xy += weighted @ panel.outcome[:, some].T
            self.products[cohort, base] = Products(xx, xy)
        return self.products[cohort, base]

    def _sum(self, controls: tuple[int, ...], base: int) -> Products:
        found = self._of(controls[0], base)
        for c in controls[1:]:
            found = found + self._of(c, base)
        return found

    def _propensity(self, g: int, controls: tuple[int, ...], base: int) -> tuple[Logit, Products, int]:
        """Return the model, the cross-products of the controls weighted by their odds, and how many have none."""
        panel, size = self.panel, self.size
        blocks = [
            (panel.design(some, base), panel.weight(some, base), c == g)
            for c in (g, *controls)
            for some in panel.blocks(c)
        ]
        logit = fit_logit(blocks, self.start)
        self.start = logit.coefficients
        xx, xy, trimmed = np.zeros((size, size)), np.zeros((size, len(panel.outcome))), 0
        places = (some for c in (g, *controls) for some in panel.blocks(c))
        for some, (x, w, treated) in zip(places, blocks, strict=True):
            if treated:
                continue
            p = logit.probability(x)
            trimmed += int((p >= TRIM).sum())
            weighted = x * (w * logit.odds(p))
            xx += weighted @ x.T
            xy += weighted @ panel.outcome[:, some].T
        return logit, Products(xx, xy), trimmed


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
