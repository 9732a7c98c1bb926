"""Figures: ``draw(owner, kind)`` makes one, ``svg(figure)`` writes it for a page, ``describe(owner, kind)`` tells it.

matplotlib is loaded when the first figure is drawn, not when this package is imported.
"""

from __future__ import annotations

from causalkit.plot.inline import svg
from causalkit.plot.registry import KINDS, Drawable, Picture, describe, draw, picture

__all__ = ["KINDS", "Drawable", "Picture", "describe", "draw", "picture", "svg"]
