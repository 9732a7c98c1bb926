"""Tables: every cell is escaped in every format, numbers are set flush right."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalkit.core import format as fmt
from causalkit.core.table import Table, latex_escape, markdown_escape
from causalkit.testing.showing import HOSTILE, _require_inert_html, _require_inert_markdown, _require_whole_latex

TABLE = Table.of(("name", "pvalue", "n"), [("a", 0.0004, 1000), ("b_1", 0.25, None)], "Said <above>")


def test_text():
    assert TABLE.to_text().splitlines() == [
        "Said <above>",
        "name  pvalue      n",
        "───────────────────",
        "a     <0.001  1,000",
        "b_1    0.250      –",
    ]


def test_markdown():
    assert TABLE.to_markdown().splitlines()[1:] == [
        "| --- | ---: | ---: |", "| a | \\<0.001 | 1,000 |", "| b\\_1 | 0.250 | – |"
    ]  # fmt: skip


def test_html():
    page = TABLE.to_html()
    assert "<caption>Said &lt;above&gt;</caption>" in page
    assert '<td class="number">1,000</td>' in page
    assert "<td>b_1</td>" in page


def test_latex():
    lines = TABLE.to_latex().splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert r"b\_1 & 0.250 & –" in lines[5]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_cells_and_heads(text):
    table = Table.of((text, "x"), [(text, 1.0), ("plain", 2.0)], text)
    _require_inert_html(table.to_html())
    _require_inert_markdown(table.to_markdown())
    _require_whole_latex(table.to_latex())
    assert len(table.to_text().splitlines()) >= 4


@given(st.text())
def test_no_text_breaks_a_row(text):
    table = Table.of(("head", "x"), [(text, 1.0)])
    _require_inert_html(table.to_html())
    lines = table.to_markdown().split("\n")
    assert len(lines) == 3
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", lines[2])) == 3
    assert "\n" not in latex_escape(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>]", markdown_escape(text))


@given(st.text(alphabet="\\{}$&#^_%~<>ab"))
def test_latex_can_be_read_back(text):
    words = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^"}
    words |= {r"\textless{}": "<", r"\textgreater{}": ">"}
    plain = latex_escape(text)
    for command, char in words.items():
        plain = plain.replace(command, f"\0{ord(char)};")
    assert not re.search(r"(?<!\\)[{}$&#^_%~<>]", plain)
    plain = re.sub(r"\\(.)", r"\1", plain)
    assert re.sub(r"\0(\d+);", lambda m: chr(int(m[1])), plain) == text


def test_numeric_columns():
    rows = [(np.float64(1.0), np.int64(2), "3", None), (2, None, 3, None)]
    assert Table.of("abcd", rows).numeric[:3] == (True, True, False)
    assert Table.of("ab", []).numeric == (False, False)


def test_rows_and_columns_must_agree():
    with pytest.raises(ValueError, match="zip"):
        Table.of(("a", "b"), [(1,)]).to_text()


NUMBERS = [
    (None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (-float("inf"), "-∞"), (0.0, "0"), (1234567, "1,234,567"),
    (1234.5678, "1,235"), (0.00012344, "0.0001234"), (1.5e-9, "1.500e-09"), (2.5e12, "2.500e+12"), (-0.5, "-0.5000"),
    (True, "True"), ("text", "text"), (np.int8(7), "7"), (np.float32(0.5), "0.5000"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_numbers(value, text):
    assert fmt.number(value) == text


def test_other_formats():
    assert (fmt.pvalue(0.0009), fmt.pvalue(0.001), fmt.pvalue(None)) == ("<0.001", "0.001", "–")
    assert (fmt.share(0.1234), fmt.share(float("nan"))) == ("12.3%", "–")
    assert (fmt.plural(1, "row"), fmt.plural(1200, "row")) == ("1 row", "1,200 rows")
    assert fmt.interval(-1, 2.5) == "[-1, 2.500]"
    assert unicodedata.name(fmt.MISSING) == "EN DASH"
