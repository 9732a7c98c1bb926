"""The answer does not depend on the order of rows and columns, on the index, or on the units of the outcome."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalkit.testing.probe import probe, require
from causalkit.testing.subject import Subject, rowwise
from causalkit.testing.table import grid


def _order(subject: Subject, seed: int = 5) -> Any:
    return np.random.default_rng(seed).permutation(len(subject.data))


@probe()
def order_of_rows(subject: Subject) -> None:
    """Shuffled rows give the same estimates, and predictions of the rows of the fit follow the user's order."""
    order = _order(subject)
    shuffled = subject.data.iloc[order]
    result = subject.fit(shuffled)
    subject.require_same(result, "shuffled rows")
    before = rowwise(subject.base, subject.data)
    if before is None:
        return
    after = rowwise(result, shuffled)
    subject.require_close(after, before[order], "predictions for the shuffled rows of a fit")
    own = rowwise(subject.base), rowwise(result)
    if own[0] is not None:
        subject.require_close(own[1], own[0][order], "cate() of a fit on shuffled rows")


@probe(when=lambda s: rowwise(s.base, s.data) is not None)
def predictions(subject: Subject) -> None:
    """What is predicted for a new row depends on that row only, whatever the order of the fit was."""
    people = subject.new_people()
    before = np.asarray(rowwise(subject.base, people))
    require(before.shape[0] == len(people), f"cate has {before.shape[0]} rows for {len(people)}.")
    require(np.isfinite(before).all(), "cate is not finite.")
    order = _order(subject)
    subject.require_close(rowwise(subject.base, people.iloc[order]), before[order], "predictions for shuffled new rows")
    some = [7, 3, 3, len(before) - 1]
    subject.require_close(rowwise(subject.base, people.iloc[some]), before[some], "predictions for four new rows")
    result = subject.fit(subject.data.iloc[order])
    subject.require_close(rowwise(result, people), before, "predictions of a fit on shuffled rows")


@probe()
def index(subject: Subject) -> None:
    """A duplicated, a multiple and a strange index change nothing."""
    import pandas as pd

    n = len(subject.data)
    indexes: dict[str, Any] = {
        "an index of repeated labels": pd.Index(np.zeros(n, dtype=int)),
        "a MultiIndex": pd.MultiIndex.from_arrays([np.arange(n) % 7, [f"r{i}" for i in range(n)]]),
        "an index of NaN and text named like a column": pd.Index(
            [np.nan, *(["x"] * (n - 1))], name=subject.data.columns[0]
        ),
    }
    for told, labels in list(indexes.items())[: 2 if subject.fast else 3]:
        subject.require_same(subject.fit(subject.data.set_axis(labels, axis=0)), told)


@probe()
def columns(subject: Subject) -> None:
    """The order of columns and further columns change nothing."""
    data = subject.data[subject.data.columns[::-1]].copy()
    data["unused inf"] = np.inf
    data["unused; DROP TABLE x"] = None
    data[""] = [object()] * len(data)
    data[17] = "number for a name"
    subject.require_same(subject.fit(data), "reversed and further columns")


@probe()
def renamed_columns(subject: Subject) -> None:
    """The table may name its columns otherwise."""
    used = [name for _, name in subject.columns()]
    names = {name: f"Z{position} {name[::-1]}" for position, name in enumerate(dict.fromkeys(used))}
    changes: dict[str, Any] = {}
    for role in subject.roles():
        value = subject.keywords[role]
        if isinstance(value, str):
            changes[role] = names[value]
        elif isinstance(value, list | tuple):
            changes[role] = [names[name] for name in value]
    subject.require_same(subject.fit(subject.data.rename(columns=names), **changes), "renamed columns")


def _has_outcome(subject: Subject) -> bool:
    return subject.column("outcome") is not None


@probe(when=_has_outcome)
def scale_of_outcome(subject: Subject) -> None:
    """``y * 1e6`` multiplies the effect by 1e6."""
    name = subject.column("outcome")
    data = subject.data.assign(**{str(name): subject.data[name] * 1e6})
    subject.require_same(subject.fit(data), "outcome times 1e6", factor=1e6)


@probe(when=_has_outcome)
def shift_of_outcome(subject: Subject) -> None:
    """``y + 1e9`` leaves the effect (in units of sd(y))."""
    name = str(subject.column("outcome"))
    unit = 2.0 ** np.floor(np.log2(subject.spread))
    # On a grid that double precision still resolves after the shift; else the shift itself would lose digits.
    exact = subject.data.assign(**{name: grid(subject.data[name], unit * 2.0**-8)})
    shift = 1e9 if 0.1 <= subject.spread <= 1e6 else unit * 2.0**30
    moved = exact.assign(**{name: exact[name] + shift})
    own = exact[name].equals(subject.data[name].astype(float))
    subject.require_same(subject.fit(moved), "outcome plus 1e9", reference=subject.base if own else subject.fit(exact))
