"""One look for all figures: colours that colour-blind readers can tell apart, quiet axes, text that stays text."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.8
"""Width of every figure in inches: its 9-point text is readable on a phone and calm on a screen."""

INK, MUTED, RULE, GRID = "#1b2430", "#5c6773", "#aab3bd", "#e4e8ed"
BLUE, ORANGE, GREEN, PURPLE, AMBER, CYAN = "#0b62a8", "#c24d17", "#12795b", "#9a4a8a", "#8f5a00", "#1b7488"
PAPER = "#fefefe"

PALETTE = (BLUE, ORANGE, GREEN, PURPLE, AMBER, CYAN)

TOKENS = {
    INK: "--ck-ink",
    MUTED: "--ck-muted",
    RULE: "--ck-rule",
    GRID: "--ck-grid",
    PAPER: "--ck-paper",
    BLUE: "--ck-blue",
    ORANGE: "--ck-orange",
    GREEN: "--ck-green",
    PURPLE: "--ck-purple",
    AMBER: "--ck-amber",
    CYAN: "--ck-cyan",
}
"""CSS variables that a page may set to recolour inline figures (dark mode); the colour itself is the fallback."""

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 2.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "causalkit",
}
_FAMILIES = re.compile(
    r"(axes|figure|font|grid|hatch|legend|lines|mathtext|patch|path|savefig|scatter|svg|text|xtick|ytick)\."
)
_LOCK = threading.RLock()


@contextmanager
def styled() -> Iterator[None]:
    """Draw and write under the theme alone, whatever the user's matplotlib settings are; they are put back after.

    matplotlib reads its settings from one process-wide table, so figures are made one at a time.
    """
    import matplotlib

    with _LOCK, warnings.catch_warnings():
        # A name in a script that DejaVu lacks is drawn by the reader's own fonts, as SVG text stays text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        base = {key: value for key, value in matplotlib.rcParamsDefault.items() if _FAMILIES.match(key)}
        with matplotlib.rc_context({**base, **_STYLE}):
            yield


def new_figure(height: float) -> Figure:
    """Return an empty figure of the house width; no pyplot, so nothing global keeps it alive."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


def dress(axes: Axes, *, xlabel: str = "", ylabel: str = "", grid: Literal["x", "y", "both"] = "y") -> None:
    """Give axes their labels, a light grid and short ticks; the vertical label reads horizontally above the axis."""
    axes.tick_params(length=0, pad=5)
    for axis in (axes.xaxis, axes.yaxis):
        _plain_numbers(axis)
    axes.set_xlabel(label(xlabel, 80), labelpad=6)
    if ylabel:
        axes.set_title(label(ylabel, 80), loc="left", color=MUTED, pad=8)
    axes.grid(axis=grid)
    axes.spines["left"].set_visible(grid != "y")
    axes.margins(x=0.02)


def _plain_numbers(axis: Any) -> None:
    """Write ticks in full with thousands separators, where they are not names already."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    if isinstance(axis.get_major_formatter(), ScalarFormatter):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace("-", "−")))


def percent_axis(axis: Any) -> None:
    """Write the ticks of an axis of shares as percentages."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="%"))


def note(figure: Figure, text: str) -> None:
    """Say something in small print under the figure, such as that not all rows are shown."""
    figure.supxlabel(text, fontsize=8, color=MUTED, x=0.01, ha="left")


def label(text: object, longest: int = 34) -> str:
    """Make a user's name fit to be drawn: one line, no control characters, at most ``longest`` characters."""
    flat = re.sub(r"\s+", " ", str(text))
    flat = re.sub(r"[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", flat)
    flat = re.sub(r"[\x7f-\x9f]", "\ufffd", flat)
    flat = re.sub(r"[\u202a-\u202e\u2066-\u2069]", "", flat)  # marks that would turn the words after them around
    return flat if len(flat) <= longest else flat[: longest - 1].rstrip() + "…"
