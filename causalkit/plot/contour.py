"""The figure of an estimate over the strength of a confounder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def contour(data: PlotData) -> Figure:
    """Draw lines of equal estimates over what a confounder explains of treatment and outcome.

    Parameters
    ----------
    data : mapping
        ``x`` (k floats), ``y`` (m floats), ``z`` ((m, k) floats: the estimate), ``null`` (the line that matters),
        ``estimate``; ``names``, ``at_x``, ``at_y``, ``told`` (one per benchmark).
    """
    x, y = contract.vector(data, "x"), contract.vector(data, "y")
    z = np.asarray(data["z"], dtype=float)
    figure = theme.new_figure(4.2)
    axes = figure.subplots()
    null = contract.number(data, "null") or 0.0
    levels = np.unique(np.linspace(float(z.min()), float(z.max()), 9))
    lines = axes.contour(x, y, z, levels=levels, colors=theme.RULE, linewidths=0.8)
    axes.clabel(lines, fmt=lambda value: fmt.number(value, 2), fontsize=7)
    if z.min() < null < z.max():
        marked = axes.contour(x, y, z, levels=[null], colors=theme.ORANGE, linewidths=1.6)
        axes.clabel(marked, fmt=lambda value: fmt.number(value, 2), fontsize=8)
    at_x, at_y = contract.vector(data, "at_x"), contract.vector(data, "at_y")
    axes.plot([0], [0], marker="^", color=theme.BLUE, clip_on=False, linestyle="none")
    axes.annotate(
        f"as estimated ({fmt.number(data['estimate'], 3)})", (0, 0), (5, 6), textcoords="offset points", fontsize=8
    )
    strongest = np.argsort(at_x * at_y)[::-1][:6]
    axes.plot(
        at_x[strongest], at_y[strongest], marker="D", markersize=4, color=theme.BLUE, linestyle="none", clip_on=False
    )
    for j in strongest:
        label = f"{data['names'][j]} ({fmt.number(data['told'][j], 3)})"
        axes.annotate(label, (at_x[j], at_y[j]), (6, 3), textcoords="offset points", fontsize=8)
    theme.dress(
        axes,
        xlabel="Share of what is left of the treatment that a confounder explains",
        ylabel="Share of what is left of the outcome",
    )
    return figure


def contour_told(data: PlotData) -> str:
    """Tell the figure in words, with its main numbers."""
    told = [
        f"{name}: {fmt.number(value, 3)}"
        for name, value in zip(data["names"], contract.vector(data, "told"), strict=True)
    ]
    rest = f" With a confounder as strong as {'; '.join(told[:6])}." if told else ""
    value = contract.number(data, "robustness")
    return (
        f"Contours of the estimate, {fmt.number(data['estimate'], 3)} without a confounder, over what one explains of treatment "
        f"and outcome. It reaches {fmt.number(data['null'], 3)} where it explains {fmt.share(value)} of both.{rest}"
    )


CONTOUR_READING = (
    "Each line joins confounders that would leave the same estimate; on the coloured line nothing would be left of it. "
    "Diamonds are confounders as strong as a covariate that was measured."
)
