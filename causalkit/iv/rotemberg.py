"""Rotemberg weights: which shocks a shift-share estimate rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check, Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.iv.shift_share_fit import ShiftShareArrays
from causalkit.kernels.arrays import Floats, read_only

SHOWN = 15
#: Negative weights above this share of all (in absolute value) deserve a look.
MANY_NEGATIVE = 0.2
#: One shock above this share of the weights decides the estimate.
DOMINANT = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class Rotemberg(Report):
    """The shift-share estimate as a weighted sum of just-identified ones, one for each share.

    ``estimate = sum_k alpha_k beta_k``, where ``beta_k`` uses share ``k`` alone as instrument and
    ``alpha_k = g_k s_k'D / B'D`` is how far the estimate moves with the bias of share ``k`` (Goldsmith-Pinkham, Sorkin and
    Swift 2020, section 3). Weights sum to one and may be negative. Where shares sum to one they depend on where the
    shocks have their zero; shocks are taken as given.

    Parameters
    ----------
    names : tuple of str
        The shares.
    alpha : array, shape (K,)
        Rotemberg weights.
    beta : array, shape (K,)
        Just-identified estimates; NaN where a share does not move the treatment at all.
    first_stage_f : array, shape (K,)
        F statistic of each share alone, robust to heteroskedasticity (HC1).
    shocks, exposure : array, shape (K,)
        The shock of each share, and its average over units.
    """

    names: tuple[str, ...]
    alpha: Floats
    beta: Floats
    first_stage_f: Floats
    shocks: Floats
    exposure: Floats

    plots = ("bars",)

    @property
    def title(self) -> str:
        """What this is."""
        return "Rotemberg weights: the shocks that a shift-share estimate rests on"

    @property
    def estimate(self) -> float:
        """The sum of weights times just-identified estimates: the shift-share estimate."""
        return float(np.nansum(self.alpha * self.beta))

    @property
    def negative(self) -> float:
        """Share of the weights, in absolute value, that is negative."""
        total = float(np.abs(self.alpha).sum())
        return float(-self.alpha[self.alpha < 0].sum() / total) if total else float("nan")

    @property
    def order(self) -> tuple[int, ...]:
        """Shares by the size of their weight, the largest first."""
        return tuple(int(at) for at in np.argsort(-np.abs(self.alpha), kind="stable"))

    @property
    def answer(self) -> str:
        """The largest weights and the share of negative ones."""
        top = self.order[:5]
        told = ", ".join(f"{self.names[at]} {fmt.number(self.alpha[at], 2)}" for at in top)
        return (
            f"The {len(top)} largest of {len(self.names)} weights sum to {fmt.number(self.alpha[list(top)].sum(), 2)} "
            f"({told}); {fmt.share(self.negative)} of the weights, in absolute value, is negative."
        )

    @property
    def checks(self) -> Checks:  # type: ignore[override]
        """Whether weights are negative, and whether one share dominates."""
        return Checks({"negative_weights": self._negative, "concentration": self._concentration})

    def _negative(self) -> Check:
        bad = self.negative > MANY_NEGATIVE
        message = f"{fmt.share(self.negative)} of the Rotemberg weights, in absolute value, is negative."
        advice = (
            "If effects differ between units, the estimate need not be an average of them; compare the estimates of the "
            "largest shares in the table."
        )
        return Check(
            "negative_weights", "warn" if bad else "pass", message, self.negative, advice=advice if bad else ""
        )

    def _concentration(self) -> Check:
        at = self.order[0]
        share = float(np.abs(self.alpha[at]) / np.abs(self.alpha).sum())
        bad = share > DOMINANT
        message = f"The largest weight is {fmt.share(share)} of all ({self.names[at]}), in absolute value."
        advice = f"The estimate is nearly that of {self.names[at]} alone: argue for the exogeneity of this share."
        return Check("concentration", "warn" if bad else "pass", message, share, advice=advice if bad else "")

    def to_table(self) -> Table:
        """Return one row per share, the largest weight first."""
        rows = [
            (
                self.names[at],
                float(self.alpha[at]),
                _finite(self.beta[at]),
                _finite(self.first_stage_f[at]),
                float(self.shocks[at]),
                float(self.exposure[at]),
            )
            for at in self.order
        ]
        return Table.of(("share", "weight", "estimate", "first_stage_f", "shock", "exposure"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the weights as evidence of what the estimate assumes."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table(), "bars"),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the largest weights."""
        top = self.order[:SHOWN]
        return {
            "labels": [self.names[at] for at in top],
            "values": [float(self.alpha[at]) for at in top],
            "xlabel": "Rotemberg weight",
        }


def rotemberg_weights(arrays: ShiftShareArrays, names: tuple[str, ...]) -> Rotemberg:
    """Compute the decomposition.

    Parameters
    ----------
    arrays : ShiftShareArrays
        The design.
    names : tuple of str
        Names of the shares.
    """
    shares = arrays.partialled(arrays.S)
    weighted = shares * arrays.weights[:, None]
    moved, spread = weighted.T @ arrays.D, np.einsum("ij,ij->j", weighted, shares)
    noise = 1e-12 * np.sqrt(spread * float(arrays.weights @ arrays.D**2))
    there = np.abs(moved) > noise
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.where(there, (weighted.T @ arrays.y) / moved, np.nan)
        slope = moved / spread
        meat = np.array(
            [np.sum((weighted[:, k] * (arrays.D - slope[k] * shares[:, k])) ** 2) for k in range(len(names))]
        )
        n, df = arrays.y.size, arrays.y.size - arrays.n_controls - 1
        f = np.where(there, moved**2 / (meat * n / df), np.nan)
    return Rotemberg(
        names,
        read_only(arrays.g * moved / arrays.relevance),
        read_only(beta),
        read_only(f),
        read_only(arrays.g),
        read_only(arrays.exposure),
    )


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
