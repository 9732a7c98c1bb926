"""Minimal and cheapest separators of two nodes' sets in an undirected graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import pairwise

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
    flow = _Flow(graph, cost)
    while True:
        came = flow.augmenting()
        if (_TARGET, False) not in came:
            return frozenset(node for node in allowed if (node, False) in came and (node, True) not in came)
        flow.augment(came)


_State = tuple[int, bool]


class _Flow:
    """Flow from source to target; a state is the entry (False) or exit (True) of a node, between which its cost is the room.

    Only what is used is kept: the edges between nodes have room for anything.
    """

    def __init__(self, graph: dict[int, set[int]], cost: Mapping[int, float]) -> None:
        self.graph, self.cost = graph, cost
        self.through: dict[int, float] = {}
        self.into: dict[int, dict[int, float]] = {}

    def augmenting(self) -> dict[_State, _State]:
        """Return how each state is reached while room is left (breadth first, until the target is)."""
        start, end = (_SOURCE, True), (_TARGET, False)
        came, queue = {start: start}, deque([start])
        while queue and end not in came:
            state = queue.popleft()
            node, leaving = state
            steps: list[_State]
            if leaving:
                steps = [(other, False) for other in self.graph[node] if other != _SOURCE]
                if self.through.get(node, 0.0) > _NONE_LEFT:
                    steps.append((node, False))
            else:
                steps = [(other, True) for other, used in self.into.get(node, {}).items() if used > _NONE_LEFT]
                if self._room(node) > _NONE_LEFT:
                    steps.append((node, True))
            for step in steps:
                if step not in came:
                    came[step] = state
                    queue.append(step)
        return came

    def _room(self, node: int) -> float:
        return float(self.cost[node]) - self.through.get(node, 0.0)

    def augment(self, came: dict[_State, _State]) -> None:
        """Send as much as there is room for along the path that was found."""
        path = [(_TARGET, False)]
        while path[-1] != (_SOURCE, True):
            path.append(came[path[-1]])
        hops = list(pairwise(reversed(path)))
        amount = min(self._room_of(a, b) for a, b in hops)
        for (one, leaving), (two, _) in hops:
            if one == two:
                self.through[one] = self.through.get(one, 0.0) + (-amount if leaving else amount)
            elif leaving:
                used = self.into.setdefault(two, {})
                used[one] = used.get(one, 0.0) + amount
            else:
                self.into[one][two] -= amount

    def _room_of(self, a: _State, b: _State) -> float:
        if a[0] == b[0]:
            return self.through.get(a[0], 0.0) if a[1] else self._room(a[0])
        return float("inf") if a[1] else self.into[a[0]][b[0]]


#: Room or flow below this is rounding.
_NONE_LEFT = 1e-12
