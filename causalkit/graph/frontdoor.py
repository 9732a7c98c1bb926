"""Front-door sets and conditional instruments: what identifies an effect that adjustment does not."""

from __future__ import annotations

from collections.abc import Iterator

from causalkit.graph.adjustment import Adjustment
from causalkit.graph.nodes import NONE, Mixed, Nodes, subsets
from causalkit.graph.separators import minimal_separators


def frontdoor_sets(graph: Mixed, treatment: Nodes, outcome: Nodes, latent: Nodes) -> Iterator[Nodes]:
    """Yield every minimal front-door set, small ones first.

    A set qualifies if it stops every causal path from treatment to outcome, no back-door path from the treatment to it is
    open, and the treatment blocks every back-door path from it to the outcome (Pearl 2009, definition 3.3.3).
    """
    if not graph.descendants(treatment) & outcome:
        return
    reached = graph.without_edges(out_of=treatment).reached(treatment, NONE)
    candidates = graph.ancestors(outcome) - treatment - outcome - latent - reached
    alone = [
        one
        for one in (frozenset([node]) for node in sorted(candidates))
        if _is_frontdoor(graph, treatment, outcome, one)
    ]
    yield from alone
    candidates = candidates.difference(*alone)
    if not _stops(graph, treatment, outcome, candidates):
        return  # nor does any part of them
    found: list[Nodes] = []
    for chosen in subsets(candidates):
        if not any(known <= chosen for known in found) and _is_frontdoor(graph, treatment, outcome, chosen):
            found.append(chosen)
            yield chosen


def _is_frontdoor(graph: Mixed, treatment: Nodes, outcome: Nodes, chosen: Nodes) -> bool:
    return _stops(graph, treatment, outcome, chosen) and Adjustment(graph, chosen, outcome).blocks(treatment)


def _stops(graph: Mixed, treatment: Nodes, outcome: Nodes, chosen: Nodes) -> bool:
    """Tell whether a set stops every causal path."""
    return not graph.subgraph(frozenset(range(len(graph))) - chosen).descendants(treatment) & outcome


def conditional_instruments(
    graph: Mixed, treatment: Nodes, outcome: Nodes, latent: Nodes
) -> Iterator[tuple[int, Nodes]]:
    """Yield (instrument, minimal set to adjust for): related to the treatment, and to the outcome only through it.

    Brito and Pearl (2002), *Generalized instrumental variables*; the set holds no descendant of treatment or outcome, so
    the relation of instrument and treatment is one of the treatment and not of its effects.
    """
    problem = Adjustment(graph, treatment, outcome)
    cut = problem.backdoor_graph
    below = graph.descendants(treatment | outcome)
    for node in sorted(frozenset(range(len(graph))) - treatment - outcome - latent - below):
        one = frozenset([node])
        above = cut.ancestors(one | outcome)
        allowed = above - below - one - latent
        for chosen in minimal_separators(cut.moral(above), one, outcome, allowed):
            if not graph.separated(one, treatment, chosen):
                yield node, chosen
