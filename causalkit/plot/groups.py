"""Figures of groups of people: is a prediction right on average in each group, and who belongs to which segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 1500
"""Most people drawn as dots on the segment map."""


def calibration(data: PlotData) -> Figure:
    """Draw estimated against predicted effect by group; a good model lies on the diagonal.

    Parameters
    ----------
    data : mapping
        ``predicted`` (k floats: mean predicted effect of each group), ``estimate``, ``low``, ``high`` (k floats: the
        effect estimated in the group without using the prediction); optional ``labels`` (k names written beside the
        points), ``xlabel``, ``ylabel``.
    """
    x, y, low, high = contract.columns(data, "predicted", "estimate", "low", "high")
    figure = theme.new_figure(3.2)
    axes = figure.subplots()
    every = np.concatenate([x, y, low, high])
    every = every[np.isfinite(every)]
    pad = 0.06 * (float(np.ptp(every)) or 1.0)
    ends = (float(every.min()) - pad, float(every.max()) + pad)
    axes.plot(ends, ends, color=theme.MUTED, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.vlines(x, np.clip(low, *ends), np.clip(high, *ends), color=theme.BLUE, linewidth=3.0, alpha=0.45)
    axes.plot(x, y, "o", color=theme.BLUE, markersize=6.5, markeredgecolor=theme.PAPER)
    if data.get("labels") is not None:
        for name, across, up in zip(contract.names(data, "labels", x.size), x, y, strict=True):
            axes.annotate(theme.label(name, 20), (across, up), (7, -3), textcoords="offset points", fontsize=8.5)
    theme.dress(
        axes,
        xlabel=contract.text(data, "xlabel", "Predicted effect of the group"),
        ylabel=contract.text(data, "ylabel", "Estimated effect of the group"),
    )
    span = float(np.ptp(x)) or 2.0 * pad
    axes.set_xlim(x.min() - 0.12 * span, x.max() + 0.12 * span)
    axes.set_ylim(*ends)
    return figure


def segments(data: PlotData) -> Figure:
    """Draw the map of segments (outcome without treatment against effect), and how many people each holds.

    Parameters
    ----------
    data : mapping
        ``baseline``, ``effect`` (n floats: predicted outcome without treatment, predicted effect), ``codes`` (n
        integers from 0), ``names`` (the segments' names by code); optional ``baseline_cut``, ``effect_cut`` (floats:
        lines drawn on the map), ``xlabel``, ``ylabel``. At most 1,500 people are drawn, evenly by effect, so the
        picture does not depend on the order of rows; the bars count everyone.
    """
    baseline, effect, raw = contract.columns(data, "baseline", "effect", "codes")
    codes = raw.astype(np.intp)
    count = len(data["names"])
    labels = contract.names(data, "names", count)
    if codes.min() < 0 or codes.max() >= count:
        raise DesignError(f"'codes' must lie in 0 to {count - 1}, the positions of 'names'.")
    figure = theme.new_figure(3.2 + 0.27 * count)
    top, bottom = figure.subplots(2, height_ratios=[3.0, 0.35 + 0.27 * count])
    drawn = _sample(baseline, effect)
    for code in sorted(range(count), key=lambda code: labels[code] != "undecided"):
        part = drawn[codes[drawn] == code]
        top.scatter(baseline[part], effect[part], s=7, color=_colour(code, labels[code]), linewidths=0)
    for key, line in (("baseline_cut", top.axvline), ("effect_cut", top.axhline)):
        cut = contract.number(data, key)
        if cut is not None:
            line(cut, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    theme.dress(
        top,
        xlabel=contract.text(data, "xlabel", "Predicted outcome without treatment"),
        ylabel=contract.text(data, "ylabel", "Predicted effect"),
        grid="both",
    )
    _bars(bottom, labels, np.bincount(codes, minlength=count))
    if drawn.size < baseline.size:
        theme.note(figure, f"Map: {drawn.size:,} of {baseline.size:,} people; bars: everyone")
    return figure


def _bars(axes: Axes, labels: tuple[str, ...], counts: Any) -> None:
    """Draw how many people each segment holds; the bars are the legend of the map."""
    place = np.arange(len(labels))
    axes.barh(place, counts, height=0.62, color=[_colour(code, name) for code, name in enumerate(labels)])
    axes.set_yticks(place, [theme.label(name, 26) for name in labels], color=theme.INK)
    for code, total in enumerate(counts):
        share = f"{int(total):,} ({fmt.share(total / counts.sum(), 0)})"
        axes.annotate(share, (total, code), (5, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * counts.max())
    axes.set_xticks([])
    axes.tick_params(length=0, pad=5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _sample(baseline: Floats, effect: Floats) -> Any:
    """Return positions of at most :data:`DOTS` people, evenly spaced in the order of effect, then baseline."""
    known = np.flatnonzero(np.isfinite(baseline) & np.isfinite(effect))
    order = known[np.lexsort((baseline[known], effect[known]))]
    if order.size <= DOTS:
        return order
    return order[np.linspace(0, order.size - 1, DOTS).round().astype(np.intp)]


def _colour(code: int, name: str) -> str:
    # Whoever can't be placed stays in the background.
    return theme.RULE if name == "undecided" else theme.PALETTE[code % len(theme.PALETTE)]
