"""The density of a running variable on either side of its cutoff."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READING = (
    "The lines are the density on either side with its pointwise 95% bands, the bars a histogram. Where the lines meet at "
    "the upright line nobody seems to have chosen a side."
)


def density(data: PlotData) -> Figure:
    """Draw the density left and right of a cutoff with bands, before a histogram.

    Parameters
    ----------
    data : mapping
        ``cutoff`` (float); ``left_x``, ``left_density``, ``left_low``, ``left_high`` (k floats) and the same for
        ``right``; ``edges`` (m + 1 floats), ``heights`` (m floats); optional ``xlabel``.
    """
    edges, heights = contract.vector(data, "edges"), contract.vector(data, "heights")
    figure = theme.new_figure(2.9)
    axes = figure.subplots()
    axes.stairs(heights, edges, fill=True, color=theme.GRID)
    for side, colour in (("left", theme.ORANGE), ("right", theme.BLUE)):
        x, value, low, high = contract.columns(data, *(f"{side}_{part}" for part in ("x", "density", "low", "high")))
        axes.fill_between(x, np.maximum(low, 0.0), high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, value, color=colour, solid_capstyle="round")
    axes.axvline(float(data["cutoff"]), color=theme.INK, linewidth=0.9)
    axes.set_ylim(bottom=0.0)
    theme.dress(axes, xlabel=contract.text(data, "xlabel", "Running variable"), ylabel="Density")
    return figure


def told(data: PlotData) -> str:
    """Tell the figure in words: the densities where the two sides meet."""
    words = []
    for side in ("left", "right"):
        x, value, low, high = contract.columns(data, *(f"{side}_{part}" for part in ("x", "density", "low", "high")))
        at = int(np.argmin(np.abs(x - float(data["cutoff"]))))
        words.append(f"{fmt.number(value[at], 3)} {fmt.interval(low[at], high[at], 3)} on the {side}")
    pvalue = contract.number(data, "pvalue")
    test = "" if pvalue is None else f" P-value of equal densities: {fmt.pvalue(pvalue)}."
    return f"Density at the cutoff {fmt.number(float(data['cutoff']))}: {words[0]}, {words[1]}.{test}"
