"""What a graph implies for the data: pairs of variables that are independent once others are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from causalkit.graph.nodes import NONE, Mixed, Nodes
from causalkit.graph.separators import closest_separator, minimal_separators

ImplicationKind = Literal["basis", "minimal"]


class Implication(NamedTuple):
    """One node is independent of another given a set; by number, ``one < two``."""

    one: int
    two: int
    given: Nodes


def implications(
    graph: Mixed, latent: Nodes, selected: Nodes = NONE, kind: ImplicationKind = "minimal"
) -> Iterator[Implication]:
    """Yield the independencies of measured nodes that a graph implies, in the order of the nodes.

    Parameters
    ----------
    graph : Mixed
    latent : set of nodes
        Nodes that were not measured.
    selected : set of nodes
        Nodes that the data are conditioned on; they are in no implication.
    kind : {"basis", "minimal"}
        One for every pair that some set separates, or every minimal set of every pair. The set of the basis is the parents
        of the later node where everything was measured (the pairwise Markov property: all else follows from these), and
        one minimal set elsewhere.
    """
    observed = sorted(frozenset(range(len(graph))) - latent - selected)
    place = {node: at for at, node in enumerate(graph.order)}
    for at, one in enumerate(observed):
        for two in observed[at + 1 :]:
            if kind == "minimal":
                yield from (Implication(one, two, given) for given in _every(graph, one, two, latent, selected))
                continue
            early, late = (one, two) if place[one] < place[two] else (two, one)
            found = _first(graph, early, late, latent, selected)
            if found is not None:
                yield Implication(one, two, found)


def _first(graph: Mixed, early: int, late: int, latent: Nodes, selected: Nodes) -> Nodes | None:
    """One set that separates a pair, or nothing; ``early`` comes first in the topological order."""
    if early in graph.parents[late] or early in graph.siblings[late]:
        return None
    parents = frozenset(graph.parents[late])
    if not selected and not parents & latent and not graph.siblings[late]:
        return parents
    ends = frozenset([early]), frozenset([late])
    allowed = frozenset(range(len(graph))) - latent - selected - {early, late}
    return closest_separator(graph, *ends, allowed, selected)


def _every(graph: Mixed, one: int, two: int, latent: Nodes, selected: Nodes) -> Iterator[Nodes]:
    """Every minimal set that separates a pair."""
    above = graph.ancestors({one, two} | selected)
    neighbours = graph.moral(above)
    for node in selected:
        for other in neighbours[node]:
            neighbours[other].discard(node)
        neighbours[node] = set()
    allowed = above - latent - selected - {one, two}
    yield from minimal_separators(neighbours, frozenset([one]), frozenset([two]), allowed)


def local_markov(graph: Mixed, latent: Nodes, selected: Nodes = NONE) -> tuple[Implication, ...]:
    """Return the local Markov conditions: a node and each that is no effect of it, given its parents; each once.

    Where nodes were not measured, or selection conditions on some, the conditions do not survive, and the basis of
    :func:`implications` stands in their place.

    Parameters
    ----------
    graph, latent, selected
        As in :func:`implications`.
    """
    if latent or selected or any(graph.siblings):
        return tuple(implications(graph, latent, selected, "basis"))
    found = set()
    for node in range(len(graph)):
        parents = frozenset(graph.parents[node])
        below = graph.descendants([node])
        for other in range(len(graph)):
            if other not in below and other not in parents:
                found.add(Implication(min(node, other), max(node, other), parents))
    return tuple(sorted(found, key=lambda one: (one.one, one.two, sorted(one.given))))
