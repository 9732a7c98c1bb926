"""Event studies of several estimators, drawn over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import DesignError
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
READING = (
    "Each mark is an effect at one time since the start, by one estimator, with its 95% interval; left of the dotted line "
    "nothing had started, so that marks far from zero speak against parallel trends. An open mark is the period that an "
    "estimator measures from."
)


def event_studies(data: PlotData) -> Figure:
    """Draw effects by time since the start, one colour and mark per estimator, side by side at each time.

    Parameters
    ----------
    data : mapping
        ``series``: for each estimator by name a mapping with ``position`` (time since the start), ``estimate``, ``low``,
        ``high`` (k floats each), ``reference`` (the time it measures from, or None) and optional ``contrast`` (whether it
        is drawn in grey); optional ``xlabel``, ``ylabel``.
    """
    series = _series(data)
    figure = theme.new_figure(3.3 + 0.17 * ((len(series) + 1) // 2))
    axes = figure.subplots()
    times = np.unique(np.concatenate([columns[0] for columns in series.values()]))
    step = float(np.diff(times).min()) if len(times) > 1 else 1.0
    shift = (np.arange(len(series)) - (len(series) - 1) / 2) * 0.75 * step / max(len(series), 2)
    axes.axhline(0.0, color=theme.MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.axvline(-0.5 * step, color=theme.RULE, linewidth=1.0, linestyle=":")
    for place, (name, (position, estimate, low, high)) in enumerate(series.items()):
        colour, mark = theme.PALETTE[place % len(theme.PALETTE)], MARKERS[place % len(MARKERS)]
        if data["series"][name].get("contrast"):
            colour, mark = theme.MUTED, "x"
        at = position + shift[place]
        axes.vlines(at, low, high, color=colour, linewidth=1.4, alpha=0.55)
        axes.plot(at, estimate, mark, color=colour, markersize=4.0, label=theme.label(name))
        base = contract.number(data["series"][name], "reference")
        if base is not None:
            axes.plot([base + shift[place]], [0.0], mark, color=colour, markersize=4.0, markerfacecolor=theme.PAPER)
    theme.dress(
        axes,
        xlabel=contract.text(data, "xlabel", "Time since the start"),
        ylabel=contract.text(data, "ylabel", "Effect"),
    )
    axes.locator_params(axis="x", integer=True)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2, handletextpad=0.2, columnspacing=1.0)
    return figure


def told(data: PlotData) -> str:
    """Tell the figure in words: the effect at the start and the last one, by estimator."""
    parts = []
    for name, (position, estimate, _, _) in _series(data).items():
        after = np.flatnonzero(position >= 0)
        if len(after):
            first, last = after[0], after[-1]
            parts.append(
                f"{name}: {fmt.number(estimate[first], 3)} at {fmt.number(position[first], 3)}, "
                f"{fmt.number(estimate[last], 3)} at {fmt.number(position[last], 3)}"
            )
    return f"Effects by time since the start by {fmt.plural(len(parts), 'estimator')}. {'; '.join(parts)}."


def _series(data: PlotData) -> dict[str, tuple[np.ndarray, ...]]:
    if not data.get("series"):
        raise DesignError("the figure has nothing to draw: no estimator has effects by time since the start.")
    return {
        str(name): contract.columns(part, "position", "estimate", "low", "high")
        for name, part in data["series"].items()
    }
