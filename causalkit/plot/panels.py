"""Figures of a panel before anything is estimated: average outcomes by cohort, and who is treated when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.errors import DesignError
from causalkit.kernels.arrays import Floats, Ints
from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Most cohorts whose paths are drawn.
COHORTS = 10
#: Letters that fit under the axis of periods.
LETTERS = 64
PATHS_READING = (
    "Each line is the average outcome of the units that start in the same period; it turns bold, with filled dots, where "
    "they are treated. Before that, lines that run side by side speak for parallel trends."
)
TIMING_READING = (
    "Each row is a unit, those that start first on top; dark where it is treated, pale where it is not, empty where it was "
    "not observed."
)
UNTREATED, TREATED, UNSEEN = 0, 1, -1


def cohort_paths(data: PlotData) -> Figure:
    """Draw the average outcome of each cohort over time.

    Parameters
    ----------
    data : mapping
        ``position`` (k floats: the periods); ``cohorts`` (m names), ``mean`` (m vectors of k floats, NaN where nobody was
        observed), ``start`` (m floats: position of the first treated period, NaN for the never treated), ``units`` (m
        counts); optional ``labels`` (k names of the periods, where positions only count), ``xlabel``, ``ylabel``. The
        never treated and the largest other cohorts are drawn, ten in all.
    """
    position, names, mean, start, units = _paths(data)
    shown = _largest(start, units)
    figure = theme.new_figure(3.0 + 0.17 * ((len(shown) + 1) // 2))
    axes = figure.subplots()
    colours = iter(theme.PALETTE * 2)
    for at in shown:
        never = np.isnan(start[at])
        colour = theme.MUTED if never else next(colours)
        style = (0, (4, 2)) if never else "solid"
        told = f"{theme.label(names[at])} ({int(units[at]):,})"
        axes.plot(position, mean[at], color=colour, linewidth=1.2, linestyle=style, label=told)
        treated = position >= start[at]
        axes.plot(
            position[treated], mean[at][treated], "-o", color=colour, linewidth=2.4, markersize=4.5,
            markeredgecolor=theme.PAPER,
        )  # fmt: skip
    _periods(axes, data, position)
    theme.dress(axes, xlabel=contract.text(data, "xlabel"), ylabel=contract.text(data, "ylabel", "Average outcome"))
    axes.margins(x=0.04, y=0.08)
    figure.legend(loc="outside lower left", ncols=3, handlelength=1.4, columnspacing=1.2, title="Start (units)",
                  alignment="left")  # fmt: skip
    if len(shown) < len(names):
        theme.note(figure, f"{len(shown)} of {len(names)} cohorts: the largest")
    return figure


def timing(data: PlotData) -> Figure:
    """Draw who is treated when: one row for each unit, or for each group of units with the same path.

    Parameters
    ----------
    data : mapping
        ``position`` (k floats, rising: the periods), ``status`` (m x k: 1 treated, 0 not, -1 not observed), ``cohort`` (m
        names, rows of one cohort next to each other), ``units`` (m floats: units that a row stands for); optional
        ``labels`` (k names of the periods), ``xlabel``.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Patch

    position, status, cohort, units = _timing(data)
    figure = theme.new_figure(3.6)
    axes = figure.subplots()
    across, down = _edges(position), np.concatenate([[0.0], np.cumsum(units)])
    handles = []
    for code, colour, name in (
        (TREATED, theme.BLUE, "treated"),
        (UNTREATED, theme.GRID, "not treated"),
        (UNSEEN, theme.PAPER, "not observed"),
    ):
        boxes = list(_boxes(status == code, across, down))
        if boxes:
            axes.add_collection(PolyCollection(boxes, facecolors=colour, edgecolors=colour, linewidths=0.2))
            handles.append(Patch(facecolor=colour, edgecolor=theme.RULE, linewidth=0.5, label=name))
    _cohort_names(axes, cohort, down)
    axes.set_xlim(across[0], across[-1])
    axes.set_ylim(down[-1], 0.0)
    _periods(axes, data, position)
    axes.tick_params(length=0, pad=5)
    axes.set_xlabel(theme.label(contract.text(data, "xlabel"), 80), labelpad=6)
    axes.set_title(f"Start, of {round(down[-1]):,} units", loc="left", color=theme.MUTED, pad=8)
    axes.spines["left"].set_visible(False)
    figure.legend(handles=handles, loc="outside lower left", ncols=3, handlelength=1.2)
    return figure


def paths_told(data: PlotData) -> str:
    """Tell the paths in words: first and last averages of each cohort."""
    position, names, mean, start, units = _paths(data)
    parts = []
    for at in _largest(start, units):
        seen = np.flatnonzero(np.isfinite(mean[at]))
        ends = [f"{fmt.number(mean[at][j], 3)} in {_period(data, position, j)}" for j in seen[[0, -1]]]
        parts.append(f"{names[at]} ({fmt.plural(int(units[at]), 'unit')}): {', '.join(ends)}")
    return f"Average outcome over time of {fmt.plural(len(names), 'cohort')}. {'; '.join(parts)}."


def timing_told(data: PlotData) -> str:
    """Tell who is treated when: units by cohort, the share treated at the end, and the share of gaps."""
    position, status, cohort, units = _timing(data)
    total = float(units.sum())
    counts = dict.fromkeys(cohort, 0.0)
    for name, size in zip(cohort, units.tolist(), strict=True):
        counts[name] += size
    shown = list(counts.items())[:COHORTS]
    rest = f"; and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
    last = float(units @ (status[:, -1] == TREATED)) / total
    gaps = float(units @ (status == UNSEEN).mean(axis=1)) / total
    return (
        f"Who is treated when, {round(total):,} units in {fmt.plural(position.size, 'period')}: "
        f"{'; '.join(f'{name} {round(size):,}' for name, size in shown)}{rest}. In the last period {fmt.share(last, 0)} "
        f"are treated; {fmt.share(gaps)} of the cells were not observed."
    )


def _paths(data: PlotData) -> tuple[Floats, tuple[str, ...], list[Floats], Floats, Floats]:
    position = contract.columns(data, "position")[0]
    start, units = contract.columns(data, "start", "units")
    names = contract.names(data, "cohorts", start.size)
    mean = [np.asarray(one, dtype=np.float64) for one in data.get("mean", ())]
    if len(mean) != start.size or any(one.shape != position.shape for one in mean):
        raise DesignError("'mean' must have one vector for each cohort, and in it one value for each period.")
    return position, names, mean, start, units


def _timing(data: PlotData) -> tuple[Floats, Ints, tuple[str, ...], Floats]:
    (position,) = contract.columns(data, "position")
    (units,) = contract.columns(data, "units")
    status = np.asarray(data.get("status"), dtype=np.int64)
    if status.shape != (units.size, position.size):
        raise DesignError("'status' must have one row for each group of units and one column for each period.")
    return position, status, contract.names(data, "cohort", units.size), units


def _largest(start: Floats, units: Floats) -> list[int]:
    """Return which cohorts are drawn, in their order: the never treated, and the largest of the others."""
    order = sorted(range(start.size), key=lambda at: (not np.isnan(start[at]), -units[at]))[:COHORTS]
    return sorted(order, key=lambda at: (np.isnan(start[at]), start[at]))


def _periods(axes: Axes, data: PlotData, position: Floats) -> None:
    """Put ticks on periods, as many as their names leave room for."""
    if data.get("labels") is not None:
        names = [theme.label(name, 12) for name in contract.names(data, "labels", position.size)]
    elif np.all(position == np.round(position)):
        names = [f"{value:.0f}".replace("-", "−") for value in position]
    else:
        return
    room = float(np.ptp(position)) * (max(map(len, names)) + 1.5) / LETTERS
    ticks: list[int] = []
    for at, place in enumerate(position):
        if not ticks or place - position[ticks[-1]] >= room:
            ticks.append(at)
    axes.set_xticks(position[ticks], [names[at] for at in ticks])


def _period(data: PlotData, position: Floats, at: int) -> str:
    labels: Sequence[Any] | None = data.get("labels")
    return f"{position[at]:.10g}" if labels is None else str(labels[at])


def _edges(position: Floats) -> Floats:
    """Return where the columns begin and end: halfway between periods."""
    if position.size == 1:
        return np.array([position[0] - 0.5, position[0] + 0.5])
    middle = (position[1:] + position[:-1]) / 2
    return np.concatenate([[2 * position[0] - middle[0]], middle, [2 * position[-1] - middle[-1]]])


def _boxes(here: Any, across: Floats, down: Floats) -> Iterator[list[tuple[float, float]]]:
    """Yield the rectangles that a mask of cells is made of: rows that are alike share theirs, and so do runs in a row."""
    cuts = [0, *(np.flatnonzero((here[1:] != here[:-1]).any(axis=1)) + 1).tolist(), len(here)]
    for top, bottom in pairwise(cuts):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], here[top], [False]]).astype(np.int8)))
        for left, right in zip(ends[::2], ends[1::2], strict=True):
            x, y = (float(across[left]), float(across[right])), (float(down[top]), float(down[bottom]))
            yield [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]


def _cohort_names(axes: Axes, cohort: Sequence[str], down: Floats) -> None:
    """Name each cohort in the middle of its rows, where there is room, and draw a line between cohorts."""
    cuts = [0, *(j for j in range(1, len(cohort)) if cohort[j] != cohort[j - 1]), len(cohort)]
    places, names, last = [], [], -np.inf
    for first, stop in pairwise(cuts):
        middle = float(down[first] + down[stop]) / 2
        if first:
            axes.axhline(float(down[first]), color=theme.PAPER, linewidth=1.2)
        if middle - last >= 0.055 * down[-1]:
            places.append(middle)
            names.append(theme.label(cohort[first], 18))
            last = middle
    axes.set_yticks(places, names)
    for tick in axes.get_yticklabels():
        tick.set_color(theme.INK)
