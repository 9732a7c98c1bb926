"""Figures of one row per name: estimates with intervals, and covariate balance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.kernels.arrays import Floats
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 40
"""Most rows that a figure shows; the table beside it has them all."""


def effects(data: PlotData) -> Figure:
    """Draw estimates with their intervals, one row each (a forest plot).

    Parameters
    ----------
    data : mapping
        ``terms`` (k names), ``estimate``, ``low``, ``high`` (k floats, in the outcome's unit; an interval end that is
        not finite is drawn to the edge); optional ``simultaneous_low``, ``simultaneous_high`` (k floats, the band that
        covers all terms at once), ``null`` (float, default 0: the line of no effect), ``xlabel`` (str).
        At most 40 rows are drawn, in the order given.
    """
    estimate, low, high = contract.columns(data, "estimate", "low", "high")
    terms = contract.names(data, "terms", estimate.size)
    wide = [contract.optional(data, f"simultaneous_{side}", estimate.size) for side in ("low", "high")]
    shown = min(estimate.size, ROWS)
    figure, axes = _rows(terms[:shown])
    place = np.arange(shown)
    null = contract.number(data, "null")
    axes.axvline(0.0 if null is None else null, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    edges = _edges(estimate, low, high, *(part for part in wide if part is not None))
    if wide[0] is not None and wide[1] is not None:
        axes.hlines(place, *_clipped(wide[0], wide[1], edges, shown), color=theme.BLUE, linewidth=1.0)
    axes.hlines(place, *_clipped(low, high, edges, shown), color=theme.BLUE, linewidth=3.2, alpha=0.45)
    axes.plot(estimate[:shown], place, "o", color=theme.BLUE, markersize=6, markeredgecolor=theme.PAPER)
    theme.dress(axes, xlabel=contract.text(data, "xlabel", "Effect"), grid="x")
    axes.spines["left"].set_visible(False)
    _tell_rest(figure, shown, estimate.size, "terms")
    return figure


def balance(data: PlotData) -> Figure:
    """Draw how far apart the arms are on each covariate (a Love plot), the worst first.

    Parameters
    ----------
    data : mapping
        ``covariates`` (k names), ``difference`` (k floats: standardised mean difference before adjustment); optional
        ``adjusted`` (k floats: after it), ``thresholds`` (float or floats, default 0.1: where a difference is called
        large), ``xlabel``. Absolute values are drawn; at most 40 rows.
    """
    (before,) = contract.columns(data, "difference")
    covariates = contract.names(data, "covariates", before.size)
    after = contract.optional(data, "adjusted", before.size)
    order = np.argsort(-np.nan_to_num(np.abs(before), nan=-1.0), kind="stable")[:ROWS]
    figure, axes = _rows([covariates[i] for i in order])
    place = np.arange(order.size)
    for threshold in np.atleast_1d(np.asarray(data.get("thresholds", 0.1), dtype=np.float64)):
        axes.axvline(threshold, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    first = np.abs(before[order])
    if after is not None:
        second = np.abs(after[order])
        axes.hlines(place, np.fmin(first, second), np.fmax(first, second), color=theme.GRID, linewidth=2.5)
        axes.plot(second, place, "o", color=theme.BLUE, markersize=6, label="after adjustment")
    axes.plot(first, place, "D", color=theme.ORANGE, markersize=5, markerfacecolor="none", label="as observed")
    theme.dress(axes, xlabel=contract.text(data, "xlabel", "Absolute standardised mean difference"), grid="x")
    axes.spines["left"].set_visible(False)
    axes.set_xlim(left=0.0)
    handles, labels = axes.get_legend_handles_labels()
    if after is not None:
        figure.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=2, handletextpad=0.3)
    _tell_rest(figure, order.size, before.size, "covariates")
    return figure


def _rows(labels: list[str] | tuple[str, ...]) -> tuple[Figure, Axes]:
    """Return a figure with one labelled row per name, the first on top."""
    figure = theme.new_figure(0.75 + 0.27 * max(len(labels), 2))
    axes = figure.subplots()
    axes.set_yticks(np.arange(len(labels)), [theme.label(name) for name in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    for tick in axes.get_yticklabels():
        tick.set_color(theme.INK)
    return figure, axes


def _edges(*parts: Floats) -> tuple[float, float]:
    """Return where an unbounded interval is cut off: a little beyond all that is finite."""
    every = np.concatenate(parts)
    finite = every[np.isfinite(every)]
    if not finite.size:
        return -1.0, 1.0
    spread = float(np.ptp(finite)) or 1.0
    return float(finite.min()) - 0.3 * spread, float(finite.max()) + 0.3 * spread


def _clipped(low: Floats, high: Floats, edges: tuple[float, float], shown: int) -> tuple[Floats, Floats]:
    return np.clip(low[:shown], *edges), np.clip(high[:shown], *edges)


def _tell_rest(figure: Figure, shown: int, total: int, noun: str) -> None:
    if shown < total:
        theme.note(figure, f"{shown} of {total:,} {noun} shown")
