"""A matplotlib figure as compact SVG that can stand in the middle of a page beside other figures."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from causalkit.plot import theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_NUMBER = re.compile(r"-?\d+\.\d+")
_SAME_DOTS = 25


def svg(figure: Figure, *, label: str = "", prefix: str | None = None, themed: bool = True) -> str:
    """Write a figure as one ``<svg>`` element.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    label : str
        Text alternative, written as ``aria-label``; without one the picture is hidden from screen readers.
    prefix : str, optional
        Put before every id, so that the figures of a page do not share ids; made from the content where left out.
    themed : bool
        Write the theme's colours as CSS variables with the colour as fallback, so that a page can recolour the
        figure. False writes plain colours, for programs that do not know CSS variables.

    Returns
    -------
    str
        The element, without prolog, comments, metadata, width or height: it fills what it is put in. The same figure
        gives the same bytes.
    """
    root = _tree(figure)
    _flatten(root)
    _drop_defaults(root)
    _join_dots(root)
    _name(root, prefix)
    _collapse(root)
    root.attrib = _root_attributes(root, figure, label)
    if themed:
        _recolour(root)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _tree(figure: Figure) -> ElementTree.Element:
    buffer = io.StringIO()
    with theme.styled():
        face = figure.get_facecolor()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        figure.set_facecolor(face)
    return ElementTree.fromstring(buffer.getvalue())


def _root_attributes(root: ElementTree.Element, figure: Figure, label: str) -> dict[str, str]:
    out = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": root.get("viewBox", ""), "class": "ck-figure"}
    out |= {"role": "img", "aria-label": theme.label(label, 2000)} if label else {"aria-hidden": "true"}
    # Sizes of text are in the figure's own units, so it scales with the picture.
    out["style"] = f"font-family:{theme.FONTS};stroke-linejoin:round;stroke-linecap:butt"
    return out


def _flatten(element: ElementTree.Element) -> None:
    """Take XML namespaces off, drop metadata and the style sheet (it would act on the whole page), round numbers."""
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    for child in list(element):
        if child.tag.rpartition("}")[2] in ("metadata", "style"):
            element.remove(child)
        else:
            _flatten(child)
    for key in ("d", "x", "y", "transform", "width", "height"):
        if key in element.attrib and not element.get("href", "").startswith("data:"):
            element.set(key, _short(element.attrib[key]))
    if element.tag != "text":
        element.text = None
    element.tail = None


def _short(text: str) -> str:
    """Write coordinates to a hundredth of a point and without needless blanks."""
    rounded = _NUMBER.sub(lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), text)
    rounded = re.sub(r"(?<![\d.])-0(?![\d.])", "0", rounded)
    return re.sub(r"\s*([MLHVCQzZ])\s*", r"\1", re.sub(r"\s+", " ", rounded)).strip()


def _drop_defaults(element: ElementTree.Element) -> None:
    """Drop fonts (the root has them), turns by nothing, and shapes that show nothing."""
    if "style" in element.attrib:
        parts = [part.strip() for part in element.attrib["style"].split(";")]
        parts = [part.replace(": ", ":") for part in parts if part and not part.startswith("font-family")]
        element.set("style", ";".join(parts))
    if re.match(r"rotate\(-?0 ", element.get("transform", "")):
        del element.attrib["transform"]
    for child in list(element):
        if child.tag == "path" and "id" not in child.attrib and child.get("style", "").strip() == "fill: none":
            element.remove(child)
        else:
            _drop_defaults(child)


def _join_dots(element: ElementTree.Element) -> None:
    """Write a cloud of equal round dots as one path of zero-length strokes with round caps: a tenth of the bytes."""
    for group in element.iter("g"):
        uses = list(group)
        kinds = {(use.tag, use.get("href"), use.get("style")) for use in uses}
        if len(uses) < _SAME_DOTS or len(kinds) != 1 or uses[0].tag != "use":
            continue
        shape = element.find(f".//path[@id='{uses[0].get('href', '')[1:]}']")
        colour = re.fullmatch(r"fill:(#[0-9a-f]{6})", uses[0].get("style", ""))
        if shape is None or colour is None or "C" not in shape.get("d", ""):
            continue
        radius = max(abs(float(value)) for value in re.findall(r"-?\d+\.?\d*", shape.get("d", "")))
        path = "".join(f"M{_tenth(use.get('x'))} {_tenth(use.get('y'))}h0" for use in uses)
        for use in uses:
            group.remove(use)
        style = f"fill:none;stroke:{colour.group(1)};stroke-width:{2 * radius:.2f};stroke-linecap:round"
        ElementTree.SubElement(group, "path", {"d": path, "style": style})


def _tenth(value: str | None) -> str:
    return f"{float(value or 0):.1f}".removesuffix(".0")


def _name(root: ElementTree.Element, prefix: str | None) -> None:
    """Drop ids that nothing refers to and give the others short names that are unique on the page."""
    used: dict[str, str] = {}
    for element in root.iter():
        for key, value in element.attrib.items():
            target = value[1:] if key == "href" and value.startswith("#") else ""
            found = _REFERENCE.search(value)
            target = found.group(1) if found else target
            if target and key in ("href", "clip-path"):
                used.setdefault(target, str(len(used)))
    if prefix is None:
        prefix = "s" + hashlib.sha256(ElementTree.tostring(root)).hexdigest()[:8]
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", f"{prefix}-{used[name]}")
        if element.get("href", "").startswith("#"):
            element.set("href", f"#{prefix}-{used[element.attrib['href'][1:]]}")
        if "clip-path" in element.attrib:
            element.set(
                "clip-path", _REFERENCE.sub(lambda m: f"url(#{prefix}-{used[m[1]]})", element.attrib["clip-path"])
            )


def _collapse(element: ElementTree.Element) -> None:
    """Lift what is in groups that say nothing, drop empty groups and definitions that nothing uses."""
    children: list[ElementTree.Element] = []
    for child in list(element):
        _collapse(child)
        if child.tag in ("g", "defs") and not len(child):
            continue
        if child.tag == "path" and element.tag == "defs" and "id" not in child.attrib:
            continue
        children += list(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = children


def _recolour(root: ElementTree.Element) -> None:
    """Put CSS variables for the theme's colours; only in styles, so a name that looks like a colour stays a name."""
    for element in root.iter():
        style = element.get("style", "")
        if "#" in style:
            element.set("style", re.sub(r"#[0-9a-f]{6}", _variable, style))


def _variable(colour: re.Match[str]) -> str:
    name = theme.TOKENS.get(colour[0])
    return f"var({name},{colour[0]})" if name else colour[0]
