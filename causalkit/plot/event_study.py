"""Figures of panels: effects by time since the start, robust intervals, weights and comparisons behind a coefficient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.kernels.arrays import Bools, Floats
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 40
"""Most bars that a figure shows; the table beside it has them all."""
NAMES = 12
"""Most names under an axis."""


def event_study(data: PlotData) -> Figure:
    """Draw effects by time since the start (or by cohort or period), with pointwise intervals and a simultaneous band.

    Parameters
    ----------
    data : mapping
        ``position`` (k floats), ``estimate``, ``low``, ``high`` (k floats, in the outcome's unit), ``post`` (k bools:
        effects of treatment); optional ``band_low``, ``band_high`` (k floats, simultaneous), ``reference`` (float: the
        event time whose effect is zero by construction, drawn hollow), ``terms`` (k names, shown under the axis where
        positions only count), ``xlabel``, ``ylabel``. Interval ends that are not finite are left out.
    """
    position, estimate, low, high = contract.columns(data, "position", "estimate", "low", "high")
    post = contract.columns(data, "position", "post")[1].astype(bool)
    band = [contract.optional(data, f"band_{side}", position.size) for side in ("low", "high")]
    figure = theme.new_figure(3.1)
    axes = figure.subplots()
    axes.axhline(0.0, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    reference = contract.number(data, "reference")
    timed = contract.text(data, "xlabel").startswith("time since")
    if timed and post.any() and not post.all():
        edge = (position[post].min() + max(position[~post].max(), -np.inf if reference is None else reference)) / 2.0
        axes.axvline(edge, color=theme.GRID, linewidth=1.4, zorder=0)
    for kind, colour, name in ((~post, theme.ORANGE, "before the start"), (post, theme.BLUE, "after the start")):
        if kind.any():
            _bars(axes, position, band[0], band[1], kind, colour, 1.0, 1.0)
            _bars(axes, position, low, high, kind, colour, 3.4, 0.45)
            axes.plot(
                position[kind], estimate[kind], "o", color=colour, markersize=6, markeredgecolor=theme.PAPER, label=name
            )
    if reference is not None and timed and reference not in position:
        axes.plot([reference], [0.0], "o", markerfacecolor=theme.PAPER, markeredgecolor=theme.ORANGE, markersize=6)
    _ticks(axes, data, position, reference, timed)
    theme.dress(
        axes,
        xlabel=_capital(contract.text(data, "xlabel", "time since the start")),
        ylabel=contract.text(data, "ylabel", "Effect"),
    )
    axes.margins(x=0.05)
    if post.any() and not post.all():
        figure.legend(loc="outside upper right", ncols=2, handletextpad=0.3)
    return figure


def _bars(
    axes: Axes, x: Floats, low: Floats | None, high: Floats | None, kind: Bools, colour: str, width: float, alpha: float
) -> None:
    if low is not None and high is not None:
        shown = kind & np.isfinite(low) & np.isfinite(high)
        axes.vlines(x[shown], low[shown], high[shown], color=colour, linewidth=width, alpha=alpha)


def _ticks(axes: Axes, data: PlotData, position: Floats, reference: float | None, timed: bool) -> None:
    if timed:
        every = np.unique(np.append(position, [] if reference is None else [reference]))
        if every.size <= 20 and np.all(every == np.round(every)):
            axes.set_xticks(every)
        return
    labels = [theme.label(name, 18) for name in contract.names(data, "terms", position.size)]
    step = -(-position.size // NAMES)
    axes.set_xticks(position[::step], labels[::step])


def sensitivity(data: PlotData) -> Figure:
    """Draw robust intervals against the magnitude of the violation, beside the interval without any.

    Parameters
    ----------
    data : mapping
        ``magnitude`` (k floats, rising), ``low``, ``high`` (k floats, in the outcome's unit; NaN where the set is empty),
        ``estimate``, ``original_low``, ``original_high`` (floats); optional ``null`` (float, default 0), ``breakdown``
        (float: the magnitude at which an interval reaches the null), ``xlabel``, ``ylabel``.
    """
    magnitude, low, high = contract.columns(data, "magnitude", "low", "high")
    ends = [contract.number(data, key) for key in ("estimate", "original_low", "original_high")]
    estimate, first, last = (float("nan") if value is None else value for value in ends)
    null = contract.number(data, "null") or 0.0
    step = float(np.diff(magnitude).min()) if magnitude.size > 1 else max(float(magnitude[0]), 1.0)
    place = float(magnitude[0]) - step
    figure = theme.new_figure(3.1)
    axes = figure.subplots()
    axes.axhline(null, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    found = contract.number(data, "breakdown")
    if found is not None and magnitude[0] <= found <= magnitude[-1] + step:
        axes.axvline(found, color=theme.GREEN, linewidth=1.2)
        axes.annotate(
            f"break-even {fmt.number(found, 3)}", (found, 1.0), (-5, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right", va="top", color=theme.GREEN, fontsize=9, fontweight="bold",
        )  # fmt: skip
    axes.vlines([place], [first], [last], color=theme.ORANGE, linewidth=3.4, alpha=0.6)
    axes.plot([place], [estimate], "o", color=theme.ORANGE, markersize=6, markeredgecolor=theme.PAPER)
    finite = np.isfinite(low) & np.isfinite(high)
    axes.vlines(magnitude[finite], low[finite], high[finite], color=theme.BLUE, linewidth=3.4, alpha=0.6)
    for ends_ in (low, high):
        axes.plot(magnitude[finite], ends_[finite], "_", color=theme.BLUE, markersize=11, markeredgewidth=2.0)
    step_ = -(-magnitude.size // NAMES)
    axes.set_xticks(
        [place, *magnitude[::step_]],
        ["parallel\ntrends", *(f"{m:.3g}" for m in magnitude[::step_])],
    )
    theme.dress(axes, xlabel=contract.text(data, "xlabel", "M"), ylabel=contract.text(data, "ylabel", "Effect"))
    axes.margins(x=0.05)
    return figure


def bars(data: PlotData) -> Figure:
    """Draw one bar for each name, those below zero in another colour.

    Parameters
    ----------
    data : mapping
        ``labels`` (k names), ``values`` (k floats); optional ``xlabel`` or ``ylabel`` (what the values are). At most 40
        bars are drawn, in the order given.
    """
    (values,) = contract.columns(data, "values")
    labels = contract.names(data, "labels", values.size)
    shown = min(values.size, BARS)
    figure = theme.new_figure(0.9 + 0.24 * shown)
    axes = figure.subplots()
    place = np.arange(shown)
    colours = [theme.ORANGE if value < 0 else theme.BLUE for value in values[:shown]]
    axes.barh(place, values[:shown], color=colours, height=0.68)
    axes.axvline(0.0, color=theme.MUTED, linewidth=1.0)
    axes.set_yticks(place, [theme.label(name) for name in labels[:shown]])
    axes.set_ylim(shown - 0.4, -0.6)
    what = contract.text(data, "xlabel") or contract.text(data, "ylabel", "value")
    theme.dress(axes, xlabel=_capital(what), grid="x")
    axes.spines["left"].set_visible(False)
    if shown < values.size:
        theme.note(figure, f"The first {shown} of {values.size:,}; the table has them all.")
    return figure


def scatter(data: PlotData) -> Figure:
    """Draw points by group, with a level line.

    Parameters
    ----------
    data : mapping
        ``groups`` (k names), ``x``, ``y`` (k floats); optional ``line`` (float: a level of y), ``line_label``,
        ``xlabel``, ``ylabel``.
    """
    x, y = contract.columns(data, "x", "y")
    groups = contract.names(data, "groups", x.size)
    figure = theme.new_figure(3.4)
    axes = figure.subplots()
    axes.axhline(0.0, color=theme.MUTED, linewidth=0.8)
    line = contract.number(data, "line")
    if line is not None:
        axes.axhline(line, color=theme.INK, linewidth=1.0, linestyle=(0, (4, 3)))
        said = contract.text(data, "line_label", fmt.number(line, 3).replace("-", "−"))
        axes.annotate(
            theme.label(said, 50), (1.0, line), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", color=theme.INK, fontsize=8.5,
        )  # fmt: skip
    marks = "oD^sv<>P"
    for j, name in enumerate(dict.fromkeys(groups)):
        here = np.array([group == name for group in groups])
        colour = theme.PALETTE[j % len(theme.PALETTE)]
        axes.plot(
            x[here], y[here], marks[j % len(marks)], color=colour, markersize=6.5, markeredgecolor=theme.PAPER,
            label=theme.label(name), linestyle="none",
        )  # fmt: skip
    theme.dress(
        axes, xlabel=_capital(contract.text(data, "xlabel", "x")), ylabel=_capital(contract.text(data, "ylabel", "y"))
    )
    axes.margins(x=0.05, y=0.12)
    figure.legend(loc="outside upper left", ncols=2, handletextpad=0.3)
    return figure


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
