"""A small table of finished cells that can be written as text, Markdown, LaTeX or HTML, with every cell escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

from causalkit.core import format as fmt

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}

#: Heads of columns whose numbers are names.
LABELS = ("cohort", "time", "unit")


def latex_escape(text: str) -> str:
    """Escape what LaTeX would read as a command."""
    return "".join(_LATEX.get(char, char) for char in re.sub(r"\s+", " ", text))


def markdown_escape(text: str) -> str:
    """Escape what would break a Markdown table or open HTML inside it."""
    flat = re.sub(r"\s+", " ", text)
    return re.sub(r"([\\`*_\[\]|<>#&~])", r"\\\1", flat)


@dataclass(frozen=True)
class Table:
    """Columns and rows of any values; numbers are formatted when the table is written.

    Parameters
    ----------
    columns : sequence of str
        Column heads.
    rows : sequence of sequence
        Cells, one row after the other. A column whose head is ``pvalue`` is written as a p-value; those of
        ``LABELS`` hold names, so a year gets no separator of thousands.
    caption : str, optional
        One line said above the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str | None = None

    @classmethod
    def of(cls, columns: Iterable[str], rows: Iterable[Sequence[object]], caption: str | None = None) -> Table:
        """Build a table from any iterables."""
        return cls(tuple(columns), tuple(tuple(row) for row in rows), caption)

    def cells(self) -> list[list[str]]:
        """Return the formatted cells, row by row."""
        named = {"pvalue": fmt.pvalue, **dict.fromkeys(LABELS, fmt.label)}
        writers = [named.get(column, fmt.number) for column in self.columns]
        return [[write(cell) for write, cell in zip(writers, row, strict=True)] for row in self.rows]

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds only numbers (and gaps): those are set flush right."""
        return tuple(
            bool(self.rows) and all(isinstance(row[j], Real) or row[j] is None for row in self.rows)
            for j in range(len(self.columns))
        )

    def to_text(self) -> str:
        """Write as aligned plain text."""
        grid = [list(self.columns), *([_flat(cell) for cell in row] for row in self.cells())]
        widths = [max(len(row[j]) for row in grid) for j in range(len(self.columns))]
        right = self.numeric
        lines = [
            "  ".join(
                cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in grid
        ]
        lines.insert(1, "─" * (sum(widths) + 2 * (len(widths) - 1)))
        return "\n".join(([self.caption] if self.caption else []) + lines)

    def to_markdown(self) -> str:
        """Write as a GitHub-flavoured Markdown table."""
        head = "| " + " | ".join(markdown_escape(column) for column in self.columns) + " |"
        rule = "| " + " | ".join("---:" if right else "---" for right in self.numeric) + " |"
        body = ["| " + " | ".join(markdown_escape(cell) for cell in row) + " |" for row in self.cells()]
        return "\n".join([head, rule, *body])

    def to_latex(self) -> str:
        """Write as a booktabs ``tabular``."""
        align = "".join("r" if right else "l" for right in self.numeric)
        lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
        lines.append(_latex_row(self.columns))
        lines.append(r"\midrule")
        lines += [_latex_row(row) for row in self.cells()]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])

    def to_html(self) -> str:
        """Write as an HTML table; every cell is escaped."""
        kinds = ['class="number"' if right else "" for right in self.numeric]
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        head = "".join(
            f'<th scope="col" {kind}>{html.escape(column)}</th>'
            for column, kind in zip(self.columns, kinds, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td {kind}>{html.escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
            + "</tr>"
            for row in self.cells()
        )
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>".replace(" >", ">")


def _latex_row(cells: Iterable[str]) -> str:
    # An empty group keeps LaTeX from reading a first cell such as [0.1, 0.2] as an option of the line before it.
    return "{}" + " & ".join(latex_escape(cell) for cell in cells) + r" \\"


def _flat(cell: str) -> str:
    return re.sub(r"\s+", " ", cell)
