"""A result shows itself in every format, and no text of the user's becomes code in any."""

from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from causalkit.core.effects import COLUMNS
from causalkit.core.result import Result
from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject

#: Names that would be code if any writer forgot to escape them.
HOSTILE = (
    "<script>alert(1)</script>",
    '"; DROP TABLE x; --',
    "a' onmouseover='alert(2)\" <img src=x onerror=alert(3)>",
    "100% & $x_1^2$ #{naïve} ~\\input{/etc/passwd}",
    "line\nbreak | pipe [link](javascript:alert(4)) `code` µ 漢字",
    "{{7*7}} ${7*7} %s {0}",
)

ALLOWED_TAGS = {"h4", "p", "table", "caption", "thead", "tbody", "tr", "th", "td", "br", "div", "span", "b", "ul", "li"}


class _Tags(HTMLParser):
    """Collects tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@probe()
def summary(subject: Subject) -> None:
    """The summary is text with the answer and the table in it."""
    said = subject.base.summary()
    require(isinstance(said, str) and subject.base.answer in said, "the summary does not hold the answer.")
    require("nan" not in said.lower().split(), f"the summary says nan: {said}")
    require(repr(subject.base), "the repr is empty.")


@probe(when=lambda s: isinstance(s.base, Result))
def frame(subject: Subject) -> None:
    """``to_frame`` ends with the seven columns of every result, one row per effect."""
    table = subject.base.to_frame()
    require(tuple(table.columns[-len(COLUMNS) :]) == COLUMNS, f"the columns are {list(table.columns)}.")
    require(len(table) == len(subject.base.effects), f"{len(table)} rows for {len(subject.base.effects)} effects.")
    require(list(table["term"]) == list(subject.base.effects.terms), "the terms are not those of the effects.")


@probe()
def strict_json(subject: Subject) -> None:
    """``to_dict`` is strict JSON, and ``to_json`` is ``to_dict``."""
    said = json.dumps(subject.base.to_dict(), allow_nan=False)
    require(json.loads(said) == json.loads(subject.base.to_json()), "to_json and to_dict differ.")


@probe()
def formats(subject: Subject) -> None:
    """LaTeX, Markdown and HTML hold the table."""
    require(r"\begin{tabular}" in subject.base.to_latex(), "to_latex has no tabular.")
    require("| --" in subject.base.to_markdown(), "to_markdown has no table.")
    require("<table" in subject.base._repr_html_(), "_repr_html_ has no table.")


@probe()
def reports(subject: Subject) -> None:
    """A report is written in every format, figures included."""
    with TemporaryDirectory() as folder:
        for suffix in ("html", "md", "tex", "json"):
            path = subject.base.report(Path(folder) / f"report.{suffix}")
            require(bool(path.read_bytes()), f"the {suffix} report is empty.")


def _hostile_fit(subject: Subject, first: str, second: str) -> Any:
    """Fit the study with hostile names of columns and, where there are named arms, of arms."""
    changes: dict[str, Any] = {}
    data = subject.data
    if subject.has_arms:
        name = subject.column("treatment")
        control = subject.keywords["control"]
        data = data.assign(
            **{str(name): data[name].map(lambda level: first if level == control else f"{second}{level}")}
        )
        changes["control"] = first
    used = dict.fromkeys(name for _, name in subject.columns())
    names = {name: f"{HOSTILE[j % len(HOSTILE)]} {j}" for j, name in enumerate(used)}
    for role in subject.roles():
        value = subject.keywords[role]
        if isinstance(value, str):
            changes[role] = names[value]
        elif isinstance(value, list | tuple):
            changes[role] = [names[name] for name in value]
    return subject.fit(data.rename(columns=names), **changes)


@probe()
def hostile_names(subject: Subject) -> None:
    """Names that look like code stay text in every format, and change no number."""
    for first, second in list(itertools.pairwise(HOSTILE))[:: 4 if subject.fast else 2]:
        result = _hostile_fit(subject, first, second)
        subject.require_same(result, f"arms named {first!r} and {second!r}")
        _require_inert_html(result._repr_html_())
        _require_inert_markdown(result.to_markdown())
        _require_whole_latex(result.to_latex())
        json.dumps(result.to_dict(), allow_nan=False)
        require(isinstance(result.summary(), str), "no summary.")


def _require_inert_html(page: str) -> None:
    parser = _Tags()
    parser.feed(page)
    require(parser.tags <= ALLOWED_TAGS, f"_repr_html_ holds the tags {parser.tags - ALLOWED_TAGS}.")
    require(parser.attributes <= {"scope", "class"}, f"_repr_html_ holds the attributes {parser.attributes}.")


def _require_inert_markdown(text: str) -> None:
    require(not re.search(r"(?<!\\)<\s*[a-zA-Z/!]", text), f"to_markdown holds raw HTML: {text}")
    lines = text.splitlines()
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    require(len(widths) == 1, f"a name broke a row of the Markdown table: {text}")
    require("](" not in re.sub(r"\\.", "", text), f"to_markdown holds a link: {text}")


def _require_whole_latex(text: str) -> None:
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    widths = {len(re.findall(r"(?<!\\)&", line)) for line in rows}
    require(len(widths) == 1, f"a name broke a row of the LaTeX table: {text}")
    commands = set(re.findall(r"\\[a-zA-Z]+", text))
    known = {
        "\\begin",
        "\\end",
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
        "\\textbackslash",
        "\\textasciitilde",
        "\\textless",
        "\\textgreater",
    }
    require(commands <= known | {"\\textasciicircum"}, f"to_latex holds the commands {commands - known}.")
