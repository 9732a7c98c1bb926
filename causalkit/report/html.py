"""A report as one offline HTML file: inline styles and figures, nothing fetched from anywhere, no script but a slider's."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from itertools import count

from causalkit.core import format as fmt
from causalkit.core.check import Status
from causalkit.core.passage import SECTIONS, Section
from causalkit.core.table import Table
from causalkit.plot import Picture, picture, svg
from causalkit.report.document import HEADS, STATUS_WORDS, Document, Finding, Item, chance, clean, readable
from causalkit.report.slider import SCRIPT, SCRIPT_HASH, slider_html
from causalkit.report.style import STYLE

LIMIT = 500_000
"""Largest size of a page in bytes; above it tables are cut (with a note that says so)."""

_ROWS = (100, 40, 15, 5)

_ICONS: dict[Status, str] = {
    "pass": '<path d="M4.5 8.3l2.4 2.4 4.6-5.2"/>',
    "warn": '<path d="M8 4.2v4.6M8 11.4v.2"/>',
    "fail": '<path d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6"/>',
    "untestable": '<path d="M6.1 6.3a1.9 1.9 0 1 1 2.6 1.8c-.5.2-.7.5-.7 1.1M8 11.5v.2"/>',
}

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def to_html(document: Document) -> str:
    """Write a document as one self-contained HTML page.

    Every text is escaped; a content security policy forbids requests, and all scripts but the one that moves sliders, where
    there is one; figures are inline SVG with a text alternative. The page is smaller than 500 KB: where it would not be,
    tables show fewer rows and say so.
    """
    drawn = {id(item): _figure(item, f"f{i}") for i, item in enumerate(document.figures, start=1)}
    for i, (item, slider) in enumerate(document.sliders, start=1):
        drawn[id(item)] = drawn.get(id(item), "") + slider_html(slider, f"slider-{i}", _text)
    page = ""
    for rows in _ROWS:
        page = _page(document, drawn, rows)
        if len(page.encode()) <= LIMIT:
            break
    return page


def _page(document: Document, figures: dict[int, str], rows: int) -> str:
    numbered = count(1)
    body = "".join(
        _section(key, _items(items, figures, rows), document, rows, numbered) for key, items in document.sections
    )
    moving = bool(document.sliders)
    policy = f"{_POLICY}; script-src {SCRIPT_HASH}" if moving else _POLICY
    script = f"<script>{SCRIPT}</script>\n" if moving else ""
    title = _text(document.title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the report</a>\n'
        f"<header>{_head(document)}</header>\n{_contents(document)}\n"
        f'<main id="content" tabindex="-1">\n{_banner(document)}{body}{_run(document)}</main>\n{script}</body>\n</html>\n'
    )


def _text(text: object) -> str:
    return escape(clean(text), quote=True)


def _head(document: Document) -> str:
    parts = [f"<h1>{_text(document.title)}</h1>"]
    parts += [f'<p class="subtitle">{_text(document.subtitle)}</p>'] if document.subtitle else []
    parts += [f'<p class="lead">{_text(document.lead)}</p>'] if document.lead else []
    return "".join(parts)


def _contents(document: Document) -> str:
    links = "".join(f'<li><a href="#{key}">{SECTIONS[key]}</a></li>' for key, _ in document.sections)
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'


def _banner(document: Document) -> str:
    """Say at the top how many assumptions need attention, with a link to each."""
    found = document.attention
    tested = any(f.check.status == "pass" for f in document.ledger)
    worst: Status = found[0].check.status if found else "pass" if tested else "untestable"
    links = "".join(
        f'<li><a href="#check-{i}">{_text(readable(f.check.name))}</a>{_of(f)}: {_text(f.check.message)}</li>'
        for i, f in enumerate(found, start=1)
    )
    listed = f"<ul>{links}</ul>" if links else ""
    return (
        f'<aside class="banner {worst}" aria-labelledby="verdict">{_icon(worst)}<div>'
        f'<p id="verdict"><strong>{_text(document.verdict())}</strong></p>{listed}</div></aside>\n'
    )


def _of(finding: Finding) -> str:
    return f' <span class="of">({_text(finding.source)})</span>' if finding.source else ""


def _section(key: Section, body: str, document: Document, rows: int, numbered: count[int]) -> str:
    heading = SECTIONS[key]
    ledger = _ledger(document, rows) if key == "assumptions" else ""
    return (
        f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">'
        f'<span class="index" aria-hidden="true">{next(numbered)}</span>{heading}</h2>{body}{ledger}</section>\n'
    )


def _items(items: tuple[Item, ...], figures: dict[int, str], rows: int) -> str:
    """Write the passages of a section; who speaks is said where it changes."""
    out, before = "", ""
    for item in items:
        out += _item(item, figures.get(id(item), ""), rows, item.source if item.source != before else "")
        before = item.source
    return out


def _item(item: Item, figure: str, rows: int, source: str) -> str:
    passage = item.passage
    parts = [f'<p class="source">{_text(source)}</p>'] if source else []
    parts += [f"<h3>{_text(item.heading)}</h3>"] if item.heading else []
    parts += [_facts(passage.facts)] if passage.facts else []
    parts += [f"<p>{_text(paragraph)}</p>" for paragraph in passage.text]
    parts.append(figure)
    parts += [_table(passage.table, passage.title, rows)] if passage.table is not None else []
    return f"<article>{''.join(parts)}</article>\n"


def _facts(facts: tuple[tuple[str, str, str], ...]) -> str:
    cells = "".join(
        f'<div><dt>{_text(label)}</dt><dd class="value">{_text(value)}</dd>'
        + (f'<dd class="note">{_text(note)}</dd>' if note else "")
        + "</div>"
        for label, value, note in facts
    )
    return f'<dl class="facts">{cells}</dl>'


def _figure(item: Item, prefix: str) -> str:
    shown: Picture = picture(item.owner, item.passage.figure or "")
    drawing = svg(shown.figure, label=f"{clean(item.passage.title)}. {shown.alt}", prefix=prefix)
    return f"<figure>{drawing}<figcaption>{_text(shown.reading)}</figcaption></figure>"


def _table(table: Table, caption: str, rows: int) -> str:
    """Write a table inside its own scrolling container, so that a wide one never moves the page."""
    shown = replace(table, rows=table.rows[:rows])
    kinds = [' class="number"' if right else "" for right in shown.numeric]
    head = "".join(
        f'<th scope="col"{kind}>{_text(HEADS.get(name, name))}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    body = "".join(_row(row, kinds) for row in shown.cells())
    label = table.caption or caption
    total = len(table.rows)
    rest = f"The first {rows} of {fmt.plural(total, 'row')}; the JSON report has all." if total > rows else ""
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{_text(label)}"><table>{_caption(table, label)}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        + (f'<p class="rest">{rest}</p>' if rest else "")
    )


def _caption(table: Table, label: str) -> str:
    """Write the caption; one that only repeats the heading above it is for screen readers."""
    return f"<caption><span{'' if table.caption else ' class=hidden'}>{_text(label)}</span></caption>"


def _row(row: list[str], kinds: list[str]) -> str:
    first = f'<th scope="row"{kinds[0]}>{_text(row[0])}</th>' if row else ""
    return (
        f"<tr>{first}{''.join(f'<td{kind}>{_text(c)}</td>' for c, kind in zip(row[1:], kinds[1:], strict=True))}</tr>"
    )


def _icon(status: Status) -> str:
    return (
        f'<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="7"/>{_ICONS[status]}</svg>'
    )


def _ledger(document: Document, rows: int) -> str:
    if not document.ledger:
        return f"<article><p>{_text(document.verdict())}</p></article>"
    tally = ", ".join(
        f"{n} {word.lower()}"
        for status, word in STATUS_WORDS.items()
        if (n := sum(f.check.status == status for f in document.ledger))
    )
    cards = "".join(_card(finding, i, rows) for i, finding in enumerate(document.ledger, start=1))
    return (
        f"<article><h3>All checks</h3><p>{fmt.plural(len(document.ledger), 'assumption')}: {tally}.</p></article>"
        f'<div class="cards">{cards}</div>'
    )


def _card(finding: Finding, index: int, rows: int) -> str:
    check = finding.check
    tested = chance(check.pvalue)
    told = [f'<p class="tested">{_text(tested)}</p>'] if tested else []
    told += [f'<p class="advice"><strong>What to do.</strong> {_text(check.advice)}</p>'] if check.advice else []
    if check.table is not None:
        inner = _table(check.table, readable(check.name), rows)
        told.append(f"<details><summary>The numbers</summary>{inner}</details>")
    source = f'<p class="source">{_text(finding.source)}</p>' if finding.source else ""
    return (
        f'<article class="card {check.status}" id="check-{index}">'
        f'<p class="status">{_icon(check.status)}{STATUS_WORDS[check.status]}</p>'
        f"<h4>{_text(readable(check.name))}</h4>{source}<p>{_text(check.message)}</p>{''.join(told)}</article>"
    )


def _run(document: Document) -> str:
    rows = "".join(f"<div><dt>{_text(label)}</dt><dd>{_text(value)}</dd></div>" for label, value in document.metadata)
    heading = '<h2 id="run-title">What was run</h2>'
    return f'<section id="run" aria-labelledby="run-title">{heading}<dl class="run">{rows}</dl></section>\n'
