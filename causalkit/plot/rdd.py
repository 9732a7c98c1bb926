"""Figures of a regression discontinuity: the jump itself, and how the estimate moves with what was chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.kernels.arrays import Floats
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RD_READING = (
    "Each dot is the average of a bin, the bar its interval (left out where few rows make it very wide), the thin curve a "
    "polynomial through all rows of its side. The thick lines are the fit within the bandwidth; the effect is the gap "
    "between them at the cutoff."
)
BANDWIDTHS_READING = (
    "Each dot is the estimate at one bandwidth with its interval; the marked one was used. An effect that holds over many "
    "bandwidths does not hang on the choice."
)
CUTOFFS_READING = (
    "Each dot is the estimate at one cutoff with its interval. At false cutoffs, where nothing changes, intervals should "
    "hold zero."
)
SMOOTHNESS_READING = (
    "Each interval is valid for every regression function whose second derivative stays within the bound below it. Further "
    "right, more curvature is allowed."
)
POWER_READING = (
    "How likely the test finds an effect of each size. The green line is the smallest effect that is found with the "
    "probability that is wanted."
)


def rd(data: PlotData) -> Figure:
    """Draw binned means on both sides of the cutoff, a global polynomial, and the local fit.

    Parameters
    ----------
    data : mapping
        ``x``, ``y``, ``low``, ``high`` (one for each bin), ``cutoff``; for each side ``left`` and ``right`` optional
        ``curve_<side>_x``, ``curve_<side>_y`` (global polynomial) and ``line_<side>_x``, ``line_<side>_y`` (the fit within
        the bandwidth); optional ``xlabel``, ``ylabel``, ``note``.
    """
    x, y, low, high = contract.columns(data, "x", "y", "low", "high")
    cutoff = contract.number(data, "cutoff") or 0.0
    figure = theme.new_figure(3.2)
    axes = figure.subplots()
    axes.axvline(cutoff, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    told = high - low <= 0.75 * np.ptp(y)  # bins of two or three rows have intervals that tell nothing
    for side, colour, inside in (("left", theme.ORANGE, x < cutoff), ("right", theme.BLUE, x >= cutoff)):
        barred = inside & told
        axes.vlines(x[barred], low[barred], high[barred], color=colour, linewidth=1.2, alpha=0.28)
        axes.plot(x[inside], y[inside], "o", color=colour, markersize=3.6, alpha=0.75, markeredgewidth=0)
        for name, width, shade in (("curve", 1.1, 0.55), ("line", 3.0, 1.0)):
            if data.get(f"{name}_{side}_x") is not None:
                at, value = contract.columns(data, f"{name}_{side}_x", f"{name}_{side}_y")
                axes.plot(at, value, color=colour, linewidth=width, alpha=shade, solid_capstyle="butt")
    _within(axes, y, np.where(told, low, y), np.where(told, high, y))
    theme.dress(
        axes,
        xlabel=contract.text(data, "xlabel", "Running variable"),
        ylabel=contract.text(data, "ylabel", "Average outcome"),
    )
    note = contract.text(data, "note")
    if note:
        theme.note(figure, note)
    return figure


def _within(axes: Axes, y: Floats, low: Floats, high: Floats) -> None:
    """Keep the view on the dots: intervals of bins with few rows may run out of it."""
    span = float(np.ptp(y)) or 1.0
    bottom = max(float(np.nanmin(low)), float(y.min()) - 0.35 * span)
    top = min(float(np.nanmax(high)), float(y.max()) + 0.35 * span)
    axes.set_ylim(bottom - 0.03 * span, top + 0.03 * span)


def bandwidths(data: PlotData) -> Figure:
    """Draw the estimate against the bandwidth.

    Parameters
    ----------
    data : mapping
        ``bandwidth``, ``estimate``, ``low``, ``high`` (k floats); optional ``chosen`` (the bandwidth in use), ``null``,
        ``xlabel``, ``ylabel``.
    """
    return _along(data, "bandwidth", "Bandwidth", "chosen")


def placebo_cutoffs(data: PlotData) -> Figure:
    """Draw the estimate against the cutoff, false ones among them.

    Parameters
    ----------
    data : mapping
        ``cutoff``, ``estimate``, ``low``, ``high`` (k floats); optional ``chosen`` (the true cutoff), ``null``, ``xlabel``,
        ``ylabel``.
    """
    return _along(data, "cutoff", "Cutoff", "chosen")


def smoothness(data: PlotData) -> Figure:
    """Draw honest intervals against the bound on the second derivative, on a logarithmic axis.

    Parameters
    ----------
    data : mapping
        ``smoothness``, ``estimate``, ``low``, ``high`` (k floats); optional ``chosen`` (the bound in use), ``break_even``
        (where the interval reaches zero), ``lower_bound`` (the curvature that the data show), ``null``, ``xlabel``,
        ``ylabel``.
    """
    figure = _along(data, "smoothness", "Bound on the second derivative", "chosen", log=True)
    axes = figure.axes[0]
    values = contract.vector(data, "smoothness")
    found, shown = contract.number(data, "break_even"), contract.number(data, "lower_bound")
    near = float(values.min()) / 3.0, float(values.max()) * 3.0
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.1 * (top - bottom))  # room for names
    if found is not None and near[0] <= found <= near[1]:
        axes.axvline(found, color=theme.GREEN, linewidth=1.2)
        _name(axes, found, f"break-even {fmt.number(found, 3)}", theme.GREEN, 0.98, found > float(values.max()))
    if shown is not None and shown >= near[0]:
        axes.axvspan(near[0] / 3.0, min(shown, near[1]), color=theme.MUTED, alpha=0.12, linewidth=0)
        axes.set_xlim(min(near[0], float(values.min())) * 1.7, None)
        axes.annotate(
            "the data bend more", (0.01, 0.98), xycoords="axes fraction", color=theme.MUTED, fontsize=8.0, va="top"
        )
    return figure


def power(data: PlotData) -> Figure:
    """Draw the probability to find an effect against its size.

    Parameters
    ----------
    data : mapping
        ``effect`` (k floats, rising), ``power`` (k floats in [0, 1]), ``wanted`` (the power that is wanted), ``minimum``
        (the smallest effect that has it); optional ``chosen`` (the effect that should be found), ``xlabel``.
    """
    effect, value = contract.columns(data, "effect", "power")
    wanted, least = contract.number(data, "wanted"), contract.number(data, "minimum")
    figure = theme.new_figure(2.9)
    axes = figure.subplots()
    if wanted is not None:
        axes.axhline(wanted, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.plot(effect, value, color=theme.BLUE, solid_capstyle="round")
    chosen = contract.number(data, "chosen")
    if chosen is not None:
        axes.plot([chosen], [np.interp(chosen, effect, value)], "o", color=theme.ORANGE, markersize=6.5)
    if least is not None:
        axes.axvline(least, color=theme.GREEN, linewidth=1.2)
        said = f"{fmt.share(wanted or 0.8, 0)} at {fmt.number(least, 3)}"
        _name(axes, least, said, theme.GREEN, 0.1, least > 0.6 * float(effect.max()))
    theme.dress(axes, xlabel=contract.text(data, "xlabel", "True effect"), ylabel="Probability to find it")
    axes.set_ylim(0.0, 1.02)
    theme.percent_axis(axes.yaxis)
    return figure


def power_told(data: PlotData) -> str:
    """Tell the power curve: its value at the chosen effect, and the smallest effect with the wanted power."""
    effect, value = contract.columns(data, "effect", "power")
    said = [f"Probability to find an effect, from {fmt.share(value[0])} at {fmt.number(effect[0], 3)}."]
    chosen, least = contract.number(data, "chosen"), contract.number(data, "minimum")
    if chosen is not None:
        said.append(f"At {fmt.number(chosen, 3)}: {fmt.share(float(np.interp(chosen, effect, value)))}.")
    if least is not None:
        said.append(f"{fmt.share(contract.number(data, 'wanted') or 0.8, 0)} is reached at {fmt.number(least, 3)}.")
    return " ".join(said)


def _along(data: PlotData, key: str, xlabel: str, chosen: str, log: bool = False) -> Figure:
    """Draw estimates and intervals along an axis of numbers, the chosen one marked."""
    at, estimate, low, high = contract.columns(data, key, "estimate", "low", "high")
    own = contract.number(data, chosen)
    figure = theme.new_figure(2.9)
    axes = figure.subplots()
    null = contract.number(data, "null") or 0.0
    axes.axhline(null, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    marked = np.zeros(at.size, dtype=bool) if own is None else np.isclose(at, own, rtol=1e-9, atol=1e-12)
    for here, colour, size in ((~marked, theme.BLUE, 4.6), (marked, theme.ORANGE, 6.5)):
        axes.vlines(at[here], low[here], high[here], color=colour, linewidth=2.2, alpha=0.5)
        axes.plot(at[here], estimate[here], "o", color=colour, markersize=size, markeredgecolor=theme.PAPER)
    if log:
        axes.set_xscale("log")
    theme.dress(
        axes, xlabel=contract.text(data, "xlabel", xlabel), ylabel=contract.text(data, "ylabel", "Effect at the cutoff")
    )
    if log:
        axes.set_xticks(at, [fmt.number(float(value), 3) for value in at])
        axes.minorticks_off()
    axes.margins(x=0.06)
    return figure


def _name(axes: Axes, at: float, text: str, colour: str, height: float, left: bool) -> None:
    axes.annotate(
        text, (at, height), (-5 if left else 5, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="right" if left else "left", va="top", color=colour, fontsize=9, fontweight="bold",
    )  # fmt: skip


def rd_told(data: PlotData) -> str:
    """Tell the plot: bins on each side, the averages next to the cutoff, and the ends of the local fit."""
    x, y = contract.columns(data, "x", "y")
    cutoff = contract.number(data, "cutoff") or 0.0
    left, right = np.flatnonzero(x < cutoff), np.flatnonzero(x >= cutoff)
    outcome, running = contract.text(data, "ylabel", "outcome"), contract.text(data, "xlabel", "running variable")
    said = [f"{outcome} by {running} in {left.size} bins below and {right.size} above {fmt.number(cutoff, 4)}."]
    if left.size and right.size:
        said.append(
            f"Next to the cutoff the averages are {fmt.number(y[left[-1]], 3)} and {fmt.number(y[right[0]], 3)}."
        )
    if data.get("line_left_y") is not None and data.get("line_right_y") is not None:
        ends = []
        for side in ("left", "right"):
            at, value = contract.columns(data, f"line_{side}_x", f"line_{side}_y")
            ends.append(float(value[np.argmin(np.abs(at - cutoff))]))
        said.append(f"The fit within the bandwidth ends at {fmt.number(ends[0], 3)} and {fmt.number(ends[1], 3)}.")
    return " ".join(said)


def along_told(key: str, what: str) -> Callable[[PlotData], str]:
    """Return the function that tells a figure of estimates along an axis."""

    def told(data: PlotData) -> str:
        at, estimate, low, high = contract.columns(data, key, "estimate", "low", "high")
        null = contract.number(data, "null") or 0.0
        apart = int(np.sum((low > null) | (high < null)))
        out = (
            f"Estimates at {fmt.plural(at.size, what)} from {fmt.number(at.min(), 3)} to {fmt.number(at.max(), 3)}: between "
            f"{fmt.number(estimate.min(), 3)} and {fmt.number(estimate.max(), 3)}; {apart} of {at.size} intervals exclude "
            f"{fmt.number(null)}."
        )
        own = contract.number(data, "chosen")
        if own is None:
            return out
        here = int(np.argmin(np.abs(at - own)))
        value = f"{fmt.number(estimate[here], 3)} {fmt.interval(low[here], high[here], 3)}"
        return f"{out} At {fmt.number(own, 3)}: {value}."

    return told
