"""What the power analysis of a regression discontinuity says."""

from __future__ import annotations

import math
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


def two_sided_power(ratio: Floats | float, alpha: float) -> Floats:
    """Return the power of a two-sided z test where the effect is ``ratio`` standard errors."""
    z = float(special.ndtri(1.0 - alpha / 2.0))
    ratio = np.asarray(ratio, float)
    return np.asarray(special.ndtr(ratio - z) + special.ndtr(-ratio - z))


def needed_ratio(power: float, alpha: float) -> float:
    """Return how many standard errors an effect must be for a power."""
    from scipy.optimize import brentq

    high = float(special.ndtri(1.0 - alpha / 2.0) + special.ndtri(power)) + 1.0
    return float(brentq(lambda r: float(two_sided_power(r, alpha)) - power, 0.0, high, xtol=1e-14, rtol=1e-14))


@dataclass(frozen=True)
class RDScale:
    """Variances of one side each, as they do not depend on the sample's size.

    Parameters
    ----------
    variance : (float, float)
        Robust variance below and above, times rows and ``bandwidth ** (1 + 2 derivative)``.
    bandwidth : (float, float)
        Bandwidth of the test, below and above.
    n_side, n_window : (int, int)
        Rows (or clusters) below and above the cutoff: all, and within the bandwidth.
    derivative : int
        Of the effect.
    """

    variance: tuple[float, float]
    bandwidth: tuple[float, float]
    n_side: tuple[int, int]
    n_window: tuple[int, int]
    derivative: int

    def unit(self) -> float:
        """Standard error times the root of the number of rows."""
        rate = 1 + 2 * self.derivative
        return math.sqrt(sum(v / h**rate for v, h in zip(self.variance, self.bandwidth, strict=True)))

    def total(self, window: tuple[float, float]) -> float:
        """Return the rows of a sample that holds these many within the bandwidth, below and above."""
        return sum(n * w / inside for n, w, inside in zip(self.n_side, window, self.n_window, strict=True))


@dataclass(frozen=True, eq=False, repr=False)
class RDPower(Report):
    """Power, smallest detectable effect, and the sample that an effect needs.

    Parameters
    ----------
    scale : RDScale
    effect : float
        The effect that should be found.
    wanted : float
        The power that is wanted.
    alpha : float
        Level of the two-sided robust bias-corrected test.
    window : (float, float)
        Rows (or clusters) within the bandwidth of the sample that is planned, below and above.
    rows : str
        ``"rows"`` or ``"clusters"``.
    outcome : str
        The outcome's name.
    """

    scale: RDScale
    effect: float
    wanted: float
    alpha: float
    window: tuple[float, float]
    rows: str
    outcome: str

    plots = ("power",)

    @property
    def se(self) -> float:
        """Standard error of the effect in the planned sample."""
        return self.scale.unit() / math.sqrt(self.scale.total(self.window))

    @property
    def power(self) -> float:
        """Probability to find the effect in the planned sample."""
        return float(self.at(self.effect))

    def at(self, effect: Floats | float) -> Floats:
        """Return the power at one or several effects.

        Parameters
        ----------
        effect : float or array
        """
        return two_sided_power(np.asarray(effect, float) / self.se, self.alpha)

    @cached_property
    def minimum_effect(self) -> float:
        """The smallest effect that the planned sample finds with the wanted power."""
        return needed_ratio(self.wanted, self.alpha) * self.se

    @cached_property
    def n(self) -> int:
        """Rows (or clusters) on both sides together that the effect needs for the wanted power."""
        ratio = needed_ratio(self.wanted, self.alpha) * self.scale.unit() / abs(self.effect)
        return math.ceil(ratio**2)

    @cached_property
    def n_window(self) -> tuple[int, int]:
        """Of these, rows (or clusters) within the bandwidth, below and above, shared out by the noise of the sides."""
        left, right = (math.sqrt(v) for v in self.scale.variance)
        share = right / (left + right)
        total = self.n / self.scale.total((1.0 - share, share))
        return math.ceil(total * (1.0 - share)), math.ceil(total * share)

    @property
    def title(self) -> str:
        """What this is."""
        return f"Power to find a jump of {self.outcome} at the cutoff"

    @property
    def answer(self) -> str:
        """Power, smallest detectable effect and sample size in two sentences."""
        total = round(self.scale.total(self.window))
        return (
            f"{total:,} {self.rows} find an effect of {fmt.number(self.effect)} with a probability of "
            f"{fmt.share(self.power)}, and an effect of {fmt.number(self.minimum_effect)} with {fmt.share(self.wanted, 0)}. "
            f"For {fmt.share(self.wanted, 0)} at {fmt.number(self.effect)}, {self.n:,} {self.rows} are needed, "
            f"{self.n_window[0]:,} below and {self.n_window[1]:,} above the cutoff within the bandwidth."
        )

    @cached_property
    def checks(self) -> Checks:  # type: ignore[override]
        """Whether the planned sample has the wanted power."""
        return Checks({"power": lambda: self._check()})

    def _check(self) -> Check:
        text = (
            f"The power at {fmt.number(self.effect)} is {fmt.share(self.power)}; {fmt.share(self.wanted, 0)} is wanted."
        )
        if self.power >= self.wanted:
            return Check("power", "pass", text, self.power)
        return Check("power", "warn", text, self.power, advice=f"Collect {self.n:,} {self.rows} in all.")

    def to_table(self) -> Table:
        """Return the power at several effects."""
        effects = self.effect * np.array([0.2, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0])
        rows = zip(effects.tolist(), self.at(effects).tolist(), strict=True)
        return Table.of(("effect", "power"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the answer and the power at several effects."""
        facts = (("Power", fmt.share(self.power), f"at {fmt.number(self.effect)}"),)
        return (
            Passage("found", self.title, (self.answer,), facts=facts),
            Passage("certainty", self.title, (self._assumed(),), self.to_table(), "power"),
        )

    def _assumed(self) -> str:
        left, right = self.scale.bandwidth
        return (
            f"Two-sided robust bias-corrected test at {100 * self.alpha:g}%, bandwidths {fmt.number(left)} and "
            f"{fmt.number(right)}, noise as in the data at hand."
        )

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the power curve."""
        effects = np.linspace(0.0, 2.0 * max(abs(self.effect), self.minimum_effect), 120)
        return {
            "title": self.title,
            "effect": effects,
            "power": self.at(effects),
            "wanted": self.wanted,
            "minimum": self.minimum_effect,
            "chosen": abs(self.effect),
            "xlabel": f"True effect on {self.outcome}",
        }
