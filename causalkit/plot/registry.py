"""From the name of a figure to the function that draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from causalkit.errors import DesignError
from causalkit.plot import alt
from causalkit.plot.contract import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS: dict[str, str] = {
    "effects": "forest:effects",
    "event_studies": "event_studies:event_studies",
    "cohort_paths": "panels:cohort_paths",
    "timing": "panels:timing",
    "toc": "curves:toc",
    "gain": "curves:gain",
    "profit": "curves:profit",
    "dose_response": "dose:dose_response",
    "marginal_effects": "marginal:marginal_effects",
    "effect_histogram": "distributions:effect_histogram",
    "calibration": "groups:calibration",
    "segments": "groups:segments",
    "policy_tree": "policy:policy_tree",
    "profile": "policy:profile",
    "overlap": "distributions:overlap",
    "balance": "forest:balance",
    "event_study": "event_study:event_study",
    "sensitivity": "event_study:sensitivity",
    "bars": "event_study:bars",
    "contour": "contour:contour",
    "graph": "dag:graph",
    "scatter": "event_study:scatter",
    "rd": "rdd:rd",
    "bandwidths": "rdd:bandwidths",
    "placebo_cutoffs": "rdd:placebo_cutoffs",
    "smoothness": "rdd:smoothness",
    "power": "rdd:power",
    "density": "rd_density:density",
    "rd_windows": "rd_windows:rd_windows",
}
"""Kind of figure -> module and function in this package; the function's docstring says which data it takes."""


class Drawable(Protocol):
    """Who can be drawn: it names its figures and supplies their numbers."""

    @property
    def plots(self) -> tuple[str, ...]:
        """Kinds of figures that this owner has."""

    def plot_data(self, kind: str) -> PlotData:
        """Return the numbers of one figure, as the drawing function documents them."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure with its words.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The drawing.
    alt : str
        What it shows, with its main numbers, for who can't see it.
    reading : str
        One or two sentences on how to read this kind of figure.
    """

    figure: Figure
    alt: str
    reading: str


def draw(owner: Drawable, kind: str) -> Figure:
    """Draw one of an owner's figures.

    Parameters
    ----------
    owner : object with ``plots`` and ``plot_data(kind)``
        Usually a Result or a Report.
    kind : str
        One of ``owner.plots``.

    Returns
    -------
    matplotlib.figure.Figure
        Made without pyplot: nothing global is changed, and it is freed with its last reference.

    Raises
    ------
    DesignError
        When the owner has no such figure (the error lists those it has), or its numbers do not fit the figure.
    """
    return _drawn(kind, _data(owner, kind))


def describe(owner: Drawable, kind: str) -> str:
    """Tell one of an owner's figures in words, with its main numbers; matplotlib is not needed."""
    return alt.WORDS[kind][0](_data(owner, kind))


def picture(owner: Drawable, kind: str) -> Picture:
    """Draw a figure and tell it in words, asking the owner for the numbers once."""
    data = _data(owner, kind)
    words, reading = alt.WORDS[kind]
    return Picture(_drawn(kind, data), words(data), reading)


def _data(owner: Drawable, kind: str) -> PlotData:
    has = tuple(name for name in getattr(owner, "plots", ()) if name in KINDS)
    if not has:
        raise DesignError(f"this {type(owner).__name__} has no figures.")
    if kind not in has:
        known = f"It has {', '.join(repr(name) for name in has)}."
        raise DesignError(f"{type(owner).__name__} has no figure {kind!r}.", hint=known)
    return owner.plot_data(kind)


def _drawn(kind: str, data: PlotData) -> Figure:
    from causalkit.plot.theme import styled

    module, _, function = KINDS[kind].partition(":")
    drawing: Callable[[PlotData], Figure] = getattr(import_module(f"causalkit.plot.{module}"), function)
    with styled():
        return drawing(data)
