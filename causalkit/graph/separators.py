"""Minimal and cheapest separators of two nodes' sets in an undirected graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from causalkit.graph.nodes import Mixed, Nodes


def closest_separator(graph: Mixed, one: Nodes, two: Nodes, allowed: Nodes, given: Nodes) -> Nodes | None:
    """Return one minimal separator, the first of :func:`minimal_separators`, in linear time; None if there is none.

    Of all allowed ancestors, those that are met from ``one``; of these, those that are met from ``two`` (van der Zander and
    Liśkiewicz 2020, *Finding minimal d-separators in linear time and applications*). The moral graph is walked and never
    written down.

    Parameters
    ----------
    graph : Mixed
    one, two : sets of nodes
        Disjoint.
    allowed : set of nodes
        Disjoint from ``one``, ``two`` and ``given``.
    given : set of nodes
        Nodes that are conditioned on in any case.
    """
    above = graph.ancestors(one | two | given)
    wall = allowed & above
    met = _met(graph, one, wall | given, above)
    if met & two:
        return None
    return _met(graph, two, (wall & met) | given, above) & wall & met


def _met(graph: Mixed, start: Nodes, wall: Nodes, above: Nodes) -> Nodes:
    """Nodes that a walk through the moral graph of some ancestral nodes meets; it goes up to the wall and not past it."""
    parents, children, siblings = graph.parents, graph.children, graph.siblings
    inside, by_head, by_tail = bytearray(len(parents)), bytearray(len(parents)), bytearray(len(parents))
    for node in above:
        inside[node] = 1
    heads: list[int] = []
    tails = list(start)
    while heads or tails:
        if tails:
            node = tails.pop()
            if by_tail[node]:
                continue
            by_tail[node] = 1
            if node in wall:
                continue
            heads += children[node]
        else:
            node = heads.pop()
            if by_head[node] or not inside[node]:
                continue
            by_head[node] = 1
            if node not in wall:
                heads += children[node]
        # Whoever shares an effect is a neighbour, whether the effect is in the wall or not.
        tails += parents[node]
        heads += siblings[node]
    return frozenset(node for node in above if by_head[node] or by_tail[node])


def minimal_separators(neighbours: list[set[int]], one: Nodes, two: Nodes, allowed: Nodes) -> Iterator[Nodes]:
    """Yield every minimal separator made of allowed nodes, each once; none if there is no separator.

    From each separator others are made by moving one node to the side of ``one`` and closing in on ``two`` (Shen and Liang
    1997, *Efficient enumeration of all minimal separators in a graph*): polynomial time per separator.

    Parameters
    ----------
    neighbours : list of set of int
        The graph.
    one, two : sets of nodes
    allowed : set of nodes
        Disjoint from ``one`` and ``two``.
    """
    graph = _closed(neighbours, one, two, allowed)
    source, target = _SOURCE, _TARGET
    if target in graph[source]:
        return
    start = _toward(graph, frozenset([source]), target)
    queue, seen = deque([start]), {start}
    while queue:
        separator = queue.popleft()
        yield separator
        side = _component(graph, source, separator)
        for node in sorted(separator):
            if node in graph[target]:
                continue
            grown = side | {node}
            fresh = _toward(graph, frozenset(grown), target)
            if fresh not in seen:
                seen.add(fresh)
                queue.append(fresh)


_SOURCE, _TARGET = -1, -2


def _closed(neighbours: list[set[int]], one: Nodes, two: Nodes, allowed: Nodes) -> dict[int, set[int]]:
    """Merge each end into one node, and join what nodes that are not allowed connect."""
    name = {**dict.fromkeys(one, _SOURCE), **dict.fromkeys(two, _TARGET)}
    graph: dict[int, set[int]] = {node: set() for node in allowed}
    graph[_SOURCE], graph[_TARGET] = set(), set()
    passed: set[int] = set()
    for node in range(len(neighbours)):
        if node in allowed or node in name:
            mine = name.get(node, node)
            for other in neighbours[node]:
                if other in allowed or other in name:
                    graph[mine].add(name.get(other, other))
        elif node not in passed:
            around, stack = set(), [node]
            passed.add(node)
            while stack:
                for other in neighbours[stack.pop()]:
                    if other in allowed or other in name:
                        around.add(name.get(other, other))
                    elif other not in passed:
                        passed.add(other)
                        stack.append(other)
            for member in around:
                graph[member] |= around
    for node in graph:
        graph[node].discard(node)
    return graph


def _component(graph: dict[int, set[int]], node: int, without: Nodes | set[int]) -> set[int]:
    found, stack = {node}, [node]
    while stack:
        for other in graph[stack.pop()]:
            if other not in found and other not in without:
                found.add(other)
                stack.append(other)
    return found


def _toward(graph: dict[int, set[int]], side: Nodes, target: int) -> Nodes:
    """Return the separator that lies just outside ``side``, as far as the target needs it."""
    border = {other for member in side for other in graph[member]} - side
    far = _component(graph, target, border)
    return frozenset(other for member in far for other in graph[member] if other not in far)


def cheapest_separator(
    neighbours: list[set[int]], one: Nodes, two: Nodes, allowed: Nodes, cost: Mapping[int, float]
) -> Nodes | None:
    """Return a separator of smallest total cost, or None: a minimum cut with capacities on the nodes.

    Parameters
    ----------
    neighbours, one, two, allowed
        As in `minimal_separators`.
    cost : mapping of int to float
        Positive cost of each allowed node.
    """
    graph = _closed(neighbours, one, two, allowed)
    if _TARGET in graph[_SOURCE]:
        return None
    # Each node becomes an edge from its entry to its exit that holds its cost; the other edges hold any amount.
    flow: dict[tuple[int, bool], dict[tuple[int, bool], float]] = {}

    def edge(a: tuple[int, bool], b: tuple[int, bool], room: float) -> None:
        flow.setdefault(a, {})[b] = room
        flow.setdefault(b, {}).setdefault(a, 0.0)

    for node in sorted(graph):
        edge((node, False), (node, True), float("inf") if node < 0 else float(cost[node]))
    for node in sorted(graph):
        for other in sorted(graph[node]):
            edge((node, True), (other, False), float("inf"))
    start, end = (_SOURCE, False), (_TARGET, True)
    while True:
        came = _augmenting(flow, start, end)
        if end not in came:
            return frozenset(node for node in allowed if (node, False) in came and (node, True) not in came)
        room, at = float("inf"), end
        while at != start:
            room, at = min(room, flow[came[at]][at]), came[at]
        at = end
        while at != start:
            flow[came[at]][at] -= room
            flow[at][came[at]] += room
            at = came[at]


def _augmenting(
    flow: dict[tuple[int, bool], dict[tuple[int, bool], float]], start: tuple[int, bool], end: tuple[int, bool]
) -> dict[tuple[int, bool], tuple[int, bool]]:
    """Return how each node is reached while room is left (breadth first)."""
    came, queue = {start: start}, deque([start])
    while queue and end not in came:
        at = queue.popleft()
        for other, room in flow[at].items():
            if room > 1e-12 and other not in came:
                came[other] = at
                queue.append(other)
    return came
