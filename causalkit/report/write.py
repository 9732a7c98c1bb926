"""Writing a report to a file: the suffix says which format, and a file is never left half written."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from causalkit.errors import DesignError
from causalkit.report.document import Document, Reportable, compose

SUFFIXES = (".html", ".md", ".tex", ".json")


def write_report(
    owners: Reportable | Iterable[Reportable],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    subtitle: str = "",
    lead: str | None = None,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Write one report on one or several results.

    Parameters
    ----------
    owners : Reportable or iterable of Reportable
        What to report, in reading order.
    path : path
        Where to. ``.html`` is one self-contained page; ``.md`` and ``.tex`` keep their figures as SVG or PDF in a
        folder beside the file (``<name>_figures``); ``.json`` holds all numbers. An existing file is replaced.
    title, subtitle, lead, metadata
        See :func:`causalkit.report.compose`.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    DesignError
        When the suffix is none of the four, or there is nothing to report.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise DesignError(
            f"a report can't be written as {target.suffix or 'a file without a suffix'!r}.",
            hint=f"Give a path that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.",
        )
    document = compose(owners, title=title, subtitle=subtitle, lead=lead, metadata=metadata)
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, _render(document, target).encode("utf-8"))
    return target


def _render(document: Document, target: Path) -> str:
    suffix = target.suffix.lower()
    if suffix == ".html":
        from causalkit.report.html import to_html

        return to_html(document)
    if suffix == ".json":
        from causalkit.report.as_json import to_json

        return to_json(document)
    if suffix == ".md":
        from causalkit.report.markdown import to_markdown

        return to_markdown(document, _pictures(document, target, "svg"))
    from causalkit.report.latex import to_latex

    return to_latex(document, _pictures(document, target, "pdf"))


def _pictures(document: Document, target: Path, kind: str) -> list[str]:
    """Write the figures beside the report and return their relative addresses."""
    from causalkit.plot import draw, svg, theme

    folder = target.with_name(f"{_plain_name(target.stem)}_figures")
    addresses = []
    for i, item in enumerate(document.figures, start=1):
        folder.mkdir(exist_ok=True)
        figure = draw(item.owner, item.passage.figure or "")
        if kind == "svg":
            content = svg(figure, label=item.passage.title, themed=False).encode("utf-8")
        else:
            buffer = io.BytesIO()
            with theme.styled():
                figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
            content = buffer.getvalue()
        _replace(folder / f"figure{i}.{kind}", content)
        addresses.append(f"{folder.name}/figure{i}.{kind}")
    return addresses


def _plain_name(stem: str) -> str:
    """Return a folder name that needs no escaping in an address or in LaTeX."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in stem) or "report"


def _replace(target: Path, content: bytes) -> None:
    """Write beside the target, then move: a reader sees the old file or the new one, never a part."""
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        scratch.write_bytes(content)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
