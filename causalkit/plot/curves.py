"""Figures of a value against the share of people treated, best first: targeting, gain and profit curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.kernels.arrays import Floats
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 300
"""Most points on a drawn curve."""


def toc(data: PlotData) -> Figure:
    """Draw the targeting operator characteristic: effect among the top share q, minus the average effect.

    Parameters
    ----------
    data : mapping
        ``q`` (k floats in [0, 1], rising), ``value``, ``low``, ``high`` (k floats, in the outcome's unit); optional
        ``band_low``, ``band_high`` (k floats, simultaneous), ``reference`` (float or k floats; what treating at random
        gives; default 0), ``reference_label``, ``marker`` (float in [0, 1]: the chosen share), ``marker_label``,
        ``xlabel``, ``ylabel``. The curve is thinned to 300 points.
    """
    return _curve(data, "Effect in the group, minus the average effect", theme.BLUE)


def gain(data: PlotData) -> Figure:
    """Draw the gain (Qini) curve: total gain per head from treating the top share q. Data as for :func:`toc`."""
    return _curve(data, "Gain per head", theme.BLUE)


def profit(data: PlotData) -> Figure:
    """Draw profit against the share treated, with the chosen share marked. Data as for :func:`toc`."""
    return _curve(data, "Profit", theme.GREEN)


def _curve(data: PlotData, ylabel: str, colour: str) -> Figure:
    q, value, low, high = contract.columns(data, "q", "value", "low", "high")
    band = [contract.optional(data, f"band_{side}", q.size) for side in ("low", "high")]
    keep = _thin(q.size)
    figure = theme.new_figure(2.9)
    axes = figure.subplots()
    if band[0] is not None and band[1] is not None:
        axes.fill_between(q[keep], band[0][keep], band[1][keep], color=colour, alpha=0.1, linewidth=0)
    axes.fill_between(q[keep], low[keep], high[keep], color=colour, alpha=0.2, linewidth=0)
    _reference(axes, data, q, keep)
    axes.plot(q[keep], value[keep], color=colour, solid_capstyle="round")
    theme.dress(
        axes,
        xlabel=contract.text(data, "xlabel", "Share treated, those with the largest predicted effect first"),
        ylabel=contract.text(data, "ylabel", ylabel),
    )
    axes.set_xlim(0.0, 1.0)
    theme.percent_axis(axes.xaxis)
    _marker(axes, data, q, value, colour)
    return figure


def _reference(axes: Axes, data: PlotData, q: Floats, keep: Any) -> None:
    """Draw what treating at random gives, with its name written on it."""
    line = np.asarray(data.get("reference", 0.0), dtype=np.float64)
    line = np.full(q.size, float(line)) if line.ndim == 0 else contract.vector(data, "reference")
    axes.plot(q[keep], line[keep], color=theme.MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
    name = contract.text(data, "reference_label")
    if name:
        # Below the line there is room, as the curve runs above it: to the right where it is level or rises, else to the left.
        falls = line[-1] < line[0]
        axes.annotate(
            theme.label(name), (0.6, float(np.interp(0.6, q, line))), (-5 if falls else 5, -5), textcoords="offset points",
            ha="right" if falls else "left", va="top", color=theme.MUTED, fontsize=8.5,
        )  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_ylim(bottom=min(low, float(np.interp(0.6, q, line)) - 0.1 * (high - low)))


def _marker(axes: Axes, data: PlotData, q: Floats, value: Floats, colour: str) -> None:
    """Mark the chosen share with a drop line and its name."""
    chosen = contract.number(data, "marker")
    if chosen is None:
        return
    height = float(np.interp(chosen, q, value))
    axes.axvline(chosen, color=theme.INK, linewidth=0.9)
    axes.plot([chosen], [height], "o", color=colour, markersize=8, markeredgecolor=theme.PAPER, markeredgewidth=1.5)
    right = chosen < 0.6
    axes.annotate(
        theme.label(contract.text(data, "marker_label", f"treat {fmt.share(chosen, 0)}"), 40),
        (chosen, 1.0), (6 if right else -6, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="left" if right else "right", va="top", color=theme.INK, fontsize=9, fontweight="bold",
    )  # fmt: skip


def _thin(size: int) -> Any:
    """Return evenly spaced positions, both ends among them, at most :data:`POINTS`."""
    return np.unique(np.linspace(0, size - 1, min(size, POINTS)).round().astype(np.intp))
