"""Figures of how values are spread: predicted effects, and propensities by arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ARMS = 8
"""Most arms that an overlap figure shows."""


def effect_histogram(data: PlotData) -> Figure:
    """Draw how predicted effects are spread, with the average effect and its interval; losses in another colour.

    Parameters
    ----------
    data : mapping
        ``values`` (n floats: predicted effects), ``average`` (float); optional ``low``, ``high`` (floats: interval of
        the average), ``null`` (float, default 0: below it a bar counts as a loss), ``xlabel``.
    """
    values = contract.vector(data, "values")
    values = values[np.isfinite(values)]
    if not values.size:
        raise DesignError("the figure has nothing to draw: no predicted effect is finite.")
    null = contract.number(data, "null") or 0.0
    edges = _edges(values, null)
    share = np.histogram(values, edges)[0] / values.size
    figure = theme.new_figure(2.8)
    axes = figure.subplots()
    loss = (edges[:-1] + edges[1:]) / 2 < null
    below = float(np.mean(values < null))
    for part, colour in ((~loss, theme.BLUE), (loss, theme.ORANGE)):
        if part.any():
            axes.stairs(np.where(part, share, 0.0), edges, fill=True, color=colour, alpha=0.75, linewidth=0)
        if colour == theme.ORANGE and below > 0:
            axes.set_title(f"{fmt.share(below)} below {fmt.number(null)}", loc="right", color=colour, fontweight="bold")
    axes.axvline(null, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    _average(axes, data, float(share.max()))
    theme.dress(axes, xlabel=contract.text(data, "xlabel", "Predicted effect"), ylabel="Share of people")
    theme.percent_axis(axes.yaxis)
    return figure


def overlap(data: PlotData) -> Figure:
    """Draw the spread of propensities in each arm: mirrored for two arms, in rows for more.

    Parameters
    ----------
    data : mapping
        ``arms`` (names), ``values`` (one vector of propensities per arm, in the order of ``arms``); optional ``low``,
        ``high`` (floats: outside them there is no overlap), ``xlabel``. At most 8 arms are drawn.
    """
    labels, values = contract.arms(data)
    labels, values = labels[:ARMS], values[:ARMS]
    mirrored = len(values) == 2
    figure = theme.new_figure(2.8 if mirrored else 0.8 + 0.8 * len(values))
    bounds = [bound for key in ("low", "high") if (bound := contract.number(data, key)) is not None]
    edges = _bins(np.concatenate(values), bounds)
    shares = [np.histogram(part, edges)[0] / max(part.size, 1) for part in values]
    grid = np.atleast_1d(figure.subplots(1 if mirrored else len(values), sharex=True))
    for i, (name, share) in enumerate(zip(labels, shares, strict=True)):
        axes = grid[0 if mirrored else i]
        down = mirrored and i == 0
        colour = theme.PALETTE[(1 - i) if mirrored else i % len(theme.PALETTE)]
        axes.stairs(-share if down else share, edges, fill=True, color=colour, alpha=0.75, linewidth=0)
        beside = contract.number(data, "low")  # the name stands right of the line there
        axes.annotate(
            f"{theme.label(name)} (n = {values[i].size:,})", (beside or 0.0, 0.0 if down else 1.0), (4, 3 if down else -3),
            xycoords=("axes fraction" if beside is None else "data", "axes fraction"), textcoords="offset points",
            va="bottom" if down else "top", color=colour, fontweight="bold",
        )  # fmt: skip
    for axes in grid:
        theme.dress(axes, grid="y")
        axes.axhline(0.0, color=theme.RULE, linewidth=0.8)
        axes.yaxis.set_major_formatter(lambda height, _: fmt.share(abs(height), 0))
        _room(axes, mirrored)
        for key in ("low", "high"):
            bound = contract.number(data, key)
            if bound is not None:
                axes.axvline(bound, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    grid[0].set_title("Share of the arm", loc="left", color=theme.MUTED, pad=8)
    grid[-1].set_xlabel(theme.label(contract.text(data, "xlabel", "Probability of treatment"), 80), labelpad=6)
    return figure


def _bins(values: Floats, bounds: list[float]) -> Floats:
    """Return edges of 40 bins; of fewer, wide enough to be seen, where values are close and the bounds far away."""
    low, high = _range(values)
    across = max(high, *bounds, high) - min(low, *bounds, low)
    count = int(np.clip(np.floor(100 * (high - low) / across), 1, 40))
    pad = max(across / 100 - (high - low), 0.0) / 2
    return np.linspace(low - pad, high + pad, count + 1)


def _room(axes: Axes, both: bool) -> None:
    """Leave room for the arm's name above the bars, and below them where they hang down too."""
    low, high = axes.get_ylim()
    axes.set_ylim(1.35 * low if both else 0.0, 1.35 * high)
    axes.locator_params(axis="y", nbins=6 if both else 3)


def _average(axes: Axes, data: PlotData, top: float) -> None:
    """Draw the average and its interval as a marker above the bars."""
    average = contract.number(data, "average")
    if average is None:
        return
    height = 1.1 * top
    low, high = contract.number(data, "low"), contract.number(data, "high")
    axes.vlines([average], 0.0, height, color=theme.INK, linewidth=1.2)
    if low is not None and high is not None:
        axes.hlines([height], low, high, color=theme.INK, linewidth=2.5)
    axes.plot([average], [height], "o", color=theme.INK, markersize=6)
    axes.annotate(
        f"average {fmt.number(average, 3)}", (average, height), (0, 7), textcoords="offset points", ha="center",
        color=theme.INK, fontweight="bold",
    )  # fmt: skip
    axes.set_ylim(0.0, 1.32 * top)


def _edges(values: Floats, null: float) -> Floats:
    """Return bin edges by the Freedman-Diaconis rule, 8 to 50 bins, with an edge on ``null`` where it is inside."""
    low, high = _range(values)
    quartiles = np.quantile(values, (0.25, 0.75))
    width = 2.0 * float(quartiles[1] - quartiles[0]) / values.size ** (1 / 3)
    bins = int(np.clip(round((high - low) / width), 8, 50)) if width > 0 else 20
    step = (high - low) / bins
    if not low < null < high:
        return np.linspace(low, high, bins + 1)
    start = null - step * np.ceil((null - low) / step)
    steps: Floats = np.arange(np.ceil((high - start) / step - 1e-9) + 1, dtype=np.float64)
    edges: Floats = start + step * steps
    return edges


def _range(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        return low, high
    pad = abs(low) * 0.1 or 0.5
    return low - pad, high + pad
