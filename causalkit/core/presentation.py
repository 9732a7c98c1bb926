"""What everything that can be shown has in common: results, reports and maps of results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.table import Table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Presentable:
    """Something with a table, a ledger of checks and a story; subclasses say which.

    A subclass provides :attr:`title`, :attr:`checks`, :meth:`to_table`, and may override :meth:`passages`,
    :attr:`plots` and :meth:`plot_data`.
    """

    #: Kinds that :meth:`plot` draws.
    plots: ClassVar[tuple[str, ...]] = ()
    #: The assumption ledger.
    checks: Checks

    @property
    def title(self) -> str:
        """What this is, in a few words."""
        raise NotImplementedError

    @property
    def answer(self) -> str:
        """The answer in one sentence."""
        raise NotImplementedError

    def to_table(self) -> Table:
        """Return the main table."""
        raise NotImplementedError

    def passages(self) -> tuple[Passage, ...]:
        """Return what this has to say in a report."""
        return (Passage("found", self.title, (self.answer,), self.to_table()),)

    def plot_data(self, kind: str) -> Mapping[str, Any]:
        """Return the numbers behind one plot."""
        raise KeyError(kind)

    # Everything below follows from the above.

    def summary(self) -> str:
        """Return a short text: the answer, the table, and the checks that need attention."""
        lines = [self.title, "=" * len(self.title), self.answer, "", self.to_table().to_text()]
        return "\n".join([*lines, "", *check_lines(self.checks)])

    def to_frame(self) -> pd.DataFrame:
        """Return the main table as a data frame."""
        import pandas as pd

        table = self.to_table()
        return pd.DataFrame(table.rows, columns=list(table.columns))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a JSON-ready dictionary (gaps are None)."""
        table = self.to_table()
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return plain({"title": self.title, "answer": self.answer, "table": rows, "checks": self.checks.to_dict()})  # type: ignore[no-any-return]

    def to_json(self) -> str:
        """Return :meth:`to_dict` as strict JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    def to_latex(self) -> str:
        """Return the main table as a LaTeX tabular."""
        return self.to_table().to_latex()

    def to_markdown(self) -> str:
        """Return the main table as Markdown."""
        return self.to_table().to_markdown()

    def plot(self, kind: str | None = None) -> Figure:
        """Draw one of :attr:`plots` (the first one by default) as a matplotlib figure."""
        from causalkit.core._upward import draw

        figure: Figure = draw(self, kind)
        return figure

    def report(self, path: str | PathLike[str]) -> Path:
        """Write a report; the suffix chooses HTML, Markdown, LaTeX or JSON."""
        from causalkit.core._upward import write_report

        return write_report(self, path)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        import html

        return f"<h4>{html.escape(self.title)}</h4><p>{html.escape(self.answer)}</p>{self.to_table().to_html()}"


def check_lines(checks: Checks) -> list[str]:
    """Return the ledger as lines of text, what needs attention first and in full."""
    found = list(checks.values())
    lines: list[str] = []
    for status, mark in (("fail", "✗"), ("warn", "!"), ("untestable", "?")):
        asking = [check for check in found if check.status == status]
        lines += [f"{mark} {check.name} ({status}): {check.message} {check.advice}".rstrip() for check in asking]
    # Of a difference, both parts may have passed a check of one name.
    passed = list(dict.fromkeys(check.name for check in found if check.status == "pass"))
    return [*lines, f"✓ passed: {', '.join(passed)}"] if passed else lines


def plain(value: Any) -> Any:
    """Turn numpy values into plain Python ones, and numbers that are not finite into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
