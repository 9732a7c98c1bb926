"""Names and paths made safe for an engine: a hostile identifier is data, never SQL."""

from __future__ import annotations


def quote_identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier (ANSI double quotes, doubled inside)."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return text as a quoted SQL string (single quotes, doubled inside; DuckDB gives a backslash no meaning)."""
    return "'" + text.replace("'", "''") + "'"


def literal_path(path: str) -> str:
    """Return a path in which DuckDB sees no glob: ``*``, ``?`` and ``[`` stand for themselves."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
