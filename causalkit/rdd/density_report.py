"""What a density test found, as a report with a table, a figure and a check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.kernels.arrays import Floats
from causalkit.rdd.binomial import BinomialTest, binomial_table
from causalkit.rdd.density_curve import Curve, curve
from causalkit.rdd.density_fit import Ordered, Variance
from causalkit.rdd.density_model import Kernel

ALPHA = 0.05
_MASS = 0.2


@dataclass(frozen=True)
class DensityFit:
    """Densities at the cutoff by polynomials of one order.

    Parameters
    ----------
    name : str
        ``robust`` (one order above the one that the bandwidths are meant for) or ``conventional``.
    order : int
        Order of the polynomials.
    left, right, difference : float
        Densities at the cutoff from either side, and right minus left.
    left_se, right_se, difference_se : float
        Standard errors.
    """

    name: str
    order: int
    left: float
    right: float
    difference: float
    left_se: float
    right_se: float
    difference_se: float

    @property
    def statistic(self) -> float:
        """The difference over its standard error."""
        return self.difference / self.difference_se

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of equal densities."""
        return _two_sided(self.statistic)


@dataclass(frozen=True, eq=False, repr=False)
class DensityTest(Report):
    """What the density test found.

    Parameters
    ----------
    name : str
        The running variable.
    cutoff : float
        The cutoff.
    robust, conventional : DensityFit
        The test, bias-corrected by polynomials of one order more; and the same at the order of the bandwidths.
    bandwidths : tuple of float
        On the left and on the right.
    bandwidth : str
        The rule that chose them, or ``"given"``.
    kernel : str
        The kernel.
    restricted : bool
        Whether the two sides share all but the first derivative of the distribution function.
    vcov : {"jackknife", "plugin"}
        How standard errors were estimated.
    n_left, n_right : int
        Values below the cutoff, and at or above it.
    n_effective : tuple of int
        Values within the bandwidths, left and right.
    binomial : tuple of BinomialTest
        Exact tests in windows around the cutoff.
    ordered : Ordered
        The values, which the figure needs.
    n_dropped : int
        Missing values left out.
    """

    name: str
    cutoff: float
    robust: DensityFit
    conventional: DensityFit
    bandwidths: tuple[float, float]
    bandwidth: str
    kernel: Kernel
    restricted: bool
    vcov: Variance
    n_left: int
    n_right: int
    n_effective: tuple[int, int]
    binomial: tuple[BinomialTest, ...]
    ordered: Ordered
    n_dropped: int = 0

    plots = ("density",)

    @property
    def statistic(self) -> float:
        """The robust statistic, normal where the density is continuous."""
        return self.robust.statistic

    @property
    def pvalue(self) -> float:
        """Its two-sided p-value."""
        return self.robust.pvalue

    @property
    def title(self) -> str:
        """What this is."""
        return f"Density of {self.name} at the cutoff {fmt.number(self.cutoff)}"

    @property
    def answer(self) -> str:
        """What came out, in one sentence."""
        return self.check().message

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """The ledger: ``density``, and ``mass_points`` where values repeat."""
        found: dict[str, Any] = {"density": self.check()}
        if self.ordered.has_ties:
            found["mass_points"] = self._mass_points
        return Checks(found)

    def check(self) -> Check:
        """Return the check named ``density``, for the ledger of a result at this cutoff."""
        jump = self.pvalue < ALPHA
        said = "jumps" if jump else "shows no jump"
        fit = self.robust
        return Check(
            "density",
            "fail" if jump else "pass",
            f"The density of {self.name} {said} at the cutoff: {fmt.number(fit.left, 3)} on the left, "
            f"{fmt.number(fit.right, 3)} on the right (statistic {fmt.number(fit.statistic, 3)}, p-value "
            f"{fmt.pvalue(fit.pvalue)}, {self.n_effective[0]:,} and {self.n_effective[1]:,} values within the bandwidths).",
            statistic=fit.statistic,
            pvalue=fit.pvalue,
            advice=(
                "Units seem to choose their side. Find out who can, and drop them near the cutoff, or give bounds instead "
                "of an estimate."
                if jump
                else ""
            ),
            table=self.to_table(),
        )

    def _mass_points(self) -> Check:
        start, stop = (self.ordered.rows(side, h)[at] for at, (side, h) in enumerate(zip((-1, 1), self.bandwidths)))  # noqa: B905
        window = self.ordered.x[start:stop]
        repeated = 1.0 - np.unique(window).size / window.size
        many = repeated >= _MASS
        return Check(
            "mass_points",
            "warn" if many else "pass",
            f"{fmt.share(repeated)} of the values within the bandwidths repeat an earlier one.",
            statistic=repeated,
            advice=(
                "The running variable is rather discrete; the counts next to the cutoff (.binomial) tell more than a "
                "density does."
                if many
                else ""
            ),
        )

    def to_table(self) -> Table:
        """Return the densities and their difference, robust and conventional, with 95 % intervals."""
        names = ("term", "order", "estimate", "se", "statistic", "pvalue", "ci_low", "ci_high")
        return Table.of(names, [row for fit in (self.robust, self.conventional) for row in _rows(fit)])

    def passages(self) -> tuple[Passage, ...]:
        """Return the test with its figure, and the binomial tests: an assumption that was checked."""
        counts = "Exact binomial tests: next to the cutoff, either side should be equally likely."
        return (
            Passage("assumptions", self.title, (self.answer,), self.to_table(), "density"),
            Passage("assumptions", "Counts next to the cutoff", (counts,), binomial_table(self.binomial)),
        )

    def curves(self) -> tuple[Curve, Curve]:
        """Return the density left and right of the cutoff, up to three bandwidths away."""
        ends = -float(self.ordered.x[0]), float(self.ordered.x[-1])
        left, right = (
            curve(self.ordered, side, h, self.robust.order, self.kernel, min(3.0 * h, end))
            for side, h, end in zip((-1, 1), self.bandwidths, ends, strict=True)
        )
        return left, right

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the curves with their 95 % bands, and a histogram behind them."""
        if kind != "density":
            return super().plot_data(kind)
        z = float(special.ndtri(1.0 - ALPHA / 2.0))
        left, right = self.curves()
        data: dict[str, Any] = {"title": self.title, "xlabel": self.name, "cutoff": self.cutoff, "pvalue": self.pvalue}
        for side, found in (("left", left), ("right", right)):
            data |= {
                f"{side}_x": found.at + self.cutoff,
                f"{side}_density": found.density,
                f"{side}_low": found.density - z * found.se,
                f"{side}_high": found.density + z * found.se,
            }
        edges, heights = self._histogram(-float(left.at.min()), float(right.at.max()))
        return {**data, "edges": edges, "heights": heights}

    def _histogram(self, left: float, right: float, bins: int = 15) -> tuple[Floats, Floats]:
        """Bars of equal width on either side, none of which straddles the cutoff."""
        edges = np.concatenate([np.linspace(-left, 0.0, bins + 1), np.linspace(0.0, right, bins + 1)[1:]])
        cuts = np.searchsorted(self.ordered.x, edges, side="left")
        cuts[-1] = np.searchsorted(self.ordered.x, edges[-1], side="right")
        return edges + self.cutoff, np.diff(cuts) / np.diff(edges) / self.ordered.n


def _rows(fit: DensityFit) -> list[tuple[object, ...]]:
    z = float(special.ndtri(1.0 - ALPHA / 2.0))
    parts = (
        ("left", fit.left, fit.left_se),
        ("right", fit.right, fit.right_se),
        ("difference", fit.difference, fit.difference_se),
    )
    return [
        (
            f"{part} ({fit.name})",
            fit.order,
            value,
            se,
            value / se if part == "difference" else None,
            _two_sided(value / se) if part == "difference" else None,
            value - z * se,
            value + z * se,
        )
        for part, value, se in parts
    ]


def _two_sided(z: float) -> float:
    return 2.0 * float(special.ndtr(-abs(z)))
