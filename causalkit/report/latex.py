r"""A report as a LaTeX document that compiles with pdfLaTeX, XeLaTeX and LuaLaTeX, whatever its texts hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from causalkit.core.passage import SECTIONS
from causalkit.core.table import Table, latex_escape
from causalkit.plot import describe
from causalkit.report.document import HEADS, STATUS_WORDS, Document, Finding, Item, chance, clean, readable

LONG = 35
"""Tables with more rows are broken over pages; shorter ones are shrunk to the width of the text."""

_WIDE_CELL = 36

_SYMBOLS = {
    "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}", "•": r"\textbullet{}",
    "−": r"\ensuremath{-}", "∞": r"\ensuremath{\infty}", "≤": r"\ensuremath{\leq}", "≥": r"\ensuremath{\geq}",
    "≠": r"\ensuremath{\neq}", "≈": r"\ensuremath{\approx}", "×": r"\ensuremath{\times}", "±": r"\ensuremath{\pm}",
    "→": r"\ensuremath{\rightarrow}", "∈": r"\ensuremath{\in}", "√": r"\ensuremath{\surd}", "²": r"\ensuremath{^2}",
    "α": r"\ensuremath{\alpha}", "β": r"\ensuremath{\beta}", "γ": r"\ensuremath{\gamma}", "δ": r"\ensuremath{\delta}",
    "ε": r"\ensuremath{\varepsilon}", "θ": r"\ensuremath{\theta}", "λ": r"\ensuremath{\lambda}", "μ": r"\ensuremath{\mu}",
    "π": r"\ensuremath{\pi}", "ρ": r"\ensuremath{\rho}", "σ": r"\ensuremath{\sigma}", "τ": r"\ensuremath{\tau}",
    "φ": r"\ensuremath{\varphi}", "χ": r"\ensuremath{\chi}", "ψ": r"\ensuremath{\psi}", "Δ": r"\ensuremath{\Delta}",
    "\u00a0": "~", "€": r"\texteuro{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}  # fmt: skip

_PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
  \usepackage{lmodern}
  % pdfLaTeX has no glyph for this character: its number stands for it.
  \newcommand{\anychar}[2]{[U+#2]}
\else
  \usepackage{fontspec}
  \newcommand{\anychar}[2]{#1}
\fi
\usepackage{textcomp}
\usepackage[margin=25mm]{geometry}
\usepackage{booktabs}
\usepackage{longtable}
\usepackage{array}
\usepackage{graphicx}
\setlength{\parindent}{0pt}
\setlength{\parskip}{6pt plus 2pt}
\emergencystretch=3em
\newsavebox{\widetable}
\newcommand{\fitted}{\ifdim\wd\widetable>\linewidth\resizebox{\linewidth}{!}{\usebox{\widetable}}\else\usebox{\widetable}\fi}
"""


def to_latex(document: Document, figures: Sequence[str] | None = None) -> str:
    """Write a document as LaTeX.

    Parameters
    ----------
    document : Document
        What to write.
    figures : sequence of str, optional
        Relative paths of the pictures of ``document.figures``, in order. Where left out, each figure is told in words.
    """
    pictures = iter(figures) if figures is not None else None
    lines = [_PREAMBLE, r"\begin{document}", rf"{{\LARGE\bfseries {_text(document.title)}\par}}"]
    lines += [rf"{{\large {_text(document.subtitle)}\par}}"] if document.subtitle else []
    lines += [rf"\medskip{{\large\itshape {_text(document.lead)}\par}}"] if document.lead else []
    lines += [_banner(document)]
    for key, items in document.sections:
        lines.append(rf"\section*{{{SECTIONS[key]}}}")
        for item in items:
            lines += _item(item, pictures)
    lines += [r"\subsection*{All checks}"]
    lines += [part for finding in document.ledger for part in _check(finding)] or [_text(document.verdict())]
    lines += [r"\section*{What was run}"]
    lines += [rf"\textbf{{{_text(label)}}}: {_text(value)}\par" for label, value in document.metadata]
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def _text(text: object) -> str:
    """Escape text; what pdfLaTeX can't set is wrapped so that it compiles all the same."""
    return "".join(_character(char) for char in " ".join(clean(text).split()))


def _character(char: str) -> str:
    if char in _SYMBOLS:
        return _SYMBOLS[char]
    if ord(char) < 0x80:
        return latex_escape(char)
    # Latin letters with accents are in every T1 font.
    if 0xC0 <= ord(char) <= 0x17F and char.isalpha():
        return char
    return rf"\anychar{{{char}}}{{{ord(char):04X}}}"


def _banner(document: Document) -> str:
    lines = [r"\medskip\hrule\smallskip", rf"\textbf{{{_text(document.verdict())}}}"]
    if document.attention:
        lines.append(r"\begin{itemize}")
        lines += [rf"\item {{{_name(f)}}}: {_text(f.check.message)}" for f in document.attention]
        lines.append(r"\end{itemize}")
    return "\n".join([*lines, r"\smallskip\hrule\medskip"])


def _item(item: Item, pictures: Iterator[str] | None) -> list[str]:
    passage = item.passage
    lines = [rf"\subsection*{{{_text(item.heading)}}}"] if item.heading else []
    lines += [rf"\textit{{{_text(item.source)}}}\par"] if item.source else []
    for label, value, note in passage.facts:
        lines.append(
            rf"{{\Large\bfseries {_text(value)}}} {_text(label)}" + (f" ({_text(note)})" if note else "") + r"\par"
        )
    lines += [_text(paragraph) + r"\par" for paragraph in passage.text]
    if passage.figure:
        told = _text(describe(item.owner, passage.figure))
        if pictures:
            lines.append(rf"\begin{{center}}\includegraphics[width=0.85\linewidth]{{{next(pictures)}}}\end{{center}}")
        lines.append(rf"{{\small\itshape Figure: {told}\par}}")
    lines += _table(passage.table) if passage.table is not None else []
    return lines


def _table(table: Table) -> list[str]:
    """Write a table: shrunk to the width of the text, or broken over pages where it is long."""
    cells = table.cells()
    wide = [any(len(row[j]) > _WIDE_CELL for row in cells) for j in range(len(table.columns))]
    width = 0.62 / max(sum(wide), 1)
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{width:.2f}\linewidth}}" if broad else "r" if right else "l"
        for broad, right in zip(wide, table.numeric, strict=True)
    )
    head = _row([HEADS.get(column, column) for column in table.columns])
    body = [_row(row) for row in cells]
    caption = [rf"{{\small\bfseries {_text(table.caption)}\par}}"] if table.caption else []
    if len(body) > LONG:
        start = rf"\begin{{longtable}}{{{columns}}}"
        return [*caption, start, r"\toprule", head, r"\midrule\endhead", *body, r"\bottomrule", r"\end{longtable}"]
    inner = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}%",
    ]
    return [*caption, r"\begin{lrbox}{\widetable}%", *inner, r"\end{lrbox}", r"\fitted\par\medskip"]


def _row(cells: Sequence[str]) -> str:
    # Braces: LaTeX reads a bracket after the end of a row or a rule as an option.
    written = [_text(cell) for cell in cells]
    return " & ".join(f"{{{cell}}}" if cell.startswith(("[", "*")) else cell for cell in written) + r" \\"


def _name(finding: Finding) -> str:
    name = rf"\textbf{{{_text(readable(finding.check.name))}}} ({STATUS_WORDS[finding.check.status].lower()})"
    return f"{name}, {_text(finding.source)}" if finding.source else name


def _check(finding: Finding) -> list[str]:
    check = finding.check
    tested = chance(check.pvalue)
    lines = [
        rf"\medskip {_name(finding)}. {_text(check.message)}" + (f" ({_text(tested)})" if tested else "") + r"\par"
    ]
    lines += [rf"\textit{{What to do:}} {_text(check.advice)}\par"] if check.advice else []
    return lines + (_table(check.table) if check.table is not None else [])
