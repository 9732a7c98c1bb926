"""What a result has to say for itself in a report: passages that a writer sorts into the four questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from causalkit.core.slider import Slider
from causalkit.core.table import Table

Section = Literal["found", "action", "certainty", "assumptions"]

SECTIONS: dict[Section, str] = {
    "found": "What we found",
    "action": "Whom to treat and what it earns",
    "certainty": "How sure we are",
    "assumptions": "Which assumptions were checked, and how",
}


@dataclass(frozen=True)
class Passage:
    """One piece of a report: a heading, plain sentences, and at most one table and one figure.

    Parameters
    ----------
    section : {"found", "action", "certainty", "assumptions"}
        Which of the reader's four questions it answers.
    title : str
        The heading.
    text : tuple of str
        Paragraphs of plain text (never HTML).
    table : Table, optional
        Numbers behind the sentences.
    figure : str, optional
        A kind that the owner's ``plot`` draws.
    facts : tuple of (label, value, note)
        Headline numbers, shown large.
    slider : Slider, optional
        Numbers that the reader of an HTML page moves over; give their table too, for readers without scripts.
    """

    section: Section
    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    figure: str | None = None
    facts: tuple[tuple[str, str, str], ...] = ()
    slider: Slider | None = None
