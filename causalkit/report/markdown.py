"""A report as GitHub-flavoured Markdown in which no text of the user's can become markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from causalkit.core.passage import SECTIONS
from causalkit.core.table import Table, markdown_escape
from causalkit.plot import describe
from causalkit.report.document import HEADS, STATUS_WORDS, Document, Finding, Item, chance, clean, readable


def to_markdown(document: Document, figures: Sequence[str] | None = None) -> str:
    """Write a document as Markdown.

    Parameters
    ----------
    document : Document
        What to write.
    figures : sequence of str, optional
        Relative addresses of the pictures of ``document.figures``, in order. Where left out, each figure is told in
        words with its main numbers.
    """
    pictures = iter(figures) if figures is not None else None
    blocks = [f"# {_inline(document.title)}"]
    blocks += [_inline(document.subtitle)] if document.subtitle else []
    blocks += [f"**{_inline(document.lead)}**"] if document.lead else []
    blocks.append(_banner(document))
    for key, items in document.sections:
        blocks.append(f"## {SECTIONS[key]}")
        for item in items:
            blocks += _item(item, pictures)
    blocks += ["### All checks", *(_check(finding) for finding in document.ledger)]
    blocks += [] if document.ledger else [_inline(document.verdict())]
    blocks.append("## What was run")
    blocks.append("\n".join(f"- {_inline(label)}: {_inline(value)}" for label, value in document.metadata))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _inline(text: object) -> str:
    """Escape text for one line; marks that only mean something at its beginning are escaped there."""
    flat = markdown_escape(clean(text)).strip()
    # A bare address would become a link by itself.
    flat = re.sub(r"(?i)(https?|ftp|mailto)(:)|(www)(\.)", lambda m: f"{m[1] or m[3]}\\{m[2] or m[4]}", flat)
    flat = flat.replace("@", "\\@")
    flat = re.sub(r"^([-+=])(?=[\s\-=]|$)", r"\\\1", flat)
    return re.sub(r"^(\d+)(?=[.)](\s|$))", r"\1\\", flat)


def _banner(document: Document) -> str:
    lines = [f"> **{_inline(document.verdict())}**"]
    lines += [f"> - {_name(finding)}: {_inline(finding.check.message)}" for finding in document.attention]
    return "\n".join([lines[0], ">", *lines[1:]] if len(lines) > 1 else lines)


def _item(item: Item, pictures: Iterator[str] | None) -> list[str]:
    passage = item.passage
    blocks = [
        f"### {_inline(item.heading)}" if item.heading else "",
        f"*{_inline(item.source)}*" if item.source else "",
    ]
    facts = [
        f"- **{_inline(value)}** {_inline(label)}" + (f" ({_inline(note)})" if note else "")
        for label, value, note in passage.facts
    ]
    blocks.append("\n".join(facts))
    blocks += [_inline(paragraph) for paragraph in passage.text]
    if passage.figure:
        told = _inline(describe(item.owner, passage.figure))
        blocks.append(f"![{told}]({next(pictures)})" if pictures else f"*Figure: {told}*")
    if passage.table is not None:
        blocks += _table(passage.table)
    return blocks


def _table(table: Table) -> list[str]:
    """Write a table with readable heads and every cell escaped."""
    heads = "| " + " | ".join(_inline(HEADS.get(column, column)) for column in table.columns) + " |"
    rule = "| " + " | ".join("---:" if right else "---" for right in table.numeric) + " |"
    rows = ["| " + " | ".join(_inline(cell) for cell in row) + " |" for row in table.cells()]
    return [f"*{_inline(table.caption)}*" if table.caption else "", "\n".join([heads, rule, *rows])]


def _name(finding: Finding) -> str:
    name = f"**{_inline(readable(finding.check.name))}** ({STATUS_WORDS[finding.check.status].lower()})"
    return f"{name}, {_inline(finding.source)}" if finding.source else name


def _check(finding: Finding) -> str:
    check = finding.check
    parts = [f"#### {_inline(readable(check.name))}: {STATUS_WORDS[check.status].lower()}"]
    parts += [f"*{_inline(finding.source)}*"] if finding.source else []
    tested = chance(check.pvalue)
    parts.append(_inline(f"{check.message} ({tested})" if tested else check.message))
    parts += [f"What to do: {_inline(check.advice)}"] if check.advice else []
    parts += _table(check.table) if check.table is not None else []
    return "\n\n".join(part for part in parts if part)
