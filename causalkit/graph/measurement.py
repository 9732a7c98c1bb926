"""What else would have to be measured for an effect to be identified, the cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from causalkit.errors import DesignError, IdentificationError
from causalkit.graph.id_algorithm import Hedge, Identifier
from causalkit.graph.nodes import Mixed, Nodes
from causalkit.graph.structure import Structure

if TYPE_CHECKING:
    from causalkit.graph.verdict import Identification

Pair = tuple[str, str]


@dataclass(frozen=True)
class Measurement:
    """Something to measure that makes an effect identified.

    Parameters
    ----------
    nodes : tuple of str
        Nodes that are latent so far.
    pairs : tuple of (str, str)
        Pairs joined by ``<->``, whose common cause has no name: all of it.
    cost : float
    """

    nodes: tuple[str, ...]
    pairs: tuple[Pair, ...]
    cost: float

    def __str__(self) -> str:
        return ", ".join([*self.nodes, *(f"the common cause of {a} and {b}" for a, b in self.pairs)])


def what_to_measure(verdict: Identification, cost: Mapping[str | Pair, float] | None) -> Iterator[Measurement]:
    """Yield minimal sets of measurements, of least cost first.

    A hedge that stood in the way once is remembered: it stands as long as nothing that reaches it is measured, so only sets
    that touch every hedge found so far are tried.

    Parameters
    ----------
    verdict : Identification
    cost : mapping, optional
        Positive cost of each latent node, and of each pair joined by ``<->``; 1 by default.
    """
    graph = verdict.graph
    graph.needs_directions("measurements that help")
    if not verdict.identified and verdict.hedge is None:
        raise IdentificationError(
            "measuring causes does not help where the effect depends on who is in the data.",
            hint=verdict.explain(),
        )
    whole = _spelled_out(graph)
    items: list[str | Pair] = [*sorted(graph.latent), *graph.bidirected]
    price = _prices(items, cost or {})
    at = {item: whole.nodes.index(_hidden(item, graph) if isinstance(item, tuple) else item) for item in items}
    return _search(verdict, whole.mixed, whole.nodes, items, at, price)


def _search(
    verdict: Identification,
    whole: Mixed,
    names: tuple[str, ...],
    items: list[str | Pair],
    at: Mapping[str | Pair, int],
    price: Mapping[str | Pair, float],
) -> Iterator[Measurement]:
    hidden = frozenset(at.values())
    number = {name: place for place, name in enumerate(names)}
    x, y, z = (frozenset(number[n] for n in part) for part in (verdict.treatment, verdict.outcome, verdict.given))
    hedges: list[Nodes] = []  # what reaches each: while none of it is measured, the hedge stands
    found: list[Nodes] = []
    queue: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    seen: set[tuple[int, ...]] = {()}
    while queue:
        spent, chosen = heappop(queue)
        measured = frozenset(at[items[one]] for one in chosen)
        if any(known <= measured for known in found):
            continue
        standing = next((reaches for reaches in hedges if measured.isdisjoint(reaches)), None)
        if standing is None:
            left = hidden - measured
            try:
                Identifier(whole.projected(left), names).effect(y, x, z, frozenset(range(len(names))) - left)
            except Hedge as hedge:
                standing = frozenset(node for node in left if whole.reached_through(node, left) & hedge.outer)
                hedges.append(standing)
            else:
                found.append(measured)
                yield _measurement([items[one] for one in chosen], spent)
                continue
        for one, item in enumerate(items):
            more = tuple(sorted({*chosen, one}))
            if at[item] in standing and more not in seen:
                seen.add(more)
                heappush(queue, (spent + price[item], more))


def _measurement(picked: list[str | Pair], spent: float) -> Measurement:
    nodes = tuple(item for item in picked if isinstance(item, str))
    return Measurement(nodes, tuple(item for item in picked if isinstance(item, tuple)), spent)


def _spelled_out(graph: Structure) -> Structure:
    """Return the graph with a latent node for every ``<->``."""
    fresh = [_hidden(pair, graph) for pair in graph.bidirected]
    edges = [(node, end) for node, pair in zip(fresh, graph.bidirected, strict=True) for end in pair]
    return Structure([*graph.directed, *edges], [*graph.latent, *fresh], nodes=[*graph.nodes, *fresh])


def _hidden(pair: Pair, graph: Structure) -> str:
    """Name the cause behind ``<->`` so that no node has that name."""
    name = f"{pair[0]} <-> {pair[1]}"
    while name in graph.nodes:
        name += "'"
    return name


def _prices(items: list[str | Pair], cost: Mapping[str | Pair, float]) -> dict[str | Pair, float]:
    found = dict.fromkeys(items, 1.0)
    for item, value in cost.items():
        key: str | Pair = item if isinstance(item, str) or item in found else (item[1], item[0])
        if key not in found:
            raise DesignError(
                f"cost= names {item!r}, which is no latent node and no pair joined by <->.",
                hint=f"Choose from {', '.join(map(str, items[:20]))}.",
            )
        if not value > 0:
            raise DesignError(f"the cost of {item!r} is {value!r}.", hint="A cost is positive.")
        found[key] = float(value)
    return found
