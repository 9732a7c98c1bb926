"""The figure of a causal graph with its paths coloured."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from causalkit.plot import contract, theme
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

_SIZE = 8.5

COLOURS = {"causal": theme.GREEN, "open": theme.ORANGE, "other": theme.RULE}
FILLS = {
    "treatment": theme.BLUE,
    "outcome": theme.BLUE,
    "adjusted": theme.GRID,
    "latent": theme.PAPER,
    "other": theme.PAPER,
}


def graph(data: PlotData) -> Figure:
    """Draw a causal graph.

    Parameters
    ----------
    data : mapping
        ``names`` (k), ``x``, ``y`` (k floats), ``roles`` (k of treatment, outcome, adjusted, latent, other), ``edges``
        (tuples of tail, head, kind, bidirected; kind is causal, open or other), ``passes`` (for each edge, the points
        between its ends).
    """
    from matplotlib.patches import FancyArrowPatch

    x, y = contract.columns(data, "x", "y")
    names = contract.names(data, "names", x.size)
    heights = [*y, *(point[1] for points in data["passes"] for point in points)]
    low, high = float(min(heights)), float(max(heights))
    figure = theme.new_figure(max(2.0, 0.6 * (high - low + 2)))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(float(x.min()) - 0.6, float(x.max()) + 0.6)
    axes.set_ylim(low - 0.6, high + 0.6)
    for at, name in enumerate(names):
        role = data["roles"][at]
        strong = role in ("treatment", "outcome")
        axes.text(
            x[at],
            y[at],
            theme.label(name),
            ha="center",
            va="center",
            fontsize=_SIZE,
            color=theme.PAPER if strong else theme.MUTED if role == "latent" else theme.INK,
            zorder=3,
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": FILLS[role],
                "edgecolor": theme.BLUE if strong else theme.RULE,
                "linestyle": "--" if role == "latent" else "-",
                "linewidth": 1.0,
            },
        )
    half = [_half(theme.label(name)) for name in names]
    order = {"other": 0, "causal": 1, "open": 2}
    drawn = zip(data["edges"], data["passes"], strict=True)
    for (tail, head, kind, both), passed in sorted(drawn, key=lambda edge: order[edge[0][2]]):
        axes.add_patch(
            FancyArrowPatch(
                (x[tail], y[tail]),
                (x[head], y[head]),
                connectionstyle=route(axes, passed, half[tail], half[head], both),
                arrowstyle="<|-|>" if both else "-|>",
                mutation_scale=10,
                shrinkA=0,
                shrinkB=0,
                color=COLOURS[kind],
                linestyle="--" if both else "-",
                linewidth=1.2 if kind == "other" else 2.0,
                zorder=1 + 0.1 * order[kind],
            )
        )
    return figure


def _half(name: str) -> tuple[float, float]:
    """Half the width and height of a name's box, in points."""
    from matplotlib.textpath import TextPath

    width = TextPath((0, 0), name, size=_SIZE).get_extents().width if name.strip() else 0.0
    return width / 2 + 0.35 * _SIZE + 3, 0.5 * _SIZE + 0.35 * _SIZE + 3


def route(
    axes: Axes, passed: list[tuple[float, float]], tail: tuple[float, float], head: tuple[float, float], both: bool
) -> Any:
    """Return a matplotlib connection style: a smooth line through points, from the edge of one box to that of another.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    passed : list of (float, float)
        Points between the ends, in the units of the axes.
    tail, head : (float, float)
        Half the width and height of the boxes at its ends, in points.
    both : bool
        Whether a straight line is bowed, so that it hides no other.
    """

    def connect(start: Any, end: Any, **_: Any) -> Path:
        from matplotlib.path import Path

        points = np.array([start, *(axes.transData.transform(passed) if passed else []), end], dtype=float)
        if both and len(points) == 2:
            along = points[1] - points[0]
            points = np.insert(points, 1, points.mean(axis=0) + 0.2 * np.array([-along[1], along[0]]), axis=0)
        line = _smooth(points)
        scale = axes.figure.dpi / 72
        outside = np.ones(len(line), dtype=bool)
        for center, (width, height) in ((points[0], tail), (points[-1], head)):
            away = np.abs(line - center)
            outside &= (away[:, 0] > width * scale) | (away[:, 1] > height * scale)
        kept = line[outside]
        return Path(kept if len(kept) > 1 else line)

    return connect


def _smooth(points: np.ndarray) -> np.ndarray:
    """Return many points of a line that bends at the middles between the given ones (quadratic Bezier pieces)."""
    if len(points) == 2:
        straight: np.ndarray = points[0] + np.linspace(0, 1, 200)[:, None] * (points[1] - points[0])
        return straight
    ends = [points[0], *((points[1:-2] + points[2:-1]) / 2), points[-1]]
    t = np.linspace(0, 1, 80)[:, None]
    pieces = [
        (1 - t) ** 2 * one + 2 * t * (1 - t) * bend + t**2 * two
        for (one, two), bend in zip(pairwise(ends), points[1:-1], strict=True)
    ]
    line: np.ndarray = np.concatenate(pieces)
    return line


def graph_told(data: PlotData) -> str:
    """Tell the figure in words: its edges, those on causal paths and those on a path that stays open."""
    names = [str(name) for name in data["names"]]
    told: dict[str, list[str]] = {kind: [] for kind in COLOURS}
    for tail, head, kind, both in data["edges"]:
        told[kind].append(f"{names[tail]} {'<->' if both else '->'} {names[head]}")
    parts = [f"Causal graph of {len(names)} variables with {len(data['edges'])} edges."]
    if told["causal"]:
        parts.append(f"On causal paths: {'; '.join(told['causal'][:12])}.")
    if told["open"]:
        parts.append(f"On a path that is not causal and stays open: {'; '.join(told['open'])}.")
    adjusted = [name for name, role in zip(names, data["roles"], strict=True) if role == "adjusted"]
    return " ".join([*parts, f"Adjusted for: {', '.join(adjusted)}."] if adjusted else parts)


GRAPH_READING = (
    "Arrows are direct causes; green ones carry the effect, orange ones a path that stays open though it is not causal. "
    "Filled grey: adjusted for; dashed: not measured."
)
