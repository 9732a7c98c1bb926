from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from causalkit import plot

HOSTILE = "<script>alert('x')</script> \"; DROP TABLE users; -- $x^2$ & 漢字 \x00\x1b \ud800 ]]>"


@pytest.mark.parametrize("kind", list(plot.KINDS))
def test_svg_is_small_clean_and_repeatable(owner, kind):
    text = plot.svg(plot.draw(owner, kind), label="a label")
    assert len(text.encode()) < 40_000
    assert text == plot.svg(plot.draw(owner, kind), label="a label")
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == "a label"
    assert root.get("role") == "img"
    assert "width" not in root.attrib
    assert re.fullmatch(r"0 0 [\d.]+ [\d.]+", root.get("viewBox"))
    assert "<metadata" not in text
    assert "<style" not in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    words = "".join(root.itertext())
    assert any(letter.isalpha() for letter in words), "text must stay text"


@pytest.mark.parametrize("kind", list(plot.KINDS))
def test_references_resolve_and_ids_do_not_collide(owner, kind):
    figure = plot.draw(owner, kind)
    one, two = plot.svg(figure, prefix="f1"), plot.svg(figure, prefix="f2")
    for text in (one, two):
        ids = re.findall(r'\bid="([^"]+)"', text)
        used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
        assert len(ids) == len(set(ids))
        assert set(ids) == used
    assert not set(re.findall(r'\bid="([^"]+)"', one)) & set(re.findall(r'\bid="([^"]+)"', two))


def test_settings_of_the_user_change_nothing(owner):
    plain = plot.svg(plot.draw(owner, "gain"))
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red", "text.color": "red"}):
        assert plot.svg(plot.draw(owner, "gain")) == plain


def test_colours_can_be_changed_by_the_page_or_fixed(owner):
    figure = plot.draw(owner, "gain")
    assert "var(--ck-blue,#0b62a8)" in plot.svg(figure)
    fixed = plot.svg(figure, themed=False)
    assert "var(" not in fixed
    assert "#0b62a8" in fixed


def test_a_label_of_colour_text_is_not_touched(owner):
    data = {**owner.data["effects"], "terms": ("#0b62a8", "a:#0b62a8", "c")}
    root = ElementTree.fromstring(plot.svg(plot.draw(type(owner)({"effects": data}), "effects")))
    assert {"#0b62a8", "a:#0b62a8"} <= {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}


def test_rounding_moves_nothing_by_more_than_a_hundredth(owner):
    import io

    figure = plot.draw(owner, "toc")
    buffer = io.StringIO()
    with plot.inline.theme.styled():
        figure.savefig(buffer, format="svg")
    raw = max(re.findall(r'd="([^"]+)"', buffer.getvalue()), key=len)
    short = max(re.findall(r'\bd="([^"]+)"', plot.svg(figure)), key=len)
    number = re.compile(r"-?\d+\.?\d*")
    before, after = (np.array([float(x) for x in number.findall(path)]) for path in (raw, short))
    assert before.size == after.size
    assert np.abs(before - after).max() <= 0.00501


def test_hostile_names_stay_text(owner):
    data = {**owner.data["effects"], "terms": (HOSTILE, "b", "c"), "xlabel": HOSTILE}
    text = plot.svg(plot.draw(type(owner)({"effects": data}), "effects"), label=HOSTILE)
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {
        "svg",
        "g",
        "path",
        "use",
        "text",
        "defs",
        "clipPath",
        "rect",
    }
    assert "$x^2$" in root.get("aria-label")
    text.encode("utf-8")


def test_dots_are_joined_without_losing_any(owner):
    text = plot.svg(plot.draw(owner, "segments"))
    assert text.count("h0") == 1500
