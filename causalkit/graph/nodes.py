"""Graphs as integers: directed and bidirected edges, ancestors, and what an open path reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

#: How a path arrives at a node: at an arrowhead, or at a tail.
HEAD, TAIL = 0, 1

Nodes = frozenset[int]
NONE: Nodes = frozenset()


@dataclass(frozen=True, eq=False)
class Mixed:
    """An acyclic graph with directed and bidirected edges on the nodes ``0 .. n - 1``.

    Parameters
    ----------
    parents, siblings : tuple of tuple of int
        For each node, where directed edges come from, and the other ends of bidirected edges; sorted.
    """

    parents: tuple[tuple[int, ...], ...]
    siblings: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, n: int, directed: Iterable[tuple[int, int]], bidirected: Iterable[tuple[int, int]] = ()) -> Mixed:
        """Build a graph from edges."""
        parents: list[set[int]] = [set() for _ in range(n)]
        siblings: list[set[int]] = [set() for _ in range(n)]
        for tail, head in directed:
            parents[head].add(tail)
        for one, two in bidirected:
            siblings[one].add(two)
            siblings[two].add(one)
        return cls(tuple(tuple(sorted(p)) for p in parents), tuple(tuple(sorted(s)) for s in siblings))

    def __len__(self) -> int:
        return len(self.parents)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Where the directed edges of each node go to."""
        found: list[list[int]] = [[] for _ in self.parents]
        for head, tails in enumerate(self.parents):
            for tail in tails:
                found[tail].append(head)
        return tuple(map(tuple, found))

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Topological order: parents first, ties by number; shorter than the graph if there is a cycle."""
        left = [len(tails) for tails in self.parents]
        ready = [node for node in range(len(self) - 1, -1, -1) if not left[node]]
        order = []
        while ready:
            node = ready.pop()
            order.append(node)
            for child in self.children[node]:
                left[child] -= 1
                if not left[child]:
                    ready.append(child)
        return tuple(order)

    def ancestors(self, nodes: Iterable[int]) -> Nodes:
        """Return the nodes from which a directed path leads to ``nodes``, these included."""
        return _closure(nodes, self.parents)

    def descendants(self, nodes: Iterable[int]) -> Nodes:
        """Return the nodes to which a directed path leads from ``nodes``, these included."""
        return _closure(nodes, self.children)

    def without_edges(self, into: Nodes = NONE, out_of: Nodes = NONE) -> Mixed:
        """Return the graph without edges that point into some nodes, and without those that leave others."""
        gone = [(tail, node) for node in into for tail in self.parents[node]]
        gone += [(node, child) for node in out_of for child in self.children[node]]
        graph = self.without_directed(gone)
        if not any(self.siblings[node] for node in into):
            return graph
        siblings = list(self.siblings)
        for node in into:
            for other in self.siblings[node]:
                siblings[other] = tuple(one for one in siblings[other] if one not in into)
            siblings[node] = ()
        return graph._with(graph.parents, graph.children, tuple(siblings))

    def without_directed(self, edges: Iterable[tuple[int, int]]) -> Mixed:
        """Return the graph without some directed edges; only the rows of their ends are written anew."""
        gone = set(edges)
        parents, children = list(self.parents), list(self.children)
        for head in {head for _, head in gone}:
            parents[head] = tuple(tail for tail in parents[head] if (tail, head) not in gone)
        for tail in {tail for tail, _ in gone}:
            children[tail] = tuple(head for head in children[tail] if (tail, head) not in gone)
        return self._with(tuple(parents), tuple(children), self.siblings)

    def _with(
        self,
        parents: tuple[tuple[int, ...], ...],
        children: tuple[tuple[int, ...], ...],
        siblings: tuple[tuple[int, ...], ...],
    ) -> Mixed:
        """Return a graph whose children are known already."""
        graph = Mixed(parents, siblings)
        vars(graph)["children"] = children
        return graph

    def reached(self, start: Nodes, given: Nodes) -> Nodes:
        """Return the nodes to which an open path leads from ``start``, given some nodes; linear in the edges.

        A collider is open if it or a descendant is given, any other node if it is not given (Bayes ball: Shachter 1998;
        for bidirected edges, Richardson 2003).
        """
        above = self.ancestors(given)
        shut = given - start
        parents, children, siblings = self.parents, self.children, self.siblings
        by_head, by_tail = bytearray(len(parents)), bytearray(len(parents))
        heads: list[int] = []
        tails = list(start)
        while heads or tails:
            if tails:
                node = tails.pop()
                if by_tail[node]:
                    continue
                by_tail[node] = 1
                if node in shut:
                    continue
                heads += children[node]
            else:
                node = heads.pop()
                if by_head[node]:
                    continue
                by_head[node] = 1
                if node not in shut:
                    heads += children[node]
                if node not in above:
                    continue
            tails += parents[node]
            heads += siblings[node]
        return frozenset(node for node in range(len(parents)) if by_head[node] or by_tail[node]) - start

    def separated(self, one: Nodes, two: Nodes, given: Nodes) -> bool:
        """Tell whether no open path joins two sets of nodes, given a third."""
        return not self.reached(one, given) & two

    def open_path(self, one: Nodes, two: Nodes, given: Nodes) -> tuple[int, ...]:
        """Return a shortest open path between two sets, or nothing; the witness of :meth:`separated`."""
        above = self.ancestors(given)
        came: dict[tuple[int, int], tuple[int, int] | None] = {(node, TAIL): None for node in sorted(one)}
        frontier = list(came)
        while frontier:
            fresh: list[tuple[int, int]] = []
            for state in frontier:
                node, end = state
                if node in two:
                    return _path(state, came)
                steps: list[tuple[int, int]] = []
                free = node not in given or node in one
                if free:
                    steps += [(child, HEAD) for child in self.children[node]]
                if (end == TAIL and free) or (end == HEAD and node in above):
                    steps += [(parent, TAIL) for parent in self.parents[node]]
                    steps += [(other, HEAD) for other in self.siblings[node]]
                for step in steps:
                    if step not in came and step[0] not in one:
                        came[step] = state
                        fresh.append(step)
            frontier = fresh
        return ()

    def directed_path(self, one: Nodes, two: Nodes) -> tuple[int, ...]:
        """Return a shortest directed path from one set to another, or nothing."""
        came: dict[tuple[int, int], tuple[int, int] | None] = {(node, TAIL): None for node in sorted(one)}
        queue = list(came)
        for state in queue:
            if state[0] in two:
                return _path(state, came)
            for child in self.children[state[0]]:
                step = (child, TAIL)
                if step not in came:
                    came[step] = state
                    queue.append(step)
        return ()

    def districts(self, nodes: Nodes, among: Nodes | None = None) -> list[Nodes]:
        """Return the components that bidirected edges join among some nodes, by their smallest node.

        Parameters
        ----------
        nodes : set of nodes
        among : set of nodes, optional
            Only components of these.
        """
        seen: set[int] = set()
        found: list[Nodes] = []
        for node in sorted(nodes if among is None else among):
            if node not in seen:
                found.append(_closure([node], self.siblings, within=nodes))
                seen |= found[-1]
        return found

    def subgraph(self, nodes: Nodes) -> Mixed:
        """Return the graph with the edges among some nodes only; numbers stay."""
        parents = tuple(
            tuple(tail for tail in tails if tail in nodes) if node in nodes else ()
            for node, tails in enumerate(self.parents)
        )
        siblings = tuple(
            tuple(other for other in others if other in nodes) if node in nodes else ()
            for node, others in enumerate(self.siblings)
        )
        return Mixed(parents, siblings)

    def renumbered(self, kept: Sequence[int]) -> Mixed:
        """Return the graph on some nodes, each with the number of its place among them."""
        place = {node: at for at, node in enumerate(kept)}
        directed, bidirected = (
            [(place[a], place[b]) for b in kept for a in ends[b] if a in place]
            for ends in (self.parents, self.siblings)
        )
        return Mixed.of(len(kept), directed, bidirected)

    def projected(self, latent: Nodes) -> Mixed:
        """Return the latent projection: latent nodes become bidirected edges between what they reach (Verma and Pearl)."""
        directed, bidirected = set(), set()
        for node in range(len(self)):
            if node not in latent:
                directed |= {(node, child) for child in self.reached_through(node, latent)}
        ends = {node: self.reached_through(node, latent) for node in latent}
        for node in latent:
            for one in ends[node]:
                bidirected |= {(one, two) for two in ends[node] if one < two}
        arrows: dict[int, set[int]] = {
            node: ({node} if node not in latent else set(ends[node])) for node in range(len(self))
        }
        for one in range(len(self)):
            for two in self.siblings[one]:
                if one < two:
                    pairs = {(a, b) for a in arrows[one] for b in arrows[two] if a != b}
                    bidirected |= {(min(pair), max(pair)) for pair in pairs}
        return Mixed.of(len(self), directed, bidirected)

    def reached_through(self, node: int, latent: Nodes) -> set[int]:
        """Return the observed nodes that a directed path through latent nodes only leads to."""
        found: set[int] = set()
        seen, stack = set(), list(self.children[node])
        while stack:
            at = stack.pop()
            if at not in latent:
                found.add(at)
            elif at not in seen:
                seen.add(at)
                stack.extend(self.children[at])
        return found

    def moral(self, nodes: Nodes) -> list[set[int]]:
        """Return the neighbours in the augmented (moral) graph of some ancestral nodes.

        Two nodes are joined if an edge joins them, or a path between them on which every node in between is a collider.
        """
        found: list[set[int]] = [set() for _ in range(len(self))]
        ancestral = all(nodes.issuperset(self.parents[node]) for node in nodes)
        parents = self.parents if ancestral else self.subgraph(nodes).parents
        tied = frozenset(node for node in nodes if self.siblings[node])
        for district in [*self.districts(nodes, tied), *((node,) for node in nodes - tied)]:
            around = set(district).union(*(parents[node] for node in district))
            for node in around:
                found[node] |= around
        for node in nodes:
            found[node].discard(node)
        return found


def _closure(nodes: Iterable[int], edges: tuple[tuple[int, ...], ...], within: Nodes | None = None) -> Nodes:
    found = set(nodes)
    stack = list(found)
    while stack:
        for other in edges[stack.pop()]:
            if other not in found and (within is None or other in within):
                found.add(other)
                stack.append(other)
    return frozenset(found)


def _path(state: tuple[int, int] | None, came: dict[tuple[int, int], tuple[int, int] | None]) -> tuple[int, ...]:
    path = []
    while state is not None:
        path.append(state[0])
        state = came[state]
    return tuple(reversed(path))


def subsets(nodes: Iterable[int]) -> Iterator[Nodes]:
    """Yield all subsets, small ones first, in the order of the nodes."""
    from itertools import combinations

    ordered = sorted(nodes)
    for size in range(len(ordered) + 1):
        yield from (frozenset(chosen) for chosen in combinations(ordered, size))
