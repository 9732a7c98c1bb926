"""What a graph with undirected edges stands for, and how background knowledge directs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

from causalkit.errors import DesignError
from causalkit.graph.completion import Partial
from causalkit.graph.reading import read_graph
from causalkit.graph.structure import Structure


class Orientable(Structure):
    """A graph whose edges may lack a direction; :class:`causalkit.DAG` says what its arguments are."""

    def cpdag(self) -> Self:
        """Return the graph of what all DAGs with the same independencies share: the rest is undirected.

        Raises
        ------
        DesignError
            If the graph has ``<->`` or selected nodes.
        """
        if self.bidirected or self.selected:
            raise DesignError(
                "a CPDAG is of a graph without <-> and selected nodes.", hint="Write the common causes as nodes."
            )
        return self.with_edges(Partial.pattern(self._graph))

    def orient(self, edges: str | Iterable[tuple[str, str]]) -> Self:
        """Return the graph with undirected edges directed by background knowledge, and what follows from that.

        Parameters
        ----------
        edges : str or list of pairs
            ``"price -> sales; season -> price"``, or (tail, head) pairs.

        Raises
        ------
        DesignError
            If there is no such edge, or the other direction is already known or follows.
        """
        return self.with_edges(directed_further(self, read_graph(edges).directed))

    def members(self) -> Iterator[Self]:
        """Yield every DAG that the graph stands for: itself, if no edge is undirected."""
        if not self.undirected:
            return iter([self])
        return (self.with_edges(member) for member in self.partial.members())

    def with_edges(self, edges: Partial) -> Self:
        """Return a graph of the same nodes with other edges, by number; ``<->`` stays.

        Parameters
        ----------
        edges : Partial
        """
        directed, undirected = (
            [(self.nodes[a], self.nodes[b]) for a, b in sorted(pairs)] for pairs in (edges.directed, edges.undirected)
        )
        return type(self)(directed, self.latent, self.bidirected, self.nodes, self.selected, undirected)


def directed_further(graph: Structure, edges: Iterable[tuple[str, str]]) -> Partial:
    """Return a graph's class with some edges directed by background knowledge, and what follows (Meek 1995).

    Raises
    ------
    DesignError
        If an edge is not there, or already has the other direction.
    """
    partial = graph.partial
    for tail, head in edges:
        graph.parents(tail), graph.parents(head)  # unknown names are refused
        edge = graph.nodes.index(tail), graph.nodes.index(head)
        if edge in partial.directed:
            continue
        if edge[::-1] in partial.directed:
            raise DesignError(
                f"{tail} -> {head} can't be: the graph, with what was directed before, has {head} -> {tail}.",
                hint="Leave it out, or correct the graph.",
            )
        if (min(edge), max(edge)) not in partial.undirected:
            raise DesignError(f"no edge joins {tail!r} and {head!r}.", hint="Only what is undirected can be directed.")
        partial = partial.oriented([edge])
    return partial
