"""A report as strict JSON: every number at full precision, nothing that a JSON parser would refuse."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from causalkit.core.passage import SECTIONS
from causalkit.core.table import Table
from causalkit.report.document import Document, Finding, Item, clean


def to_json(document: Document) -> str:
    """Write a document as JSON (RFC 8259).

    The keys are ``title subtitle lead verdict metadata sections checks results``; ``results`` holds the ``to_dict()`` of
    every owner. NaN and infinities are null, arrays are lists, keys keep their order, and anything JSON does not know
    is written as a string. The same document gives the same bytes.
    """
    return json.dumps(plain(_document(document)), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def plain(value: Any) -> Any:
    """Turn any value into what JSON has: null, booleans, numbers, strings, lists and objects."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean(key): plain(item) for key, item in value.items()}
    if isinstance(value, Table):
        return _table(value)
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else clean(value)


def _document(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "lead": document.lead,
        "verdict": document.verdict(),
        "metadata": [{"label": label, "value": value} for label, value in document.metadata],
        "sections": [
            {"key": key, "heading": SECTIONS[key], "passages": [_item(item) for item in items]}
            for key, items in document.sections
        ],
        "checks": [_finding(finding) for finding in document.ledger],
        "results": [{"title": owner.title, **owner.to_dict()} for owner in document.owners],
    }


def _item(item: Item) -> dict[str, Any]:
    passage = item.passage
    return {
        "source": item.source,
        "title": passage.title,
        "text": passage.text,
        "facts": [{"label": label, "value": value, "note": note} for label, value, note in passage.facts],
        "table": passage.table,
        "figure": passage.figure,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {"source": finding.source, **finding.check.to_dict()}


def _table(table: Table) -> dict[str, Any]:
    return {"caption": plain(table.caption), "columns": plain(table.columns), "rows": plain(table.rows)}
