"""A slider in an HTML page: drawn and filled in without scripts, moved by one small script that fetches nothing.

The page carries every reading as text, so the script only looks texts up by the slider's position and sets them as text,
never as HTML. Without scripts the slider stays hidden, and the table beneath it says the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence

from causalkit.core.slider import Slider

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 624, 220, 8, 8, 10, 10

SCRIPT = """(function(){
document.querySelectorAll(".slider").forEach(function(box){
var data=JSON.parse(box.querySelector("script[type='application/json']").textContent);
var input=box.querySelector("input"),outputs=box.querySelectorAll("output");
var line=box.querySelector(".at"),dot=box.querySelector(".dot");
function show(){var i=+input.value;
input.setAttribute("aria-valuetext",data.label+" "+data.stops[i]+", "+data.said[0]+" "+data.readings[0][i]);
outputs[0].textContent=data.stops[i];
data.readings.forEach(function(texts,j){outputs[j+1].textContent=texts[i];});
line.setAttribute("x1",data.x[i]);line.setAttribute("x2",data.x[i]);
dot.setAttribute("cx",data.x[i]);dot.setAttribute("cy",data.y[i]);}
input.addEventListener("input",show);input.value=data.start;show();box.hidden=false;});
})();"""
"""The only script of a page. It has no names of its own in the page and reads nothing but its own box."""

SCRIPT_HASH = "'sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode() + "'"
"""What the content security policy allows beside styles: this script and no other."""


def slider_html(slider: Slider, name: str, text: Callable[[object], str]) -> str:
    """Write a slider.

    Parameters
    ----------
    slider : Slider
        What to show.
    name : str
        An id that is unique in the page.
    text : callable
        Escapes a text.
    """
    xs, ys, lows, highs, zero = _pixels(slider)
    first = slider.start
    data = {
        "label": slider.label,
        "stops": slider.stops,
        "said": [label for label, _ in slider.readings],
        "readings": [texts for _, texts in slider.readings],
        "start": first,
        "x": xs,
        "y": ys,
    }
    cells = "".join(
        f'<div><dt>{text(label)}</dt><dd><output for="{name}">{text(texts[first])}</output></dd></div>'
        for label, texts in slider.readings
    )
    return (
        f'<div class="slider" hidden><label for="{name}">{text(slider.label)} '
        f'<output for="{name}">{text(slider.stops[first])}</output></label>'
        f'<input type="range" id="{name}" min="0" max="{len(slider.stops) - 1}" step="1" value="{first}">'
        f"{_drawing(slider, xs, ys, lows, highs, zero)}"
        f'<dl class="readings" aria-live="polite">{cells}</dl>'
        f'<script type="application/json">{_embedded(data)}</script></div>'
    )


def _embedded(data: object) -> str:
    """Write JSON that can't end the element it stands in."""
    said = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return said.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _pixels(slider: Slider) -> tuple[list[float], list[float], list[float], list[float], float]:
    """Place the curve in the drawing."""
    low, high = min(0.0, *slider.low, *slider.y), max(0.0, *slider.high, *slider.y)
    left, right = min(slider.x), max(slider.x)
    across, along = (right - left) or 1.0, (high - low) or 1.0

    def x(value: float) -> float:
        return round(_LEFT + (value - left) / across * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / along * (_HEIGHT - _TOP - _BOTTOM), 1)

    return (
        [x(v) for v in slider.x],
        [y(v) for v in slider.y],
        [y(v) for v in slider.low],
        [y(v) for v in slider.high],
        y(0.0),
    )


def _drawing(
    slider: Slider, xs: Sequence[float], ys: Sequence[float], lows: Sequence[float], highs: Sequence[float], zero: float
) -> str:
    """Draw band, curve, zero line and marker; the readings beside it say the same in words."""
    band = "M" + "L".join(f"{x} {y}" for x, y in zip(xs, highs, strict=True))
    band += "L" + "L".join(f"{x} {y}" for x, y in zip(xs[::-1], lows[::-1], strict=True)) + "Z"
    curve = "M" + "L".join(f"{x} {y}" for x, y in zip(xs, ys, strict=True))
    at, height = xs[slider.start], ys[slider.start]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true"><path class="band" d="{band}"/>'
        f'<path class="zero" d="M{_LEFT} {zero}H{_WIDTH - _RIGHT}"/><path class="curve" d="{curve}"/>'
        f'<line class="at" x1="{at}" x2="{at}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<circle class="dot" cx="{at}" cy="{height}" r="6"/></svg>'
    )


__all__ = ["SCRIPT", "SCRIPT_HASH", "slider_html"]
