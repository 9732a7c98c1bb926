"""Graphs with undirected edges: what else must be directed, which DAGs they stand for, and what may cause what.

An undirected edge says that some cause runs between two nodes, in one direction or the other. Such a graph stands for all
DAGs with its edges, its directions and no other unshielded colliders (Meek 1995, *Causal inference and causal explanation
with background knowledge*): a CPDAG if the data alone told the directions, an MPDAG if background knowledge told some.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from causalkit.errors import DesignError
from causalkit.graph.nodes import NONE, Mixed, Nodes

Edge = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Partial:
    """A graph with directed and undirected edges on the nodes ``0 .. n - 1``.

    Parameters
    ----------
    n : int
    directed : set of (tail, head)
    undirected : set of (smaller, larger)
    """

    n: int
    directed: frozenset[Edge]
    undirected: frozenset[Edge]

    @classmethod
    def of(cls, n: int, directed: Iterable[Edge], undirected: Iterable[Edge] = ()) -> Partial:
        """Build a graph from edges."""
        return cls(n, frozenset(directed), frozenset((min(edge), max(edge)) for edge in undirected))

    @classmethod
    def pattern(cls, graph: Mixed) -> Partial:
        """Return the CPDAG of a DAG: what every DAG with the same independencies shares (Verma and Pearl 1990)."""
        edges = {(tail, head) for head, tails in enumerate(graph.parents) for tail in tails}
        beside = cls.of(len(graph), edges).beside
        colliders = {
            edge
            for head, tails in enumerate(graph.parents)
            for one, two in combinations(tails, 2)
            if two not in beside[one]
            for edge in ((one, head), (two, head))
        }
        return cls.of(len(graph), colliders, edges - colliders).completed()

    @cached_property
    def parents(self) -> list[set[int]]:
        """Where directed edges come from."""
        return _neighbours(self.n, ((head, tail) for tail, head in self.directed))

    @cached_property
    def children(self) -> list[set[int]]:
        """Where directed edges go to."""
        return _neighbours(self.n, self.directed)

    @cached_property
    def around(self) -> list[set[int]]:
        """The other ends of undirected edges."""
        return _neighbours(self.n, (pair for a, b in self.undirected for pair in ((a, b), (b, a))))

    @cached_property
    def beside(self) -> list[set[int]]:
        """Every node that an edge joins."""
        return [self.parents[node] | self.children[node] | self.around[node] for node in range(self.n)]

    def completed(self) -> Partial:
        """Return the graph with every direction that all its DAGs share (Meek's four rules); it must have a DAG."""
        graph = self
        while fresh := {edge for pair in graph.undirected for edge in (pair, pair[::-1]) if graph._must(*edge)}:
            graph = graph._with(fresh)
        return graph

    def _must(self, a: int, b: int) -> bool:
        """Tell whether ``a -- b`` has to be ``a -> b``."""
        into, beside = self.parents[b], self.beside
        return (
            any(c not in beside[b] for c in self.parents[a])
            or not self.children[a].isdisjoint(into)
            or any(d not in beside[c] for c, d in combinations(self.around[a] & into, 2))
            or any(self.children[d] & into & beside[a] for d in self.around[a] - beside[b])
        )

    def _with(self, edges: Iterable[Edge]) -> Partial:
        fresh = frozenset(edges)
        return Partial(self.n, self.directed | fresh, self.undirected - {(min(edge), max(edge)) for edge in fresh})

    def oriented(self, edges: Iterable[Edge]) -> Partial:
        """Return the graph with some undirected edges directed, and whatever follows from that."""
        return self._with(edges).completed()

    def extension(self, within: Nodes | None = None) -> Mixed | None:
        """Return one DAG that the graph stands for, or None if there is none.

        Dor and Tarsi (1992): a node without effects whose undirected neighbours are joined to all its other neighbours can
        come last.

        Parameters
        ----------
        within : set of nodes, optional
            Look at the edges among these only.
        """
        left = set(range(self.n)) if within is None else set(within)
        edges = {(tail, head) for tail, head in self.directed if tail in left and head in left}
        while left:
            last = next((node for node in sorted(left, reverse=True) if self._can_be_last(node, left)), None)
            if last is None:
                return None
            left.discard(last)
            edges |= {(other, last) for other in self.around[last] & left}
        return Mixed.of(self.n, edges)

    def _can_be_last(self, node: int, left: set[int]) -> bool:
        if not self.children[node].isdisjoint(left):
            return False
        near = self.beside[node] & left
        return all(near - {other} <= self.beside[other] for other in self.around[node] & left)

    def obstacle(self) -> Nodes:
        """Return a smallest-by-deletion set of nodes whose edges no DAG has; only where `extension` returned None."""
        found = frozenset(range(self.n))
        for node in range(self.n):
            if self.extension(found - {node}) is None:
                found -= {node}
        return found

    def members(self) -> Iterator[Partial]:
        """Yield every DAG of the class, each once; the graph must be complete."""
        if not self.undirected:
            yield self
            return
        a, b = min(self.undirected)
        for edge in ((a, b), (b, a)):
            yield from self.oriented([edge]).members()

    def possible_path(self, start: Iterable[int], targets: Nodes, avoid: Nodes = NONE) -> tuple[int, ...]:
        """Return a shortest path that is directed in some DAG of the class, or nothing; the graph must be complete.

        On a shortest such path no node is joined to the one after next, and in a complete graph any path like that, none of
        whose edges points backwards, is directed in some DAG.

        Parameters
        ----------
        start, targets : sets of nodes
        avoid : set of nodes
            Where the path may not pass.
        """
        came: dict[Edge, Edge | None] = {(-1, node): None for node in sorted(start)}
        queue = list(came)
        for state in queue:
            before, at = state
            if at in targets:
                path, back = [], (before, at)
                while back is not None:
                    path.append(back[1])
                    back = came[back]  # type: ignore[assignment]
                return tuple(reversed(path))
            for step in sorted(self._steps(before, at) - avoid):
                if (at, step) not in came:
                    came[at, step] = state
                    queue.append((at, step))
        return ()

    def possible_descendants(self, start: Iterable[int]) -> Nodes:
        """Return the nodes that some DAG of the class makes effects of ``start``, these included."""
        seen = {(-1, node) for node in start}
        stack = list(seen)
        while stack:
            before, at = stack.pop()
            for step in self._steps(before, at):
                if (at, step) not in seen:
                    seen.add((at, step))
                    stack.append((at, step))
        return frozenset(node for _, node in seen)

    def possible_ancestors(self, ends: Iterable[int]) -> Nodes:
        """Return the nodes that some DAG of the class makes causes of ``ends``, these included."""
        turned = Partial(self.n, frozenset((head, tail) for tail, head in self.directed), self.undirected)
        return turned.possible_descendants(ends)

    def _steps(self, before: int, at: int) -> set[int]:
        onward = self.children[at] | self.around[at]
        return onward if before < 0 else onward - self.beside[before] - {before}


def completed(names: Sequence[str], directed: Iterable[Edge], undirected: Iterable[Edge]) -> tuple[Partial, Mixed]:
    """Return the graph with every direction that follows, and one DAG that it stands for.

    Parameters
    ----------
    names : sequence of str
        Names of the nodes.
    directed, undirected : pairs of int

    Raises
    ------
    DesignError
        If two nodes are joined twice, or the graph stands for no DAG; the edges that make it so are named.
    """
    partial = Partial.of(len(names), directed, undirected)
    for a, b in sorted(partial.undirected):
        if (a, b) in partial.directed or (b, a) in partial.directed:
            raise DesignError(
                f"{names[a]!r} and {names[b]!r} are joined with a direction and without one.", hint="Keep one edge."
            )
    if partial.extension() is None:
        culprit = partial.obstacle()
        edges = [
            f"{names[a]} {arrow} {names[b]}"
            for arrow, pairs in (("->", partial.directed), ("--", partial.undirected))
            for a, b in sorted(pairs)
            if a in culprit and b in culprit
        ]
        raise DesignError(
            f"no DAG has the edges {', '.join(edges)}: however the undirected ones are directed, they close a cycle or make "
            "two causes meet that no edge joins.",
            hint="Direct, add or remove one of them.",
        )
    whole = partial.completed()
    member = whole.extension()
    assert member is not None
    return whole, member


def _neighbours(n: int, edges: Iterable[Edge]) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in range(n)]
    for one, two in edges:
        found[one].add(two)
    return found
