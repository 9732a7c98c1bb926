"""``causalkit describe``: what is in a table, in plain words."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.table import Table
from causalkit.core.text_numbers import numbers_in_text
from causalkit.data.frame import Frame

AS_TEXT = "numbers as text"
#: Fewer distinct values than this may be the arms of an experiment.
FEW = 10


def describe(data: Any, name: str) -> str:
    """Say how many rows there are, what each column holds, and what it may be used for."""
    frame = Frame.read(data).collect()
    rows = [_row(frame, column) for column in frame.columns]
    table = Table.of(("column", "holds", "missing", "distinct", "values", "may serve as"), rows)
    gaps = sum(bool(frame.missing(column).any()) for column in frame.columns)
    size = f"{fmt.plural(frame.n_rows, 'row')} and {fmt.plural(len(frame.columns), 'column')}"
    said = f"{name}: {size}; {gaps} of the columns {'has' if gaps == 1 else 'have'} missing values."
    return f"{said}\n\n{table.to_text()}"


def _row(frame: Frame, name: str) -> tuple[object, ...]:
    gaps = int(frame.missing(name).sum())
    codes, labels = frame.labels(name)
    kind = _kind(frame, name, labels)
    lost = f"{gaps:,} ({fmt.share(gaps / max(frame.n_rows, 1))})" if gaps else "none"
    return name, kind, lost, len(labels), _values(frame, name, kind, codes, labels), _use(kind, labels, codes)


def _kind(frame: Frame, name: str, labels: tuple[object, ...]) -> str:
    if not labels:
        return "nothing"
    if frame.is_boolean(name) or set(labels) == {0, 1}:
        return "yes/no"
    if frame.is_temporal(name):
        return "dates"
    if frame.is_numeric(name):
        return "whole numbers" if all(isinstance(label, int) for label in labels) else "numbers"
    return AS_TEXT if numbers_in_text(labels) else "text"


def _values(frame: Frame, name: str, kind: str, codes: Any, labels: tuple[object, ...]) -> str:
    if kind == "nothing":
        return ""
    if kind in ("numbers", "whole numbers"):
        values = frame.numeric(name)
        infinite = int(np.isinf(values).sum())
        known = values[np.isfinite(values)]
        if not len(known):
            return f"{infinite:,} infinite"
        low, middle, high = (fmt.number(float(v)) for v in (known.min(), np.median(known), known.max()))
        return f"{low} to {high}, median {middle}" + (f", {infinite:,} infinite" if infinite else "")
    if kind == "dates":
        return f"{labels[0]} to {labels[-1]}"
    counts = np.bincount(codes[codes >= 0], minlength=len(labels))
    top = np.argsort(-counts, kind="stable")[:3]
    shown = ", ".join(f"{str(labels[code])[:24]!r} {fmt.share(counts[code] / counts.sum(), 0)}" for code in top)
    return shown + (", …" if len(labels) > len(top) else "")


def _use(kind: str, labels: tuple[object, ...], codes: Any) -> str:
    n = int(np.sum(codes >= 0))
    if len(labels) <= 1:
        return "nothing: it does not vary"
    if kind == AS_TEXT:
        return "nothing yet: turn it into numbers"
    if kind == "yes/no":
        return "outcome, treatment, covariate"
    if kind == "dates":
        return "time"
    if len(labels) == n and kind in ("text", "whole numbers"):
        return "unit (every row has its own value)"
    if len(labels) <= FEW:
        return "treatment (name control=), covariate, cluster"
    if kind == "text":
        return "cluster, unit"
    return "outcome, covariate, cluster" if kind == "whole numbers" else "outcome, covariate"
