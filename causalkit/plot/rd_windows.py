"""Balance by the width of the window around a cutoff: how a window of local randomization is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

READING = (
    "Each dot is a window around the cutoff and the smallest p-value of balance in it. Windows are widened as long as the "
    "dots stay above the dashed line; the filled dot is the window chosen."
)


def rd_windows(data: PlotData) -> Figure:
    """Draw the smallest p-value of balance against the half-width of the window.

    Parameters
    ----------
    data : mapping
        ``width`` (k floats, rising), ``pvalue`` (k floats), ``level`` (float); optional ``chosen`` (float: a width),
        ``xlabel``.
    """
    width, pvalue = contract.columns(data, "width", "pvalue")
    chosen = contract.number(data, "chosen")
    figure = theme.new_figure(2.7)
    axes = figure.subplots()
    axes.axhline(float(data["level"]), color=theme.MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.plot(width, pvalue, "o", color=theme.BLUE, markersize=4.5, markerfacecolor=theme.PAPER)
    if chosen is not None:
        at = int(np.argmin(np.abs(width - chosen)))
        axes.plot(width[at : at + 1], pvalue[at : at + 1], "o", color=theme.BLUE, markersize=7)
    axes.set_ylim(-0.02, 1.02)
    theme.dress(
        axes, xlabel=contract.text(data, "xlabel", "Half-width of the window"), ylabel="Smallest p-value of balance"
    )
    return figure


def told(data: PlotData) -> str:
    """Tell the figure in words: the window chosen, and the first one that is not balanced."""
    width, pvalue = contract.columns(data, "width", "pvalue")
    level, chosen = float(data["level"]), contract.number(data, "chosen")
    low = np.flatnonzero(pvalue < level)
    end = (
        f"the first below {fmt.number(level)} at {fmt.number(width[low[0]], 3)}" if low.size else "none below the level"
    )
    mark = "" if chosen is None else f" The window chosen reaches {fmt.number(chosen, 3)} from the cutoff."
    return (
        f"Smallest p-value of balance in {fmt.plural(width.size, 'window')} from {fmt.number(width[0], 3)} to "
        f"{fmt.number(width[-1], 3)}: {end}.{mark}"
    )
