"""Reports: ``write_report(results, path)`` writes HTML, Markdown, LaTeX or JSON from any results of the toolkit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalkit.report.as_json import to_json
    from causalkit.report.document import Document, Reportable, compose
    from causalkit.report.html import to_html
    from causalkit.report.latex import to_latex
    from causalkit.report.markdown import to_markdown
    from causalkit.report.write import write_report

__all__ = ["Document", "Reportable", "compose", "to_html", "to_json", "to_latex", "to_markdown", "write_report"]

_HOMES = {
    "Document": "document",
    "Reportable": "document",
    "compose": "document",
    "to_html": "html",
    "to_json": "as_json",
    "to_latex": "latex",
    "to_markdown": "markdown",
    "write_report": "write",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
