from __future__ import annotations

import re

import pytest

from causalkit.report import compose, to_markdown
from causalkit.report.markdown import _inline


def test_the_whole_story_in_order(owners):
    text = to_markdown(compose(owners))
    heads = re.findall(r"^#+ .*$", text, re.MULTILINE)
    assert heads[0] == "# Effect of the coupon"
    assert [h for h in heads if h.startswith("## ")] == [
        "## What we found", "## Whom to treat and what it earns", "## How sure we are",
        "## Which assumptions were checked, and how", "## What was run",
    ]  # fmt: skip
    assert text.index("2 of 4 assumptions need your attention") < text.index("## What we found")
    assert "| Term | Estimate | Std. error | p-value | CI low | CI high |" in text
    assert "- **9,840** expected profit (euros)" in text
    assert "*Figure: Targeting curve" in text
    assert "Arms are 60:40. (p \\< 0.001)" in text
    assert text == to_markdown(compose(owners))


def test_pictures_are_linked_where_they_were_written(owners):
    text = to_markdown(compose(owners), ["a/figure1.svg", "a/figure2.svg"])
    assert re.findall(r"\]\((a/[^)]+)\)", text) == ["a/figure1.svg", "a/figure2.svg"]


def test_hostile_text_is_no_markup(hostile):
    text = to_markdown(compose(hostile))
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", text)
    assert "<" not in bare
    assert "](" not in bare
    assert "`" not in bare
    assert "&lt;" not in bare
    assert "https:" not in bare
    assert "http:" not in bare
    own = re.compile(r"#{1,4} |> |>$|- |\*|\||\d\\\. |\\|[A-Za-z]|$")
    assert all(own.match(line) for line in text.split("\n"))
    widths = {line.count("|") - line.count("\\|") for line in text.split("\n") if line.startswith("| ")}
    assert widths == {4}
    assert "\x00" not in text
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0.3810", "0.3810"), ("-0.5", "-0.5"), ("- a", "\\- a"), ("---", "\\---"), ("1. a", "1\\. a"), ("2)", "2\\)"),
        ("+ b", "\\+ b"), ("# c", "\\# c"), ("a & b", "a \\& b"), ("a\nb", "a b"), ("~~a~~", "\\~\\~a\\~\\~"),
    ],
)  # fmt: skip
def test_only_what_would_be_markup_is_escaped(text, written):
    assert _inline(text) == written
