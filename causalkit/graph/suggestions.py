"""Edits of one edge after which the data contradict less of what a graph implies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalkit.core.check import Checks
from causalkit.core.passage import Passage
from causalkit.core.result import Report
from causalkit.core.table import Table
from causalkit.graph.implication_report import ImplicationTests, hidden, moved
from causalkit.graph.implications import Implication, implications
from causalkit.graph.nodes import Mixed
from causalkit.inference.multiplicity import adjust_pvalues

if TYPE_CHECKING:
    from causalkit.graph.dag import DAG

Edit = Literal["add", "remove", "turn"]
_RANK = {"turn": 0, "remove": 1, "add": 2}


@dataclass(frozen=True)
class Suggestion:
    """One edit and what it does.

    Parameters
    ----------
    edit : {"add", "remove", "turn"}
    edge : tuple of str
        Tail and head after the edit (before it, for one that is removed).
    resolved : int
        Failing implications that the edited graph does not imply.
    failing : int
        Implications of the edited graph that the data contradict.
    tested : int
        Implications of the edited graph.
    """

    edit: Edit
    edge: tuple[str, str]
    resolved: int
    failing: int
    tested: int


@dataclass(frozen=True, eq=False, repr=False)
class Suggestions(Report):
    """Edits of one edge, the best first; made by ``suggestions()`` of a test or falsification.

    Parameters
    ----------
    graph : DAG
    found : tuple of Suggestion
        Only edits after which fewer implications fail.
    before : int
        Implications that fail as the graph stands.
    tried : int
        Edits that were tried.
    """

    graph: DAG
    found: tuple[Suggestion, ...]
    before: int
    tried: int

    checks = Checks({})

    def __getitem__(self, at: int) -> Suggestion:
        return self.found[at]

    def __len__(self) -> int:
        return len(self.found)

    @property
    def title(self) -> str:
        """What was asked."""
        return "Edits that would make the graph fit the data better"

    @property
    def answer(self) -> str:
        """The best edit in words, and its limits."""
        if not self.before:
            return "Nothing that the graph implies is contradicted: no edit is called for."
        if not self.found:
            return f"None of {self.tried} edits of one edge lowers the {self.before} contradictions; a cause may be missing."
        best = self.found[0]
        alike = sum((one.failing, one.resolved) == (best.failing, best.resolved) for one in self.found)
        verb = {"add": "Adding", "remove": "Removing", "turn": "Turning round to"}[best.edit]
        more = f" {alike - 1} other edits do as well." if alike > 1 else ""
        return (
            f"{verb} {best.edge[0]} -> {best.edge[1]} leaves {best.failing} of {self.before} contradictions.{more} "
            "The data can't tell equivalent graphs apart: choose by what is known of the causes, and test on other data."
        )

    def to_table(self) -> Table:
        """Return one row per edit, the best first."""
        rows = [(s.edit, f"{s.edge[0]} -> {s.edge[1]}", s.resolved, s.failing, s.tested) for s in self.found]
        return Table.of(("edit", "edge", "resolved", "still_failing", "tested"), rows)

    def passages(self) -> tuple[Passage, ...]:
        """Return the edits."""
        return (Passage("assumptions", self.title, (self.answer,), self.to_table()),)


def suggest(tests: ImplicationTests) -> Suggestions:
    """Try every edit of one edge that bears on a failing implication.

    Edges are added between the two variables of a failing implication, and edges of the graph removed or turned round, as
    far as no cycle arises. Each edited graph is tested anew, with the same correction for the number of tests, and every
    test is made once.

    Parameters
    ----------
    tests : ImplicationTests
        With the data it was made on.
    """
    assert tests.tester is not None
    assert tests.columns is not None
    graph, failing = tests.graph, tests.failing
    latent, selected = hidden(graph)
    place = tests.columns.place()
    edits = [(edit, edge, changed) for edit, edge, changed in _edits(graph, failing) if _acyclic(changed)]
    implied = [
        [moved(one, place) for one in implications(changed, latent, selected, "basis")] for _, _, changed in edits
    ]
    every = sorted({one for group in implied for one in group}, key=lambda one: (one.one, one.two, sorted(one.given)))
    known = dict(zip(every, tests.tester.pvalues(every), strict=True)) if every else {}
    here = _contradicted(graph.mixed, tests, place) if failing else 0
    found = []
    for (edit, edge, changed), group in zip(edits, implied, strict=True):
        resolved = sum(
            not changed.separated(frozenset([one.one]), frozenset([one.two]), one.given | selected) for one in failing
        )
        adjusted = adjust_pvalues(np.array([known[one] for one in group]), tests.correction)
        count = int((adjusted <= tests.alpha).sum())
        if resolved and count < here:
            found.append(Suggestion(edit, (graph.nodes[edge[0]], graph.nodes[edge[1]]), resolved, count, len(group)))
    number = {name: at for at, name in enumerate(graph.nodes)}
    found.sort(key=lambda s: (s.failing, -s.resolved, _RANK[s.edit], number[s.edge[0]], number[s.edge[1]]))
    return Suggestions(graph, tuple(found), here, len(edits))


def _contradicted(graph: Mixed, tests: ImplicationTests, place: dict[int, int]) -> int:
    """How many implications of the basis fail, whatever kind of implications was tested first."""
    assert tests.tester is not None
    basis = list(implications(graph, *hidden(tests.graph), "basis"))
    adjusted = adjust_pvalues(tests.tester.pvalues([moved(one, place) for one in basis]), tests.correction)
    return int((adjusted <= tests.alpha).sum())


def _edits(graph: DAG, failing: tuple[Implication, ...]) -> Iterator[tuple[Edit, tuple[int, int], Mixed]]:
    """Edits of one edge, with the graph that each leads to."""
    if not failing:
        return
    mixed = graph.mixed
    edges = [(tail, head) for head in range(len(mixed)) for tail in mixed.parents[head]]
    both = [(a, b) for a in range(len(mixed)) for b in mixed.siblings[a] if a < b]

    def edited(gone: tuple[int, int] | None, fresh: tuple[int, int] | None) -> Mixed:
        kept = [edge for edge in edges if edge != gone]
        return Mixed.of(len(mixed), [*kept, fresh] if fresh is not None else kept, both)

    for one, two in sorted({(found.one, found.two) for found in failing}):
        for tail, head in ((one, two), (two, one)):
            yield "add", (tail, head), edited(None, (tail, head))
    for tail, head in sorted(edges):
        yield "remove", (tail, head), edited((tail, head), None)
        yield "turn", (head, tail), edited((tail, head), (head, tail))


def _acyclic(graph: Mixed) -> bool:
    return len(graph.order) == len(graph)
