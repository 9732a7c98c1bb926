from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest

from causalkit.core.check import Check
from causalkit.core.passage import Passage
from causalkit.core.table import Table
from causalkit.report import compose, to_html
from causalkit.report.html import LIMIT
from causalkit.report.style import STYLE

VOID = {"meta", "br", "img", "link", "hr", "input"}
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "nav", "main", "section", "aside", "article", "div",
    "span", "p", "strong", "ol", "ul", "li", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "figure", "figcaption", "table",
    "caption", "thead", "tbody", "tr", "th", "td", "details", "summary", "svg", "g", "path", "use", "text", "defs",
    "clippath", "rect", "circle",
}  # fmt: skip


class Page(HTMLParser):
    """Elements, attributes and headings of a page; fails where tags are not nested."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.stack, self.text = [], [], {}
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack:
            self.text.setdefault(self.stack[-1], []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=["owners", "hostile"])
def page(request):
    return Page(to_html(compose(request.getfixturevalue(request.param))))


def test_nothing_runs_and_nothing_is_fetched(page):
    assert {tag for tag, _ in page.elements} <= ALLOWED
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href", "action", "poster", "srcset"):
                assert value.startswith("#"), (tag, name, value)
            if name == "style":
                assert "url(" not in value
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    policy = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert page.text["style"] == [STYLE]


def test_headings_come_in_order(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("href", "aria-labelledby"):
            if name in attributes:
                assert attributes[name].removeprefix("#") in ids


def test_pictures_tables_and_language_are_told(page):
    assert page.all("html") == [{"lang": "en"}]
    pictures = page.all("svg")
    assert all(a.get("aria-hidden") == "true" or (a["role"] == "img" and len(a["aria-label"]) > 40) for a in pictures)
    assert any(a.get("role") == "img" for a in pictures)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    first_link = page.all("a")[0]
    assert first_link == {"class": "skip", "href": "#content"}


def test_hostile_text_is_shown_as_it_is(hostile):
    page = Page(to_html(compose(hostile)))
    assert any("<script>alert(1)</script>" in text for text in page.text["h1"])
    assert any("DROP TABLE" in text for text in page.text["td"] + page.text["th"])
    to_html(compose(hostile)).encode("utf-8")


def test_what_fails_is_told_first_in_words(owners):
    text = to_html(compose(owners))
    page = Page(text)
    assert "2 of 4 assumptions need your attention." in page.text["strong"]
    assert text.index('class="banner fail"') < text.index("What we found</h2>")
    cards = [a["class"] for a in page.all("article") if a.get("class", "").startswith("card")]
    assert cards == ["card fail", "card warn", "card untestable", "card pass"]
    assert [t for t in page.text["p"] if t in ("Failed", "Needs attention", "Can't be tested", "Passed")] == [
        "Failed", "Needs attention", "Can't be tested", "Passed",
    ]  # fmt: skip


def test_same_bytes_every_time(owners):
    assert to_html(compose(owners)) == to_html(compose(owners))


def test_small_whatever_the_tables_hold(fake):
    big = Table.of([f"c{i}" for i in range(12)], [[i * 1.2345678] * 12 for i in range(3000)])
    passages = tuple(Passage("found", f"t{i}", ("x",), big) for i in range(30))
    text = to_html(compose(fake("A", passages, (Check("srm", "pass", "m", table=big),))))
    assert len(text.encode()) < LIMIT
    assert "of 3,000 rows; the JSON report has all." in text
    Page(text)


def test_a_short_table_is_whole(fake):
    table = Table.of(("term", "pvalue"), [(f"t{i}", 0.5) for i in range(40)], "All of them")
    text = to_html(compose(fake("A", (Passage("found", "t", ("x",), table),))))
    assert all(f">t{i}<" in text for i in range(40))
    assert "rows; the JSON" not in text
    assert "p-value" in text


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        ("ink", "paper"), ("muted", "paper"), ("link", "paper"), ("muted", "fail-soft"), ("link", "fail-soft"),
        ("link", "warn-soft"), ("muted", "warn-soft"), ("fail", "fail-soft"), ("warn", "warn-soft"), ("good", "good-soft"),
        ("unknown", "unknown-soft"), ("fail", "paper"), ("warn", "paper"), ("good", "paper"), ("unknown", "paper"),
        ("ck-muted", "paper"), ("ck-ink", "paper"), ("ck-orange", "paper"), ("ck-blue", "paper"), ("ck-green", "paper"),
        ("ck-purple", "paper"), ("ck-amber", "paper"), ("ck-cyan", "paper"),
    ],
)  # fmt: skip
def test_contrast_reaches_aa_in_light_and_dark(mode, front, back):
    from causalkit.plot.theme import TOKENS

    light, dark = (dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})\b", part)) for part in STYLE.split("@media screen")[:2])
    light |= {name.removeprefix("--"): colour for colour, name in TOKENS.items()}
    palette = (light, dark)[mode]
    one, two = sorted((_luminance(palette[front]), _luminance(palette[back])))
    assert (two + 0.05) / (one + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("statuses", "banner"), [(("untestable",), "untestable"), (("untestable", "pass"), "pass"), ((), "untestable")]
)
def test_the_tick_is_for_what_was_tested(fake, statuses, banner):
    owner = fake("Study", checks=tuple(Check(f"c{i}", status, "Said.") for i, status in enumerate(statuses)))
    assert f'class="banner {banner}"' in to_html(compose(owner))
