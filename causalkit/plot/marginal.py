"""The figure of marginal treatment effects by resistance to the treatment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READING = (
    "The line is the effect on those with average covariates by how hard they are to move into the treatment. The dark band "
    "holds each point, the light band the whole curve, with 95% confidence. Grey areas lie outside the common support, where "
    "the curve is an extrapolation; a falling line means that those who gain most are treated first."
)


def marginal_effects(data: PlotData) -> Figure:
    """Draw the marginal treatment effect against the resistance.

    Parameters
    ----------
    data : mapping
        ``u`` (k floats, rising, from 0 to 1), ``value``, ``low``, ``high``, ``band_low``, ``band_high`` (k floats, in the
        outcome's unit); optional ``average`` (float: a level line), ``support`` (two floats).
    """
    u, value, low, high, band_low, band_high = contract.columns(
        data, "u", "value", "low", "high", "band_low", "band_high"
    )
    figure = theme.new_figure(2.9)
    axes = figure.subplots()
    support = data.get("support")
    if support is not None:
        for start, end in ((0.0, float(support[0])), (float(support[1]), 1.0)):
            axes.axvspan(start, end, color="0.5", alpha=0.12, linewidth=0)
    axes.fill_between(u, band_low, band_high, color=theme.BLUE, alpha=0.1, linewidth=0)
    axes.fill_between(u, low, high, color=theme.BLUE, alpha=0.2, linewidth=0)
    axes.plot(u, value, color=theme.BLUE, solid_capstyle="round")
    average = contract.number(data, "average")
    if average is not None:
        axes.axhline(average, color="0.4", linewidth=0.8, linestyle="--")
    axes.set_xlim(0.0, 1.0)
    theme.dress(axes, xlabel="Resistance to the treatment (u)", ylabel="Marginal treatment effect")
    return figure


def told(data: PlotData) -> str:
    """Tell the curve in words, with its ends and its middle."""
    u, value, low, high = contract.columns(data, "u", "value", "low", "high")
    places = (0, int(np.argmin(np.abs(u - 0.5))), u.size - 1)
    points = [
        f"{fmt.number(value[at], 3)} {fmt.interval(low[at], high[at], 3)} at {fmt.number(u[at], 3)}" for at in places
    ]
    return f"Marginal treatment effect against resistance: {', '.join(points)}."
